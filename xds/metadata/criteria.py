"""Criteria for objects by the names of their attributes: what is searched, and who may see what.

A criterion is data. The registry makes SQL of it (:mod:`xds.registry.conditions`), a policy is made
of criteria, and :func:`evaluate` decides one for an object that is not in a database.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

from xds.metadata.objects import MetadataObject


def searchable(text: str) -> str:
    """Return a text in the form in which texts are compared: NFC, exact (ITI TF-3 App. F).

    NUL, which a client may ask for and not every database takes, becomes another character that
    no XML can carry: it is found in nothing.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffe")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


class Operator(Enum):
    """How a condition compares."""

    EQUAL = "equal to one of the values"
    LIKE = "like one of the values, in any case: % and _ are wild, a backslash escapes"
    FROM = "at that value or after it"
    BEFORE = "before that value"
    GIVEN = "there, whatever it is"
    OTHER = "there, with a value that is none of the values"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A criterion for one attribute; ``number`` is the order of registration."""

    attribute: str
    operator: Operator
    values: tuple[str, ...] = ()


class _Several(tuple["Criterion", ...]):
    """Criteria together; those of the other kind are never equal to them."""

    __slots__ = ()

    def __new__(cls, *criteria: "Criterion") -> Self:
        """Make it of its criteria."""
        return super().__new__(cls, criteria)

    def __eq__(self, other: object) -> bool:
        """Compare as tuples of one kind."""
        return type(self) is type(other) and tuple.__eq__(self, other)

    def __hash__(self) -> int:
        """Keep the two kinds apart."""
        return hash((type(self), *self))


class Or(_Several):
    """Criteria of which at least one holds."""

    __slots__ = ()


class And(_Several):
    """Criteria that all hold."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Not:
    """A criterion that does not hold."""

    criterion: "Criterion"


Criterion = Comparison | Or | And | Not


def values_equal_to(criteria: Iterable[Criterion], attribute: str) -> Iterator[str]:
    """Yield the values that an attribute is compared with by EQUAL, wherever criteria do so."""
    for criterion in criteria:
        if isinstance(criterion, Or | And):
            yield from values_equal_to(criterion, attribute)
        elif isinstance(criterion, Comparison) and (criterion.attribute, criterion.operator) == (
            attribute,
            Operator.EQUAL,
        ):
            yield from criterion.values


ANYTHING: Final = And()
"""The criterion that every object meets."""
NOTHING: Final = Or()
"""The criterion that no object meets."""


def is_anything(criterion: Criterion) -> bool:
    """Tell whether a criterion is ANYTHING."""
    return isinstance(criterion, And) and not criterion


def is_nothing(criterion: Criterion) -> bool:
    """Tell whether a criterion is NOTHING."""
    return isinstance(criterion, Or) and not criterion


def all_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return the criterion that all hold, in the simplest form."""
    wanted = [one for one in criteria if not is_anything(one)]
    if any(map(is_nothing, wanted)):
        return NOTHING
    return wanted[0] if len(wanted) == 1 else And(*wanted)


def any_of(criteria: Iterable[Criterion]) -> Criterion:
    """Return the criterion that at least one holds, in the simplest form."""
    wanted = [one for one in criteria if not is_nothing(one)]
    if any(map(is_anything, wanted)):
        return ANYTHING
    return wanted[0] if len(wanted) == 1 else Or(*wanted)


def negated(criterion: Criterion) -> Criterion:
    """Return the criterion that one does not hold, in the simplest form."""
    if is_anything(criterion) or is_nothing(criterion):
        return NOTHING if is_anything(criterion) else ANYTHING
    return Not(criterion)


def of_patient(criterion: Criterion, *, otherwise: Criterion = ANYTHING) -> Criterion:
    """Return what a criterion leaves for objects that have a patient and none of its attributes.

    These objects get the benefit: a condition on another attribute counts as met where it admits,
    and as not met where it excludes. ``otherwise`` is what it counts as.
    """
    if isinstance(criterion, Comparison):
        return criterion if criterion.attribute == "patient_id" else otherwise
    if isinstance(criterion, Not):
        opposite = NOTHING if is_anything(otherwise) else ANYTHING
        return negated(of_patient(criterion.criterion, otherwise=opposite))
    parts = [of_patient(part, otherwise=otherwise) for part in criterion]
    return all_of(parts) if isinstance(criterion, And) else any_of(parts)


def evaluate(criterion: Criterion, thing: MetadataObject) -> bool:
    """Tell whether an object meets a criterion, as the registry would were it registered.

    ValueError for LIKE, FROM and BEFORE, which are for databases to compare.
    """
    if isinstance(criterion, And):
        return all(evaluate(part, thing) for part in criterion)
    if isinstance(criterion, Or):
        return any(evaluate(part, thing) for part in criterion)
    if isinstance(criterion, Not):
        return not evaluate(criterion.criterion, thing)
    texts = type(thing).attributes()[criterion.attribute].texts(thing)
    held = {searchable(text) for text in texts if text}
    wanted = set(map(searchable, criterion.values))
    match criterion.operator:
        case Operator.EQUAL:
            return not held.isdisjoint(wanted)
        case Operator.OTHER:
            return not held <= wanted
        case Operator.GIVEN:
            return bool(held)
    raise ValueError(f"{criterion.operator.name} is compared by a database")
