"""One HTTP exchange: the request's stream read forward only, the response in the same encoding."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from lxml import etree

from xds import base64_blocks
from xds.config import Config
from xds.http.request_body import RequestBody
from xds.metadata import vocabulary as v
from xds.parsing import parse
from xds.repository.store import StagedDocument
from xds.security import node
from xds.security.caller import Caller
from xds.soap.endpoint_url import endpoint_url
from xds.transactions.messages import AttachedDocument, RequestTarget, Response
from xds.wire import mtom
from xds.wire.addressing import BACK, NO_ADDRESSING, ON_THE_CONNECTION, Endpoint, response_headers
from xds.wire.envelope import CLOSE, opening
from xds.wire.faults import INTERNAL_ERROR, SENDER, SOAP11_TYPE, SoapFault, quotable, sender
from xds.wire.mime import (
    BodyPart,
    ContentType,
    MalformedMessage,
    MimeLimits,
    Readable,
    action_of,
    charset_of,
)

ACCEPTED: Final = "202 Accepted"
"""The status of an answer without a message: to what is one-way, or is answered elsewhere."""
_BLOCK: Final = 256 * 1024
_AT_ONCE: Final = 64 * 1024
"""Bytes of a message that is read before it is looked at: most of them have no documents."""
_LEAST_DRAINED: Final = 64 * 1024 * 1024
_SOAP: Final = "application/soap+xml"
_XML: Final = (_SOAP, "text/xml", "application/xml", "application/xop+xml")
_ACCEPTED: Final = (
    f"is not accepted: send {_SOAP}, or multipart/related with "
    f'type="application/xop+xml" and start-info="{_SOAP}" (MTOM).'
)
_BY_MTOM: Final = "send the document by MTOM, as a part of its own, and not as base64 text in it."


def is_readable(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request may be a SOAP message by its header, so that its body is of use."""
    coding = (environ.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower()
    media_type = (environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    return coding == "identity" and media_type in ("multipart/related", *_XML)


class DocumentStager(Protocol):
    """Where documents of a request are staged, and removed again if nobody takes them."""

    def stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        """Take in a document as it arrives."""

    def discard(self, documents: Iterable[StagedDocument]) -> None:
        """Remove staged documents."""


class Exchange:
    """The request of one exchange and what becomes of it; belongs to one thread."""

    def __init__(
        self,
        environ: dict[str, Any],
        config: Config,
        stager: DocumentStager | None,
        path: str,
    ) -> None:
        """``path`` is that of the endpoint, at which or below which the request was sent."""
        self._body = RequestBody(environ)
        self._stream = _Bounded(self._body, config.max_message_bytes)
        self._header = environ.get("CONTENT_TYPE") or ""
        self._soap_action = (environ.get("HTTP_SOAPACTION") or "").strip(" \t\"'") or None
        self._config = config
        self._endpoint = endpoint_url(environ, config, path)
        self._resource = environ["PATH_INFO"].removeprefix(path).strip("/")
        self._stager = stager
        self._parts: Iterator[BodyPart] = iter(())
        self._staged: mtom.PartsByCid[StagedDocument] = mtom.PartsByCid()
        self._owned: dict[str, StagedDocument] = {}
        self._handed_out: dict[str, StagedDocument] = {}
        self.is_mtom = False
        self.is_soap11 = False
        """Whether the request is one of SOAP 1.1, as its answer is then."""
        self._media_action: str | None = None
        self.body_action: str | None = None
        """The one action that has such a body, where nothing names an action."""
        self.addressing = NO_ADDRESSING
        self.routes = BACK
        self.caller = Caller(node=node.of_environment(environ))
        self.is_audited = False
        """Whether the interceptors know of the request, or are about to."""
        self._closing: Callable[[], None] | None = None

    @property
    def action(self) -> str | None:
        """The action of the request: of wsa:Action, the content type, the header SOAPAction."""
        named = self.addressing.action or self._media_action or self._soap_action
        return named or self.body_action

    @property
    def target(self) -> RequestTarget:
        """Where the request was sent to, by its path, else by wsa:To.

        A client that sends all to the URL it is configured with names a subscription in wsa:To.
        """
        named = (self.addressing.to or "").partition(urlsplit(self._endpoint).path + "/")[2]
        return RequestTarget(self._endpoint, self._resource or named.strip("/"))

    # --- the request ---

    def read_envelope(self) -> etree._Element:
        """Read and parse the envelope; documents that come before it are staged."""
        if self._body.coding != "identity":
            raise _not_readable(
                "A compressed message, with a Content-Encoding, is not supported: send it as it is."
            )
        content_type = ContentType.parse(self._header)
        self._media_action = content_type.action
        if content_type.media_type == "multipart/related":
            return self._root_part(content_type)
        if content_type.media_type in _XML:
            data = self._whole(self._stream.blocks())
            return self._parsed(data, content_type.parameters.get("charset"))
        raise _not_readable(f"The content type {quotable(content_type.media_type)} {_ACCEPTED}")

    def _root_part(self, content_type: ContentType) -> etree._Element:
        limits = MimeLimits(
            message_bytes=self._config.max_message_bytes, parts=self._config.max_parts
        )
        stream: Readable = self._stream
        if self._body.declared is not None and self._body.declared <= _AT_ONCE:
            data = self._stream.read(_AT_ONCE)
            if found := mtom.only_part(data, content_type, limits):
                return self._root(found[0].get("content-type"), self._whole((found[1],)))
            stream = _Ahead(data, stream)
        self._parts = iter(mtom.read_parts(content_type, stream, limits))
        for part in self._parts:
            if part.is_root:
                return self._root(part.content_type, self._whole(part.chunks()))
            self._take_in(part)
        raise MalformedMessage("The message has no root part.")

    def _root(self, content_type: str | None, data: bytes) -> etree._Element:
        self.is_mtom = True
        self._media_action = self._media_action or action_of(content_type)
        return self._parsed(data, charset_of(content_type))

    def _parsed(self, data: bytes, encoding: str | None) -> etree._Element:
        return parse(data, encoding=encoding, deepest=self._config.max_soap_depth)

    def _whole(self, blocks: Iterable[bytes]) -> bytes:
        read: list[bytes] = []
        size = 0
        for block in blocks:
            size += len(block)
            if size > self._config.max_envelope_bytes:
                raise sender(self._too_large())
            read.append(block)
        return b"".join(read)

    def _too_large(self) -> str:
        told = f"The SOAP envelope is larger than {self._config.max_envelope_bytes} bytes"
        return f"{told}: {_BY_MTOM}" if self._stager else f"{told}."

    # --- documents (xds.transactions.transaction.Documents) ---

    def take(self, href: str) -> StagedDocument:
        """Return the document that an xop:Include means, once; else MalformedMessage."""
        with self._all_or_none():
            self._take_in_rest()
            found = self._staged.find(href)
            if found.key not in self._owned:
                raise MalformedMessage("Two xop:Include elements refer to the same part.")
            return self._hand_out(self._owned.pop(found.key))

    def stage(self, base64: str) -> StagedDocument:
        """Take in a document that stands in the envelope as base64 text."""
        with self._all_or_none():
            self._take_in_rest()
            return self._hand_out(self._stage(mtom.inline_chunks(base64)))

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """When one document cannot be handed out, be the owner again of those that were."""
        try:
            yield
        except BaseException:
            self._owned |= self._handed_out
            raise

    def _hand_out(self, document: StagedDocument) -> StagedDocument:
        self._handed_out[document.key] = document
        return document

    def pass_over_documents(self) -> None:
        """Read on to the end, which must be there, without keeping what comes."""
        for _ in self._parts:
            pass

    def _take_in_rest(self) -> None:
        try:
            for part in self._parts:
                self._take_in(part)
        except MalformedMessage as error:
            # a fault, and not the ValueError of one document's base64
            raise sender(str(error)) from None

    def _take_in(self, part: BodyPart) -> None:
        if self._stager is None or part.content_id is None:
            return
        staged = self._stage(part.chunks())
        self._owned[staged.key] = staged
        self._staged.add(part.content_id, staged)

    def _stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        if self._stager is None:
            raise MalformedMessage("This transaction takes no documents.")
        return self._stager.stage(chunks)

    # --- the response ---

    def render(
        self, response: Response, action: str, to: Endpoint = ON_THE_CONNECTION
    ) -> "RenderedEnvelope":
        """Put a response into an envelope, in the encoding of the request."""
        if not response.pieces:
            return RenderedEnvelope(None, 0, [], ACCEPTED)
        head = self._opening(response_headers(action, self.addressing, to))
        if response.between is not None:
            return self._streamed(head, response, response.between, action)
        if self.is_mtom and not self.is_soap11:
            return self._multipart(head, response, action)
        return self._simple(head, response, action)

    def _opening(self, headers: str) -> bytes:
        return opening(headers, is_soap11=self.is_soap11)

    def render_fault(
        self, fault: SoapFault, to: Endpoint = ON_THE_CONNECTION
    ) -> "RenderedEnvelope":
        """Put a fault into an envelope, in the encoding of the request as far as that is known.

        Its status is 500 unless an option says otherwise: there are stacks that read a fault
        under no other.
        """
        rendered = self._fault(fault, to)
        by_soap = self._config.fault_status == "soap" and not self.is_soap11
        rendered.status = fault.status if by_soap else INTERNAL_ERROR
        return rendered

    def _fault(self, fault: SoapFault, to: Endpoint) -> "RenderedEnvelope":
        self.is_soap11 = self.is_soap11 or fault.is_soap11
        headers = response_headers(fault.action, self.addressing, to) + fault.header_xml
        head = self._opening(headers)
        if self.is_soap11:
            return self._simple(head, Response([fault.soap11_body()]), fault.action)
        render = self._multipart if self.is_mtom else self._simple
        return render(head, Response([fault.body()]), fault.action)

    def _streamed(
        self, head: bytes, response: Response, between: Iterable[bytes], action: str
    ) -> "RenderedEnvelope":
        """Put a response into an envelope that is made as it is sent, of unknown length."""
        first, last = response.pieces
        blocks = chain((head + first,), between, (last + CLOSE,))
        if self.is_mtom and not self.is_soap11:
            encoded = mtom.encode(blocks, (), action)
            self._closing = encoded.close
            return RenderedEnvelope(encoded.content_type, None, encoded)
        return RenderedEnvelope(self._content_type(action), None, blocks)

    def _content_type(self, action: str) -> str:
        return SOAP11_TYPE if self.is_soap11 else f'{_SOAP}; charset=UTF-8; action="{action}"'

    def _multipart(self, head: bytes, response: Response, action: str) -> "RenderedEnvelope":
        root = [head, response.pieces[0]]
        attachments = []
        token = os.urandom(16).hex()
        for number, document in enumerate(response.documents):
            content_id = f"document{number}.{token}@xds"
            root.append(_include(content_id))
            root.append(response.pieces[number + 1])
            attachments.append(_attachment(content_id, document))
        root.append(CLOSE)
        encoded = mtom.encode(b"".join(root), attachments, action)
        self._closing = encoded.close
        return RenderedEnvelope(encoded.content_type, encoded.content_length, encoded)

    def _simple(self, head: bytes, response: Response, action: str) -> "RenderedEnvelope":
        content_type = self._content_type(action)
        text = (head, *response.pieces, CLOSE)
        if not response.documents:
            return RenderedEnvelope(content_type, sum(map(len, text)), text)
        inline = sum((document.size + 2) // 3 * 4 for document in response.documents)
        self._closing = partial(_close_all, response.documents)
        return RenderedEnvelope(
            content_type, sum(map(len, text)) + inline, _inlined(head, response)
        )

    def drain(self) -> None:
        """Read what is left of the request, so that a sender in full flow hears the answer."""
        self._body.drain(max(self._config.max_message_bytes, _LEAST_DRAINED))

    def discard_documents(self) -> None:
        """Remove staged documents that nobody took; the transaction is over."""
        if self._stager is not None and self._owned:
            self._stager.discard(self._owned.values())
            self._owned.clear()

    def close(self) -> None:
        """Let go of everything: open documents, and staged ones that nobody took."""
        try:
            if self._closing is not None:
                self._closing()
        finally:
            self.discard_documents()


class RenderedEnvelope:
    """A response ready to be sent; one without a content type is empty."""

    def __init__(
        self,
        content_type: str | None,
        length: int | None,
        blocks: Iterable[bytes],
        status: str = "200 OK",
    ) -> None:
        self.content_type = content_type
        self.length = length
        self.blocks = blocks
        self.status = status


def _include(content_id: str) -> bytes:
    # of digits and letters, which stand in a URL as they are
    return f'<xop:Include xmlns:xop="{v.NS_XOP}" href="cid:{content_id}"/>'.encode()


def _attachment(content_id: str, document: AttachedDocument) -> mtom.Attachment:
    mime_type = document.mime_type
    if not mtom.is_content_type(mime_type):
        mime_type = "application/octet-stream"
    return mtom.Attachment(content_id, mime_type, document.chunks, document.size)


def _not_readable(reason: str) -> SoapFault:
    return SoapFault(SENDER, reason, status="415 Unsupported Media Type")


def _inlined(head: bytes, response: Response) -> Iterator[bytes]:
    """Yield an envelope with the documents as base64, for a sender that does not speak MTOM."""
    yield head + response.pieces[0]
    for number, document in enumerate(response.documents):
        chunks = document.chunks() if callable(document.chunks) else document.chunks
        try:
            yield from base64_blocks.encode(chunks)
        finally:
            mtom.close(chunks)
        yield response.pieces[number + 1]
    yield CLOSE


def _close_all(documents: Sequence[AttachedDocument]) -> None:
    with ExitStack() as stack:
        for document in documents:
            stack.callback(mtom.close, document.chunks)


class _Ahead:
    """A stream of which some bytes were read before."""

    def __init__(self, data: bytes, stream: Readable) -> None:
        self._data = data
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """Read some bytes, none at the end; what the stream raises."""
        data, self._data = self._data[:size], self._data[size:]
        return data or self._stream.read(size)


class _Bounded:
    """The body of a request, no further than the limit of a message."""

    def __init__(self, body: RequestBody, most: int) -> None:
        self._body = body
        self._most = most

    def read(self, size: int, /) -> bytes:
        """Read some bytes, none at the end; a sender's fault for a message beyond the limit."""
        declared = self._body.declared or 0
        data = self._body.read_on(size) if declared <= self._most else b""
        if max(declared, self._body.count) > self._most:
            raise sender(f"The message is larger than {self._most} bytes.")
        if not data and self._body.count < declared:
            raise MalformedMessage("The message ends before its Content-Length.")
        return data

    def blocks(self) -> Iterator[bytes]:
        """Yield the rest of the stream."""
        while block := self.read(_BLOCK):
            yield block
            if self._body.count == self._body.declared:
                return
