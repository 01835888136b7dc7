"""The client and servers that are not ours: lenient where it can be, exact where it must be."""

import io
from pathlib import Path
from socket import create_server

import pytest
from lxml import etree

from tests.odd_server import (
    document_response,
    envelope,
    error,
    http,
    include,
    multipart,
    odd_server,
    query_response,
    registry_response,
    retrieve_response,
)
from tests.waiting import PATIENCE
from xds import schema_validation
from xds.client import (
    ClientError,
    Content,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    MalformedAnswer,
    QueryResponse,
    Settings,
    SoapFaultReceived,
    TransactionRefused,
    TransportFailed,
    entry_of,
    submission_of,
)
from xds.errors import WARNING_SEVERITY
from xds.metadata import vocabulary as v
from xds.parsing import parse
from xds.wire.mime import ContentType
from xds.wire.mtom import read_parts

PATIENT = "P0001^^^&2.999.1.1&ISO"
FOUND = http(envelope(query_response('<rim:ObjectRef id="urn:uuid:1" home="urn:oid:1.2"/>')))
DONE = http(envelope(registry_response()))


def ask(*answers: bytes | None, closing: bool = False, **settings: float) -> QueryResponse:
    """Ask a server with these answers for documents."""
    with (
        odd_server(*answers, closing=closing) as server,
        DocumentConsumer(server.url, settings=Settings(**settings)) as consumer,  # type: ignore[arg-type]
    ):
        return consumer.find_documents(PATIENT)


def fetch(*answers: bytes | None, wanted: tuple[str, ...] = ("1", "2")) -> dict[str, bytes]:
    """Retrieve documents from a server with these answers."""
    requests = [DocumentRequest("1.2", unique_id) for unique_id in wanted]
    with (
        odd_server(*answers) as server,
        DocumentConsumer(repository_urls=server.url) as consumer,
        consumer.retrieve(requests) as documents,
    ):
        return {d.document_unique_id: b"".join(d.chunks()) for d in documents}


def provide(url: str) -> None:
    """Provide and register one small document."""
    entry = entry_of(PATIENT, "text/plain")
    with DocumentSource(url, url) as source:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})


# --- what is sent --------------------------------------------------------------------------------


def body_of(data: bytes) -> etree._Element:
    (body,) = parse(data).findall(f"{{{v.NS_SOAP12}}}Body/*")
    return body


def test_requests_in_simple_soap_keep_to_the_schemas() -> None:
    with odd_server(FOUND, DONE) as server:
        with DocumentConsumer(server.url) as consumer:
            consumer.find_documents(PATIENT, class_code=["a^^b"] * 40, creation_time_from="2026")
        with DocumentSource(registry_url=server.url) as source:
            source.register(submission_of([entry_of(PATIENT, "text/plain")]))
    for request, action in zip(
        server.requests, ("RegistryStoredQuery", "RegisterDocumentSet-b"), strict=True
    ):
        content_type = ContentType.parse(request.header("Content-Type") or "")
        assert content_type.media_type == "application/soap+xml"
        assert content_type.action == f"urn:ihe:iti:2007:{action}"
        assert schema_validation.problems(parse(request.body)) == []
        assert schema_validation.problems(body_of(request.body)) == []
        assert request.header("Content-Length") == str(len(request.body))


def test_addressing_headers_are_those_of_a_synchronous_exchange() -> None:
    with odd_server(FOUND) as server, DocumentConsumer(server.url) as consumer:
        consumer.find_documents(PATIENT)
    header = parse(server.requests[0].body).find(f"{{{v.NS_SOAP12}}}Header")
    assert header is not None
    said = {etree.QName(block).localname: "".join(block.itertext()) for block in header}
    assert said.pop("MessageID").startswith("urn:uuid:")
    assert said == {
        "Action": "urn:ihe:iti:2007:RegistryStoredQuery",
        "To": server.url,
        "ReplyTo": v.WSA_ANONYMOUS,
    }
    (action,) = header.findall(f"{{{v.NS_WSA}}}Action")
    assert action.get(f"{{{v.NS_SOAP12}}}mustUnderstand") == "1"


def test_a_submission_is_mtom_and_its_document_a_part() -> None:
    with odd_server(DONE) as server:
        provide(server.url)
    (request,) = server.requests
    content_type = ContentType.parse(request.header("Content-Type") or "")
    assert content_type.parameters["type"] == "application/xop+xml"
    assert content_type.parameters["start-info"] == "application/soap+xml"
    assert content_type.action == "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    parts = [
        (part.content_id, part.content_type, b"".join(part.chunks()))
        for part in read_parts(content_type, io.BytesIO(request.body))
    ]
    body = body_of(parts[0][2])
    (found,) = body.findall(f".//{{{v.NS_XOP}}}Include")
    assert found.get("href") == f"cid:{parts[1][0]}"
    assert parts[1][1:] == ("text/plain", b"x")
    found.getparent().remove(found)
    assert schema_validation.problems(body) == []


