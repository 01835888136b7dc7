"""What is no message, or not for this server: a SOAP fault that names the cause, and no trace.

After each request here nothing is stored, no staged document is left, the log knows nothing of the
patient and of no error of the server, and the next good request is answered.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.registry.behind import database
from tests.serving import Server, serving
from tests.soap.messages import (
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    Case,
    Transaction,
    changed,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
    with_header,
    without_header,
)
from tests.soap.refusal import assert_refused, state_of
from tests.soap.wire import (
    FAILURE,
    NS,
    SUCCESS,
    Answer,
    post,
    retrieve,
)

DOCUMENT = b"\r\n--a document\r\n" * 500
PROVIDE = Case(0).provide()


# ---- not XML, or XML that is refused

FIND = Case(0).find()
AFTER_DECLARATION = FIND.partition("?>")[2].lstrip()


def nested(depth: int) -> str:
    deep = "<n>" * depth + "</n>" * depth
    return with_header(FIND, f'<t:Deep xmlns:t="urn:t">{deep}</t:Deep>')


def with_dtd(declarations: str, use: str = "", encoding: str = "UTF-8") -> bytes:
    """Return a query after a DTD of these declarations, with something in its header."""
    body = with_header(AFTER_DECLARATION, f'<t:Use xmlns:t="urn:t">{use}</t:Use>')
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE s [{declarations}]>{body}'
    return text.encode(encoding)


LAUGHS = '<!ENTITY l0 "lol">' + "".join(
    f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10)
)
COMMENT = f"<!--{'-x' * 60_000}-->"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "not well-formed", id="empty"),
        pytest.param(b"\0\1\2", "not well-formed", id="binary"),
        pytest.param(b'{"resourceType": "Bundle"}', "not well-formed", id="JSON"),
        pytest.param(b"%PDF-1.7", "not well-formed", id="PDF"),
        pytest.param(FIND[:700].encode(), "not well-formed", id="cut short"),
        pytest.param(changed(FIND, "</s:Body>", "").encode(), "mismatch", id="end tag missing"),
        pytest.param(FIND.encode() + b"<more/>", "not well-formed", id="two documents"),
        pytest.param(b" " + FIND.encode(), "XML declaration", id="space before the declaration"),
        pytest.param(changed(FIND, "<wsa:To>", "<wsa:To>&undefined;").encode(), "not", id="entity"),
        pytest.param(changed(FIND, "<wsa:To>", "<wsa:To>\x01").encode(), "not", id="control"),
        pytest.param(FIND.encode().replace(b"To>http", b"To>\xff", 1), "encoding", id="not UTF-8"),
        pytest.param(changed(FIND, "UTF-8", "klingon").encode(), "klingon", id="encoding"),
        pytest.param(nested(300).encode(), "nested too deeply", id="nested 300 deep"),
        pytest.param(nested(5000).encode(), "nested too deeply", id="nested 5,000 deep"),
        pytest.param(with_dtd(""), "has a DTD", id="DTD"),
        pytest.param(with_dtd("", "", "UTF-16"), "has a DTD", id="DTD in UTF-16"),
        pytest.param(
            with_dtd('<!ENTITY f SYSTEM "file:///etc/hostname">', "&f;"), "DTD", id="file"
        ),
        pytest.param(
            with_dtd('<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd">%p;'), "DTD", id="parameter"
        ),
        pytest.param(with_dtd(LAUGHS, "&l9;"), "has a DTD", id="billion laughs"),
        pytest.param(with_dtd(LAUGHS, "&l9;", "UTF-16"), "refused", id="laughs in UTF-16"),
        pytest.param(
            with_dtd(LAUGHS, '<n a="&l9;"/>', "UTF-16"), "refused", id="laughs in an attribute"
        ),
        pytest.param(
            with_dtd(LAUGHS, '<n a="&l9;"/>').replace(
                b"<!DOCTYPE", COMMENT.encode() + b"<!DOCTYPE"
            ),
            "refused",
            id="laughs behind a long comment",
        ),
    ],
)
def test_not_xml(unharmed_server: Server, body: bytes, words: str) -> None:
    answer = post(unharmed_server, ITI18, body, "application/soap+xml", relates_to=None)
    assert_refused(answer, words)
    assert not answer.is_mtom


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_laughs_in_a_message_as_long_as_a_document(unharmed_server: Server, encoding: str) -> None:
    """Beyond 10 MB the parser is told to admit long texts, but no more than that."""
    text = with_dtd(LAUGHS, f'<n a="&l9;">{"x" * 11_000_000}</n>').decode()
    body = changed(text, "<!DOCTYPE", f"{COMMENT}<!DOCTYPE").replace("UTF-8", encoding, 1)
    content_type = f"application/soap+xml; charset={encoding}"
    answer = post(unharmed_server, ITI18, body.encode(encoding), content_type, relates_to=None)
    assert_refused(answer, "refused")


def test_not_xml_in_the_root_part(unharmed_server: Server) -> None:
    body = multipart(root_part("no XML"), part(DOCUMENT))
    assert_refused(post(unharmed_server, ITI41, body, mtom_type()), "not well-formed")


def test_character_set_that_is_not_known(unharmed_server: Server) -> None:
    content_type = "application/soap+xml; charset=klingon"
    answer = post(unharmed_server, ITI18, FIND, content_type, relates_to=None)
    assert_refused(answer, "character encoding is not known")


# ---- XML that is no envelope, or a wrong one

REQUEST = re.compile(r"<query:AdhocQueryRequest.*</query:AdhocQueryRequest>", re.DOTALL)


def with_body(content: str) -> str:
    return REQUEST.sub("", FIND).replace("<s:Body>", f"<s:Body>{content}")


NO_BODY = re.sub("<s:Body>.*</s:Body>", "", FIND, flags=re.DOTALL)
HEADER_LAST = re.sub(r"(<s:Header>.*</s:Header>)(.*)(</s:E)", r"\2\1\3", FIND, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        pytest.param(with_body(""), "0 elements", id="empty body"),
        pytest.param(with_body("text"), "0 elements", id="text as body"),
        pytest.param(with_body("<a/><b/>"), "2 elements", id="two elements in the body"),
        pytest.param(NO_BODY, "s:Header, s:Body", id="no body"),
        pytest.param(changed(FIND, "</s:Envelope>", "<s:Body/></s:Envelope>"), "form", id="two"),
    ],
)
def test_wrong_envelope(unharmed_server: Server, envelope: str, words: str) -> None:
    assert_refused(post(unharmed_server, ITI18, envelope), words)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param("<a/>", "not a SOAP envelope", id="another element"),
        pytest.param(REQUEST.findall(FIND)[0], "not a SOAP envelope", id="body alone"),
        pytest.param(HEADER_LAST, "s:Header, s:Body", id="header after the body"),
    ],
)
def test_no_envelope(unharmed_server: Server, message: str, words: str) -> None:
    assert_refused(post(unharmed_server, ITI18, message, relates_to=None), words)


@pytest.mark.parametrize("namespace", ["http://www.w3.org/2001/12/soap-envelope", "urn:x"])
def test_envelope_of_another_version(unharmed_server: Server, namespace: str) -> None:
    envelope = changed(FIND, NS["s"], namespace)
    answer = post(unharmed_server, ITI18, envelope, "text/xml", relates_to=None)
    assert_refused(answer, "not one of SOAP 1.2", code="s:VersionMismatch")
    supported = answer.envelope.find("s:Header/s:Upgrade/s:SupportedEnvelope", NS)
    prefix, _, name = supported.get("qname").partition(":")
    assert (supported.nsmap[prefix], name) == (NS["s"], "Envelope")


# ---- the action


@pytest.mark.parametrize(
    ("transaction", "action"),
    [
        (ITI18, "urn:ihe:iti:2007:NoSuchTransaction"),
        (ITI18, ITI18.response_action),
        (ITI18, ITI18.action.upper()),
        (ITI18, f"{ITI18.action}/"),
        (ITI18, "urn:x:höft <&>\"'"),
        (ITI18, ITI41.action),
        (ITI18, ITI43.action),
        (ITI43, ITI18.action),
        (ITI43, ITI42.action),
    ],
)
def test_action_that_is_not_for_this_actor(
    unharmed_server: Server, transaction: Transaction, action: str
) -> None:
    escaped = action.replace("&", "&amp;").replace("<", "&lt;")
    envelope = changed(FIND, f">{ITI18.action}<", f">{escaped}<")
    answer = post(unharmed_server, transaction, envelope)
    assert_refused(answer, f"The action {action} is not supported", "wsa:ActionNotSupported")
    named = answer.body.find("s:Detail/wsa:ProblemAction/wsa:Action", NS)
    assert named.text == action


def test_long_action_is_not_quoted_whole(unharmed_server: Server) -> None:
    envelope = changed(FIND, f">{ITI18.action}<", f">urn:{'x' * 1_000_000}<")
    answer = post(unharmed_server, ITI18, envelope)
    assert_refused(answer, "xxx… is not supported", "wsa:ActionNotSupported")
    assert len(answer.raw.body) < 3000


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(without_header(FIND, "Action"), id="absent"),
        pytest.param(changed(FIND, ITI18.action, ""), id="empty"),
        pytest.param(changed(FIND, ITI18.action, " \n "), id="white space"),
        pytest.param(re.sub("<s:Header>.*</s:Header>", "", FIND, flags=re.DOTALL), id="no header"),
        pytest.param(
            re.sub(f">{ITI18.action}<", "><x>urn:x</x><", FIND), id="an element in place of text"
        ),
    ],
)
def test_missing_action(unharmed_server: Server, envelope: str) -> None:
    answer = post(unharmed_server, ITI18, envelope)
    assert_refused(answer, "wsa:Action is missing", "wsa:MessageAddressingHeaderRequired")
    assert answer.body.findtext("s:Detail/wsa:ProblemHeaderQName", None, NS) == "wsa:Action"


@pytest.mark.parametrize("name", ["Action", "MessageID", "To", "ReplyTo", "From", "FaultTo"])
def test_header_that_stands_twice(unharmed_server: Server, name: str) -> None:
    header = f"<wsa:{name}><wsa:Address>urn:example:a</wsa:Address></wsa:{name}>"
    if name in ("Action", "MessageID", "To"):
        header = f"<wsa:{name}>urn:example:b</wsa:{name}>"
    envelope = changed(FIND, "</s:Header>", f"{header * 2}</s:Header>")
    answer = post(unharmed_server, ITI18, envelope)
    assert_refused(
        answer,
        f"wsa:{name} stands more than once",
        "wsa:InvalidAddressingHeader",
        "wsa:InvalidCardinality",
    )
    assert answer.body.findtext("s:Detail/wsa:ProblemHeaderQName", None, NS) == f"wsa:{name}"


def test_answer_wanted_elsewhere(unharmed_server: Server) -> None:
    anonymous = "http://www.w3.org/2005/08/addressing/anonymous"
    envelope = changed(FIND, anonymous, "https://consumer.example/answers")
    assert_refused(
        post(unharmed_server, ITI18, envelope),
        "wsa:ReplyTo must be anonymous",
        "wsa:InvalidAddressingHeader",
        "wsa:OnlyAnonymousAddressSupported",
    )


@pytest.mark.parametrize(
    "attributes",
    [
        's:mustUnderstand="1"',
        's:mustUnderstand="true"',
        's:mustUnderstand="1" s:role=""',
        's:mustUnderstand="1" s:role="http://www.w3.org/2003/05/soap-envelope/role/next"',
        's:mustUnderstand="1" '
        's:role="http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver"',
    ],
)
def test_mandatory_header_that_is_not_known(unharmed_server: Server, attributes: str) -> None:
    envelope = with_header(FIND, f'<t:Lock xmlns:t="urn:example:lock" {attributes}/>')
    answer = post(unharmed_server, ITI18, envelope)
    words = "The mandatory header {urn:example:lock}Lock is not understood."
    assert_refused(answer, words, code="s:MustUnderstand")
    header = answer.envelope.find("s:Header/s:NotUnderstood", NS)
    prefix, _, name = header.get("qname").partition(":")
    assert (header.nsmap[prefix], name) == ("urn:example:lock", "Lock")


# ---- a body that does not fit


@pytest.mark.parametrize(
    ("transaction", "envelope"),
    [
        (ITI18, changed(FIND, f">{ITI18.action}<", f">{ITI42.action}<")),
        (ITI42, changed(Case(0).register(b""), f">{ITI42.action}<", f">{ITI18.action}<")),
        (ITI41, changed(Case(0).retrieve(), f">{ITI43.action}<", f">{ITI41.action}<")),
        (ITI43, changed(Case(0).provide(), f">{ITI41.action}<", f">{ITI43.action}<")),
        (ITI18, with_body("<AdhocQueryRequest/>")),
        (ITI18, with_body('<q:Other xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"/>')),
    ],
)
def test_body_that_does_not_fit_the_action(
    unharmed_server: Server, transaction: Transaction, envelope: str
) -> None:
    assert_refused(post(unharmed_server, transaction, envelope), "The body of ITI-")


def test_body_that_does_not_fit_its_schema_is_no_fault(unharmed_server: Server) -> None:
    envelope = changed(FIND, "returnType=", "returnKind=")
    answer = post(unharmed_server, ITI18, envelope)
    assert answer.status == FAILURE
    [(code, context)] = answer.errors
    assert code == "XDSRegistryError"
    assert "returnKind" in context


# ---- an error of the server


@pytest.fixture(scope="module")
def damaged_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve from a database that these tests damage behind the server's back."""
    with serving(tmp_path_factory.mktemp("damaged")) as server:
        yield server


