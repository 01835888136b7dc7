"""Lists of values as one parameter of a statement, whose text so depends on no list's length.

PostgreSQL takes an array, SQLite a JSON array. The list is a bindparam of the type :class:`Values`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from sqlalchemy import ARRAY, Boolean, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class Values(TypeDecorator[Iterable[Any]]):
    """A list of values of one type; those that are NULL in the database are left out."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type by the database."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        item = self.item.dialect_impl(dialect)
        plain = item.impl_instance if isinstance(item, TypeDecorator) else item
        return dialect.type_descriptor(ARRAY(plain))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """To the database."""
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)
        write: Callable[[list[Any]], Any] = list if dialect.name == "postgresql" else json.dumps

        def process(values: Iterable[Any]) -> Any:
            made = list(values) if convert is None else list(map(convert, values))
            return write([one for one in made if one is not None] if None in made else made)

        return process


def listed(name: str, item: TypeEngine[Any]) -> BindParameter[Any]:
    """Return a parameter for a list of values of one type."""
    return bindparam(name, type_=Values(item))


class _Condition(FunctionElement[bool]):
    """A condition that stands in parentheses of its own, and is not compared with 1 on SQLite."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:
        """Be no more than what is written."""
        return self


class one_of(_Condition):  # noqa: N801 - as other functions of SQL
    """``one_of(column, parameter)``: the column is equal to one of a list of values."""

    inherit_cache = True

    @classmethod
    def named(cls, column: ColumnElement[Any], name: str) -> Self:
        """Return the condition with a parameter of that name."""
        return cls(column, listed(name, column.type))

    @classmethod
    def fixed(cls, column: ColumnElement[Any], values: Iterable[Any]) -> Self:
        """Return the condition with values that stand in the statement."""
        return cls(column, bindparam(None, list(values), type_=Values(column.type), unique=True))


class none_of(one_of):  # noqa: N801 - as other functions of SQL
    """``none_of(column, parameter)``: the column is equal to none of a list of values."""

    inherit_cache = True


class like_any(_Condition):  # noqa: N801 - as other functions of SQL
    """``like_any(text, parameter)``: the text is like one of a list of patterns."""

    inherit_cache = True


class is_like(_Condition):  # noqa: N801 - as other functions of SQL
    """``is_like(text, parameter)``: the text is like a pattern, in which a backslash escapes."""

    inherit_cache = True


class ascii_lower(FunctionElement[str]):  # noqa: N801 - as other functions of SQL
    """``ascii_lower(text)``: the letters A to Z in lower case, and no others."""

    type = Text()
    inherit_cache = True


_TEXTS: Final[Mapping[type[FunctionElement[Any]], Mapping[str, str]]] = {
    one_of: {
        "postgresql": "({0} = ANY ({1}))",
        "sqlite": "({0} IN (SELECT value FROM json_each({1})))",
    },
    none_of: {
        "postgresql": "({0} <> ALL ({1}))",
        "sqlite": "({0} NOT IN (SELECT value FROM json_each({1})))",
    },
    like_any: {
        "postgresql": "({0} LIKE ANY ({1}))",
        # materialized: else the JSON is read again for each row
        "sqlite": (
            "EXISTS (WITH pattern AS MATERIALIZED (SELECT value FROM json_each({1})) "
            "SELECT 1 FROM pattern WHERE {0} LIKE pattern.value ESCAPE '\\')"
        ),
    },
    is_like: {
        "postgresql": "({0} LIKE {1})",
        # a pattern that is a bare parameter has SQLite compile the statement anew for each value
        "sqlite": "({0} LIKE +{1} ESCAPE '\\')",
    },
    ascii_lower: {"postgresql": 'lower({0} COLLATE "C")', "sqlite": "lower({0})"},
}
"""How each database writes a function."""


def _write(function: type[FunctionElement[Any]], database: str, text: str) -> None:
    def write(element: Any, compiler: SQLCompiler, **options: Any) -> str:
        return text.format(*(compiler.process(one, **options) for one in element.clauses))

    compiles(function, database)(write)


for _function, _by_database in _TEXTS.items():
    for _database, _text in _by_database.items():
        _write(_function, _database, _text)
