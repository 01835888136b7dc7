"""What is sent where: allowed targets only, signed, without redirections, and bounded."""

import hashlib
import hmac
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests import certificates
from tests.notification.engine import PROTOCOL, Engine, engine
from tests.waiting import until
from xds.config import Config
from xds.database.access import Database
from xds.metadata.criteria import Comparison, Operator
from xds.notification import sender
from xds.notification.model import (
    Secrets,
    SubscriptionRefused,
    SubscriptionState,
    TargetNotAllowed,
    TooManySubscriptions,
)
from xds.notification.subscriptions import SubscriptionSearch
from xds.notification.targets import TargetRules
from xds.tls.options import networks
from xds.url_allowlist import Target, prefixes

shows = pytest.mark.shows


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("93.184.216.34", True),
        ("10.20.1.1", True),
        ("::ffff:10.20.1.1", True),
        ("10.21.1.1", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("2606:2800:220:1::1", True),
    ],
)
def test_a_name_reaches_public_addresses_and_networks_of_the_option(
    address: str, reached: bool
) -> None:
    rules = TargetRules(prefixes("https://portal.example"), networks("10.20.0.0/16"))
    assert rules.reaches(Target.parse("https://portal.example/a"), address) is reached


def test_a_host_that_is_an_address_is_that_address() -> None:
    rules = TargetRules(prefixes("http://127.0.0.1:9 http://localhost:9"))
    assert rules.reaches(Target.parse("http://127.0.0.1:9/"), "127.0.0.1")
    assert not rules.reaches(Target.parse("http://127.0.0.1:9/"), "127.0.0.2")
    assert rules.reaches(Target.parse("http://localhost:9/"), "::1")
    assert not rules.reaches(Target.parse("http://localhost:9/"), "10.0.0.1")


@shows("behaviour notification targets")
def test_what_is_not_allowed_makes_no_subscription(database: Database, tmp_path: Path) -> None:
    with engine(database, tmp_path, subscriptions_of_client=2) as it:
        for address in ("http://127.0.0.1:1/a", "ftp://127.0.0.1/", "https://127.0.0.1/"):
            with pytest.raises(TargetNotAllowed):
                it.subscriptions.check_target(address)
        for headers in (
            {"Host": "other.example"},
            {"Content-Type": "text/html"},
            {"X-A": "b\r\nX-C: d"},
            {"X A": "b"},
        ):
            with pytest.raises(SubscriptionRefused):
                it.subscribe("/a", secrets=Secrets(headers=headers))
        with pytest.raises(KeyError):
            it.subscribe("/a", Comparison("no_such_attribute", Operator.EQUAL, ("x",)))
        assert it.subscriptions.search(SubscriptionSearch()) == []
        first = it.subscribe("/a")
        it.subscribe("/a")
        with pytest.raises(TooManySubscriptions):
            it.subscribe("/a")
        it.subscriptions.end(first.id)
        it.subscribe("/a")


@shows("behaviour notification targets")
def test_a_name_that_resolves_to_an_address_within_is_not_connected_to(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(database, tmp_path, notification_targets="http://portal.example") as it:
        monkeypatch.setattr(
            "socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", it.receiver.port))]
        )
        one = it.subscribe(address="http://portal.example/a")
        with it.working():
            it.register()
            until(lambda: it.state(one).state is SubscriptionState.ERROR)
        assert it.state(one).reason == "AddressNotAdmitted"
        assert it.receiver.came("/a") == []


def test_a_body_is_signed_and_carries_the_headers_of_its_subscription(
    database: Database, tmp_path: Path
) -> None:
    secrets = Secrets(headers={"X-Tenant": "seven"}, hmac_key="k3y", bearer="t0ken")
    with engine(database, tmp_path) as it:
        it.subscribe("/a", secrets=secrets)
        with it.working():
            it.register()
            (raw,) = it.receiver.wait_for("/a")
    signature = hmac.new(b"k3y", raw.body, hashlib.sha256).hexdigest()
    assert raw.headers["x-hub-signature"] == f"sha256={signature}"
    assert raw.headers["authorization"] == "Bearer t0ken"
    assert raw.headers["x-tenant"] == "seven"
    assert raw.headers["content-type"] == "application/json"


