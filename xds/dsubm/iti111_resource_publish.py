"""Resource Publish [ITI-111]: what has happened to documents and Lists elsewhere (2:3.111).

Subscribers are told of it, and nothing is registered. A publisher has ``[base]/publish`` as the
address of the broker: at the base itself, a Bundle of the same form is registered (ITI-65).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from xds.errors import TransactionFailure
from xds.fhir.datatypes.context import Mapped, Reading
from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome, refusal
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Entry, InRequest, References, Subject
from xds.metadata import vocabulary as xds
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission
from xds.mhd.mapping.document_references import read_document_reference
from xds.mhd.mapping.lists import read_folder, read_submission_set
from xds.mhd.provide.bundle import EntryKind, list_type
from xds.mhd.provide.subjects import Subjects, note_subjects, subjects_of
from xds.registry import events
from xds.registry.publishing import Publication, publish
from xds.registry.queries.views import RegistryView

Thing = DocumentEntry | SubmissionSet | Folder

_KINDS: Final = {"submissionset": EntryKind.SUBMISSION_SET, "folder": EntryKind.FOLDER}
_READERS: Final[Mapping[str, Callable[..., Mapped[Any]]]] = {
    EntryKind.DOCUMENT: read_document_reference,
    EntryKind.SUBMISSION_SET: read_submission_set,
    EntryKind.FOLDER: read_folder,
}
_METHODS: Final = {"POST": "201 Created", "PUT": "200 OK", "DELETE": "201 Created"}
"""What is answered of each; a deletion as DSUBm has it (2:3.111.4.2.2)."""
_ORDER: Final = (
    *(events.REGISTERED, events.CONTENT_UPDATED, events.UPDATED),
    *(events.DEPRECATED, events.REMOVED),
)
"""A replacement is told as the new document first, then the status of the old one."""


def publish_bundle(facade: Facade, call: Call) -> Answer:
    """Note what a Bundle tells of, all or nothing, for those who have subscribed to it."""
    issues = IssueCollector()
    entries = _entries(call, issues)
    issues.raise_if_any()
    with facade.domain.registry.view(call.access.visible) as view:
        told = _PublishedBundle(facade, call, view, entries, issues).read()
    issues.raise_if_any()
    call.access.submits(Submission(tuple(thing for _, thing, _ in told)))
    try:
        publish(
            facade.domain.database,
            [
                Publication(Submission(tuple(one for _, one, is_so in told if is_so == kind)), kind)
                for kind in _ORDER
            ],
            learn=facade.domain.registry.learn_patients,
            in_commit=call.access.commit,
        )
    except TransactionFailure as failure:
        raise refusal(failure) from None
    return Answer(resource=_answer(call, entries, {entry.index: one for entry, one, _ in told}))


def describe(facade: Facade, call: Call) -> None:
    """Note whose documents a Bundle tells of."""
    entries = tuple(_entries(call, IssueCollector()))
    with facade.domain.registry.view(ANYTHING) as view:
        note_subjects(facade.config, facade.domain.systems, view, call, entries)


def _entries(call: Call, issues: IssueCollector) -> Sequence[Entry]:
    """Take a Bundle apart; what is wrong with it goes to ``issues``."""
    if call.resource.get("type") != "transaction":
        issues.error("value", "Bundle.type must be transaction", "Bundle.type")
    given = call.resource.get("entry") or ()
    entries = [_entry(index, one, call.base) for index, one in enumerate(given)]
    for one in entries:
        if not one.resource and one.type in ("DocumentReference", "List"):
            told = "what has happened to it can only be told with the resource"
            issues.error("required", told, one.path)
        if one.kind not in _READERS:
            continue
        if one.method not in _METHODS:
            told = f"request.method of what is told must be {', '.join(_METHODS)}"
            issues.error("value", told, f"{one.place}.request.method")
    if not any(one.kind in _READERS for one in entries):
        told = "there is neither a DocumentReference nor a List of a SubmissionSet or Folder"
        issues.error("required", told, "Bundle.entry")
    return entries


def _entry(index: int, one: Resource, base: str) -> Entry:
    place, resource = f"Bundle.entry[{index}]", one.get("resource") or {}
    request, resource_type = one.get("request") or {}, resource.get("resourceType", "")
    kind: str = EntryKind.OTHER
    if resource_type == "DocumentReference":
        kind = EntryKind.DOCUMENT
    elif resource_type == "Patient":
        kind = EntryKind.PATIENT
    elif resource_type == "List":
        kind = _KINDS.get(list_type(resource), EntryKind.OTHER)
    return Entry(
        index=index,
        place=place,
        path=f"{place}.resource",
        kind=kind,
        method=request.get("method", ""),
        url=(request.get("url") or "").removeprefix(base).strip("/"),
        full_url=(one.get("fullUrl") or "").rstrip("/"),
        resource=resource,
        resource_type=resource_type,
        is_context=kind not in _READERS,
    )


@dataclass(frozen=True, slots=True)
class _PublishedBundle:
    """The resources of one Bundle, read as objects of XDS."""

    facade: Facade
    call: Call
    view: RegistryView
    entries: Sequence[Entry]
    issues: IssueCollector

    def read(self) -> list[tuple[Entry, Thing, str]]:
        """Return objects with the kinds of their events; what is wrong goes to the issues."""
        references = References(self.call.base, tuple(self.entries))
        domain, config = self.facade.domain, self.facade.config
        found = subjects_of(config, domain.systems, references, self.view, self.issues)
        subjects = replace(found, assign=None)  # whoever has no identifier here has no subscribers
        return [*self._read(references, subjects)]

    def _read(
        self, references: References, subjects: Subjects
    ) -> Iterator[tuple[Entry, Thing, str]]:
        told = [one for one in self.entries if one.kind in _READERS]
        with_subject = next((one for one in told if one.resource.get("subject")), None)
        for one in told:
            reading = Reading(
                systems=self.facade.domain.systems,
                path=one.path,
                resolve=partial(references.resource, full_url=one.full_url),
            )
            with self.issues.gathering():
                patient_id = self._patient_id(one, with_subject, subjects)
                read = _READERS[one.kind]
                mapped = read(one.resource, reading, patient_id=patient_id)
                thing: Thing = mapped.thing
                yield one, _with_status(thing, one), self._kind(one, references)

    def _patient_id(self, one: Entry, other: Entry | None, subjects: Subjects) -> str:
        """Return the patient of a resource, else that of another one, else of the only Patient."""
        bearer = one if one.resource.get("subject") else other
        if bearer is not None:
            path = f"{bearer.path}.subject"
            subject = Subject(bearer.resource["subject"], bearer.resource, path, bearer.full_url)
            return subjects.patient_id(subject)
        patients = [entry for entry in self.entries if entry.kind == EntryKind.PATIENT]
        if len(patients) == 1:
            return subjects.of_entry(patients[0], patients[0].path)
        raise Refused.because(400, "required", "it has no subject", f"{one.path}.subject")

    def _kind(self, one: Entry, references: References) -> str:
        """Return the kind of event that an entry tells of."""
        if one.method == "POST":
            return events.REGISTERED
        if one.method == "DELETE":
            return events.REMOVED
        if one.resource.get("status") in ("superseded", "retired"):
            return events.DEPRECATED
        if one.kind == EntryKind.FOLDER and self._has_new(one, references):
            return events.CONTENT_UPDATED
        return events.UPDATED

    def _has_new(self, folder: Entry, references: References) -> bool:
        """Tell whether a Folder has a document that the Bundle has as new."""
        for item in folder.resource.get("entry") or ():
            found = references.follow(item.get("item") or {}, folder.resource, folder.full_url)
            if isinstance(found, InRequest) and _is_new_document(found.entry):
                return True
        return False


def _is_new_document(one: Entry) -> bool:
    return one.kind == EntryKind.DOCUMENT and one.method == "POST"


def _with_status(thing: Thing, one: Entry) -> Thing:
    is_over = one.resource.get("status") in ("superseded", "retired")
    return thing.updated(availability_status=xds.DEPRECATED if is_over else xds.APPROVED)


def _answer(call: Call, entries: Sequence[Entry], things: dict[int, Thing]) -> Resource:
    answered = []
    for entry in entries:
        thing = things.get(entry.index)
        response: Resource = {"status": _METHODS.get(entry.method, "200 OK")}
        if thing is not None:
            response["location"] = f"{entry.resource_type}/{resource_id(thing.id)}"
            told = "subscribers are told; it is not kept here"
        else:
            response["status"] = "200 OK"
            response["location"] = entry.url or entry.resource_type
            told = "it was read as far as others refer to it"
        response["outcome"] = operation_outcome(
            [Issue(code="informational", severity="information", diagnostics=told)]
        )
        answered.append({"response": response})
    return {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "link": [{"relation": "self", "url": f"{call.base}/publish"}],
        "entry": answered,
    }
