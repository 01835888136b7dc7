"""The metadata of an ITI-65 request: its resources become objects of XDS (MHD 2:3.65.4.1.2)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, TypeVar

from xds.fhir.datatypes.context import Mapped, Reading
from xds.fhir.datatypes.identifiers import of_kind, package_unique_id, uuid_of
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.references import ConditionalReference, Entry, Held, InRequest, Subject, entry_uuid
from xds.fhir.vocabulary import CURRENT, ENTRY_UUID, UNIQUE_ID
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Comparison, Operator
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.mapping.document_references import read_document_reference
from xds.mhd.mapping.lists import read_folder, read_submission_set
from xds.mhd.provide.bundle import EntryKind
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.publishing import check_modifiers, new_unique_id
from xds.registry.queries.views import Found

Thing = DocumentEntry | SubmissionSet | Folder
T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)

_MISMATCH: Final = "XDSPatientIdDoesNotMatch"
_READ: Final = frozenset(EntryKind) - {EntryKind.BINARY, EntryKind.FHIR_DOCUMENT}
"""The entries whose resources are read; the others are kept as they are."""


@dataclass(frozen=True, slots=True)
class SubmittedObjects:
    """What the resources of a request have become; by the index of their entries."""

    things: dict[int, Thing]
    """New objects. Missing is what could not be read, which is a problem then."""
    updated: Mapping[int, Found[Folder]]
    """The registered Folders that entries update."""
    patient_id: str | None
    """The patientId of the SubmissionSet."""
    sources: frozenset[int] = frozenset()
    """The Patient entries that are nobody's subject, but say what a document's source knew."""


def _subjects(resource: Resource) -> Iterable[Resource]:
    return [resource["subject"]] if resource.get("subject") else ()


def _other_persons(resource: Resource) -> Iterable[Resource]:
    source = (resource.get("context") or {}).get("sourcePatientInfo")
    return [*(resource.get("author") or ()), *([source] if source else ())]


@dataclass(frozen=True, kw_only=True)
class MetadataReader:
    """Reads the metadata of one request."""

    pending: PendingSubmission
    _things: dict[int, Thing] = field(default_factory=dict)
    _updated: dict[int, Found[Folder]] = field(default_factory=dict)

    def read(self) -> SubmittedObjects:
        """Read all there is; what is wrong goes to the problems."""
        patients = self._patients()
        for entry in self.pending.submitted.of(*_READ):
            check_modifiers(entry.resource, entry.path, self.pending.issues)
        for entry in self._bearers:
            self._check_status(entry)
            patient_id = patients.get(entry.index)
            folder = self._folder_to_update(entry) if entry.method == "PUT" else None
            if folder is not None:
                self._updated[entry.index] = folder
                self._check_update(entry, folder, patient_id)
                continue
            with self.pending.issues.gathering():
                self._things[entry.index] = self._thing(entry, patient_id or "")
        patient_id = patients.get(self.pending.submitted.submission_set.index)
        sources = frozenset(self._check_patient_entries(patient_id))
        return SubmittedObjects(self._things, self._updated, patient_id, sources)

    # --- patients --------------------------------------------------------------------------------

    def _patients(self) -> Mapping[int, str]:
        """Return the patientId of each object; those without subject have that of the others."""
        found: dict[int, str] = {}
        without: list[Entry] = []
        for entry in self._bearers:
            reference = entry.resource.get("subject")
            if not reference:
                without.append(entry)
                continue
            path = f"{entry.path}.subject"
            with self.pending.issues.gathering():
                subject = Subject(reference, entry.resource, path, entry.full_url)
                found[entry.index] = self.pending.subjects.patient_id(subject)
        if without and not self._may_lack_subjects(without):
            return found
        with self.pending.issues.gathering():
            if len(without) == len(self._bearers):
                path = f"{self.pending.submitted.submission_set.path}.subject"
                found[without[0].index] = self.pending.subjects.unnamed(path)
            for entry in without if found else ():
                found.setdefault(entry.index, next(iter(found.values())))
        return found

    @cached_property
    def _bearers(self) -> Sequence[Entry]:
        return self.pending.submitted.of(
            EntryKind.SUBMISSION_SET, EntryKind.DOCUMENT, EntryKind.FOLDER
        )

    def _may_lack_subjects(self, without: list[Entry]) -> bool:
        if not self.pending.submitted.is_minimal:
            for entry in without:
                self.pending.issues.error(
                    "required", "subject is required", f"{entry.path}.subject"
                )
        return self.pending.submitted.is_minimal

    def _check_patient_entries(self, patient_id: str | None) -> Iterator[int]:
        """A Patient of the Bundle is the one that the submission is about (MHD 2:3.65.4.1.2).

        Yields the others that are admitted: those that documents only have as their
        sourcePatientInfo or author, and so in the words of another system (UnContained option).
        """
        subjects, others = self._led_to(_subjects), self._led_to(_other_persons)
        for entry in self.pending.submitted.of(EntryKind.PATIENT):
            reason = self._not_the_subject(entry, patient_id)
            if reason is None:
                continue
            if entry.method != "GET" and entry.index in others - subjects:
                yield entry.index
            else:
                self.pending.issues.take(reason)

    def _not_the_subject(self, entry: Entry, patient_id: str | None) -> Refused | None:
        try:
            found = self.pending.subjects.of_entry(entry, entry.path)
        except Refused as refused:
            return refused
        if patient_id is None or found == patient_id:
            return None
        reason = "the Patient is not that of the SubmissionSet"
        return Refused.because(400, "invariant", reason, entry.path, error_code=_MISMATCH)

    def _led_to(self, references: Callable[[Resource], Iterable[Resource]]) -> set[int]:
        """Return the indices of the entries that these references lead to."""
        found = (
            self.pending.references.follow(reference, entry.resource, entry.full_url)
            for entry in self._bearers
            for reference in references(entry.resource)
        )
        return {one.entry.index for one in found if isinstance(one, InRequest)}

    def _mismatch(self, reason: str, path: str) -> None:
        self.pending.issues.error("invariant", reason, path, error_code=_MISMATCH)

    def _check_status(self, entry: Entry) -> None:
        """What is submitted is current; nothing else can be registered, and no status changed."""
        if entry.resource.get("status") != CURRENT:
            reason = "what is submitted must be current"
            self.pending.issues.error("value", reason, f"{entry.path}.status")

    # --- new objects -----------------------------------------------------------------------------

    def _thing(self, entry: Entry, patient_id: str) -> Thing:
        reading = Reading(
            systems=self.pending.systems,
            path=entry.path,
            resolve=partial(self.pending.references.resource, full_url=entry.full_url),
        )
        resource = self._with_free_uuid(entry)
        if entry.kind is EntryKind.DOCUMENT:
            return self._taken(read_document_reference(resource, reading, patient_id=patient_id))
        if entry.kind is EntryKind.FOLDER:
            return self._taken(read_folder(resource, reading, patient_id=patient_id))
        return self._taken(read_submission_set(resource, reading, patient_id=patient_id))

    def _taken(self, mapped: Mapped[T]) -> T:
        """Take over what was read with its warnings, as what is new.

        It is in its first version, and has a uniqueId, which MHD does not require of a List.
        """
        self.pending.issues.add(mapped.warnings)
        thing = mapped.thing
        if not isinstance(thing, DocumentEntry) and not thing.unique_id:
            thing = thing.updated(unique_id=new_unique_id())
        if not isinstance(thing, SubmissionSet) and thing.logical_id not in (None, thing.id):
            thing = thing.updated(logical_id=None)
        return thing

    def _with_free_uuid(self, entry: Entry) -> Resource:
        """Return the resource without an entryUUID that is in use already.

        What was read from this server and is submitted again is a new object (FHIR R4 http,
        create); the client's own entryUUID is kept where it is free.
        """
        resource = entry.resource
        identifiers = resource.get("identifier") or []
        for place, identifier in of_kind(identifiers, ENTRY_UUID):
            if self._is_in_use(identifier, entry):
                others = [one for i, one in enumerate(identifiers) if i != place]
                self.pending.issues.warn(
                    "the entryUUID is in use already: a new one was assigned",
                    f"{entry.path}.identifier[{place}]",
                )
                return self._without(resource, others)
        return resource

    @staticmethod
    def _without(resource: Resource, identifiers: list[Resource]) -> Resource:
        changed = {name: value for name, value in resource.items() if name != "identifier"}
        return {**changed, "identifier": identifiers} if identifiers else changed

    def _is_in_use(self, identifier: Resource, entry: Entry) -> bool:
        try:
            uuid = uuid_of(identifier)
        except ValueError:
            return False  # the mapping says so
        if any(thing.id == uuid for thing in self._things.values()):
            return True
        wanted = Comparison("entry_uuid", Operator.EQUAL, (uuid,))
        whole = self.pending.view.whole
        return bool(
            whole.count(DocumentEntry, [wanted])
            or whole.count(SubmissionSet, [wanted])
            or whole.count(Folder, [wanted])
        )

    # --- Folders that are there already ----------------------------------------------------------

    def _folder_to_update(self, entry: Entry) -> Found[Folder] | None:
        """Find the Folder that a PUT means: by the id of its URL, else by its uniqueId.

        MHD's own example has a PUT of ``List`` without id; such a Folder is made where there is
        none, one with an id is not.
        """
        target = self.pending.references.server(entry.url) if entry.url != "List" else None
        match target:
            case Held(type="List", id=identifier):
                found = self._folder("logical_id", entry_uuid(identifier) or "")
                if found is None:
                    self.pending.issues.error(
                        "not-found",
                        "this server has no such Folder",
                        f"{entry.place}.request.url",
                        status=422,
                    )
                return found
            case ConditionalReference(identifier=identifier) if identifier:
                return self._folder("unique_id", self._unique_id(identifier))
            case None:
                pass
            case _:
                self.pending.issues.error(
                    "not-supported",
                    "a Folder is updated by its id or its identifier",
                    f"{entry.place}.request.url",
                )
        for _, one in of_kind(entry.resource.get("identifier") or [], UNIQUE_ID):
            return self._folder("unique_id", self._unique_id(one))
        return None

    def _unique_id(self, identifier: Resource) -> str:
        try:
            return package_unique_id(identifier, self.pending.systems)
        except ValueError:
            return ""

    def _folder(self, attribute: str, value: str) -> Found[Folder] | None:
        found = self.pending.view.find(Folder, [Comparison(attribute, Operator.EQUAL, (value,))])
        return found[0] if found else None

    def _check_update(self, entry: Entry, folder: Found[Folder], patient_id: str | None) -> None:
        """An update only adds documents: what else it says must be what is there already."""
        held = folder.thing
        if held.availability_status == v.DEPRECATED:
            self.pending.issues.error(
                "business-rule", "the Folder is deprecated", entry.path, status=422
            )
        if patient_id is not None and patient_id != held.patient_id:
            self._mismatch("the Folder is another patient's", f"{entry.path}.subject")
        if not self._says_the_same(entry, held):
            self.pending.issues.warn(
                "of the update of a Folder only its new documents are taken", entry.path
            )

    def _says_the_same(self, entry: Entry, held: Folder) -> bool:
        reading = Reading(
            systems=self.pending.systems, path=entry.path, resolve=self.pending.references.resource
        )
        try:
            said = read_folder(entry.resource, reading, patient_id="").thing
        except Refused:
            return False
        of_both = [(one.title, one.comments, set(one.code_list)) for one in (said, held)]
        return of_both[0] == of_both[1]
