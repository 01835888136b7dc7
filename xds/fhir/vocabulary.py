"""The URLs and codes of FHIR R4 that are said on the wire, and those of identifiers of XDS."""

from typing import Final

FHIR_VERSION: Final = "4.0.1"
FHIR_JSON: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"

MHD: Final = "https://profiles.ihe.net/ITI/MHD"
_MHD_BEFORE: Final = "http://profiles.ihe.net/ITI/MHD"

# Types of identifiers of XDS, for which MHD has a code system
IDENTIFIER_TYPES: Final = f"{MHD}/CodeSystem/IHE.MHD.MHDIdentifierType"
ENTRY_UUID: Final = "entryUUID"
UNIQUE_ID: Final = "uniqueId"

# What FHIR has no element for (docs/mhd-mapping.md): extensions and systems of our own
OWN: Final = "urn:xds:fhir:"
OWN_ERROR_CODES: Final = f"{OWN}error-code"
"""The error codes of XDS (ITI TF-3 4.2.4.1), for which IHE publishes no code system."""
OWN_TEXT: Final = f"{OWN}text"
"""The text of the XDS attribute that an element stands for, where the element says less."""
OWN_INSTITUTION: Final = f"{OWN}authorInstitution"
"""A further institution of an author: PractitionerRole.organization holds one."""
OWN_PERSON: Final = f"{OWN}authorPerson"
OWN_IDENTIFIER_TYPES: Final = f"{OWN}identifier-type"
LOGICAL_ID: Final = "logicalID"
OWN_UNIQUE_IDS: Final = f"{OWN}uniqueId"
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
