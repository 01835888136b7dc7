"""Updates of resources: ``PUT`` (CH:MHD-1) and ``PATCH`` (PDSm), by id and conditional."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4 import structure
from xds.fhir.r4.outcome import Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.mhd.document_lists import STORED_LISTS
from xds.mhd.document_references import DOCUMENTS
from xds.mhd.stored_resources import StoredResources
from xds.mhd.updates.comparison import CurrentResource, MetadataChange
from xds.mhd.updates.document_changes import document_change
from xds.mhd.updates.list_changes import list_change
from xds.mhd.updates.targets import target
from xds.mhd.updates.writing import write
from xds.security.details import PatientDetails

ChangeOf = Callable[[Facade, Call, CurrentResource, Resource], MetadataChange | None]
"""Returns what a resource changes, None where it can change nothing; Refused."""


@dataclass(frozen=True, slots=True)
class UpdatableResources:
    """The resources of one type, as they are updated."""

    stored: StoredResources
    change: ChangeOf

    def update(self, facade: Facade, call: Call) -> Answer:
        """Change what is registered to what the resource says; answer with what it is now."""
        return self._changed(facade, call, target(facade, call, self.stored), call.resource)

    def patch(self, facade: Facade, call: Call) -> Answer:
        """Change those elements of a resource that a patch names; answer as to a PUT."""
        assert call.patch is not None, "the application reads the patch"
        current = target(facade, call, self.stored)
        return self._changed(facade, call, current, call.patch(current.resource))

    def update_metadata(self, facade: Facade, call: Call) -> Answer:
        """Change docStatus, which URL or body says (gematik ISiK, $update-metadata)."""
        current = target(facade, replace(call, parameters=()), self.stored)
        wanted = {**current.resource, _DOC_STATUS: _doc_status(call)}
        issues = structure.problems(wanted)
        if any(one.severity == "error" for one in issues):
            raise Refused(400, issues)
        return self._changed(facade, call, current, wanted)

    def describe(self, facade: Facade, call: Call) -> None:
        """Note whose resource an update is about."""
        found = target(facade, call, self.stored)
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


UPDATABLE_DOCUMENTS: Final = UpdatableResources(DOCUMENTS, document_change)
UPDATABLE_LISTS: Final = UpdatableResources(STORED_LISTS, list_change)

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
