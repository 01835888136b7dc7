"""Demands on objects by the names of their attributes: what is looked for, and who may see what.

They are data: the registry makes SQL of them (:mod:`xds.registry.demanded`), a policy is made of
them. What a policy demands is also held against objects that are not in a database (:func:`meets`).
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


class Find(Enum):
    """How a condition compares."""

    EQUAL = "equal to one of the values"
    LIKE = "like one of the values, in any case: % and _ are wild, a backslash escapes"
    FROM = "at that value or after it"
    BEFORE = "before that value"
    GIVEN = "there, whatever it is"
    OTHER = "there, with a value that is none of the values"


@dataclass(frozen=True, slots=True)
class Condition:
    """A demand on one attribute; ``number`` is the order of registration."""

    attribute: str
    find: Find
    values: tuple[str, ...] = ()


class _Several(tuple["Demand", ...]):
    """Demands together; what is of the other kind is never equal."""

    __slots__ = ()

    def __new__(cls, *demands: "Demand") -> Self:
        """Make it of its demands."""
        return super().__new__(cls, demands)

    def __eq__(self, other: object) -> bool:
        """Compare as tuples of one kind."""
        return type(self) is type(other) and tuple.__eq__(self, other)

    def __hash__(self) -> int:
        """Keep the two kinds apart."""
        return hash((type(self), *self))


class Either(_Several):
    """Demands of which one holds at least."""

    __slots__ = ()


class All(_Several):
    """Demands that all hold."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Unless:
    """A demand that does not hold."""

    demand: "Demand"


Demand = Condition | Either | All | Unless


def equal_to(demands: Iterable[Demand], attribute: str) -> Iterator[str]:
    """Yield the values that demands want an attribute to be equal to, wherever they say so."""
    for demand in demands:
        if isinstance(demand, Either | All):
            yield from equal_to(demand, attribute)
        elif isinstance(demand, Condition) and (demand.attribute, demand.find) == (
            attribute,
            Find.EQUAL,
        ):
            yield from demand.values


ANYTHING: Final = All()
"""The demand that every object meets."""
NOTHING: Final = Either()
"""The demand that no object meets."""


def is_anything(demand: Demand) -> bool:
    """Tell whether a demand is ANYTHING."""
    return isinstance(demand, All) and not demand


def is_nothing(demand: Demand) -> bool:
    """Tell whether a demand is NOTHING."""
    return isinstance(demand, Either) and not demand


def every(demands: Iterable[Demand]) -> Demand:
    """Demand all of them, in the simplest form."""
    wanted = [one for one in demands if not is_anything(one)]
    if any(map(is_nothing, wanted)):
        return NOTHING
    return wanted[0] if len(wanted) == 1 else All(*wanted)


def either(demands: Iterable[Demand]) -> Demand:
    """Demand one of them at least, in the simplest form."""
    wanted = [one for one in demands if not is_nothing(one)]
    if any(map(is_anything, wanted)):
        return ANYTHING
    return wanted[0] if len(wanted) == 1 else Either(*wanted)


def unless(demand: Demand) -> Demand:
    """Demand that it does not hold, in the simplest form."""
    if is_anything(demand) or is_nothing(demand):
        return NOTHING if is_anything(demand) else ANYTHING
    return Unless(demand)


def of_patient(demand: Demand, *, otherwise: Demand = ANYTHING) -> Demand:
    """Return what a demand leaves for objects that have its patient and not its other attributes.

    These objects get the benefit: a condition on another attribute counts as met where it admits,
    and as not met where it excludes. ``otherwise`` is what it counts as.
    """
    if isinstance(demand, Condition):
        return demand if demand.attribute == "patient_id" else otherwise
    if isinstance(demand, Unless):
        opposite = NOTHING if is_anything(otherwise) else ANYTHING
        return unless(of_patient(demand.demand, otherwise=opposite))
    parts = [of_patient(part, otherwise=otherwise) for part in demand]
    return every(parts) if isinstance(demand, All) else either(parts)


def meets(thing: MetadataObject, demand: Demand) -> bool:
    """Tell whether an object meets a demand, as the registry would were it registered.

    ValueError for LIKE, FROM and BEFORE, which are for databases to compare.
    """
    if isinstance(demand, All):
        return all(meets(thing, part) for part in demand)
    if isinstance(demand, Either):
        return any(meets(thing, part) for part in demand)
    if isinstance(demand, Unless):
        return not meets(thing, demand.demand)
    texts = type(thing).attributes()[demand.attribute].texts(thing)
    held = {searchable(text) for text in texts if text}
    wanted = set(map(searchable, demand.values))
    match demand.find:
        case Find.EQUAL:
            return not held.isdisjoint(wanted)
        case Find.OTHER:
            return not held <= wanted
        case Find.GIVEN:
            return bool(held)
    raise ValueError(f"{demand.find.name} is compared by a database")
