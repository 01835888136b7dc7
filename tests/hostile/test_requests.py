"""Hostile requests through the wire: heads, paths, ids, values, FHIR bodies, MLLP frames."""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest

from tests.fhir.asked import Reply, ask
from tests.fhir.published import attachment, message
from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import END, START
from tests.hl7v2.wire import connected as fed_by
from tests.serving import Server
from tests.soap.messages import (
    ITI18,
    ITI41,
    ITI43,
    SIMPLE,
    Case,
    changed,
    http_request,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
)
from tests.soap.refusal import assert_refused, unharmed
from tests.soap.wire import FAILURE, NS, SUCCESS, Answer, Raw, connected, post, provide, take_apart

FHIR_JSON = "application/fhir+json"


def sent(server: Server, request: bytes) -> Raw:
    with connected(server) as connection:
        connection.send(request)
        return connection.receive()


# ---- heads and paths


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /fhir/DocumentReference?" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /registry HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /registry HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n", 400),
        (
            b"POST /registry HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Content-Length: 4\r\n\r\nabcd",
            400,
        ),
        (b"POST /registry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ],
    ids=[
        "path", "query", "header", "headers", "name", "NUL in a header", "NUL in a path",
        "length below nothing", "length beyond numbers", "two lengths", "transfer encoding",
    ],
)  # fmt: skip
def test_heads_of_absurd_length_or_form(
    unharmed_server: Server, request_: bytes, status: int
) -> None:
    assert sent(unharmed_server, request_).status == status


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
        (b"GET http://x/health/live HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
    ids=[
        "none",
        "empty",
        "two that are the same",
        "two",
        "two of HTTP/1.0",
        "HTTP/1.0",
        "absolute",
    ],
)
def test_a_request_names_one_host(unharmed_server: Server, request_: bytes, status: int) -> None:
    assert sent(unharmed_server, request_).status == status


