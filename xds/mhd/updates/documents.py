"""Updates of DocumentReferences: ``PUT`` (CH:MHD-1) and ``PATCH`` (PDSm), by id and conditional."""

from dataclasses import replace
from typing import Final

from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.r4 import structure
from xds.fhir.r4.outcome import Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import DocumentEntry
from xds.mhd.iti67_find_document_references import read
from xds.mhd.updates.changes import change
from xds.mhd.updates.targets import CurrentDocument, target
from xds.mhd.updates.writing import write
from xds.security.details import PatientDetails


def update(facade: Facade, call: Call) -> Answer:
    """Change the metadata of a document to what the resource says; answer with what it is now."""
    return _changed(facade, call, target(facade, call), call.resource)


def patch(facade: Facade, call: Call) -> Answer:
    """Change those elements of a DocumentReference that a patch names; answer as to a PUT."""
    assert call.patch is not None, "the application reads the patch"
    current = target(facade, call)
    return _changed(facade, call, current, call.patch(current.resource))


def update_metadata(facade: Facade, call: Call) -> Answer:
    """Change docStatus, which URL or body says (gematik ISiK, $update-metadata)."""
    current = target(facade, replace(call, parameters=()))
    wanted = {**current.resource, _DOC_STATUS: _doc_status(call)}
    issues = structure.problems(wanted)
    if any(one.severity == "error" for one in issues):
        raise Refused(400, issues)
    return _changed(facade, call, current, wanted)


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


def _changed(facade: Facade, call: Call, current: CurrentDocument, wanted: Resource) -> Answer:
    found = change(facade, call, current, wanted)
    if found.is_nothing:
        call.access.details = PatientDetails((current.entry.patient_id,))
    else:
        write(facade, call, [found])
    return _answer(facade, call, current.entry)


def describe(facade: Facade, call: Call) -> None:
    """Note whose document an update is about."""
    unlimited = target(facade, call)
    call.access.details = PatientDetails((unlimited.entry.patient_id,))


def _answer(facade: Facade, call: Call, entry: DocumentEntry) -> Answer:
    details = call.access.details
    own = resource_id(entry.logical_id or entry.entry_uuid)
    asked = Call(access=call.access, base=call.base, identifier=own)
    answer = read(facade, asked)
    call.access.details = details
    match call.prefer.get("return"):
        case "minimal":
            return Answer(resource=None, headers=answer.headers)
        case "OperationOutcome":
            return Answer(resource=operation_outcome(call.warnings), headers=answer.headers)
    return answer
