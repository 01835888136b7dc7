"""Subscriptions that are told by websockets, with a client written by others."""

import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests import certificates
from tests.certificates import Files
from tests.databases import Databases
from tests.dsubm.rules import problems
from tests.dsubm.subscribed import (
    DOCUMENTS,
    Resource,
    Subscribed,
    classic,
    entry_for,
    issues,
    of_patient,
    register,
    registered,
    send,
    subscribe,
    subscription,
)
from tests.fhir.asked import FHIR_XML, ask, new_patient
from tests.ports import free_port
from tests.servers.shared import SharedServers
from tests.serving import Server, serving
from tests.waiting import PATIENCE, until
from xds.client import submission_of
from xds.database.access import Database


@pytest.fixture(scope="module")
def server(module_servers: SharedServers) -> Server:
    """A server with websockets."""
    options = {
        "websocket_port": str(free_port()),
        "websocket_origins": "https://portal.example",
        "websocket_client_connections": "40",
        "audit": "on",
    }
    return module_servers("websockets", options)


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.options['websocket_port']}"


@contextmanager
def connected(server: Server, **more: Any) -> Iterator[ClientConnection]:
    client = connect(url_of(server), open_timeout=PATIENCE, compression=None, **more)
    with client:
        yield client


def wanted(patient: str, content: str = "id-only", **channel: Any) -> Resource:
    """Return a Subscription to the documents of a patient by websocket."""
    made = subscription("x", DOCUMENTS, of_patient(patient), content=content)
    del made["channel"]["endpoint"]
    made["channel"].update({"type": "websocket", **channel})
    return made


def token_of(server: Server, *subscribed: Subscribed) -> str:
    """Return a token that binds to some subscriptions, as the server has answered."""
    query = "&".join(f"id={one.made['id']}" for one in subscribed)
    reply = ask(server, "GET", f"/Subscription/$get-ws-binding-token?{query}")
    assert reply.status == 200, reply.body
    assert reply.headers["cache-control"] == "no-store"
    found: dict[str, list[str]] = {}
    for one in reply.json()["parameter"]:
        value = next(value for name, value in one.items() if name.startswith("value"))
        found.setdefault(one["name"], []).append(value)
    assert found["subscription"] == [one.made["id"] for one in subscribed]
    assert found["websocket-url"] == [url_of(server)]
    assert found["expiration"]
    (token,) = found["token"]
    return token


def bind(client: ClientConnection, token: str, count: int = 1) -> list[Resource]:
    """Bind a connection; return the handshakes."""
    client.send(f"bind-with-token {token}")
    return [received(client) for _ in range(count)]


def received(client: ClientConnection) -> Resource:
    """Return the next Bundle, which keeps the rules of the backport."""
    found: Resource = json.loads(client.recv(PATIENCE))
    assert problems(found) == []
    return found


def parameter(bundle: Resource, name: str) -> Any:
    for one in bundle["entry"][0]["resource"]["parameter"]:
        if one["name"] == name:
            return one.get("part") or next(v for n, v in one.items() if n.startswith("value"))
    return None


def number(bundle: Resource) -> int:
    """Return the number of the event of a Bundle."""
    assert parameter(bundle, "type") == "event-notification"
    part = parameter(bundle, "notification-event")
    return int(next(one["valueString"] for one in part if one["name"] == "event-number"))


def numbers(client: ClientConnection, count: int) -> list[int]:
    return [number(received(client)) for _ in range(count)]


def closed(client: ClientConnection) -> int:
    """Return the code with which the server has closed a connection."""
    with pytest.raises(ConnectionClosed) as refusal:
        client.recv(PATIENCE)
    assert refusal.value.rcvd is not None
    return int(refusal.value.rcvd.code)


