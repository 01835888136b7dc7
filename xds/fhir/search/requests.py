"""How a search request is read by the rows of :mod:`xds.fhir.search.parameters`.

What is not in the table is passed over with a warning, or refused where the client prefers strict
handling (FHIR R4 search, 3.1.1.3.1); what is there and wrong is refused, with an issue for each
parameter.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from xds.fhir.exchange import Call
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.search.parameters import (
    DomainNames,
    Kind,
    SearchArgument,
    SearchContext,
    SearchParameter,
)
from xds.fhir.search.values import split
from xds.metadata.criteria import ANYTHING, NOTHING, Criterion, all_of, given, is_nothing, negated
from xds.registry.queries.views import RegistryView


@dataclass(frozen=True, slots=True)
class Selection:
    """One parameter of a request with its row."""

    row: SearchParameter
    asked: SearchArgument


@dataclass(frozen=True, slots=True)
class Plan:
    """What objects of one kind must be like to be found."""

    kind: Kind
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Planned:
    """A search as it can be made."""

    plans: tuple[Plan, ...]
    applied: tuple[Selection, ...]
    """The parameters that have a part in what is found."""
    warnings: tuple[Issue, ...]


_NAME: Final = re.compile(r"([^:.]+)(?::([^:.]+))?(?:\.([^:.]+)(?::([^:.]+))?)?")
_MOST_VALUES: Final = 1_000
_MOST_QUOTED: Final = 100
"""Characters of a parameter's name that are told."""


def problem(name: str, code: str, diagnostics: str) -> Issue:
    """Return what is wrong with a parameter; the expression is FHIR's for a request's own part."""
    name = name[:_MOST_QUOTED]
    return Issue(code=code, diagnostics=f"{name}: {diagnostics}", expression=(f"http.{name}",))


def is_strict(call: Call) -> bool:
    """Tell whether the client wants an error for what is not understood (Prefer: handling)."""
    return call.prefer.get("handling") == "strict"


def passed_over(call: Call, name: str, diagnostics: str) -> Issue:
    """Return the issue for what has no part in the search: an error where handling is strict."""
    issue = problem(name, "not-supported", diagnostics)
    return issue if is_strict(call) else replace(issue, severity="warning")


def select(
    parameters: Iterable[tuple[str, str]], rows: Sequence[SearchParameter]
) -> tuple[list[Selection], list[str], list[Issue]]:
    """Take parameters apart: what is in the table, the names that are not, and what is wrong."""
    found: list[Selection] = []
    unknown: list[str] = []
    issues: list[Issue] = []
    for name, value in parameters:
        read = _named(name, rows)
        if read is None:
            unknown.append(name)
            continue
        row, modifier, fault = read
        values = tuple(piece for piece in split(value, ",") if piece.strip())
        if fault:
            issues.append(problem(name, "not-supported", fault))
        elif values:
            found.append(Selection(row, SearchArgument(name, modifier, values)))
    if sum(len(one.asked.values) for one in found) > _MOST_VALUES:
        issues.append(Issue(code="too-costly", diagnostics=f"more than {_MOST_VALUES} values"))
    return found, unknown, issues


def _named(name: str, rows: Sequence[SearchParameter]) -> tuple[SearchParameter, str, str] | None:
    """Return the row that a name means, the modifier, and what is wrong with it."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base, middle, chained, last = (part or "" for part in match.groups())
    if middle == "identifier" and not chained:
        chained, middle = middle, ""
    target, modifier = (middle, last) if chained or middle[:1].isupper() else ("", middle)
    full = f"{base}.{chained}" if chained else base
    row = next((row for row in rows if full == row.name or full in row.aliases), None)
    if row is None:
        return None
    if target and target not in row.targets:
        return row, modifier, f"a reference to {target} is not searched by it"
    if modifier and modifier not in row.modifiers:
        return row, modifier, f"the modifier {modifier} is not supported"
    return row, modifier, ""


def require_subject(selections: Iterable[Selection], rows: Iterable[SearchParameter]) -> None:
    """Refuse a search that would look at everybody's objects (MHD 2:3.67.4.1.2).

    Where no row leads to few objects, there are few, and a search may ask for all of them.
    """
    names = [row.name for row in rows if row.finds]
    if not names or any(one.row.finds and not one.asked.modifier for one in selections):
        return
    raise Refused.because(400, "required", f"one of {', '.join(names)} is required")


def plan(
    call: Call,
    selections: Sequence[Selection],
    kinds: Sequence[Kind],
    names: DomainNames,
    view: RegistryView,
    usual: Criterion = ANYTHING,
) -> Planned:
    """Return what is demanded of each kind that can be found; of each there is, ``usual`` as well.

    Raises Refused with an issue for every parameter whose value is wrong.
    """
    has_patient = any(one.row.name.startswith("patient") for one in selections)
    where = [SearchContext(names, view, call.base, kind, has_patient=has_patient) for kind in kinds]
    where = [one for one in where if not _is_barred(selections, one)] or where
    applied, left_out = _applicable(call, selections, where)
    issues: dict[str, Issue] = {one.diagnostics: one for one in left_out}
    made: list[Plan] = []
    for one in where:
        criteria = [usual]
        for selection in applied:
            asked = selection.asked
            try:
                criteria.append(_criterion(selection, one))
            except ValueError as reason:
                issues[asked.name] = problem(asked.name, "value", str(reason))
            warn = selection.row.warn
            if warn is not None and (warning := warn(asked, one)) is not None:
                issues[warning.diagnostics] = warning
        if not is_nothing(criterion := all_of(criteria)):
            made.append(Plan(one.kind, criterion))
    problems = IssueCollector()
    problems.add(issues.values())
    problems.raise_if_any()
    return Planned(tuple(made), tuple(applied), tuple(problems.warnings))


def _applicable(
    call: Call, selections: Iterable[Selection], where: Sequence[SearchContext]
) -> tuple[list[Selection], list[Issue]]:
    """Part parameters from those that do not apply to the only kind that can be found.

    MHD passes over source and sourceId where Folders are asked for (2:3.66.4.1.3).
    """
    kinds = [one.kind for one in where]
    applied: list[Selection] = []
    issues: list[Issue] = []
    for one in selections:
        if len(kinds) == 1 and kinds[0] not in one.row.attributes:
            told = f"passed over, a {kinds[0].__name__} does not have it"
            issues.append(passed_over(call, one.asked.name, told))
        else:
            applied.append(one)
    return applied, issues


def _is_barred(selections: Iterable[Selection], where: SearchContext) -> bool:
    """Tell whether what tells the kind, such as the code of a List, rules this one out."""
    telling = [one for one in selections if one.row.tells_kind]
    with suppress(ValueError):
        return any(is_nothing(_criterion(one, where)) for one in telling)
    return False


def _criterion(selection: Selection, where: SearchContext) -> Criterion:
    row, asked = selection.row, selection.asked
    attribute = row.attributes.get(where.kind)
    if attribute is None:
        return NOTHING
    if asked.modifier == "missing":
        return _missing(asked, attribute)
    assert row.comparator is not None, "a parameter of an object says how it compares"
    criterion = row.comparator.compare(asked, attribute, where)
    return negated(criterion) if asked.modifier == "not" else criterion


def _missing(asked: SearchArgument, attribute: str) -> Criterion:
    match asked.values:
        case ("true",):
            return negated(given(attribute))
        case ("false",):
            return given(attribute)
    raise ValueError("neither true nor false")
