"""The delivery queue: at least once, in order for each target, whatever fails."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from tests.outgoing.conftest import NAME, Target, dispatching, ids, is_empty, numbered, put
from tests.waiting import PATIENCE, until
from xds.database.access import Database
from xds.outgoing import leases
from xds.outgoing.delivery import (
    Delivery,
    Limit,
    NewDelivery,
    NotDelivered,
    RetrySchedule,
    Undeliverable,
)
from xds.outgoing.queue import enqueue, enqueue_stream, remove_abandoned
from xds.outgoing.sending import DispatchLimits
from xds.outgoing.tables import delivery, delivery_body, delivery_target
from xds.outgoing.transport import seconds_until

# --- putting in ----------------------------------------------------------------------------------


def test_a_message_goes_out_when_its_transaction_commits_and_not_before(database: Database) -> None:
    target = Target()
    with dispatching(database, target.channel()):
        with database.write() as connection:
            enqueue(database, connection, numbered("a", [1]))
            time.sleep(0.1)
            assert target.came == []
        until(lambda: target.of("a") == ids("a", [1]))
        until(lambda: is_empty(database))


def test_what_is_rolled_back_is_never_sent(database: Database) -> None:
    target = Target()
    with dispatching(database, target.channel()):
        with suppress(LookupError), database.write() as connection:
            enqueue(database, connection, numbered("a", [1]))
            raise LookupError
        put(database, *numbered("a", [2]))
        until(lambda: is_empty(database))
    assert target.of("a") == ids("a", [2])


def test_an_id_that_waits_already_is_put_in_once(database: Database) -> None:
    target = Target()
    put(database, *numbered("a", [1, 2]))
    put(database, *numbered("a", [2, 3]))
    with dispatching(database, target.channel()):
        until(lambda: is_empty(database))
    assert target.of("a") == ids("a", [1, 2, 3])


@pytest.mark.parametrize("size", [0, 10, 20_000, 70_000, 2_500_000])
def test_a_body_of_any_size_arrives_as_it_is(database: Database, size: int) -> None:
    content = random.randbytes(size)
    blocks = (content[start : start + 99_999] for start in range(0, size, 99_999))
    bodies: list[bytes] = []
    largest: list[int] = []

    def read(one: Delivery) -> None:
        pieces = list(one.read())
        bodies.append(b"".join(pieces))
        largest.append(max(map(len, pieces), default=0))
        assert one.size == size
        assert one.attributes == {"content_type": "text/plain"}

    enqueue_stream(
        database,
        NewDelivery(channel=NAME, target="a", attributes={"content_type": "text/plain"}),
        blocks,
    )
    with dispatching(database, Target(read).channel()):
        until(lambda: is_empty(database))
    assert bodies == [content]
    assert largest[0] <= 1024 * 1024
    with database.read() as connection:
        assert connection.execute(select(delivery_body)).all() == []


def test_a_body_that_breaks_off_is_not_kept(database: Database) -> None:
    def blocks() -> object:
        yield bytes(3_000_000)
        raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        enqueue_stream(database, NewDelivery(channel=NAME, target="a"), blocks())  # type: ignore[arg-type]
    with database.read() as connection:
        assert connection.execute(select(delivery_body.c.part)).all() == []
    assert is_empty(database)


def test_parts_that_a_crash_has_left_are_removed_and_others_are_not(database: Database) -> None:
    enqueue_stream(database, NewDelivery(channel=NAME, target="a", id="whole"), [bytes(2_000_000)])
    with database.write() as connection:
        connection.execute(update(delivery_body).values(written=0))
        row = {"part": 0, "content": b"x"}
        now = database.milliseconds(connection)
        connection.execute(
            delivery_body.insert(),
            [{**row, "delivery": "old", "written": 0}, {**row, "delivery": "new", "written": now}],
        )
    remove_abandoned(database)
    with database.read() as connection:
        assert {*connection.scalars(select(delivery_body.c.delivery))} == {"whole", "new"}


# --- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 3])
def test_each_target_gets_its_messages_in_order_one_at_a_time(
    database: Database, processes: int
) -> None:
    target = Target()
    with dispatching(database, target.channel(), processes=processes):
        for start in range(0, 120, 30):
            for name in "abcde":
                put(database, *numbered(name, range(start, start + 30)))
        until(lambda: is_empty(database))
    for name in "abcde":
        assert target.of(name) == ids(name, range(120))
    assert target.collisions == 0
    assert len(target.came) == 600


def test_what_is_put_in_by_a_late_commit_is_not_overlooked(database: Database) -> None:
    """A transaction that has got lower numbers may commit after one with higher ones."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    target, first_is_in, second_is_out = Target(), threading.Event(), threading.Event()

    def late() -> None:
        with database.write() as connection:
            enqueue(database, connection, numbered("a", [1]))
            first_is_in.set()
            second_is_out.wait(PATIENCE)

    with dispatching(database, target.channel()):
        thread = threading.Thread(target=late)
        thread.start()
        first_is_in.wait(PATIENCE)
        put(database, *numbered("a", [2]))
        until(lambda: target.of("a") == ids("a", [2]))
        second_is_out.set()
        thread.join()
        until(lambda: target.of("a") == ids("a", [2, 1]))
        until(lambda: is_empty(database))


