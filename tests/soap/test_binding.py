"""The SOAP binding through the wire: each way of real stacks to send a good message.

Wherever a message is about a document, the document is provided that way and retrieved again.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from bench import machine
from tests.serving import Server
from tests.soap.messages import (
    BOUNDARY,
    INCLUDE,
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    ROOT_ID,
    SIMPLE,
    Case,
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
    with_header,
    without_header,
)
from tests.soap.wire import (
    NS,
    SUCCESS,
    Answer,
    connected,
    message_id,
    post,
    provide,
    receive,
    retrieve,
)
from tests.waiting import until

CDA = b'<?xml version="1.0"?>\r\n<ClinicalDocument xmlns="urn:hl7-org:v3"/>\n'
EVERY_BYTE = bytes(range(256)) * 300
"""More than one block of whatever reads it."""


def provided(
    server: Server,
    body: bytes,
    content_type: str,
    *headers: str,
) -> None:
    """Assert that a message of ITI-41 is taken, and answered as MTOM."""
    answer = post(server, ITI41, body, content_type, *headers)
    assert answer.status == SUCCESS, answer.errors
    assert answer.is_mtom


def found(answer: Answer, case: Case) -> bool:
    """Tell whether a query's answer has the document of a case."""
    assert answer.status == SUCCESS, answer.errors
    identifiers = answer.body.iterfind(".//rim:ExternalIdentifier", NS)
    return case.document in {identifier.get("value") for identifier in identifiers}


# ---- the usual exchange


def test_document_goes_in_is_found_and_comes_out(server: Server) -> None:
    case = new_case()
    provide(server, case, EVERY_BYTE)
    assert found(post(server, ITI18, case.find()), case)
    assert retrieve(server, case) == EVERY_BYTE


# ---- where the action stands


def test_action_only_in_the_header(server: Server) -> None:
    case = new_case()
    provided(server, multipart(root_part(case.provide()), part(CDA)), mtom_type())
    assert retrieve(server, case) == CDA


@pytest.mark.parametrize(
    ("content_type", "of_root"),
    [
        pytest.param(mtom_type(action=ITI41.action), None, id="parameter"),
        pytest.param(
            mtom_type(start_info=rf'"application/soap+xml;action=\"{ITI41.action}\""'),
            None,
            id="start-info as JAX-WS RI has it",
        ),
        pytest.param(
            mtom_type(start_info=f'"application/soap+xml; action={ITI41.action}"'),
            None,
            id="start-info, action without quotes",
        ),
        pytest.param(
            mtom_type(),
            rf'application/xop+xml; type="application/soap+xml; action=\"{ITI41.action}\""',
            id="type of the root part as CXF has it",
        ),
        pytest.param(
            mtom_type(),
            f'application/xop+xml; type="application/soap+xml"; action="{ITI41.action}"',
            id="parameter of the root part",
        ),
    ],
)
def test_action_only_in_a_content_type(
    server: Server, content_type: str, of_root: str | None
) -> None:
    case = new_case()
    envelope = without_header(case.provide(), "Action")
    root = root_part(envelope, content_type=of_root) if of_root else root_part(envelope)
    provided(server, multipart(root, part(CDA)), content_type)
    assert retrieve(server, case) == CDA


def test_action_only_in_the_content_type_of_simple_soap(server: Server) -> None:
    envelope = without_header(new_case().find(), "Action")
    answer = post(server, ITI18, envelope, f'{SIMPLE}; action="{ITI18.action}"')
    assert answer.status == SUCCESS


def test_header_counts_where_the_content_type_has_another_action(server: Server) -> None:
    answer = post(server, ITI18, new_case().find(), f'{SIMPLE}; action="{ITI42.action}"')
    assert answer.status == SUCCESS


