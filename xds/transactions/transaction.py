"""What a transaction is: a row that names it, its messages and its handler."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from lxml import etree

from xds import logs, schema_validation
from xds.affinity_domain import AffinityDomain
from xds.errors import FailureKind, RegistryError, TransactionFailure, kind_of
from xds.metadata.catalogue import SoapMessages, TransactionRow
from xds.repository.store import StagedDocument
from xds.security.access import Access, AccessDenied

_log = logs.get_logger(__name__)


class Documents(Protocol):
    """The documents that came with a request, by the hrefs of its ``xop:Include`` elements.

    Where one of them cannot be handed out, those handed out before are the binding's again.
    """

    def take(self, href: str) -> StagedDocument:
        """Return one document and leave it to the caller; a binding's fault if there is none."""

    def stage(self, base64: str) -> StagedDocument:
        """Take in a document that stands in the envelope, and leave it to the caller."""


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a request, the documents beside it, and who sent it."""

    body: etree._Element
    documents: Documents
    access: Access


@dataclass(frozen=True, slots=True)
class AttachedDocument:
    """A document of a response: its place in the body is the marker of the same number."""

    mime_type: str
    size: int
    chunks: Callable[[], Iterable[bytes]] | Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """The body of a response as XML in pieces; between pieces n and n+1 stands document n.

    ``pieces`` are one more than ``documents``.
    """

    pieces: Sequence[bytes]
    documents: Sequence[AttachedDocument] = field(default=())

    def close(self) -> None:
        """Let go of the documents, which nobody will read."""
        with ExitStack() as stack:
            for document in self.documents:
                if close := getattr(document.chunks, "close", None):
                    stack.callback(close)


Handler = Callable[[AffinityDomain, Request], Response]
Describer = Callable[[AffinityDomain, etree._Element, Access], None]
Refusal = Callable[[Sequence[RegistryError]], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One row of TRANSACTIONS: how a request of a transaction in the catalogue is answered."""

    catalogued: TransactionRow
    messages: SoapMessages
    """One of those of its row in the catalogue."""
    handler: Handler
    describer: Describer
    """Sets the details of an access from the body of a request: for the record of one that is
    denied. Raises TransactionFailure where the body is not valid."""
    refusal: Refusal
    """Renders a response that says why the transaction was refused."""
    invalid: type[RegistryError]
    """The error for a request that the schema refuses (ITI TF-3 4.2.4)."""
    failed: type[RegistryError]
    """The error for a server that cannot answer."""
    busy: type[RegistryError]
    """The error for a server that cannot answer now."""

    @property
    def name(self) -> str:
        """As in the TF: ``ITI-42``."""
        return self.catalogued.name

    @property
    def actor(self) -> str:
        """``registry`` or ``repository``: the path that it is served at."""
        return self.catalogued.actor

    @property
    def request_action(self) -> str:
        """wsa:Action of the request."""
        return self.messages.action

    @property
    def request_element(self) -> str:
        """The body element of the request, ``{namespace}name``."""
        return self.messages.element

    @property
    def response_action(self) -> str:
        """wsa:Action of the response."""
        return self.messages.response_action

    @property
    def operation(self) -> str:
        """The last part of the request's action, which tells apart the messages of one name."""
        return self.messages.operation

    def answer(self, domain: AffinityDomain, request: Request) -> Response:
        """Answer a request; whatever its content is, a response of this transaction comes back."""
        response: Response | None = None
        request.access.describe = partial(self.describer, domain, request.body)
        try:
            with domain.interceptors.passing(request.access):
                response = self.handler(domain, request)
        except TransactionFailure as failure:
            return self.refusal(failure.errors)
        except AccessDenied as denied:
            return self.refusal([self.failed(str(denied))])
        except Exception as error:
            if kind_of(error) not in (FailureKind.UNAVAILABLE, FailureKind.FULL):
                raise
            _log.error("not available", transaction=self.name, exc_info=error)
            if response is not None:
                response.close()
            return self.refusal([self.busy(BUSY)])
        return response

    def check(self, body: etree._Element) -> None:
        """Raise TransactionFailure with every violation of the schema."""
        if found := schema_validation.problems(body):
            raise TransactionFailure([self.invalid(problem, rule="schema") for problem in found])


BUSY: Final = "the server cannot store or read at the moment; try again later"
