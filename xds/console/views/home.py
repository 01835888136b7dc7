"""Home: how the server fares, what needs a person now, and what was registered last."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.views import activity
from xds.console.views.acting import place
from xds.console.views.incoming import feeds, messages
from xds.console.visits import Answer, PageContent, Visit
from xds.database.errors import DatabaseUnavailable
from xds.feeds import paused
from xds.messaging import records
from xds.messaging.outbound import operations as destinations
from xds.messaging.outbound.records import CHANNEL
from xds.metadata.attributes import Code
from xds.metadata.catalogue import ITI_67
from xds.metadata.criteria import Comparison, Operator
from xds.metadata.objects import DocumentEntry
from xds.notification import operations as subscriptions
from xds.outgoing import overview as queue
from xds.registry import events
from xds.repository.store import StoreUnavailable
from xds.security.details import QueryDetails
from xds.security.errors import AccessDenied
from xds.security.interceptors import NotRecorded
from xds.telemetry.server_metrics import disks
from xds.tls import expiry
from xds.tls.material import BadMaterial

READERS: Final = (ConsoleRole.VIEWER, ConsoleRole.CLINICIAN, ConsoleRole.INTEGRATION)
_LOOKED_AT: Final = 200
"""Of the latest events, so many are looked at for documents."""
_SHOWN: Final = 10
_GIGABYTE: Final = 1e9
_LITTLE: Final = 0.1
"""Of a disk: less than this part of it should be looked at."""
_UUID_URN: Final = "urn:uuid:"
_PARTS: Final = (
    (DatabaseUnavailable, "The database"),
    (StoreUnavailable, "The store of documents"),
    (NotRecorded, "The audit log"),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """A number, what it counts, and the list of what it counts."""

    name: str
    number: int
    place: str
    """The path of the list; empty where there is none."""
    needs: bool = False
    """Whether somebody should see to it where it is not 0."""
    oldest: int = 0
    """When the first of them came: milliseconds since 1970, 0 where that is not known."""
    most: int = 2**63
    """Up to which they were counted."""


@dataclass(frozen=True, slots=True)
class RecentDocument:
    """One that was registered lately; it names no patient."""

    uuid: str
    registered: str
    """DTM, UTC."""
    type: Code | None
    mime_type: str
    size: str


def show(visit: Visit) -> Answer:
    """Show how things stand."""
    tallies = list(_tallies(visit))
    return PageContent(
        {
            "unavailable": _unavailable(visit),
            "needed": [one for one in tallies if one.needs and one.number],
            "tallies": tallies,
            "documents": list(_documents(visit)) if visit.has(*READERS) else None,
            "certificates": list(_certificates(visit)),
            "rates": list(_rates(visit)),
            "feeds": list(_feeds(visit)),
            "disks": list(_disks(visit)),
        }
    )


def _unavailable(visit: Visit) -> str:
    try:
        visit.domain.check()
    except tuple(kind for kind, _ in _PARTS) as error:
        return next(part for kind, part in _PARTS if isinstance(error, kind))
    return ""


def _certificates(visit: Visit) -> Iterator[tuple[str, str, bool]]:
    """Yield each option with certificates, when the first of them runs out, and whether soon."""
    try:
        for one in expiry.of_files(visit.console.config):
            at = f"{one.at.day} {one.at:%b %Y %H:%M} UTC"
            yield one.option, at, one.is_near(expiry.now())
    except BadMaterial as error:
        yield str(error), "", True


def _rates(visit: Visit) -> Iterator[Tally]:
    """Yield how much there was within the last hour by the clock that is over."""
    if visit.domain.audit_log is None or not visit.has(*activity.READERS):
        return
    hour = activity.last_hours(visit, 2)[0]
    for name, number in (
        ("Submissions", hour.number(activity.SUBMISSIONS)),
        ("Queries and retrievals", hour.number(activity.QUERIES)),
        ("Refusals", hour.refused(activity.ALL)),
    ):
        yield Tally(name, number, f"/activity#h-{name.partition(' ')[0].lower()}")


def _feeds(visit: Visit) -> Iterator[tuple[str, int, int]]:
    """Yield each way in: its name, when something last came by it, and how much within an hour."""
    if not visit.has(*feeds.READERS):
        return
    identity, doors = feeds.latest(visit)
    for feed in identity:
        if feed.latest.last:
            yield feed.name, feed.latest.last, feed.latest.number
    for door in doors:
        yield " ".join(filter(None, ("Messages by", door.door, door.feed))), door.last, door.number


def _disks(visit: Visit) -> Iterator[tuple[str, str, bool]]:
    """Yield what each disk is for, the room that is left, and whether that is little."""
    there: dict[tuple[int, int], list[str]] = {}
    for one in disks(visit.console.config):
        there.setdefault((one.free, one.size), []).append(one.place)
    for (free, size), places in there.items():
        text = f"{free / _GIGABYTE:,.1f} of {size / _GIGABYTE:,.1f} GB free"
        yield ", ".join(places), text, free < size * _LITTLE


def _tallies(visit: Visit) -> Iterator[Tally]:
    with visit.domain.database.read() as connection:
        if visit.has(*feeds.READERS):
            number = len(paused.paused(connection))
            yield Tally("Feeds that are paused", number, "/feeds", needs=True)
        for state, found in records.waiting(connection).items():
            to = place("/messages", state=state) if visit.has(*messages.READERS) else ""
            yield Tally(f"Messages {state}", found.count, to, state != "held", found.oldest)
        is_operator = visit.has(ConsoleRole.OPERATOR)
        not_taken = destinations.not_taken(connection, whole=False)
        for name, waits in sorted(queue.states(connection).items()):
            if name == CHANNEL and not_taken:
                continue  # they are counted by destination below
            to = place("/queue", channel=name) if is_operator else ""
            told = f"Deliveries of {name} that wait"
            yield Tally(told, waits.waiting, to, oldest=waits.oldest, most=queue.MOST_OF_CHANNEL)
            to = place("/queue/given-up", channel=name) if is_operator else ""
            told = f"Deliveries of {name} given up"
            yield Tally(told, waits.dead, to, needs=True, most=queue.MOST_OF_CHANNEL)
        sees = visit.has(ConsoleRole.OPERATOR, ConsoleRole.INTEGRATION)
        for name, left in sorted(not_taken.items()):
            to = f"/destinations/{name}" if sees else ""
            told, most = f"Messages to {name} that wait", destinations.MOST_OPEN
            yield Tally(told, left.waiting, to, oldest=left.oldest, most=most)
            to = f"/destinations/{name}?state=dead" if sees else ""
            yield Tally(f"Messages to {name} given up", left.dead, to, needs=True, most=most)
        counts = subscriptions.counts(connection)
    for (protocol, state), number in sorted(counts.items()):
        to = place("/subscriptions", state=state) if is_operator else ""
        yield Tally(f"Subscriptions by {protocol}, {state}", number, to, needs=state == "error")


def _documents(visit: Visit) -> Iterator[RecentDocument]:
    """Yield the documents registered last that the person may know of, the latest first."""
    try:
        with visit.passing(ITI_67.name) as access:
            access.details = QueryDetails("DocumentReference", lambda: "_sort=-_lastUpdated")
            latest = visit.domain.registry.latest_events(_LOOKED_AT)
            uuids = _registered(latest)
            if not uuids:
                return
            with visit.domain.registry.view(access.visible) as view:
                wanted = Comparison("entry_uuid", Operator.EQUAL, tuple(uuids))
                found = view.find(DocumentEntry, [wanted])
            for one in sorted(found, key=lambda one: one.number, reverse=True)[:_SHOWN]:
                entry = one.content
                yield RecentDocument(
                    entry.id.removeprefix(_UUID_URN),
                    one.registered_at,
                    entry.type_code,
                    entry.mime_type or "",
                    str(entry.size or ""),
                )
    except AccessDenied:
        return


def _registered(latest: Sequence[events.Event]) -> list[str]:
    kind = DocumentEntry.__name__
    return [
        one.entry_uuid
        for one in latest
        if one.kind == events.REGISTERED and one.object_kind == kind and one.entry_uuid
    ]