@pytest.mark.parametrize("white_space", ["\n", "\r\n    ", " \t"])
def test_white_space_in_the_action(server: Server, white_space: str) -> None:
    case = new_case()
    padded = white_space + ITI41.action + white_space
    envelope = changed(case.provide(), ITI41.action, padded)
    provided(server, multipart(root_part(envelope), part(CDA)), mtom_type())
    assert retrieve(server, case) == CDA


# ---- which part is the root


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(f'"<{ROOT_ID}>"', id="with brackets"),
        pytest.param(f'"{ROOT_ID}"', id="without brackets"),
        pytest.param(f'"<{ROOT_ID}"', id="half a pair"),
        pytest.param(f'"<<{ROOT_ID}>>"', id="two pairs"),
        pytest.param(f"<{ROOT_ID}>", id="without quotation marks"),
        pytest.param(None, id="absent"),
        pytest.param('""', id="empty"),
    ],
)
@pytest.mark.parametrize("content_id", [f"<{ROOT_ID}>", ROOT_ID])
def test_start(server: Server, start: str | None, content_id: str) -> None:
    case = new_case()
    root = root_part(case.provide(), content_id)
    provided(server, multipart(root, part(CDA)), mtom_type(start))
    assert retrieve(server, case) == CDA


def test_root_without_content_id(server: Server) -> None:
    case = new_case()
    provided(server, multipart(root_part(case.provide(), None), part(CDA)), mtom_type(None))
    assert retrieve(server, case) == CDA


def test_root_that_is_not_first(server: Server) -> None:
    case = new_case()
    unused = part(b"of nobody", "<unused@source.example>")
    root = root_part(case.provide())
    provided(server, multipart(part(EVERY_BYTE), root, unused), mtom_type())
    assert retrieve(server, case) == EVERY_BYTE


@pytest.mark.parametrize(
    "content_type",
    [
        "application/soap+xml",
        'Application/XOP+XML; charset="utf-8"; type="application/soap+xml"',
        None,
    ],
)
def test_content_type_of_the_root_is_not_looked_at(
    server: Server, content_type: str | None
) -> None:
    case = new_case()
    root = root_part(case.provide(), content_type=content_type)
    provided(server, multipart(root, part(CDA)), mtom_type())
    assert retrieve(server, case) == CDA


# ---- headers of the envelope


@pytest.mark.parametrize(
    "identifier", ["uuid:8a2b1c1e-77aa-4a0d-9a9a-0d8d4c2f5e01", "message 1", "urn:oid:2.999.7"]
)
def test_message_id_of_any_form(server: Server, identifier: str) -> None:
    envelope = new_case().find()
    answer = post(server, ITI18, changed(envelope, str(message_id(envelope)), identifier))
    assert answer.status == SUCCESS
    assert answer.envelope.findtext("s:Header/wsa:RelatesTo", None, NS) == identifier


def test_without_message_id_the_answer_relates_to_nothing(server: Server) -> None:
    envelope = without_header(new_case().find(), "MessageID")
    assert post(server, ITI18, envelope).status == SUCCESS


@pytest.mark.parametrize(
    "address", ["http://www.w3.org/2005/08/addressing/anonymous", "http://127.0.0.1:9/faults"]
)
def test_fault_to(server: Server, address: str) -> None:
    fault_to = f"<wsa:FaultTo><wsa:Address>{address}</wsa:Address></wsa:FaultTo>"
    envelope = with_header(new_case().find(), fault_to)
    assert post(server, ITI18, envelope).status == SUCCESS
    # a fault comes back on the connection, too
    envelope = changed(envelope, f"{ITI18.action}<", "urn:unknown<")
    assert post(server, ITI18, envelope).fault.subcodes == ("wsa:ActionNotSupported",)


def test_without_reply_to(server: Server) -> None:
    envelope = without_header(new_case().find(), "ReplyTo")
    assert post(server, ITI18, envelope).status == SUCCESS


