"""ITI-105 Simplified Publish: one document within its own DocumentReference (MHD 2:3.105)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.identifiers import of_kind, resource_id
from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.r4.outcome import operation_outcome
from xds.fhir.r4.problems import Problems
from xds.fhir.r4.resource import Resource
from xds.fhir.references import References, Subject
from xds.fhir.vocabulary import CURRENT, ENTRY_UUID
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import Submission
from xds.mhd.iti67_find_document_references import read
from xds.mhd.mapping.document_references import read_document_reference
from xds.mhd.provide.associations import Links
from xds.mhd.provide.attachments import attachment_of, attachment_path
from xds.mhd.provide.bundle import ProvideBundle, alone
from xds.mhd.provide.publishing import (
    Completeness,
    DocumentContent,
    Places,
    check_lengths,
    check_modifiers,
    decoded,
    derived_submission_set,
    fitted,
    register,
    stage,
    staging,
)
from xds.mhd.provide.subjects import note_subjects, subjects_of
from xds.mhd.provide.submitted_objects import Provided

_PATH: Final = "DocumentReference"
_ATTACHMENT: Final = attachment_path(_PATH)


@dataclass(frozen=True, slots=True)
class _Read:
    """The metadata of a request."""

    entry: DocumentEntry
    associations: Sequence[Association]
    """What the document replaces, transforms, appends to or signs."""


def publish(facade: Facade, call: Call) -> Answer:
    """Store the document, and register it in a SubmissionSet of its own."""
    problems = Problems()
    problems.warnings.extend(call.warnings)
    _check_profile(call.resource, problems)
    read = _read(facade, call, problems)
    problems.settle()
    assert read is not None, "what cannot be read is a problem"
    data = attachment_of(call.resource)["data"]
    content = DocumentContent(chunks=partial(decoded, data), path=f"{_ATTACHMENT}.data")
    return published(facade, call, read.entry, content, problems, associations=read.associations)


def describe(facade: Facade, call: Call) -> None:
    """Note whose document a DocumentReference brings."""
    note_subjects(facade, call, (alone(call.resource),))


def published(
    facade: Facade,
    call: Call,
    entry: DocumentEntry,
    content: DocumentContent,
    problems: Problems,
    *,
    associations: Sequence[Association] = (),
    path: str = _PATH,
) -> Answer:
    """Store one document with its metadata, and answer with what was made of it.

    ``path`` is the FHIRPath to which errors of the registry are told.
    """
    domain = facade.domain
    attachment = attachment_path(path)
    check_lengths(entry, path, problems, mapped=path == _PATH)
    problems.settle()
    with staging(domain.repository) as documents:
        staged = stage(facade, content, attachment, problems)
        if staged is not None:
            documents[entry.id] = staged
            entry = fitted(entry, staged, attachment, problems, is_rendered=content.is_rendered)
        problems.settle()
    submission_set = derived_submission_set(entry, domain.repository.unique_id)
    held = Association.create(
        association_type=v.HAS_MEMBER,
        source=submission_set.id,
        target=entry.id,
        submission_set_status=v.ORIGINAL,
    )
    things = (submission_set, entry, held, *associations)
    elements = {entry.id: entry} if path == _PATH else {}
    places = Places({thing.id: path for thing in things}, elements)
    register(facade, call.access, Submission(things), documents, places)
    return _answer(facade, call, entry, problems)


def _check_profile(resource: Resource, problems: Problems) -> None:
    """Check what the profile SimplifiedPublish adds to R4 (MHD 2:3.105.4.1.2)."""
    attachment = attachment_of(resource)
    check_modifiers(resource, _PATH, problems)
    for name in ("masterIdentifier", "subject"):
        if not resource.get(name):
            problems.add("required", f"{name} is required", f"{_PATH}.{name}")
    if resource.get("status") != CURRENT:
        problems.add("value", "the status of a new document is current", f"{_PATH}.status")
    if len(resource.get("content") or ()) > 1:
        problems.add("invalid", "there is one document, in content[0]", f"{_PATH}.content[1]")
    if "data" not in attachment:
        problems.add("required", "attachment.data has the document", f"{_ATTACHMENT}.data")
    if "url" in attachment:
        reason = "the document is in attachment.data, and nowhere else"
        problems.add("not-supported", reason, f"{_ATTACHMENT}.url")
    for place, _ in of_kind(resource.get("identifier") or [], ENTRY_UUID):
        reason = "the server assigns the entryUUID"
        problems.add("not-supported", reason, f"{_PATH}.identifier[{place}]")


def _read(facade: Facade, call: Call, problems: Problems) -> _Read | None:
    found = alone(call.resource)
    references = References(call.base)
    systems = facade.domain.systems
    with facade.domain.registry.view(call.access.visible) as view:
        subject = call.resource.get("subject")
        patient_id = ""
        if subject:
            with problems.gathering():
                subjects = subjects_of(facade, references, view, problems)
                wanted = Subject(subject, call.resource, f"{_PATH}.subject")
                patient_id = subjects.patient_id(wanted)
        entry = _entry(facade, call, patient_id, problems)
        if entry is None:
            return None
        links = Links(
            bundle=ProvideBundle((found,), is_minimal=True),
            provided=Provided({0: entry}, {}, patient_id),
            references=references,
            view=view,
            systems=systems,
            problems=problems,
        )
        links.read_relations()
    return _Read(entry, links.associations)


def _entry(facade: Facade, call: Call, patient_id: str, problems: Problems) -> DocumentEntry | None:
    reading = Reading(systems=facade.domain.systems, path=_PATH, resolve=lambda _: None)
    completeness = Completeness(
        is_minimal=True, accepts_minimal=facade.config.minimal_metadata == "accept"
    )
    with problems.gathering():
        mapped = read_document_reference(call.resource, reading, patient_id=patient_id)
        problems.warnings.extend(mapped.warnings)
        completeness.check_source_patient(call.resource, _PATH, problems)
        return completeness.checked(mapped.thing, _PATH, problems)
    return None


# --- answering -----------------------------------------------------------------------------------


def _answer(facade: Facade, call: Call, entry: DocumentEntry, problems: Problems) -> Answer:
    """Answer with the DocumentReference, as a read of it would, or as the client prefers."""
    bare_id = resource_id(entry.id)
    wanted = call.prefer.get("return")
    if wanted == "minimal":
        answer = Answer(resource=None)
    elif wanted == "OperationOutcome":
        answer = Answer(resource=operation_outcome(problems.warnings))
    else:
        answer = read(facade, Call(access=call.access, base=call.base, identifier=bare_id))
    headers = {**answer.headers, "Location": f"{call.base}/DocumentReference/{bare_id}"}
    return Answer(resource=answer.resource, status=201, headers=headers)
