"""The limits that are options: what is beyond one is refused, what keeps to it is not."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.databases import Databases
from tests.fhir.asked import ask
from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import ACCEPTED, adt, connected, cx, outcome, pid
from tests.ports import free_port
from tests.serving import Server, serving
from tests.soap.messages import (
    ITI18,
    ITI41,
    Case,
    mtom_type,
    multipart,
    part,
    root_part,
    with_header,
)
from tests.soap.refusal import assert_refused
from tests.soap.wire import SUCCESS, post
from tests.waiting import PATIENCE
from xds.hl7v2.event import ADT_BYTES

DEPTH = 20


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[FedServer]:
    """A server with narrow limits."""
    data, port = tmp_path_factory.mktemp("narrow"), free_port()
    options = {
        "database": databases.url(data),
        "max_parts": "5",
        "max_soap_depth": str(DEPTH),
        "max_fhir_depth": str(DEPTH),
        "mllp_port": str(port),
        "mllp_client_connections": "2",
        "max_mllp_bytes": "4MiB",  # so that the limit of an event is the lower one
    }
    with serving(data, options, processes=1) as server:
        yield FedServer(server, port)


@pytest.fixture
def narrow(fed: FedServer) -> Server:
    return fed.server


def test_parts_of_a_message(narrow: Server) -> None:
    body = multipart(root_part(Case(0).provide()), *[part(b"x", f"<{n}@x>") for n in range(5)])
    assert_refused(post(narrow, ITI41, body, mtom_type()), "The message has more than 5 parts.")


@pytest.mark.parametrize("more", [0, 1])
def test_depth_of_an_envelope(narrow: Server, more: int) -> None:
    depth = DEPTH + more - 2  # within the envelope and its header
    nested = "<n xmlns='urn:n'>" * depth + "</n>" * depth
    message = with_header(Case(0).find(), nested)
    if more:
        answer = post(narrow, ITI18, message, relates_to=None)
        assert_refused(answer, f"The XML is nested deeper than {DEPTH} elements.")
    else:
        assert post(narrow, ITI18, message).status == SUCCESS


@pytest.mark.parametrize("form", ["json", "xml"])
def test_depth_of_a_resource(narrow: Server, form: str) -> None:
    if form == "xml":
        nested = "<extension>" * DEPTH + "</extension>" * DEPTH
        body = f"<Bundle xmlns='http://hl7.org/fhir'>{nested}</Bundle>"
    else:
        body = '{"extension":' * DEPTH + '{"a":1}' + "}" * DEPTH
    headers = {"Content-Type": f"application/fhir+{form}", "Accept": "application/fhir+json"}
    answer = ask(narrow, "POST", "", headers, body.encode())
    assert answer.status == 400
    told = json.loads(answer.body)["issue"][0]["diagnostics"]
    assert told == f"The resource is nested deeper than {DEPTH} elements."


def test_connections_of_one_client_to_the_feed(fed: FedServer) -> None:
    message = b"MSH|^~\\&|A|B|C|D|||ADT^X99|1|P|2.5"
    with connected(fed.port) as first, connected(fed.port) as second:
        assert {first.ask(message).code, second.ask(message).code} == {"AR"}
        with connected(fed.port) as third:
            assert third.read() == b""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:  # the server takes a moment to notice that they have gone
        with connected(fed.port) as again, suppress(AssertionError, ConnectionError):
            assert again.ask(message).code == "AR"
            return
    raise AssertionError("no connection is taken again")


@pytest.mark.parametrize("more", [0, 1])
def test_size_of_a_message_of_an_event(fed: FedServer, more: int) -> None:
    known = adt("A04", pid(cx(f"large-{more}")), "NTE|1||")
    found = fed.ask(known[:-1] + b"x" * (ADT_BYTES + more - len(known)) + b"\r")
    assert found.msh(9) == "ACK^A04"
    if more:
        assert outcome(found) == ("AE", [("MSH^1", "207")])
        assert f"ADT^A04 has {ADT_BYTES} bytes at most".replace("^", "\\S\\").encode() in found.raw
    else:
        assert outcome(found) == ACCEPTED
