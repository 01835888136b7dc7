"""What writing and reading are told, and what reading tells."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.metadata.systems import Systems

T = TypeVar("T")

CACHED: Final = 10_000
"""How many texts a cache of a pure function keeps: the same persons come again and again."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What is needed to write a resource."""

    systems: Systems
    base: str
    """The absolute URL of the FHIR base, without a slash at its end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to read a resource."""

    systems: Systems
    path: str
    """The FHIRPath of the resource in the request, such as ``Bundle.entry[1].resource``."""
    resolve: Callable[[Resource], Resource | None]
    """Leads from a Reference to a resource elsewhere in the request; None where it is not there."""
    is_of_one_here: bool = False
    """Whether the resource is, or changes, one that is here already: that may be in error."""


@dataclass(frozen=True, slots=True)
class Mapped(Generic[T]):
    """An object read from a resource, and what was dropped or guessed in reading it."""

    thing: T
    warnings: tuple[Issue, ...] = ()


def mapped(issues: IssueCollector, thing: T) -> Mapped[T]:
    """Return what was read with its warnings; Refused where anything was wrong."""
    if issues.has_errors:
        raise Refused(400, issues.issues)
    return Mapped(thing, tuple(issues.warnings))