def test_unknown_header_that_is_not_mandatory(server: Server) -> None:
    header = '<t:Trace xmlns:t="urn:example:trace" s:mustUnderstand="0"><t:Id>1</t:Id></t:Trace>'
    envelope = with_header(new_case().find(), header + header)
    assert post(server, ITI18, envelope).status == SUCCESS


@pytest.mark.parametrize(
    "role",
    ["http://www.w3.org/2003/05/soap-envelope/role/none", "urn:example:gateway"],
)
def test_mandatory_header_for_another_role(server: Server, role: str) -> None:
    header = f'<t:Trace xmlns:t="urn:example:trace" s:role="{role}" s:mustUnderstand="true"/>'
    assert post(server, ITI18, with_header(new_case().find(), header)).status == SUCCESS


def test_mandatory_headers_of_addressing(server: Server) -> None:
    envelope = changed(new_case().find(), "<wsa:To>", '<wsa:To s:mustUnderstand="true">')
    envelope = changed(envelope, "<wsa:ReplyTo>", '<wsa:ReplyTo s:mustUnderstand=" 1 ">')
    assert post(server, ITI18, envelope).status == SUCCESS


def test_prefixes_are_the_senders_choice(server: Server) -> None:
    envelope = new_case().find()
    for old, new in (("s:", "soap12:"), ("wsa:", "a:"), ("query:", "q:"), ("rim:", "ns4:")):
        envelope = envelope.replace(f"<{old}", f"<{new}").replace(f"</{old}", f"</{new}")
        envelope = envelope.replace(f"xmlns:{old[:-1]}=", f"xmlns:{new[:-1]}=")
    envelope = changed(envelope, " s:mustUnderstand", " soap12:mustUnderstand")
    relates_to = message_id(new_case().find())
    assert post(server, ITI18, envelope, relates_to=relates_to).status == SUCCESS


# ---- parts


def test_chunked_request_without_content_length(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.provide()), part(EVERY_BYTE))
    request = http_request(
        ITI41.path,
        in_chunks(body, 4099),
        f"Content-Type: {mtom_type()}",
        "Transfer-Encoding: chunked",
        length=False,
    )
    with connected(server) as connection:
        connection.send(request)
        assert receive(connection, ITI41, message_id(body)).status == SUCCESS
    assert retrieve(server, case) == EVERY_BYTE


@pytest.mark.parametrize(
    ("href", "content_id"),
    [
        ("cid:a%40source.example", "<a@source.example>"),
        ("cid:http%3A%2F%2Ftempuri.org%2F1%2F63", "<http://tempuri.org/1/63>"),
        ("cid:0.urn:uuid:8A2B%40apache.org", "<0.urn:uuid:8A2B@apache.org>"),
        ("cid:a%20b", "<a b>"),
        ("CID:b@source.example", "<b@source.example>"),
        ("cid:c%40source.example", "<c%40source.example>"),
        ("cid:d@source.example", "d@source.example"),
        ("cid:%7Be%7D@source.example", "<{e}@source.example>"),
    ],
)
def test_percent_encoded_cid(server: Server, href: str, content_id: str) -> None:
    case = new_case()
    envelope = case.provide(include(href))
    provided(server, multipart(root_part(envelope), part(CDA, content_id)), mtom_type())
    assert retrieve(server, case) == CDA


def test_white_space_beside_an_include(server: Server) -> None:
    case = new_case()
    envelope = case.provide(f"\n        {INCLUDE}\r\n      ")
    provided(server, multipart(root_part(envelope), part(CDA)), mtom_type())
    assert retrieve(server, case) == CDA


NESTED = (
    b"Content-Type: text/plain\r\n\r\nDear colleague,\r\n--inner\r\nContent-ID: <x>\r\n\r\n"
    b"\r\n--inner--\r\n"
)


