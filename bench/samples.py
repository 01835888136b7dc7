"""Submissions as real ones are: every required attribute and most of the optional ones."""

import random
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from xds.client import Fingerprint
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, Author, Code, DocumentEntry, SubmissionSet
from xds.metadata.submission import Submission

PATIENT_AUTHORITY: Final = "2.999.1.1"

_LEAST: Final = 10**38
_LOINC: Final = "2.16.840.1.113883.6.1"
_SNOMED: Final = "2.16.840.1.113883.6.96"
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_IHE_FORMATS: Final = "1.3.6.1.4.1.19376.1.2.3"

_AUTHORS: Final = (
    Author(
        person=("D123^Welby^Marcus^^^Dr^MD^^&2.999.1.6&ISO",),
        institution=("General Hospital^^^^^^^^^2.999.1.7", "Ward 7^^^^^&2.999.1.7&ISO^^^^W7"),
        role=("Attending physician",),
        specialty=("394802001^^^&2.16.840.1.113883.6.96&ISO",),
        telecommunication=("^NET^Internet^marcus.welby@hospital.example",),
    ),
    Author(
        person=("D456^Kiley^Steven^^^Dr^MD^^&2.999.1.6&ISO",),
        institution=("General Hospital^^^^^^^^^2.999.1.7",),
        role=("Consultant",),
        specialty=("Cardiology",),
    ),
)
_EVENT_CODES: Final = (
    Code("55607006", _SNOMED, "Problem"),
    Code("73761001", _SNOMED, "Colonoscopy"),
    Code("44388", "2.16.840.1.113883.6.12", "Colonoscopy through stoma"),
)


def content(size: int, seed: int = 0) -> bytes:
    """Give bytes that no compression makes smaller, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def oid() -> str:
    """Give a new OID; all are of one length, so that one can take another's place in a message."""
    return f"2.25.{_LEAST + uuid4().int % _LEAST}"


def patient(name: str) -> str:
    """Give the patient id of that name."""
    return f"{name}^^^&{PATIENT_AUTHORITY}&ISO"


def entry(
    number: int, unique_id: str, patient_id: str, told: Fingerprint | None = None, **more: object
) -> DocumentEntry:
    """Make the DocumentEntry that is the `number`th of its submission."""
    size_and_hash = {"size": str(told.size), "hash": told.hash} if told else {}
    return DocumentEntry.create(
        entry_uuid=f"Document{number:02}",
        **_CODES,
        **size_and_hash,
        author=_AUTHORS,
        comments="Follow-up in six weeks; the patient has been told.",
        creation_time="20260102030405",
        language_code="en-GB",
        legal_authenticator="D123^Welby^Marcus^^^Dr^MD^^&2.999.1.6&ISO",
        mime_type="application/pdf",
        patient_id=patient_id,
        reference_id_list=(
            "ACC-55^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:accession",
            "ORD-77^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:order",
        ),
        service_start_time="202601010800",
        service_stop_time="202601010930",
        source_patient_id="MRN77^^^&2.999.1.2&ISO",
        source_patient_info=(
            "PID-3|MRN77^^^&2.999.1.2&ISO",
            "PID-5|Doe^Jane^^^",
            "PID-7|19800229",
            "PID-8|F",
            "PID-11|100 Main St^^Metropolis^Il^44130^USA",
        ),
        title="Discharge note",
        unique_id=unique_id,
        **more,
    )


_CODES: Final = {
    "class_code": Code("11490-0", _LOINC, "Discharge summary"),
    "confidentiality_code": (Code("N", _CONFIDENTIALITY, "Normal"),),
    "event_code_list": _EVENT_CODES,
    "format_code": Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", _IHE_FORMATS, "Any"),
    "healthcare_facility_type_code": Code("22232009", _SNOMED, "Hospital"),
    "practice_setting_code": Code("394802001", _SNOMED, "General medicine"),
    "type_code": Code("18842-5", _LOINC, "Discharge summary"),
}


def submission(patient_id: str, unique_id: str, entries: Sequence[DocumentEntry]) -> Submission:
    """Make a submission of these entries; its SubmissionSet has that uniqueId."""
    submission_set = SubmissionSet.create(
        entry_uuid="SubmissionSet01",
        author=_AUTHORS[:1],
        comments="Documents of one stay.",
        content_type_code=Code("18842-5", _LOINC, "Discharge summary"),
        intended_recipient=("General Hospital^^^^^^^^^2.999.1.7|^Welby^Marcus^^^Dr",),
        patient_id=patient_id,
        source_id="2.999.1.8",
        submission_time="20260102030500",
        title="Discharge",
        unique_id=unique_id,
    )
    members = [_member(number, one.entry_uuid) for number, one in enumerate(entries)]
    return Submission((submission_set, *entries, *members))


def _member(number: int, target: str) -> Association:
    return Association.create(
        entry_uuid=f"Member{number:02}",
        association_type=v.HAS_MEMBER,
        source="SubmissionSet01",
        target=target,
        submission_set_status=v.ORIGINAL,
    )
