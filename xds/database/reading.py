"""Statements that are kept, by a short way to the driver; INSERTs are in :mod:`.statements`.

SQLAlchemy looks at a statement anew for each call, which takes several times what the database does
for the documents of one patient. Here it is asked once for each statement, and what it said of
text, order and types is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Delete, Dialect, Select, Update
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate
from sqlalchemy.sql.selectable import CompoundSelect

Query = (
    Select[Any]
    | CompoundSelect[Any]
    | ReturningUpdate[Any]
    | ReturningInsert[Any]
    | ReturningDelete[Any]
)
Convert = Callable[[Any], Any]

_STATEMENTS: Final = 1_000
NOTED: Final[ContextVar[list[tuple[str, Any]] | None]] = ContextVar("noted", default=None)
"""Where the statements of a thread are noted with their values, while somebody asks for plans."""


def fetch(
    connection: Connection, statement: Query, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a SELECT, or what writes and returns, with values for its bindparams; return the rows.

    Statements are told apart by identity: it must be one that is kept, and used again. A list of
    values is one parameter (:mod:`xds.database.lists`).
    """
    prepared = _prepared(statement, connection.dialect)
    bound = prepared.bound(values)
    if (noted := NOTED.get()) is not None:
        noted.append((prepared.text, bound))
    cursor = connection.connection.cursor()
    try:
        cursor.execute(prepared.text, bound)
        rows = list(cursor.fetchall())
    finally:
        cursor.close()
    return prepared.converted(rows) if prepared.converts else rows


def change(
    connection: Connection, statement: Update | Delete, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Run an UPDATE or DELETE for each row of values for its bindparams.

    As for :func:`fetch`, it must be a statement that is kept.
    """
    prepared = _prepared(statement, connection.dialect)
    bound = [prepared.bound(values) for values in rows]
    if not bound:
        return
    cursor = connection.connection.cursor()
    try:
        if len(bound) == 1:
            cursor.execute(prepared.text, bound[0])
        else:
            cursor.executemany(prepared.text, bound)
    finally:
        cursor.close()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the driver is to be told, and what it has to be asked for."""

    text: str
    order: tuple[str, ...] | None
    """The names of the parameters as the text has them; None where it has them by name."""
    parameters: Mapping[str, Convert | None]
    """What makes a value the driver's, by the name of the parameter."""
    own: Mapping[str, Any]
    """Values that stand in the statement itself, as the driver's."""
    converts: tuple[tuple[int, Convert], ...]
    """For each column whose values are not the driver's, what makes them those of its type."""

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Return the values as the text wants them."""
        made = dict(self.own)
        for name, convert in self.parameters.items():
            if name in values:
                made[name] = values[name] if convert is None else convert(values[name])
        return made if self.order is None else tuple([made[name] for name in self.order])

    def converted(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Make the values those of the columns' types: column by column, since map is fast."""
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for number, convert in self.converts if columns else ():
            columns[number] = map(convert, columns[number])
        return list(zip(*columns, strict=True))


@lru_cache(_STATEMENTS)
def _prepared(statement: Query | Update | Delete, dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert not compiled.post_compile_params, "a list is one parameter"
    converts = {name: _convert(compiled, name) for name in compiled.params}
    own = {
        name: compiled.params[name] for one, name in compiled.bind_names.items() if not one.required
    }
    return _Prepared(
        text=compiled.string,
        order=None if compiled.positiontup is None else tuple(compiled.positiontup),
        parameters=converts,
        own={
            name: value if (convert := converts[name]) is None else convert(value)
            for name, value in own.items()
        },
        converts=tuple(_converts(statement, dialect)),
    )


def _convert(compiled: SQLCompiler, name: str) -> Convert | None:
    of_type = compiled.binds[name].type.dialect_impl(compiled.dialect)
    return of_type.bind_processor(compiled.dialect)


def _converts(
    statement: Query | Update | Delete, dialect: Dialect
) -> Iterator[tuple[int, Convert]]:
    for number, column in enumerate(statement.exported_columns):
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            yield number, convert