@pytest.mark.parametrize(
    "content_type",
    [
        "message/rfc822",
        "message/http",
        "multipart/mixed; boundary=inner",
        "multipart/related; type=application/dicom; boundary=inner",
        "text/html; charset=ISO-8859-1",
        None,
    ],
)
def test_type_of_a_part_does_not_change_its_bytes(server: Server, content_type: str | None) -> None:
    case = new_case()
    document = part(NESTED, content_type=content_type)
    provided(server, multipart(root_part(case.provide()), document), mtom_type())
    assert retrieve(server, case) == NESTED


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\rabc\r",
        b"\nabc\n",
        b"\r\nabc\r\n",
        b"abc\r\n\r",
        b"--",
        b"\r\n--",
        f"\r\n--{BOUNDARY}x".encode(),
        f"\r\n--{BOUNDARY[:-1]}".encode(),
        f"--{BOUNDARY} of another kind\r\n".encode(),
        b"\0",
    ],
    ids=repr,
)
def test_document_of_odd_bytes(server: Server, document: bytes) -> None:
    case = new_case()
    provide(server, case, document)
    assert retrieve(server, case) == document


def test_preamble_and_epilogue(server: Server) -> None:
    case = new_case()
    body = multipart(
        root_part(case.provide()),
        part(CDA),
        preamble=b"This is a message in MIME.\r\n\r\n",
        epilogue=b"\r\nAnd this is its end.\r\n" * 1000,
    )
    provided(server, body, mtom_type())
    assert retrieve(server, case) == CDA


def test_message_that_begins_with_an_empty_line(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.provide()), part(CDA), preamble=b"\r\n", epilogue=b"")
    provided(server, body, mtom_type())
    assert retrieve(server, case) == CDA


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("base64", in_base64(EVERY_BYTE, 76).encode()),
        ("8bit", EVERY_BYTE),
        (None, EVERY_BYTE),
    ],
)
def test_transfer_encoding_of_a_part(server: Server, encoding: str | None, encoded: bytes) -> None:
    case = new_case()
    document = part(encoded, encoding=encoding)
    provided(server, multipart(root_part(case.provide()), document), mtom_type())
    assert retrieve(server, case) == EVERY_BYTE


# ---- base64 in the envelope


@pytest.mark.parametrize("line", [0, 76])
@pytest.mark.parametrize("document", [b"", b"a", EVERY_BYTE], ids=len)
def test_base64_in_an_mtom_message(server: Server, document: bytes, line: int) -> None:
    case = new_case()
    envelope = case.provide(in_base64(document, line))
    provided(server, multipart(root_part(envelope)), mtom_type())
    assert retrieve(server, case) == document


def test_base64_with_white_space_around(server: Server) -> None:
    case = new_case()
    envelope = case.provide(f"\n      {in_base64(EVERY_BYTE, 64)}\r\n\t")
    provided(server, multipart(root_part(envelope)), mtom_type())
    assert retrieve(server, case) == EVERY_BYTE


@pytest.mark.parametrize("line_end", ["&#13;\n", "&#xA;", "<!-- -->", " <?target instruction?>"])
def test_base64_as_xml_writers_write_it(server: Server, line_end: str) -> None:
    case = new_case()
    envelope = case.provide(in_base64(EVERY_BYTE, 76).replace("\n", line_end))
    provided(server, multipart(root_part(envelope)), mtom_type())
    assert retrieve(server, case) == EVERY_BYTE


def test_base64_in_a_cdata_section(server: Server) -> None:
    case = new_case()
    assert post(server, ITI41, case.provide(f"<![CDATA[{in_base64(CDA)}]]>")).status == SUCCESS
    assert retrieve(server, case) == CDA


def test_base64_beyond_what_a_parser_admits_without_being_told(server: Server) -> None:
    case = new_case()
    document = EVERY_BYTE * 110
    envelope = case.provide(in_base64(document, 1000))
    assert len(envelope) > 10_000_000
    provided(server, multipart(root_part(envelope)), mtom_type())
    assert retrieve(server, case) == document


