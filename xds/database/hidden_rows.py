"""Rows that are hidden from every SELECT at once, and deleted bit by bit afterwards.

SQLite has one writer at a time, and to delete a row takes it out of every index: some ten thousand
rows would hold up all other writers for half a second. So one commit writes their numbers into a
table beside, and from there on no SELECT of this program finds them; they are deleted in many short
transactions, between which others write. UPDATE and DELETE still reach hidden rows, and unique
columns still have their values (:func:`delete_hidden` ends both).

A server has many writers: nothing is hidden there.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, func, insert, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import SchemaItem

from xds.database.statements import METADATA

_BATCH: Final = 250
"""Rows that one call deletes: in a transaction of its own, others wait a hundredth of a second."""
PREFIX: Final = "hidden_"
"""What the table of hidden rows has in front of the name of the table whose rows they are."""


class HidingTable(Table):
    """A table, with ``pk`` for its key, whose rows can be hidden."""

    inherit_cache = True


def hiding(name: str, key: Any, *columns: SchemaItem) -> Table:
    """Declare a table whose rows can be hidden, and the one beside; ``key`` is the type of pk."""
    Table(f"{PREFIX}{name}", METADATA, Column("pk", key, primary_key=True, autoincrement=False))
    return HidingTable(name, METADATA, Column("pk", key, primary_key=True), *columns)


@compiles(HidingTable, "sqlite")
def _of_rows_in_sight(table: HidingTable, compiler: SQLCompiler, **options: Any) -> str:
    """Write a table in FROM; SQLite makes one query of the two."""
    written: str = compiler.visit_table(table, **options)  # type: ignore[no-untyped-call]
    if options.get("iscrud") or not options.get("asfrom"):
        return written
    shown = f"(SELECT * FROM {table.name} WHERE pk NOT IN (SELECT pk FROM {PREFIX}{table.name}))"
    around = options.get("enclosing_alias")
    is_named = around is not None and around.element is table
    return shown if is_named else f"{shown} AS {written}"


def hide(connection: Connection, table: Table, keys: str) -> None:
    """Hide rows of SQLite, given the JSON array of their keys."""
    each = select(func.json_each(keys).table_valued("value").c.value)
    connection.execute(insert(_hidden(table)).from_select(["pk"], each))


def has_hidden(connection: Connection, table: Table) -> bool:
    """Tell whether rows of SQLite are hidden in a table."""
    return connection.scalar(select(_hidden(table).c.pk).limit(1)) is not None


def delete_hidden(connection: Connection, table: Table, owners: Iterable[Any]) -> None:
    """Delete some of the rows that are hidden in a table.

    ``owners`` are columns of other tables that name its rows: what bears a hidden one goes too.
    """
    hidden = _hidden(table)
    some = select(hidden.c.pk).order_by(hidden.c.pk).limit(_BATCH)
    keys = json.dumps(list(connection.scalars(some)))
    each = select(func.json_each(keys).table_valued("value").c.value)
    for column in (*owners, table.c.pk, hidden.c.pk):
        connection.execute(column.table.delete().where(column.in_(each)))


def next_hidden(connection: Connection, column: Column[Any]) -> list[Any]:
    """Return what a column has in those rows that the next :func:`delete_hidden` deletes."""
    name = column.table.name
    some = f"SELECT pk FROM {PREFIX}{name} ORDER BY pk LIMIT {_BATCH}"
    query = text(f"SELECT {column.name} FROM {name} WHERE pk IN ({some})")
    return list(connection.scalars(query.columns(column)))


def _hidden(table: Table) -> Table:
    return METADATA.tables[f"{PREFIX}{table.name}"]
