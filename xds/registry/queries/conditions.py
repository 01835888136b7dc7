"""Criteria as SQL: the one place where comparisons of attributes become conditions on rows.

A criterion is separated into its shape and its values (:func:`bind`), so that a statement built
once for a shape serves whatever values there are, and however many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    SmallInteger,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)

from xds.database.lists import ascii_lower, is_like, like_any, listed, one_of
from xds.metadata.criteria import (
    And,
    Comparison,
    Criterion,
    Not,
    Operator,
    Or,
    comparisons,
    weakened,
    without_case,
)
from xds.metadata.objects import MetadataObject
from xds.registry.tables import (
    INDEXED_VALUES,
    VALUE_ATTRIBUTES,
    VALUES,
    patient,
    searchable,
    value_attribute,
)

Condition = ColumnElement[bool]
Shape = tuple[Any, ...]
"""A criterion without its values: the key by which statements are cached."""

_LIKE: Final = frozenset({Operator.LIKE, Operator.LIKE_ANY_CASE})
_FEW: Final = 3
"""Values that are parameters of their own, which SQLite compares faster than those of a list."""
_IN_MEMORY: Final = frozenset({Operator.STARTS, Operator.CONTAINS})
_SELECTIVE: Final = frozenset(
    {"patient_id", "entry_uuid", "logical_id", "unique_id", "source", "target"}
)
"""Attributes that few objects share."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A criterion, separated into its shape and its values."""

    shape: Shape
    values: Mapping[str, Any]


def bind(criterion: Criterion, prefix: str = "v") -> Bound:
    """Separate a criterion from its values, whose names are the prefix and a number."""
    values: dict[str, Any] = {}
    return Bound(_shape(criterion, values, prefix), values)


def _shape(criterion: Criterion, values: dict[str, Any], prefix: str) -> Shape:
    if isinstance(criterion, Comparison):
        return _shape_of_comparison(criterion, values, prefix)
    if isinstance(criterion, Not):
        return (Not, _shape(criterion.criterion, values, prefix))
    return (type(criterion), *[_shape(part, values, prefix) for part in criterion])


def _shape_of_comparison(criterion: Comparison, values: dict[str, Any], prefix: str) -> Shape:
    texts = list(criterion.values)
    whole = "".join(texts)
    if not whole.isascii() or "\0" in whole:
        texts = list(map(searchable, texts))
    if criterion.operator is Operator.LIKE_ANY_CASE:
        texts = list(map(without_case, texts))
    first = f"{prefix}{len(values)}"
    if not 1 <= len(texts) <= _FEW:
        values[first] = texts
        return (criterion.attribute, criterion.operator, (first,), True)
    names = tuple([f"{first}_{number}" for number in range(len(texts))])
    values.update(zip(names, texts, strict=True))
    return (criterion.attribute, criterion.operator, names, False)


def is_decided(kind: type[MetadataObject], comparison: Comparison) -> bool:
    """Tell whether the database can make a comparison, which is else made in memory."""
    if comparison.operator in _IN_MEMORY:
        return False
    return comparison.attribute == "number" or kind.searched_as(comparison.attribute) is not None


def decided(kind: type[MetadataObject], criterion: Criterion) -> tuple[Criterion, bool]:
    """Return as much of a criterion as the database can decide, and whether that is all of it."""
    if all(is_decided(kind, one) for one in comparisons(criterion)):
        return criterion, True
    return weakened(criterion, lambda one: is_decided(kind, one)), False


# --- conditions ----------------------------------------------------------------------------------


def conditions(table: Table, shape: Shape) -> list[Condition]:
    """Return the conditions on a row of the table, beside which its patient is joined."""
    by_index = not _is_selective(shape)
    parts = shape[1:] if shape[0] is And else (shape,)
    return [condition(table, part, by_index=by_index) for part in parts]


def _is_selective(shape: Shape) -> bool:
    """Tell whether a condition leads to few objects, of which anything else is cheaply asked."""
    if shape[0] is And:
        return any(map(_is_selective, shape[1:]))
    if shape[0] is Or:
        return all(map(_is_selective, shape[1:]))
    return shape[0] in _SELECTIVE and shape[1] is Operator.EQUAL


def condition(
    table: Table, shape: Shape, row: FromClause | None = None, *, by_index: bool = False
) -> Condition:
    """Return the condition on a row of the table, beside which its patient is joined.

    ``row`` is an alias that stands for the table within a larger statement; no patient is joined
    there. ``by_index``: where an index of values leads to the objects, begin with it.
    """
    if shape[0] in (Or, And):
        join = or_ if shape[0] is Or else and_
        parts = [condition(table, part, row, by_index=by_index) for part in shape[1:]]
        return join(*parts) if parts else literal(shape[0] is And)
    if shape[0] is Not:
        one = condition(table, shape[1], row)
        return not_(one) if shape[1][1:2] == (Operator.GIVEN,) else fails(one)
    attribute, *how = shape
    columns = table if row is None else row
    if attribute in VALUE_ATTRIBUTES.terms:
        return _of_values(table, columns, attribute, *how, by_index=by_index)
    if attribute == "patient_id" and row is not None:
        own = patient.alias()
        whose = select(own.c.pk).where(_compared(own.c.patient_id, *how))
        return columns.c.patient.in_(whose)
    return _compared(column(columns, attribute), *how)


def _of_values(
    table: Table,
    columns: FromClause,
    attribute: str,
    operator: Operator,
    names: Sequence[str],
    is_list: bool,
    *,
    by_index: bool,
) -> Condition:
    """Require a value: of each object that is looked at, or by the index of values first."""
    values = VALUES[table.name]
    is_attribute = type_coerce(values.c.attribute, SmallInteger) == value_attribute(attribute)
    found = and_(is_attribute, _compared(values.c.value, operator, names, is_list))
    if by_index and attribute in INDEXED_VALUES:
        return columns.c.pk.in_(select(values.c.owner).where(found))
    return exists().where(values.c.owner == columns.c.pk, found)


def fails(one: Condition) -> Condition:
    """Return the condition that another does not hold, be it for an absent value."""
    return not_(func.coalesce(one, literal(False)))


def column(table: FromClause, attribute: str) -> ColumnElement[Any]:
    """Return the column of an attribute; KeyError for one that is not searched."""
    if attribute == "patient_id":
        return patient.c.patient_id
    return table.c["pk" if attribute == "number" else attribute]


def _compared(
    value: ColumnElement[Any], operator: Operator, names: Sequence[str], is_list: bool
) -> Condition:
    if operator is Operator.GIVEN:
        return value.is_not(None)
    if operator in _LIKE:
        text = ascii_lower(value) if operator is Operator.LIKE_ANY_CASE else value
        if is_list:
            return like_any(text, listed(names[0], Text()))
        return or_(*(is_like(text, bindparam(name, type_=Text())) for name in names))
    values = [bindparam(name, type_=value.type) for name in names]
    if operator is Operator.FROM:
        return value >= values[0]
    if operator is Operator.BEFORE:
        return value < values[0]
    is_equal = one_of.named(value, names[0]) if is_list else _equal(value, values)
    return is_equal if operator is Operator.EQUAL else and_(value.is_not(None), fails(is_equal))


def _equal(value: ColumnElement[Any], values: Sequence[ColumnElement[Any]]) -> Condition:
    return value == values[0] if len(values) == 1 else value.in_(values)
