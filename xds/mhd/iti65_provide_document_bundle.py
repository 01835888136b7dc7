"""ITI-65 Provide Document Bundle: documents with their metadata in one transaction (2:3.65)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from xds.fhir.datatypes.context import Writing
from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Entry
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import StatedVersion, Submission
from xds.mhd.mapping.patients import patient_resource
from xds.mhd.provide.associations import AssociationReader, PatchTarget, check_patch
from xds.mhd.provide.attachments import (
    Attachments,
    OnDemand,
    attachment_path,
    check_every_content_is_used,
)
from xds.mhd.provide.bundle import EntryKind, SubmittedEntries
from xds.mhd.provide.document_manifest import retold
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.publishing import (
    ALONE,
    Completeness,
    DocumentContent,
    FurtherRegistrations,
    Places,
    check_lengths,
    fitted,
    on_demand,
    register,
    stage,
    staging,
)
from xds.mhd.provide.subjects import note_subjects
from xds.mhd.provide.submitted_objects import MetadataReader, SubmittedObjects, Thing
from xds.mhd.vocabulary import PROVIDE_BUNDLE_RESPONSE
from xds.registry.queries.views import KnownPatient
from xds.repository.store import StagedDocument

_CREATED: Final = "201 Created"
_OK: Final = "200 OK"


@dataclass(frozen=True, slots=True)
class _SubmissionPlan:
    """A request that was read and resolved."""

    objects: SubmittedObjects
    associations: Sequence[Association]
    expressions: Mapping[str, str]
    """FHIRPaths by the ids of objects and Associations."""
    contents: Mapping[int, DocumentContent]
    """The documents, by the index of the entry with their DocumentReference."""
    patched: Mapping[int, str]
    """The entryUUID that each PATCH is about, by the index of its entry."""
    updates: Sequence[int] = ()
    """The indices of the PATCHes that are updates."""


ReadUpdates = Callable[
    [Facade, Call, Sequence[tuple[int, Resource]], IssueCollector],
    AbstractContextManager[FurtherRegistrations],
]
"""Reads the PATCH entries that are updates, each with its index, and opens a block for them.

