"""Destinations of messages: how each fares, what it was told, and what can be done about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.views.acting import (
    SHOWN,
    AskedFirst,
    ListPage,
    count,
    done,
    record,
    start_of,
)
from xds.console.views.shown import plain
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.messaging.outbound import operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.operations import (
    MOST_COUNTED,
    DestinationHealth,
    DestinationRate,
    OutboundSelection,
)
from xds.messaging.outbound.records import OutboundState

READERS: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.INTEGRATION})
STATES: Final = tuple(
    one.value
    for one in (
        OutboundState.WAITING,
        OutboundState.FAILED,
        OutboundState.HELD,
        OutboundState.DEAD,
    )
)
"""The states that messages are chosen by: what is not done with, for which there is an index."""
_HOUR: Final = 3_600_000
_LIST: Final = "/destinations"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)
_MOST_LOOKED_AT: Final = 20_000
"""Decisions that one action looks at to send again what was chosen."""


@dataclass(frozen=True, slots=True)
class ShownDestination:
    """A destination in a list."""

    health: DestinationHealth
    rate: DestinationRate

    @property
    def lately(self) -> str:
        """How many messages it has taken within an hour."""
        number = self.rate.delivered
        return f"{number:,} or more" if number >= MOST_COUNTED else str(number)


def known(visit: Visit) -> Mapping[str, Destination]:
    """Return the destinations of the options."""
    return {} if visit.console.sender is None else visit.console.sender.destinations


def show_list(visit: Visit) -> Answer:
    """List destinations, those first that messages wait for longest."""
    return PageContent({"listed": list(_fare(visit).values()), "most": operations.MOST_OPEN})


def _fare(visit: Visit) -> Mapping[str, ShownDestination]:
    database = visit.domain.database
    with database.read() as connection:
        since = database.milliseconds(connection) - _HOUR
        found = operations.health(connection, known(visit).values(), with_delivered=False)
        return {
            one.name: ShownDestination(one, operations.rate(connection, one.name, since))
            for one in found
        }


def show(visit: Visit) -> Answer:
    """Show one destination, with the messages for it, newest first."""
    return _shown(visit)


def _shown(visit: Visit, problem: str = "") -> PageContent:
    one = _found(visit)
    given = visit.given
    state, start = given.get("state", ""), start_of(visit) if "start" in given else 0
    chosen = {"state": state if state in STATES else ""}
    selection = OutboundSelection(
        destination=one.health.name,
        state=OutboundState(state) if chosen["state"] else None,
    )
    with visit.domain.database.read() as connection:
        found = operations.messages(connection, selection, SHOWN + 1, start)
    title = f"Destination {one.health.name}"
    path = f"{_LIST}/{one.health.name}"
    return PageContent(
        {
            "one": one,
            "most": operations.MOST_OPEN,
            "is_known": one.health.name in known(visit),
            "messages": found[:SHOWN],
            "states": STATES,
            "chosen": chosen,
            "list": ListPage(start, path, chosen, len(found) <= SHOWN),
            "problem": problem,
        },
        status=400 if problem else 200,
        title=f"Error: {title}" if problem else title,
    )


def _found(visit: Visit) -> ShownDestination:
    found = _fare(visit).get(visit.path["name"])
    if found is None:
        raise PageNotFound
    return found


def _destination(visit: Visit) -> Destination:
    """Return the destination of the path, which the options have to name."""
    found = known(visit).get(visit.path["name"])
    if found is None:
        raise PageNotFound
    return found


# --- actions -------------------------------------------------------------------------------------


def pause(visit: Visit) -> Answer:
    """Send nothing until it is resumed; what happens is kept."""
    name = _destination(visit).name
    held = operations.pause(visit.domain.database, name)
    record(visit, "Pause a destination", f"destination {name}", f"{count(held, 'message')} held")
    return SeeOther(f"{_LIST}/{name}")


def resume(visit: Visit) -> Answer:
    """Send what was held, in its order, and go on."""
    one = _destination(visit)
    sent = operations.resume(visit.domain.database, one)
    told = f"{count(sent, 'message')} sent on"
    record(visit, "Resume a destination", f"destination {one.name}", told)
    return SeeOther(f"{_LIST}/{one.name}")


def replay(visit: Visit) -> Answer:
    """Send all that the rules choose since a time again, once it is confirmed how many that are."""
    one, since = _destination(visit), visit.given["since"]
    back = f"{_LIST}/{one.name}"
    if not _TIME.fullmatch(since):
        return _shown(visit, "Since when? Give a day and a time (UTC).")
    dtm = re.sub("[-T:]", "", since)
    database = visit.domain.database
    with database.read() as connection:
        number = 0
        for looked_at, decided in enumerate(operations.decisions(connection, one, dtm)):
            number += decided.state is OutboundState.WAITING
            if looked_at >= _MOST_LOOKED_AT:
                told = "Too much has happened since then: take a later time, or the command"
                return _shown(visit, f"{told} xds destinations replay.")
    if not number:
        return done(f"The rules of {one.name} choose nothing that happened since then.", back)
    if visit.given["count"] != str(number):
        return AskedFirst(
            question=f"Send {count(number, 'message')} again?",
            told=(
                f"{one.name} is told again of all that its rules choose since {since} UTC, in new "
                "messages with control ids of their own.",
            ),
            action=f"{back}/replay",
            fields={"since": since, "count": str(number)},
            button=f"Send {count(number, 'message')} again",
            back=back,
        ).page()
    told = f"{count(operations.replay(database, one, dtm), 'message')} sent again"
    record(visit, "Replay a destination", f"destination {one.name}", f"{told} since {since}")
    return done(f"{told}.", back)


def retry(visit: Visit) -> Answer:
    """Send again what was given up, under the same control ids, once its number is confirmed."""
    one = _destination(visit)
    dead = _dead(visit, one.name)
    back = f"{_LIST}/{one.name}"
    if visit.given["count"] != str(dead):
        return AskedFirst(
            question=f"Send {count(dead, 'message')} again?",
            told=(f"What {one.name} did not take and was given up is sent again as it is now.",),
            action=f"{back}/retry",
            fields={"count": str(dead)},
            button=f"Send {count(dead, 'message')} again",
            back=back,
        ).page()
    told = f"{count(operations.retry(visit.domain.database, one), 'message')} tried again"
    record(visit, "Retry a destination", f"destination {one.name}", told)
    return done(f"{told}.", back)


def _dead(visit: Visit, name: str) -> int:
    """Return how many messages of a destination were given up, however many."""
    selection = OutboundSelection(destination=name, state=OutboundState.DEAD)
    with visit.domain.database.read() as connection:
        return operations.number(connection, selection)


def discard(visit: Visit) -> Answer:
    """Give up for good all that was given up, once its number is confirmed, for a reason."""
    one, reason = _found(visit).health, reason_of(visit)
    back = f"{_LIST}/{one.name}"
    if not reason:
        return _shown(visit, "Why? The reason is kept with the messages.")
    dead = _dead(visit, one.name)
    if visit.given["count"] != str(dead):
        return AskedFirst(
            question=f"Discard {count(dead, 'message')}?",
            told=(
                f"What {one.name} did not take and was given up is never sent. It stays on "
                f"record, with the reason: {reason}",
            ),
            action=f"{back}/discard",
            fields={"reason": reason, "count": str(dead)},
            button=f"Discard {count(dead, 'message')}",
            back=back,
            is_final=True,
        ).page()
    gone = OutboundSelection(destination=one.name, state=OutboundState.DEAD)
    number = operations.discard(visit.domain.database, gone, because(visit, reason))
    told = f"{count(number, 'message')} discarded"
    record(visit, "Discard messages", f"destination {one.name}", f"{told}: {reason}")
    return done(f"{told}.", back)


def reason_of(visit: Visit) -> str:
    """Return the reason of a form, on one line."""
    return " ".join(plain(visit.given["reason"]).split())[:500]


def because(visit: Visit, reason: str) -> str:
    """Return a reason with the name of who gives it."""
    return f"{reason} ({visit.logged_in.person.name})"
