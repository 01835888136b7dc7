"""Subscriptions: who is told of what, how it fares; paused, resumed, replayed, ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.views.acting import (
    SHOWN,
    AskedFirst,
    ListPage,
    count,
    number_of,
    record,
    start_of,
)
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.metadata.criteria import Criterion, in_words
from xds.notification import operations
from xds.notification.model import SubscriptionState, UnknownSubscription, WrongState
from xds.notification.operations import MOST_COUNTED, SubscriptionHealth
from xds.notification.subscriptions import Subscriptions

READERS: Final = frozenset({ConsoleRole.OPERATOR})
STATES: Final = tuple(one.value for one in SubscriptionState)
_OF_PATIENTS: Final = frozenset({"patient_id", "source_patient_id"})
"""Attributes whose values name patients, which an operator is not shown."""
_HOUR: Final = 3_600_000
_BY_OPERATOR: Final = "ended by an operator"
_LIST: Final = "/subscriptions"


@dataclass(frozen=True, slots=True)
class ShownSubscription:
    """A subscription in a list."""

    health: SubscriptionHealth
    asks: str
    """Its filter in words."""
    lately: str
    """How many notifications there were within an hour."""


def show_list(visit: Visit) -> Answer:
    """List subscriptions, those first whose notifications wait longest."""
    state, start = visit.given["state"], start_of(visit)
    chosen = {"state": state if state in STATES else ""}
    states: Sequence[str] | None = [state] if state in STATES else None
    database = visit.domain.database
    with database.read() as connection:
        found = operations.health(connection, states=states, most=SHOWN + 1, start=start)
        filters = operations.filters(connection, [one.key for one in found])
        since = database.milliseconds(connection) - _HOUR
        listed = [
            ShownSubscription(
                one,
                _asks(filters.get(one.key)),
                _at_most(operations.happened(connection, one.key, since)),
            )
            for one in found[:SHOWN]
        ]
    page = ListPage(start, _LIST, chosen, len(found) <= SHOWN)
    return PageContent({"listed": listed, "chosen": chosen, "states": STATES, "list": page})


def _asks(criterion: Criterion | None) -> str:
    return "" if criterion is None else in_words(criterion, _OF_PATIENTS) or "anything"


def _at_most(number: int) -> str:
    return f"{number:,} or more" if number >= MOST_COUNTED else str(number)


def show(visit: Visit) -> Answer:
    """Show one, and what can be done about it."""
    return _shown(visit, _found(visit))


def _found(visit: Visit) -> SubscriptionHealth:
    with visit.domain.database.read() as connection:
        found = operations.of_key(connection, str(visit.path["key"]))
    if found is None or visit.domain.subscriptions is None:
        raise PageNotFound
    return found


def _shown(visit: Visit, health: SubscriptionHealth, problem: str = "") -> PageContent:
    one = visit.domain.subscriptions and visit.domain.subscriptions.get(health.id)
    if not one:  # it was removed in between
        raise PageNotFound
    database = visit.domain.database
    with database.read() as connection:
        since = database.milliseconds(connection) - _HOUR
        lately = operations.happened(connection, one.key, since)
    secrets = [f"header {name}" for name in one.header_names]
    title = f"Subscription {one.key}"
    return PageContent(
        {
            "one": one,
            "health": health,
            "asks": _asks(one.filter),
            "changes": ", ".join(sorted(one.topic.changes)),
            "kind": one.topic.kind.KIND,
            "secrets": ", ".join(secrets) or ("kept" if one.has_secrets else "none"),
            "lately": _at_most(lately),
            "can_pause": one.state in (SubscriptionState.ACTIVE, SubscriptionState.ERROR),
            "can_resume": one.state is SubscriptionState.PAUSED,
            "is_over": one.state is SubscriptionState.ENDED,
            "problem": problem,
        },
        status=400 if problem else 200,
        title=f"Error: {title}" if problem else title,
    )


# --- actions -------------------------------------------------------------------------------------


def pause(visit: Visit) -> Answer:
    """Send nothing for the time being; what happens is kept."""
    return _done(visit, "Pause a subscription", lambda subscriptions, key: subscriptions.pause(key))


def resume(visit: Visit) -> Answer:
    """Send what was kept, and go on."""
    return _done(
        visit, "Resume a subscription", lambda subscriptions, key: subscriptions.resume(key)
    )


def replay(visit: Visit) -> Answer:
    """Send all from a number on again, once it is confirmed how many that are."""
    found = _found(visit)
    first = number_of(visit.given["first"])
    if not 1 <= first <= found.numbered:
        told = (
            f"Give a number from 1 to {found.numbered}." if found.numbered else "It has none yet."
        )
        return _shown(visit, found, f"From which notification on? {told}")
    number = found.numbered - first + 1
    if visit.given["count"] != str(number):
        return AskedFirst(
            question=f"Send {count(number, 'notification')} again?",
            told=(
                f"Subscription {found.key} is sent all from number {first} on, in order and with "
                "the same ids, as far as they are kept.",
            ),
            action=f"{_LIST}/{found.key}/replay",
            fields={"first": str(first), "count": str(number)},
            button=f"Send {count(number, 'notification')} again",
            back=f"{_LIST}/{found.key}",
        ).page()
    return _done(
        visit,
        "Replay a subscription",
        lambda subscriptions, key: subscriptions.replay(key, first),
        f"from number {first}",
    )


def end(visit: Visit) -> Answer:
    """End it for good, once it is confirmed how much is not told then."""
    found = _found(visit)
    if visit.given["count"] != str(found.waiting):
        return AskedFirst(
            question=f"End subscription {found.key}?",
            told=(
                f"It ends for good, and {count(found.waiting, 'notification')} that it was not "
                "told yet will not be sent. Its client has to subscribe anew.",
            ),
            action=f"{_LIST}/{found.key}/end",
            fields={"count": str(found.waiting)},
            button="End it for good",
            back=f"{_LIST}/{found.key}",
            is_final=True,
        ).page()
    return _done(
        visit,
        "End a subscription",
        lambda subscriptions, key: subscriptions.end(key, _BY_OPERATOR),
    )


def _done(
    visit: Visit, action: str, act: Callable[[Subscriptions, str], object], told: str = ""
) -> Answer:
    """Do something with the subscription, record it, and show how it is then."""
    found, subscriptions = _found(visit), visit.domain.subscriptions
    assert subscriptions is not None, "it was found"
    try:
        act(subscriptions, found.id)
    except UnknownSubscription:
        return _shown(visit, found, "The subscription has ended.")
    except WrongState as error:
        return _shown(visit, found, f"The subscription is {error}: this is not for it now.")
    record(visit, action, f"subscription {found.key}", told)
    return SeeOther(f"{_LIST}/{found.key}")