def test_a_document_of_unknown_size_is_sent_in_chunks() -> None:
    entry = entry_of(PATIENT, "text/plain")
    with odd_server(DONE) as server, DocumentSource(server.url) as source:
        source.provide_and_register(
            submission_of([entry]),
            {entry.entry_uuid: Content([b"ab", b"", b"c" * 100_000])},
        )
    (request,) = server.requests
    assert request.header("Content-Length") is None
    assert b"ab" + b"c" * 100_000 + b"\r\n--" in request.body


def test_a_list_goes_into_values_of_256_characters() -> None:
    with odd_server(FOUND) as server, DocumentConsumer(server.url) as consumer:
        consumer.get_documents(unique_ids=[f"2.999.{n}" for n in range(100)] + ["it's"])
    values = [e.text or "" for e in body_of(server.requests[0].body).iter("{*}Value")]
    assert len(values) > 1
    assert max(map(len, values)) <= 256
    assert all(value.startswith("('") and value.endswith("')") for value in values)
    assert ",".join(value[1:-1] for value in values).split(",")[-2:] == ["'2.999.99'", "'it''s'"]


# --- connections ---------------------------------------------------------------------------------


def test_a_connection_is_used_again() -> None:
    with odd_server(FOUND, FOUND) as server, DocumentConsumer(server.url) as consumer:
        consumer.find_documents(PATIENT)
        consumer.find_documents(PATIENT)
    assert [request.connection for request in server.requests] == [0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        FOUND.replace(b"HTTP/1.1", b"HTTP/1.0"),
        FOUND.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"),
    ],
)
def test_a_server_may_close_after_its_answer(answer: bytes) -> None:
    with (
        odd_server(answer, FOUND, closing=True) as server,
        DocumentConsumer(server.url) as consumer,
    ):
        consumer.find_documents(PATIENT)
        consumer.find_documents(PATIENT)
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    with odd_server(DONE, DONE, closing=True) as server:
        entry = entry_of(PATIENT, "text/plain")
        with DocumentSource(registry_url=server.url) as source:
            source.register(submission_of([entry]))
            assert server.has_closed.wait(PATIENCE)
            source.register(submission_of([entry]))
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_query_is_asked_again_where_a_kept_connection_was_closed() -> None:
    with odd_server(FOUND, None, FOUND) as server, DocumentConsumer(server.url) as consumer:
        consumer.find_documents(PATIENT)
        assert consumer.find_documents(PATIENT).object_refs[0].home_community_id == "urn:oid:1.2"
    assert [request.connection for request in server.requests] == [0, 0, 1]


def test_a_submission_is_not_sent_a_second_time() -> None:
    entry = entry_of(PATIENT, "text/plain")
    submission = submission_of([entry])
    documents = {entry.entry_uuid: Content((b"x",), 1)}
    with odd_server(DONE, None, DONE) as server, DocumentSource(server.url) as source:
        source.provide_and_register(submission, documents)
        with pytest.raises(TransportFailed, match="closed the connection without an answer"):
            source.provide_and_register(submission, documents)
    assert len(server.requests) == 2


def test_a_silent_server_is_given_up() -> None:
    with create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with (
            DocumentConsumer(url, settings=Settings(timeout=0.1)) as consumer,
            pytest.raises(TransportFailed, match=r"did not answer within 0\.1 seconds"),
        ):
            consumer.find_documents(PATIENT)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
