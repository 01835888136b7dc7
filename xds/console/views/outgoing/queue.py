"""The delivery queue: what waits to be sent and why; tried now, or dropped (``xds queue``)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.views.acting import (
    SHOWN,
    AskedFirst,
    ListPage,
    count,
    done,
    place,
    record,
    start_of,
)
from xds.console.visits import Answer, PageContent, SeeOther, Visit
from xds.outgoing import operations, overview
from xds.outgoing.operations import ChannelState, DeliverySelection, Failing

READERS: Final = frozenset({ConsoleRole.OPERATOR})
FILTERS: Final = ("channel", "target")
_LIST: Final = "/queue"
_GIVEN_UP: Final = "/queue/given-up"


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """How one channel fares."""

    name: str
    state: str
    """``sending``, ``failing`` where a target does not take what is sent, or ``idle``."""
    waits: ChannelState
    failing: int
    """How many targets do not take what is sent."""
    error: str
    """Why the one that failed last did."""
    failed: int
    """When that was, in milliseconds since 1970; 0 for never."""


def show(visit: Visit) -> Answer:
    """Show the channels, and the targets that messages wait for, the longest first."""
    selection, chosen = _selected(visit)
    start = start_of(visit)
    with visit.domain.database.read() as connection:
        states = overview.states(connection)
        failing = operations.failing(connection)
        found = overview.targets(connection, selection, SHOWN + 1, start)
    return PageContent(
        {
            "channels": list(_channels(states, failing)),
            "targets": found[:SHOWN],
            "chosen": chosen,
            "list": ListPage(start, _LIST, chosen, len(found) <= SHOWN),
            "most": (overview.MOST_OF_CHANNEL, overview.MOST_OF_TARGET),
        }
    )


def _channels(states: Mapping[str, ChannelState], failing: list[Failing]) -> Iterator[ShownChannel]:
    for name, waits in sorted(states.items()):
        of_channel = [one for one in failing if one.channel == name]
        last = max(of_channel, key=lambda one: one.last, default=None)
        state = "failing" if last else "sending" if waits.waiting else "idle"
        targets = sum(one.targets for one in of_channel)
        why, when = (last.error, last.last) if last else ("", 0)
        yield ShownChannel(name, state, waits, targets, why, when)


def show_given_up(visit: Visit) -> Answer:
    """List messages that were given up, those given up first at the beginning."""
    selection, chosen = _selected(visit)
    start = start_of(visit)
    with visit.domain.database.read() as connection:
        found = operations.dead(connection, selection, SHOWN + 1, start)
    page = ListPage(start, _GIVEN_UP, chosen, len(found) <= SHOWN)
    return PageContent({"messages": found[:SHOWN], "chosen": chosen, "list": page})


def _selected(visit: Visit) -> tuple[DeliverySelection, Mapping[str, str]]:
    given = visit.given
    chosen = {name: given[name] for name in FILTERS}
    selection = DeliverySelection(
        channel=given["channel"] or None,
        target=given["target"] or None,
        id=given.get("id") or None,
    )
    return selection, chosen


# --- actions -------------------------------------------------------------------------------------


def retry(visit: Visit) -> Answer:
    """Have what waits tried now, and what was given up tried again once its number is confirmed."""
    selection, chosen = _selected(visit)
    back = place(_LIST, **chosen)
    database = visit.domain.database
    with database.read() as connection:
        counted = operations.counted(connection, selection)
    if selection.id is None and counted.dead and visit.given["count"] != str(counted.dead):
        return AskedFirst(
            question=f"Try {count(counted.dead, 'message')} again?",
            told=(
                f"What was given up {_of(selection)} waits again, as if it had just come. "
                "What waits already is tried now.",
            ),
            action="/queue/retry",
            fields={**chosen, "count": str(counted.dead)},
            button=f"Try {count(counted.dead, 'message')} again",
            back=place(_GIVEN_UP, **chosen),
        ).page()
    targets, messages = operations.retry_now(database, selection)
    told = f"{count(targets, 'target')} tried now, {count(messages, 'message')} tried again"
    record(visit, "Retry deliveries", _named(selection), told)
    return SeeOther(back) if selection.id else done(f"{told}.", back)


def drop(visit: Visit) -> Answer:
    """Remove messages for good, once their number is confirmed."""
    selection, chosen = _selected(visit)
    only_dead = bool(visit.given["dead"])
    back = place(_GIVEN_UP if only_dead else _LIST, **chosen)
    confirmed = visit.given["count"]
    database = visit.domain.database
    number, dropped = operations.drop_counted(database, selection, confirmed, only_dead=only_dead)
    if not number:
        return done("There is no such message any more. Nothing was dropped.", back)
    if dropped is None:
        return _asked(selection, number, visit, back).page()
    told = f"{count(dropped, 'message')} dropped"
    record(visit, "Drop deliveries", _named(selection), told)
    return done(f"{told}.", back)


def _asked(selection: DeliverySelection, number: int, visit: Visit, back: str) -> AskedFirst:
    given = visit.given
    only_dead = bool(given["dead"])
    which = "was given up" if only_dead else "waits or was given up"
    return AskedFirst(
        question=f"Drop {count(number, 'message')}?",
        told=(
            f"What {which} {_of(selection)} is removed, and is never sent. It cannot be undone.",
            "What a process is sending now may still arrive.",
        ),
        action="/queue/drop",
        fields={
            "channel": given["channel"],
            "target": given["target"],
            "id": given["id"],
            "dead": "1" if only_dead else "",
            "count": str(number),
        },
        button=f"Drop {count(number, 'message')}",
        back=back,
        is_final=True,
    )


def _of(selection: DeliverySelection) -> str:
    """Return in words what is meant."""
    if selection.id is not None:
        return f"with the id {selection.id}"
    if selection.target is not None:
        return f"for {selection.target}"
    return "of all channels" if selection.channel is None else f"of {selection.channel}"


def _named(selection: DeliverySelection) -> str:
    told = (selection.channel, selection.target, selection.id)
    return " ".join(filter(None, told)) or "all channels"