TRIGGER = "CREATE TRIGGER refusal BEFORE INSERT ON document_entry"
REFUSALS = {
    "sqlite": (
        f"{TRIGGER} BEGIN SELECT RAISE(ABORT, 'refused for WIRE and all others'); END",
        "DROP TRIGGER refusal",
    ),
    "postgresql": (
        "CREATE FUNCTION refusal() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN RAISE EXCEPTION 'refused for WIRE and all others'; END$$;"
        f"{TRIGGER} EXECUTE FUNCTION refusal()",
        "DROP FUNCTION refusal CASCADE",
    ),
}
"""Damages that let the database refuse every document, and what ends them."""
NO_FRAGMENTS = {
    "sqlite": [f"UPDATE document_entry SET fragment = {value}" for value in ("7", "x''")],
    "postgresql": (
        "ALTER TABLE document_entry ALTER fragment DROP NOT NULL;"
        "UPDATE document_entry SET fragment = NULL",
        "UPDATE document_entry SET fragment = ''",
    ),
}
"""Damages of what is stored of documents, and what ends them."""


@contextmanager
def damage(server: Server, statement: str, undo: str) -> Iterator[None]:
    """Damage the database for the length of a block."""
    for sql in (statement, undo):
        with database(server) as opened, opened.administer() as connection:
            connection.exec_driver_sql(sql)
            connection.commit()
        if sql is statement:
            yield


