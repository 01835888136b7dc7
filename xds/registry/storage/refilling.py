"""Refilling what is searched: of objects that were registered by a program which knew less of it.

Whatever is searched of an object follows from its fragment, so columns and values can be made anew
at any time. That is due after a migration, and for what programs of before register while an
upgrade goes round; `xds migrate` does it, and each start of a program.

A migration that has one more attribute searched adds its column, if it has one, and makes the index
of what is behind anew (:func:`added`, :func:`index_behind`); the rest happens here.
"""

from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Row,
    Table,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from xds import logs
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.objects import MetadataObject
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.storage.rows import columns, values
from xds.registry.tables import (
    SEARCH_VERSIONS,
    TABLES,
    VALUES,
    document_entry,
    folder,
    is_behind,
    is_latest,
)

_BATCH: Final = 500
"""Objects that one transaction refills: writers wait for no more."""

_log = logs.get_logger(__name__)


def refill(database: Database) -> int:
    """Make anew what is searched of objects of a lower version; return how many there were.

    It may be broken off and begun again, and several may do it at once.
    """
    count = 0
    for kind, table in TABLES.items():
        if SEARCH_VERSIONS.get(table.name):
            count += _refill(database, kind, table)
    if count:
        with database.write() as connection:
            _mark_earlier_versions(connection)
        _log.info("objects refilled", objects=count)
    return count


def _mark_earlier_versions(connection: Connection) -> None:
    """Mark what a program of before did not, which knew nothing of ``is_latest``."""
    for table in (document_entry, folder):
        newer = table.alias()
        logical = select(newer.c.logical_id).where(newer.c.version > 1)
        latest = select(func.max(newer.c.version)).where(newer.c.logical_id == table.c.logical_id)
        connection.execute(
            update(table)
            .where(
                is_latest(table),
                table.c.logical_id.in_(logical),
                table.c.version < latest.scalar_subquery(),
            )
            .values(is_latest=0)
        )


def _refill(database: Database, kind: type[MetadataObject], table: Table) -> int:
    count = 0
    while _has_some(database, table):
        with database.write() as connection:
            rows = _behind(connection, table)
            if not rows:
                break  # another one has locked them, and does it
            _write(connection, kind, table, rows)
            count += len(rows)
    return count


def _has_some(database: Database, table: Table) -> bool:
    with database.read() as connection:
        return connection.scalar(select(table.c.pk).where(is_behind(table)).limit(1)) is not None


def _behind(connection: Connection, table: Table) -> list[Row[Any]]:
    wanted = select(table.c.pk, table.c.entry_uuid, table.c.fragment).where(is_behind(table))
    query = wanted.order_by(table.c.pk).limit(_BATCH).with_for_update(skip_locked=True)
    return list(connection.execute(query))


def _write(
    connection: Connection, kind: type[MetadataObject], table: Table, rows: list[Row[Any]]
) -> None:
    found = [
        FoundObject(kind, row.pk, row.entry_uuid, None, v.APPROVED, fragment=row.fragment)
        for row in rows
    ]
    things = list(zip([row.pk for row in rows], parsed(found), strict=True))
    made = [
        {**columns(thing), "search_version": SEARCH_VERSIONS[table.name], "its_pk": pk}
        for pk, thing in things
    ]
    connection.execute(update(table).where(table.c.pk == bindparam("its_pk")), made)
    of_values = VALUES[table.name]
    connection.execute(delete(of_values).where(of_values.c.owner.in_([pk for pk, _ in things])))
    parts = [
        {"owner": pk, "attribute": attribute, "value": value}
        for pk, thing in things
        for attribute, value in values(thing)
    ]
    if parts:
        connection.execute(insert(of_values), parts)


# --- for migrations ------------------------------------------------------------------------------


def added(op: Any, table: str, column: Column[Any]) -> None:
    """Add a column, unless a step that was broken off has done so."""
    if column.name not in {one["name"] for one in inspect(op.get_bind()).get_columns(table)}:
        op.add_column(table, column)


def index_behind(op: Any, table: str, version: int) -> None:
    """Make the index of rows below a version, in place of the one of the version before."""
    name, below = f"ix_{table}_behind", text(f"search_version < {version}")
    if op.get_context().dialect.name == "sqlite":
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, ["pk"], sqlite_where=below)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        op.create_index(name, table, ["pk"], postgresql_concurrently=True, postgresql_where=below)