@pytest.mark.parametrize(
    "path",
    [
        "/%ff", "/%0d%0aX-Injected:%20yes", "/%00", "/../../etc/passwd", "/%2e%2e/%2e%2e/x",
        "/schemas/../xds/config.py", "/schemas/..%2fxds%2fconfig.py", "/schemas/%2fetc%2fpasswd",
        "/schemas/.", "/schemas/%00rim.xsd", "//etc/passwd", "/fhir/../../etc/passwd",
        "/fhir/DocumentReference/..%2f..%2fetc%2fpasswd", "/fhir/DocumentReference/%0d%0aX:%20y",
        "/fhir/document/..%2f..%2f..%2fetc%2fpasswd", "/fhir/document/%0d%0aX:%20y",
        "/fhir/Binary/%2e%2e%2f%2e%2e%2fregistry.sqlite3", "/fhir/List/" + "a" * 50_000,
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere(unharmed_server: Server, path: str) -> None:
    answer = sent(unharmed_server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.status in (400, 404)
    assert b"root:" not in answer.body
    assert not {"x", "x-injected"} & set(answer.headers)


# ---- ids and values of SOAP


@pytest.mark.parametrize(
    "unique_id",
    ["../../../etc/passwd", "/etc/passwd", "a" * 100_000, "%2e%2e/registry.sqlite3", "'; --", "%"],
)
def test_document_ids_that_are_paths_name_no_document(
    unharmed_server: Server, unique_id: str
) -> None:
    case = new_case()
    body = changed(case.retrieve(), case.document, unique_id)
    answer = post(unharmed_server, ITI43, multipart(root_part(body)), mtom_type())
    assert answer.status == FAILURE
    assert {code for code, _ in answer.errors} <= {"XDSDocumentUniqueIdError", "XDSRepositoryError"}
    assert answer.parts == {}


FORGED = "text/plain&#13;&#10;X-Injected: yes&#13;&#10;"


@pytest.mark.parametrize("where", ["mimeType", "title"])
def test_line_ends_in_metadata_reach_no_header(server: Server, where: str) -> None:
    """A mimeType with them is refused, or leaves as one that is no header's end."""
    case = new_case()
    envelope = case.provide()
    if where == "mimeType":
        envelope = changed(envelope, 'mimeType="text/plain"', f'mimeType="{FORGED}"')
    else:
        envelope = changed(
            envelope,
            'value="',
            f'value="{FORGED}',
        )
    answer = post(server, ITI41, multipart(root_part(envelope), part(b"text")), mtom_type())
    if answer.status == SUCCESS:
        taken = post(server, ITI43, multipart(root_part(case.retrieve())), mtom_type())
        assert "x-injected" not in taken.raw.headers
        assert b"\r\nX-Injected" not in taken.raw.body
    assert b"\nX-Injected" not in server.log.read_bytes()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/&#13;&#10;X-Injected: yes", "http://127.0.0.1:9/\x85", "file:///x"]
)
def test_line_ends_in_an_address_for_the_answer(unharmed_server: Server, url: str) -> None:
    body = changed(new_case().find(), "http://www.w3.org/2005/08/addressing/anonymous", url)
    answer = post(unharmed_server, ITI18, body)
    assert_refused(
        answer,
        "wsa:ReplyTo must be anonymous",
        "wsa:InvalidAddressingHeader",
        "wsa:OnlyAnonymousAddressSupported",
    )
    assert "x-injected" not in answer.raw.headers


def test_a_message_id_with_markup_is_text_in_the_answer(unharmed_server: Server) -> None:
    forged = "urn:x&lt;/wsa:RelatesTo&gt;&lt;wsa:To&gt;evil"
    body = changed(new_case().find(), "<wsa:MessageID>", f"<wsa:MessageID>{forged}")
    with connected(unharmed_server) as connection:
        connection.send(http_request(ITI18.path, body.encode(), f"Content-Type: {SIMPLE}"))
        envelope = take_apart(connection.receive()).envelope
    assert envelope.findtext("s:Header/wsa:RelatesTo", "", NS).startswith("urn:x</wsa:RelatesTo>")
    assert envelope.find("s:Header/wsa:To", NS) is None


def of_author(server: Server, pattern: str, case: Case) -> Answer:
    """Ask for the documents of a patient whose author is like this."""
    slot = (
        f'<rim:Slot name="$XDSDocumentEntryAuthorPerson"><rim:ValueList>'
        f"<rim:Value>('{pattern}')</rim:Value></rim:ValueList></rim:Slot>"
    )
    asking = changed(case.find(), "</rim:AdhocQuery>", f"{slot}</rim:AdhocQuery>")
    return post(server, ITI18, asking)


def found(answer: Answer) -> int:
    assert answer.status == SUCCESS, answer.errors
    return len(answer.envelope.findall(".//{*}ExtrinsicObject")) + len(
        answer.envelope.findall(".//{*}RegistryObjectList/{*}ObjectRef")
    )


def test_wildcards_of_a_pattern_are_those_of_the_standard_and_no_others(server: Server) -> None:
    """``%`` and ``_`` mean what ITI TF-2 3.18.4.1.2.3.5 says; a backslash means itself."""
    case = new_case()
    provide(server, case, b"a document")
    everything = found(post(server, ITI18, case.find()))
    assert everything == 1
    for pattern, count in (("%", 1), ("\\%", 0), ("\\", 0), ("[a-z]%", 0), ("*", 0), ("_%", 1)):
        assert found(of_author(server, pattern, case)) == count, pattern


@pytest.mark.parametrize("pattern", ["%a" * 120 + "x", "_%" * 120, "%" * 250])
def test_a_pattern_of_many_wildcards_is_answered(server: Server, pattern: str) -> None:
    with unharmed(server):
        assert found(of_author(server, pattern, new_case())) == 0


def test_a_pattern_without_end_is_an_error_of_the_query(
    unharmed_server: Server,
) -> None:
    answer = of_author(unharmed_server, "%a" * 40_000, new_case())
    assert answer.status == FAILURE
    assert [code for code, _ in answer.errors] == ["XDSRegistryError"]


def test_wildcards_where_none_are_meant_are_characters(unharmed_server: Server) -> None:
    case = new_case()
    for value in ("%", "_____", "' OR '1'='1", "''; DROP TABLE document_entry; --"):
        body = changed(case.find(), case.patient, value.replace("'", "''"))
        answer = post(unharmed_server, ITI18, body)
        assert answer.status == FAILURE or found(answer) == 0


# ---- FHIR


def published(server: Server, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    return ask(server, "POST", "", {"Content-Type": FHIR_JSON, **(headers or {})}, body)


DEEP = b'{"resourceType":"Bundle","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"resourceType":"Bundle","resourceType":"Bundle","type":"transaction"}',
        b'{"resourceType":"Bundle","type":"transaction","total":NaN}',
        b'{"resourceType":"Bundle","type":"transaction","total":-Infinity}',
        b'{"resourceType":"Bundle","type":"transaction","total":1e999999999}',
        b'{"resourceType":"Bundle","type":"transaction","total":' + b"9" * 1_000_000 + b"}",
        b'{"resourceType":"Bundle","type":"transaction","total":01}',
        b'{"resourceType":"Bundle","type":"transaction","total":"1"}',
        b'{"resourceType":"Bundle","type":"transaction","total":-1}',
        b'{"resourceType":"Bundle","type":"transaction","total":1.5}',
        b'{"resourceType":"Bundle","type":"\\u0000"}',
        b'{"resourceType":"Bundle","type":"\\ud800"}',
        b'\xff\xfe{"resourceType":"Bundle"}',
        b"[" * 1_000_000,
    ],
    ids=[
        "deep lists", "deep objects", "a member twice", "NaN", "infinity", "exponent", "digits",
        "leading zero", "text", "negative", "fraction", "NUL", "half a pair", "UTF-16", "open",
    ],
)  # fmt: skip
def test_hostile_json_is_an_outcome(unharmed_server: Server, body: bytes) -> None:
    answer = published(unharmed_server, body)
    assert answer.status == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert {issue["severity"] for issue in answer.json()["issue"]} == {"error"}


def test_json_of_many_small_entries_is_refused_in_one_breath(unharmed_server: Server) -> None:
    body = b'{"resourceType":"Bundle","type":"transaction","entry":[' + b"{}," * 300_000 + b"{}]}"
    answer = published(unharmed_server, body)
    assert answer.status in (400, 422)
    assert len(answer.body) < 1_000_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_bomb_in_a_content_encoding_of_fhir(unharmed_server: Server, coding: str) -> None:
    answer = published(unharmed_server, b"\x1f\x8b" * 100, {"Content-Encoding": coding})
    assert (answer.status, answer.codes()) == (415, ["not-supported"])


@pytest.mark.parametrize(
    "query", ["a=1&" * 1_001, "patient.identifier=" + "x," * 20_000, "status=%00", "status=%ff"]
)
def test_parameters_without_end(unharmed_server: Server, query: str) -> None:
    answer = ask(unharmed_server, "GET", f"/DocumentReference?{query}")
    assert answer.status in (400, 414)


@pytest.mark.parametrize("given", ["text/plain\r\nX-Injected: yes", "text/html;charset=\x85", "x"])
def test_the_type_of_a_document_that_is_no_type(server: Server, given: str) -> None:
    bundle = message("one_document")
    attachment(bundle)["contentType"] = given
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Binary":
            entry["resource"]["contentType"] = given
    answer = published(server, json.dumps(bundle).encode())
    assert answer.status in (200, 400, 422)
    assert "x-injected" not in answer.headers


# ---- MLLP


@pytest.mark.parametrize(
    "flood",
    [b"x" * 5_000, START + b"MSH|" + b"x" * 300_000, START * 300_000, b"\x1c\r" * 5_000],
    ids=["noise", "no end", "beginnings", "ends"],
)
def test_a_flood_of_the_patient_feed_holds_nobody_up(fed: FedServer, flood: bytes) -> None:
    """Noise ends the connection; a message without end is read on, and not kept."""
    with fed_by(fed.port) as sender, suppress(ConnectionError):
        sender.send(flood)
    with fed_by(fed.port) as sender:
        assert sender.ask(b"MSH|^~\\&|A|B|C|D|||ADT^X99|1|P|2.5").code == "AR"


@pytest.mark.parametrize(
    "message",
    [
        b"MSH|^~\\&|" + b"|" * 30_000,
        b"MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.5\rPID|||" + b"1~" * 20_000,
        b"MSH|^~\\&|A|B|C|D|||ADT^A01|\x00\x1b[2J|P|2.5\rPID|||1",
        b"\x00" * 100,
        b"MSH||||||||||",
        b"MSH|^~\\&|A|B|C|D|||ADT^A0|||2.5\x1c||ISO\r",
        b"MSH|\xa2\x81\\&|A|B|C|D|||ADT|1|P|2.5\rPID|||1\xa2\xa2\x812\r",
    ],
)
def test_hostile_messages_of_the_patient_feed_are_rejected(fed: FedServer, message: bytes) -> None:
    with fed_by(fed.port) as sender:
        assert sender.ask(message).code in ("AR", "AE")
    assert b"\x1b" not in fed.server.log.read_bytes()
    assert END not in message
