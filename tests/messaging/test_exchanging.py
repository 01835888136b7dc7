"""What a receiver answers on the wire, and what follows from it."""

import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import certificates
from tests.certificates import Files
from tests.messaging.http_receiver import HttpReceiver, HttpReply, receiving_http
from tests.messaging.receiver import receiving
from tests.waiting import PATIENCE
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer
from xds.messaging.outbound.destination import Destination, MessageForm
from xds.messaging.outbound.exchanging import DestinationWire, MessageOnTheWire
from xds.messaging.verdicts import AcknowledgementReading
from xds.outgoing.delivery import NotDelivered, Undeliverable

MESSAGE = MessageOnTheWire(
    id="M1",
    lane="record/0",
    blocks=[b"MSH|^~\\&|XDS|A|R|B|2026||MDM^T02|M1|P|2.4\r", b"PID|1\r"],
)
ANY_FORM = MessageForm()
OTHER = "=MSH|^~\\&|R|R|S|S|2026||ACK|1|P|2.4\rMSA|AA|M2\r"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def http() -> Iterator[HttpReceiver]:
    with receiving_http() as receiver:
        yield receiver


def exchange(
    url: str,
    tls: ssl.SSLContext | None = None,
    form: MessageForm = ANY_FORM,
    answer_seconds: float = PATIENCE,
) -> JudgedAnswer:
    destination = Destination(name="record", address=url, answer_seconds=answer_seconds, form=form)
    with closing(DestinationWire(tls)) as wire:
        return wire.exchange(destination, MESSAGE)


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (200, "AA", AnswerVerdict.DELIVERED),
        (201, "CA", AnswerVerdict.DELIVERED),
        (202, "AA", AnswerVerdict.DELIVERED),
        (200, "AE 102", AnswerVerdict.GIVE_UP),
        (202, "AR", AnswerVerdict.TRY_AGAIN),
        (400, "AE 102", AnswerVerdict.GIVE_UP),
        (400, "AE 207", AnswerVerdict.TRY_AGAIN),
        (409, "AA", AnswerVerdict.DELIVERED),
        (500, "AE 101", AnswerVerdict.GIVE_UP),
        (503, "AR", AnswerVerdict.TRY_AGAIN),
        (200, "=", AnswerVerdict.NOT_OURS),
        (200, "=<html>welcome</html>", AnswerVerdict.NOT_OURS),
        (200, OTHER, AnswerVerdict.NOT_OURS),
        (200, "=" + "x" * 300_000, AnswerVerdict.NOT_OURS),
    ],
)
def test_an_acknowledgement_counts_whatever_the_status(
    http: HttpReceiver, status: int, code: str, verdict: AnswerVerdict
) -> None:
    http.answers[:] = [HttpReply(status, code)]
    assert exchange(http.url).verdict is verdict
    headers, body = http.came[-1]
    assert body == b"".join(MESSAGE.blocks)
    assert headers["Content-Type"] == "application/hl7-v2+er7; charset=utf-8"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422])
@pytest.mark.parametrize("body", ["=", OTHER, "=" + "x" * 300_000])
def test_a_status_alone_may_say_that_the_message_is_not_taken(
    http: HttpReceiver, status: int, body: str
) -> None:
    http.answers[:] = [HttpReply(status, body)]
    with pytest.raises(Undeliverable, match=f"^{status}$"):
        exchange(http.url)


@pytest.mark.parametrize("status", [302, 307, 408, 425, 429, 500, 502, 503, 504])
def test_a_status_may_say_that_the_message_is_to_come_again(
    http: HttpReceiver, status: int
) -> None:
    headers = {"Location": http.url, "Retry-After": "120"}
    http.answers[:] = [HttpReply(status, "=", headers)]
    before = len(http.came)
    with pytest.raises(NotDelivered, match=f"^{status}$") as failure:
        exchange(http.url)
    assert failure.value.retry_after == 120
    assert len(http.came) == before + 1  # a redirection is not followed


def test_who_asks_for_another_attempt_may_say_when(http: HttpReceiver) -> None:
    http.answers[:] = [HttpReply(503, "AR 207", {"Retry-After": "60"})]
    assert exchange(http.url).retry_after == 60


def test_https_and_mllps_verify_the_receiver(files: Files) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(files.folder / "server.pem", files.folder / "server.key")
    trusting = ssl.create_default_context(cafile=files.authority)
    with receiving_http(served) as https, receiving(tls=served) as mllps:
        for url in (https.url, mllps.url):
            assert exchange(url, trusting).code == "AA"
            with pytest.raises(NotDelivered, match="SSLCertVerificationError"):
                exchange(url)


def test_silence_and_what_is_no_acknowledgement_are_not_delivered() -> None:
    with receiving() as mllp:
        mllp.answers[:] = [None]
        with pytest.raises(NotDelivered, match=r"^no answer within 2 s$"):
            exchange(mllp.url, answer_seconds=2.0)


def test_an_application_acknowledgement_is_awaited_where_it_was_asked_for() -> None:
    asked = MessageForm(accept_acknowledgement="AL", application_acknowledgement="AL")
    with receiving() as mllp:
        mllp.answers[:] = ["CA+AE 102", "CA+AA", "CE 101"]
        assert exchange(mllp.url, form=asked).code == "AE"
        assert exchange(mllp.url, form=asked).code == "AA"
        assert exchange(mllp.url, form=asked).verdict is AnswerVerdict.GIVE_UP


def test_an_accept_acknowledgement_is_enough_where_nothing_else_was_asked_for() -> None:
    asked = MessageForm(accept_acknowledgement="AL", application_acknowledgement="NE")
    with receiving() as mllp:
        mllp.answers[:] = ["CA"]
        answer = exchange(mllp.url, form=asked)
        assert (answer.verdict, answer.code) == (AnswerVerdict.DELIVERED, "CA")


@pytest.mark.parametrize(
    ("reading", "code", "verdict"),
    [
        ("hl7", "AE", AnswerVerdict.GIVE_UP),
        ("hl7", "AR", AnswerVerdict.TRY_AGAIN),
        ("nhs", "AE", AnswerVerdict.TRY_AGAIN),
        ("nhs", "AR", AnswerVerdict.GIVE_UP),
        ("nhs", "AR 207", AnswerVerdict.TRY_AGAIN),
        ("nhs", "AE 204", AnswerVerdict.GIVE_UP),
        ("hl7", "CE", AnswerVerdict.TRY_AGAIN),
        ("hl7", "CR", AnswerVerdict.GIVE_UP),
    ],
)
def test_refusals_are_read_as_the_receiver_means_them(
    reading: AcknowledgementReading, code: str, verdict: AnswerVerdict
) -> None:
    with receiving() as mllp:
        mllp.answers[:] = [code]
        destination = Destination(name="record", address=mllp.url, reading=reading)
        with closing(DestinationWire(None)) as wire:
            assert wire.exchange(destination, MESSAGE).verdict is verdict


def test_messages_of_a_lane_share_a_connection_until_it_is_closed() -> None:
    with receiving() as mllp, closing(DestinationWire(None)) as wire:
        destination = Destination(name="record", address=mllp.url)
        for _ in range(3):
            wire.exchange(destination, MESSAGE)
        assert mllp.connections == 1
        mllp.disconnect()
        wire.exchange(destination, MESSAGE)
        assert (mllp.connections, len(mllp.came)) == (2, 4)