# --- failure -------------------------------------------------------------------------------------


def failing_times(times: int, error: Exception) -> Callable[[Delivery], None]:
    """Return an answer that fails so often for each message before it takes it."""
    failures: dict[str, int] = {}

    def answer(one: Delivery) -> None:
        failures[one.id] = failures.get(one.id, 0) + 1
        if failures[one.id] <= times:
            raise error

    return answer


def read_all(one: Delivery) -> None:
    """Take a message whose body can be read."""
    for _ in one.read():
        pass


@pytest.mark.parametrize(
    "error", [NotDelivered("503", refused=True), NotDelivered("away"), OSError()]
)
def test_strictly_ordered_messages_wait_for_the_one_before(
    database: Database, error: Exception
) -> None:
    target = Target(failing_times(2, error))
    put(database, *numbered("a", range(5)))
    with dispatching(database, target.channel(), processes=2):
        until(lambda: is_empty(database))
    assert [one.id for one in target.came] == [one for i in range(5) for one in ids("a", [i] * 3)]


def test_a_target_that_fails_holds_up_no_other(database: Database) -> None:
    def answer(one: Delivery) -> None:
        if one.target == "dead":
            raise NotDelivered("ConnectionRefusedError")

    target = Target(answer)
    put(database, *numbered("dead", range(200)))
    put(database, *numbered("alive", range(200)))
    with dispatching(database, target.channel()):
        until(lambda: target.of("alive") == ids("alive", range(200)))
    assert target.of("dead") == []
    with database.read() as connection:
        row = connection.execute(select(delivery_target)).one()
    assert (row.target, row.error, row.holder) == ("dead", "ConnectionRefusedError", None)
    assert row.attempts == len([one for one in target.came if one.target == "dead"])


def test_hosts_that_hang_leave_senders_to_the_others(database: Database) -> None:
    released = threading.Event()

    def answer(one: Delivery) -> None:
        if one.address.startswith("http://hangs"):
            released.wait(PATIENCE)

    target = Target(answer)
    limits = DispatchLimits(senders=8, of_host=3, failing=4)
    for host in range(2):
        for path in range(20):
            address = f"http://hangs{host}/{path}"
            put(database, *numbered(address, [1], address=address))
    try:
        with dispatching(database, target.channel(), limits=limits):
            until(lambda: len(target.came) == 6)
            address = "http://alive/"
            put(database, *numbered(address, range(100), address=address))
            until(lambda: target.of(address) == ids(address, range(100)))
            assert len(target.came) == 106
            released.set()
            until(lambda: is_empty(database))
    finally:
        released.set()


def test_a_host_gets_few_messages_at_a_time(database: Database) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def answer(one: Delivery) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1

    target = Target(answer)
    names = [f"http://host/{number}" for number in range(60)]
    put(database, *(one for name in names for one in numbered(name, range(2), address=name)))
    with dispatching(database, target.channel(), limits=DispatchLimits(of_host=3)):
        until(lambda: is_empty(database))
    assert most == [3]
    assert all(target.of(name) == ids(name, range(2)) for name in names)


