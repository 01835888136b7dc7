"""Which feeds are paused: set and ended by operators, asked about by whoever takes messages.

A feed is what messages come by: a transaction that tells of patients (``ITI-8``), or the door of
reports, documents and orders with the name of its path where it has one (``mllp``, ``http ward``).
While it is paused nothing of it is taken, and its senders are asked to send again: HL7 v2 is
answered with AR (AE in the NHS reading) and 207, HTTP and SOAP with 503, files stay where they are.
"""

import time
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from xds.database.access import Database
from xds.errors import FailureKind
from xds.feeds.tables import paused_feed
from xds.metadata.catalogue import TransactionKind, names_of
from xds.security.access import Access
from xds.security.interceptors import Outcome

PATIENT_FEEDS: Final = frozenset(names_of(TransactionKind.FEED))
"""The transactions that tell of patients."""
DOORS: Final = ("mllp", "http", "fhir", "folder")
"""The doors of messages that can be paused."""
SECONDS: Final = 1.0
"""After which every process knows what has been paused or resumed."""
_P: Final = paused_feed.c


class FeedPaused(Exception):
    """A feed is paused by an operator: what it brings is to be sent again later."""

    failure_kind = FailureKind.UNAVAILABLE


def name_of(door: str, feed: str) -> str:
    """Return what a door of messages is called, with the name of the path that they come by."""
    return " ".join(filter(None, (door, feed)))


def is_feed(name: str) -> bool:
    """Tell whether that is the name of a feed, whether anything has come by it or not."""
    return name in PATIENT_FEEDS or name.partition(" ")[0] in DOORS


class PausedFeeds:
    """The interceptor that keeps out patient feeds that are paused; safe to use from threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: frozenset[str] = frozenset()
        self._read_until = 0.0

    def enter(self, access: Access) -> None:
        """Raise FeedPaused for a transaction of a feed that is paused; DatabaseUnavailable."""
        if access.transaction in PATIENT_FEEDS:
            self.require(access.transaction)

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Nothing is to be done afterwards."""

    def require(self, name: str) -> None:
        """Raise FeedPaused where a feed is paused, as it was SECONDS ago; DatabaseUnavailable."""
        now = time.monotonic()
        if now >= self._read_until:
            with self._database.read() as connection:
                self._names = frozenset(paused(connection))
            self._read_until = now + SECONDS
        if name in self._names:
            raise FeedPaused(f"the feed {name} is paused: send it again later")


def paused(connection: Connection) -> Mapping[str, int]:
    """Return the feeds that are paused, and since when (milliseconds since 1970)."""
    rows = connection.execute(select(_P.name, _P.since).order_by(_P.name))
    return {row.name: row.since for row in rows}


def pause(database: Database, name: str) -> None:
    """Have nothing of a feed taken until it is resumed, by any process, within SECONDS."""
    with database.write() as connection:
        if connection.scalar(select(_P.name).where(_P.name == name)) is None:
            row = {"name": name, "since": database.milliseconds(connection)}
            connection.execute(insert(paused_feed), row)


def resume(database: Database, name: str) -> bool:
    """Have a feed taken again, by any process, within SECONDS; tell whether it was paused."""
    with database.write() as connection:
        return connection.execute(delete(paused_feed).where(_P.name == name)).rowcount > 0
