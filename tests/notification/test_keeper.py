"""What happens to subscriptions because time goes by; the time is that of the database."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.notification.engine import Engine
from tests.waiting import until
from xds.database.access import Database
from xds.notification import keeper
from xds.notification.keeper import SubscriptionKeeper
from xds.notification.model import (
    Subscription,
    SubscriptionRefused,
    SubscriptionState,
    UnknownSubscription,
)
from xds.notification.tables import notification, subscription

DAY = 24 * 3600 * 1000


def looks(it: Engine) -> None:
    """Have the keeper do what is due."""
    SubscriptionKeeper(it.database, it.subscriptions.patience).look()


def passes(it: Engine, milliseconds: int) -> None:
    """Have it be so much later for all subscriptions."""
    columns = [subscription.c[name] for name in ("ends", "beats", "failed_since", "due")]
    with it.database.write() as connection:
        earlier = {column.name: column - milliseconds for column in columns}
        connection.execute(update(subscription).values(**earlier))
        connection.execute(update(notification).values(at=notification.c.at - milliseconds))


def now(it: Engine) -> int:
    with it.database.read() as connection:
        return it.database.milliseconds(connection)


def kept(it: Engine, one: Subscription) -> int:
    with it.database.read() as connection:
        count = select(func.count()).where(notification.c.subscription == one.key)
        return connection.execute(count).scalar_one()


def test_a_subscription_ends_when_its_time_is_over(it: Engine) -> None:
    one = it.subscribe("/a", ends=now(it) + 2 * DAY, tells_end=True)
    other = it.subscribe("/b", ends=now(it) + 2 * DAY, recovers=False)
    renewed = it.subscribe("/c", ends=now(it) + 2 * DAY)
    it.subscriptions.renew(renewed.id, now(it) + 9 * DAY)
    looks(it)
    assert it.state(one).state is SubscriptionState.ACTIVE
    passes(it, 3 * DAY)
    looks(it)
    assert it.state(one).state is SubscriptionState.ENDED
    assert it.state(one).reason == keeper.OVER
    assert it.state(other).state is SubscriptionState.OFF
    assert it.state(renewed).state is SubscriptionState.ACTIVE
    with pytest.raises(UnknownSubscription):
        it.subscriptions.renew(one.id, now(it) + DAY)
    with pytest.raises(SubscriptionRefused):
        it.subscriptions.request(other.id)
    with it.working():
        assert it.told("/a")[0]["kind"] == "deactivation"


def test_what_has_ended_is_removed_in_the_end_with_all_that_was_told(it: Engine) -> None:
    one = it.subscribe("/a")
    off = it.subscribe("/b", recovers=False)
    with it.working():
        it.register()
        until(lambda: it.state(one).delivered == it.state(off).delivered == 1)
    it.subscriptions.end(one.id)
    it.subscriptions.turn_off(off.id)
    passes(it, 6 * DAY)
    looks(it)
    assert kept(it, one) == kept(it, off) == 1
    passes(it, 2 * DAY)
    looks(it)
    assert it.subscriptions.get(one.id) is None
    assert kept(it, one) == 0
    assert it.state(off).state is SubscriptionState.ENDED


def test_a_target_that_fails_for_days_is_given_up(it: Engine) -> None:
    one = it.subscribe("/a", tells_end=True)
    it.receiver.refuse("/a", *[500] * 10_000)
    with it.working():
        it.register()
        until(lambda: it.state(one).state is SubscriptionState.ERROR)
        passes(it, 6 * DAY)
        looks(it)
        assert it.state(one).state is SubscriptionState.ERROR
        passes(it, 2 * DAY)
        looks(it)
        assert it.state(one).state is SubscriptionState.ENDED
        assert it.state(one).reason == keeper.FAILED_FOR_LONG
        before = len(it.receiver.came("/a"))
        it.subscribe("/b")
        it.register()
        it.told("/b")
        assert len(it.receiver.came("/a")) <= before + 1


def test_a_heartbeat_is_sent_where_nothing_was_for_a_while(it: Engine) -> None:
    one = it.subscribe("/a", heartbeat=60)
    with it.working():
        it.register()
        until(lambda: it.state(one).delivered == 1)
        passes(it, 50_000)
        looks(it)
        assert len(it.receiver.came("/a")) == 1
        passes(it, 20_000)
        looks(it)
        looks(it)
        told = it.told("/a", 2)
        it.register()
        told = it.told("/a", 3)
    assert [(said["kind"], said["number"]) for said in told] == [
        ("event", 1),
        ("heartbeat", 1),
        ("event", 2),
    ]


def test_what_was_told_is_kept_for_some_days_and_what_was_not_for_longer(it: Engine) -> None:
    one, fetched = it.subscribe("/a"), it.subscribe("")
    waiting = it.subscribe("/b")
    it.subscriptions.pause(waiting.id)
    with it.working():
        it.register()
        until(lambda: it.state(one).delivered == 1)
        until(lambda: it.state(fetched).numbered == it.state(waiting).numbered == 1)
    keeps = SubscriptionKeeper(it.database, it.subscriptions.patience)
    keeps.tidy()
    assert kept(it, one) == kept(it, fetched) == kept(it, waiting) == 1
    passes(it, 8 * DAY)
    keeps.tidy()
    assert (kept(it, one), kept(it, waiting)) == (0, 1)
    assert it.state(fetched).reason == keeper.NOT_FETCHED
    assert it.state(one).state is SubscriptionState.ACTIVE


def test_a_clock_that_is_set_back_delays_nothing_for_long(
    it: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats and patience are those of the clock as it is; no end comes earlier or is lost."""
    told = Database.milliseconds
    monkeypatch.setattr(Database, "milliseconds", lambda self, one: told(self, one) + DAY)
    one = it.subscribe("/a", heartbeat=60, ends=now(it) + DAY)
    failing = it.subscribe("/b", recovers=False)
    it.receiver.refuse("/b", *[500] * 9)
    with it.working():
        it.register()
        assert it.told("/a", 1)[0]["number"] == 1
        until(lambda: it.state(failing).state is SubscriptionState.ERROR)
        looking = SubscriptionKeeper(it.database, it.subscriptions.patience)
        looking.look()
        monkeypatch.setattr(Database, "milliseconds", told)
        looking.look()
        row = row_of(it, one)
        assert row.beats is not None
        assert row.beats <= now(it) + 60_000
        assert (it.state(failing).failed_since or 0) <= now(it)
        it.register()
        until(lambda: it.state(one).delivered == 2)
        passes(it, 61_000)
        looking.look()
        assert [m["kind"] for m in it.told("/a", 3)] == ["event", "event", "heartbeat"]
        until(lambda: it.state(failing).delivered == 2)  # what failed comes by itself
        assert [m["number"] for m in it.told("/b", 2)][-2:] == [1, 2]
        assert it.state(one).state is SubscriptionState.ACTIVE
        statements = counted(it, looking.look)
        assert statements <= 2  # nothing is due: it looks, and does not go on looking


def row_of(it: Engine, one: Subscription) -> Any:
    with it.database.read() as connection:
        return connection.execute(select(subscription).where(subscription.c.id == one.id)).one()


def counted(it: Engine, act: Callable[[], object]) -> int:
    """Return how many transactions something takes."""
    count = 0
    told = Database.milliseconds

    def milliseconds(self: Database, connection: Any) -> int:
        nonlocal count
        count += 1
        return told(self, connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "milliseconds", milliseconds)
        act()
    return count
