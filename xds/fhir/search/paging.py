"""What a search wants of its result, and the page of it that is given (FHIR R4 search, 3.1.1.5).

A page begins after an object, not at a number: the link to the next one holds what that object is
sorted by and when it was registered. So no later submission shifts a page, and nothing that goes
away makes a client miss the object behind it. Without ``_count`` a page is all that a query may
return, so that who does not page is told everything or sees that there is more.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson

from xds.fhir.exchange import Call
from xds.fhir.r4.outcome import Issue
from xds.fhir.search.parameters import Kind, SearchParameter
from xds.fhir.search.requests import Plan, passed_over, problem
from xds.fhir.search.values import split
from xds.metadata import datatypes
from xds.metadata.criteria import (
    NOTHING,
    Criterion,
    all_of,
    any_of,
    before,
    equal,
    given,
    is_nothing,
    negated,
    since,
)
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.searched import OF_REGISTRY, Searched
from xds.registry.queries.search import Order, Page
from xds.registry.queries.views import Found, RegistryView

T = TypeVar("T")

_RESULT: Final = {
    "_count": ("number", "At most so many matches on a page; 0 as _summary=count."),
    "_sort": ("string", "What to sort by, - for descending: dates, size; else by registration."),
    "_total": ("token", "none, estimate or accurate; the total is always there and accurate."),
    "_summary": ("token", "true, text, data, count or false."),
    "_elements": ("string", "The elements wanted, with commas between."),
}
RESULT_PARAMETERS: Final = tuple(
    SearchParameter(name=name, type=kind, documentation=documentation)
    for name, (kind, documentation) in _RESULT.items()
)
"""What every search takes beside the parameters of its resource type."""
OF_PARTS: Final = frozenset({"_summary", "_elements"})
"""Those that a read takes as well."""

PAGE: Final = "_page"
"""The parameter by which links lead to a page; it means nothing to clients."""
_FORMS: Final = frozenset({"_format", "_pretty"})
"""Read by the binding, and kept in links."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One thing to sort by."""

    row: SearchParameter
    descending: bool = False

    @property
    def is_of_times(self) -> bool:
        """Whether times are sorted, and else numbers."""
        kinds = self.row.attributes.items()
        return all(kind.searched_as(name) is Searched.TIME for kind, name in kinds)

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.row.name}"


@dataclass(frozen=True, slots=True)
class Position:
    """The place of an object in the order of a result."""

    keys: tuple[str | None, ...]
    """What it is sorted by: digits, of a time 14."""
    kind: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultParameters:
    """What is wanted of a result."""

    size: int | None = None
    sort: tuple[Sort, ...] = ()
    summary: str = "false"
    elements: frozenset[str] = frozenset()
    position: Position | None = None
    """The object that the page begins after."""
    backwards: bool = False
    """Whether it ends before that object instead."""
    stated: tuple[tuple[str, str], ...] = ()
    """The parameters that say all this, as far as they are applied."""

    @property
    def only_counts(self) -> bool:
        """Whether nothing but the total is wanted."""
        return self.summary == "count" or self.size == 0

    @property
    def parts(self) -> bool:
        """Whether parts of the resources are wanted, not all of them."""
        return bool(self.elements) or self.summary in ("true", "text", "data")


@dataclass(frozen=True, slots=True)
class ResultPage(Generic[T]):
    """One page of a result."""

    found: tuple[T, ...]
    total: int
    previous: str | None = None
    """What leads to the page before this one, where there is one."""
    following: str | None = None


# --- reading what is wanted ----------------------------------------------------------------------


