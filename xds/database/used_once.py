"""What may be used but once, such as an assertion: noted for all processes of a deployment."""

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text, text

from xds.database.access import Database, retried
from xds.database.statements import METADATA

used_once = Table(
    "used_once",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("until", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""A row for each thing used that would still be accepted: ``until`` is in seconds of the epoch."""

_NOTE: Final = text(
    "INSERT INTO used_once (key, until) VALUES (:key, :until) ON CONFLICT DO NOTHING"
)
_FORGET: Final = text("DELETE FROM used_once WHERE until < :now")


class UsedOnce:
    """Tells the first use of a thing from every further one, whichever process it comes to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_first(self, key: str, until: int, now: int) -> bool:
        """Note a use durably; no if there was one. DatabaseUnavailable if it cannot be noted.

        After ``until`` the thing must be unusable for other reasons: its row is dropped then.
        """

        def note() -> bool:
            with self._database.write() as connection:
                connection.execute(_FORGET, {"now": now})
                return connection.execute(_NOTE, {"key": key, "until": until}).rowcount == 1

        return retried(note)
