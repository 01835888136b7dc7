"""What a subscription is to be told of: filters of a topic, or a search, become a Criterion.

A filter is written in one of the forms that the R4 backport knows: ``param=value``,
``param:modifier=value``, ``Type.param=value``, ``Type.param:modifier=value``, and as its examples
have it ``Type?param=value&param=value``. Several filters have to hold together, as the parts of
one with ``&`` do; a comma in a value means that one of the values is enough.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote_plus

from xds.dsubm import vocabulary as v
from xds.dsubm.topics import Topic
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.search.parameters import (
    Kind,
    SearchArgument,
    SearchContext,
    SearchParameter,
    comparing,
)
from xds.fhir.search.requests import Plan, Selection, plan, select
from xds.fhir.search.values import Token, unescape
from xds.metadata.criteria import (
    ANYTHING,
    NOTHING,
    And,
    Comparison,
    Criterion,
    Operator,
    any_of,
    is_nothing,
)
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.search import criteria as compare
from xds.mhd.search.parameters import DOCUMENT_REFERENCES, LISTS
from xds.mhd.vocabulary import FOLDER, LIST_TYPES, SUBMISSION_SET
from xds.registry.queries.views import RegistryView

Parameters = Sequence[tuple[str, str]]

_TYPES: Final = ("DocumentReference", "List")
_CLASSIC: Final = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:\?(?P<query>.*))?", re.DOTALL)
_TYPED: Final = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?P<mark>[?.])(?P<rest>.*)", re.DOTALL)
_RESULT: Final = re.compile(
    r"_(?:count|sort|total|summary|elements|include|revinclude|format|pretty)"
)
_PATIENT: Final = "patient"
_OF_PATIENT: Final = frozenset({_PATIENT, "patient.identifier"})
_MOST_FILTERS: Final = 50


class BadFilter(ValueError):
    """A filter or criterion cannot be read; the text says why."""


# --- the forms -----------------------------------------------------------------------------------


def parse_filter(text: str, resource_type: str) -> list[tuple[str, str]]:
    """Return the parameters of a filter on a resource type, decoded; BadFilter."""
    rest = text.strip()
    if (typed := _TYPED.match(rest)) and typed["mark"] == "?":
        _require_type(typed["type"], resource_type)
        rest = typed["rest"]
    pieces = [piece for piece in rest.split("&") if piece]
    if not pieces:
        raise BadFilter("it has no parameter")
    return [_pair(piece, resource_type) for piece in pieces]


def _pair(piece: str, resource_type: str) -> tuple[str, str]:
    name, equals, value = piece.partition("=")
    name = unquote_plus(name).strip()
    if (typed := _TYPED.match(name)) and typed["mark"] == ".":
        _require_type(typed["type"], resource_type)
        name = typed["rest"]
    if not equals or not name:
        raise BadFilter("a part of it is not of the form name=value")
    if not value.strip():
        raise BadFilter(f"{name[:100]} has no value")
    if name == _PATIENT and "=" in value:
        raise BadFilter(
            "patient has a reference such as Patient/1; an identifier is written "
            "patient.identifier=system|value"
        )
    return name, _decoded(value)


def _decoded(value: str) -> str:
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        raise BadFilter("a value is not in UTF-8") from None


def _require_type(named: str, resource_type: str) -> None:
    if named != resource_type:
        raise BadFilter(f"it is of {named[:100]}, and the topic is about {resource_type}")


def is_search(criteria: str) -> bool:
    """Tell whether criteria are a search as R4 has it, and not the canonical URL of a topic."""
    return _CLASSIC.fullmatch(criteria) is not None


def parse_search(criteria: str) -> tuple[str, list[tuple[str, str]]]:
    """Return resource type and parameters of criteria that are a search (R4, Subscription)."""
    found = _CLASSIC.fullmatch(criteria)
    if found is None or found["type"] not in _TYPES:
        raise BadFilter(
            f"it is neither the canonical URL of a topic nor a search of {' or '.join(_TYPES)}"
        )
    pieces = [piece for piece in (found["query"] or "").split("&") if piece]
    return found["type"], [_pair(piece, found["type"]) for piece in pieces]


# --- the parameters ------------------------------------------------------------------------------

_LIST_CODES: Final[Mapping[Kind, str]] = {SubmissionSet: SUBMISSION_SET, Folder: FOLDER}


@comparing()
def _list_codes(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the code of a List, in MHD's code system, in DSUBm's, or in none."""
    tokens = [Token.parse(value) for value in asked.values]
    is_meant = any(
        token.system in (None, LIST_TYPES, v.LIST_TYPES)
        and token.value.lower() in ("", _LIST_CODES[where.kind])
        for token in tokens
    )
    return ANYTHING if is_meant else NOTHING


