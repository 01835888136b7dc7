"""What a case of a stored query is, and the lawful base that each query has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.registry.wire import Parameters, texts
from xds.metadata import vocabulary as v


@dataclass(frozen=True, slots=True)
class Case:
    """One lawful query: its parameters, and the names of what it finds, separated by commas."""

    name: str
    query: str
    parameters: Parameters
    found: str
    shows: tuple[str, ...] = ()
    """Rows of the table of conformance besides the query and its parameters."""

    @property
    def expected(self) -> list[str]:
        """The names of what must be found."""
        return [name.strip() for name in self.found.split(",") if name.strip()]


APPROVED: Final = texts(v.APPROVED)
PATIENT: Final = "'P1^^^&2.999.1.1&ISO'"
STABLE: Final = texts(v.STABLE_DOCUMENT_ENTRY)
ON_DEMAND: Final = texts(v.ON_DEMAND_DOCUMENT_ENTRY)
RELATIONSHIPS: Final = texts(*sorted(v.RELATIONSHIPS))

DOCUMENTS: Final[Mapping[str, str]] = {
    "$XDSDocumentEntryPatientId": PATIENT,
    "$XDSDocumentEntryStatus": APPROVED,
}
SETS: Final[Mapping[str, str]] = {
    "$XDSSubmissionSetPatientId": PATIENT,
    "$XDSSubmissionSetStatus": APPROVED,
}
FOLDERS: Final[Mapping[str, str]] = {"$XDSFolderPatientId": PATIENT, "$XDSFolderStatus": APPROVED}
ALL: Final[Mapping[str, str]] = {
    "$patientId": PATIENT,
    "$XDSSubmissionSetStatus": APPROVED,
    "$XDSDocumentEntryStatus": APPROVED,
    "$XDSFolderStatus": APPROVED,
}
REFERENCE_A: Final = f"'A^^^&2.999.1.5&ISO^{v.REFERENCE_ACCESSION}'"
REFERENCE_B: Final = f"'B^^^&2.999.1.5&ISO^{v.REFERENCE_ACCESSION}'"
N: Final = "('N^^2.16.840.1.113883.5.25')"
R: Final = "('R^^2.16.840.1.113883.5.25')"
CARDIOLOGY: Final = "('cardiology^^2.999.5.8')"
SURGERY: Final = "('surgery^^2.999.5.8')"

BASES: Final[dict[str, Parameters]] = {
    "FindDocuments": DOCUMENTS,
    "FindDocumentsByReferenceId": {
        **DOCUMENTS,
        "$XDSDocumentEntryReferenceIdList": f"({REFERENCE_A})",
    },
    "FindDocumentsByTitle": {**DOCUMENTS, "$XDSDocumentEntryTitle": "('%')"},
    "FindSubmissionSets": SETS,
    "FindFolders": FOLDERS,
    "GetAll": ALL,
    "GetDocuments": {"$XDSDocumentEntryEntryUUID": "('{report}')"},
    "GetFolders": {"$XDSFolderEntryUUID": "('{heart}')"},
    "GetAssociations": {"$uuid": "('{report}')"},
    "GetDocumentsAndAssociations": {"$XDSDocumentEntryEntryUUID": "('{lab}')"},
    "GetSubmissionSets": {"$uuid": "('{lab}')"},
    "GetSubmissionSetAndContents": {"$XDSSubmissionSetEntryUUID": "'{second}'"},
    "GetFolderAndContents": {"$XDSFolderEntryUUID": "'{lung}'"},
    "GetFoldersForDocument": {"$XDSDocumentEntryEntryUUID": "'{report}'"},
    "GetRelatedDocuments": {
        "$XDSDocumentEntryEntryUUID": "'{new}'",
        "$AssociationTypes": RELATIONSHIPS,
    },
    "FindDocumentsForMultiplePatients": DOCUMENTS,
    "FindFoldersForMultiplePatients": FOLDERS,
}
"""A lawful use of each query with no more than it needs."""

MESSAGES: Final = {
    "iti18/find_documents_with_every_parameter": "report",
    "iti18/find_documents_by_reference_id_with_every_parameter": "report",
    "iti18/find_documents_by_title_with_every_parameter": "report",
    "iti18/find_submission_sets_with_every_parameter": "first",
    "iti18/find_folders_with_every_parameter": "heart",
    "iti18/get_all_with_every_parameter": "letter, first>letter, heart>letter",
    "iti18/get_documents_with_every_parameter": "report, lab",
    "iti18/get_folders_with_every_parameter": "heart, lung",
    "iti18/get_associations_with_every_parameter": "first>letter, heart>letter",
    "iti18/get_documents_and_associations_with_every_parameter": "lab, second>lab",
    "iti18/get_submission_sets_with_every_parameter": "second, second>lab, second>lung",
    "iti18/get_submission_set_and_contents_with_every_parameter": (
        "first, letter, heart, first>letter, first>heart, heart>letter, first>heart>letter"
    ),
    "iti18/get_folder_and_contents_with_every_parameter": "letter, heart, heart>letter",
    "iti18/get_folders_for_document_with_every_parameter": "heart",
    "iti18/get_related_documents_with_every_parameter": (
        "report, scan, note, scan XFRM report, note APND report"
    ),
    "iti51/find_documents_for_multiple_patients_with_every_parameter": "report",
    "iti51/find_folders_for_multiple_patients_with_every_parameter": "heart",
}
"""Whole messages of ``fixtures/``, which name what the population has by its number."""
