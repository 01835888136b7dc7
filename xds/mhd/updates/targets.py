"""What an update is about: one resource, by its id or by a search, in its latest version."""

from collections.abc import Iterator
from typing import Any, Final

from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.http.conditional import entity_tags
from xds.fhir.r4.outcome import Refused
from xds.fhir.search.requests import plan
from xds.fhir.search.searchset import SearchRequest
from xds.mhd.stored_resources import StoredResources
from xds.mhd.updates.comparison import STALE, CurrentResource
from xds.registry.queries.search import Page
from xds.registry.queries.views import Found, RegistryView

_ANY: Final = "*"


def target(facade: Facade, call: Call, stored: StoredResources) -> CurrentResource:
    """Return what the URL of a request names.

    Raises Refused: 404 where there is nothing, 412 where several things are found, or where what
    is there is not what If-Match demands.
    """
    with facade.domain.registry.view(call.access.visible) as view:
        found = list(_found(facade, call, stored, view))
        resources = stored.render(facade, call.base, view, found[:1])
    if not found:
        raise Refused.because(404, "not-found", "there is no such resource")
    if len(found) > 1:
        raise Refused.because(412, "multiple-matches", "the search finds several resources")
    current = CurrentResource(found[0].thing, resources[0].resource())
    _require_match(call.if_match, current.resource["meta"]["versionId"])
    return current


def _found(
    facade: Facade, call: Call, stored: StoredResources, view: RegistryView
) -> Iterator[Found[Any]]:
    """Find what is demanded of the resource by its id, or by the parameters."""
    if call.identifier:
        yield from stored.latest(view, call.identifier)
        return
    search = SearchRequest.read(call, stored.searchable)
    planned = plan(call, search.selections, stored.searchable.kinds, facade.names, view)
    if not planned.applied or search.warnings or planned.warnings:
        # a parameter that is passed over would let another resource be changed
        raise Refused.because(
            412, "multiple-matches", "the URL has neither an id nor a search for one resource"
        )
    for one in planned.plans:
        kind: Any = one.kind
        yield from view.find(kind, [one.criterion], page=Page(size=2))


def _require_match(if_match: str, version: str) -> None:
    """Refuse what is meant for another version; a number alone is any state of that version."""
    tags = entity_tags(if_match)
    if not if_match or if_match.strip() == _ANY or tags & {version, version.partition("-")[0]}:
        return
    raise Refused.because(
        412,
        "conflict",
        f"the resource has the version {version}, which is none of If-Match",
        error_code=STALE,
    )
