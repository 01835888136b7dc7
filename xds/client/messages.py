"""SOAP messages as a client writes and reads them: lenient in what it reads (ITI TF-2 Appendix V).

An answer may be MTOM or Simple SOAP whatever was asked, its root part need not come first, and a
fault may be one of SOAP 1.1 from a server that knows no better.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import IO, Final

from lxml import etree

from xds.client.errors import ClientError, MalformedAnswer, SoapFaultReceived, TransportFailed
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import (
    ITI_18,
    ITI_41,
    ITI_42,
    ITI_43,
    ITI_52,
    ITI_57,
    ITI_62,
    ITI_69,
    ITI_70,
    ITI_86,
    ITI_92,
    SoapMessages,
    TransactionKind,
    TransactionRow,
)
from xds.metadata.ebrim import escape, new_uuid
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse
from xds.parsing import MalformedXML, parse
from xds.wire import mtom
from xds.wire.envelope import CLOSE, opening
from xds.wire.mime import BodyPart, ContentType, MalformedMessage

_SOAP: Final = "application/soap+xml"
_XML: Final = frozenset({_SOAP, "text/xml", "application/xml", "application/xop+xml"})
_S12: Final = f"{{{v.NS_SOAP12}}}"
_S11: Final = f"{{{v.NS_SOAP11}}}"
_LANG: Final = f"{{{v.NS_XML}}}lang"
_BLOCK: Final = 256 * 1024
_SPOOLED_BYTES: Final = 1 << 20
"""A document that comes before the envelope is kept in memory up to this size, then on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a client needs to know of a transaction."""

    name: str
    action: str
    answer: str
    """The body element of the answer, ``{namespace}name``."""
    is_mtom: bool
    only_reads: bool


def _operation(row: TransactionRow, answer: str) -> Operation:
    (messages,) = row.soap
    return _operation_of(row, messages, answer)


def _operation_of(row: TransactionRow, messages: SoapMessages, answer: str) -> Operation:
    return Operation(
        name=row.name,
        action=messages.action,
        answer=answer,
        is_mtom=messages.is_mtom,
        only_reads=row.kind in (TransactionKind.QUERY, TransactionKind.RETRIEVE),
    )


PROVIDE_AND_REGISTER: Final = _operation(ITI_41, f"{{{v.NS_RS}}}RegistryResponse")
REGISTER: Final = _operation(ITI_42, f"{{{v.NS_RS}}}RegistryResponse")
UPDATE: Final = _operation(ITI_57, f"{{{v.NS_RS}}}RegistryResponse")
RESTRICTED_UPDATE: Final = _operation(ITI_92, f"{{{v.NS_RS}}}RegistryResponse")
REMOVE_METADATA: Final = _operation(ITI_62, f"{{{v.NS_RS}}}RegistryResponse")
REMOVE_DOCUMENTS: Final = _operation(ITI_86, f"{{{v.NS_RS}}}RegistryResponse")
STORED_QUERY: Final = _operation(ITI_18, f"{{{v.NS_QUERY}}}AdhocQueryResponse")
RETRIEVE: Final = _operation(ITI_43, f"{{{v.NS_XDS}}}RetrieveDocumentSetResponse")

SUBSCRIBE, UNSUBSCRIBE, RENEW = (
    _operation_of(ITI_52, one, f"{one.element}Response") for one in ITI_52.soap
)
CREATE_PULL_POINT, DESTROY_PULL_POINT = (
    _operation_of(ITI_69, one, f"{one.element}Response") for one in ITI_69.soap
)
GET_MESSAGES: Final = _operation(ITI_70, f"{{{v.NS_WSNT}}}GetMessagesResponse")


# --- writing -------------------------------------------------------------------------------------


@contextmanager
def posted(
    endpoint: HttpEndpoint,
    operation: Operation,
    body: str,
    attachments: Sequence[mtom.Attachment] = (),
) -> Iterator["ReceivedMessage"]:
    """Send a request, and hand out the answer, whose envelope has been read."""
    envelope = _envelope(endpoint, operation, body)
    if operation.is_mtom:
        encoded = mtom.encode(envelope, attachments, operation.action)
        try:
            answer = endpoint.post(_multipart(encoded, operation))
        finally:
            encoded.close()
    else:
        answer = endpoint.post(_simple(envelope, operation))
    try:
        with (
            answer,
            closing(ReceivedMessage(answer, operation, endpoint.max_envelope_bytes)) as received,
        ):
            yield received
    except ClientError as error:
        error.request_id = answer.request_id
        raise


def _envelope(endpoint: HttpEndpoint, operation: Operation, body: str) -> bytes:
    headers = (
        f'<wsa:Action s:mustUnderstand="1">{operation.action}</wsa:Action>'
        f"<wsa:MessageID>{new_uuid()}</wsa:MessageID><wsa:To>{escape(endpoint.url)}</wsa:To>"
        f"<wsa:ReplyTo><wsa:Address>{v.WSA_ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
    )
    security = _security(endpoint.assertion)
    return opening(headers + security) + body.encode() + CLOSE


def _security(assertion: bytes) -> str:
    """Return the header that carries an assertion, whose signature bears being written anew."""
    if not assertion:
        return ""
    token = etree.tostring(parse(assertion), encoding="unicode")
    return f'<wsse:Security xmlns:wsse="{v.NS_WSSE}" s:mustUnderstand="1">{token}</wsse:Security>'


def _simple(envelope: bytes, operation: Operation) -> HttpRequest:
    return HttpRequest(
        content_type=f'{_SOAP}; charset=UTF-8; action="{operation.action}"',
        length=len(envelope),
        blocks=(envelope,),
        repeatable=operation.only_reads,
    )


def _multipart(encoded: mtom.Encoded, operation: Operation) -> HttpRequest:
    # what only reads has no documents to send, so that all of it can be kept for a second try
    blocks: Iterable[bytes] = tuple(encoded) if operation.only_reads else encoded
    return HttpRequest(
        content_type=encoded.content_type,
        length=encoded.content_length,
        blocks=blocks,
        repeatable=operation.only_reads,
    )


# --- reading -------------------------------------------------------------------------------------


class ReceivedMessage:
    """An answer: its body element, and the parts beside the envelope as they come."""

    def __init__(self, answer: HttpResponse, operation: Operation, most: int) -> None:
        self._answer = answer
        self._most = most
        self._parts: Iterator[BodyPart] = iter(())
        self._early: list[tuple[str, IO[bytes]]] = []
        try:
            with _as_malformed():
                self.body = self._body(operation)
        except BaseException:
            self.close()
            raise

    def attachments(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield each part's Content-ID and blocks, which last until the next part is asked for.

        Those that came before the envelope are yielded first.
        """
        for content_id, file in self._early:
            file.seek(0)
            yield content_id, iter(partial(file.read, _BLOCK), b"")
        with _as_malformed():
            for part in self._parts:
                if part.content_id is not None:
                    yield part.content_id, _understood(part.chunks())

    def finish(self) -> None:
        """Read what is left, so that the connection can be used again."""
        with _as_malformed():
            for _ in self._parts:
                pass
            while self._answer.read():
                pass

    def close(self) -> None:
        """Let go of the parts that were kept."""
        while self._early:
            self._early.pop()[1].close()

    def _body(self, operation: Operation) -> etree._Element:
        """Read the envelope and return its content, if that is an answer to the transaction."""
        body = _content(self._envelope())
        if etree.QName(body).localname == "Fault":
            with suppress(ClientError):
                self.finish()
            raise _fault(body)
        if body.tag != operation.answer:
            raise MalformedAnswer(f"The answer to {operation.name} is a {body.tag}.")
        return body

    def _envelope(self) -> etree._Element:
        answer = self._answer
        if answer.content_encoding != "identity":
            raise MalformedAnswer("The answer is compressed, which was not asked for.")
        try:
            content_type = ContentType.parse(answer.content_type)
            if content_type.media_type == "multipart/related":
                return parse(self._root_part(content_type))
            if content_type.media_type in _XML:
                return parse(self._whole(answer), encoding=_encoding(content_type))
        except (MalformedMessage, MalformedXML):
            if answer.content_type and answer.status == HTTPStatus.OK:
                raise
        raise _no_soap(answer)

    def _root_part(self, content_type: ContentType) -> bytes:
        self._parts = iter(mtom.read_parts(content_type, self._answer))
        for part in self._parts:
            if part.is_root:
                return self._joined(part.chunks())
            if part.content_id is not None:
                self._early.append((part.content_id, _spooled(part.chunks())))
        raise MalformedMessage("The answer has no root part.")

    def _whole(self, answer: HttpResponse) -> bytes:
        return self._joined(iter(answer.read, b""))

    def _joined(self, blocks: Iterable[bytes]) -> bytes:
        read = []
        left = self._most
        for block in blocks:
            left -= len(block)
            if left < 0:
                raise MalformedAnswer(f"The envelope is larger than {self._most} bytes.")
            read.append(block)
        return b"".join(read)


