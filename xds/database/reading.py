"""SELECTs by a short way to the driver.

SQLAlchemy looks at a statement anew for each call, above all at lists of values, whose marks it
writes into the text each time: that takes several times what the database does for the documents
of one patient. Here it is asked once for each statement and the lengths of its lists, and what it
said of text, order and types is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import CompoundSelect

Query = Select[Any] | CompoundSelect[Any]
Convert = Callable[[Any], Any]

_STATEMENTS: Final = 500
_TEXTS: Final = 500
"""A statement has a text for each length of its lists."""
_LONG: Final = 200
"""Values in lists beyond which a text is not kept: clients choose how many there are."""


def fetch(
    connection: Connection, statement: Query, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a SELECT with values for its bindparams, a list for one that expands; return its rows.

    Statements are told apart by identity: it must be one that is kept, and used again.
    """
    lengths = tuple((name, len(value)) for name, value in values.items() if isinstance(value, list))
    is_long = sum(length for _, length in lengths) > _LONG
    prepare = _prepared.__wrapped__ if is_long else _prepared
    prepared: _Prepared = prepare(statement, lengths, connection.dialect)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(prepared.text, prepared.bound(values))
        rows = list(cursor.fetchall())
    finally:
        cursor.close()
    return prepared.converted(rows) if prepared.converts else rows


@dataclass(frozen=True, slots=True)
class _Place:
    """The one place of a value in a text, or the places of a list of values."""

    source: str
    names: tuple[str, ...]
    """As the text has them, where it has names."""
    is_list: bool
    convert: Convert | None

    def values(self, of: Mapping[str, Any]) -> Iterable[Any]:
        """Return what the driver is to have."""
        value = of[self.source]
        if self.is_list:
            return value if self.convert is None else map(self.convert, value)
        return (value if self.convert is None else self.convert(value),)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the driver is to be told, and what it has to be asked for."""

    text: str
    places: tuple[_Place, ...]
    has_names: bool
    own: Mapping[str, Any]
    """Values that stand in the statement itself."""
    converts: tuple[tuple[int, Convert], ...]
    """For each column whose values are not the driver's, what makes them those of its type."""

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Return the values as the text wants them."""
        every = {**self.own, **values}
        if self.has_names:
            return {
                name: value
                for place in self.places
                for name, value in zip(place.names, place.values(every), strict=True)
            }
        return tuple(value for place in self.places for value in place.values(every))

    def converted(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Make the values those of the columns' types: column by column, since map is fast."""
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for number, convert in self.converts if columns else ():
            columns[number] = map(convert, columns[number])
        return list(zip(*columns, strict=True))


@lru_cache(_STATEMENTS)
def _compiled(statement: Query, dialect: Dialect) -> SQLCompiler:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return compiled


@lru_cache(_TEXTS)
def _prepared(
    statement: Query, lengths: tuple[tuple[str, int], ...], dialect: Dialect
) -> _Prepared:
    compiled = _compiled(statement, dialect)
    own = dict(compiled.params)
    state = compiled.construct_expanded_state(
        {**own, **{name: [None] * length for name, length in lengths}}
    )
    order = list(state.parameters) if state.positiontup is None else state.positiontup
    return _Prepared(
        text=state.statement,
        places=tuple(_places(order, state.parameter_expansion, compiled)),
        has_names=state.positiontup is None,
        own=own,
        converts=tuple(_converts(statement, dialect)),
    )


def _places(
    order: Sequence[str], lists: Mapping[str, Sequence[str]], compiled: SQLCompiler
) -> Iterator[_Place]:
    """Yield the places of a text, of which those of a list follow each other."""
    of_first = {names[0]: source for source, names in lists.items() if names}
    at = 0
    while at < len(order):
        source = of_first.get(order[at], order[at])
        names = tuple(lists.get(source, (source,)))
        of_type = compiled.binds[source].type.dialect_impl(compiled.dialect)
        yield _Place(source, names, source in lists, of_type.bind_processor(compiled.dialect))
        at += len(names)


def _converts(statement: Query, dialect: Dialect) -> Iterator[tuple[int, Convert]]:
    for number, column in enumerate(statement.selected_columns):
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            yield number, convert