def test_a_target_is_verified_and_shown_a_certificate(database: Database, tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "certs")
    shown: list[str] = []

    class Careful(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            subject = self.connection.getpeercert()["subject"]
            shown.append(dict(one for (one,) in subject)["commonName"])
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.folder / "server.pem", files.folder / "server.key")
    context.load_verify_locations(files.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Careful)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"https://localhost:{server.server_address[1]}"
    options = {
        "tls_outgoing_trust": files.authority,
        "tls_outgoing_certificate": files.folder / "client.pem",
        "tls_outgoing_key": files.folder / "client.key",
    }
    try:
        with engine(database, tmp_path, notification_targets=url, **options) as it:
            one = it.subscribe(address=f"{url}/a")
            with it.working():
                it.register()
                until(lambda: it.state(one).delivered == 1)
        with engine(database, tmp_path, notification_targets=url) as it:
            with it.working():
                it.register()
                until(lambda: it.state(one).state is SubscriptionState.ERROR)
            assert it.state(one).reason == "SSLCertVerificationError"
    finally:
        server.shutdown()
        server.server_close()
    assert len(shown) == 1


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Answer with more than anyone wants to read."""
    handler.send_response(500)
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def redirection(handler: BaseHTTPRequestHandler) -> None:
    """Point elsewhere."""
    handler.send_response(307)
    handler.send_header("Location", f"{handler.path}/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def no_http(handler: BaseHTTPRequestHandler) -> None:
    """Answer what is none."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


def closing(handler: BaseHTTPRequestHandler) -> None:
    """Answer nothing."""
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(endless, "500"), (redirection, "307"), (no_http, "NotHTTP"), (closing, "BrokenOff")],
)
def test_an_answer_that_is_none_is_a_failure_and_stops_nobody_else(
    database: Database,
    tmp_path: Path,
    answer: Callable[[BaseHTTPRequestHandler], None],
    reason: str,
) -> None:
    paths: list[str] = []

    class Odd(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            with suppress(OSError, ssl.SSLError):
                answer(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    odd = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with engine(database, tmp_path, more_targets=odd) as it:
            one = it.subscribe(address=f"{odd}/odd")
            other = it.subscribe("/a")
            with it.working():
                it.register()
                until(lambda: it.state(one).state is SubscriptionState.ERROR)
                until(lambda: it.state(other).delivered == 1)
            assert it.state(one).reason == reason
            assert set(paths) == {"/odd"}
    finally:
        server.shutdown()
        server.server_close()


def test_the_schedule_of_retries_is_that_of_the_options(it: Engine) -> None:
    told = {"notification_retries": "7 70", "notification_retry_jitter": 10}
    config = Config.model_validate({**it.config.model_dump(), **told})
    channel = sender.channel(PROTOCOL, config, it.database)
    assert channel is not None
    pauses = [channel.schedule.pause(failures) for failures in (1, 2, 3)]
    assert all(0.9 * most <= one <= most for one, most in zip(pauses, (7, 70, 70), strict=True))
    for wrong in ("", "0 1", "1,2", "9999999"):
        with pytest.raises(ValidationError):
            Config.model_validate({"notification_retries": wrong})


def test_what_is_read_ahead_is_of_the_state_that_it_tells(it: Engine) -> None:
    """In order and none missing, also where a failure or a pause falls between."""
    one = it.subscribe("/a", recovers=False)
    for _ in range(40):
        it.register()
    it.receiver.refuse("/a", *[202] * 20, *[500] * 5)
    with it.working():
        until(lambda: it.state(one).delivered == 40)
    told = [(m["number"], m["state"]) for m in it.told("/a", 45)]
    assert [number for number, _ in told[:20]] == [*range(1, 21)]
    assert {number for number, _ in told[20:25]} == {21}
    assert [number for number, _ in told[25:]] == [*range(21, 41)]
    assert told[0] == (1, "active")
    assert told[-1] == (40, "error")
