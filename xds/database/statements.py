"""Where the tables are declared, and INSERTs by a short way to the driver.

The few statements of every registration run on the driver itself: SQLAlchemy's part of a call costs
several times what the database's does, and others wait for the locks meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Connection, Dialect, MetaData, Table

METADATA: Final = MetaData()
"""Every table of the registry and of the repository's index."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Insertion:
    """Rows for a table whose keys the database gives, with the rows that belong to them.

    A column that a row lacks is NULL. A part names its ``owner`` by the owner's value of ``by``, so
    nobody need know the owner's key.
    """

    table: Table
    rows: Sequence[Row]
    parts: Table | None = None
    part_rows: Sequence[Row] = ()
    by: str = "entry_uuid"


def insert_all(connection: Connection, insertions: Sequence[Insertion]) -> None:
    """Insert rows into several tables: on a server in one statement, if they are not too many."""
    few = sum(len(one.rows) for one in insertions) <= _FEW
    if few and connection.dialect.name == "postgresql":
        text, makers = _together(tuple(map(_shape, insertions)), connection.dialect)
        values = [value for one in insertions for value in _values(one, makers)]
        _run(connection, lambda cursor: cursor.execute(text, values))
        return
    for one in insertions:
        insert_rows(connection, one.table, one.rows)
        if one.parts is not None:
            _insert_parts(connection, one)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows into one table."""
    if rows:
        text, makers = _insertion(table, connection.dialect)
        made = [
            [make(row.get(name)) if make else row.get(name) for name, make in makers]
            for row in rows
        ]
        _run(connection, lambda cursor: cursor.executemany(text, made))


def copy_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Put rows with all their columns into a table, as fast as the database takes them."""
    if not rows:
        return
    makers = _makers(tuple(table.columns), connection.dialect)
    made = (
        [make(row.get(name)) if make else row.get(name) for name, make in makers] for row in rows
    )
    names = _names(tuple(table.columns), connection.dialect)
    if connection.dialect.name == "sqlite":
        marks = _marks(makers, connection.dialect)
        text = f"INSERT INTO {table.name} ({names}) VALUES {marks}"
        _run(connection, lambda cursor: cursor.executemany(text, made))
        return

    def copy(cursor: Any) -> None:
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copying:
            for row in made:
                copying.write_row(row)

    _run(connection, copy)


def _insert_parts(connection: Connection, one: Insertion) -> None:
    if one.part_rows:
        text, makers = _part_insertion(one.parts, one.table, one.by, connection.dialect)
        made = [
            [make(row[name]) if make else row[name] for name, make in makers]
            for row in one.part_rows
        ]
        _run(connection, lambda cursor: cursor.executemany(text, made))


def _run(connection: Connection, act: Callable[[Any], object]) -> None:
    cursor = connection.connection.cursor()
    try:
        act(cursor)
    finally:
        cursor.close()


_Makers = Sequence[tuple[str, Callable[[Any], Any] | None]]
"""Names of columns, and what makes a value one for the driver; None where it is one."""


@lru_cache(maxsize=64)
def _insertion(table: Table, dialect: Dialect) -> tuple[str, _Makers]:
    columns = _columns_but(table, "pk")
    text = (
        f"INSERT INTO {table.name} ({_names(columns, dialect)}) VALUES {_marks(columns, dialect)}"
    )
    return text, _makers(columns, dialect)


@lru_cache(maxsize=64)
def _part_insertion(table: Any, owner: Table, by: str, dialect: Dialect) -> tuple[str, _Makers]:
    columns = _columns_but(table, "owner")
    marks = _marks(columns, dialect)[1:-1]
    text = (
        f"INSERT INTO {table.name} (owner, {_names(columns, dialect)}) "
        f"SELECT pk, {marks} FROM {owner.name} WHERE {by} = {_mark(dialect)}"
    )
    return text, (*_makers(columns, dialect), ("owner", _maker(owner.c[by], dialect)))


def _columns_but(table: Table, name: str) -> list[Any]:
    return [column for column in table.columns if column.name != name]


def _mark(dialect: Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"


def _marks(columns: Sequence[Any], dialect: Dialect) -> str:
    return f"({', '.join([_mark(dialect)] * len(columns))})"


def _names(columns: Sequence[Any], dialect: Dialect) -> str:
    return ", ".join(dialect.identifier_preparer.format_column(column) for column in columns)


def _makers(columns: Sequence[Any], dialect: Dialect) -> _Makers:
    return tuple((column.name, _maker(column, dialect)) for column in columns)


def _maker(column: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    made: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    return made


# --- PostgreSQL: all in one statement ------------------------------------------------------------

_FEW: Final = 64
_Shape = tuple[Table, int, Table | None, str]
"""What the text of a statement depends on: the number of rows, but not of parts."""


def array(values: Iterable[object]) -> str:
    """Write values as PostgreSQL's text of an array."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def insert_arrays(
    connection: Connection, text: str, columns: Sequence[Column[Any]], rows: Sequence[Row]
) -> None:
    """Run a statement of PostgreSQL that takes an array of values for each of some columns."""
    makers = _array_makers(tuple(columns), connection.dialect)
    values = [
        array([make(row[name]) if make else row[name] for row in rows]) for name, make in makers
    ]
    _run(connection, lambda cursor: cursor.execute(text, values))


@lru_cache(maxsize=16)
def _array_makers(columns: Sequence[Column[Any]], dialect: Dialect) -> _Makers:
    return _makers(columns, dialect)


def _shape(one: Insertion) -> _Shape:
    return one.table, len(one.rows), one.parts, one.by


@lru_cache(maxsize=256)
def _together(shapes: Sequence[_Shape], dialect: Dialect) -> tuple[str, Mapping[Table, _Makers]]:
    steps: list[str] = []
    makers: dict[Table, _Makers] = {}
    for table, count, parts, by in shapes:
        if not count:
            continue
        text, makers[table] = _insertion(table, dialect)
        more = ", ".join([""] + [_marks(makers[table], dialect)] * (count - 1))
        steps.append(f"new_{table.name} AS ({text}{more} RETURNING pk, {by})")
        if parts is not None:
            makers[parts] = (("owner", _maker(table.c[by], dialect)), *_part_makers(parts, dialect))
            steps.append(f"new_{parts.name} AS ({_parts_of(table, parts, by, dialect)})")
    return f"WITH {', '.join(steps)} SELECT 1", makers


def _part_makers(parts: Table, dialect: Dialect) -> _Makers:
    return _makers(_columns_but(parts, "owner"), dialect)


def _parts_of(table: Table, parts: Table, by: str, dialect: Dialect) -> str:
    columns = _columns_but(parts, "owner")
    names = _names(columns, dialect)
    kinds = [column.type.compile(dialect=dialect) for column in (table.c[by], *columns)]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    return (
        f"INSERT INTO {parts.name} (owner, {names}) SELECT new_{table.name}.pk, {names} "
        f"FROM unnest({arrays}) AS part (owner, {names}) "
        f"JOIN new_{table.name} ON new_{table.name}.{by} = part.owner"
    )


def _values(one: Insertion, makers: Mapping[Table, _Makers]) -> Iterator[object]:
    if not one.rows:
        return
    for row in one.rows:
        for name, make in makers[one.table]:
            yield make(row.get(name)) if make else row.get(name)
    if one.parts is not None:
        for name, make in makers[one.parts]:
            yield array([make(row[name]) if make else row[name] for row in one.part_rows])
