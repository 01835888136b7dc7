"""What a transaction is handed and what it gives: bodies of messages, and documents beside them."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from xds.repository.store import StagedDocument
from xds.security.access import Access


class Documents(Protocol):
    """The documents that came with a request, by the hrefs of its ``xop:Include`` elements.

    Where one of them cannot be handed out, those handed out before are the binding's again.
    """

    def take(self, href: str) -> StagedDocument:
        """Return one document and leave it to the caller; a binding's fault if there is none."""

    def stage(self, base64: str) -> StagedDocument:
        """Take in a document that stands in the envelope, and leave it to the caller."""


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """Where a request was sent to, as its sender reaches this server."""

    endpoint: str = ""
    """The URL of the actor's endpoint."""
    resource: str = ""
    """What is meant of it, by the path below it: ``subscription/…``; empty for the actor itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a request, the documents beside it, who sent it, and where to."""

    body: etree._Element
    documents: Documents
    access: Access
    target: RequestTarget = RequestTarget()
    message_id: str | None = None
    """Its wsa:MessageID, if it has one: the same where a request is repeated."""


@dataclass(frozen=True, slots=True)
class AttachedDocument:
    """A document of a response: its place in the body is the marker of the same number."""

    mime_type: str
    size: int
    chunks: Callable[[], Iterable[bytes]] | Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """The body of a response as XML in pieces; between pieces n and n+1 stands document n.

    ``pieces`` are one more than ``documents``; there is none where no message is the answer.
    """

    pieces: Sequence[bytes]
    documents: Sequence[AttachedDocument] = field(default=())
    between: Iterable[bytes] | None = None
    """XML that is made as it is sent, in blocks: it stands between two pieces, without documents.

    What it is made of is held in memory, so that making it asks nobody, and does not fail."""

    def close(self) -> None:
        """Let go of the documents, which nobody will read."""
        with ExitStack() as stack:
            for document in self.documents:
                if close := getattr(document.chunks, "close", None):
                    stack.callback(close)
