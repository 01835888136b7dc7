"""ITI-105 Simplified Publish: one document within its own DocumentReference (MHD 2:3.105)."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from xds import base64_blocks
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.identifiers import of_kind, resource_id
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Subject
from xds.fhir.vocabulary import CURRENT, ENTRY_UUID
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import Association, DocumentEntry
from xds.mhd.document_references import DOCUMENTS
from xds.mhd.mapping.document_references import read_document_reference
from xds.mhd.provide.associations import AssociationReader
from xds.mhd.provide.attachments import attachment_of, attachment_path
from xds.mhd.provide.bundle import SubmittedEntries
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.publishing import Completeness, DocumentContent, check_modifiers
from xds.mhd.provide.single_document import register_document
from xds.mhd.provide.subjects import note_subjects
from xds.mhd.provide.submitted_objects import SubmittedObjects

_PATH: Final = "DocumentReference"
_ATTACHMENT: Final = attachment_path(_PATH)


def publish(facade: Facade, call: Call) -> Answer:
    """Store the document, and register it in a SubmissionSet of its own."""
    issues = IssueCollector()
    issues.add(call.warnings)
    _check_profile(call.resource, issues)
    submitted = SubmittedEntries.of_document_reference(call.resource)
    with facade.domain.registry.view(call.access.visible) as view:
        pending = PendingSubmission(
            config=facade.config,
            systems=facade.domain.systems,
            call=call,
            submitted=submitted,
            view=view,
            issues=issues,
        )
        entry = _entry(pending)
        associations = _associations(pending, entry) if entry else ()
    issues.raise_if_any()
    assert entry is not None, "what cannot be read is an issue"
    data = attachment_of(call.resource)["data"]
    content = DocumentContent(
        chunks=partial(base64_blocks.decode_text, data), path=f"{_ATTACHMENT}.data"
    )
    entry = register_document(
        facade, call.access, entry, content, issues, associations=associations
    )
    return _answer(facade, call, entry, issues)


def describe(facade: Facade, call: Call) -> None:
    """Note whose document a DocumentReference brings."""
    submitted = SubmittedEntries.of_document_reference(call.resource)
    domain = facade.domain
    with domain.registry.view(ANYTHING) as view:
        note_subjects(facade.config, domain.systems, view, call, submitted.entries)


def _check_profile(resource: Resource, problems: IssueCollector) -> None:
    """Check what the profile SimplifiedPublish adds to R4 (MHD 2:3.105.4.1.2)."""
    attachment = attachment_of(resource)
    check_modifiers(resource, _PATH, problems)
    for name in ("masterIdentifier", "subject"):
        if not resource.get(name):
            problems.error("required", f"{name} is required", f"{_PATH}.{name}")
    if resource.get("status") != CURRENT:
        problems.error("value", "the status of a new document is current", f"{_PATH}.status")
    if len(resource.get("content") or ()) > 1:
        problems.error("invalid", "there is one document, in content[0]", f"{_PATH}.content[1]")
    if "data" not in attachment:
        problems.error("required", "attachment.data has the document", f"{_ATTACHMENT}.data")
    if "url" in attachment:
        reason = "the document is in attachment.data, and nowhere else"
        problems.error("not-supported", reason, f"{_ATTACHMENT}.url")
    for place, _ in of_kind(resource.get("identifier") or [], ENTRY_UUID):
        reason = "the server assigns the entryUUID"
        problems.error("not-supported", reason, f"{_PATH}.identifier[{place}]")


def _entry(pending: PendingSubmission) -> DocumentEntry | None:
    """Read the metadata; None where they cannot be read, which is an issue."""
    resource, issues = pending.call.resource, pending.issues
    patient_id = ""
    if subject := resource.get("subject"):
        with issues.gathering():
            patient_id = pending.subjects.patient_id(Subject(subject, resource, f"{_PATH}.subject"))
    reading = Reading(systems=pending.systems, path=_PATH, resolve=lambda _: None)
    completeness = Completeness(is_minimal=True, accepts_minimal=pending.accepts_minimal)
    with issues.gathering():
        mapped = read_document_reference(resource, reading, patient_id=patient_id)
        issues.add(mapped.warnings)
        completeness.check_source_patient(resource, _PATH, issues)
        return completeness.checked(mapped.thing, _PATH, issues)
    return None


def _associations(pending: PendingSubmission, entry: DocumentEntry) -> Sequence[Association]:
    """Read what the document replaces, transforms, appends to or signs."""
    objects = SubmittedObjects({0: entry}, {}, entry.patient_id)
    reader = AssociationReader(pending=pending, objects=objects)
    reader.read_relations()
    return reader.associations


# --- answering -----------------------------------------------------------------------------------


def _answer(facade: Facade, call: Call, entry: DocumentEntry, problems: IssueCollector) -> Answer:
    """Answer with the DocumentReference, as a read of it would, or as the client prefers."""
    bare_id = resource_id(entry.id)
    wanted = call.prefer.get("return")
    if wanted == "minimal":
        answer = Answer(resource=None)
    elif wanted == "OperationOutcome":
        answer = Answer(resource=operation_outcome(problems.warnings))
    else:
        answer = DOCUMENTS.read(
            facade, Call(access=call.access, base=call.base, identifier=bare_id)
        )
    headers = {**answer.headers, "Location": f"{call.base}/DocumentReference/{bare_id}"}
    return Answer(resource=answer.resource, status=201, headers=headers)
