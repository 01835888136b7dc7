"""Messages for the tests of the SOAP binding: made from the fixtures, down to the single byte."""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha1
from itertools import count
from pathlib import Path
from typing import Final

FIXTURES: Final = Path(__file__).resolve().parents[2] / "fixtures"

SIMPLE: Final = "application/soap+xml; charset=UTF-8"
BOUNDARY: Final = "MIMEBoundary_of_a_test"
ROOT_ID: Final = "root@source.example"
DOCUMENT_ID: Final = "document01@source.example"
"""The Content-ID that the fixture of ITI-41 refers to."""


def include(href: str) -> str:
    """Return an xop:Include as it stands in the fixture."""
    return f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="{href}"/>'


INCLUDE: Final = include(f"cid:{DOCUMENT_ID}")
REPOSITORY: Final = "2.999.1.3"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as the facts name it."""

    name: str
    path: str
    action: str
    response: str
    """The response's element, with a prefix."""

    @property
    def response_action(self) -> str:
        """The action of the response."""
        return f"{self.action}Response"


_ACTION: Final = "urn:ihe:iti:2007:"
ITI18 = Transaction(
    "ITI-18", "/registry", f"{_ACTION}RegistryStoredQuery", "query:AdhocQueryResponse"
)
ITI42 = Transaction("ITI-42", "/registry", f"{_ACTION}RegisterDocumentSet-b", "rs:RegistryResponse")
ITI41 = Transaction(
    "ITI-41", "/repository", f"{_ACTION}ProvideAndRegisterDocumentSet-b", "rs:RegistryResponse"
)
ITI43 = Transaction(
    "ITI-43", "/repository", f"{_ACTION}RetrieveDocumentSet", "xds:RetrieveDocumentSetResponse"
)


# ---- envelopes


def changed(text: str, old: str, new: str) -> str:
    """Return a text with every occurrence changed; there must be one."""
    assert old in text, old
    return text.replace(old, new)


@dataclass(frozen=True, slots=True)
class Case:
    """The identifiers of one test: of its patient, its SubmissionSet, its document, its Folder."""

    number: int

    @property
    def patient(self) -> str:
        """The identifier within its assigning authority, to be looked for in logs."""
        return f"WIRE{self.number:05d}"

    @property
    def document(self) -> str:
        """The uniqueId of the document."""
        return f"2.999.41.{self.number}.2"

    def fixture(self, name: str) -> str:
        """Return a message of the fixtures, about this patient and these objects."""
        text = (FIXTURES / name).read_text(encoding="utf-8").replace("PAT41", self.patient)
        return re.sub(r"2\.999\.41\.([123])(?!\d)", rf"2.999.41.{self.number}.\1", text)

    def provide(self, content: str = INCLUDE) -> str:
        """Return the envelope of ITI-41 with one document, and this inside its xds:Document."""
        return changed(self.fixture("iti41/one_document.xml"), INCLUDE, content)

    def register(self, document: bytes) -> str:
        """Return the envelope of ITI-42 that a repository would send for ``provide``."""
        text = changed(self.provide(""), '<xds:Document id="Document01"></xds:Document>', "")
        text = re.sub(r"</?xds:[^>]*>", "", changed(text, ITI41.action, ITI42.action))
        slots = "".join(
            f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList>'
            "</rim:Slot>"
            for name, value in (
                ("repositoryUniqueId", REPOSITORY),
                ("hash", sha1(document).hexdigest()),
                ("size", str(len(document))),
            )
        )
        first = '<rim:Slot name="creationTime">'
        return changed(text, first, slots + first)

    def find(self) -> str:
        """Return the envelope of ITI-18 for all documents of the patient."""
        return self.fixture("iti18/find_documents.xml")

    def retrieve(self) -> str:
        """Return the envelope of ITI-43 for the document."""
        return self.fixture("iti43/one_document.xml")


_NUMBERS: Final = count(1)


def new_case() -> Case:
    """Return identifiers that no other test of this session uses."""
    return Case(next(_NUMBERS))


def without_header(envelope: str, name: str) -> str:
    """Return an envelope without a header of WS-Addressing; it must have one."""
    text, times = re.subn(rf"<wsa:{name}[ >].*?</wsa:{name}>", "", envelope, flags=re.DOTALL)
    assert times == 1, name
    return text


def with_header(envelope: str, header: str) -> str:
    """Return an envelope with one more header, which comes first."""
    return changed(envelope, "<s:Header>", f"<s:Header>{header}")


def in_base64(data: bytes, line: int = 0) -> str:
    """Return base64 text, in lines of a length if one is given."""
    text = b64encode(data).decode()
    return "\n".join(text[i : i + line] for i in range(0, len(text), line)) if line else text


# ---- MIME


def part(
    body: bytes,
    content_id: str | None = f"<{DOCUMENT_ID}>",
    content_type: str | None = "text/plain",
    encoding: str | None = "binary",
) -> bytes:
    """Return the headers and the body of one part; a header of None is left out."""
    lines = {
        "Content-Type": content_type,
        "Content-Transfer-Encoding": encoding,
        "Content-ID": content_id,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return head.encode() + b"\r\n" + body


def root_part(
    envelope: str | bytes,
    content_id: str | None = f"<{ROOT_ID}>",
    content_type: str | None = 'application/xop+xml; charset=UTF-8; type="application/soap+xml"',
) -> bytes:
    """Return the part of an envelope."""
    return part(as_bytes(envelope), content_id, content_type)


def multipart(*parts: bytes, preamble: bytes = b"", epilogue: bytes = b"\r\n") -> bytes:
    """Return a multipart body of these parts (RFC 2046 5.1.1)."""
    delimiter = b"--" + BOUNDARY.encode()
    body = b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in parts)
    return preamble + body + delimiter + b"--" + epilogue


def mtom_type(
    start: str | None = f'"<{ROOT_ID}>"',
    start_info: str = '"application/soap+xml"',
    action: str | None = None,
) -> str:
    """Return the content type of such a message; what is given stands in it as it is."""
    named = f" start={start};" if start is not None else ""
    acting = f'; action="{action}"' if action is not None else ""
    return (
        f'multipart/related; boundary="{BOUNDARY}"; type="application/xop+xml";{named} '
        f"start-info={start_info}{acting}"
    )


def as_bytes(text: str | bytes) -> bytes:
    """Return text in UTF-8, and bytes as they are."""
    return text if isinstance(text, bytes) else text.encode()


# ---- HTTP


def http_request(
    path: str, body: bytes, *headers: str, method: str = "POST", length: bool = True
) -> bytes:
    """Return an HTTP request with Host, exactly these header lines and, by default, its length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test.example", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks (RFC 9112 7.1)."""
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in [*chunks, b""])
