"""What is no message by its parts, its length or its HTTP: a SOAP fault that names the cause.

After each request here the server is as before, as in ``test_bad_input``.
"""

import re
from collections.abc import Iterator

import pytest

from bench import machine
from tests.serving import Server, serving
from tests.soap.messages import (
    BOUNDARY,
    INCLUDE,
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    SIMPLE,
    Case,
    Transaction,
    changed,
    http_request,
    in_base64,
    in_chunks,
    include,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
)
from tests.soap.refusal import assert_refused, unharmed
from tests.soap.wire import (
    FAILURE,
    SUCCESS,
    Answer,
    Raw,
    check,
    connected,
    message_id,
    post,
    receive,
    retrieve,
    take_apart,
)

DOCUMENT = b"\r\n--a document\r\n" * 500
FIND = Case(0).find()


# ---- documents that are not there, or twice

PROVIDE = Case(0).provide()
SECOND = "</xds:ProvideAndRegisterDocumentSetRequest>"


def with_second(content: str) -> str:
    """Return the envelope with one more Document, which comes after the good one."""
    return changed(
        PROVIDE, SECOND, f'<xds:Document id="Document02">{content}</xds:Document>{SECOND}'
    )


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        pytest.param([root_part(PROVIDE)], "part that the message does not have", id="missing"),
        pytest.param(
            [root_part(PROVIDE), part(DOCUMENT, None)], "does not have", id="without Content-ID"
        ),
        pytest.param(
            [root_part(PROVIDE), part(DOCUMENT, "<DOCUMENT01@source.example>")],
            "does not have",
            id="another case of letters",
        ),
        pytest.param(
            [root_part(with_second(include("cid:other"))), part(DOCUMENT)],
            "does not have",
            id="second missing",
        ),
        pytest.param(
            [root_part(with_second(INCLUDE)), part(DOCUMENT)], "the same part", id="cid twice"
        ),
        pytest.param(
            [root_part(PROVIDE), part(DOCUMENT), part(b"other")],
            "same Content-ID",
            id="two parts with one Content-ID",
        ),
        pytest.param(
            [part(b"other"), root_part(PROVIDE), part(DOCUMENT)],
            "same Content-ID",
            id="two parts with one Content-ID, one before the root",
        ),
        pytest.param(
            [root_part(PROVIDE), part(b"YWJj!", encoding="base64")], "base64", id="bad base64 part"
        ),
        pytest.param(
            [root_part(PROVIDE), part(b"YWJ", encoding="base64")], "cut short", id="cut base64 part"
        ),
        pytest.param(
            [root_part(PROVIDE), part(b"", encoding="x-zip")], "Transfer-Encoding", id="encoding"
        ),
        pytest.param(
            [root_part(PROVIDE), b"no colon\r\n\r\n"], "without a colon", id="no header line"
        ),
        pytest.param(
            [root_part(PROVIDE), b"X: a\x01b\r\n\r\n"], "control character", id="control character"
        ),
        pytest.param(
            [root_part(PROVIDE), part(b"", "x" * 20_000)], "headers of a part", id="long headers"
        ),
    ],
)
def test_parts_that_do_not_fit(unharmed_server: Server, parts: list[bytes], words: str) -> None:
    answer = post(unharmed_server, ITI41, multipart(*parts), mtom_type())
    assert_refused(answer, words)
    assert answer.is_mtom


@pytest.mark.parametrize(
    "href",
    [
        "http://127.0.0.1:9/document",
        "file:///etc/hostname",
        "document01@source.example",
        "cid:",
        "",
    ],
)
def test_include_that_means_no_part(unharmed_server: Server, href: str) -> None:
    body = multipart(root_part(Case(0).provide(include(href))), part(DOCUMENT))
    assert_refused(post(unharmed_server, ITI41, body, mtom_type()), "The href of an xop:Include")


def test_include_in_a_message_without_parts(unharmed_server: Server) -> None:
    answer = post(unharmed_server, ITI41, PROVIDE)
    assert_refused(answer, "part that the message does not have")
    assert not answer.is_mtom