def test_base64_and_part_in_one_message(server: Server) -> None:
    case, other = new_case(), new_case()
    envelope = two_documents(case, other, in_base64(EVERY_BYTE))
    provided(server, multipart(root_part(envelope), part(CDA)), mtom_type())
    assert retrieve(server, case) == CDA
    assert retrieve(server, other) == EVERY_BYTE


def two_documents(case: Case, other: Case, content: str) -> str:
    """Return the envelope of a case, to which the document of another is added."""
    envelope = case.provide()
    first = envelope[envelope.index("<rim:ExtrinsicObject") :]
    entry = first[: first.index("</rim:RegistryObjectList>")]
    entry = changed(entry, "Document01", "Document02").replace(case.document, other.document)
    for identified in ("author", "code", "identifier", "association"):
        entry = changed(entry, f'id="{identified}', f'id="of02{identified}')
    envelope = changed(envelope, "</rim:RegistryObjectList>", f"{entry}</rim:RegistryObjectList>")
    return changed(
        envelope,
        "</xds:ProvideAndRegisterDocumentSetRequest>",
        f'<xds:Document id="Document02">{content}</xds:Document>'
        "</xds:ProvideAndRegisterDocumentSetRequest>",
    )


# ---- the encoding of the answer is that of the request


def test_provide_in_simple_soap_is_answered_in_simple_soap(server: Server) -> None:
    case = new_case()
    answer = post(server, ITI41, case.provide(in_base64(EVERY_BYTE, 76)))
    assert answer.status == SUCCESS, answer.errors
    assert not answer.is_mtom
    assert retrieve(server, case) == EVERY_BYTE


@pytest.mark.parametrize("document", [b"", b"a", EVERY_BYTE], ids=len)
def test_retrieve_in_simple_soap_has_the_document_in_base64(
    server: Server, document: bytes
) -> None:
    case = new_case()
    provide(server, case, document)
    answer = post(server, ITI43, case.retrieve())
    assert not answer.is_mtom
    assert answer.documents == {case.document: document}
    assert int(answer.raw.headers["content-length"]) == len(answer.raw.body)


def _all_processes(server: Server) -> Iterator[int]:
    for process in server.processes:
        yield from machine.family(process.pid)


def open_documents(server: Server) -> list[Path]:
    """Return the documents that the processes of a server have open."""
    opened = []
    files = [file for pid in _all_processes(server) for file in Path(f"/proc/{pid}/fd").iterdir()]
    for file in files:
        with suppress(OSError):  # it may be closed at this moment
            opened.append(file.readlink())
    return [path for path in opened if path.is_relative_to(server.data / "documents")]


@pytest.mark.on_files
@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="only Linux tells what a process has open"
)
@pytest.mark.parametrize("as_mtom", [True, False])
def test_document_is_closed_when_its_receiver_goes_away(server: Server, as_mtom: bool) -> None:
    case = new_case()
    provide(server, case, EVERY_BYTE * 400)
    body = multipart(root_part(case.retrieve())) if as_mtom else case.retrieve().encode()
    with connected(server) as connection:
        content_type = mtom_type() if as_mtom else SIMPLE
        connection.send(http_request(ITI43.path, body, f"Content-Type: {content_type}"))
        assert connection.read_line() == b"HTTP/1.1 200 OK\r\n"
        assert len(open_documents(server)) == 1
    until(lambda: open_documents(server), lambda still: not still)


def test_query_as_mtom_is_answered_as_mtom(server: Server) -> None:
    case = new_case()
    provide(server, case, CDA)
    answer = post(server, ITI18, multipart(root_part(case.find())), mtom_type())
    assert answer.is_mtom
    assert found(answer, case)


def test_register_as_mtom_is_answered_as_mtom(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.register(CDA)), part(b"of nobody"))
    answer = post(server, ITI42, body, mtom_type())
    assert answer.status == SUCCESS, answer.errors
    assert answer.is_mtom
    assert found(post(server, ITI18, case.find()), case)


