"""Updates of resources: ``PUT`` (CH:MHD-1) and ``PATCH`` (PDSm), by id and conditional.

What an update is about is one resource, by its id or by a search, in its latest version.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.conditional import entity_tags
from xds.fhir.r4 import structure
from xds.fhir.r4.outcome import Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.search.requests import plan
from xds.fhir.search.searchset import SearchRequest
from xds.fhir.vocabulary import ENTERED_IN_ERROR
from xds.mhd.stored_resources import StoredResources, number_of
from xds.mhd.updates.comparison import STALE, CurrentResource, MetadataChange
from xds.mhd.updates.writing import write
from xds.registry.queries.search import Page
from xds.registry.queries.views import Found, RegistryView
from xds.security.access import Access
from xds.security.details import PatientDetails, distinct

ChangeOf = Callable[[Facade, Call, CurrentResource, Resource], MetadataChange | None]
"""Returns what a resource changes, None where it can change nothing; Refused."""


@dataclass(frozen=True, slots=True)
class UpdatableResources:
    """The resources of one type, as they are updated."""

    stored: StoredResources
    change: ChangeOf

    def current(self, facade: Facade, call: Call) -> CurrentResource:
        """Return the resource that a request is about; Refused as :func:`target`."""
        return target(facade, call, self.stored)

    def update(self, facade: Facade, call: Call) -> Answer:
        """Change what is registered to what the resource says; answer with what it is now."""
        return self._changed(facade, call, self.current(facade, call), call.resource)

    def patch(self, facade: Facade, call: Call) -> Answer:
        """Change those elements of a resource that a patch names; answer as to a PUT."""
        assert call.patch is not None, "the application reads the patch"
        current = self.current(facade, call)
        return self._changed(facade, call, current, call.patch(current.resource))

    def update_metadata(self, facade: Facade, call: Call) -> Answer:
        """Change docStatus, which URL or body says (gematik ISiK, $update-metadata)."""
        current = self.current(facade, replace(call, parameters=()))
        wanted = {**current.resource, _DOC_STATUS: _doc_status(call)}
        if wanted[_DOC_STATUS] == ENTERED_IN_ERROR and facade.config.fhir_entered_in_error == "yes":
            wanted["status"] = ENTERED_IN_ERROR  # so a document is withdrawn (ISiK stage 5)
        issues = structure.problems(wanted)
        if any(one.severity == "error" for one in issues):
            raise Refused(400, issues)
        return self._changed(facade, call, current, wanted)

    def describe(self, facade: Facade, call: Call) -> None:
        """Note whose resource an update is about."""
        found = self.current(facade, call)
        call.access.details = PatientDetails((found.thing.patient_id,))

    def _changed(
        self, facade: Facade, call: Call, current: CurrentResource, wanted: Resource
    ) -> Answer:
        found = self.change(facade, call, current, wanted)
        if found is None or found.is_nothing:
            call.access.details = PatientDetails((current.thing.patient_id,))
        else:
            write(facade, call, [found])
        return self._answer(facade, call, current)

    def _answer(self, facade: Facade, call: Call, current: CurrentResource) -> Answer:
        details = call.access.details
        asked = Call(access=call.access, base=call.base, identifier=current.id)
        answer = self.stored.read(facade, asked)
        call.access.details = details
        match call.prefer.get("return"):
            case "minimal":
                return Answer(resource=None, headers=answer.headers)
            case "OperationOutcome":
                outcome = operation_outcome(call.warnings)
                return Answer(resource=outcome, headers=answer.headers)
        return answer


_DOC_STATUS: Final = "docStatus"


def _doc_status(call: Call) -> str:
    """Return the one value; Refused where there is none, or another parameter."""
    found = [one for one in call.parameters if one[0] not in ("_format", "_pretty")]
    for one in call.resource.get("parameter") or ():
        found.append((one["name"], str(one.get("valueCode", ""))))
    if [name for name, _ in found] != [_DOC_STATUS]:
        reason = "the operation has one parameter, docStatus, of type code"
        raise Refused.because(400, "not-supported", reason)
    return found[0][1]


# --- what an update is about ------------------------------------------------------------

_ANY: Final = "*"


def target(facade: Facade, call: Call, stored: StoredResources) -> CurrentResource:
    """Return what the URL of a request names, and note its patient for the record of a refusal.

    Raises Refused: 404 where there is nothing, 412 where several things are found, or where what
    is there is not what If-Match demands.
    """
    with facade.domain.registry.view(call.access.visible) as view:
        found = list(_found(facade, call, stored, view))
        resources = list(stored.render(facade, call.base, view, found[:1]))
        uuids = frozenset(_uuids(view, found[0])) if found else frozenset()
    if not found:
        raise Refused.because(404, "not-found", "there is no such resource")
    if len(found) > 1:
        raise Refused.because(412, "multiple-matches", "the search finds several resources")
    current = CurrentResource(found[0].thing, resources[0].resource(), uuids)
    _note_patient(call.access, current.thing.patient_id)
    _require_match(call.if_match, current.resource["meta"]["versionId"])
    return current


def _note_patient(access: Access, patient_id: str | None) -> None:
    """Add a patient to those whom a request, or the transaction that it is of, is about."""
    known = access.details.patient_ids if isinstance(access.details, PatientDetails) else ()
    access.details = PatientDetails(distinct((*known, patient_id)))


def _uuids(view: RegistryView, latest: Found[Any]) -> Iterator[str]:
    yield latest.found.entry_uuid
    if number_of(latest) > 1:
        own = latest.thing.logical_id
        yield own
        yield from view.version_uuids(type(latest.thing), own)


def _found(
    facade: Facade, call: Call, stored: StoredResources, view: RegistryView
) -> Iterator[Found[Any]]:
    """Find what is demanded of the resource by its id, or by the parameters."""
    if call.identifier:
        yield from stored.latest(view, call.identifier)
        return
    search = SearchRequest.read(call, stored.searchable)
    planned = plan(
        call, search.selections, stored.searchable.kinds, facade.names, view, search.usual
    )
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