@pytest.mark.parametrize("content", ["!!!!", "YWJ", "YWJj=", "höft", "YQ==YQ=="])
@pytest.mark.parametrize("as_second", [False, True])
def test_base64_that_is_none_is_an_error_of_the_metadata(
    unharmed_server: Server, content: str, as_second: bool
) -> None:
    envelope = with_second(content) if as_second else Case(0).provide(content)
    body = multipart(root_part(envelope), part(DOCUMENT))
    answer = post(unharmed_server, ITI41, body, mtom_type())
    assert answer.status == FAILURE
    [(code, context)] = answer.errors
    assert code == "XDSRepositoryMetadataError"
    assert "Document02" in context if as_second else "Document01" in context


# ---- a message that is cut short

GOOD = multipart(root_part(PROVIDE), part(DOCUMENT))
IN_BASE64 = multipart(root_part(Case(0).provide(in_base64(DOCUMENT))), part(b"of nobody"))
WITHOUT_DOCUMENTS = multipart(root_part(Case(0).fixture("iti41/folder_without_documents.xml")))
ROOT_LAST = multipart(part(DOCUMENT), root_part(PROVIDE))


def post_cut(server: Server, transaction: Transaction, body: bytes) -> Answer:
    """Send a part of a message; the answer relates to it if its envelope could be read."""
    with connected(server) as connection:
        headers = f"Content-Type: {mtom_type()}"
        connection.send(http_request(transaction.path, body, headers))
        answer = take_apart(connection.receive())
    relates_to = message_id(body) if answer.is_mtom else None
    check(answer, transaction, relates_to)
    return answer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(GOOD, id="document in a part"),
        pytest.param(IN_BASE64, id="document in base64"),
        pytest.param(WITHOUT_DOCUMENTS, id="no documents"),
        pytest.param(ROOT_LAST, id="root last"),
    ],
)
def test_multipart_cut_anywhere(unharmed_server: Server, body: bytes) -> None:
    end = len(body) - len("-\r\n")
    for cut in (*range(0, end, len(body) // 12), *range(end - len(BOUNDARY) - 9, end + 1, 4), end):
        answer = post_cut(unharmed_server, ITI41, body[:cut])
        assert_refused(answer, "message")
        assert re.search("ends before|ends within|boundary does not occur", answer.fault.reason)


@pytest.mark.parametrize(
    ("transaction", "envelope"),
    [(ITI18, FIND), (ITI42, Case(0).register(b"")), (ITI43, Case(0).retrieve())],
)
def test_cut_multipart_of_any_transaction(
    unharmed_server: Server, transaction: Transaction, envelope: str
) -> None:
    body = multipart(root_part(envelope), part(b"of nobody"))
    for missing in (3, 4, 40, 100):
        answer = post_cut(unharmed_server, transaction, body[:-missing])
        assert_refused(answer, "The message ends")


@pytest.mark.parametrize(
    ("transaction", "body", "content_type"),
    [
        pytest.param(ITI41, GOOD, mtom_type(), id="MTOM"),
        pytest.param(ITI18, FIND.encode(), SIMPLE, id="Simple SOAP"),
    ],
)
@pytest.mark.parametrize("missing", [1, 400])
def test_sender_that_stops_before_its_content_length(
    unharmed_server: Server,
    transaction: Transaction,
    body: bytes,
    content_type: str,
    missing: int,
) -> None:
    request = http_request(transaction.path, body, f"Content-Type: {content_type}")
    with connected(unharmed_server) as connection:
        connection.send(request[:-missing])
        connection.half_close()
        is_mtom = transaction is ITI41 and missing < 300
        expected = message_id(body) if transaction is ITI41 else None
        answer = receive(connection, transaction, expected)
    assert_refused(answer, "ends before its Content-Length")
    assert answer.is_mtom or not is_mtom


def test_sender_that_goes_away(unharmed_server: Server) -> None:
    body = multipart(root_part(PROVIDE), part(DOCUMENT * 300))
    request = http_request(ITI41.path, body, f"Content-Type: {mtom_type()}")
    for cut in (300, len(body) // 2, len(request) - 5):
        with connected(unharmed_server) as connection:
            connection.send(request[:cut])


def test_sender_that_goes_away_within_a_chunk(unharmed_server: Server) -> None:
    headers = (f"Content-Type: {mtom_type()}", "Transfer-Encoding: chunked")
    request = http_request(ITI41.path, in_chunks(GOOD, 5000), *headers, length=False)
    with connected(unharmed_server) as connection:
        connection.send(request[:-2000])


# ---- content types


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("text/plain", f"is not accepted: send {SIMPLE.partition(';')[0]}, or multipart/related"),
        (
            "application/json",
            f"is not accepted: send {SIMPLE.partition(';')[0]}, or multipart/related",
        ),
        (
            "application/soap+msbin1",
            f"is not accepted: send {SIMPLE.partition(';')[0]}, or multipart/related",
        ),
        (
            "multipart/form-data; boundary=x",
            f"is not accepted: send {SIMPLE.partition(';')[0]}, or multipart/related",
        ),
        ("", "media type"),
        ("soap", "media type"),
        ("application/soap+xml; charset", "parameter that cannot be read"),
        ("multipart/related", "names no boundary"),
        ('multipart/related; boundary=""', "names no boundary"),
        (f"multipart/related; boundary={'x' * 201}", "boundary is too long"),
        ("multipart/related; boundary=another", "boundary does not occur"),
        (mtom_type('"<nobody@source.example>"'), "that the start parameter names"),
    ],
)
def test_wrong_content_type(unharmed_server: Server, content_type: str, words: str) -> None:
    answer = post(unharmed_server, ITI41, GOOD, content_type, relates_to=None)
    assert_refused(answer, words)
    assert not answer.is_mtom


def test_no_content_type(unharmed_server: Server) -> None:
    with connected(unharmed_server) as connection:
        connection.send(http_request(ITI18.path, FIND.encode()))
        assert_refused(receive(connection, ITI18, None), "media type")


def test_content_type_that_takes_time_to_read(unharmed_server: Server) -> None:
    content_type = f'application/soap+xml; a="{";" * 250_000}"; charset=UTF-8'
    pids = machine.family(unharmed_server.process.pid)
    used = machine.cpu_seconds(pids)
    assert post(unharmed_server, ITI18, FIND, content_type).status == SUCCESS
    assert machine.cpu_seconds(pids) - used < 2


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_compressed_message(unharmed_server: Server, coding: str) -> None:
    header = f"Content-Encoding: {coding}"
    answer = post(unharmed_server, ITI18, b"\x1f\x8b", SIMPLE, header, relates_to=None)
    assert_refused(answer, "Content-Encoding")


# ---- HTTP


def ask(server: Server, method: str, path: str, body: bytes = b"") -> Raw:
    with connected(server) as connection:
        request = http_request(path, body, f"Content-Type: {SIMPLE}", method=method)
        connection.send(request)
        return connection.receive()


@pytest.mark.parametrize("path", ["/registry", "/repository"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_allowed(unharmed_server: Server, path: str, method: str) -> None:
    body = b"" if method == "GET" else FIND.encode()
    answer = ask(unharmed_server, method, path, body)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert b"WIRE" not in answer.body


@pytest.mark.parametrize("path", ["/Registry", "/registry/more", "/xds//registry", "/xds/iti41"])
def test_path_of_nobody(unharmed_server: Server, path: str) -> None:
    answer = ask(unharmed_server, "POST", path, FIND.encode())
    assert answer.status == 404
    assert b"WIRE" not in answer.body


@pytest.mark.parametrize(
    "request_line", ["", "hello", "POST /registry SOAP/1.2", "POST /registry HTTP/1.1 more"]
)
def test_not_http(unharmed_server: Server, request_line: str) -> None:
    with connected(unharmed_server) as connection:
        connection.send(f"{request_line}\r\nContent-Length: x\r\n\r\n".encode())
        assert connection.read_line() == b"HTTP/1.1 400 Bad Request\r\n"


# ---- a sender in full flow hears the answer


@pytest.mark.parametrize(
    ("transaction", "envelope", "content_type"),
    [
        pytest.param(
            ITI41, changed(PROVIDE, f"{ITI41.action}<", "urn:x<"), mtom_type(), id="action"
        ),
        pytest.param(
            ITI41, changed(PROVIDE, "lcm:Submit", "lcm:Submitted"), mtom_type(), id="schema"
        ),
        pytest.param(
            ITI41, changed(PROVIDE, "20260314081500", "yesterday"), mtom_type(), id="metadata"
        ),
        pytest.param(ITI41, PROVIDE, "text/plain", id="content type"),
        pytest.param(ITI18, FIND, mtom_type(), id="documents that nobody wants"),
    ],
)
def test_answer_that_comes_before_the_message_is_read(
    unharmed_server: Server, transaction: Transaction, envelope: str, content_type: str
) -> None:
    body = multipart(root_part(envelope), part(bytes(20_000_000)))
    expected = None if content_type == "text/plain" else message_id(envelope)
    answer = post(unharmed_server, transaction, body, content_type, relates_to=expected)
    assert answer.raw.status in (200, 500)


# ---- limits

ENVELOPE_LIMIT = 64 * 1024
MESSAGE_LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with limits that tests can reach."""
    limits = {"max_envelope_bytes": "64KiB", "max_message_bytes": "1MiB"}
    with serving(tmp_path_factory.mktemp("small"), limits) as server:
        yield server


def padded(message: bytes, size: int) -> bytes:
    """Return an envelope that is made this long by white space."""
    return message + b" " * (size - len(message))


def of_size(case: Case, size: int) -> bytes:
    """Return a message of ITI-41 of this length."""
    empty = multipart(root_part(case.provide()), part(b""))
    return multipart(root_part(case.provide()), part(b"x" * (size - len(empty))))


def test_envelope_up_to_the_limit(small_server: Server) -> None:
    body = padded(FIND.encode(), ENVELOPE_LIMIT)
    assert post(small_server, ITI18, body).status == SUCCESS
    assert post(small_server, ITI18, multipart(root_part(body)), mtom_type()).status == SUCCESS


@pytest.mark.parametrize("excess", [1, 500_000])
def test_envelope_beyond_the_limit(small_server: Server, excess: int) -> None:
    body = padded(FIND.encode(), ENVELOPE_LIMIT + excess)
    words = "The SOAP envelope is larger than 65536 bytes."
    with unharmed(small_server):
        assert_refused(post(small_server, ITI18, body, relates_to=None), words)
        mtom = multipart(root_part(body))
        assert_refused(post(small_server, ITI18, mtom, mtom_type(), relates_to=None), words)


def test_base64_up_to_the_limit_and_beyond(small_server: Server) -> None:
    case = new_case()
    room = ENVELOPE_LIMIT - len(case.provide("").encode())
    document = b"x" * (room // 4 * 3)
    assert post(small_server, ITI41, case.provide(in_base64(document))).status == SUCCESS
    assert retrieve(small_server, case) == document
    with unharmed(small_server):
        envelope = new_case().provide(in_base64(document + b"xxx"))
        answer = post(small_server, ITI41, envelope, relates_to=None)
        assert_refused(
            answer, "The SOAP envelope is larger than 65536 bytes: send the document by MTOM"
        )


def post_in_chunks(server: Server, body: bytes, relates_to: str | None) -> Answer:
    headers = (f"Content-Type: {mtom_type()}", "Transfer-Encoding: chunked")
    with connected(server) as connection:
        chunks = in_chunks(body, 50_000)
        connection.send(http_request(ITI41.path, chunks, *headers, length=False))
        return receive(connection, ITI41, relates_to)


def test_message_up_to_the_limit(small_server: Server) -> None:
    case = new_case()
    body = of_size(case, MESSAGE_LIMIT)
    assert len(body) == MESSAGE_LIMIT
    assert post(small_server, ITI41, body, mtom_type()).status == SUCCESS
    case = new_case()
    body = of_size(case, MESSAGE_LIMIT)
    assert post_in_chunks(small_server, body, message_id(body)).status == SUCCESS


@pytest.mark.parametrize("excess", [1, 300_000, 20_000_000])
def test_message_beyond_the_limit(small_server: Server, excess: int) -> None:
    body = of_size(Case(0), MESSAGE_LIMIT + excess)
    words = "The message is larger than 1048576 bytes."
    with unharmed(small_server):
        assert_refused(post(small_server, ITI41, body, mtom_type(), relates_to=None), words)
        assert_refused(post_in_chunks(small_server, body, message_id(body)), words)