def test_processes_share_the_targets_of_a_host_that_have_many_messages(
    database: Database,
) -> None:
    released = threading.Event()

    def answer(_: Delivery) -> None:
        released.wait(PATIENCE)

    target = Target(answer)
    names = [f"http://host/{number}" for number in range(20)]
    put(database, *(one for name in names for one in numbered(name, range(60), address=name)))
    limits = DispatchLimits(poll_seconds=0.05)
    try:
        with dispatching(database, target.channel(), limits=limits, processes=2):
            until(lambda: len(target.came) == 2 * limits.of_host)
            released.set()
            until(lambda: is_empty(database))
    finally:
        released.set()
    assert all(target.of(name) == ids(name, range(60)) for name in names)
    assert target.collisions == 0


def test_a_refused_message_steps_aside_where_the_channel_says_so(database: Database) -> None:
    poison = threading.Event()

    def answer(one: Delivery) -> None:
        if one.id == "a/0" and not poison.is_set():
            raise NotDelivered("400", refused=True)

    target = Target(answer)
    put(database, *numbered("a", range(20)))
    with dispatching(database, target.channel(order="reachable")):
        until(lambda: target.of("a") == ids("a", range(1, 20)))
        until(lambda: [one.id for one in target.came].count("a/0") >= 3)
        poison.set()
        until(lambda: is_empty(database))
    assert [one.id for one in target.took].count("a/0") == 1


def test_an_unreachable_target_keeps_its_order_also_there(database: Database) -> None:
    target = Target(failing_times(1, NotDelivered("TimeoutError")))
    put(database, *numbered("a", range(10)))
    with dispatching(database, target.channel(order="reachable")):
        until(lambda: is_empty(database))
    assert target.of("a") == ids("a", range(10))


def test_a_message_is_given_up_only_where_the_channel_says_so(database: Database) -> None:
    def answer(one: Delivery) -> None:
        if one.id == "a/0":
            raise NotDelivered("500", refused=True)

    target = Target(answer)
    put(database, *numbered("a", range(3)))
    with dispatching(database, target.channel(limit=Limit(4, 1000))):
        until(lambda: target.of("a") == ids("a", [1, 2]))
        until(lambda: is_empty(database))
    assert [one.id for one in target.came].count("a/0") == 4
    with database.read() as connection:
        row = connection.execute(select(delivery)).one()
    assert (row.id, row.attempts, row.error) == ("a/0", 4, "500")
    assert abs(row.dead_at - time.time() * 1000) < 60_000


def test_a_message_is_given_up_by_its_age(database: Database) -> None:
    def answer(one: Delivery) -> None:
        raise NotDelivered("500")

    target = Target(answer)
    put(database, *numbered("a", [0]))
    slow = RetrySchedule((0.1, 1000.0))
    with dispatching(database, target.channel(limit=Limit(1000, 0.5), schedule=slow)):
        until(lambda: is_empty(database))
    assert 1 <= len(target.came) <= 3  # a slow machine may come to it when its time is over


def test_what_cannot_be_sent_at_all_is_dead_at_once_and_the_next_goes(database: Database) -> None:
    def answer(one: Delivery) -> None:
        read_all(one)
        if one.id == "a/0":
            raise Undeliverable("no such thing")

    target = Target(answer)
    enqueue_stream(database, NewDelivery(channel=NAME, target="b", id="b/0"), [bytes(2_000_000)])
    put(database, *numbered("a", range(2)), *numbered("b", [1]))
    with database.write() as connection:
        connection.execute(delivery_body.delete())
    with dispatching(database, target.channel()):
        until(lambda: is_empty(database))
    assert [*target.of("a"), *target.of("b")] == ["a/1", "b/1"]
    with database.read() as connection:
        dead = connection.execute(select(delivery.c.id, delivery.c.error)).all()
    assert {*dead} == {("a/0", "no such thing"), ("b/0", "its body is not there")}