@pytest.mark.shows("broker websocket")
def test_what_happened_before_and_after_is_told(server: Server) -> None:
    """The Subscription is active at once; what happens before a client comes waits for it."""
    patient = new_patient()
    made = subscribe(server, wanted(patient, "full-resource"))
    assert made.is_now("active")
    entry = registered(server, patient)
    with connected(server) as client:
        (handshake,) = bind(client, token_of(server, made))
        assert parameter(handshake, "type") == "handshake"
        assert parameter(handshake, "subscription") == {
            "reference": f"{server.url}/fhir/Subscription/{made.made['id']}"
        }
        first = received(client)
        assert number(first) == 1
        found = first["entry"][1]
        assert found["fullUrl"].endswith(entry.id.removeprefix("urn:uuid:"))
        assert found["resource"]["resourceType"] == "DocumentReference"
        registered(server, patient)
        assert numbers(client, 1) == [2]
        assert bind(client, token_of(server, made))  # again, as before a token runs out
        registered(server, patient)
        assert numbers(client, 1) == [3]
        events = made.operation("events", "?eventsSinceNumber=1")
        assert parameter(events, "events-since-subscription-start") == "3"
        # it is told of its end, and of nothing after it
        assert made.put("off").status == 200
        last = received(client)
        assert (parameter(last, "status"), len(last["entry"])) == ("off", 1)
    assert made.put("requested").status == 200
    assert made.is_now("active")
    with connected(server) as client:
        bind(client, token_of(server, made))
        registered(server, patient)
        assert numbers(client, 1) == [4]


@pytest.mark.shows("broker websocket", "broker heartbeat")
def test_two_subscriptions_on_two_sockets(server: Server) -> None:
    """Each socket is told all of each, in order, in the form of the Subscription."""
    patients = [new_patient(), new_patient()]
    heartbeat = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
    beats: Resource = {
        "extension": [{"url": f"{heartbeat}backport-heartbeat-period", "valueUnsignedInt": 1}]
    }
    made = [
        subscribe(server, wanted(patients[0], **beats)),
        subscribe(server, wanted(patients[1], "empty", payload=FHIR_XML)),
    ]
    token = token_of(server, *made)
    with connected(server) as one, connected(server) as other:
        for client in (one, other):
            client.send(f"bind-with-token: {token}")
        entries = [entry_for(patient) for patient in patients * 3]
        for entry in entries:
            register(server, *submission_of([entry]).objects)
        for client in (one, other):
            told = [str(client.recv(PATIENCE)) for _ in range(2 + 6)]
            by_xml = [text for text in told if text.startswith("<")]
            by_json = [json.loads(text) for text in told if not text.startswith("<")]
            events = [b for b in by_json if parameter(b, "type") == "event-notification"]
            assert [number(bundle) for bundle in events] == [1, 2, 3]
            assert len(by_xml) == 1 + 3
            assert "event-notification" in by_xml[-1]
            while parameter(received(client), "type") != "heartbeat":
                pass


@pytest.mark.shows("broker websocket")
def test_a_subscription_of_r4_is_pinged(server: Server) -> None:
    """Whoever knows an id that an address has made may bind to it, and is told nothing else."""
    patient = new_patient()
    wish = classic("x", f"DocumentReference?{of_patient(patient)}", type="websocket")
    del wish["channel"]["endpoint"]
    made = subscribe(server, wish)
    key = made.made["id"]
    with connected(server) as client, connected(server) as by_token:
        client.send(f"bind {key}")
        assert client.recv(PATIENCE) == f"bound {key}"
        by_token.send(f"bind-with-token {token_of(server, made)}")
        assert by_token.recv(PATIENCE) == f"bound {key}"
        registered(server, patient)
        assert client.recv(PATIENCE) == f"ping {key}"
        assert by_token.recv(PATIENCE) == f"ping {key}"


@pytest.mark.parametrize(
    "told",
    ["bind-with-token wrong", "bind-with-token", "bind {topic}", "bind no-such-id", "hello", b"\0"],
)
@pytest.mark.shows("broker websocket")
def test_what_binds_to_nothing_closes_the_connection(server: Server, told: str | bytes) -> None:
    """A Subscription to a topic, which tells more than a ping, is not bound by its id."""
    made = subscribe(server, wanted(new_patient()))
    with connected(server) as client:
        client.send(told.format(topic=made.made["id"]) if isinstance(told, str) else told)
        assert closed(client) == 1008


