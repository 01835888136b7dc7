"""Lawful submissions from a few values: what is not given has a default (ITI TF-3 4.2.3, 4.1.4).

A default says as little as it can: a note, of normal confidentiality, from a hospital. Every
declared attribute of DocumentEntry and SubmissionSet can be given by its name instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from xds.client.documents import Content
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, Code, DocumentEntry, MetadataObject, SubmissionSet
from xds.metadata.submission import Submission

EXAMPLE_SOURCE: Final = "2.999.1.8"
"""An OID of the arc for examples as sourceId: right for a trial, wrong in earnest."""

LOINC: Final = "2.16.840.1.113883.6.1"
SNOMED_CT: Final = "2.16.840.1.113883.6.96"
CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"

_CODES: Final[Mapping[str, object]] = {
    "class_code": Code("34109-9", LOINC, "Note"),
    "type_code": Code("34109-9", LOINC, "Note"),
    "confidentiality_code": (Code("N", CONFIDENTIALITY, "normal"),),
    "format_code": Code(v.MIME_TYPE_SUFFICIENT, v.IHE_FORMAT_CODES, "mimeType Sufficient"),
    "healthcare_facility_type_code": Code("22232009", SNOMED_CT, "Hospital"),
    "practice_setting_code": Code("394802001", SNOMED_CT, "General medicine"),
}

OCTETS: Final = "application/octet-stream"
_MIME_TYPES: Final[Mapping[str, str]] = {
    ".xml": "text/xml",
    ".cda": "text/xml",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".dcm": "application/dicom",
    ".hl7": "x-application/hl7-v2+er7",
    ".zip": "application/zip",
    ".json": "application/json",
    ".rtf": "text/rtf",
    ".vcf": "text/x-vcf",
}
"""What these suffixes mean among clinical documents, whatever the system at hand says of them."""


class Provision(NamedTuple):
    """A submission and its documents: ``source.provide_and_register(*provision)``."""

    submission: Submission
    documents: dict[str, Content | Path]


def new_oid() -> str:
    """Return a new OID that nobody else has, made from a UUID (ITU-T X.667)."""
    return f"2.25.{uuid4().int}"


def mime_type_of(name: str) -> str:
    """Guess a MIME type from the suffix of a file's name."""
    known = _MIME_TYPES.get(Path(name).suffix.lower())
    return known or MimeTypes().guess_type(name)[0] or OCTETS


def suffix_for(mime_type: str) -> str:
    """Return the suffix that files of a MIME type have, with its dot; none if nobody knows."""
    plain = mime_type.partition(";")[0].strip().lower()
    for suffix, known in _MIME_TYPES.items():
        if known == plain:
            return suffix
    return "" if plain == OCTETS else MimeTypes().guess_extension(plain) or ""


def entry_of(patient_id: str, mime_type: str, **attributes: object) -> DocumentEntry:
    """Describe a document of a patient, whose id is a CX; ValueError if it is none.

    ``attributes`` are those that DocumentEntry declares. Without them the document has a new OID
    as its uniqueId, is of this moment, in English, and known to its source under the same id.
    """
    datatypes.check_cx(patient_id)
    defaults = {
        **_CODES,
        "creation_time": datatypes.now(),
        "language_code": "en",
        "mime_type": mime_type,
        "patient_id": patient_id,
        "source_patient_id": patient_id,
        "unique_id": new_oid(),
    }
    return DocumentEntry.create(**(defaults | attributes))


def submission_of(entries: Sequence[DocumentEntry], **attributes: object) -> Submission:
    """Submit documents of one patient together.

    ``attributes`` are those that SubmissionSet declares; the first entry gives what is missing.
    """
    first = entries[0]
    defaults: dict[str, object] = {
        "author": first.author,
        "content_type_code": first.class_code,
        "patient_id": first.patient_id,
        "source_id": EXAMPLE_SOURCE,
        "submission_time": datatypes.now(),
        "unique_id": new_oid(),
    }
    submission_set = SubmissionSet.create(**(defaults | attributes))
    members = [_member(submission_set, entry) for entry in entries]
    objects: tuple[MetadataObject, ...] = (submission_set, *entries, *members)
    return Submission(objects)


def _member(submission_set: SubmissionSet, entry: DocumentEntry) -> Association:
    return Association.create(
        association_type=v.HAS_MEMBER,
        source=submission_set.id,
        target=entry.id,
        submission_set_status=v.ORIGINAL,
    )


def submission_of_files(
    paths: Iterable[Path],
    patient_id: str,
    *,
    submission_set: Mapping[str, object] | None = None,
    with_hash: bool = False,
    **attributes: object,
) -> Provision:
    """Submit files of one patient together: their types, times and titles are their own.

    ``attributes`` are for every DocumentEntry, ``submission_set`` has those of the SubmissionSet.
    With a hash, for which each file is read once more, the repository refuses a document that has
    changed on its way.
    """
    documents: dict[str, Content | Path] = {}
    entries = []
    for path in paths:
        entry = entry_of_file(path, patient_id, with_hash=with_hash, **attributes)
        entries.append(entry)
        documents[entry.entry_uuid] = Content.of_file(path)
    return Provision(submission_of(entries, **(submission_set or {})), documents)


def entry_of_file(
    path: Path, patient_id: str, *, with_hash: bool = False, **attributes: object
) -> DocumentEntry:
    """Describe a file, as entry_of does what it does not tell of itself."""
    status = path.stat()
    own: dict[str, object] = {
        "creation_time": datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y%m%d%H%M%S"),
        "mime_type": mime_type_of(path.name),
        "size": str(status.st_size),
        "title": path.stem,
    }
    if with_hash:
        own["hash"] = Content.of_file(path).fingerprint().hash
    merged = own | attributes
    return entry_of(patient_id, str(merged.pop("mime_type")), **merged)
