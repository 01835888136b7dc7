"""Updates of DocumentReferences: ``PUT`` by id and conditional (FHIR R4, 3.1.0.4; CH:MHD-1)."""

from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.r4.outcome import operation_outcome
from xds.metadata.objects import DocumentEntry
from xds.mhd.iti67_find_document_references import read
from xds.mhd.updates.changes import change
from xds.mhd.updates.targets import target
from xds.mhd.updates.writing import write
from xds.security.details import PatientDetails


def update(facade: Facade, call: Call) -> Answer:
    """Change the metadata of a document to what the resource says; answer with what it is now."""
    current = target(facade, call)
    found = change(facade, call, current, call.resource)
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
