"""Hostile XML and MIME through the wire: what each is refused with; the server is as before."""

import gzip
from pathlib import Path

import pytest

from tests.serving import Server
from tests.soap.messages import (
    BOUNDARY,
    ITI18,
    ITI41,
    ROOT_ID,
    SIMPLE,
    Case,
    changed,
    include,
    mtom_type,
    multipart,
    part,
    root_part,
    with_header,
)
from tests.soap.refusal import assert_refused
from tests.soap.wire import FAILURE, SUCCESS, post

FIND = Case(0).find()
PROVIDE = Case(0).provide()
DOCUMENT = b"a document"
SECRET = Path("/etc/hostname")
XINCLUDE = "http://www.w3.org/2001/XInclude"


# ---- XML


@pytest.mark.parametrize("parse", ["text", "xml"])
@pytest.mark.parametrize("href", [SECRET.as_uri(), "http://127.0.0.1:9/x"])
def test_xinclude_is_not_followed(unharmed_server: Server, href: str, parse: str) -> None:
    """In a header it is an element that nobody asks for, in a body one the schema refuses."""
    element = f'<i:include xmlns:i="{XINCLUDE}" href="{href}" parse="{parse}"/>'
    ignored = post(unharmed_server, ITI18, with_header(FIND, element))
    assert ignored.status == SUCCESS
    answer = post(
        unharmed_server,
        ITI18,
        changed(FIND, "</query:AdhocQueryRequest>", f"{element}</query:AdhocQueryRequest>"),
    )
    assert answer.status == FAILURE
    assert answer.errors[0][0] == "XDSRegistryError"
    assert SECRET.read_bytes().strip() not in ignored.raw.body + answer.raw.body


def test_namespaces_and_schema_locations_are_not_fetched(unharmed_server: Server) -> None:
    located = (
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="urn:x {SECRET.as_uri()} urn:y http://127.0.0.1:9/y.xsd"'
    )
    body = changed(FIND, "<s:Header>", f"<s:Header {located}>")
    assert post(unharmed_server, ITI18, body).status == SUCCESS


@pytest.mark.parametrize(
    ("flood", "words"),
    [
        pytest.param("<n " + "a='' " * 2_000_001 + "/>", "tags and attributes", id="attributes"),
        pytest.param(
            "<n " + "xmlns:a='' " * 2_000_001 + "/>",
            "tags and attributes",
            id="namespaces",
        ),
        pytest.param("<n>" + "<m/>" * 2_000_001 + "</n>", "tags and attributes", id="elements"),
        pytest.param("<n a='' a=''/>", "Attribute a redefined", id="an attribute twice"),
        pytest.param(f"<{'n' * 60_000}/>", "Name too long", id="a name without end"),
        pytest.param("<n>\0</n>", "not well-formed", id="NUL"),
        pytest.param("<n>&#0;</n>", "not well-formed", id="NUL as a reference"),
        pytest.param("<n>&#xD800;</n>", "not well-formed", id="half of a pair as a reference"),
        pytest.param("<n p:a='x'/>", "Namespace prefix p", id="a prefix of nobody"),
    ],
)
def test_flooded_and_broken_xml(unharmed_server: Server, flood: str, words: str) -> None:
    answer = post(unharmed_server, ITI18, with_header(FIND, flood), relates_to=None)
    assert_refused(answer, words)


def test_many_attributes_and_namespaces_within_the_limit_are_borne(unharmed_server: Server) -> None:
    some = "".join(f"xmlns:a{n}='u:{n}' a{n}:b='' " for n in range(20_000))
    assert post(unharmed_server, ITI18, with_header(FIND, f"<n {some}/>")).status == SUCCESS


def test_text_of_megabytes_in_a_header_is_borne(unharmed_server: Server) -> None:
    """Up to ``max_envelope_bytes``, which tests/soap/test_bad_transport.py goes beyond."""
    body = with_header(FIND, f"<n>{'x' * 12_000_000}</n>")
    assert post(unharmed_server, ITI18, body).status == SUCCESS


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("UTF-8", FIND.encode().replace(b"http://", b"\xc0\xaf\xed\xa0\x80", 1)),
        ("UTF-8", FIND.encode() + b"\xff"),
        ("US-ASCII", FIND.encode().replace(b"http://", b"\xe9", 1)),
        ("UTF-16", FIND.encode()),
    ],
    ids=["overlong and surrogate", "after the end", "not ASCII", "not the UTF-16 it claims"],
)
def test_bytes_that_are_not_of_the_encoding(
    unharmed_server: Server, encoding: str, content: bytes
) -> None:
    body = content.replace(b"UTF-8", encoding.encode(), 1)
    content_type = f"application/soap+xml; charset={encoding}"
    assert_refused(post(unharmed_server, ITI18, body, content_type, relates_to=None), "XML")


