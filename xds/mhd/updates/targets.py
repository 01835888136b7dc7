"""What an update is about: one resource, by its id or by a search, in its latest version."""

from typing import Final, NamedTuple

from xds.fhir.exchange import Call, Facade
from xds.fhir.http.conditional import entity_tags
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search.requests import plan
from xds.fhir.search.searchset import SearchRequest
from xds.fhir.vocabulary import UUID_URN
from xds.metadata.criteria import Comparison, Criterion, Operator
from xds.metadata.objects import DocumentEntry
from xds.mhd.document_references import rendered
from xds.mhd.search.parameters import DOCUMENT_REFERENCES
from xds.registry.queries.search import Page
from xds.registry.queries.views import RegistryView

_ANY: Final = "*"


class CurrentDocument(NamedTuple):
    """A DocumentReference as it is now."""

    entry: DocumentEntry
    resource: Resource
    """What a read of it gives."""


def target(facade: Facade, call: Call) -> CurrentDocument:
    """Return what the URL of a request names.

    Raises Refused: 404 where there is nothing, 412 where several things are found, or where what
    is there is not what If-Match demands.
    """
    with facade.domain.registry.view(call.access.visible) as view:
        found = view.find(DocumentEntry, [_criterion(facade, call, view)], page=Page(size=2))
        resources = rendered(facade, call.base, view, found[:1])
    if not found:
        raise Refused.because(404, "not-found", "there is no such resource")
    if len(found) > 1:
        raise Refused.because(412, "multiple-matches", "the search finds several resources")
    current = CurrentDocument(found[0].thing, resources[0].resource())
    _require_match(call.if_match, current.resource["meta"]["versionId"])
    return current


def by_id(identifier: str) -> Criterion:
    """Demand the resource of an id."""
    return Comparison("logical_id", Operator.EQUAL, (UUID_URN + identifier,))


def _criterion(facade: Facade, call: Call, view: RegistryView) -> Criterion:
    """Return what is demanded of the resource: its id, or what the parameters say."""
    if call.identifier:
        return by_id(call.identifier)
    search = SearchRequest.read(call, DOCUMENT_REFERENCES)
    planned = plan(call, search.selections, DOCUMENT_REFERENCES.kinds, facade, view)
    if not planned.applied or search.warnings or planned.warnings:
        # a parameter that is passed over would let another resource be changed
        raise Refused.because(
            412, "multiple-matches", "the URL has neither an id nor a search for one resource"
        )
    return planned.plans[0].criterion


def _require_match(if_match: str, version: str) -> None:
    """Refuse what is meant for another version; a number alone is any state of that version."""
    tags = entity_tags(if_match)
    if not if_match or if_match.strip() == _ANY or tags & {version, version.partition("-")[0]}:
        return
    raise Refused.because(
        412,
        "conflict",
        f"the resource has the version {version}, which is none of If-Match",
        error_code="XDSMetadataVersionError",
    )
