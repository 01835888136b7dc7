"""Feeds: what comes in by which way, what of it is refused or held, and when the last came."""

from dataclasses import dataclass
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.audit import activity
from xds.audit.activity import Latest
from xds.console.visits import Answer, PageContent, Visit
from xds.messaging import operations, records
from xds.messaging.operations import DoorActivity
from xds.metadata.catalogue import CATALOGUE, TransactionKind

READERS: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.INTEGRATION})
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
    return PageContent(
        {
            "feeds": identity,
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


def _listens(visit: Visit, *, is_v2: bool) -> str:
    if not is_v2:
        return "SOAP"
    port = visit.console.config.mllp_port
    return "no port: the option mllp_port is not set" if port is None else f"MLLP, port {port}"
