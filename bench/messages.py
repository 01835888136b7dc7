"""Requests made once, to be sent again and again with new identifiers in their places.

The client that `xds.client` is would make each anew and read every answer as XML. That is its
work, not the server's, and would take from the server the processor time that they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xds.config import EXAMPLE_REPOSITORY
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.metadata.submission import Submission
from xds.outgoing.transport import HttpRequest
from xds.transactions import iti18_registry_stored_query as iti18
from xds.transactions import iti41_provide_and_register as iti41
from xds.transactions import iti42_register as iti42
from xds.transactions import iti43_retrieve as iti43
from xds.transactions import iti57_update as iti57
from xds.transactions.transaction import Transaction
from xds.wire import mtom
from xds.wire.envelope import CLOSE, opening


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its HTTP head."""

    path: str
    content_type: str
    body: bytes

    @property
    def message(self) -> HttpRequest:
        """The request as it stands."""
        return self._message(self.body)

    def filled(self, values: Mapping[bytes, str]) -> HttpRequest:
        """Give the request with other texts in the places of those given, each of equal length."""
        body = self.body
        for old, new in values.items():
            body = body.replace(old, new.encode())
        return self._message(body)

    def _message(self, body: bytes) -> HttpRequest:
        return HttpRequest(content_type=self.content_type, length=len(body), blocks=(body,))


def provide_and_register(submission: Submission, data: bytes) -> Request:
    """Make an ITI-41 request of documents that all have the same bytes."""
    ids = [entry.id for entry in submission.document_entries]
    documents = "".join(
        f'<xds:Document id="{one}"><xop:Include xmlns:xop="{v.NS_XOP}" '
        f'href="{mtom.href_of(f"{one}@bench")}"/></xds:Document>'
        for one in ids
    )
    body = (
        f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{v.NS_XDS}">{submission.render()}'
        f"{documents}</xds:ProvideAndRegisterDocumentSetRequest>"
    )
    attached = [mtom.Attachment(f"{one}@bench", "application/pdf", (data,)) for one in ids]
    return _mtom(iti41.TRANSACTION, body, attached)


def register(submission: Submission) -> Request:
    """Make an ITI-42 request."""
    return _simple(iti42.TRANSACTION, submission.render())


def update(submission: Submission) -> Request:
    """Make an ITI-57 request."""
    return _simple(iti57.TRANSACTION, submission.render())


def retrieve(unique_id: str) -> Request:
    """Make an ITI-43 request for one document."""
    body = (
        f'<xds:RetrieveDocumentSetRequest xmlns:xds="{v.NS_XDS}"><xds:DocumentRequest>'
        f"<xds:RepositoryUniqueId>{EXAMPLE_REPOSITORY}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(unique_id)}</xds:DocumentUniqueId>"
        "</xds:DocumentRequest></xds:RetrieveDocumentSetRequest>"
    )
    return _mtom(iti43.TRANSACTION, body)


def find_documents(patient_id: str, return_type: str) -> Request:
    """Make an ITI-18 request for all approved documents of a patient."""
    slots = "".join(
        f'<rim:Slot name="$XDSDocumentEntry{name}"><rim:ValueList><rim:Value>{escape(value)}'
        "</rim:Value></rim:ValueList></rim:Slot>"
        for name, value in (("PatientId", f"'{patient_id}'"), ("Status", f"('{v.APPROVED}')"))
    )
    body = (
        f'<query:AdhocQueryRequest xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
        f'<rim:AdhocQuery id="{v.FIND_DOCUMENTS}">{slots}</rim:AdhocQuery>'
        "</query:AdhocQueryRequest>"
    )
    return _simple(iti18.TRANSACTION, body)


def _envelope(transaction: Transaction, body: str) -> bytes:
    headers = (
        f'<wsa:Action s:mustUnderstand="1">{transaction.request_action}</wsa:Action>'
        f"<wsa:MessageID>{ebrim.new_uuid()}</wsa:MessageID>"
        f"<wsa:To>http://127.0.0.1/{transaction.actor}</wsa:To>"
        f"<wsa:ReplyTo><wsa:Address>{v.WSA_ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
    )
    return opening(headers) + body.encode() + CLOSE


def _simple(transaction: Transaction, body: str) -> Request:
    content_type = f'application/soap+xml; charset=UTF-8; action="{transaction.request_action}"'
    return Request(f"/{transaction.actor}", content_type, _envelope(transaction, body))


def _mtom(
    transaction: Transaction, body: str, attachments: Sequence[mtom.Attachment] = ()
) -> Request:
    encoded = mtom.encode(_envelope(transaction, body), attachments, transaction.request_action)
    return Request(f"/{transaction.actor}", encoded.content_type, b"".join(encoded))
