"""The first call of a developer: what stacks send that were told nothing, and what they can read.

JAX-WS RI, Axis2 and node-soap send no WS-Addressing, and refuse a mandatory wsa:Action in the
answer; CXF and WCF read a fault under the status 500 alone; some send SOAP 1.1.
"""

import json
import re
from collections.abc import Iterator

import pytest
from lxml import etree

from tests.serving import Server, serving
from tests.soap.messages import (
    BOUNDARY,
    INCLUDE,
    ITI18,
    ITI41,
    ITI43,
    ROOT_ID,
    SIMPLE,
    Case,
    Transaction,
    changed,
    http_request,
    in_base64,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
    with_header,
    without_header,
)
from tests.soap.refusal import assert_refused
from tests.soap.wire import NS, SUCCESS, Answer, Raw, connected, name_of, post, retrieve, take_apart
from tests.vouching import security

DOCUMENT = b"\r\n--a document\r\n"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"


def without_addressing(envelope: str) -> str:
    """Return an envelope without a header."""
    return re.sub("<s:Header>.*</s:Header>", "", envelope, flags=re.DOTALL)


def headers_of(answer: Answer) -> list[str]:
    return [block.tag for block in answer.envelope.iterfind("s:Header/*", NS)]


def sent(server: Server, path: str, body: bytes, *headers: str) -> Raw:
    """Send a message and return the HTTP answer as it is."""
    with connected(server) as connection:
        connection.send(http_request(path, body, *headers))
        return connection.receive()


# ---- no WS-Addressing


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        pytest.param(mtom_type(action=ITI41.action), (), id="action of the content type"),
        pytest.param(
            mtom_type(start_info=rf'"application/soap+xml;action=\"{ITI41.action}\""'),
            (),
            id="action in start-info, as JAX-WS RI has it",
        ),
        pytest.param(mtom_type(), (f'SOAPAction: "{ITI41.action}"',), id="SOAPAction"),
        pytest.param(mtom_type(), (f"soapaction: {ITI41.action}",), id="SOAPAction without quotes"),
        pytest.param(mtom_type(), ('SOAPAction: ""',), id="an empty SOAPAction: by its body"),
        pytest.param(mtom_type(), (), id="by its body"),
    ],
)
def test_a_request_without_addressing_gets_an_answer_without(
    server: Server, content_type: str, headers: tuple[str, ...]
) -> None:
    case = new_case()
    body = multipart(root_part(without_addressing(case.provide())), part(DOCUMENT))
    answer = post(server, ITI41, body, content_type, *headers)
    assert (answer.status, headers_of(answer)) == (SUCCESS, [])
    assert answer.envelope.find("s:Header", NS) is None
    assert retrieve(server, case) == DOCUMENT


def test_a_retrieval_without_addressing(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.provide()), part(DOCUMENT))
    assert post(server, ITI41, body, mtom_type()).status == SUCCESS
    answer = post(server, ITI43, without_addressing(case.retrieve()))
    assert (headers_of(answer), answer.documents) == ([], {case.document: DOCUMENT})


@pytest.mark.parametrize("action", [f'"{ITI18.action}"', ITI18.action, f"'{ITI18.action}'"])
def test_a_query_named_by_soap_action_alone(server: Server, action: str) -> None:
    envelope = without_addressing(new_case().find())
    answer = post(server, ITI18, envelope, SIMPLE, f"SOAPAction: {action}")
    assert (answer.status, headers_of(answer)) == (SUCCESS, [])


