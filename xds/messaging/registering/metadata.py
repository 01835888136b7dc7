"""What a message says as metadata of XDS: DocumentEntries and SubmissionSets (ITI TF-3 4.2.3)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import (
    EntityNumber,
    MessageDocument,
    MessageEnvelope,
    MessageOrganisation,
    MessagePatient,
    MessagePerson,
    MessageReport,
    ReportStatus,
)
from xds.messaging.registering.patients import ChosenPatient
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import HD, XCN, XON, CXi
from xds.metadata.objects import Author, Code, DocumentEntry, SubmissionSet
from xds.metadata.unique_ids import as_reference

SNOMED: Final = "2.16.840.1.113883.6.96"
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
LABORATORY_REPORT: Final = Code("4241000179101", SNOMED, "Laboratory report")
DIAGNOSTIC_REPORT: Final = Code("721981007", SNOMED, "Diagnostic studies report")
LABORATORY_ORDER: Final = Code("721965002", SNOMED, "Laboratory order")
ORDER: Final = Code("721963009", SNOMED, "Order")
HOSPITAL: Final = Code("22232009", SNOMED, "Hospital")
PATHOLOGY: Final = Code("394915009", SNOMED, "General pathology")
NORMAL: Final = Code("N", _CONFIDENTIALITY, "normal")
RESTRICTED: Final = Code("V", _CONFIDENTIALITY, "very restricted")
"""What becomes of a document that was another patient's."""

_TITLE: Final = 256
_VALUE: Final = 254
"""Characters of JSON in one value of a Slot, as in xds.mhd.mapping.riders."""
_REFERENCES: Final = "urn:ihe:iti:xds:2013:"
_ORDER: Final = f"{_REFERENCES}order"
_ACCESSION: Final = f"{_REFERENCES}accession"
_UNIQUE_ID: Final = f"{_REFERENCES}uniqueId"
_ENCOUNTER: Final = "urn:ihe:iti:xds:2015:encounterId"
_STUDY: Final = v.REFERENCE_STUDY_INSTANCE_UID
_DOC_STATUS: Final[Mapping[ReportStatus, str]] = {
    "preliminary": "preliminary",
    "unverified": "preliminary",
    "incomplete": "preliminary",
    "final": "final",
    "corrected": "amended",
    "cancelled": "entered-in-error",
}


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """Ids that follow from what they identify: the same whichever way a document comes."""

    namespace: UUID

    @classmethod
    def of_repository(cls, repository_unique_id: str) -> "UniqueIds":
        """Return those of one deployment, by the OID of its repository."""
        return cls(uuid5(NAMESPACE_OID, repository_unique_id))

    def minted(self, *parts: str) -> str:
        """Return the OID of these parts, below 2.25 (ISO/IEC 9834-8)."""
        return f"2.25.{uuid5(self.namespace, '|'.join(parts)).int}"

    def of_document(self, key: tuple[str, str, str], content: str, again: int) -> str:
        """Return the uniqueId of a content (SHA-1) under a number of its sender, and a slot.

        ``again`` counts how often the number has had this content before.
        """
        more = (str(again),) if again else ()
        return self.minted(*key, content, *more)

    def authority(self, number: EntityNumber) -> str:
        """Return the OID of whoever gave a number, which is made where nothing says it."""
        if datatypes.is_oid(number.oid):
            return number.oid
        return self.minted("authority", number.authority)