def test_a_token_that_has_run_out_binds_to_nothing(server: Server) -> None:
    """So does one that was made before the clock was set back by more than a token lives."""
    made = subscribe(server, wanted(new_patient()))
    database = Database(server.database)
    for change in (-600_000, 600_000):
        token = token_of(server, made)
        with database.write() as connection:
            connection.exec_driver_sql(
                f"UPDATE subscription_token SET expires = expires + ({change})"
            )
        with connected(server) as client:
            client.send(f"bind-with-token {token}")
            assert closed(client) == 1008
    assert token_of(server, made) not in Path(server.log).read_text()
    database.close()


def test_messages_of_clients_and_connections_are_bounded(server: Server) -> None:
    """A page of another origin, a long message, and one connection more than one may have."""
    with pytest.raises(InvalidStatus) as refusal, connected(server, origin="https://else.example"):
        pass
    assert refusal.value.response.status_code == 403
    with connected(server, origin="https://portal.example") as client:
        client.send("bind-with-token " + "x" * 5_000)
        assert closed(client) == 1009
    address = ("127.0.0.1", int(server.options["websocket_port"]))
    many = [socket.create_connection(address) for _ in range(45)]
    for one in many:
        one.settimeout(PATIENCE)
    try:
        until(lambda: sum(_is_closed(one) for one in many) >= 5)
    finally:
        for one in many:
            one.close()
    until(lambda: _answers(server))


def _is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _answers(server: Server) -> bool:
    try:
        with connected(server):
            return True
    except (OSError, EOFError, ConnectionClosed):
        return False


def test_what_was_taken_is_told_again(server: Server) -> None:
    """``$resend``: all from a number on, to whoever is bound; with an end it is refused."""
    patient = new_patient()
    made = subscribe(server, wanted(patient))
    resend = f"{made.path}/$resend"
    with connected(server) as client:
        bind(client, token_of(server, made))
        register(server, *submission_of([entry_for(patient) for _ in range(3)]).objects)
        told = [received(client) for _ in range(3)]
        until(lambda: _outcome(server, f"{resend}?eventsSinceNumber=3").startswith("1 "))
        again = received(client)
        assert (number(again), again["id"]) == (3, told[2]["id"])
        assert _outcome(server, f"{resend}?eventsSinceNumber=4").startswith("0 ")
        part = f"{resend}?eventsSinceNumber=1&eventsUntilNumber=1"
        assert ask(server, "POST", part, body=b"").status == 422
        registered(server, patient)
        assert numbers(client, 1) == [4]


def _outcome(server: Server, path: str) -> str:
    (issue,) = ask(server, "POST", path, body=b"").json()["issue"]
    told: str = issue["diagnostics"]
    return told


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"endpoint": "wss://portal.example"}, ["Subscription.channel.endpoint"]),
        ({"header": ["A: b"]}, ["Subscription.channel.header"]),
    ],
)
def test_what_a_websocket_has_not_is_refused(
    server: Server, changes: Resource, places: list[str]
) -> None:
    reply = send(server, "POST", "/Subscription", wanted(new_patient(), **changes))
    assert [place for _, _, place in issues(reply)] == places
    assert reply.status == 422


def test_a_rest_hook_and_what_is_off_have_no_token(server: Server) -> None:
    made = subscribe(server, wanted(new_patient()))
    assert made.put("off").status == 200
    assert ask(server, "GET", f"{made.path}/$get-ws-binding-token").status == 422
    unknown = "/Subscription/$get-ws-binding-token?id=00000000-0000-4000-8000-000000000000"
    assert ask(server, "GET", unknown).status == 404


def test_the_capability_statement_names_the_url(server: Server) -> None:
    (rest,) = ask(server, "GET", "/metadata").json()["rest"]
    (extension,) = rest["extension"]
    assert extension["valueUri"] == url_of(server)
    operations = [one["name"] for r in rest["resource"] for one in r.get("operation", ())]
    assert "get-ws-binding-token" in operations


def test_a_slow_reader_holds_up_nobody_and_misses_nothing(server: Server) -> None:
    """Its messages wait; another one on the same subscription is told meanwhile."""
    patient = new_patient()
    made = subscribe(server, wanted(patient, "full-resource"))
    token = token_of(server, made)
    with connected(server, max_queue=1) as slow, connected(server) as quick:
        bind(slow, token)
        bind(quick, token)
        entries = [entry_for(patient) for _ in range(60)]
        register(server, *submission_of(entries).objects)
        assert numbers(quick, 60) == [*range(1, 61)]
        assert numbers(slow, 60) == [*range(1, 61)]
    until(lambda: "xds_websocket_connections 0" in metrics(server))
    assert 'xds_websocket_bindings_total{outcome="bound"}' in metrics(server)