def provide_to(server: Server, case: Case) -> Answer:
    body = multipart(root_part(case.provide()), part(DOCUMENT))
    return post(server, ITI41, body, mtom_type())


def assert_told_in_the_log(server: Server, answer: Answer) -> None:
    """Assert that a fault says nothing but where in the log the error is told, and that it is."""
    assert_refused(answer, "An error in the server", code="s:Receiver")
    assert answer.fault.detail == ""
    [correlation] = re.findall(r"\b[0-9a-f]{32}\b", answer.fault.reason)
    log = server.log.read_text()
    told = [json.loads(line) for line in log.splitlines() if correlation in line]
    [error] = [line for line in told if line["level"] == "error"]
    assert "xds/" in error["exception"]
    assert "WIRE" not in log
    assert "Sarrazin" not in log


def test_unexpected_exception_in_a_query(damaged_server: Server) -> None:
    case = new_case()
    assert provide_to(damaged_server, case).status == SUCCESS
    with damage(damaged_server, *NO_FRAGMENTS[urlsplit(damaged_server.database).scheme]):
        answer = post(damaged_server, ITI18, case.find())
        assert_told_in_the_log(damaged_server, answer)
        assert retrieve(damaged_server, case) == DOCUMENT


def test_unexpected_exception_in_a_submission(damaged_server: Server) -> None:
    rows = state_of(damaged_server).rows
    with damage(damaged_server, *REFUSALS[urlsplit(damaged_server.database).scheme]):
        answer = provide_to(damaged_server, new_case())
    assert_told_in_the_log(damaged_server, answer)
    assert answer.is_mtom
    after = state_of(damaged_server)
    assert after.rows == rows
    assert not [name for name in after.files if name.endswith(".staged")]
    assert provide_to(damaged_server, new_case()).status == SUCCESS


@pytest.mark.shows("error XDSRegistryBusy", "error XDSRepositoryBusy")
def test_database_that_does_not_work_is_busy(damaged_server: Server) -> None:
    names = ("document_entry", "taken_away")
    renaming = [f"ALTER TABLE {a} RENAME TO {b}" for a, b in (names, reversed(names))]
    logged = damaged_server.log.stat().st_size
    with damage(damaged_server, *renaming):
        query = post(damaged_server, ITI18, new_case().find())
        submission = provide_to(damaged_server, new_case())
    assert (query.status, query.errors[0][0]) == (FAILURE, "XDSRegistryBusy")
    assert (submission.status, submission.errors[0][0]) == (FAILURE, "XDSRepositoryBusy")
    assert "taken_away" not in str(query.errors + submission.errors)
    log = damaged_server.log.read_text()
    assert log[logged:].count('"level": "error"') == 2
    assert "WIRE" not in log
    assert provide_to(damaged_server, new_case()).status == SUCCESS