XML = FOUND.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED
        + b"5\r\n%b\r\n%x;e=1\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n" % (XML[:5], len(XML) - 5, XML[5:]),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n" + XML,
        b"HTTP/1.1 100 Continue\r\n\r\n" + FOUND,
        FOUND.replace(
            b"\r\n\r\n", b"\r\nX-Folded: a\r\n b\r\nContent-Length: %d\r\n\r\n" % len(XML)
        ).replace(b"Content-Length", b"content-length", 1),
        FOUND.replace(b"\r\n", b"\n"),
    ],
    ids=["chunked", "until closed", "after an interim answer", "folded header", "bare line feeds"],
)
def test_answers_come_in_every_framing(answer: bytes) -> None:
    assert ask(answer, closing=True).object_refs[0].entry_uuid == "urn:uuid:1"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FOUND[:-20], "broke off in the middle of its answer"),
        (CHUNKED + b"5\r\nabc", "broke off"),
        (CHUNKED + b"nonsense\r\n", "broke off"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer in HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a header that cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "Content-Length that cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "Content-Length that cannot be read"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300, "more than 200 headers"),
        (b"HTTP/1.1 200 " + b"x" * 100_000, "endless line"),
        (http("<html>", "text/html", "404 Not Found"), "answered HTTP 404 Not Found, without"),
        (http("<html>", "text/html"), "answered HTTP 200 OK, without a SOAP message"),
        (http("<html>oops", "text/xml", "502 Bad Gateway"), "answered HTTP 502 Bad Gateway"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "answered HTTP 202 Accepted"),
        (
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://there/\r\n"
            b"Content-Length: 0\r\n\r\n",
            "answered HTTP 307 Temporary Redirect and points to https://there/",
        ),
    ],
)
def test_what_is_no_answer_is_a_failure_of_transport(answer: bytes, said: str) -> None:
    with pytest.raises(TransportFailed, match=said):
        ask(answer, closing=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http("<a>"), "The XML is not well-formed"),
        (http("<!DOCTYPE a><a/>"), "has a DTD"),
        (http("<a/>"), "not a SOAP envelope with a body"),
        (http(envelope("")), "not a SOAP envelope with a body"),
        (http(envelope(registry_response())), r"The answer to ITI-18 is a \{.*RegistryResponse"),
        (FOUND.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), "compressed"),
        (http(envelope(query_response("x" * 5000))), "larger than 4000 bytes"),
    ],
)
def test_what_is_the_wrong_answer_is_malformed(answer: bytes, said: str) -> None:
    with pytest.raises(MalformedAnswer, match=said):
        ask(answer, max_envelope_bytes=4000)


# --- faults and errors ---------------------------------------------------------------------------

FAULT = (
    '<e:Fault xmlns:a="http://www.w3.org/2005/08/addressing"><e:Code><e:Value>e:Sender</e:Value>'
    "<e:Subcode><e:Value>a:InvalidAddressingHeader</e:Value><e:Subcode><e:Value>a:InvalidCardinality"
    "</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text xml:lang='de'>Nein.</e:Text>"
    "<e:Text xml:lang='en-US'> No. </e:Text></e:Reason><e:Detail><why>so</why></e:Detail></e:Fault>"
)
FAULT_1_1 = (
    "<e:Fault><faultcode>e:Client</faultcode><faultstring>Not understood.</faultstring></e:Fault>"
)


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error", "200 OK"])
def test_a_fault_is_read_whatever_the_status(status: str) -> None:
    with pytest.raises(SoapFaultReceived) as caught:
        ask(http(envelope(FAULT), status=status))
    fault = caught.value
    assert (fault.code, fault.subcodes) == (
        "Sender",
        ("InvalidAddressingHeader", "InvalidCardinality"),
    )
    assert fault.reason == "No."
    assert fault.detail == "<why>so</why>"
    assert str(fault) == "SOAP fault Sender/InvalidAddressingHeader/InvalidCardinality: No."


def test_a_fault_comes_in_multipart_too() -> None:
    body, content_type = multipart(("root", envelope(FAULT).encode()))
    answer = http(body, content_type, "500 Internal Server Error")
    with odd_server(answer, FOUND) as server, DocumentConsumer(server.url) as consumer:
        with pytest.raises(SoapFaultReceived, match="InvalidCardinality: No"):
            consumer.find_documents(PATIENT)
        consumer.find_documents(PATIENT)
    assert [request.connection for request in server.requests] == [0, 0]


def test_a_fault_of_soap_1_1_is_read() -> None:
    answer = http(envelope(FAULT_1_1, v.NS_SOAP11), "text/xml", "500 Internal Server Error")
    with pytest.raises(SoapFaultReceived, match="SOAP fault Client: Not understood"):
        ask(answer)


def test_errors_are_read_from_any_namespace_and_status_without_urn() -> None:
    errors = (
        '<rim:RegistryErrorList xmlns:rim="urn:x"><rim:RegistryError errorCode="XDSRegistryBusy" '
        'codeContext="later"/></rim:RegistryErrorList>'
    )
    with pytest.raises(TransactionRefused) as caught:
        ask(http(envelope(query_response(status="Failure", errors=errors))))
    assert caught.value.explain() == "ITI-18 was refused:\n  XDSRegistryBusy: later"


def test_warnings_and_partial_success_of_a_query_are_told() -> None:
    errors = f"<rs:RegistryErrorList>{error('XDSUnavailableCommunity', 'x')}</rs:RegistryErrorList>"
    answer = http(envelope(query_response(status=v.PARTIAL_SUCCESS, errors=errors)))
    response = ask(answer).response
    assert not response.is_success
    assert [one.code for one in response.errors] == ["XDSUnavailableCommunity"]