@comparing()
def _identifiers(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare identifiers of objects that may not be there yet."""
    tokens = compare.identifying(asked)
    others = tuple(compare.further_identifier(token) for token in tokens)
    beside = Comparison("further_identifiers", Operator.EQUAL, others)
    return any_of([compare.own_identifiers(tokens, where), beside])


@comparing()
def _authors(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare how a given or family name of an author begins, in any case."""
    values = tuple(unescape(value).strip() for value in asked.values)
    names = ("author_family", "author_given")
    return any_of(Comparison(name, Operator.STARTS, values) for name in names)


@comparing()
def _recipients(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare a name or an identifier within an intended recipient, in any case."""
    tokens = compare.identifying(asked)
    return Comparison(attribute, Operator.CONTAINS, tuple(token.value for token in tokens))


def _own(name: str, type_: str, documentation: str, **more: object) -> SearchParameter:
    made: dict[str, object] = {"name": name, "type": type_, "documentation": documentation, **more}
    return SearchParameter(**made)  # type: ignore[arg-type]


_AUTHOR: Final = _own(
    "author",
    "string",
    "How a given or family name of an author begins, in any case.",
    comparator=_authors,
    attributes={DocumentEntry: "author"},
)
_IDENTIFIER: Final = "identifier"


def _for_subscriptions(row: SearchParameter) -> SearchParameter:
    """Return a row of a search as it is decided for objects that come later."""
    return replace(row, comparator=_identifiers) if row.name == _IDENTIFIER else row


_DOCUMENTS: Final = (*map(_for_subscriptions, DOCUMENT_REFERENCES.parameters), _AUTHOR)
_PACKAGES: Final = (
    *(_for_subscriptions(row) for row in LISTS.parameters if row.name != "code"),
    replace(next(row for row in LISTS.parameters if row.name == "code"), comparator=_list_codes),
    _own(
        "source",
        "string",
        "How a given or family name of an author of the SubmissionSet begins, in any case.",
        comparator=_authors,
        attributes={SubmissionSet: "author"},
    ),
    _own(
        "intendedRecipient",
        "token",
        "A name or an identifier of an intended recipient, in any case.",
        comparator=_recipients,
        attributes={SubmissionSet: "intended_recipient"},
    ),
)
_BY_TYPE: Final = {"DocumentReference": _DOCUMENTS, "List": _PACKAGES}
_PARTS_OF_NAMES: Final = {
    "author": ("author.given", "author.family"),
    "source": ("source.given", "source.family"),
}
"""Filters that DSUBm names by one name in one place and by two in another."""


def rows_of(topic: Topic) -> tuple[SearchParameter, ...]:
    """Return the filters of a topic, also under the other names that DSUBm gives them."""
    names = set(topic.filters)
    for whole, parts in _PARTS_OF_NAMES.items():
        if names & {whole, *parts}:
            names |= {whole, *parts}
    return tuple(row for row in _BY_TYPE[topic.resource_type] if row.name in names)


# --- criteria ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watching:
    """By what a filter is read: the registry at this moment, as the subscriber sees it."""

    facade: Facade
    call: Call
    view: RegistryView

    def selections(
        self, pairs: Parameters, rows: Sequence[SearchParameter], told: str
    ) -> list[Selection]:
        """Read parameters by their rows; Refused with all that is wrong.

        A parameter that is not in the table is wrong: passed over, it would leave the subscriber
        with notifications that it has not asked for.
        """
        selections, unknown, wrong = select(pairs, rows)
        problems = IssueCollector()
        problems.add(wrong)
        for name in unknown:
            problems.error("not-supported", f"{name[:100]}: {told}")
        problems.raise_if_any()
        return selections

    def plans(self, selections: Sequence[Selection], kinds: Sequence[Kind]) -> tuple[Plan, ...]:
        """Return what objects of each kind have to meet; Refused with all that is wrong."""
        strict = replace(self.call, prefer={"handling": "strict"})
        planned = plan(strict, selections, kinds, self.facade.names, self.view)
        if not planned.plans or any(_is_never_met(one.criterion) for one in planned.plans):
            raise Refused.because(
                422,
                "business-rule",
                "the filters can never be met: they exclude one another, or name a patient or a "
                "community that is not known here",
            )
        return planned.plans


def _is_never_met(criterion: Criterion) -> bool:
    """Tell whether a part of what has to hold is NOTHING."""
    return is_nothing(criterion) or (
        isinstance(criterion, And) and any(map(_is_never_met, criterion))
    )


def watched_by_topic(topic: Topic, texts: Iterable[str], watching: Watching) -> tuple[Plan, ...]:
    """Return what the filters of a subscription to a topic ask for; Refused."""
    pairs: list[tuple[str, str]] = []
    problems = IssueCollector()
    for text in texts:
        try:
            pairs += parse_filter(text, topic.resource_type)
        except BadFilter as reason:
            problems.error("invalid", f"the filter cannot be read: {reason}")
    problems.raise_if_any()
    told = f"is no filter of this topic, whose filters are {', '.join(topic.filters)}"
    selections = watching.selections(pairs, rows_of(topic), told)
    for wrong in _not_of_topic(topic, selections):
        problems.error("business-rule", wrong, status=422)
    problems.raise_if_any()
    return watching.plans(selections, (topic.kind,))


def _not_of_topic(topic: Topic, selections: Sequence[Selection]) -> Iterator[str]:
    """Yield what the topic does not admit (DSUBm 2:3.110.4.1.2.1)."""
    if len(selections) > _MOST_FILTERS:
        yield f"more than {_MOST_FILTERS} filters"
    for one in selections:
        if one.row.name in topic.single and len(one.asked.values) > 1:
            yield f"{one.row.name} takes one value"
    named = {one.row.name for one in selections if not one.asked.modifier}
    if topic.of_patient and not _OF_PATIENT & named:
        yield "one of patient, patient.identifier is required by this topic"


def watched_by_search(criteria: str, watching: Watching) -> tuple[Plan, ...]:
    """Return what criteria that are a search ask for; Refused."""
    try:
        resource_type, pairs = parse_search(criteria)
    except BadFilter as reason:
        raise Refused.because(400, "invalid", f"the criteria cannot be read: {reason}") from None
    searchable = DOCUMENT_REFERENCES if resource_type == "DocumentReference" else LISTS
    told = f"no search of {resource_type} has it"
    selections = watching.selections(pairs, _BY_TYPE[resource_type], told)
    return watching.plans(selections, searchable.kinds)
