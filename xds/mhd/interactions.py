"""INTERACTIONS: what MHD answers below /fhir, a row each (MHD 4.2.4)."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from xds.config import Config
from xds.fhir.interactions import (
    CREATE,
    OPERATION,
    READ,
    RETRIEVE,
    SEARCH,
    TRANSACTION,
    VREAD,
    Describer,
    Handler,
    ImplementationGuide,
    Interaction,
    Profiles,
    system_search,
)
from xds.fhir.search import searchset
from xds.fhir.search.parameters import Searchable
from xds.metadata.catalogue import (
    ITI_65,
    ITI_66,
    ITI_67,
    ITI_68,
    ITI_78,
    ITI_105,
    ITI_106,
    TransactionRow,
)
from xds.mhd import (
    iti65_provide_document_bundle,
    iti66_find_document_lists,
    iti67_find_document_references,
    iti68_retrieve_document,
    iti78_patient_demographics_query,
    iti105_simplified_publish,
    iti106_generate_metadata,
)
from xds.mhd import vocabulary as mhd
from xds.mhd.search.parameters import DOCUMENT_REFERENCES, LISTS, PATIENTS
from xds.mhd.updates.rows import UPDATABLE, UPDATES
from xds.mhd.updates.submitted_updates import submitted_updates
from xds.security.scopes import permissions

MHD: Final = ImplementationGuide(
    mhd.IMPLEMENTATION_GUIDE,
    "MHD Document Recipient and Document Responder",
    "Document sharing by IHE MHD 4.2.4, grouped with an XDS.b Document Registry and "
    "Document Repository (XDS on FHIR).",
)
_ACTOR: Final = f"{mhd.CAPABILITIES}IHE.MHD."


def _claims(*profiles: str) -> Profiles:
    return lambda _: profiles


def _bundles(config: Config) -> Sequence[str]:
    if config.minimal_metadata == "accept":
        return mhd.COMPREHENSIVE_PROVIDE_BUNDLE, mhd.MINIMAL_PROVIDE_BUNDLE
    return (mhd.COMPREHENSIVE_PROVIDE_BUNDLE,)


def can_generate(config: Config) -> bool:
    """Tell whether ITI-106 can work: documents do not say all codes that metadata require."""
    return config.minimal_metadata == "accept" or config.generate_defaults is not None


def _read(
    transaction: TransactionRow, resource_type: str, summary: str, version: str, handler: Handler
) -> tuple[Interaction, Interaction]:
    """Return the rows of reads of the only version that there is, and of it by its number."""
    path = f"/{resource_type}/{{id}}"
    return (
        Interaction(transaction.name, READ, "GET", path, summary, handler, resource_type),
        Interaction(
            transaction.name,
            VREAD,
            "GET",
            f"{path}/_history/{{version}}",
            version,
            handler,
            resource_type,
        ),
    )


def _search(
    transaction: TransactionRow,
    searchable: Searchable,
    summary: str,
    handler: Handler,
    describer: Describer,
    profiles: Sequence[str] = (),
    actors: Sequence[str] = (),
) -> tuple[Interaction, Interaction]:
    """Return the rows of searches by URL and by form."""
    path = f"/{searchable.resource_type}"
    by_url = Interaction(
        transaction.name,
        SEARCH,
        "GET",
        path,
        f"{summary}.",
        handler,
        searchable.resource_type,
        describer=describer,
        parameters=searchable.parameters,
        guide=MHD,
        instantiates=tuple(_ACTOR + actor for actor in actors),
        profiles=_claims(*profiles),
    )
    summary = f"{summary.partition(' by ')[0].partition(':')[0]}, with the parameters in a form."
    by_form = Interaction(
        transaction.name,
        SEARCH,
        "POST",
        f"{path}/_search",
        summary,
        handler,
        searchable.resource_type,
        describer=describer,
        parameters=searchable.parameters,
    )
    return by_url, by_form


_PROVIDE: Final = (
    Interaction(
        ITI_65.name,
        TRANSACTION,
        "POST",
        "",
        "Provide Document Bundle: publish documents with their metadata, all or none.",
        partial(
            iti65_provide_document_bundle.provide, updates=partial(submitted_updates, UPDATABLE)
        ),
        body="Bundle",
        describer=iti65_provide_document_bundle.describe,
        permissions=permissions(DocumentReference="cu", List="cu", Binary="c"),
        guide=MHD,
        instantiates=(
            f"{_ACTOR}DocumentRecipient",
            f"{_ACTOR}DocumentRecipient.Comprehensive",
            f"{_ACTOR}DocumentRecipient.Fdoc",
        ),
        profiles=_bundles,
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
        guide=MHD,
        instantiates=(f"{_ACTOR}DocumentRecipient.Simplified",),
        profiles=_claims(mhd.SIMPLIFIED_DOCUMENT_REFERENCE),
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
        guide=MHD,
        instantiates=(f"{_ACTOR}DocumentRecipient.Generate",),
        definition=mhd.GENERATE_METADATA,
        is_offered=can_generate,
    ),
)

_FIND_LISTS: Final = _search(
    ITI_66,
    LISTS,
    "Find Document Lists: SubmissionSets and Folders",
    iti66_find_document_lists.find,
    partial(searchset.describe, LISTS),
    (
        mhd.COMPREHENSIVE_SUBMISSION_SET,
        mhd.MINIMAL_SUBMISSION_SET,
        mhd.COMPREHENSIVE_FOLDER,
        mhd.MINIMAL_FOLDER,
    ),
)
_FIND_REFERENCES: Final = _search(
    ITI_67,
    DOCUMENT_REFERENCES,
    "Find Document References",
    iti67_find_document_references.find,
    partial(searchset.describe, DOCUMENT_REFERENCES),
    (mhd.COMPREHENSIVE_DOCUMENT_REFERENCE, mhd.MINIMAL_DOCUMENT_REFERENCE),
    actors=("DocumentResponder",),
)
_FIND_PATIENTS: Final = _search(
    ITI_78,
    PATIENTS,
    "Find patients by an identifier",
    iti78_patient_demographics_query.find,
    iti78_patient_demographics_query.describe,
)


def _document(code: str, path: str, summary: str, resource_type: str = "") -> Interaction:
    return Interaction(
        ITI_68.name,
        code,
        "GET",
        path,
        summary,
        resource_type=resource_type,
        serves=iti68_retrieve_document.serve,
        permissions=iti68_retrieve_document.PERMISSIONS,
    )


INTERACTIONS: Final = (
    *_PROVIDE,
    *_FIND_LISTS,
    *_read(
        ITI_66,
        "List",
        "Read a SubmissionSet or a Folder.",
        "Read the current version of a SubmissionSet or a Folder.",
        iti66_find_document_lists.read,
    ),
    *_FIND_REFERENCES,
    *_read(
        ITI_67,
        "DocumentReference",
        "Read the metadata of a document.",
        "Read the current version of the metadata of a document.",
        iti67_find_document_references.read,
    ),
    *UPDATES,
    _document(
        RETRIEVE,
        "/document/{id}",
        "Retrieve Document: its bytes, at the URL of DocumentReference.content.attachment, or "
        "its page, where HTML is asked for first.",
    ),
    _document(
        RETRIEVE, "/document/{id}/original", "Retrieve Document: its bytes, whatever is asked for."
    ),
    _document(
        RETRIEVE,
        "/document/{id}/attachment/{number}",
        "Retrieve Document: a document within it, such as an image, as its page shows it.",
    ),
    _document(
        READ,
        "/Binary/{id}",
        "Read a document as a Binary resource, or its bytes where no FHIR type is asked for.",
        "Binary",
    ),
    _document(
        VREAD,
        "/Binary/{id}/_history/{version}",
        "Read a document as a Binary resource in its only version.",
        "Binary",
    ),
    *_FIND_PATIENTS,
    *_read(
        ITI_78,
        "Patient",
        "Read what is known of a patient.",
        "Read the current version of what is known of a patient.",
        iti78_patient_demographics_query.read,
    ),
    *system_search(
        f"{ITI_66.name}, {ITI_67.name}",
        (_FIND_REFERENCES[0], _FIND_LISTS[0], _FIND_PATIENTS[0]),
    ),
)