def test_fault_is_in_the_encoding_of_the_request(server: Server) -> None:
    envelope = changed(new_case().retrieve(), f"{ITI43.action}<", "urn:unknown<")
    assert not post(server, ITI43, envelope).is_mtom
    answer = post(server, ITI43, multipart(root_part(envelope)), mtom_type())
    assert answer.is_mtom
    assert answer.fault.code == "s:Sender"


# ---- character sets

NAME = "höftprotes"


def in_charset(case: Case, declared: str | None, charset: str) -> bytes:
    """Return the envelope of a case in a character set, declaring one or, for None, nothing."""
    envelope = case.provide(in_base64(CDA))
    declaration, _, rest = envelope.partition("?>")
    assert NAME in rest
    if declared is None:
        return rest.lstrip().encode(charset)
    return f"{changed(declaration, 'UTF-8', declared)}?>{rest}".encode(charset)


@pytest.mark.parametrize(
    ("declared", "charset", "content_type"),
    [
        ("UTF-16", "utf-16", "application/soap+xml; charset=UTF-16"),
        ("UTF-16", "utf-16", "application/soap+xml"),
        ("UTF-16", "utf-16", "application/soap+xml; charset=UTF-8"),
        ("UTF-16", "utf-16-be", "application/soap+xml; charset=utf-16"),
        (None, "utf-16-le", "application/soap+xml; charset=UTF-16LE"),
        (None, "utf-16-be", "application/soap+xml; charset=UTF-16"),
        ("ISO-8859-1", "iso-8859-1", "application/soap+xml"),
        (None, "iso-8859-1", "application/soap+xml; charset=ISO-8859-1"),
        ("UTF-8", "iso-8859-1", 'application/soap+xml; charset="iso-8859-1"'),
        ("ISO-8859-1", "utf-8", "application/soap+xml; charset=utf-8"),
        ("utf-16", "utf-8", "application/soap+xml; charset=utf-8"),
        ("UTF-8", "utf-8-sig", "application/soap+xml; charset=utf8"),
        ("UTF-8", "utf-8", "text/xml"),
        ("UTF-8", "utf-8", "text/xml; charset=us-ascii"),
    ],
)
def test_charset(server: Server, declared: str | None, charset: str, content_type: str) -> None:
    case = new_case()
    relates_to = message_id(case.provide())
    envelope = in_charset(case, declared, charset)
    answer = post(server, ITI41, envelope, content_type, relates_to=relates_to)
    assert answer.status == SUCCESS, answer.errors
    assert retrieve(server, case) == CDA
    assert NAME in post(server, ITI18, case.find()).raw.body.decode()


@pytest.mark.parametrize(
    ("declared", "charset", "of_root"),
    [
        (None, "iso-8859-1", "application/xop+xml; charset=ISO-8859-1"),
        (None, "utf-16-le", 'application/xop+xml; charset=utf-16; type="application/soap+xml"'),
        ("UTF-16", "utf-16", "application/xop+xml"),
    ],
)
def test_charset_of_the_root_part(
    server: Server, declared: str | None, charset: str, of_root: str
) -> None:
    case = new_case()
    relates_to = message_id(case.provide())
    root = root_part(in_charset(case, declared, charset), content_type=of_root)
    answer = post(server, ITI41, multipart(root), mtom_type(), relates_to=relates_to)
    assert answer.status == SUCCESS, answer.errors
    assert NAME in post(server, ITI18, case.find()).raw.body.decode()


# ---- HTTP


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_case_of_header_names_does_not_matter(server: Server, change: object) -> None:
    assert callable(change)
    case = new_case()
    body = multipart(
        part(CDA).replace(b"Content-", change("Content-").encode()),
        root_part(case.provide()).replace(b"Content-ID", change("Content-ID").encode()),
    )
    request = http_request(
        ITI41.path,
        body,
        f"{change('Content-Type')}: {mtom_type()}",
        f"{change('Content-Length')}: {len(body)}",
        length=False,
    )
    with connected(server) as connection:
        connection.send(request)
        assert receive(connection, ITI41, message_id(body)).status == SUCCESS
    assert retrieve(server, case) == CDA


