"""Filters as they are stored: a criterion as JSON and back, nothing lost."""

import json
from collections.abc import Mapping
from typing import Any, Final

from xds.metadata.criteria import And, Comparison, Criterion, Not, Operator, Or, comparisons
from xds.metadata.searched import searchable

_PATIENT: Final = "patient_id"


def dumped(criterion: Criterion) -> str:
    """Write a criterion as JSON."""
    return json.dumps(_plain(criterion), separators=(",", ":"))


def loaded(text: str) -> Criterion:
    """Read what :func:`dumped` has written."""
    return _criterion(json.loads(text))


def _plain(criterion: Criterion) -> Any:
    if isinstance(criterion, Comparison):
        return [criterion.attribute, criterion.operator.name, *criterion.values]
    if isinstance(criterion, Not):
        return {"not": _plain(criterion.criterion)}
    name = "and" if isinstance(criterion, And) else "or"
    return {name: [_plain(part) for part in criterion]}


def _criterion(plain: Any) -> Criterion:
    if isinstance(plain, list):
        attribute, operator, *values = plain
        return Comparison(attribute, Operator[operator], tuple(values))
    ((name, content),) = plain.items()
    match name:
        case "not":
            return Not(_criterion(content))
        case "and":
            return And(*map(_criterion, content))
    return Or(*map(_criterion, content))


def with_survivor(criterion: Criterion, survivors: Mapping[str, str]) -> Criterion:
    """Return a criterion that names surviving patients where it names those merged into them."""
    if isinstance(criterion, Not):
        return Not(with_survivor(criterion.criterion, survivors))
    if isinstance(criterion, Or | And):
        return type(criterion)(*(with_survivor(part, survivors) for part in criterion))
    if criterion.attribute != _PATIENT:
        return criterion
    values = (survivors.get(searchable(one), one) for one in criterion.values)
    return Comparison(_PATIENT, criterion.operator, tuple(dict.fromkeys(values)))


def patients_of(criterion: Criterion) -> frozenset[str]:
    """Return the patient ids that a criterion names, in the form in which they are compared."""
    return frozenset(
        searchable(value)
        for one in comparisons(criterion)
        if one.attribute == _PATIENT
        for value in one.values
    )
