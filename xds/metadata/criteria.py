"""Criteria for objects by the names of their attributes: what is searched, and who may see what.

A criterion is data. Parameters of stored queries and of FHIR searches become criteria, a policy is
made of them, the registry makes SQL of them (:mod:`xds.registry.queries.conditions`), and
:func:`evaluate` decides one for an object in memory. Both decide alike: where a value is absent, a
comparison does not hold, and its negation does.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Self

from xds.metadata import datatypes, hl7_escapes
from xds.metadata.objects import DocumentEntry, MetadataObject, SubmissionSet
from xds.metadata.searched import Searched, searchable
from xds.metadata.unique_ids import normal


class Operator(Enum):
    """How the value of an attribute is compared; one of several values is enough."""

    EQUAL = "equal to one of the values"
    OTHER = "there, and none of the values"
    GIVEN = "there, whatever it is"
    LIKE = "like one of the patterns: % and _ are wild, a backslash escapes"
    LIKE_ANY_CASE = "like one of the patterns, where case of the letters A to Z does not matter"
    FROM = "at the value or after it"
    BEFORE = "before the value"
    STARTS = "beginning with one of the values, without case and accents"
    CONTAINS = "containing one of the values, without case and accents"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A criterion for one attribute, or for what the registry knows of an object.

    The latter are ``registered_at``, ``last_updated_at`` and ``number``, the order of registration.
    FROM and BEFORE take one value.
    """

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


def equal(attribute: str, values: Iterable[str]) -> Criterion:
    """Return the criterion that an attribute is equal to one of the values."""
    listed = tuple(dict.fromkeys(values))
    return Comparison(attribute, Operator.EQUAL, listed) if listed else NOTHING


def given(attribute: str) -> Comparison:
    """Return the criterion that an attribute has a value."""
    return Comparison(attribute, Operator.GIVEN)


def since(attribute: str, value: str) -> Comparison:
    """Return the criterion that a time or number is the value or after it."""
    return Comparison(attribute, Operator.FROM, (value,))


def before(attribute: str, value: str) -> Comparison:
    """Return the criterion that a time or number is before the value."""
    return Comparison(attribute, Operator.BEFORE, (value,))


def in_words(criterion: Criterion, hidden: Collection[str] = ()) -> str:
    """Write a criterion for people; of the attributes in ``hidden``, how many values there are."""
    if isinstance(criterion, And | Or):
        if len(criterion) == 1:
            return in_words(criterion[0], hidden)
        word = " and " if isinstance(criterion, And) else " or "
        return word.join(f"({in_words(part, hidden)})" for part in criterion)
    if isinstance(criterion, Not):
        return f"not ({in_words(criterion.criterion, hidden)})"
    operator = criterion.operator.name.lower().replace("_", " ")
    values = " | ".join(criterion.values)
    if criterion.attribute in hidden and criterion.values:
        values = "one value" if len(criterion.values) == 1 else f"{len(criterion.values)} values"
    return f"{criterion.attribute} {operator} {values}".strip()


def comparisons(criterion: Criterion) -> Iterator[Comparison]:
    """Yield the comparisons that a criterion consists of."""
    if isinstance(criterion, Comparison):
        yield criterion
    elif isinstance(criterion, Not):
        yield from comparisons(criterion.criterion)
    else:
        for part in criterion:
            yield from comparisons(part)


def values_equal_to(criteria: Iterable[Criterion], attribute: str) -> Iterator[str]:
    """Yield the values that an attribute is compared with by EQUAL, wherever it is not negated."""
    for criterion in criteria:
        if isinstance(criterion, Or | And):
            yield from values_equal_to(criterion, attribute)
        elif isinstance(criterion, Comparison) and (criterion.attribute, criterion.operator) == (
            attribute,
            Operator.EQUAL,
        ):
            yield from criterion.values


def weakened(
    criterion: Criterion,
    is_kept: Callable[[Comparison], bool],
    *,
    otherwise: Criterion = ANYTHING,
) -> Criterion:
    """Return what a criterion leaves where some of its comparisons cannot be made.

    A comparison that is not kept counts as met where it admits, and as not met where it excludes,
    so that every object which meets the criterion meets what is left. ``otherwise`` is what it
    counts as.
    """
    if isinstance(criterion, Comparison):
        return criterion if is_kept(criterion) else otherwise
    if isinstance(criterion, Not):
        opposite = negated(otherwise)
        return negated(weakened(criterion.criterion, is_kept, otherwise=opposite))
    parts = [weakened(part, is_kept, otherwise=otherwise) for part in criterion]
    return all_of(parts) if isinstance(criterion, And) else any_of(parts)


def of_patient(criterion: Criterion) -> Criterion:
    """Return what a criterion leaves for objects that have a patient and no other attribute."""
    return weakened(criterion, lambda one: one.attribute == "patient_id")


# --- in memory -----------------------------------------------------------------------------------

_NOTHING_KNOWN: Final[Mapping[str, str]] = MappingProxyType({})


def evaluate(
    criterion: Criterion, thing: MetadataObject, known: Mapping[str, str] = _NOTHING_KNOWN
) -> bool:
    """Tell whether an object meets a criterion, as the registry would were it registered.

    ``known`` has what the registry knows of it beside its attributes, as far as that is compared.
    Raises KeyError for an attribute that there is not.
    """
    if isinstance(criterion, And):
        return all(evaluate(part, thing, known) for part in criterion)
    if isinstance(criterion, Or):
        return any(evaluate(part, thing, known) for part in criterion)
    if isinstance(criterion, Not):
        return not evaluate(criterion.criterion, thing, known)
    held = _held(criterion.attribute, thing, known)
    values = tuple(map(searchable, criterion.values))
    if (decide := _BY_TEXT.get(criterion.operator)) is not None:
        return any(decide(text, value) for value in values for text in held)
    return _by_value(criterion, type(thing), held, values)