def test_messages_of_a_channel_that_nobody_serves_wait(database: Database) -> None:
    target = Target()
    put(database, *numbered("b", [1], channel="other"), *numbered("a", [1]))
    with dispatching(database, target.channel()):
        until(lambda: target.of("a") == ids("a", [1]))
        time.sleep(0.2)
    assert [one.channel for one in target.came] == [NAME]
    with dispatching(database, target.channel("other")):
        until(lambda: is_empty(database))
    assert [one.channel for one in target.came] == [NAME, "other"]


# --- leases --------------------------------------------------------------------------------------


def due_of(database: Database, target: str) -> int:
    with database.read() as connection:
        query = select(delivery_target.c.due).where(delivery_target.c.target == target)
        return connection.scalar(query) or 0


def hold(database: Database, holder: str, *, ahead: int = leases.LEASE) -> None:
    """Have a process that has died hold every target that waits."""
    with database.write() as connection:
        now = database.milliseconds(connection)
        leases.arrive(connection, now, {})
        connection.execute(update(delivery_target).values(holder=holder, due=now + ahead))


def test_what_a_dead_process_has_taken_is_sent_when_its_lease_ends(database: Database) -> None:
    target = Target()
    put(database, *numbered("a", [1, 2]))
    start = time.monotonic()
    hold(database, "dead", ahead=400)
    with dispatching(database, target.channel()):
        until(lambda: is_empty(database))
    assert target.of("a") == ids("a", [1, 2])
    assert time.monotonic() - start > 0.35  # what is held is left alone


def test_a_lease_that_was_lost_does_not_touch_the_new_holders_target(database: Database) -> None:
    """A process that stood still sends what another has taken meanwhile: it harms nothing."""
    arrived, released = threading.Event(), threading.Event()

    def answer(one: Delivery) -> None:
        arrived.set()
        released.wait(PATIENCE)

    target = Target(answer)
    put(database, *numbered("a", [1, 2, 3]))
    with dispatching(database, target.channel()):
        arrived.wait(PATIENCE)
        hold(database, "other")
        before = due_of(database, "a")
        released.set()
        until(lambda: len(target.took) == 3)
    with database.read() as connection:
        row = connection.execute(select(delivery_target)).one()
        assert connection.execute(select(delivery.c.id)).all() == []  # they were delivered
    assert (row.holder, row.due) == ("other", before)