def _spooled(blocks: Iterator[bytes]) -> IO[bytes]:
    file = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115 - Received closes it
    try:
        for block in blocks:
            file.write(block)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _as_malformed() -> Iterator[None]:
    try:
        yield
    except (MalformedMessage, MalformedXML) as error:
        raise MalformedAnswer(f"The answer cannot be read. {error}") from error


def _understood(blocks: Iterator[bytes]) -> Iterator[bytes]:
    with _as_malformed():
        yield from blocks


def _encoding(content_type: ContentType) -> str | None:
    """Return the encoding that the transport names, unless it is the UTF-8 of all XML."""
    charset = content_type.parameters.get("charset", "utf-8")
    return None if charset.lower().replace("_", "-") in ("utf-8", "us-ascii") else charset


def _no_soap(answer: HttpResponse) -> TransportFailed:
    outcome = f"{answer.url} answered HTTP {answer.status} {answer.reason}".rstrip()
    if answer.location:
        return TransportFailed(f"{outcome} and points to {answer.location}.")
    return TransportFailed(f"{outcome}, without a SOAP message.")


def _content(envelope: etree._Element) -> etree._Element:
    for namespace in (_S12, _S11):
        body = envelope.find(f"{namespace}Body")
        if body is not None and envelope.tag == f"{namespace}Envelope":
            for element in body.iterchildren(tag=etree.Element):
                return element
    raise MalformedAnswer("The answer is not a SOAP envelope with a body.")


