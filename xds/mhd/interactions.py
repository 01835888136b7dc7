"""INTERACTIONS: everything that is answered below /fhir, a row each.

The application routes by this table, and the CapabilityStatement and the OpenAPI description are
made from it; so what is not here is neither answered nor stated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.search import searchset
from xds.metadata.catalogue import ITI_65, ITI_66, ITI_67, ITI_68, ITI_78, ITI_105, ITI_106
from xds.mhd import (
    iti65_provide_document_bundle,
    iti66_find_document_lists,
    iti67_find_document_references,
    iti78_patient_demographics_query,
    iti105_simplified_publish,
    iti106_generate_metadata,
)
from xds.mhd.search import system

Handler = Callable[[Facade, Call], Answer]
Describer = Callable[[Facade, Call], None]

SEARCH: Final = "search-type"
"""The codes of FHIR's interactions (R4, restful-interaction)."""
SEARCH_SYSTEM: Final = "search-system"
READ: Final = "read"
VREAD: Final = "vread"
CREATE: Final = "create"
TRANSACTION: Final = "transaction"
OPERATION: Final = "operation"
CAPABILITIES: Final = "capabilities"
DESCRIPTION: Final = "description"
"""Not of FHIR: the OpenAPI description."""
SMART: Final = "smart-configuration"
"""Not of FHIR: where tokens are had (SMART App Launch)."""
RETRIEVE: Final = "retrieve"
"""Not of FHIR: the bytes of a document (ITI TF-2 3.68)."""

_FIND_LISTS: Final = iti66_find_document_lists.find
_FIND_REFERENCES: Final = iti67_find_document_references.find


@dataclass(frozen=True, slots=True)
class Interaction:
    """One row: a method at a path."""

    name: str
    """The ITI transaction, or that which it belongs to."""
    code: str
    method: str
    """GET stands for HEAD as well."""
    path: str
    """Below the base; ``{id}`` is the logical id, ``{version}`` the versionId."""
    summary: str
    handler: Handler | None = None
    """None where the application itself answers."""
    resource_type: str = ""
    """Of what is found, read or made; empty where that is no resource type in particular."""
    body: str = ""
    """The resource type of the body; empty where there is none, or a form."""
    describer: Describer | None = None
    """Sets the details of the access from a request, for the record of one that is denied. None
    where the handler, which reads one resource, does just that."""

    def transaction(self, parameters: Sequence[tuple[str, str]]) -> str:
        """Return the transaction that a request is: a search of the whole system is one of several.

        Refused where the search names none of them.
        """
        if self.code != SEARCH_SYSTEM:
            return self.name
        searched = system.resource_type(parameters)
        return next(
            row.name for row in INTERACTIONS if (row.code, row.resource_type) == (SEARCH, searched)
        )


