"""``_history`` of a resource: every version of it, the latest one first (FHIR R4, 3.1.0.11)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from xds.fhir.datatypes import times
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import etag
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import (
    OF_PARTS,
    PAGE,
    RESULT_PARAMETERS,
    ResultParameters,
    wanted_parts,
)
from xds.fhir.search.parameters import SearchParameter
from xds.fhir.search.requests import is_strict, problem
from xds.fhir.search.subsets import subset
from xds.metadata import datatypes
from xds.mhd.stored_resources import StoredResources, number_of
from xds.registry.queries.views import Found
from xds.security.details import PatientDetails

_COUNT: Final = "_count"
_SINCE: Final = "_since"
_APPLIED: Final = frozenset({_COUNT, _SINCE}) | OF_PARTS
PARAMETERS: Final = (
    *(one for one in RESULT_PARAMETERS if one.name in _APPLIED),
    SearchParameter(
        name=_SINCE, type="date", documentation="Versions made at this instant or later."
    ),
)
"""What a history is asked by, beside its form."""
_FORMS: Final = frozenset({"_format", "_pretty"})
_MOST: Final = 1_000
"""Versions on one page."""


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Which versions are wanted."""

    size: int
    """The most on one page; 0 where but their number is wanted."""
    since: str
    """DTM of 14 digits: when the oldest one was made."""
    before: int | None
    """The number that the versions of the page are below."""
    parts: ResultParameters
    """Which parts of them (``_summary``, ``_elements``)."""
    stated: tuple[tuple[str, str], ...]
    """The parameters, without the page."""

    @classmethod
    def read(cls, call: Call) -> "HistoryRequest":
        """Read the parameters; Refused with all that is wrong with them.

        One that is not known is passed over, unless handling is to be strict.
        """
        given = {name: value for name, value in call.parameters if value}
        problems = IssueCollector()
        numbers: dict[str, int | None] = {}
        for name in (_COUNT, PAGE):
            text = given.get(name)
            is_number = text is None or (text.isascii() and text.isdecimal() and len(text) < 10)
            if not is_number:
                problems.add([problem(name, "value", "is not a number")])
            numbers[name] = int(text) if text is not None and is_number else None
        since = ""
        try:
            since = datatypes.earliest(times.dtm(given[_SINCE])) if _SINCE in given else ""
        except ValueError as reason:
            problems.add([problem(_SINCE, "value", str(reason))])
        parts, issues = wanted_parts(given)
        problems.add(issues)
        if is_strict(call):
            unknown = given.keys() - _APPLIED - {PAGE} - _FORMS
            problems.add(problem(one, "not-supported", "is not known") for one in sorted(unknown))
        problems.raise_if_any()
        size = 0 if parts.only_counts else numbers[_COUNT]
        stated = tuple(one for one in given.items() if one[0] in _APPLIED | _FORMS)
        most = _MOST if size is None else min(size, _MOST)
        return cls(most, since, numbers[PAGE], parts, stated)

    def page(self, found: Sequence[Found[Any]]) -> tuple[list[Found[Any]], str]:
        """Return the versions of the page, and what leads to the next one, if there is one."""
        rest = [one for one in found if self.before is None or number_of(one) < self.before]
        page = rest[: self.size]
        more = page and len(rest) > len(page)
        return page, str(number_of(page[-1])) if more else ""


def history(stored: StoredResources, facade: Facade, call: Call) -> Answer:
    """Answer with the versions that the caller may see.

    Nothing is kept of what is removed, which has no history then. Raises Refused 404 where there
    is nothing, or its latest version is withheld.
    """
    request = HistoryRequest.read(call)
    with facade.domain.registry.view(call.access.visible) as view:
        latest = stored.latest(view, call.identifier)
        every = stored.versions(view, call.identifier) if latest else []
        found = [one for one in every if one.registered_at >= request.since]
        page, following = request.page(found)
        resources = [one.resource() for one in stored.render(facade, call.base, view, page)]
    call.access.details = PatientDetails(tuple(one.found.patient_id for one in latest))
    if not every:
        raise Refused.because(404, "not-found", "there is no such resource")
    url = f"{call.base}/{stored.resource_type}/{call.identifier}"
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(found),
        "link": list(_links(f"{url}/_history", request, following)),
    }
    if resources:
        both = zip(page, resources, strict=True)
        bundle["entry"] = [_entry(one, resource, url, request.parts) for one, resource in both]
    return Answer(resource=bundle)


def _links(url: str, request: HistoryRequest, following: str) -> Iterator[Resource]:
    own = [(PAGE, str(request.before))] if request.before is not None else []
    yield _link("self", url, [*request.stated, *own])
    if own or following:
        yield _link("first", url, request.stated)
    if following:
        yield _link("next", url, [*request.stated, (PAGE, following)])


def _link(relation: str, url: str, parameters: Sequence[tuple[str, str]]) -> Resource:
    query = urlencode(parameters)
    return {"relation": relation, "url": f"{url}?{query}" if query else url}


def _entry(found: Found[Any], resource: Resource, url: str, parts: ResultParameters) -> Resource:
    """Return the entry of a version: as what request it was made, and when."""
    kind = resource["resourceType"]
    is_first = number_of(found) == 1
    return {
        "fullUrl": url,
        "resource": subset(resource, parts),
        "request": {
            "method": "POST" if is_first else "PUT",
            "url": kind if is_first else f"{kind}/{resource['id']}",
        },
        "response": {
            "status": "201 Created" if is_first else "200 OK",
            "etag": etag(resource),
            "lastModified": times.instant(found.registered_at),
        },
    }