def _fault(fault: etree._Element) -> SoapFaultReceived:
    if fault.tag == f"{_S11}Fault":
        code = _local(fault.findtext("faultcode"))
        reason = (fault.findtext("faultstring") or "").strip()
        return SoapFaultReceived(code, reason, (), _detail(fault.find("detail")))
    codes = [_local(value.text) for value in fault.iterfind(f"{_S12}Code//{_S12}Value")]
    code, *subcodes = codes or ["unknown"]
    return SoapFaultReceived(code, _reason(fault), subcodes, _detail(fault.find(f"{_S12}Detail")))


def _local(qualified_name: str | None) -> str:
    return (qualified_name or "unknown").strip().rpartition(":")[2]


def _reason(fault: etree._Element) -> str:
    """Return the reason in English where there is one in several languages."""
    texts = {
        (text.get(_LANG) or "").lower()[:2]: (text.text or "").strip()
        for text in fault.iterfind(f"{_S12}Reason/{_S12}Text")
    }
    return texts.get("en") or next(iter(texts.values()), "")


def _detail(element: etree._Element | None) -> str:
    if element is None or not len(element):
        return "" if element is None else (element.text or "").strip()
    return "".join(map(_alone, element))


def _alone(element: etree._Element) -> str:
    """Write an element without the namespaces that only the envelope needs."""
    copied = deepcopy(element)
    etree.cleanup_namespaces(copied)
    text: str = etree.tostring(copied, encoding="unicode", with_tail=False)
    return text