def test_a_body_of_two_transactions_names_neither(server: Server) -> None:
    answer = post(server, ITI18, without_addressing(new_case().find()))
    assert_refused(answer, "no SOAPAction names", "wsa:MessageAddressingHeaderRequired")
    assert headers_of(answer) == []
    # CXF does not find the prefix of a value that only the envelope declares
    assert f'<s:Value xmlns:wsa="{NS["wsa"]}">wsa:'.encode() in answer.raw.body


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SIMPLE, "text/plain", "text/plain is not accepted"),
        (ITI18.action, "urn:unknown", "The action urn:unknown is not supported"),
        ("<s:Body>", "<s:Body><more/>", "2 elements"),
        ("</s:Body>", "", "not well-formed"),
    ],
)
def test_a_fault_of_such_a_request_is_without_too(
    server: Server, old: str, new: str, words: str
) -> None:
    envelope = without_addressing(new_case().find()).replace(old, new)
    content_type = f'{SIMPLE}; action="{ITI18.action}"'.replace(old, new)
    answer = post(server, ITI18, envelope, content_type)
    assert (answer.raw.status, headers_of(answer)) == (500, [])
    assert words in answer.fault.reason


def test_what_it_must_understand_is_still_told(server: Server) -> None:
    block = '<s:Header><t:L xmlns:t="urn:example:lock" s:mustUnderstand="1"/></s:Header>'
    envelope = without_addressing(new_case().find()).replace("<s:Body>", f"{block}<s:Body>")
    answer = post(server, ITI18, envelope, f'{SIMPLE}; action="{ITI18.action}"')
    assert_refused(answer, "{urn:example:lock}L", code="s:MustUnderstand")
    assert headers_of(answer) == [name_of("s:NotUnderstood")]


@pytest.mark.parametrize("left_out", ["MessageID", "To", "ReplyTo"])
def test_a_part_of_addressing_is_addressing(server: Server, left_out: str) -> None:
    answer = post(server, ITI18, without_header(new_case().find(), left_out))
    assert {name_of("wsa:Action"), name_of("wsa:MessageID")} <= {*headers_of(answer)}


# ---- statuses of faults

UNKNOWN = changed(Case(0).find(), f">{ITI18.action}<", ">urn:unknown<")
LOCKED = with_header(Case(0).find(), '<t:L xmlns:t="urn:example:lock" s:mustUnderstand="1"/>')


