"""A SOAP client of the tests, which shares no code with the server.

It takes answers apart by the letter of the standards. Whatever an answer says, it must be valid by
our schemas and by the official ones, its WS-Addressing headers must fit the request, and its
content type must have the form that the facts give for SOAP 1.2 and MTOM.
"""

import io
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse
from typing import Final

from lxml import etree

from tests.reference import REFERENCE
from tests.serving import Server
from tests.soap.messages import (
    ITI41,
    ITI43,
    SIMPLE,
    Case,
    Transaction,
    as_bytes,
    http_request,
    mtom_type,
    multipart,
    part,
    root_part,
)
from tests.test_schema_reference import REFERENCE_SCHEMAS, official_schema
from tests.waiting import PATIENCE
from xds import schema_validation

NS: Final = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "xop": "http://www.w3.org/2004/08/xop/include",
    "rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "query": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
    "xds": "urn:ihe:iti:xds-b:2007",
}
SOAP_FAULT: Final = "http://www.w3.org/2005/08/addressing/soap/fault"
ADDRESSING_FAULT: Final = "http://www.w3.org/2005/08/addressing/fault"

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"

_MESSAGE_ID: Final = re.compile(r"<wsa:MessageID>\s*(.*?)\s*</wsa:MessageID>")


def name_of(prefixed: str) -> str:
    """Return the qualified name of a prefixed one."""
    prefix, _, local = prefixed.partition(":")
    return f"{{{NS[prefix]}}}{local}"


# ---- the connection


class _KeptOpen(io.BufferedReader):
    """A reader that HTTPResponse cannot close: it may have read ahead into the next answer."""

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Raw:
    """An HTTP answer as it came; the names of its headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection to the server, for bytes of any kind."""

    def __init__(self, server: Server, source: str = "") -> None:
        where, here = (server.host, server.port), (source, 0) if source else None
        self.socket = socket.create_connection(where, timeout=PATIENCE, source_address=here)
        self._reader = _KeptOpen(socket.SocketIO(self.socket, "r"))

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self.socket.sendall(data)

    def half_close(self) -> None:
        """Send no more, but go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Serve HTTPResponse."""
        return self._reader

    def receive(self) -> Raw:
        """Read one answer; an error where none comes."""
        response = HTTPResponse(self)  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Raw(response.status, headers, response.read())

    def read_line(self) -> bytes:
        """Read one line of an answer."""
        return self._reader.readline()


@contextmanager
def connected(server: Server) -> Iterator[Connection]:
    """Connect for the length of a block."""
    connection = Connection(server)
    try:
        yield connection
    finally:
        connection.socket.close()


# ---- answers


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault: its code and subcodes as they stand there, its sentence, its detail as XML."""

    code: str
    subcodes: tuple[str, ...]
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer taken apart."""

    raw: Raw
    envelope: etree._Element
    parts: Mapping[str, bytes]
    """The documents by their Content-IDs."""
    is_mtom: bool
    action: str
    """Of the content type."""

    @property
    def body(self) -> etree._Element:
        """The element in the body."""
        return self.envelope.find("s:Body", NS)[0]

    @property
    def fault(self) -> Fault:
        """The fault; the answer must be one."""
        fault = self.body
        assert fault.tag == name_of("s:Fault"), self.raw.body
        detail = fault.find("s:Detail", NS)
        return Fault(
            fault.findtext("s:Code/s:Value", "", NS),
            tuple(value.text for value in fault.iterfind(".//s:Subcode/s:Value", NS)),
            fault.findtext("s:Reason/s:Text", "", NS),
            "" if detail is None else etree.tostring(detail, encoding="unicode"),
        )

    @property
    def status(self) -> str:
        """The status of the response; the answer must be no fault."""
        assert self.body.tag != name_of("s:Fault"), self.fault
        assert self.raw.status == 200
        inner = self.body.find("rs:RegistryResponse", NS)
        status: str = (self.body if inner is None else inner).get("status")
        return status

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The code and the context of every RegistryError."""
        return [
            (error.get("errorCode"), error.get("codeContext"))
            for error in self.body.iter(name_of("rs:RegistryError"))
        ]

    @property
    def documents(self) -> dict[str, bytes]:
        """The documents of an ITI-43 response by their uniqueIds."""
        return {
            one.findtext("xds:DocumentUniqueId", "", NS): self._content(
                one.find("xds:Document", NS)
            )
            for one in self.body.iterfind("xds:DocumentResponse", NS)
        }

    def _content(self, document: etree._Element) -> bytes:
        href = document.find("xop:Include", NS)
        assert (href is not None) == self.is_mtom
        if href is None:
            return b64decode(document.text or "", validate=True)
        return self.parts[href.get("href").removeprefix("cid:")]


def take_apart(raw: Raw) -> Answer:
    """Take an answer apart by the form that the facts give for its encoding (spec 2.2, 2.3)."""
    content_type = raw.headers["content-type"]
    if simple := re.fullmatch(
        r'application/soap\+xml; charset=UTF-8; action="([^"]+)"', content_type
    ):
        return Answer(raw, etree.fromstring(raw.body), {}, False, simple[1])
    related = re.fullmatch(
        r'multipart/related; boundary="([^"]+)"; type="application/xop\+xml"; start="<([^">]+)>"; '
        r'start-info="application/soap\+xml"; action="([^"]+)"',
        content_type,
    )
    assert related, content_type
    if "content-length" in raw.headers:
        assert int(raw.headers["content-length"]) == len(raw.body)
    parts = dict(_parts(raw.body, related[1].encode()))
    first = next(iter(parts))
    assert first == related[2]
    return Answer(raw, etree.fromstring(parts.pop(first)), parts, True, related[3])


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the Content-ID and the content of each part."""
    preamble, *parts, epilogue = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert (preamble, epilogue.strip()) == (b"", b"--")
    for number, one in enumerate(parts):
        head, _, content = one.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n"))
        assert headers["Content-Transfer-Encoding"] == "binary"
        if number == 0:
            assert headers["Content-Type"] == (
                'application/xop+xml; charset=UTF-8; type="application/soap+xml"'
            )
        yield headers["Content-ID"].removeprefix("<").removesuffix(">"), content


