"""Criteria as SQL: the one place where comparisons of attributes become conditions on rows.

A criterion is separated into its shape and its values, so that a statement built once for a
shape serves whatever values there are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    SmallInteger,
    Table,
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

from xds.metadata.criteria import And, Comparison, Criterion, Not, Operator, Or
from xds.registry.tables import VALUE_ATTRIBUTES, VALUES, patient, searchable, value_attribute

Clause = ColumnElement[bool]
Shape = tuple[Any, ...]
"""A criterion without its values: the key by which statements are cached."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Criteria, separated into shapes and values."""

    shapes: tuple[Shape, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


def bind(criteria: Sequence[Criterion], prefix: str = "v") -> Bound:
    """Separate criteria from their values, whose names are the prefix and a number."""
    values: dict[str, object] = {}
    return Bound(tuple(_shape(criterion, values, prefix) for criterion in criteria), values)


def _shape(criterion: Criterion, values: dict[str, object], prefix: str) -> Shape:
    if isinstance(criterion, Or | And):
        return (type(criterion), *(_shape(part, values, prefix) for part in criterion))
    if isinstance(criterion, Not):
        return (Not, _shape(criterion.criterion, values, prefix))
    assert isinstance(criterion, Comparison)
    texts = [searchable(text) for text in criterion.values]
    first = f"{prefix}{len(values)}"
    if criterion.operator in (Operator.EQUAL, Operator.OTHER):
        values[first] = texts
        return (criterion.attribute, criterion.operator, (first,))
    names = tuple(f"{first}_{i}" for i in range(len(texts)))
    values.update(zip(names, texts, strict=True))
    return (criterion.attribute, criterion.operator, names)


def clause(table: Table, shape: Shape, row: FromClause | None = None) -> Clause:
    """Return the condition on a row of the table, beside which its patient is joined.

    ``row`` is an alias that stands for the table within a larger statement; no patient is joined
    there.
    """
    if shape[0] in (Or, And):
        join = or_ if shape[0] is Or else and_
        parts = [clause(table, part, row) for part in shape[1:]]
        return join(*parts) if parts else literal(shape[0] is And)
    if shape[0] is Not:
        return fails(clause(table, shape[1], row))
    attribute, find, names = shape
    columns = table if row is None else row
    if attribute in VALUE_ATTRIBUTES.terms:
        values = VALUES[table.name]
        held = [
            values.c.owner == columns.c.pk,
            type_coerce(values.c.attribute, SmallInteger) == value_attribute(attribute),
        ]
        return exists().where(*held, _compared(values.c.value, find, names))
    if attribute == "patient_id" and row is not None:
        own = patient.alias()
        whose = select(own.c.pk).where(_compared(own.c.patient_id, find, names))
        return columns.c.patient.in_(whose)
    return _compared(column(columns, attribute), find, names)


def fails(conditions: Clause) -> Clause:
    """Return the condition that another does not hold, be it for an absent value."""
    return not_(func.coalesce(conditions, literal(False)))


def column(table: FromClause, attribute: str) -> ColumnElement[Any]:
    """Return the column of an attribute; KeyError for one that is not searched."""
    if attribute == "patient_id":
        return patient.c.patient_id
    return table.c["pk" if attribute == "number" else attribute]


def _compared(value: ColumnElement[Any], find: Operator, names: Sequence[str]) -> Clause:
    if find is Operator.GIVEN:
        return value.is_not(None)
    if find is Operator.EQUAL:
        return value.in_(bindparam(names[0], expanding=True))
    if find is Operator.OTHER:
        return value.not_in(bindparam(names[0], expanding=True))
    values = [bindparam(name, type_=value.type) for name in names]
    if find is Operator.LIKE:
        # both by the database, whatever letters its lower() knows
        return or_(*(func.lower(value).like(func.lower(one), escape="\\") for one in values))
    compare: Callable[[Any], Clause] = value.__ge__ if find is Operator.FROM else value.__lt__
    return or_(*map(compare, values))
