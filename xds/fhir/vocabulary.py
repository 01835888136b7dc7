"""The URLs and codes of MHD 4.2.4 and of FHIR R4 that are said on the wire."""

from collections.abc import Mapping
from typing import Final

FHIR_VERSION: Final = "4.0.1"
FHIR_JSON: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"

MHD: Final = "https://profiles.ihe.net/ITI/MHD"
_MHD_BEFORE: Final = "http://profiles.ihe.net/ITI/MHD"
_PROFILE: Final = f"{MHD}/StructureDefinition/"

# Profiles (MHD 4.2.4, artifacts)
MINIMAL_PROVIDE_BUNDLE: Final = f"{_PROFILE}IHE.MHD.Minimal.ProvideBundle"
COMPREHENSIVE_PROVIDE_BUNDLE: Final = f"{_PROFILE}IHE.MHD.Comprehensive.ProvideBundle"
UNCONTAINED_PROVIDE_BUNDLE: Final = f"{_PROFILE}IHE.MHD.UnContained.Comprehensive.ProvideBundle"
PROVIDE_BUNDLE_RESPONSE: Final = f"{_PROFILE}IHE.MHD.ProvideDocumentBundleResponse"
FIND_LISTS_RESPONSE: Final = f"{_PROFILE}IHE.MHD.FindDocumentListsResponseMessage"
FIND_REFERENCES_RESPONSE: Final = f"{_PROFILE}IHE.MHD.FindDocumentReferencesResponseMessage"
MINIMAL_DOCUMENT_REFERENCE: Final = f"{_PROFILE}IHE.MHD.Minimal.DocumentReference"
COMPREHENSIVE_DOCUMENT_REFERENCE: Final = f"{_PROFILE}IHE.MHD.Comprehensive.DocumentReference"
UNCONTAINED_DOCUMENT_REFERENCE: Final = (
    f"{_PROFILE}IHE.MHD.UnContained.Comprehensive.DocumentReference"
)
SIMPLIFIED_DOCUMENT_REFERENCE: Final = f"{_PROFILE}IHE.MHD.SimplifiedPublish.DocumentReference"
MINIMAL_SUBMISSION_SET: Final = f"{_PROFILE}IHE.MHD.Minimal.SubmissionSet"
COMPREHENSIVE_SUBMISSION_SET: Final = f"{_PROFILE}IHE.MHD.Comprehensive.SubmissionSet"
UNCONTAINED_SUBMISSION_SET: Final = f"{_PROFILE}IHE.MHD.UnContained.Comprehensive.SubmissionSet"
MINIMAL_FOLDER: Final = f"{_PROFILE}IHE.MHD.Minimal.Folder"
COMPREHENSIVE_FOLDER: Final = f"{_PROFILE}IHE.MHD.Comprehensive.Folder"

# Extensions
DESIGNATION_TYPE: Final = f"{_PROFILE}ihe-designationType"
SOURCE_ID: Final = f"{_PROFILE}ihe-sourceId"
INTENDED_RECIPIENT: Final = f"{_PROFILE}ihe-intendedRecipient"
AUTHOR_ORG: Final = f"{_PROFILE}ihe-authorOrg"
HOME_COMMUNITY_ID: Final = f"{_PROFILE}ihe-HomeCommunityId"

# Code systems and codes
LIST_TYPES: Final = f"{MHD}/CodeSystem/MHDlistTypes"
SUBMISSION_SET: Final = "submissionset"
FOLDER: Final = "folder"
IDENTIFIER_TYPES: Final = f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType"
ENTRY_UUID: Final = "entryUUID"
UNIQUE_ID: Final = "uniqueId"

GENERATE_METADATA: Final = f"{MHD}/OperationDefinition/generate-metadata"
UPDATE_METADATA: Final = "urn:xds:fhir:update-metadata"
"""An operation as gematik's ISiK has it, with docStatus alone."""
IMPLEMENTATION_GUIDE: Final = f"{MHD}/ImplementationGuide/ihe.iti.mhd"
CAPABILITIES: Final = f"{MHD}/CapabilityStatement/"

# What FHIR has no element for (docs/mhd-mapping.md): extensions and systems of our own
_OWN: Final = "urn:xds:fhir:"
OWN_ERROR_CODES: Final = f"{_OWN}error-code"
"""The error codes of XDS (ITI TF-3 4.2.4.1), for which IHE publishes no code system."""
OWN_TEXT: Final = f"{_OWN}text"
"""The text of the XDS attribute that an element stands for, where the element says less."""
OWN_DOCUMENT_AVAILABILITY: Final = f"{_OWN}documentAvailability"
OWN_URI: Final = f"{_OWN}URI"
OWN_AUTHOR: Final = f"{_OWN}author"
"""A further author of a SubmissionSet: List.source holds one."""
OWN_INSTITUTION: Final = f"{_OWN}authorInstitution"
"""A further institution of an author: PractitionerRole.organization holds one."""
OWN_PERSON: Final = f"{_OWN}authorPerson"
OWN_IDENTIFIER_TYPES: Final = f"{_OWN}identifier-type"
LOGICAL_ID: Final = "logicalID"
OWN_UNIQUE_IDS: Final = f"{_OWN}uniqueId"
"""The system of a DocumentEntry.uniqueId that is neither an OID, nor root^extension, nor a URI."""

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
"""The system of an identifier that is a URI by itself (FHIR R4, identifier-registry)."""
V2_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
"""HL7 v2 table 0203: the types of identifiers that are no URNs."""
OID_URN: Final = "urn:oid:"
UUID_URN: Final = "urn:uuid:"

CURRENT: Final = "current"
SUPERSEDED: Final = "superseded"
ENTERED_IN_ERROR: Final = "entered-in-error"
RETIRED: Final = "retired"
"""List.status of a Deprecated Folder: R4 knows no ``superseded`` there."""


def of_today(uri: str) -> str:
    """Return a canonical URL of MHD as MHD 4.2 has it; before, they began with ``http:``."""
    return MHD + uri.removeprefix(_MHD_BEFORE) if uri.startswith(f"{_MHD_BEFORE}/") else uri


BASES_OF_OTHER_VERSIONS: Final[Mapping[str, str]] = {
    "http://profiles.ihe.net/ITI/MHD/StructureDefinition/": _PROFILE,
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/": _PROFILE,
    "http://ihe.net/fhir/StructureDefinition/IHE_MHD_": "3.x",
    "https://ihe.net/fhir/StructureDefinition/IHE_MHD_": "3.x",
}
"""How profiles of other versions of MHD begin; those of 3.x name their parts otherwise."""