def key_of(number: EntityNumber | None) -> tuple[str, str]:
    """Return by what a number is told from all others: authority and value."""
    if number is None:
        return "", ""
    return number.authority or number.oid, number.value


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMaker:
    """Makes the metadata of one message."""

    ids: UniqueIds
    envelope: MessageEnvelope
    flavour: Flavour
    patient: MessagePatient
    chosen: ChosenPatient
    record_id: str

    def entry(
        self,
        report: MessageReport,
        document: MessageDocument,
        *,
        entry_uuid: str,
        unique_id: str,
        mime_type: str,
        format_code: Code,
        names: Iterable[str] = (),
    ) -> DocumentEntry:
        """Return the DocumentEntry of a document; hash, size and place are the repository's.

        ``names`` is what the document calls itself.
        """
        flavour = self.flavour
        title = document.title or report.title
        return DocumentEntry.create(
            entry_uuid=entry_uuid,
            unique_id=unique_id,
            mime_type=mime_type,
            format_code=format_code,
            class_code=report.class_code or flavour.class_code or DIAGNOSTIC_REPORT,
            type_code=document.type_code
            or report.type_code
            or flavour.type_code
            or LABORATORY_REPORT,
            practice_setting_code=report.practice_setting or flavour.practice_setting or PATHOLOGY,
            healthcare_facility_type_code=report.facility_type or flavour.facility_type or HOSPITAL,
            confidentiality_code=(report.confidentiality or flavour.confidentiality or NORMAL,),
            event_code_list=tuple(dict.fromkeys(report.event_codes)),
            language_code=report.language or flavour.language,
            title=title[:_TITLE] or None,
            comments=report.comments or None,
            creation_time=report.created or self.envelope.sent or datatypes.now(),
            service_start_time=report.service_start or None,
            service_stop_time=report.service_stop or None,
            author=tuple(self._authors(report)),
            legal_authenticator=_xcn(report.authenticator) if report.authenticator else None,
            patient_id=self.chosen.patient_id,
            source_patient_id=self.chosen.source_patient_id,
            source_patient_info=self._source_patient_info(),
            reference_id_list=tuple(dict.fromkeys(self._references(report, unique_id, names))),
            fhir_elements=self.doc_status(report.status),
            source_message=self.record_id,
        )

    def doc_status(self, status: ReportStatus) -> tuple[str, ...]:
        """Return DocumentReference.docStatus as it is kept beside the metadata."""
        content = {
            "patient": self.chosen.patient_id,
            "elements": {"docStatus": _DOC_STATUS[status]},
        }
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return tuple(f"[{text[i : i + _VALUE]}]" for i in range(0, len(text), _VALUE))

    def submission_set(
        self, title: str, digest: str, code: Code | None, *more: str
    ) -> SubmissionSet:
        """Return the SubmissionSet of the message: the same message has the same uniqueId."""
        said = self.envelope
        parts = (said.sender, said.code, said.trigger, said.control_id, digest, *more)
        source = self.flavour.source_id or self.ids.minted("source", said.sender)
        return SubmissionSet.create(
            unique_id=self.ids.minted("message", *parts),
            source_id=source,
            submission_time=datatypes.now(),
            content_type_code=code or DIAGNOSTIC_REPORT,
            author=(Author(institution=(str(self._sender()),)),),
            patient_id=self.chosen.patient_id,
            title=title[:_TITLE],
        )

    def _sender(self) -> XON:
        said = self.envelope
        name = self.flavour.organisations.get(said.sending_facility, said.sending_facility)
        return XON(organization_name=name or said.sending_application or "unknown")

    def _authors(self, report: MessageReport) -> Iterator[Author]:
        laboratory = report.laboratory
        institution = str(_xon(laboratory) if laboratory else self._sender())
        for one in report.authors:
            yield Author(
                person=(_xcn(one),),
                institution=(institution,),
                role=(one.role,) if one.role else (),
            )
        if not report.authors:
            yield Author(institution=(institution,))

    def _source_patient_info(self) -> tuple[str, ...]:
        said = tuple(self.patient.source_info)
        if any(one.startswith("PID-3|") for one in said):
            return said
        ids = dict.fromkeys(one.cx for one in self.patient.identifiers)
        return (f"PID-3|{'~'.join(ids)}", *said)

    def _references(
        self, report: MessageReport, unique_id: str, names: Iterable[str]
    ) -> Iterator[str]:
        for number in report.placer_numbers:
            yield self._reference(number, _ORDER)
        own = (report.number,) if report.number and report.number.value != unique_id else ()
        for number in (*own, *report.filler_numbers):
            yield self._reference(number, _ACCESSION)
        if report.parent:
            yield self._reference(report.parent, _UNIQUE_ID)
        for number in report.encounter_numbers:
            yield self._reference(number, _ENCOUNTER)
        for study in report.studies:
            yield str(CXi(study, _STUDY))
        for one in report.unique_ids:
            if one != unique_id:
                yield str(CXi(one, _UNIQUE_ID))
        for name in names:
            if name != unique_id:
                yield as_reference(name)

    def _reference(self, number: EntityNumber, kind: str) -> str:
        if kind == _UNIQUE_ID and datatypes.is_oid(number.value):
            return str(CXi(number.value, kind))
        return str(CXi(number.value, kind, HD("", self.ids.authority(number))))


def _xcn(person: MessagePerson) -> str:
    return str(
        XCN(
            id_number=person.id,
            family_name=person.family or ("" if person.id else "unknown"),
            given_name=person.given,
            prefix=person.prefix,
            assigning_authority=person.oid if datatypes.is_oid(person.oid) else "",
        )
    )


def _xon(organisation: MessageOrganisation) -> XON:
    has_authority = datatypes.is_oid(organisation.oid)
    code = organisation.code if has_authority or datatypes.is_oid(organisation.code) else ""
    return XON(
        organization_name=organisation.name or organisation.code or "unknown",
        organization_identifier=code,
        assigning_authority=organisation.oid if has_authority and code else "",
    )


def numbers_of(reports: Iterable[MessageReport]) -> Iterator[str]:
    """Yield the numbers by which a message is found later on."""
    for one in reports:
        for number in (one.number, *one.placer_numbers, *one.filler_numbers):
            if number is not None and number.value:
                yield number.value
