"""Asynchronous exchange through the wire: 202, and the answer by POST to wsa:ReplyTo."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.ports import free_port
from tests.reference import MESSAGES, needs
from tests.registry.behind import database
from tests.serving import Server, serving
from tests.soap.messages import (
    DOCUMENT_ID,
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    SIMPLE,
    Case,
    Transaction,
    as_bytes,
    changed,
    http_request,
    include,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
    with_header,
    without_header,
)
from tests.soap.receiver import Receiver, receiving
from tests.soap.wire import (
    FAILURE,
    NS,
    SUCCESS,
    Answer,
    Raw,
    check,
    connected,
    message_id,
    post,
    provide,
    retrieve,
    take_apart,
)
from tests.waiting import until
from xds.database.access import Database
from xds.outgoing import operations

SAMPLE = MESSAGES / "iti42-request-async.xml"
ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"
NONE = "http://www.w3.org/2005/08/addressing/none"
ADDRESS = f"<wsa:Address>{ANONYMOUS}</wsa:Address>"
DOCUMENT = b"\r\n--a document\r\n"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def replying(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    """A server with two workers that may send answers to the receiver, below /async."""
    options = {"async_reply_to": f"https://a.example {receiver.url}/async", "workers": "2"}
    with serving(tmp_path_factory.mktemp("replying"), options) as running:
        yield running


@pytest.fixture
def path() -> str:
    """A path of the receiver that no other test uses."""
    return f"/async/{uuid4()}"


def asking(envelope: str, address: str, more: str = "") -> str:
    """Return a message that wants its answer at an address."""
    return changed(envelope, ADDRESS, f"<wsa:Address>{address}</wsa:Address>{more}")


def with_id(envelope: str) -> tuple[str, str]:
    """Return a message with a MessageID of its own, and that."""
    key = uuid4().urn
    return changed(envelope, message_id(envelope) or "", key), key


def send(
    server: Server, transaction: Transaction, body: str | bytes, content_type: str = SIMPLE
) -> Raw:
    """Send a message and return the HTTP answer."""
    with connected(server) as connection:
        header = f"Content-Type: {content_type}"
        connection.send(http_request(transaction.path, as_bytes(body), header))
        return connection.receive()


def send_and_be_accepted(
    server: Server, transaction: Transaction, body: str | bytes, content_type: str = SIMPLE
) -> None:
    """Send a message whose answer goes elsewhere."""
    accepted = send(server, transaction, body, content_type)
    assert (accepted.status, accepted.body) == (202, b"")
    assert accepted.headers["content-length"] == "0"
    assert "content-type" not in accepted.headers


def header_of(answer: Answer, name: str) -> str | None:
    text: str | None = answer.envelope.findtext(f"s:Header/wsa:{name}", None, NS)
    return text


def waiting(opened: Database) -> int:
    """Return how many answers wait to be sent."""
    with opened.read() as connection:
        return sum(one.waiting for one in operations.states(connection).values())


def failing(opened: Database) -> list[str]:
    """Return why targets fail."""
    with opened.read() as connection:
        return [one.error for one in operations.failing(connection)]


# ---- every transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """A transaction, and how its message is made for an address."""

    transaction: Transaction
    message: Callable[[Case, str], tuple[bytes, str]]


def _simple(make: Callable[[Case], str]) -> Callable[[Case, str], tuple[bytes, str]]:
    return lambda case, address: (asking(make(case), address).encode(), SIMPLE)


def _mtom(
    make: Callable[[Case], str], *documents: bytes
) -> Callable[[Case, str], tuple[bytes, str]]:
    def message(case: Case, address: str) -> tuple[bytes, str]:
        return multipart(root_part(asking(make(case), address)), *map(part, documents)), mtom_type()

    return message


EVERY = [
    Asked(ITI18, _simple(Case.find)),
    Asked(ITI41, _mtom(Case.provide, DOCUMENT)),
    Asked(ITI42, _simple(lambda case: case.register(DOCUMENT))),
    Asked(ITI43, _mtom(Case.retrieve)),
]


@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: asked.transaction.name)
def test_the_answer_goes_to_reply_to(
    replying: Server, receiver: Receiver, path: str, asked: Asked
) -> None:
    case = new_case()
    if asked.transaction in (ITI18, ITI43):
        provide(replying, case, DOCUMENT)
    address = f"{receiver.url}{path}?a=b"
    body, content_type = asked.message(case, address)
    send_and_be_accepted(replying, asked.transaction, body, content_type)
    answer = receiver.answer(f"{path}?a=b")
    check(answer, asked.transaction, message_id(body))
    assert answer.status == SUCCESS
    assert answer.is_mtom == (asked.transaction in (ITI41, ITI43))
    assert header_of(answer, "To") == address
    assert (header_of(answer, "MessageID") or "").startswith("urn:uuid:")
    if asked.transaction is ITI41:
        assert retrieve(replying, case) == DOCUMENT
    if asked.transaction is ITI43:
        assert answer.documents == {case.document: DOCUMENT}
    if asked.transaction is ITI18:
        assert case.document.encode() in answer.raw.body


def test_a_large_document_arrives_whole(replying: Server, receiver: Receiver, path: str) -> None:
    case, document = new_case(), os.urandom(6 << 20)
    provide(replying, case, document)
    # asked for in Simple SOAP it comes as base64, whose length is not known beforehand
    message = asking(case.retrieve(), receiver.url + path)
    send_and_be_accepted(replying, ITI43, message)
    answer = receiver.answer(path)
    assert not answer.is_mtom
    assert answer.documents == {case.document: document}


@needs(SAMPLE)
def test_the_sample_of_the_facts_is_answered_as_it_would_be_at_once(
    replying: Server, receiver: Receiver, path: str
) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    sample = "https://repo.example.org/xds/async-response"
    send_and_be_accepted(replying, ITI42, changed(text, sample, receiver.url + path))
    answer = receiver.answer(path)
    check(answer, ITI42, "urn:uuid:11111111-1111-4111-8111-111111111111")
    # what it replaces is not there
    at_once = post(replying, ITI42, changed(text, sample, ANONYMOUS))
    assert [code for code, _ in answer.errors] == [code for code, _ in at_once.errors] != []


def test_a_refused_transaction_is_answered_there_too(
    replying: Server, receiver: Receiver, path: str
) -> None:
    query = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
    message = changed(new_case().find(), query, "urn:uuid:00000000-8f97-4251-9a74-a90016b0af0d")
    send_and_be_accepted(replying, ITI18, asking(message, receiver.url + path))
    answer = receiver.answer(path)
    assert (answer.status, answer.errors[0][0]) == (FAILURE, "XDSUnknownStoredQuery")


# ---- WS-Addressing


def test_reference_parameters_come_back_as_headers(
    replying: Server, receiver: Receiver, path: str
) -> None:
    parameters = (
        '<wsa:ReferenceParameters xmlns:a="urn:a"><a:Session a:kind="wsa:x">1 &lt; 2</a:Session>'
        "<wsa:Action>urn:forged</wsa:Action><b>two</b></wsa:ReferenceParameters>"
    )
    message = asking(new_case().find(), receiver.url + path, parameters)
    send_and_be_accepted(replying, ITI18, message)
    answer = receiver.answer(path)
    check(answer, ITI18, message_id(message))
    marked = answer.envelope.findall("s:Header/*[@wsa:IsReferenceParameter='true']", NS)
    assert [(one.tag, one.text, one.tail) for one in marked] == [
        ("{urn:a}Session", "1 < 2", None),
        ("b", "two", None),
    ]
    assert marked[0].get("{urn:a}kind") == "wsa:x"
    assert len(answer.envelope.findall("s:Header/wsa:Action", NS)) == 1


def test_with_reply_to_none_the_request_is_carried_out_and_not_answered(
    replying: Server, server: Server
) -> None:
    for one in (replying, server):
        case = new_case()
        send_and_be_accepted(one, ITI42, asking(case.register(DOCUMENT), NONE))
        assert case.document.encode() in post(one, ITI18, case.find()).raw.body


def test_a_message_without_id_is_refused_since_nothing_could_relate_to_it(
    replying: Server, receiver: Receiver, path: str
) -> None:
    message = without_header(asking(new_case().find(), receiver.url + path), "MessageID")
    fault = post(replying, ITI18, message, relates_to=None).fault
    assert fault.subcodes == ("wsa:MessageAddressingHeaderRequired",)
    assert "wsa:MessageID" in fault.detail


# ---- faults


def _broken(case: Case, address: str) -> bytes:
    """A message of ITI-41 without the document that it refers to."""
    provided = case.provide(include(f"cid:no-{DOCUMENT_ID}"))
    return multipart(root_part(asking(provided, address)), part(DOCUMENT))


@pytest.mark.parametrize(
    ("fault_to", "there"),
    [
        (None, False),
        ("{url}{path}/fault", True),
        ("{url}/elsewhere", False),
    ],
    ids=["absent", "admitted", "not admitted"],
)
def test_a_fault_goes_to_fault_to_or_else_to_reply_to(
    replying: Server, receiver: Receiver, path: str, fault_to: str | None, there: bool
) -> None:
    message = _broken(new_case(), receiver.url + path)
    if fault_to:
        address = fault_to.format(url=receiver.url, path=path)
        header = f"<wsa:FaultTo><wsa:Address>{address}</wsa:Address></wsa:FaultTo>"
        message = changed(message.decode(), "<s:Header>", f"<s:Header>{header}").encode()
    send_and_be_accepted(replying, ITI41, message, mtom_type())
    answer = receiver.answer(f"{path}/fault" if there else path)
    check(answer, ITI41, message_id(message))
    assert answer.fault.code == "s:Sender"
    assert receiver.came(path if there else f"{path}/fault") == []


@pytest.mark.parametrize("reply_to", [ANONYMOUS, None])
def test_an_anonymous_fault_comes_on_the_connection(
    replying: Server, receiver: Receiver, path: str, reply_to: str | None
) -> None:
    address = reply_to or receiver.url + path
    fault_to = receiver.url + path if reply_to else ANONYMOUS
    header = f"<wsa:FaultTo><wsa:Address>{fault_to}</wsa:Address></wsa:FaultTo>"
    envelope = with_header(asking(new_case().provide(include("cid:none")), address), header)
    answer = post(replying, ITI41, multipart(root_part(envelope)), mtom_type())
    assert answer.fault.code == "s:Sender"
    assert receiver.came(path) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [(ITI18.action, "urn:none"), ("</s:Body>", ""), ("query:AdhocQueryRequest", "query:Other")],
    ids=["unknown action", "no XML", "another body"],
)
def test_what_cannot_be_understood_is_told_on_the_connection(
    replying: Server, receiver: Receiver, path: str, old: str, new: str
) -> None:
    message = changed(asking(new_case().find(), receiver.url + path), old, new)
    raw = send(replying, ITI18, message)
    assert raw.status == 500
    assert take_apart(raw).fault.code == "s:Sender"
    assert receiver.came(path) == []


@pytest.mark.on_files
def test_a_damaged_document_is_told_in_the_answer(
    replying: Server, receiver: Receiver, path: str
) -> None:
    case, document = new_case(), uuid4().bytes * 9
    provide(replying, case, document)
    files = (replying.data / "documents").rglob("?" * 32)
    (stored,) = (file for file in files if file.read_bytes() == document)
    os.truncate(stored, 100)
    message = multipart(root_part(asking(case.retrieve(), receiver.url + path)))
    send_and_be_accepted(replying, ITI43, message, mtom_type())
    answer = receiver.answer(path)
    check(answer, ITI43, message_id(message))
    (error,) = answer.body.iter("{*}RegistryError")
    assert error.get("errorCode") == "XDSRepositoryError"


def test_an_answer_that_cannot_be_kept_is_told_of_on_the_connection(
    replying: Server, receiver: Receiver, path: str
) -> None:
    case = new_case()
    with database(replying) as opened:
        until(lambda: waiting(opened) == 0)
        with opened.write() as connection:
            connection.execute(text("ALTER TABLE delivery RENAME TO aside"))
        try:
            answer = post(replying, ITI42, asking(case.register(DOCUMENT), receiver.url + path))
        finally:
            with opened.write() as connection:
                connection.execute(text("ALTER TABLE aside RENAME TO delivery"))
    assert (answer.raw.status, answer.fault.code) == (500, "s:Receiver")
    assert "was carried out" in answer.fault.reason
    assert case.document.encode() in post(replying, ITI18, case.find()).raw.body


# ---- where answers may go


@pytest.mark.parametrize(
    "address",
    [
        "{url}/other",
        "{url}/asynchronous",
        "{url}/async/../other",
        "{url}/async/%2e%2e/other",
        "http://user@{host}/async",
        "http://localhost:{port}/async",
        "https://{host}/async",
        "http://a.example/",
        "https://a.example@{host}/async",
        "{url}/async&#13;&#10;/other",
        "mailto:a@b.example",
    ],
)
def test_a_target_that_is_not_allowed_is_refused_and_nothing_is_done(
    replying: Server, receiver: Receiver, address: str
) -> None:
    case, url = new_case(), receiver.url
    given = address.format(url=url, host=url.removeprefix("http://"), port=receiver.port)
    fault = post(replying, ITI42, asking(case.register(DOCUMENT), given)).fault
    assert fault.subcodes == ("wsa:InvalidAddressingHeader", "wsa:InvalidAddress")
    assert "wsa:ReplyTo" in fault.detail
    assert case.document.encode() not in post(replying, ITI18, case.find()).raw.body


def test_without_the_option_only_anonymous_is_supported(server: Server, receiver: Receiver) -> None:
    fault = post(server, ITI18, asking(new_case().find(), f"{receiver.url}/async")).fault
    assert fault.subcodes[1] == "wsa:OnlyAnonymousAddressSupported"


# ---- delivery


@pytest.mark.parametrize("status", [503, 307, 404])
def test_an_answer_that_is_not_taken_is_sent_again_and_no_redirection_followed(
    replying: Server, receiver: Receiver, path: str, status: int
) -> None:
    receiver.refuse(path, status)
    send_and_be_accepted(replying, ITI18, asking(new_case().find(), receiver.url + path))
    first, second = receiver.wait_for(path, 2)
    assert first.body == second.body
    assert first.headers["content-type"] == second.headers["content-type"]
    assert receiver.came(f"{path}/redirected") == []


def test_workers_share_the_queue_and_send_in_order_and_nothing_twice(
    replying: Server, receiver: Receiver, path: str
) -> None:
    # slow answers, so that both workers find some of it due
    receiver.seconds = 0.05
    messages = [with_id(asking(new_case().find(), receiver.url + path)) for _ in range(20)]
    try:
        for message, _ in messages:
            send_and_be_accepted(replying, ITI18, message)
        came = receiver.wait_for(path, 20)
        with database(replying) as opened:
            until(lambda: waiting(opened) == 0)
    finally:
        receiver.seconds = 0.0
    related = [header_of(take_apart(raw), "RelatesTo") for raw in came]
    assert related == [key for _, key in messages]
    assert len(receiver.came(path)) == 20
    assert receiver.collisions == 0


@pytest.mark.slow
def test_what_is_under_way_ends_with_the_server_and_the_rest_outlasts_a_restart(
    tmp_path: Path, receiver: Receiver, path: str
) -> None:
    port, case = free_port(), new_case()
    target = f"http://127.0.0.1:{port}"
    options = {"async_reply_to": f"{target} {receiver.url}"}
    message = asking(case.register(DOCUMENT), target + path)
    with serving(tmp_path, options) as server:
        with database(server) as opened:
            send_and_be_accepted(server, ITI42, message)
            until(lambda: failing(opened) == ["ConnectionRefusedError"])
            receiver.seconds = 1.0
            send_and_be_accepted(server, ITI18, asking(case.find(), receiver.url + path))
            until(lambda: receiver.is_answering)
        assert server.stop() == 0
        receiver.seconds = 0.0
        with database(server) as opened:
            assert len(receiver.came(path)) == waiting(opened) == 1
    with receiving(port) as later, serving(tmp_path, options) as server:
        answer = later.answer(path)
        with database(server) as opened:
            until(lambda: waiting(opened) == 0)
    check(answer, ITI42, message_id(message))
    assert answer.status == SUCCESS
    log = (tmp_path / "server.log").read_text()
    # libraries that are not Python's may write lines of another form, but nothing of patients
    told = [
        entry
        for line in log.splitlines()
        if line.startswith("{") and (entry := json.loads(line)).get("host") == target
    ]
    assert told[0]["outcome"] == "ConnectionRefusedError"
    assert told[-1]["event"] == "a message was delivered"
    assert len({entry["correlation"] for entry in told}) == 1
    assert case.patient not in log


def test_answers_that_a_former_program_has_left_in_files_are_sent(
    tmp_path: Path, receiver: Receiver, path: str
) -> None:
    outbox, key = tmp_path / "outbox", uuid4().hex
    outbox.mkdir(parents=True)
    label = {"url": receiver.url + path, "content_type": "text/plain", "correlation": "c"}
    name = f"{1:014d}-{1:014d}-{0:06d}-{'0' * 8}-"
    (outbox / f"{name}{key}").write_bytes(json.dumps(label).encode() + b"\nan answer")
    (outbox / f"{name}{'f' * 32}").write_bytes(b"{")
    (outbox / f"{key}.arriving").write_bytes(b"half")
    with serving(tmp_path, {"async_reply_to": receiver.url}):
        (came,) = receiver.wait_for(path)
    assert (came.body, came.headers["content-type"]) == (b"an answer", "text/plain")
    assert set(os.listdir(outbox)) == {f"{key}.arriving", f"{'f' * 32}.unreadable"}
