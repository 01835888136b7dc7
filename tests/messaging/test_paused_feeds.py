"""A feed that an operator pauses: its senders are asked to send again, and nothing is stored."""

import http.client
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.hl7v2.wire import Sender, adt, connected, cx, pid
from tests.messaging.senders import report_number
from tests.messaging.test_doors import PDF, codes, oru, post, stored
from tests.messaging.test_fhir_messages import own
from tests.messaging.test_fhir_messages import send as send_fhir
from tests.ports import free_port
from tests.servers.shared import SharedServers
from tests.serving import Server
from tests.soap.test_iti44 import ADD, ask, identifier, outcome, subject
from tests.test_metrics import metrics
from tests.waiting import until
from xds.__main__ import main

FAILED = 'xds_transactions_total{outcome="error",transaction="process-message"}'
LATER = "the feed {} is paused: send it again later"


@pytest.fixture
def server(module_servers: SharedServers) -> Server:
    """A server whose feeds nobody else uses."""

    def options(_: Path) -> dict[str, str]:
        return {"mllp_port": str(free_port())}

    return module_servers("paused feeds", options)


@pytest.fixture
def sender(server: Server) -> Iterator[Sender]:
    with connected(int(server.options["mllp_port"])) as connection:
        yield connection


def feeds(server: Server, *told: str) -> str:
    """Run `xds feeds`, and return what it wrote."""
    done = CliRunner().invoke(main, ["feeds", "--database", server.database, *told])
    assert done.exit_code == 0, done.output
    return done.output


def is_report_taken(server: Server, sender: Sender) -> bool:
    """Send a report by MLLP: it is stored, or asked for again (AE, in the NHS reading)."""
    document = PDF + b"% paused " + report_number().encode()
    sender.post(oru(document))
    answer = sender.read()
    is_taken = codes(answer) == [("AA", "")]
    assert is_taken or codes(answer) == [("AE", "paused")]
    assert is_taken or LATER.format("mllp").encode() in answer
    assert stored(server, document) is is_taken
    return is_taken


def is_posted_report_taken(server: Server) -> bool:
    """Post a report by a path that is paused, and one by another, which is not."""
    assert post(server, oru(), path="/hl7v2/lab")[0] == http.client.OK
    status, _, answer = post(server, oru(), path="/hl7v2/ward")
    assert status in (http.client.OK, http.client.SERVICE_UNAVAILABLE), answer
    return status == http.client.OK


def is_fhir_message_taken(server: Server) -> bool:
    status, response = send_fhir(server, own())
    code = response["entry"][0]["resource"]["response"]["code"]
    expected = {"ok": http.client.OK, "transient-error": http.client.SERVICE_UNAVAILABLE}
    assert expected[code] == status
    return status == http.client.OK


def is_patient_taken(sender: Sender) -> bool:
    found = sender.ask(adt("A01", pid(cx("P-PAUSED"))))
    if found.code == "AA":
        return True
    assert (found.code, list(found.errors)) == ("AR", [("MSH^1", "207")])
    assert LATER.format("ITI-8").encode() in found.raw
    return False


def is_patient_of_soap_taken(server: Server) -> bool:
    answer = ask(server, ADD, subject(identifier("P-PAUSED")))
    code, details = outcome(answer)
    assert (code, details) in (("CA", []), ("CE", ["207"]))
    assert code == "CA" or LATER.format("ITI-44") in "".join(answer.itertext())
    return code == "CA"


def is_refused(is_taken: Callable[[], bool]) -> bool:
    return not is_taken()


def test_feeds_are_paused_and_resumed(server: Server, sender: Sender) -> None:
    taken: dict[str, Callable[[], bool]] = {
        "mllp": lambda: is_report_taken(server, sender),
        "http ward": lambda: is_posted_report_taken(server),
        "fhir": lambda: is_fhir_message_taken(server),
        "ITI-8": lambda: is_patient_taken(sender),
        "ITI-44": lambda: is_patient_of_soap_taken(server),
    }
    assert [name for name, is_taken in taken.items() if is_taken()] == [*taken]
    before = metrics(server).get(FAILED, 0)
    for name in taken:
        assert feeds(server, "pause", name) == "paused\n"
        assert f"{name}\tpaused since " in feeds(server)
    for is_taken in taken.values():
        until(partial(is_refused, is_taken))
    assert [name for name, is_taken in taken.items() if is_taken()] == []
    assert metrics(server)[FAILED] > before
    for name in taken:
        assert feeds(server, "resume", name) == "resumed\n"
    for is_taken in taken.values():
        until(is_taken)
    assert feeds(server) == "No feed is paused.\n"
    assert feeds(server, "resume", "mllp") == "It was not paused.\n"


@pytest.mark.parametrize("told", [("pause",), ("pause", "nowhere"), ("resume",)], ids=" ".join)
def test_a_feed_has_to_be_named(told: tuple[str, ...], server: Server) -> None:
    done = CliRunner().invoke(main, ["feeds", "--database", server.database, *told])
    assert done.exit_code == 2
    assert "feed" in done.output
