"""Demands on objects by the names of their attributes: what is looked for, and who may see what.

They are data: the registry makes SQL of them (:mod:`xds.registry.views`), a policy is made of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Find(Enum):
    """How a condition compares."""

    EQUAL = "equal to one of the values"
    LIKE = "like one of the values, in any case: % and _ are wild, a backslash escapes"
    FROM = "at that value or after it"
    BEFORE = "before that value"
    GIVEN = "there, whatever it is"


@dataclass(frozen=True, slots=True)
class Condition:
    """A demand on one attribute; ``number`` is the order of registration."""

    attribute: str
    find: Find
    values: tuple[str, ...] = ()


class Either(tuple["Demand", ...]):
    """Demands of which one holds at least."""

    __slots__ = ()

    def __new__(cls, *demands: "Demand") -> "Either":
        """Make it of its demands."""
        return super().__new__(cls, demands)


class All(tuple["Demand", ...]):
    """Demands that all hold."""

    __slots__ = ()

    def __new__(cls, *demands: "Demand") -> "All":
        """Make it of its demands."""
        return super().__new__(cls, demands)


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