Raises Refused, also with what is in the IssueCollector, and AccessDenied.
"""


@contextmanager
def _no_updates(
    _facade: Facade, _call: Call, _entries: object, issues: IssueCollector
) -> Iterator[FurtherRegistrations]:
    issues.raise_if_any()
    yield ALONE


def provide(facade: Facade, call: Call, updates: ReadUpdates = _no_updates) -> Answer:
    """Store and register what a Bundle brings, all or nothing, and name what was made of it."""
    issues = IssueCollector()
    issues.add(call.warnings)
    submitted = SubmittedEntries.of_bundle(call.resource, base=call.base, problems=issues)
    issues.raise_if_any()
    try:
        return _provided(facade, call, submitted, issues, updates)
    except Refused as refused:
        if submitted.submission_set.resource_type == "List":
            raise
        told = retold(refused.issues, submitted.submission_set.path)
        raise Refused(refused.status, told, refused.headers) from None


def describe(facade: Facade, call: Call) -> None:
    """Note whose documents a Bundle brings."""
    submitted = SubmittedEntries.of_bundle(call.resource, base=call.base, problems=IssueCollector())
    domain = facade.domain
    with domain.registry.view(ANYTHING) as view:
        note_subjects(facade.config, domain.systems, view, call, submitted.entries)


def _provided(
    facade: Facade,
    call: Call,
    submitted: SubmittedEntries,
    issues: IssueCollector,
    updates: ReadUpdates,
) -> Answer:
    with facade.domain.registry.view(call.access.visible) as view:
        plan = _read(
            PendingSubmission(
                config=facade.config,
                systems=facade.domain.systems,
                call=call,
                submitted=submitted,
                view=view,
                issues=issues,
            )
        )
    given = [(index, call.resource["entry"][index]) for index in plan.updates]
    with updates(facade, call, given, issues) as further:
        stated: dict[str, StatedVersion] = {}
        with staging(facade.domain.repository) as documents:
            things = _staged(facade, plan, documents, stated, issues)
            issues.raise_if_any()
        places = Places(plan.expressions, {thing.id: thing for thing in things})
        submission = Submission((*things, *plan.associations))
        issues.add(
            register(facade.domain, call.access, submission, documents, places, further, stated)
        )
    return _answer(facade, call, submitted, plan, issues.warnings)


# --- reading -------------------------------------------------------------------------------------


def _read(pending: PendingSubmission) -> _SubmissionPlan:
    submitted = pending.submitted
    objects = MetadataReader(pending=pending).read()
    reader = AssociationReader(pending=pending, objects=objects)
    reader.read()
    patches = _patches(pending, reader)
    contents = _contents(pending, objects)
    check_every_content_is_used(pending)
    _complete(pending, objects)
    places = {entry.index: entry.path for entry in submitted.entries}
    of_things = {thing.id: places[index] for index, thing in objects.things.items()}
    patched = {index: one.end.logical_id or one.end.uuid for index, one in patches.items()}
    return _SubmissionPlan(
        objects,
        reader.associations,
        {**of_things, **reader.expressions},
        contents,
        patched,
        [index for index, one in patches.items() if one.is_update],
    )


def _patches(pending: PendingSubmission, reader: AssociationReader) -> Mapping[int, PatchTarget]:
    """Return what the PATCH entries are about, by their indices."""
    config = pending.config
    updates = config.offers_by_fhir(config.fhir_patch, has_policy=config.policy is not None)
    entries = pending.submitted.of(EntryKind.PATCH)
    found = {one.index: check_patch(one, reader, updates=updates) for one in entries}
    return {index: one for index, one in found.items() if one is not None}


def _contents(
    pending: PendingSubmission, objects: SubmittedObjects
) -> Mapping[int, DocumentContent]:
    """Find the documents; entries of documents made on demand become On-Demand entries."""
    attachments = Attachments(pending)
    found = [
        (entry, attachments.source(entry)) for entry in pending.submitted.of(EntryKind.DOCUMENT)
    ]
    contents = {e.index: source for e, source in found if isinstance(source, DocumentContent)}
    for entry, source in found:
        if not isinstance(source, OnDemand):
            continue
        thing = objects.things.get(entry.index)
        if isinstance(thing, DocumentEntry):
            repository = pending.config.repository_unique_id
            objects.things[entry.index] = on_demand(thing, source.url, repository)
        if contents:
            pending.issues.error(
                "not-supported",
                "documents made on demand and others cannot be submitted together",
                f"{attachment_path(entry.path)}.url",
            )
    return contents


def _complete(pending: PendingSubmission, objects: SubmittedObjects) -> None:
    submitted, issues = pending.submitted, pending.issues
    completeness = Completeness(
        is_minimal=submitted.is_minimal, accepts_minimal=pending.accepts_minimal
    )
    for entry in submitted.of(EntryKind.SUBMISSION_SET, EntryKind.DOCUMENT, EntryKind.FOLDER):
        if entry.index in objects.things:
            thing = objects.things[entry.index]
            check_lengths(thing, entry.path, issues, mapped=True)
            if entry.kind is EntryKind.DOCUMENT:
                completeness.check_source_patient(entry.resource, entry.path, issues)
            objects.things[entry.index] = completeness.checked(thing, entry.path, issues)


# --- storing -------------------------------------------------------------------------------------


def _staged(
    facade: Facade,
    plan: _SubmissionPlan,
    documents: dict[str, StagedDocument],
    stated: dict[str, StatedVersion],
    problems: IssueCollector,
) -> list[Thing]:
    """Take the documents in, and return the objects as they are to be registered."""
    things: list[Thing] = []
    for index, thing in plan.objects.things.items():
        content = plan.contents.get(index)
        if content is not None and isinstance(thing, DocumentEntry):
            attachment = attachment_path(plan.expressions[thing.id])
            if received := stage(facade, content, attachment, problems):
                documents[thing.id] = staged = received.staged
                if received.stated is not None:
                    stated[thing.id] = received.stated
                thing = fitted(thing, staged, attachment, problems, is_rendered=content.is_rendered)
        things.append(thing)
    return things


# --- answering -----------------------------------------------------------------------------------


def _answer(
    facade: Facade,
    call: Call,
    submitted: SubmittedEntries,
    plan: _SubmissionPlan,
    warnings: Sequence[Issue],
) -> Answer:
    patient = _patient(facade, call, plan) if submitted.of(EntryKind.PATIENT) else None
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = _by_entry(submitted, warnings)
    entries = []
    for entry in submitted.entries:
        is_part = entry.kind is EntryKind.OTHER or entry.index in plan.objects.sources
        is_new = entry.method == "POST" and not is_part
        is_made = entry.method == "PUT" and entry.index in plan.objects.things
        response: Resource = {
            "status": _CREATED if is_new or is_made else _OK,
            "location": _location(entry, submitted, plan, patient),
            "lastModified": now,
        }
        if issues := told.get(entry.index):
            response["outcome"] = operation_outcome(issues)
        answered: Resource = {"response": response}
        if entry.method == "GET" and patient is not None:
            writing = Writing(facade.domain.systems, call.base)
            answered["resource"] = patient_resource(patient, context=writing)
        entries.append(answered)
    return Answer(
        resource={
            "resourceType": "Bundle",
            "meta": {"profile": [PROVIDE_BUNDLE_RESPONSE]},
            "type": "transaction-response",
            "link": [{"relation": "self", "url": call.base}],
            "entry": entries,
        }
    )


def _patient(facade: Facade, call: Call, plan: _SubmissionPlan) -> KnownPatient:
    with facade.domain.registry.view(call.access.visible) as view:
        (patient,) = view.patients([plan.objects.patient_id or ""])
    return patient


def _location(
    entry: Entry, submitted: SubmittedEntries, plan: _SubmissionPlan, patient: KnownPatient | None
) -> str:
    """Return where that can be read which an entry has become; relative to the base."""
    if entry.kind is EntryKind.PATCH:
        return f"DocumentReference/{resource_id(plan.patched[entry.index])}"
    is_subject = entry.kind is EntryKind.PATIENT and entry.index not in plan.objects.sources
    if is_subject and patient is not None:
        return f"Patient/{patient.number}"
    if updated := plan.objects.updated.get(entry.index):
        return f"List/{resource_id(updated.thing.logical_id or updated.thing.id)}"
    if thing := plan.objects.things.get(entry.index):
        kind = "DocumentReference" if isinstance(thing, DocumentEntry) else "List"
        return f"{kind}/{resource_id(thing.id)}"
    for index, content in plan.contents.items():
        if content.entry == entry.index:
            return f"Binary/{resource_id(plan.objects.things[index].id)}"
    # what others refer to became part of them, and the SubmissionSet leads to all of these
    submission_set = plan.objects.things[submitted.submission_set.index]
    return f"List/{resource_id(submission_set.id)}"


def _by_entry(submitted: SubmittedEntries, warnings: Sequence[Issue]) -> Mapping[int, list[Issue]]:
    """Sort warnings by the entry that their expression begins with, or the SubmissionSet's."""
    found: dict[int, list[Issue]] = {}
    places = {entry.place: entry.index for entry in submitted.entries}
    for issue in dict.fromkeys(warnings):
        place = next((one.partition("]")[0] + "]" for one in issue.expression), "")
        found.setdefault(places.get(place, submitted.submission_set.index), []).append(issue)
    return found