def _held(attribute: str, thing: MetadataObject, known: Mapping[str, str]) -> tuple[str, ...]:
    if attribute in known:
        return (known[attribute],)
    if (index := type(thing).indexes().get(attribute)) is not None:
        values = index.values(thing)
        return tuple(map(normal, values)) if attribute == "unique_id" else values
    if (names := _AUTHORS.get(attribute)) is not None:
        return tuple(map(searchable, names(thing)))
    return tuple(map(searchable, type(thing).attributes()[attribute].texts(thing)))


def _by_value(
    criterion: Comparison, kind: type[MetadataObject], held: Iterable[str], values: Iterable[str]
) -> bool:
    comparable = _comparable(kind, criterion.attribute)
    own, wanted = set(map(comparable, held)), set(map(comparable, values))
    match criterion.operator:
        case Operator.EQUAL:
            return not own.isdisjoint(wanted)
        case Operator.OTHER:
            return not own <= wanted
        case Operator.FROM:
            return any(one >= other for other in wanted for one in own)
        case Operator.BEFORE:
            return any(one < other for other in wanted for one in own)
    return bool(own)


def _comparable(kind: type[MetadataObject], attribute: str) -> Callable[[str], Any]:
    """Return what makes a text comparable with others, as the columns of the registry do."""
    if attribute == "unique_id":
        return normal
    if attribute == "number":
        return int
    match kind.searched_as(attribute):
        case Searched.TIME:
            return lambda text: int(datatypes.earliest(text))
        case Searched.NUMBER:
            return int
    return str


def demanded(kind: type[MetadataObject], criterion: Criterion) -> Mapping[str, frozenset[Any]]:
    """Return attributes of which every object that meets a criterion has one of some values.

    The values are those of :func:`held`, so that criteria can be found by them.
    """
    if isinstance(criterion, Comparison):
        if criterion.operator is not Operator.EQUAL:
            return {}
        comparable = _comparable(kind, criterion.attribute)
        values = frozenset(comparable(searchable(value)) for value in criterion.values)
        return {criterion.attribute: values}
    if isinstance(criterion, Not):
        return {}
    parts = [demanded(kind, part) for part in criterion]
    if isinstance(criterion, And):
        every = {name: found for part in parts for name, found in part.items()}
        return {name: _fewest(part[name] for part in parts if name in part) for name in every}
    common = set.intersection(*map(set, parts)) if parts else set()
    return {name: frozenset().union(*(part[name] for part in parts)) for name in common}


def _fewest(found: Iterable[frozenset[Any]]) -> frozenset[Any]:
    return min(found, key=len)


def held(
    attribute: str, thing: MetadataObject, known: Mapping[str, str] = _NOTHING_KNOWN
) -> frozenset[Any]:
    """Return the values of an attribute as they are compared."""
    return frozenset(map(_comparable(type(thing), attribute), _held(attribute, thing, known)))


_UPPER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def without_case(text: str) -> str:
    """Return a text with the letters A to Z in lower case, as every database can compare it."""
    return text.lower() if text.isascii() else text.translate(_UPPER)


def folded(text: str) -> str:
    """Return a text without case and accents (FHIR R4 search, string)."""
    apart = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


@lru_cache(1_000)
def _pattern(like: str) -> re.Pattern[str]:
    pieces = re.findall(r"\\(.)|([%_])|([^\\%_]+)", like, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile(
        "".join(
            wild[sign] if sign else re.escape(escaped or text) for escaped, sign, text in pieces
        ),
        re.DOTALL,
    )


def _is_like(text: str, like: str) -> bool:
    return _pattern(like).fullmatch(text) is not None


_BY_TEXT: Final[Mapping[Operator, Callable[[str, str], bool]]] = {
    Operator.LIKE: _is_like,
    Operator.LIKE_ANY_CASE: lambda text, like: _is_like(without_case(text), without_case(like)),
    Operator.STARTS: lambda text, value: folded(text).startswith(folded(value)),
    Operator.CONTAINS: lambda text, value: folded(value) in folded(text),
}


def _persons(thing: MetadataObject) -> Iterator[list[str]]:
    assert isinstance(thing, DocumentEntry | SubmissionSet), "a Folder has no author"
    for author in thing.author:
        for person in author.person:
            parts = person.split("^")
            yield parts + [""] * (4 - len(parts))


def _families(thing: MetadataObject) -> Iterator[str]:
    for person in _persons(thing):
        if family := person[1].partition("&")[0]:
            yield hl7_escapes.unescape(family)


def _givens(thing: MetadataObject) -> Iterator[str]:
    for person in _persons(thing):
        for name in (person[2], person[3], *person[3].split()):
            if name:
                yield hl7_escapes.unescape(name)


_AUTHORS: Final[Mapping[str, Callable[[MetadataObject], Iterable[str]]]] = {
    "author_family": _families,
    "author_given": _givens,
}
"""Parts of an author's name (XCN.2, XCN.3 and XCN.4), which are compared in memory only."""
