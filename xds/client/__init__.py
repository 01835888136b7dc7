"""A Document Source and a Document Consumer for any XDS.b server (ITI TF-1 10.1.1).

    from pathlib import Path
    from xds.client import DocumentConsumer, DocumentSource, submission_of_files

    patient = "P0001^^^&2.999.1.1&ISO"
    with DocumentSource("http://127.0.0.1:8080/repository") as source:
        source.provide_and_register(*submission_of_files([Path("report.pdf")], patient))
    with DocumentConsumer(
        "http://127.0.0.1:8080/registry", "http://127.0.0.1:8080/repository"
    ) as consumer:
        entries = consumer.find_documents(patient).document_entries
        for document in consumer.retrieve(entries):
            document.save(Path(document.document_unique_id))

Documents stream both ways and are never held in memory. Every failure is a ClientError.
"""

from xds.client.administrator import (
    DocumentAdministrator,
    differences,
    next_version,
    removal_of,
    status_change_of,
    update_of,
)
from xds.client.answers import ObjectRef, QueryResponse, RegistryResponse, ReportedError
from xds.client.consumer import DocumentConsumer, Retrieval
from xds.client.documents import Content, Fingerprint, RetrievedDocument
from xds.client.errors import (
    ClientError,
    DocumentDiffers,
    MalformedAnswer,
    NotReached,
    SoapFaultReceived,
    TransactionRefused,
    TransportFailed,
)
from xds.client.fhir_subscriber import FhirRefused, ResourceSubscriber, patient_filter
from xds.client.page_consumer import PageConsumer, page_text
from xds.client.parameters import AllOf, DocumentFilters, QueryValue
from xds.client.source import DocumentSource
from xds.client.submitting import (
    Provision,
    entry_of,
    entry_of_file,
    new_oid,
    submission_of,
    submission_of_files,
)
from xds.client.subscriber import (
    DocumentMetadataSubscriber,
    ReceivedNotification,
    SubscriptionReference,
    read_notify,
)
from xds.metadata.document_request import DocumentRequest
from xds.outgoing.transport import LOCAL_URL, Settings, tls_context

__all__ = [
    "LOCAL_URL",
    "AllOf",
    "ClientError",
    "Content",
    "DocumentAdministrator",
    "DocumentConsumer",
    "DocumentDiffers",
    "DocumentFilters",
    "DocumentMetadataSubscriber",
    "DocumentRequest",
    "DocumentSource",
    "FhirRefused",
    "Fingerprint",
    "MalformedAnswer",
    "NotReached",
    "ObjectRef",
    "PageConsumer",
    "Provision",
    "QueryResponse",
    "QueryValue",
    "ReceivedNotification",
    "RegistryResponse",
    "ReportedError",
    "ResourceSubscriber",
    "Retrieval",
    "RetrievedDocument",
    "Settings",
    "SoapFaultReceived",
    "SubscriptionReference",
    "TransactionRefused",
    "TransportFailed",
    "differences",
    "entry_of",
    "entry_of_file",
    "new_oid",
    "next_version",
    "page_text",
    "patient_filter",
    "read_notify",
    "removal_of",
    "status_change_of",
    "submission_of",
    "submission_of_files",
    "tls_context",
    "update_of",
]