def result_parameters(
    call: Call, rows: Sequence[SearchParameter]
) -> tuple[ResultParameters, list[str], list[Issue]]:
    """Read the result parameters of a request: also the names of all that are none, and issues.

    An issue is a warning where something was passed over. Of a parameter that is given several
    times, the last counts, and the first of those of _FORMS.
    """
    given: dict[str, str] = {}
    forms: dict[str, str] = {}
    others: list[str] = []
    for name, value in call.parameters:
        if name in _READERS and value.strip():
            given[name] = value.strip()
        elif name in _FORMS and value.strip():
            forms.setdefault(name, value)
        elif name not in _READERS and name not in _FORMS:
            others.append(name)
    values: dict[str, Any] = {}
    issues: list[Issue] = []
    for name, value in given.items():
        try:
            values |= _READERS[name](value, rows)
        except ValueError as reason:
            issues.append(problem(name, "value", str(reason)))
    unsorted = values.pop("unsorted", ())
    if unsorted:
        issues.append(passed_over(call, "_sort", f"not sorted by {', '.join(unsorted)}"))
        given["_sort"] = ",".join(map(str, values["sort"]))
    stated = tuple((name, value) for name, value in (given | forms).items() if value)
    made = ResultParameters(**values, stated=stated)
    if made.position is not None and not _is_of_sort(made.position, made.sort):
        issues.append(problem(PAGE, "value", "not a page of this search"))
    return made, others, issues


def wanted_parts(given: Mapping[str, str]) -> tuple[ResultParameters, list[Issue]]:
    """Read which parts of resources are wanted (OF_PARTS), of parameters by name; and issues."""
    values: dict[str, Any] = {}
    issues: list[Issue] = []
    for name in sorted(OF_PARTS & given.keys()):
        try:
            values |= _READERS[name](given[name].strip(), ())
        except ValueError as reason:
            issues.append(problem(name, "value", str(reason)))
    return ResultParameters(**values), issues


def _count(value: str, rows: Sequence[SearchParameter]) -> dict[str, Any]:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError("not a number of matches")
    return {"size": int(value[:12])}


def _sort(value: str, rows: Sequence[SearchParameter]) -> dict[str, Any]:
    sort: list[Sort] = []
    unsorted: list[str] = []
    for piece in filter(None, (one.strip() for one in split(value, ","))):
        name = piece.removeprefix("-")
        row = next((r for r in rows if r.sort and (name == r.name or name in r.aliases)), None)
        if row is None:
            unsorted.append(name)
        elif all(row is not one.row for one in sort):
            sort.append(Sort(row, descending=piece.startswith("-")))
    return {"sort": tuple(sort), "unsorted": unsorted}


def _one_of(field: str, *codes: str) -> "_Reader":
    def read(value: str, rows: Sequence[SearchParameter]) -> dict[str, Any]:
        if value not in codes:
            raise ValueError(f"not one of {', '.join(codes)}")
        return {field: value} if field else {}

    return read


def _elements(value: str, rows: Sequence[SearchParameter]) -> dict[str, Any]:
    names = (one.strip().partition(".")[0] for one in value.split(","))
    return {"elements": frozenset(name for name in names if name)}


def _page(value: str, rows: Sequence[SearchParameter]) -> dict[str, Any]:
    try:
        padded = value + "=" * (-len(value) % 4)
        backwards, kind, number, keys = orjson.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("not a page of this search") from None
    texts = isinstance(keys, list) and all(key is None or _is_digits(key) for key in keys)
    numbers = type(kind) is type(number) is int and 0 <= number < 1 << 62
    if not (texts and numbers and isinstance(backwards, bool)):
        raise ValueError("not a page of this search")
    return {"position": Position(tuple(keys), kind, number), "backwards": backwards}


_MOST: Final = 2**63 - 1
"""What a database has no number beyond."""


def _is_digits(key: object) -> bool:
    """Tell whether it is a number of which there is a next one."""
    if not (isinstance(key, str) and len(key) <= len(str(_MOST)) and key.isascii()):
        return False
    return key.isdecimal() and int(key) < _MOST


def _is_of_sort(position: Position, sort: Sequence[Sort]) -> bool:
    """Tell whether a position has what such a result is sorted by."""
    return len(position.keys) == len(sort) and all(
        key is None or not one.is_of_times or len(key) == _DIGITS_OF_TIME
        for key, one in zip(position.keys, sort, strict=True)
    )


_DIGITS_OF_TIME: Final = 14


def _token(position: Position, *, backwards: bool) -> str:
    content = orjson.dumps([backwards, position.kind, position.number, position.keys])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