def metrics(server: Server) -> str:
    import http.client

    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode().replace(".0\n", "\n")


def test_by_tls_clients_show_their_certificates(tmp_path: Path, databases: Databases) -> None:
    """As for HTTP; newer certificates of the server are taken, and connections stay."""
    (tmp_path / "certificates").mkdir()
    files = certificates.make(tmp_path / "certificates")
    port, own = str(free_port()), str(free_port())
    options = files.options("required", websocket_port=port, port=own)
    options["database"] = databases.url(tmp_path)
    wish = classic("x", "DocumentReference?status=current", type="websocket")
    del wish["channel"]["endpoint"]
    with serving(tmp_path, options) as server:
        asked = ["--json", json.dumps(wish), "-H", "Content-Type: application/fhir+json"]
        reply = certificates.curl(files, f"{server.url}/fhir/Subscription", "client", *asked)
        key = json.loads(reply.stdout.removesuffix("201"))["id"]
        with connect(f"wss://localhost:{port}", ssl=_context(files, "client")) as client:
            client.send(f"bind {key}")
            assert client.recv(PATIENCE) == f"bound {key}"
            certificates.renewed(files)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: _serial(files, port) == _serial_of(files))
            client.send(f"bind {key}")
            assert client.recv(PATIENCE) == f"bound {key}"
        nobody = _context(files, None)
        with (
            pytest.raises((OSError, EOFError, InvalidMessage, ConnectionClosed)),
            connect(f"wss://localhost:{port}", ssl=nobody) as client,
        ):
            client.recv(PATIENCE)  # by TLS 1.3 the refusal follows the handshake


def _context(files: Files, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.authority)
    if name is not None:
        context.load_cert_chain(files.folder / f"{name}.pem", files.folder / f"{name}.key")
    return context


def _serial(files: Files, port: str) -> int:
    with connect(f"wss://localhost:{port}", ssl=_context(files, "client")) as client:
        secured: Any = client.socket
        shown = secured.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).serial_number


def _serial_of(files: Files) -> int:
    pem = (files.folder / "server.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).serial_number


@pytest.mark.slow
@pytest.mark.shows("broker websocket")
def test_after_a_kill_a_client_that_binds_anew_misses_nothing(
    tmp_path: Path, databases: Databases
) -> None:
    """What was told and not noted comes again, with the id that it had."""
    options = {"websocket_port": str(free_port()), "port": str(free_port())}
    options["database"] = databases.url(tmp_path)
    patient = new_patient()
    ids: dict[int, str] = {}
    highest = 0
    made: Subscribed | None = None
    for _ in range(3):
        with serving(tmp_path, options) as server:
            if made is None:
                made = subscribe(server, wanted(patient))
            register(server, *submission_of([entry_for(patient) for _ in range(40)]).objects)
            with connected(server) as client:
                bind(client, token_of(server, made))
                highest = _read_some(client, ids, highest, 25)
                server.process.kill()
                server.process.wait()
                # what has arrived here was taken
                with suppress(ConnectionClosed):
                    while True:
                        highest = _read_some(client, ids, highest, 1)
    with serving(tmp_path, options) as server, connected(server) as client:
        assert made is not None
        bind(client, token_of(server, made))
        _read_some(client, ids, highest, 120 - highest)
    assert made is not None
    assert sorted(ids) == [*range(1, 121)]


def _read_some(client: ClientConnection, ids: dict[int, str], highest: int, more: int) -> int:
    """Read until so many further ones have come; what comes again is what has come last."""
    goal = highest + more
    last: int | None = None
    while highest < goal:
        bundle = received(client)
        found = number(bundle)
        assert found <= highest + 1
        assert last is None or found == last + 1
        assert ids.setdefault(found, bundle["id"]) == bundle["id"]
        last, highest = found, max(highest, found)
    return highest
