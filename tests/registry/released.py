"""What a database of the first released schema held: rows that were written by the program of then.

`released_1_0.json` has the rows of each table. It never changes: what was released must be read and
upgraded for ever. Fragments are texts there, with their control characters escaped.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, insert, select, text

FILE: Final = Path(__file__).with_name("released_1_0.json")
REVISION: Final = "1.0"
_BYTES: Final = "fragment"
_IN_ORDER: Final = ("patient",)
"""Tables that others refer to."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def load(connection: Connection) -> None:
    """Put the rows into a database of that schema."""
    tables = _tables(connection)
    rows: Rows = json.loads(FILE.read_text())
    for name in sorted(rows, key=lambda name: name not in _IN_ORDER):
        for row in rows[name]:
            values = {k: v.encode() if k == _BYTES else v for k, v in row.items()}
            connection.execute(insert(tables[name]).values(values))
        if connection.dialect.name == "postgresql" and "pk" in tables[name].columns:
            # as if the numbers had been given out by the database
            connection.execute(
                text(f"SELECT setval('{name}_pk_seq', (SELECT max(pk) FROM {name}))")
            )


def dump(connection: Connection) -> Rows:
    """Read the rows of every table that has some."""
    found = {
        name: [_plain(dict(row)) for row in connection.execute(select(table)).mappings()]
        for name, table in _tables(connection).items()
        if name != "alembic_version"
    }
    return {name: rows for name, rows in found.items() if rows}


def _tables(connection: Connection) -> Mapping[str, Any]:
    reflected = MetaData()
    reflected.reflect(connection)
    return reflected.tables


def _plain(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: v.decode() if isinstance(v, bytes) else v for name, v in row.items()}