_Reader = Callable[[str, Sequence[SearchParameter]], dict[str, Any]]
_READERS: Final[dict[str, _Reader]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _one_of("", "none", "estimate", "accurate"),
    "_summary": _one_of("summary", "true", "text", "data", "count", "false"),
    "_elements": _elements,
    PAGE: _page,
}


# --- giving a page -------------------------------------------------------------------------------

_KINDS: Final[tuple[Kind, ...]] = (DocumentEntry, SubmissionSet, Folder)


def page_of(
    view: RegistryView, plans: Sequence[Plan], wanted: ResultParameters
) -> ResultPage[Found[Any]]:
    """Return the page that is wanted of what meets the plans.

    Raises TransactionFailure where there is too much to look through.
    """
    if not all(view.decides(plan.kind, [plan.criterion]) for plan in plans):
        everything = _merged((_found(view, plan, wanted) for plan in plans), wanted)
        return cut(everything, lambda one: position_of(one, wanted), wanted, view.most)
    if wanted.only_counts:
        return ResultPage((), _counted(view, plans, wanted, beyond=False))
    size = min(wanted.size or view.most, view.most)
    parts = [_fetched(view, plan, wanted, size) for plan in plans]
    found = _merged(parts, wanted, backwards=wanted.backwards)[:size]
    if wanted.position is None and all(len(part) < size for part in parts) and len(found) < size:
        return ResultPage(tuple(found), len(found))
    total = _counted(view, plans, wanted, beyond=False)
    left = total if wanted.position is None else _counted(view, plans, wanted, beyond=True)
    return _page_of(found, total, lambda one: position_of(one, wanted), wanted, left > len(found))


def cut(
    everything: Sequence[T], position: Callable[[T], Position], wanted: ResultParameters, most: int
) -> ResultPage[T]:
    """Return a page of a result that is there as a whole, in its order."""
    if wanted.only_counts:
        return ResultPage((), len(everything))
    size = min(wanted.size or most, most)
    rest = list(everything)
    if wanted.backwards:
        rest.reverse()
    if wanted.position is not None:
        begin = _rank(wanted.position, wanted)
        ranked = [(_rank(position(one), wanted), one) for one in rest]
        rest = [one for rank, one in ranked if (rank < begin if wanted.backwards else rank > begin)]
    return _page_of(rest[:size], len(everything), position, wanted, len(rest) > size)


def _page_of(
    found: Sequence[T],
    total: int,
    position: Callable[[T], Position],
    wanted: ResultParameters,
    more: bool,
) -> ResultPage[T]:
    """Make a sheet of what was found on the way from the position in the direction wanted."""
    shown = tuple(reversed(found)) if wanted.backwards else tuple(found)
    has_previous = more if wanted.backwards else wanted.position is not None
    has_following = wanted.backwards or more
    first = position(shown[0]) if shown else wanted.position
    last = position(shown[-1]) if shown else wanted.position
    return ResultPage(
        shown,
        total,
        _token(first, backwards=True) if has_previous and first else None,
        _token(last, backwards=False) if has_following and last else None,
    )


def position_of(found: Found[Any], wanted: ResultParameters) -> Position:
    """Return the place of an object in the order that is wanted."""
    kind: Any = found.found.kind
    keys = [_key(found, one.row.attributes[kind]) for one in wanted.sort]
    return Position(tuple(keys), _KINDS.index(kind), found.number)


def _key(found: Found[Any], attribute: str) -> str | None:
    """Return what an object is sorted by, as the registry compares it."""
    if attribute in OF_REGISTRY:
        time: str = getattr(found, attribute)
        return time
    value: str | None = getattr(found.thing, attribute)
    if not value:
        return None
    if type(found.thing).searched_as(attribute) is Searched.TIME:
        return datatypes.earliest(value)
    return str(int(value))


