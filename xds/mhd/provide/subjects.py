"""Whose documents they are: the subject of a resource becomes a patientId (MHD 2:3.65.4.1.2).

XDS knows patients by an identifier of the affinity domain's assigning authority. A FHIR client may
say it, refer to a Patient that has it, or to one of this server by its number.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from uuid import uuid4

from xds.config import Config
from xds.content.patient_choice import AmbiguousPatient, FindKnown, only
from xds.fhir.datatypes.identifiers import identifier_in_use, identifier_of_patient
from xds.fhir.exchange import Call
from xds.fhir.r4 import json
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.references import (
    ConditionalReference,
    Contained,
    Dangling,
    Entry,
    Foreign,
    Held,
    InRequest,
    Named,
    References,
    Subject,
    is_elsewhere,
)
from xds.fhir.vocabulary import FHIR_JSON
from xds.metadata.datatypes import CX
from xds.metadata.systems import Systems
from xds.mhd.provide.bundle import EntryKind
from xds.mhd.provide.fetching import fetching_of
from xds.outgoing.fetching import CannotFetch, Fetching
from xds.registry.queries.views import RegistryView
from xds.security.details import PatientDetails

_UNKNOWN: Final = "XDSUnknownPatientId"
_LONGEST_NUMBER: Final = 18
_BEARERS: Final = frozenset({EntryKind.SUBMISSION_SET, EntryKind.DOCUMENT, EntryKind.FOLDER})
_GIVEN: Final = (
    "the patient has no identifier, and was given a new one of {}: whatever comes without it is of "
    "somebody else. With minimal_metadata = refuse, or unknown_patients = known, this is refused"
)


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The patients of one request."""

    references: References
    view: RegistryView
    systems: Systems
    assigning_authority: str | None = None
    """The OID of the domain that issues patient ids; None admits any, if it is the only one."""
    assign: Callable[[], str] | None = None
    """Makes an id for a patient who comes without; None refuses such patients."""
    fetching: Fetching = field(default_factory=Fetching)
    problems: IssueCollector = field(default_factory=IssueCollector)
    """Where it is told that a patient was given an id."""
    _assigned: dict[int, str] = field(default_factory=dict)

    def patient_id(self, subject: Subject) -> str:
        """Return the patientId (CX); Refused where the subject leads to none."""
        found = self.references.follow(subject.reference, subject.of, subject.full_url)
        identifier = subject.reference.get("identifier")
        if not (identifier and (isinstance(found, Held) or is_elsewhere(found))):
            return self._of(found, subject.path)
        try:
            patient_id = self._of(found, subject.path)
        except Refused:
            # what the reference leads to is of no use, but the client has said who it is
            return self._named(identifier, f"{subject.path}.identifier")
        self._check_same(patient_id, identifier, subject.path)
        return patient_id

    def _check_same(self, patient_id: str, identifier: Resource, path: str) -> None:
        """Refuse a reference beside an identifier of someone else of the same domain.

        A resource that was read from one server and sent to another may have such a reference.
        """
        try:
            said = CX.parse(identifier_of_patient(identifier, self.systems))
        except ValueError:
            return
        known = CX.parse(patient_id)
        if said.assigning_authority == known.assigning_authority and said != known:
            raise Refused.because(
                400,
                "invariant",
                "the reference leads to another patient than the identifier",
                path,
                error_code="XDSPatientIdDoesNotMatch",
            )

    def _of(self, found: object, path: str) -> str:
        match found:
            case InRequest(entry):
                return self.of_entry(entry, path)
            case Contained(resource):
                return self._chosen(resource, path)
            case Held(type="Patient", id=identifier):
                return self._numbered(identifier, path)
            case ConditionalReference(type="Patient", identifier=identifier):
                return self._sought(identifier, path)
            case Named(identifier):
                return self._named(identifier, f"{path}.identifier")
            case Foreign(url):
                return self._foreign(url, path)
            case Dangling(reason):
                raise Refused.because(400, "not-found", f"the reference {reason}", path)
        raise Refused.because(400, "value", "the reference does not lead to a Patient", path)

    def of_entry(self, entry: Entry, path: str) -> str:
        """Return the patientId of a Patient entry."""
        if entry.kind != EntryKind.PATIENT:
            raise Refused.because(400, "value", "the reference does not lead to a Patient", path)
        if entry.index in self._assigned:
            return self._assigned[entry.index]
        if entry.resource.get("identifier"):
            return self._chosen(entry.resource, entry.path)
        if entry.url != "Patient":
            return self._of(self.references.server(entry.url), f"{entry.place}.request.url")
        patient_id = self._without_identifier(entry.path)
        self._assigned[entry.index] = patient_id
        return patient_id

    def unnamed(self, path: str) -> str:
        """Return the patientId for a submission that names no patient at all."""
        return self._without_identifier(path)

    def _without_identifier(self, path: str) -> str:
        if self.assign is None:
            raise Refused.because(
                400,
                "required",
                "documents are kept by an identifier of their patient, and there is none",
                path,
                error_code=_UNKNOWN,
            )
        patient_id = self.assign()
        authority = CX.parse(patient_id).assigning_authority
        self.problems.warn(_GIVEN.format(authority), path)
        return patient_id

    def _chosen(self, patient: Resource, path: str) -> str:
        """Choose among a Patient's identifiers: of the affinity domain, or the only one."""
        if patient.get("resourceType") != "Patient":
            raise Refused.because(400, "value", "this is not a Patient", path)
        found, reasons = [], []
        for identifier in patient.get("identifier") or ():
            try:
                found.append(identifier_in_use(identifier, self.systems))
            except ValueError as reason:
                reasons.append(str(reason))
        where = f"{path}.identifier"
        if not found:
            told = "; ".join(dict.fromkeys(reasons)) or "there is none"
            raise Refused.because(
                400,
                "value" if reasons else "required",
                f"no identifier of the Patient can be a patientId: {told}",
                where,
                error_code=_UNKNOWN,
            )
        try:
            return self._preferred(found)
        except AmbiguousPatient as reason:
            raise Refused.because(
                400, "multiple-matches", str(reason), where, error_code=_UNKNOWN
            ) from None

    def _preferred(self, patient_ids: Sequence[str]) -> str:
        if self.assigning_authority is None:
            return only(patient_ids, known_to(self.view))
        end = f"&{self.assigning_authority}&ISO"
        return next((one for one in patient_ids if one.endswith(end)), patient_ids[0])

    def _numbered(self, identifier: str, path: str) -> str:
        if identifier.isascii() and identifier.isdecimal() and len(identifier) <= _LONGEST_NUMBER:
            for known in self.view.patients_by_number([int(identifier)]):
                return known.patient_id
        raise Refused.because(
            400, "not-found", "this server has no such Patient", path, error_code=_UNKNOWN
        )

    def _sought(self, identifier: Resource | None, path: str) -> str:
        """Search for a Patient: it must be exactly one (FHIR R4 http, conditional references)."""
        if identifier is None:
            raise Refused.because(
                400, "not-supported", "a Patient is searched for by identifier only", path
            )
        try:
            wanted = identifier_of_patient(identifier, self.systems)
        except ValueError:
            wanted = ""
        found = self.view.patients([wanted]) if wanted else []
        if len(found) != 1:
            raise Refused.because(
                412, "not-found", "the search finds no Patient", path, error_code=_UNKNOWN
            )
        return found[0].patient_id

    def _named(self, identifier: Resource, path: str) -> str:
        try:
            return identifier_of_patient(identifier, self.systems)
        except ValueError as reason:
            raise Refused.because(
                400,
                "value",
                f"the identifier cannot be a patientId: {reason}",
                path,
                error_code=_UNKNOWN,
            ) from None

    def _foreign(self, url: str, path: str) -> str:
        """Ask another server for the Patient, where the options allow it."""
        try:
            data = b"".join(self.fetching.fetch(url, accept=FHIR_JSON))
        except CannotFetch as reason:
            raise Refused.because(
                400,
                "not-found",
                f"the Patient is not one of this server, and was not fetched: {reason}",
                path,
                error_code=_UNKNOWN,
            ) from None
        return self._chosen(json.read(data), path)


