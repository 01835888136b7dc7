"""Searches of what is held in memory: Subscriptions and topics, of which there are few.

Each row of a search parameter is compared by its FHIR type with the texts that a resource has
under its name; several parameters have to hold, of several values one (FHIR R4 search).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

from xds.fhir.exchange import Answer, Call
from xds.fhir.r4 import json
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import Position, cut
from xds.fhir.search.parameters import Searchable
from xds.fhir.search.requests import Selection, problem
from xds.fhir.search.searchset import SearchRequest
from xds.fhir.search.values import Token, unescape
from xds.metadata.criteria import folded
from xds.security.details import QueryDetails

T = TypeVar("T")
Texts = Callable[[T, str], Iterable[str]]
"""Returns what an object has under the name of a search parameter, a token as ``system|code``."""

_MOST: Final = 1_000


def _is_token(wanted: str, held: str) -> bool:
    token = Token.parse(wanted)
    system, bar, code = held.rpartition("|")
    if token.value and token.value != code:
        return False
    return token.system is None or not bar or token.system == system


def _is_uri(wanted: str, held: str) -> bool:
    return unescape(wanted).strip() == held


_COMPARISONS: Final[Mapping[tuple[str, str], Callable[[str, str], bool]]] = {
    ("token", ""): _is_token,
    ("uri", ""): _is_uri,
    ("string", ""): lambda wanted, held: folded(held).startswith(folded(unescape(wanted).strip())),
    ("string", "contains"): lambda wanted, held: folded(unescape(wanted).strip()) in folded(held),
    ("string", "exact"): lambda wanted, held: unescape(wanted) == held,
}
"""By the type of a parameter and the modifier."""


def meets(selections: Iterable[Selection], one: T, texts: "Texts[T]") -> bool:
    """Tell whether an object meets every parameter of a search; Refused for a wrong value."""
    return all(_meets(selection, list(texts(one, selection.row.name))) for selection in selections)


def _meets(selection: Selection, held: Sequence[str]) -> bool:
    row, asked = selection.row, selection.asked
    compare = _COMPARISONS[row.type, asked.modifier]
    try:
        return any(compare(value, text) for value in asked.values for text in held)
    except ValueError as reason:
        raise Refused(400, [problem(asked.name, "value", str(reason))]) from None


def find(
    call: Call,
    searchable: Searchable,
    everything: Sequence[T],
    texts: "Texts[T]",
    render: Callable[[T], Resource],
) -> Answer:
    """Answer a search among all objects that there are for the caller, in their order."""
    search = SearchRequest.read(call, searchable)
    numbered = [
        (number, one)
        for number, one in enumerate(everything)
        if meets(search.selections, one, texts)
    ]
    page = cut(numbered, lambda pair: Position((), 0, pair[0]), search.wanted, _MOST)
    call.access.details = details(call, searchable.resource_type, len(page.found))
    resources = (render(one) for _, one in page.found)
    rendered = [Rendered(one["id"], json.render(one)) for one in resources]
    return Answer(resource=search.searchset(None, page, rendered))


def details(call: Call, resource_type: str, results: int | None = None) -> QueryDetails:
    """Return what a search is about, for the record."""
    return QueryDetails(
        resource_type,
        lambda: f"{resource_type}?{urlencode(call.parameters)}",
        results=results,
    )
