"""``_history`` of a resource: every version of it (FHIR R4, 3.1.0.11)."""

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import etag
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.mhd.stored_resources import StoredResources
from xds.security.details import PatientDetails


def history(stored: StoredResources, facade: Facade, call: Call) -> Answer:
    """Answer with all versions that the caller may see, the latest one first.

    Raises Refused 404 where there is nothing, or its latest version is withheld.
    """
    with facade.domain.registry.view(call.access.visible) as view:
        latest = stored.latest(view, call.identifier)
        found = stored.versions(view, call.identifier) if latest else []
        resources = [one.resource() for one in stored.render(facade, call.base, view, found)]
    call.access.details = PatientDetails(tuple(one.found.patient_id for one in latest))
    if not found:
        raise Refused.because(404, "not-found", "there is no such resource")
    url = f"{call.base}/{stored.resource_type}/{call.identifier}"
    return Answer(
        resource={
            "resourceType": "Bundle",
            "type": "history",
            "total": len(resources),
            "link": [{"relation": "self", "url": f"{url}/_history"}],
            "entry": [_entry(one, url) for one in resources],
        }
    )


def _entry(resource: Resource, url: str) -> Resource:
    meta = resource["meta"]
    kind = resource["resourceType"]
    is_first = meta["versionId"].partition("-")[0] == "1"
    return {
        "fullUrl": url,
        "resource": resource,
        "request": {
            "method": "POST" if is_first else "PUT",
            "url": kind if is_first else f"{kind}/{resource['id']}",
        },
        "response": {
            "status": "201" if is_first else "200",
            "etag": etag(resource),
            "lastModified": meta["lastUpdated"],
        },
    }
