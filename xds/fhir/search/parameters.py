"""Search parameters: a row for each that a resource type takes (FHIR R4, 3.1.1).

Searches are read by the rows (:mod:`xds.fhir.search.requests`), and the CapabilityStatement is
written from them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from xds.fhir.r4.outcome import Issue
from xds.metadata.criteria import Criterion, all_of
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.searched import ORDERED, Searched
from xds.metadata.systems import Systems
from xds.registry.queries.views import RegistryView

Kind = type[DocumentEntry] | type[SubmissionSet] | type[Folder]


@dataclass(frozen=True, slots=True)
class DomainNames:
    """How codes and identifiers of an affinity domain are named in FHIR."""

    systems: Systems
    assigning_authority: str | None
    """The OID of the authority of patient ids that are given without a system."""
    home_community_id: str | None


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What a search is about: the registry at one moment, and the kind of object."""

    names: DomainNames
    view: RegistryView
    base: str
    """The absolute URL of the FHIR base."""
    kind: Kind
    has_patient: bool = False
    """Whether some parameter names the patient, which keeps any other criterion cheap."""


@dataclass(frozen=True, slots=True)
class SearchArgument:
    """One parameter of a request, taken apart."""

    name: str
    """As the client wrote it."""
    modifier: str
    values: tuple[str, ...]
    """The alternatives; separators within them are still escaped."""


Compare = Callable[[SearchArgument, str, SearchContext], Criterion]
"""Takes the argument, the attribute that it looks at, and the context; ValueError for a bad value.

Returns what an object has to meet to be found.
"""
Warn = Callable[[SearchArgument, SearchContext], Issue | None]
"""Returns what the client is to be told of an argument."""


@dataclass(frozen=True, slots=True)
class Comparator:
    """One way in which the values of a parameter are compared with an attribute."""

    compare: Compare
    searched_as: frozenset[Searched] = frozenset()
    """As what the attribute has to be searched; empty where no column is asked for it."""


def comparing(*searched_as: Searched) -> Callable[[Compare], Comparator]:
    """Make a comparator of a function, for attributes that are searched in one of these ways."""
    return lambda compare: Comparator(compare, frozenset(searched_as))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """One row: a parameter of one resource type.

    Raises ValueError where an attribute is not searched, or not so as the row compares or sorts it:
    so a wrong row ends the program at its start.
    """

    name: str
    type: str
    """Of the value set SearchParamType: ``token``, ``date`` and so on."""
    documentation: str
    definition: str = ""
    """The canonical URL of the SearchParameter, where there is one."""
    aliases: tuple[str, ...] = ()
    """Other names under which clients send it."""
    comparator: Comparator | None = None
    """How values become a criterion; None for what is read by the interaction itself."""
    attributes: Mapping[Kind, str] = field(default_factory=dict)
    """The attribute that it looks at, for each kind that has one."""
    warn: Warn | None = None
    modifiers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    """The resource types that may be named after it, as in ``patient:Patient``."""
    sort: bool = False
    """Whether results can be sorted by it."""
    finds: bool = False
    """Whether a search may stand on it, since it leads to few objects."""
    tells_kind: bool = False
    """Whether its value decides alone which kinds of object can be found."""

    def __post_init__(self) -> None:
        for kind, attribute in self.attributes.items():
            searched = kind.searched_as(attribute)
            if attribute not in kind.attributes() and searched is None:
                raise ValueError(f"{self.name}: {kind.KIND} has no {attribute}")
            for admitted in self._needs():
                if searched not in admitted:
                    how = "not searched" if searched is None else f"searched as {searched.value}"
                    wanted = ", ".join(sorted(one.value for one in admitted))
                    raise ValueError(
                        f"{self.name}: {attribute} of a {kind.KIND} is {how}, not as {wanted}"
                    )

    def _needs(self) -> Iterator[frozenset[Searched]]:
        """Yield as what its attributes have to be searched, for each use that it makes of them."""
        if self.comparator is None:
            raise ValueError(f"{self.name}: it has attributes and does not say how they compare")
        if self.comparator.searched_as:
            yield self.comparator.searched_as
        if self.sort:
            yield ORDERED
        if "missing" in self.modifiers:
            yield frozenset(Searched)


@dataclass(frozen=True, slots=True)
class Searchable:
    """A resource type that can be searched."""

    resource_type: str
    parameters: tuple[SearchParameter, ...]
    kinds: tuple[Kind, ...] = ()
    """The objects of metadata that it stands for, in the order of their results."""
    unless: Mapping[str, Criterion] = field(default_factory=dict)
    """What is demanded where a parameter is not given, by the parameter's name."""

    def usual(self, given: Iterable[str]) -> Criterion:
        """Return what is demanded of a search that gives these parameters."""
        names = set(given)
        return all_of(one for name, one in self.unless.items() if name not in names)
