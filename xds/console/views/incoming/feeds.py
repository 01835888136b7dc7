"""Feeds: what comes in by which way, what of it is refused or held; each can be paused."""

from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.audit import activity
from xds.audit.activity import Latest
from xds.console.views.acting import record
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.feeds import paused
from xds.feeds.paused import name_of
from xds.messaging import operations, records
from xds.messaging.operations import DoorActivity
from xds.metadata.catalogue import CATALOGUE, TransactionKind

READERS: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.INTEGRATION})
_PAGE: Final = "/feeds"
_LONGEST: Final = 300
"""Characters of the name of a feed."""
_FEEDS: Final = tuple(row for row in CATALOGUE if row.kind is TransactionKind.FEED)


@dataclass(frozen=True, slots=True)
class ShownFeed:
    """A transaction by which patients are told of."""

    name: str
    title: str
    listens: str
    """Where it is taken, or that it is off."""
    latest: Latest


def show(visit: Visit) -> Answer:
    """Show what came within an hour, by patient identity feeds and by the doors of messages."""
    identity, doors = latest(visit)
    with visit.domain.database.read() as connection:
        waiting = records.waiting(connection)
        held_back = paused.paused(connection)
    shown = {one.name for one in identity} | {name_of(one.door, one.feed) for one in doors}
    return PageContent(
        {
            "feeds": identity,
            "paused": held_back,
            "unseen": sorted({*paused.DOORS, *held_back} - shown) if _takes_messages(visit) else (),
            "is_audited": visit.domain.audit_log is not None,
            "doors": doors,
            "waiting": waiting,
            "sees_messages": visit.has(ConsoleRole.INTEGRATION),
            "most": operations.MOST_COUNTED,
        }
    )


def latest(visit: Visit) -> tuple[list[ShownFeed], list[DoorActivity]]:
    """Return what came within an hour: by patient identity feeds, and by the doors of messages."""
    database = visit.domain.database
    excluded = visit.domain.excluded_transactions
    with database.read() as connection:
        since = database.milliseconds(connection) - activity.HOUR
        feeds = [
            ShownFeed(
                row.name,
                row.title,
                "off" if row.name in excluded else _listens(visit, is_v2=bool(row.hl7v2)),
                activity.latest(connection, row.name, since),
            )
            for row in _FEEDS
        ]
        doors = operations.activity(connection, since)
    return feeds, doors


def pause(visit: Visit) -> Answer:
    """Take nothing of a feed until it is resumed: its senders are asked to send again."""
    name = _feed(visit)
    paused.pause(visit.domain.database, name)
    record(visit, "Pause a feed", f"feed {name}")
    return SeeOther(_PAGE)


def resume(visit: Visit) -> Answer:
    """Take what comes by a feed again."""
    name = _feed(visit)
    paused.resume(visit.domain.database, name)
    record(visit, "Resume a feed", f"feed {name}")
    return SeeOther(_PAGE)


def _feed(visit: Visit) -> str:
    """Return the feed of the form."""
    name = visit.given["feed"]
    if not paused.is_feed(name) or len(name) > _LONGEST:
        raise PageNotFound
    return name


def _takes_messages(visit: Visit) -> bool:
    return visit.console.config.takes_messages


def _listens(visit: Visit, *, is_v2: bool) -> str:
    if not is_v2:
        return "SOAP"
    port = visit.console.config.mllp_port
    return "no port: the option mllp_port is not set" if port is None else f"MLLP, port {port}"