def known_to(view: RegistryView) -> FindKnown:
    """Tell patients of the registry from others."""
    return lambda ids: {one.patient_id for one in view.patients(ids) if one.survivor is None}


def subjects_of(
    config: Config,
    systems: Systems,
    references: References,
    view: RegistryView,
    problems: IssueCollector,
) -> Subjects:
    """Return the patients of one request, by the options of the deployment.

    A patient who comes without identifier gets one only where a submission may have Minimal
    Metadata and be about anyone, and ``problems`` has a warning of it.
    """
    assigns = config.minimal_metadata == "accept" and config.unknown_patients == "open"
    authority = config.assigning_authority or config.repository_unique_id
    return Subjects(
        references=references,
        view=view,
        systems=systems,
        assigning_authority=config.assigning_authority,
        assign=partial(_assigned, authority) if assigns else None,
        fetching=fetching_of(config),
        problems=problems,
    )


def stated_subjects(
    config: Config,
    systems: Systems,
    references: References,
    view: RegistryView,
    problems: IssueCollector,
) -> Subjects:
    """Return the patients as far as a request says them: no other server is asked, none gets an id.

    So are they noted of a request that is denied.
    """
    subjects = subjects_of(config, systems, references, view, problems)
    return replace(subjects, assign=None, fetching=Fetching())


def note_subjects(
    config: Config, systems: Systems, view: RegistryView, call: Call, entries: tuple[Entry, ...]
) -> None:
    """Say whose documents a submission brings that is denied."""
    references = References(call.base, entries)
    patient_ids: list[str] = []
    subjects = stated_subjects(config, systems, references, view, IssueCollector())
    for entry in entries:
        reference = entry.resource.get("subject")
        if entry.kind in _BEARERS and reference:
            subject = Subject(reference, entry.resource, entry.path, entry.full_url)
            with suppress(Refused):
                patient_ids.append(subjects.patient_id(subject))
    call.access.details = PatientDetails(tuple(patient_ids))


def _assigned(authority: str) -> str:
    return str(CX(uuid4().hex, authority))