# ---- XOP


@pytest.mark.parametrize("href", [f"cid:{ROOT_ID}", f"cid:{ROOT_ID.replace('@', '%40')}"])
def test_an_include_of_the_part_that_it_stands_in(unharmed_server: Server, href: str) -> None:
    """The root part is no document, so that nothing can include itself."""
    body = multipart(root_part(Case(0).provide(include(href))), part(DOCUMENT))
    answer = post(unharmed_server, ITI41, body, mtom_type())
    assert_refused(answer, "part that the message does not have")


def test_an_include_within_a_document_is_text(unharmed_server: Server) -> None:
    nested = part(include("cid:other").encode()), part(DOCUMENT, "<other>")
    body = multipart(root_part(Case(0).provide(include("cid:none"))), *nested)
    assert_refused(post(unharmed_server, ITI41, body, mtom_type()), "does not have")


@pytest.mark.parametrize(
    "content",
    [include("cid:document01@source.example") * 2, "x" + include("cid:document01@source.example")],
    ids=["two includes in one document", "text and an include"],
)
def test_more_than_one_content_of_a_document(unharmed_server: Server, content: str) -> None:
    body = multipart(root_part(Case(0).provide(content)), part(DOCUMENT))
    answer = post(unharmed_server, ITI41, body, mtom_type())
    assert answer.status == FAILURE
    assert answer.errors[0][0] == "XDSRepositoryMetadataError"


# ---- MIME


def test_a_million_small_parts(unharmed_server: Server) -> None:
    """It is refused at part 10,001, and what was staged until then is removed."""
    small = b"--" + BOUNDARY.encode() + b"\r\n\r\n\r\n"
    body = multipart(root_part(PROVIDE), preamble=b"").removesuffix(f"--{BOUNDARY}--\r\n".encode())
    answer = post(unharmed_server, ITI41, body + small * 1_000_000, mtom_type())
    assert_refused(answer, "The message has more than 10000 parts.")


@pytest.mark.parametrize(
    "headers",
    [b"X: " + b"y" * 200_000, b"X: y\r\n" * 50_000, b"X: y\r\n z" * 50_000],
    ids=["one", "many", "folded"],
)
def test_headers_of_a_part_without_end(unharmed_server: Server, headers: bytes) -> None:
    body = multipart(root_part(PROVIDE), headers + b"\r\n\r\n")
    answer = post(unharmed_server, ITI41, body, mtom_type())
    assert_refused(answer, "The headers of a part are longer than 16384 bytes.")


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ('multipart/related; boundary="a\\r\\nb"', "boundary"),
        ('multipart/related; boundary="ends with a space "', "boundary"),
        (f'multipart/related; boundary="{BOUNDARY}x"', "boundary does not occur"),
        (f'multipart/related; boundary="{BOUNDARY[:-1]}"', "boundary does not occur"),
        ('multipart/related; boundary="-"', "message"),
        ("multipart/related; boundary=a; boundary=b", "boundary does not occur"),
    ],
)
def test_boundaries_of_another_message(
    unharmed_server: Server, content_type: str, words: str
) -> None:
    body = multipart(root_part(PROVIDE), part(DOCUMENT))
    assert_refused(post(unharmed_server, ITI41, body, content_type, relates_to=None), words)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "gzip, gzip", "identity, gzip", "zstd"])
def test_a_bomb_in_a_content_encoding_is_not_unpacked(unharmed_server: Server, coding: str) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    header = f"Content-Encoding: {coding}"
    answer = post(unharmed_server, ITI18, bomb, SIMPLE, header, relates_to=None)
    assert_refused(answer, "Content-Encoding")


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "uuencode"])
def test_a_bomb_in_a_transfer_encoding_of_a_part_is_not_unpacked(
    unharmed_server: Server, encoding: str
) -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    body = multipart(root_part(PROVIDE), part(bomb, encoding=encoding))
    answer = post(unharmed_server, ITI41, body, mtom_type())
    assert_refused(answer, "Content-Transfer-Encoding that is not known")
