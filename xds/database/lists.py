"""Lists of values as one parameter of a statement, whose text so depends on no list's length.

PostgreSQL takes an array, SQLite a JSON array. The list is a bindparam of the type :class:`Values`.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Self

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
            made = list(values) if convert is None else [convert(value) for value in values]
            return write([one for one in made if one is not None])

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
    def named(cls, column: ColumnElement[Any], name: str) -> "one_of":
        """Return the condition with a parameter of that name."""
        return cls(column, listed(name, column.type))

    @classmethod
    def fixed(cls, column: ColumnElement[Any], values: Iterable[Any]) -> "one_of":
        """Return the condition with values that stand in the statement."""
        return cls(column, bindparam(None, list(values), type_=Values(column.type), unique=True))


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


def _operands(element: Any, compiler: SQLCompiler, **options: Any) -> list[str]:
    return [compiler.process(one, **options) for one in element.clauses]


@compiles(one_of, "postgresql")
def _one_of_array(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _operands(element, compiler, **options)
    return f"({column} = ANY ({values}))"


@compiles(one_of, "sqlite")
def _one_of_json(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _operands(element, compiler, **options)
    return f"({column} IN (SELECT value FROM json_each({values})))"


@compiles(like_any, "postgresql")
def _like_array(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    text, patterns = _operands(element, compiler, **options)
    return f"({text} LIKE ANY ({patterns}))"


@compiles(like_any, "sqlite")
def _like_json(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    text, patterns = _operands(element, compiler, **options)
    # materialized: else the JSON is read again for each row
    listed = f"WITH pattern AS MATERIALIZED (SELECT value FROM json_each({patterns}))"
    return f"EXISTS ({listed} SELECT 1 FROM pattern WHERE {text} LIKE pattern.value ESCAPE '\\')"


@compiles(is_like, "postgresql")
def _like(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = _operands(element, compiler, **options)
    return f"({text} LIKE {pattern})"


@compiles(is_like, "sqlite")
def _like_computed(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = _operands(element, compiler, **options)
    # a pattern that is a bare parameter has SQLite compile the statement anew for each value
    return f"({text} LIKE +{pattern} ESCAPE '\\')"


@compiles(ascii_lower, "postgresql")
def _lower_of_c(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = _operands(element, compiler, **options)
    return f'lower({text} COLLATE "C")'


@compiles(ascii_lower, "sqlite")
def _lower(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = _operands(element, compiler, **options)
    return f"lower({text})"
