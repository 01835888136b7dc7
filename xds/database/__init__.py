"""The relational database: SQLite embedded in a process, or a PostgreSQL server.

The same tables and statements serve on both. What differs is how concurrent writers are kept
apart, and is written down in :mod:`xds.database.sqlite` and :mod:`xds.database.postgresql`.
"""

from xds.database.access import Database, InCommit, announce, retried
from xds.database.errors import CommitUnknown, DatabaseConflict, DatabaseUnavailable
from xds.database.lists import ascii_lower, is_like, like_any, listed, one_of
from xds.database.locks import EVERYTHING, NOTHING, Locks
from xds.database.reading import fetch
from xds.database.statements import (
    METADATA,
    Insertion,
    array,
    copy_rows,
    insert_all,
    insert_arrays,
    insert_rows,
)
from xds.database.used_once import UsedOnce

__all__ = [
    "EVERYTHING",
    "METADATA",
    "NOTHING",
    "CommitUnknown",
    "Database",
    "DatabaseConflict",
    "DatabaseUnavailable",
    "InCommit",
    "Insertion",
    "Locks",
    "UsedOnce",
    "announce",
    "array",
    "ascii_lower",
    "copy_rows",
    "fetch",
    "insert_all",
    "insert_arrays",
    "insert_rows",
    "is_like",
    "like_any",
    "listed",
    "one_of",
    "retried",
]