INTERACTIONS: Final = (
    Interaction(
        ITI_65.name,
        TRANSACTION,
        "POST",
        "",
        "Provide Document Bundle: publish documents with their metadata, all or none.",
        iti65_provide_document_bundle.provide,
        body="Bundle",
        describer=iti65_provide_document_bundle.describe,
    ),
    Interaction(
        ITI_105.name,
        CREATE,
        "POST",
        "/DocumentReference",
        "Simplified Publish: publish the one document that the DocumentReference carries.",
        iti105_simplified_publish.publish,
        "DocumentReference",
        body="DocumentReference",
        describer=iti105_simplified_publish.describe,
    ),
    Interaction(
        ITI_106.name,
        OPERATION,
        "POST",
        "/DocumentReference/$generate-metadata",
        "Generate Metadata: publish a structured document, from which its metadata is taken.",
        iti106_generate_metadata.generate,
        "DocumentReference",
        body="Parameters",
        describer=iti106_generate_metadata.describe,
    ),
    Interaction(
        ITI_66.name,
        SEARCH,
        "GET",
        "/List",
        "Find Document Lists: SubmissionSets and Folders.",
        _FIND_LISTS,
        "List",
        describer=partial(searchset.describe, "List"),
    ),
    Interaction(
        ITI_66.name,
        SEARCH,
        "POST",
        "/List/_search",
        "Find Document Lists, with the parameters in a form.",
        _FIND_LISTS,
        "List",
        describer=partial(searchset.describe, "List"),
    ),
    Interaction(
        ITI_66.name,
        READ,
        "GET",
        "/List/{id}",
        "Read a SubmissionSet or a Folder.",
        iti66_find_document_lists.read,
        "List",
    ),
    Interaction(
        ITI_66.name,
        VREAD,
        "GET",
        "/List/{id}/_history/{version}",
        "Read the current version of a SubmissionSet or a Folder.",
        iti66_find_document_lists.read,
        "List",
    ),
    Interaction(
        ITI_67.name,
        SEARCH,
        "GET",
        "/DocumentReference",
        "Find Document References.",
        _FIND_REFERENCES,
        "DocumentReference",
        describer=partial(searchset.describe, "DocumentReference"),
    ),
    Interaction(
        ITI_67.name,
        SEARCH,
        "POST",
        "/DocumentReference/_search",
        "Find Document References, with the parameters in a form.",
        _FIND_REFERENCES,
        "DocumentReference",
        describer=partial(searchset.describe, "DocumentReference"),
    ),
    Interaction(
        ITI_67.name,
        READ,
        "GET",
        "/DocumentReference/{id}",
        "Read the metadata of a document.",
        iti67_find_document_references.read,
        "DocumentReference",
    ),
    Interaction(
        ITI_67.name,
        VREAD,
        "GET",
        "/DocumentReference/{id}/_history/{version}",
        "Read the current version of the metadata of a document.",
        iti67_find_document_references.read,
        "DocumentReference",
    ),
    Interaction(
        ITI_68.name,
        RETRIEVE,
        "GET",
        "/document/{id}",
        "Retrieve Document: its bytes, at the URL of DocumentReference.content.attachment.",
    ),
    Interaction(
        ITI_68.name,
        READ,
        "GET",
        "/Binary/{id}",
        "Read a document as a Binary resource, or its bytes where no FHIR type is asked for.",
        resource_type="Binary",
    ),
    Interaction(
        ITI_68.name,
        VREAD,
        "GET",
        "/Binary/{id}/_history/{version}",
        "Read a document as a Binary resource in its only version.",
        resource_type="Binary",
    ),
    Interaction(
        ITI_78.name,
        SEARCH,
        "GET",
        "/Patient",
        "Find patients by an identifier.",
        iti78_patient_demographics_query.find,
        "Patient",
        describer=iti78_patient_demographics_query.describe,
    ),
    Interaction(
        ITI_78.name,
        SEARCH,
        "POST",
        "/Patient/_search",
        "Find patients, with the parameters in a form.",
        iti78_patient_demographics_query.find,
        "Patient",
        describer=iti78_patient_demographics_query.describe,
    ),
    Interaction(
        ITI_78.name,
        READ,
        "GET",
        "/Patient/{id}",
        "Read what is known of a patient.",
        iti78_patient_demographics_query.read,
        "Patient",
    ),
    Interaction(
        ITI_78.name,
        VREAD,
        "GET",
        "/Patient/{id}/_history/{version}",
        "Read the current version of what is known of a patient.",
        iti78_patient_demographics_query.read,
        "Patient",
    ),
    Interaction(
        f"{ITI_66.name}, {ITI_67.name}",
        SEARCH_SYSTEM,
        "GET",
        "",
        "Find resources of the one type that _type names.",
        system.find,
        describer=system.describe,
    ),
    Interaction(
        f"{ITI_66.name}, {ITI_67.name}",
        SEARCH_SYSTEM,
        "POST",
        "/_search",
        "Find resources of the one type that _type names, with the parameters in a form.",
        system.find,
        describer=system.describe,
    ),
    Interaction(
        "capabilities",
        CAPABILITIES,
        "GET",
        "/metadata",
        "What is answered here, as a CapabilityStatement.",
    ),
    Interaction(
        "OpenAPI",
        DESCRIPTION,
        "GET",
        "/openapi.json",
        "What is answered here, as an OpenAPI description.",
    ),
    Interaction(
        "SMART",
        SMART,
        "GET",
        "/.well-known/smart-configuration",
        "Where clients get tokens for this server.",
    ),
)

OPEN: Final = frozenset({CAPABILITIES, DESCRIPTION, SMART})
"""What anyone may ask for: by it a client learns what is asked of it."""
