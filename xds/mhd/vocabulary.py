"""The URLs and codes of MHD 4.2.4, and the extensions of this program beside them."""

from collections.abc import Mapping
from typing import Final

from xds.fhir.vocabulary import MHD, OWN

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

GENERATE_METADATA: Final = f"{MHD}/OperationDefinition/generate-metadata"
UPDATE_METADATA: Final = "urn:xds:fhir:update-metadata"
"""An operation as gematik's ISiK has it, with docStatus alone."""
IMPLEMENTATION_GUIDE: Final = f"{MHD}/ImplementationGuide/ihe.iti.mhd"
CAPABILITIES: Final = f"{MHD}/CapabilityStatement/"

# What FHIR has no element for (docs/mhd-mapping.md)
OWN_DOCUMENT_AVAILABILITY: Final = f"{OWN}documentAvailability"
OWN_URI: Final = f"{OWN}URI"
OWN_AUTHOR: Final = f"{OWN}author"
"""A further author of a SubmissionSet: List.source holds one."""

BASES_OF_OTHER_VERSIONS: Final[Mapping[str, str]] = {
    "http://profiles.ihe.net/ITI/MHD/StructureDefinition/": _PROFILE,
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/": _PROFILE,
    "http://ihe.net/fhir/StructureDefinition/IHE_MHD_": "3.x",
    "https://ihe.net/fhir/StructureDefinition/IHE_MHD_": "3.x",
}
"""How profiles of other versions of MHD begin; those of 3.x name their parts otherwise."""
