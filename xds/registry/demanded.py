"""Demands as SQL: the one place where what is demanded by attributes' names becomes conditions.

A demand is parted into its shape and its values, so that a statement which was built once for a
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

from xds.metadata.demands import All, Condition, Demand, Either, Find, Unless
from xds.registry.tables import VALUE_ATTRIBUTES, VALUES, patient, searchable, value_attribute

Clause = ColumnElement[bool]
Shape = tuple[Any, ...]
"""A demand without its values: what statements are kept by."""


@dataclass(frozen=True, slots=True)
class Parted:
    """Demands, parted into shapes and values."""

    shapes: tuple[Shape, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


def parted(demands: Sequence[Demand], prefix: str = "v") -> Parted:
    """Part demands from their values, whose names are the prefix and a number."""
    values: dict[str, object] = {}
    return Parted(tuple(_shape(demand, values, prefix) for demand in demands), values)


def _shape(demand: Demand, values: dict[str, object], prefix: str) -> Shape:
    if isinstance(demand, Either | All):
        return (type(demand), *(_shape(part, values, prefix) for part in demand))
    if isinstance(demand, Unless):
        return (Unless, _shape(demand.demand, values, prefix))
    assert isinstance(demand, Condition)
    texts = [searchable(text) for text in demand.values]
    first = f"{prefix}{len(values)}"
    if demand.find in (Find.EQUAL, Find.OTHER):
        values[first] = texts
        return (demand.attribute, demand.find, (first,))
    names = tuple(f"{first}_{i}" for i in range(len(texts)))
    values.update(zip(names, texts, strict=True))
    return (demand.attribute, demand.find, names)


def clause(table: Table, shape: Shape, row: FromClause | None = None) -> Clause:
    """Return the condition on a row of the table, beside which its patient is joined.

    ``row`` is an alias that stands for the table within a larger statement; no patient is joined
    there.
    """
    if shape[0] in (Either, All):
        join = or_ if shape[0] is Either else and_
        parts = [clause(table, part, row) for part in shape[1:]]
        return join(*parts) if parts else literal(shape[0] is All)
    if shape[0] is Unless:
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


def fails(demanded: Clause) -> Clause:
    """Return the condition that another does not hold, be it for an absent value."""
    return not_(func.coalesce(demanded, literal(False)))


def column(table: FromClause, attribute: str) -> ColumnElement[Any]:
    """Return the column of an attribute; KeyError for one that is not searched."""
    if attribute == "patient_id":
        return patient.c.patient_id
    return table.c["pk" if attribute == "number" else attribute]


def _compared(value: ColumnElement[Any], find: Find, names: Sequence[str]) -> Clause:
    if find is Find.GIVEN:
        return value.is_not(None)
    if find is Find.EQUAL:
        return value.in_(bindparam(names[0], expanding=True))
    if find is Find.OTHER:
        return value.not_in(bindparam(names[0], expanding=True))
    values = [bindparam(name, type_=value.type) for name in names]
    if find is Find.LIKE:
        # both by the database, whatever letters its lower() knows
        return or_(*(func.lower(value).like(func.lower(one), escape="\\") for one in values))
    compare: Callable[[Any], Clause] = value.__ge__ if find is Find.FROM else value.__lt__
    return or_(*map(compare, values))
