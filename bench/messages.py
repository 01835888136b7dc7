"""Requests as bytes that a client sends again and again, with new identifiers in their places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench import samples
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import Submission
from xds.soap import mtom
from xds.soap.envelope import CLOSE, MIDDLE, OPEN
from xds.transactions import Transaction
from xds.transactions import iti18_registry_stored_query as iti18
from xds.transactions import iti41_provide_and_register as iti41
from xds.transactions import iti42_register as iti42
from xds.transactions import iti43_retrieve as iti43

REPOSITORY: Final = "2.999.1.3"


@dataclass(frozen=True, slots=True)
class Message:
    """A request without its HTTP head."""

    path: str
    content_type: str
    body: bytes

    def filled(self, values: Mapping[bytes, str]) -> bytes:
        """Give the body with other texts in the places of those given, each of the same length."""
        body = self.body
        for old, new in values.items():
            body = body.replace(old, new.encode())
        return body


def provide_and_register(
    patient_id: str, unique_ids: Sequence[str], data: bytes, submission_unique_id: str
) -> Message:
    """Make an ITI-41 request of documents that all have the same bytes."""
    entries = _entries(patient_id, unique_ids, data)
    submission = samples.submission(patient_id, submission_unique_id, entries)
    documents = "".join(
        f'<xds:Document id="{entry.id}"><xop:Include xmlns:xop="{v.NS_XOP}" '
        f'href="{mtom.href_of(_content_id(entry))}"/></xds:Document>'
        for entry in entries
    )
    body = (
        f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{v.NS_XDS}">{submission.render()}'
        f"{documents}</xds:ProvideAndRegisterDocumentSetRequest>"
    )
    attachments = [
        mtom.Attachment(_content_id(entry), "application/pdf", (data,), len(data))
        for entry in entries
    ]
    return _mtom(iti41.TRANSACTION, body, attachments)


def register(
    patient_id: str, unique_ids: Sequence[str], data: bytes, submission_unique_id: str
) -> Message:
    """Make an ITI-42 request, as a repository sends it."""
    entries = _entries(patient_id, unique_ids, data, repository_unique_id=REPOSITORY)
    submission = samples.submission(patient_id, submission_unique_id, entries)
    return _simple(iti42.TRANSACTION, submission.render())


def retrieve(unique_id: str) -> Message:
    """Make an ITI-43 request for one document."""
    body = (
        f'<xds:RetrieveDocumentSetRequest xmlns:xds="{v.NS_XDS}"><xds:DocumentRequest>'
        f"<xds:RepositoryUniqueId>{REPOSITORY}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(unique_id)}</xds:DocumentUniqueId>"
        "</xds:DocumentRequest></xds:RetrieveDocumentSetRequest>"
    )
    return _mtom(iti43.TRANSACTION, body, ())


def find_documents(patient_id: str, return_type: str) -> Message:
    """Make an ITI-18 request for all approved documents of a patient."""
    return _stored_query(
        v.FIND_DOCUMENTS,
        return_type,
        {
            "$XDSDocumentEntryPatientId": f"'{patient_id}'",
            "$XDSDocumentEntryStatus": f"('{v.APPROVED}')",
        },
    )


def get_documents(unique_ids: Sequence[str], return_type: str) -> Message:
    """Make an ITI-18 request for documents by their uniqueIds."""
    listed = ",".join(f"'{one}'" for one in unique_ids)
    return _stored_query(
        v.GET_DOCUMENTS, return_type, {"$XDSDocumentEntryUniqueId": f"({listed})"}
    )


def _entries(
    patient_id: str, unique_ids: Sequence[str], data: bytes, **more: object
) -> list[DocumentEntry]:
    described = samples.describe(data)
    return [
        samples.entry(number, unique_id, patient_id, described, **more)
        for number, unique_id in enumerate(unique_ids)
    ]


def _content_id(entry: DocumentEntry) -> str:
    return f"{entry.id}@bench"


def _stored_query(query_id: str, return_type: str, parameters: Mapping[str, str]) -> Message:
    slots = "".join(
        f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value>'
        "</rim:ValueList></rim:Slot>"
        for name, value in parameters.items()
    )
    body = (
        f'<query:AdhocQueryRequest xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
        f'<rim:AdhocQuery id="{query_id}">{slots}</rim:AdhocQuery></query:AdhocQueryRequest>'
    )
    return _simple(iti18.TRANSACTION, body)


def _envelope(transaction: Transaction, body: str) -> bytes:
    headers = (
        f'<wsa:Action s:mustUnderstand="1">{transaction.request_action}</wsa:Action>'
        f"<wsa:MessageID>{ebrim.new_uuid()}</wsa:MessageID>"
        f"<wsa:To>http://127.0.0.1/{transaction.actor}</wsa:To>"
        f"<wsa:ReplyTo><wsa:Address>{v.WSA_ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
    )
    return f"{OPEN}{headers}{MIDDLE}{body}".encode() + CLOSE


def _simple(transaction: Transaction, body: str) -> Message:
    content_type = f'application/soap+xml; charset=UTF-8; action="{transaction.request_action}"'
    return Message(f"/{transaction.actor}", content_type, _envelope(transaction, body))


def _mtom(
    transaction: Transaction, body: str, attachments: Sequence[mtom.Attachment]
) -> Message:
    encoded = mtom.encode(_envelope(transaction, body), attachments, transaction.request_action)
    return Message(f"/{transaction.actor}", encoded.content_type, b"".join(encoded))