@pytest.mark.slow
def test_a_lease_is_renewed_while_a_message_is_under_way(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xds.outgoing.dispatcher._RENEW_SECONDS", 0.05)
    released = threading.Event()

    def answer(one: Delivery) -> None:
        released.wait(PATIENCE)

    target = Target(answer)
    put(database, *numbered("a", [1]))
    limits = DispatchLimits(poll_seconds=0.05)
    with dispatching(database, target.channel(), limits=limits):
        until(lambda: len(target.came) == 1)
        first = due_of(database, "a")
        until(lambda: due_of(database, "a") > first)
        released.set()
        until(lambda: is_empty(database))


def test_a_process_that_stops_gives_back_what_it_has_not_sent(database: Database) -> None:
    arrived = threading.Event()

    def answer(one: Delivery) -> None:
        arrived.set()
        time.sleep(0.2)

    target = Target(answer)
    put(database, *numbered("a", range(500)))
    with dispatching(database, target.channel()):
        arrived.wait(PATIENCE)
    sent = len(target.took)
    assert sent < 500
    with database.read() as connection:
        waiting = [*connection.scalars(select(delivery.c.id).order_by(delivery.c.pk))]
        row = connection.execute(select(delivery_target)).one()
        assert row.due <= database.milliseconds(connection)
    assert waiting == ids("a", range(sent, 500))
    assert row.holder is None


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [None, "dead"])
def test_a_clock_that_was_set_back_while_nobody_ran_delays_nothing_for_long(
    database: Database, holder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xds.outgoing.leases.LEASE", 300)
    target = Target()
    put(database, *numbered("a", [1]))
    hold(database, "dead", ahead=10**9)
    with database.write() as connection:
        connection.execute(update(delivery_target).values(holder=holder))
    with dispatching(database, target.channel()):
        until(lambda: is_empty(database))


@pytest.mark.slow
def test_a_clock_that_is_set_back_meanwhile_delays_nothing_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 3_600_000
    told = Database.milliseconds
    monkeypatch.setattr(Database, "milliseconds", lambda self, one: told(self, one) + ahead)
    target = Target(failing_times(1, NotDelivered("away")))
    put(database, *numbered("a", [1]))
    slow = RetrySchedule((600.0,))
    with dispatching(database, target.channel(schedule=slow)):
        until(lambda: len(target.came) == 1)
        until(lambda: due_of(database, "a") > time.time() * 1000 + ahead + 200_000)
        monkeypatch.setattr(Database, "milliseconds", told)
        until(lambda: target.of("a") == ids("a", [1]))


@pytest.mark.slow
def test_a_clock_that_is_set_forward_only_makes_what_waits_due(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Database.milliseconds
    target = Target(failing_times(1, NotDelivered("away")))
    put(database, *numbered("a", [1]))
    with dispatching(database, target.channel(schedule=RetrySchedule((600.0,)))):
        until(lambda: due_of(database, "a") > time.time() * 1000 + 200_000)
        monkeypatch.setattr(Database, "milliseconds", lambda self, one: told(self, one) + 10**7)
        until(lambda: is_empty(database))
    assert target.of("a") == ids("a", [1])


# --- the schedule --------------------------------------------------------------------------------


def test_pauses_follow_the_schedule_and_differ_by_chance() -> None:
    schedule = RetrySchedule((1, 10, 100), jitter=0.5)
    for failures, longest in ((1, 1), (2, 10), (3, 100), (4, 100), (10**9, 100)):
        pauses = {schedule.pause(failures) for _ in range(50)}
        assert len(pauses) > 1
        assert all(longest / 2 <= pause <= longest for pause in pauses)


def test_a_target_may_ask_to_be_left_alone_for_longer() -> None:
    schedule = RetrySchedule((1, 10, 100))
    assert schedule.pause(1, 60.0) == 60
    assert schedule.pause(1, 86_400.0) == 100
    assert schedule.pause(3, 1.0) >= 50


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("", None), ("soon", None), ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert seconds_until(said) == seconds


def test_a_date_of_retry_after_lies_ahead() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    assert 480 < (seconds_until(moment) or 0) <= 600


def test_what_a_target_asks_for_is_heeded(database: Database) -> None:
    target = Target(failing_times(1, NotDelivered("503", retry_after=300.0)))
    put(database, *numbered("a", range(1)))
    with dispatching(database, target.channel(schedule=RetrySchedule((0.01, 600.0)))):
        until(lambda: due_of(database, "a") > time.time() * 1000 + 200_000)


# --- everything at once --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_whatever_fails_all_arrive_in_order_and_nothing_is_left(
    database: Database, seed: int
) -> None:
    """Random messages, failures and processes that come and go: the promise of the queue holds."""
    chance, lock = random.Random(seed), threading.Lock()

    def answer(one: Delivery) -> None:
        with lock:
            draw = chance.random()
        if draw < 0.15:
            raise chance.choice(
                (NotDelivered("503", refused=True), NotDelivered("away"), OSError("reset"))
            )
        if draw < 0.2:
            time.sleep(0.02)

    target = Target(answer)
    names = [f"http://host{n % 3}/{n}" for n in range(8)]
    sent = dict.fromkeys(names, 0)
    limits = DispatchLimits(senders=6, poll_seconds=0.1)
    for _ in range(5):
        with dispatching(database, target.channel(), processes=2, limits=limits):
            for _ in range(12):
                name, count = chance.choice(names), chance.randrange(1, 8)
                new = numbered(name, range(sent[name], sent[name] + count), address=name)
                put(database, *new)
                sent[name] += count
                time.sleep(chance.random() * 0.02)
    with dispatching(database, target.channel(), limits=limits):
        until(lambda: is_empty(database))
    for name, count in sent.items():
        assert target.of(name) == ids(name, range(count))  # nothing failed but what was told
    assert target.collisions == 0


def test_ids_are_the_same_at_every_attempt(database: Database) -> None:
    target = Target(failing_times(3, NotDelivered("away")))
    key = str(uuid4())
    put(database, NewDelivery(channel=NAME, target="a", id=key))
    with dispatching(database, target.channel()):
        until(lambda: is_empty(database))
    assert [one.id for one in target.came] == [key] * 4