# ---- what every answer must be


@cache
def _official_schema() -> etree.XMLSchema | None:
    """Compile the official schemas, once a session, where they are."""
    if not REFERENCE.is_dir():
        return None
    return official_schema(REFERENCE_SCHEMAS)


def check(answer: Answer, transaction: Transaction, relates_to: str | None) -> None:
    """Assert what holds of every answer to a request of this transaction with this MessageID."""
    whole = _inlined(answer)
    for element in (whole, whole.find("s:Body", NS)[0]):
        assert schema_validation.problems(element) == []
        if schema := _official_schema():
            schema.assertValid(element)
    assert answer.envelope.findtext("s:Header/wsa:RelatesTo", None, NS) == relates_to
    assert answer.action == _expected_action(answer, transaction)
    action = answer.envelope.find("s:Header/wsa:Action", NS)
    if action is None:
        assert relates_to is None
        assert b"<wsa:" not in etree.tostring(answer.envelope).partition(b"Body>")[0]
        return
    assert action.get(name_of("s:mustUnderstand")) == "1"
    assert action.text == answer.action


def _inlined(answer: Answer) -> etree._Element:
    """Return the envelope as schemas see it, which know base64 but no XOP."""
    whole = deepcopy(answer.envelope)
    for element in list(whole.iter(name_of("xop:Include"))):
        document = element.getparent()
        document.remove(element)
        document.text = b64encode(answer.parts[element.get("href").removeprefix("cid:")]).decode()
    return whole


def _expected_action(answer: Answer, transaction: Transaction) -> str:
    if answer.body.tag != name_of("s:Fault"):
        assert answer.body.tag == name_of(transaction.response)
        return transaction.response_action
    of_addressing = any(code.startswith("wsa:") for code in answer.fault.subcodes)
    return ADDRESSING_FAULT if of_addressing else SOAP_FAULT


def message_id(message: str | bytes) -> str | None:
    """Return the MessageID that stands in a message, if one does."""
    found = _MESSAGE_ID.search(as_bytes(message).decode("utf-8", "replace"))
    return found[1] if found else None


# ---- whole exchanges


def receive(connection: Connection, transaction: Transaction, relates_to: str | None) -> Answer:
    """Receive an answer and check it."""
    answer = take_apart(connection.receive())
    check(answer, transaction, relates_to)
    return answer


def post(
    server: Server,
    transaction: Transaction,
    body: str | bytes,
    content_type: str = SIMPLE,
    *headers: str,
    relates_to: str | None = "",
) -> Answer:
    """Send a message; the answer relates to the MessageID in it, if nothing else is given."""
    data = as_bytes(body)
    expected = message_id(data) if relates_to == "" else relates_to
    with connected(server) as connection:
        lines = (f"Content-Type: {content_type}", *headers)
        connection.send(http_request(transaction.path, data, *lines))
        return receive(connection, transaction, expected)


def provide(server: Server, case: Case, document: bytes) -> None:
    """Provide the document of a case as MTOM."""
    answer = post(
        server,
        ITI41,
        multipart(root_part(case.provide()), part(document)),
        mtom_type(action=ITI41.action),
    )
    assert answer.status == SUCCESS


def retrieve(server: Server, case: Case) -> bytes:
    """Retrieve the document of a case as MTOM."""
    answer = post(server, ITI43, multipart(root_part(case.retrieve())), mtom_type())
    assert answer.status == SUCCESS, answer.errors
    assert answer.is_mtom
    return answer.documents[case.document]