def test_a_warning_does_not_refuse_a_submission() -> None:
    warning = error("XDSExtraMetadataNotSaved", "slot", f' severity="{WARNING_SEVERITY}"')
    entry = entry_of(PATIENT, "text/plain")
    answer = http(envelope(registry_response(v.SUCCESS, warning)))
    with odd_server(answer) as server, DocumentSource(registry_url=server.url) as source:
        (found,) = source.register(submission_of([entry])).errors
    assert found.is_warning
    assert str(found) == "XDSExtraMetadataNotSaved: slot"


def test_neither_success_nor_failure_is_no_success() -> None:
    with (
        odd_server(http(envelope(registry_response("Unavailable")))) as server,
        pytest.raises(TransactionRefused, match="ITI-41 was refused: no error is named"),
    ):
        provide(server.url)


# --- documents -----------------------------------------------------------------------------------


def test_documents_inline_in_simple_soap() -> None:
    body = retrieve_response(
        document_response("1", "aGVs\n bG8="), document_response("2", ""), response=None
    )
    assert fetch(http(envelope(body))) == {"1": b"hello", "2": b""}


def test_inline_and_attached_documents_in_one_answer() -> None:
    root = envelope(
        retrieve_response(
            document_response("1", include("cid:one%40x")), document_response("2", "aGVsbG8=")
        )
    )
    body, content_type = multipart(("root", root.encode()), ("one@x", b"\r\nattached\r\n"))
    assert fetch(http(body, content_type)) == {"1": b"\r\nattached\r\n", "2": b"hello"}


def test_parts_before_the_root_unused_ones_and_encoded_ids() -> None:
    root = envelope(
        retrieve_response(
            document_response("1", include("cid:one%2Bx")),
            document_response("2", include("cid:a b")),
        )
    )
    body, content_type = multipart(
        ("one%2Bx", b"1" * 2_000_000),
        ("nobody's", b"?"),
        ("root", root.encode()),
        ("spare", b"?"),
        ("a b", b"2"),
        start="root",
    )
    assert fetch(http(body, content_type)) == {"1": b"1" * 2_000_000, "2": b"2"}


ATTACHED = envelope(
    retrieve_response(
        document_response("1", include("cid:one")), document_response("2", include("cid:two"))
    )
).encode()
WHOLE, MULTIPART = multipart(("root", ATTACHED), ("one", b"1" * 300_000), ("two", b"2" * 300_000))


@pytest.mark.parametrize(
    ("body", "failure", "said"),
    [
        (WHOLE[:-3], MalformedAnswer, "ends before its closing boundary"),
        (WHOLE[:-100_000], MalformedAnswer, "ends before its closing boundary"),
        (WHOLE.replace(b"<two>", b"<too>"), MalformedAnswer, "a part that did not come"),
        (WHOLE.replace(b"cid:two", b"cid:one"), MalformedAnswer, "refer to the same part"),
        (WHOLE.replace(b"cid:two", b"file:/a"), MalformedAnswer, "not a cid: URL"),
        (
            WHOLE.replace(b"<x:DocumentResponse>", b"<x:Other>", 1).replace(
                b"</x:DocumentResponse>", b"</x:Other>", 1
            ),
            MalformedAnswer,
            "The answer has 1 of 2 documents",
        ),
        (WHOLE.replace(b"rs:RegistryResponse", b"rs:Other"), MalformedAnswer, "lacks its Reg"),
    ],
)
def test_documents_that_do_not_come_whole(
    body: bytes, failure: type[ClientError], said: str
) -> None:
    assert fetch(http(WHOLE, MULTIPART)) == {"1": b"1" * 300_000, "2": b"2" * 300_000}
    with pytest.raises(failure, match=said):
        fetch(http(body, MULTIPART))


def test_a_connection_lost_within_a_document_leaves_no_half_file(tmp_path: Path) -> None:
    answer = http(WHOLE, MULTIPART)[:-100_000]
    requests = [DocumentRequest("1.2", unique_id) for unique_id in "12"]
    with (
        odd_server(answer, closing=True) as server,
        DocumentConsumer(repository_urls=server.url) as consumer,
        consumer.retrieve(requests) as documents,
    ):
        arriving = iter(documents)
        next(arriving).save(tmp_path / "1")
        second = next(arriving)
        with pytest.raises(TransportFailed, match="broke off"):
            second.save(tmp_path / "2")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_base64_that_is_none_is_refused() -> None:
    body = retrieve_response(document_response("1", "aGV$"))
    with pytest.raises(MalformedAnswer, match="not base64"):
        fetch(http(envelope(body)), wanted=("1",))