def test_sender_that_waits_for_word_before_it_sends(server: Server) -> None:
    case = new_case()
    body = multipart(root_part(case.provide()), part(EVERY_BYTE))
    headers = (f"Content-Type: {mtom_type()}", "Expect: 100-continue")
    with connected(server) as connection:
        connection.send(http_request(ITI41.path, body, *headers).removesuffix(body))
        assert connection.read_line() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.read_line() == b"\r\n"
        connection.send(body)
        assert receive(connection, ITI41, message_id(body)).status == SUCCESS
    assert retrieve(server, case) == EVERY_BYTE


def test_sender_that_waits_is_not_told_to_send_in_vain(server: Server) -> None:
    headers = ("Content-Type: text/plain", "Expect: 100-continue")
    with connected(server) as connection:
        connection.send(http_request(ITI41.path, CDA, *headers).removesuffix(CDA))
        answer = receive(connection, ITI41, None)
    assert "text/plain is not accepted" in answer.fault.reason


def exchange_of(case: Case) -> Sequence[bytes]:
    """Return the requests that provide, find and retrieve the document of a case."""
    mtom = f"Content-Type: {mtom_type()}"
    return (
        http_request(ITI41.path, multipart(root_part(case.provide()), part(CDA)), mtom),
        http_request(ITI18.path, case.find().encode(), f"Content-Type: {SIMPLE}"),
        http_request(ITI18.path, multipart(root_part(case.find()), part(EVERY_BYTE)), mtom),
        http_request(ITI43.path, multipart(root_part(case.retrieve())), mtom),
        http_request(ITI43.path, case.retrieve().encode(), f"Content-Type: {SIMPLE}"),
    )


TRANSACTIONS = (ITI41, ITI18, ITI18, ITI43, ITI43)


def test_many_requests_on_one_connection(server: Server) -> None:
    case = new_case()
    with connected(server) as connection:
        for transaction, request in zip(TRANSACTIONS, exchange_of(case), strict=True):
            connection.send(request)
            answer = receive(connection, transaction, message_id(request))
            assert answer.status == SUCCESS
    assert answer.documents == {case.document: CDA}


def test_requests_sent_before_the_answers_are_read(server: Server) -> None:
    case = new_case()
    requests = exchange_of(case)
    with connected(server) as connection:
        connection.send(b"".join(requests))
        answers = [
            receive(connection, transaction, message_id(request))
            for transaction, request in zip(TRANSACTIONS, requests, strict=True)
        ]
    assert [answer.status for answer in answers] == [SUCCESS] * len(requests)
    assert answers[-1].documents == {case.document: CDA}


def test_one_connection_outlives_faults(server: Server) -> None:
    case = new_case()
    unknown = changed(case.find(), f"{ITI18.action}<", "urn:unknown<").encode()
    simple = f"Content-Type: {SIMPLE}"
    with connected(server) as connection:
        for _ in range(3):
            connection.send(http_request(ITI18.path, unknown, simple))
            assert receive(connection, ITI18, message_id(unknown)).fault.code == "s:Sender"
            connection.send(http_request(ITI18.path, case.find().encode(), simple))
            assert receive(connection, ITI18, message_id(unknown)).status == SUCCESS


@pytest.mark.parametrize("path", ["/registry/", "//registry", "/registry?wsdl"])
def test_path_with_a_slash_or_a_query(server: Server, path: str) -> None:
    body = new_case().find().encode()
    with connected(server) as connection:
        connection.send(http_request(path, body, f"Content-Type: {SIMPLE}"))
        assert receive(connection, ITI18, message_id(body)).status == SUCCESS