def _rank(position: Position, wanted: ResultParameters) -> tuple[Any, ...]:
    """Return what compares as the order is: what is absent comes last, whatever the direction."""
    keys = [
        (key is None, (-1 if one.descending else 1) * int(key or 0))
        for key, one in zip(position.keys, wanted.sort, strict=True)
    ]
    return (*keys, position.kind, position.number)


def _merged(
    parts: Iterable[list[Found[Any]]], wanted: ResultParameters, *, backwards: bool = False
) -> list[Found[Any]]:
    filled = [part for part in parts if part]
    if len(filled) == 1:
        return filled[0]
    everything = [one for part in filled for one in part]
    return sorted(
        everything, key=lambda one: _rank(position_of(one, wanted), wanted), reverse=backwards
    )


def _found(view: RegistryView, plan: Plan, wanted: ResultParameters) -> list[Found[Any]]:
    """Return all that meets a plan."""
    order = [Order(one.row.attributes[plan.kind], one.descending) for one in wanted.sort]
    found: list[Found[Any]] = view.find(plan.kind, [plan.criterion], order=order)
    return found


def _fetched(
    view: RegistryView, plan: Plan, wanted: ResultParameters, size: int
) -> list[Found[Any]]:
    """Return what comes next of one kind, from the position in the direction wanted."""
    criterion = _criterion(plan, wanted, beyond=True)
    if is_nothing(criterion):
        return []
    order = [
        Order(one.row.attributes[plan.kind], one.descending != wanted.backwards, wanted.backwards)
        for one in wanted.sort
    ]
    if wanted.backwards:
        order.append(Order("number", descending=True))
    return view.find(plan.kind, [criterion], order=order, page=Page(size=size))


def _counted(
    view: RegistryView, plans: Sequence[Plan], wanted: ResultParameters, *, beyond: bool
) -> int:
    total = 0
    for plan in plans:
        criterion = _criterion(plan, wanted, beyond=beyond)
        if not is_nothing(criterion):
            kind: Any = plan.kind
            total += view.count(kind, [criterion])
    return total


def _criterion(plan: Plan, wanted: ResultParameters, *, beyond: bool) -> Criterion:
    """Return what objects of one kind have to meet, also to be beyond the position if wanted."""
    if not beyond or wanted.position is None:
        return plan.criterion
    return all_of([plan.criterion, _beyond(plan.kind, wanted.position, wanted)])


# --- beyond a position ---------------------------------------------------------------------------


def _beyond(kind: Kind, position: Position, wanted: ResultParameters) -> Criterion:
    """Return the criterion of what comes after a position, or before it."""
    alternatives = list(_differing(kind, position, wanted))
    equal = [
        _at(one.row.attributes[kind], key)
        for one, key in zip(wanted.sort, position.keys, strict=True)
    ]
    step = _KINDS.index(kind) - position.kind
    if step == 0:
        tie = _further("number", str(position.number), later=not wanted.backwards)
        alternatives.append(all_of([*equal, tie]))
    elif (step < 0) == wanted.backwards:
        alternatives.append(all_of(equal))
    return any_of(alternatives)


def _differing(kind: Kind, position: Position, wanted: ResultParameters) -> Iterator[Criterion]:
    """Yield criteria of what is equal in the first things to sort by and differs in the next."""
    equal: list[Criterion] = []
    for one, key in zip(wanted.sort, position.keys, strict=True):
        attribute = one.row.attributes[kind]
        further: Criterion
        if key is None:
            # the absent come last: behind them is nothing, before them all the others
            further = given(attribute) if wanted.backwards else NOTHING
        else:
            further = _further(attribute, key, later=one.descending == wanted.backwards)
            if not wanted.backwards:
                further = any_of([further, negated(given(attribute))])
        yield all_of([*equal, further])
        equal.append(_at(attribute, key))


def _further(attribute: str, key: str, *, later: bool) -> Criterion:
    # times compare as numbers too, so a second 60 is as good as the next minute
    return since(attribute, _next(key)) if later else before(attribute, key)


def _at(attribute: str, key: str | None) -> Criterion:
    return negated(given(attribute)) if key is None else equal(attribute, [key])


def _next(key: str) -> str:
    return f"{int(key) + 1:014}"