@pytest.fixture(scope="module")
def by_the_letter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with the statuses of SOAP 1.2, and a small limit."""
    options = {
        "fault_status": "soap",
        "wait_seconds": "2",
        "max_envelope_bytes": "200000",
        "unchecked_security": "refuse",
    }
    with serving(tmp_path_factory.mktemp("letter"), options) as running:
        yield running


@pytest.mark.parametrize(
    ("envelope", "content_type", "status"),
    [
        (UNKNOWN, SIMPLE, 400),
        (UNKNOWN, "text/plain", 415),
        ("", SIMPLE, 400),
        (LOCKED, SIMPLE, 500),
    ],
)
def test_the_status_of_a_fault(
    server: Server, by_the_letter: Server, envelope: str, content_type: str, status: int
) -> None:
    header = f"Content-Type: {content_type}"
    told = [sent(one, ITI18.path, envelope.encode(), header) for one in (server, by_the_letter)]
    assert [answer.status for answer in told] == [500, status]
    assert len({take_apart(answer).fault.reason for answer in told}) == 1


def test_the_status_of_a_message_that_stalls(by_the_letter: Server) -> None:
    request = http_request(ITI18.path, UNKNOWN.encode(), f"Content-Type: {SIMPLE}")
    with connected(by_the_letter) as connection:
        connection.send(request[:-500])
        assert connection.receive().status == 408


def test_a_large_inline_document_is_told_of_mtom(by_the_letter: Server) -> None:
    case = new_case()
    answer = post(by_the_letter, ITI41, case.provide(in_base64(bytes(200_000))), relates_to=None)
    assert "send the document by MTOM" in answer.fault.reason
    find = f"{case.find()}<!--{'x' * 200_000}-->"
    answer = post(by_the_letter, ITI18, find, relates_to=None)
    assert answer.fault.reason == "The SOAP envelope is larger than 200000 bytes."


def faults_logged(server: Server, answer: Raw) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"]
    told = [line for line in lines if line.get("correlation") == answer.headers["x-request-id"]]
    return [line for line in told if line["event"] == "answered with a fault"]


def test_the_log_has_the_reason_of_a_fault(server: Server) -> None:
    answer = post(server, ITI18, UNKNOWN)
    [line] = faults_logged(server, answer.raw)
    assert line["reason"] == answer.fault.reason


def test_the_log_has_the_place_of_bad_xml_and_none_of_its_text(server: Server) -> None:
    case = new_case()
    envelope = changed(case.find(), "<s:Body>", f"<s:Body><{case.patient} Sarrazin>")
    answer = post(server, ITI18, envelope, relates_to=None)
    assert "Sarrazin" in answer.fault.reason
    [line] = faults_logged(server, answer.raw)
    assert re.fullmatch(r"The XML is not well-formed \(line \d+, column \d+\)\.", line["reason"])
    assert case.patient not in server.log.read_text()


# ---- SOAP 1.1


@pytest.mark.parametrize("transaction", [ITI18, ITI41])
@pytest.mark.parametrize(
    "content_type",
    [
        "text/xml; charset=UTF-8",
        SIMPLE,
        f'multipart/related; boundary="{BOUNDARY}"; type="text/xml"; start="<{ROOT_ID}>"',
        f'multipart/related; boundary="{BOUNDARY}"; type="application/xop+xml"; '
        f'start="<{ROOT_ID}>"; start-info="text/xml"',
    ],
)
def test_soap_1_1_is_told_in_soap_1_1(
    server: Server, transaction: Transaction, content_type: str
) -> None:
    case = new_case()
    message = case.find() if transaction is ITI18 else case.provide(INCLUDE)
    body = changed(message, NS["s"], SOAP11).encode()
    if content_type.startswith("multipart"):
        body = multipart(root_part(body, content_type="text/xml"), part(DOCUMENT))
    headers = (f"Content-Type: {content_type}", f'SOAPAction: "{transaction.action}"')
    raw = sent(server, transaction.path, body, *headers)
    assert (raw.status, raw.headers["content-type"]) == (500, "text/xml; charset=UTF-8")
    envelope = etree.fromstring(raw.body)
    assert [one.tag for one in envelope] == [f"{{{SOAP11}}}Header", f"{{{SOAP11}}}Body"]
    supported = envelope[0].find("s:Upgrade/s:SupportedEnvelope", NS)
    prefix, _, name = supported.get("qname").partition(":")
    assert (supported.nsmap[prefix], name) == (NS["s"], "Envelope")
    [fault] = envelope[1]
    assert fault.tag == f"{{{SOAP11}}}Fault"
    prefix, _, code = fault.findtext("faultcode").partition(":")
    assert (fault.nsmap[prefix], code) == (SOAP11, "VersionMismatch")
    assert f"Send SOAP 1.2: the namespace {NS['s']}" in fault.findtext("faultstring")


# ---- wsse:Security where user_assertions is off

SECURITY = security('<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"/>')


def test_a_mandatory_security_header_is_passed_over_and_told_once(server: Server) -> None:
    event = "wsse:Security is not looked at"
    told = [server.log.read_text().count(event)]
    for _ in range(8):
        assert post(server, ITI18, with_header(new_case().find(), SECURITY)).status == SUCCESS
        told.append(server.log.read_text().count(event))
    workers = int(server.options["workers"]) * len(server.processes)
    assert 1 <= told[-1] <= workers  # each of them says so once


def test_a_mandatory_security_header_is_refused_where_the_letter_counts(
    by_the_letter: Server,
) -> None:
    answer = post(by_the_letter, ITI18, with_header(new_case().find(), SECURITY))
    assert answer.fault.code == "s:MustUnderstand"
    assert answer.fault.reason.endswith("}Security is not understood.")


# ---- parts


def test_content_ids_are_unique_in_the_world(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.provide()), part(DOCUMENT))
    assert post(server, ITI41, body, mtom_type()).status == SUCCESS
    answers = [
        post(server, ITI43, multipart(root_part(case.retrieve())), mtom_type()) for _ in "12"
    ]
    first, second = ({*answer.parts} for answer in answers)
    assert first
    assert not first & second
