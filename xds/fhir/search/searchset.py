"""A search from request to Bundle: what ITI-66, ITI-67 and the search of Patients share.

The answer is a searchset (MHD 2:3.66.4.2, 2:3.67.4.2): every match with its absolute URL, the
total, links that lead on, and what there is to warn of in an OperationOutcome.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

from xds.errors import TransactionFailure
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import etag, require_current
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.json import MadeLater, Rendered
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome, refusal
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import PAGE, ResultPage, ResultParameters, page_of, result_parameters
from xds.fhir.search.parameters import Searchable
from xds.fhir.search.requests import Plan, Selection, passed_over, plan, require_subject, select
from xds.fhir.search.subsets import subset
from xds.metadata.criteria import ANYTHING, Criterion, values_equal_to
from xds.registry.queries.views import Found, RegistryView
from xds.security.details import QueryDetails

Render = Callable[[Facade, str, RegistryView, Sequence[Found[Any]]], Iterable[Rendered]]
"""Makes resources of what was found, for the FHIR base that is given; outside of the view, too."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search request, read."""

    call: Call
    searchable: Searchable
    selections: tuple[Selection, ...]
    wanted: ResultParameters
    warnings: tuple[Issue, ...] = ()
    """What of the request has no part in the search."""

    @property
    def usual(self) -> Criterion:
        """What is demanded beside what the parameters say."""
        return self.searchable.usual(one.row.name for one in self.selections)

    @classmethod
    def read(cls, call: Call, searchable: Searchable) -> "SearchRequest":
        """Read a search of one resource type; Refused with all that is wrong with its names."""
        rows = searchable.parameters
        wanted, names, issues = result_parameters(call, rows)
        others = [(name, value) for name, value in call.parameters if name in names]
        selections, unknown, wrong = select(others, rows)
        told = f"passed over, a search of {searchable.resource_type} has no such parameter"
        problems = IssueCollector()
        problems.add([*issues, *wrong, *(passed_over(call, name, told) for name in unknown)])
        problems.raise_if_any()
        require_subject(selections, rows)
        warnings = tuple(dict.fromkeys(problems.warnings))
        return cls(call, searchable, tuple(selections), wanted, warnings)

    def searchset(
        self,
        profile: str | None,
        found: ResultPage[Any],
        resources: Iterable[Rendered],
    ) -> Resource:
        """Return the Bundle of a page; with parts of resources it does not follow the profile.

        The entries of a large one are made as they are written.
        """
        outcomes = [_outcome(self.warnings)] if self.warnings else []
        made = chain(self._entries(resources), outcomes)
        is_large = len(found.found) > LARGE and not self.wanted.parts
        entries = MadeLater(made) if is_large else list(made)
        bundle: Resource = {"resourceType": "Bundle"}
        if profile and not self.wanted.parts:
            bundle["meta"] = {"profile": [profile]}
        bundle |= {"type": "searchset", "total": found.total, "link": list(self._links(found))}
        if entries:
            bundle["entry"] = entries
        return bundle

    def _entries(self, resources: Iterable[Rendered]) -> Iterator[Resource]:
        whole = not self.wanted.parts
        root = f"{self.call.base}/{self.searchable.resource_type}/"
        for rendered in resources:
            yield {
                "fullUrl": root + rendered.identifier,
                "resource": rendered if whole else subset(rendered.resource(), self.wanted),
                "search": {"mode": "match"},
            }

    def _links(self, found: ResultPage[Any]) -> Iterator[Resource]:
        asked = [(one.asked.name, ",".join(one.asked.values)) for one in self.selections]
        parameters = [*asked, *self.wanted.stated]
        plain = [(name, value) for name, value in parameters if name != PAGE]
        yield self._link("self", parameters)
        if found.previous or found.following:
            yield self._link("first", plain)
        if found.previous:
            yield self._link("previous", [*plain, (PAGE, found.previous)])
        if found.following:
            yield self._link("next", [*plain, (PAGE, found.following)])

    def _link(self, relation: str, parameters: Iterable[tuple[str, str]]) -> Resource:
        query = "&".join(f"{quote(n, _PLAIN)}={quote(v, _PLAIN)}" for n, v in parameters)
        url = f"{self.call.base}/{self.searchable.resource_type}"
        return {"relation": relation, "url": f"{url}?{query}" if query else url}


LARGE: Final = 200
"""Resources beyond which a page is not held in memory."""

_PLAIN: Final = ":/,@$"
"""What stands for itself in a query (RFC 3986 3.4), and is part of FHIR's way to write values."""


def _outcome(warnings: Iterable[Issue]) -> Resource:
    return {
        "fullUrl": uuid4().urn,
        "resource": operation_outcome(warnings),
        "search": {"mode": "outcome"},
    }


def find(
    facade: Facade, call: Call, searchable: Searchable, profile: str, render: Render
) -> Answer:
    """Answer a search of what is registered; Refused where the request is wrong."""
    search = SearchRequest.read(call, searchable)
    try:
        with facade.domain.registry.view(call.access.visible) as view:
            planned = plan(
                call, search.selections, searchable.kinds, facade.names, view, search.usual
            )
            search = replace(
                search,
                selections=planned.applied,
                warnings=(*search.warnings, *planned.warnings),
            )
            details = _details(call, searchable.resource_type, planned.plans)
            call.access.details = details
            found = page_of(view, planned.plans, search.wanted)
            patient_ids = [one.found.patient_id for one in found.found]
            call.access.details = replace(
                details,
                patient_ids=lambda: (*details.patient_ids(), *patient_ids),
                results=len(patient_ids),
            )
            resources = render(facade, call.base, view, found.found)
    except TransactionFailure as failure:
        raise refusal(failure) from failure
    return Answer(resource=search.searchset(profile, found, resources))


def describe(searchable: Searchable, facade: Facade, call: Call) -> None:
    """Say what is asked, and of whom, without a search; Refused where the request is wrong."""
    search = SearchRequest.read(call, searchable)
    with facade.domain.registry.view(ANYTHING) as view:
        planned = plan(call, search.selections, searchable.kinds, facade.names, view, search.usual)
    call.access.details = _details(call, searchable.resource_type, planned.plans)


def _details(call: Call, resource_type: str, planned: Sequence[Plan]) -> QueryDetails:
    criteria = [plan.criterion for plan in planned]
    return QueryDetails(
        resource_type,
        lambda: f"{resource_type}?{urlencode(call.parameters)}",
        lambda: values_equal_to(criteria, "patient_id"),
    )


def state(found: Found[Any], base: str) -> tuple[Hashable, ...]:
    """Return everything in which the resource of an object may differ, but for its relations."""
    one = found.found
    return (
        base,
        one.entry_uuid,
        one.availability_status,
        one.patient_id,
        found.patient,
        one.last_update_time,
        found.last_updated_at,
    )


def read(
    call: Call,
    searchable: Searchable,
    resource: Resource | None,
    last_updated_at: str | None = None,
) -> Answer:
    """Answer the read of one resource, or of parts of it; Refused where it is not there."""
    if resource is None:
        raise Refused.because(404, "not-found", "there is no such resource")
    wanted, _, issues = result_parameters(call, searchable.parameters)
    problems = IssueCollector()
    problems.add(issues)
    problems.raise_if_any()
    require_current(call.version, resource["meta"]["versionId"])
    headers = {"ETag": etag(resource)}
    if last_updated_at:
        time = datetime.strptime(last_updated_at, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        headers["Last-Modified"] = format_datetime(time, usegmt=True)
    return Answer(resource=subset(resource, wanted), headers=headers)
