"""Node authentication (ITI-19): curl, openssl and the client, at servers with certificates.

Most of it at a small application, which the same server serves: TLS ends before any application.
"""

import http.client
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests import certificates
from tests.certificates import Files, curl, s_client
from tests.hl7v2.wire import adt, cx, pid
from tests.ports import free_port
from tests.serving import Server
from tests.serving import serving as serving_everything
from tests.test_server import ROOT, Served, serving
from tests.waiting import PATIENCE, until
from xds.client import DocumentConsumer, Settings, TransportFailed, tls_context
from xds.client.registry_client import registry_client
from xds.config import Config
from xds.outgoing.delivery import Delivery, NotDelivered
from xds.outgoing.http_sender import CONTENT_TYPE, HttpSender
from xds.private_folder import private_folder
from xds.repository.registering import RegistryUnavailable
from xds.server.certificates import Certificates
from xds.server.supervisor import listen
from xds.tls import contexts, material
from xds.tls.material import BadMaterial
from xds.url_allowlist import prefixes

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("curl")),
    reason="openssl and curl are not here",
)

PATIENT = "P0001^^^&2.999.1.1&ISO"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates.make(tmp_path_factory.mktemp("tls"))


def started(files: Files, clients: str, **more: str) -> Any:
    """Start a server with a small application."""
    options = files.options(clients, **more)
    return serving(*(f"{name}={value}" for name, value in options.items()))


@pytest.fixture(scope="module")
def required(files: Files) -> Iterator[Served]:
    with started(files, "required", workers="1") as served:
        served.wait_until_ready()
        yield served


@pytest.fixture(scope="module")
def optional(files: Files) -> Iterator[Served]:
    """A server at a public address as well, which it may be at with TLS."""
    with started(files, "optional", workers="1", host="0.0.0.0") as served:
        served.wait_until_ready()
        yield served


@pytest.fixture(params=["required", "optional"])
def demanding(request: pytest.FixtureRequest) -> Served:
    """A server that demands certificates, and one that verifies those that are shown."""
    found: Served = request.getfixturevalue(request.param)
    return found


def url(served: Served) -> str:
    return f"https://localhost:{served.address[1]}/length"


# --- who comes in --------------------------------------------------------------------------------


def test_a_client_with_a_certificate_comes_in(files: Files, demanding: Served) -> None:
    assert curl(files, url(demanding), "client").stdout == "0200"


@pytest.mark.parametrize(
    ("name", "alert"),
    [
        ("revoked", "certificate revoked"),
        ("expired", "certificate expired"),
        ("foreign", "unknown ca"),
    ],
)
def test_a_certificate_is_refused_that_is(
    files: Files, demanding: Served, name: str, alert: str
) -> None:
    refused = curl(files, url(demanding), name)
    assert refused.stdout == "000"
    assert alert in refused.stderr


def test_a_client_without_a_certificate_is_refused_where_one_is_required(
    files: Files, required: Served
) -> None:
    refused = curl(files, url(required), None)
    assert refused.stdout == "000"
    assert "certificate required" in refused.stderr


def test_a_client_without_a_certificate_comes_in_where_one_is_optional(
    files: Files, optional: Served
) -> None:
    assert curl(files, url(optional), None).stdout == "0200"


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_tls_is_spoken_in_version(files: Files, required: Served, version: str) -> None:
    found = s_client(files, required.address[1], "client", f"-{version}")
    assert "Verify return code: 0 (ok)" in found.stdout
    assert f"Protocol  : {version.replace('tls1_', 'TLSv1.')}" in found.stdout or (
        f"New, {version.replace('tls1_', 'TLSv1.')}" in found.stdout
    )


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_tls_is_refused_in_version(files: Files, required: Served, version: str) -> None:
    weak = ("-cipher", "ALL:@SECLEVEL=0")
    refused = s_client(files, required.address[1], "client", f"-{version}", *weak)
    assert "Cipher is (NONE)" in refused.stdout
    assert "alert" in refused.stderr


def test_tls_1_2_is_refused_where_1_3_is_the_minimum(files: Files) -> None:
    with started(files, "none", tls_minimum="1.3", workers="1") as served:
        served.wait_until_ready()
        port = served.address[1]
        assert "alert" in s_client(files, port, None, "-tls1_2").stderr
        assert "New, TLSv1.3" in s_client(files, port, None, "-tls1_3").stdout


def test_plain_http_is_not_answered(required: Served) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        required.get("/length")


def judged(files: Files, folder: Path, name: str, **options: str) -> str:
    """Tell what the patient feed makes of a certificate: nothing, or why it is refused."""
    given = {k: v for k, v in files.options("required", **options).items() if v}
    config = Config.model_validate(given)
    own = folder / name
    own.mkdir()
    copy = material.Copies(own).take(material.read(config))
    tls = contexts.serving(copy, "required", "1.2")
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.load_cert_chain(files.folder / f"{name}.pem", files.folder / f"{name}.key")
    here, there = socket.socketpair()
    thread = threading.Thread(target=lambda: _met(client, there))
    thread.start()
    try:
        with tls.wrap_socket(here, server_side=True) as connection:
            connection.recv(1)
        return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        here.close()
        thread.join(PATIENCE)


def _met(context: ssl.SSLContext, there: socket.socket) -> None:
    with suppress(OSError), context.wrap_socket(there) as connection:
        connection.sendall(b"x")


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Clients of an authority below another, one of them revoked; and both authorities' lists."""
    files = certificates.make(tmp_path_factory.mktemp("chained"))
    certificates.chain(files)
    return files


def test_a_client_of_an_authority_below_another_comes_in(chained: Files, tmp_path: Path) -> None:
    options = {"tls_trust": f"{chained.folder}/chain.pem", "tls_crl": f"{chained.folder}/both.crl"}
    with started(chained, "required", workers="1", **options) as served:
        served.wait_until_ready()
        assert curl(chained, url(served), "below").stdout == "0200"
        assert "certificate revoked" in curl(chained, url(served), "below-revoked").stderr
    assert judged(chained, tmp_path, "below", **options) == ""
    assert judged(chained, tmp_path, "below-revoked", **options) == "certificate revoked"


def test_a_node_whose_own_certificate_is_trusted_comes_in(files: Files, tmp_path: Path) -> None:
    certificates.sign_itself(files, "alone")
    trust = {"tls_trust": f"{files.folder}/alone.pem"}
    options = {k: v for k, v in files.options(**trust).items() if k != "tls_crl"}
    with serving("workers=1", *(f"{name}={value}" for name, value in options.items())) as served:
        served.wait_until_ready()
        assert curl(files, url(served), "alone").stdout == "0200"
        assert "unknown ca" in curl(files, url(served), "client").stderr
    assert judged(files, tmp_path, "alone", tls_crl="", **trust) == ""


# --- renewal -------------------------------------------------------------------------------------


def subject(files: Files, port: int) -> str:
    """Tell whose certificate a server shows."""
    found = s_client(files, port, "client").stdout
    return next(line for line in found.splitlines() if line.startswith("subject="))


def until_shown(files: Files, port: int, name: str) -> None:
    """Wait until a server shows a certificate."""
    until(lambda: subject(files, port), lambda found: name in found, pause=0.1)


class Asking:
    """A client that asks without a pause, on connections that it keeps and on new ones."""

    def __init__(self, files: Files, port: int) -> None:
        self.context = tls_context(
            files.authority, str(files.folder / "client.pem"), str(files.folder / "client.key")
        )
        self.port = port
        self.failures: list[str] = []
        self.answers = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(keep,)) for keep in (True, False)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "localhost", self.port, timeout=PATIENCE, context=self.context
        )

    def _ask(self, keep: bool) -> None:
        connection = self.connection()
        while not self._end.is_set():
            try:
                connection.request("POST", "/length", b"x" * 100)
                assert connection.getresponse().read() == b"100"
                self.answers += 1
            except Exception as error:
                self.failures.append(repr(error))
            if not keep:
                connection.close()
        connection.close()


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Certificates that tests renew."""
    return certificates.make(tmp_path_factory.mktemp("changing"))


@pytest.fixture(scope="module")
def renewing(changing: Files) -> Iterator[Served]:
    with started(changing, "required", workers="2") as served:
        served.wait_until_ready()
        yield served


def test_certificates_are_renewed_while_requests_go_on(changing: Files, renewing: Served) -> None:
    port = renewing.address[1]
    with Asking(changing, port) as asking, closing(asking.connection()) as idle:
        idle.request("POST", "/length")
        assert idle.getresponse().read() == b"0"
        slow = asking.connection()
        slow.request("POST", "/slow")
        certificates.renewed(changing)  # it is noticed
        assert slow.getresponse().read() == b"slow"
        slow.close()
        renewing.logged("the workers have been replaced")
        assert subject(changing, port).endswith("renewed server")
        idle.request("POST", "/length")
        answer = idle.getresponse()
        assert (answer.read(), answer.headers["Connection"]) == (b"0", "close")
        until(lambda: asking.answers > 50)
    assert not asking.failures


def test_a_client_that_is_revoked_is_refused_from_then_on(
    changing: Files, renewing: Served
) -> None:
    certificates.renewed(changing, "leaver")
    assert curl(changing, url(renewing), "leaver").stdout == "0200"
    certificates.revoked(changing, "leaver")
    renewing.process.send_signal(signal.SIGHUP)
    renewing.logged("the workers have been replaced")
    assert "certificate revoked" in curl(changing, url(renewing), "leaver").stderr


def test_certificates_that_do_not_fit_are_not_taken(changing: Files, renewing: Served) -> None:
    (changing.folder / "server.key").write_bytes((changing.folder / "client.key").read_bytes())
    told = renewing.logged("the certificates are not taken; those in use stay")
    assert "tls_key: the key is not that of the first certificate" in told["reason"]
    assert curl(changing, url(renewing), "client").stdout == "0200"


def expiring(files: Files, folder: Path) -> Certificates:
    return Certificates(Config.model_validate(files.options("none")), folder, None)


def test_a_warning_tells_every_day_of_what_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xds.server.certificates._POLL_SECONDS", 0.01)
    monkeypatch.setattr("xds.server.certificates._WARN_SECONDS", 0.02)
    files = certificates.make(tmp_path)
    certificates.renewed(files, days=29)
    with capture_logs() as logged:
        certificate = expiring(files, tmp_path)
        assert len(logged) == 1
        with certificate.watched(lambda: None):
            until(lambda: len(logged) >= 3)
    told = {(one["event"], one["option"], one["days_left"]) for one in logged}
    assert told == {("a certificate or revocation list is about to run out", "tls_certificate", 28)}
    assert len(logged) >= 3


@pytest.mark.parametrize(("days", "events"), [(31, set()), (-1, {"has run out"})])
def test_nothing_is_told_too_early_and_the_end_is_told(
    tmp_path: Path, days: int, events: set[str]
) -> None:
    files = certificates.make(tmp_path)
    certificates.renewed(files, days=days)
    with capture_logs() as logged:
        expiring(files, tmp_path)
    found = {one["event"].removeprefix("a certificate or revocation list ") for one in logged}
    assert found == events


def test_the_folder_of_a_process_that_was_killed_is_removed_by_the_next() -> None:
    code = (
        "import time; from xds.private_folder import private_folder\n"
        "with private_folder('test') as folder: print(folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        assert left.stat().st_mode & 0o777 == 0o700
        with private_folder("test"):
            assert left.exists()
        process.kill()
        process.wait()
    assert left.exists()
    with private_folder("test") as mine:
        assert not left.exists()
    assert not mine.exists()


# --- what is not started -------------------------------------------------------------------------


def refused(*options: str) -> str:
    """Start a server that is not to start, and give what it says."""
    served = Served("port=0", *options)
    told = served.told()
    assert served.process.wait() == 1
    return told


@pytest.mark.parametrize(("option", "more"), [("host", ()), ("mllp_host", ("mllp_port=0",))])
def test_without_tls_no_public_address_is_bound(option: str, more: tuple[str, ...]) -> None:
    assert refused(f"{option}=0.0.0.0", *more) == (
        f"{option}: 0.0.0.0 can be reached from other machines, and there is no TLS: set "
        'tls_certificate, or tls_in_front = "yes" if something in front provides it\n'
    )


def test_a_patient_feed_without_tls_is_not_bound_to_a_public_address(files: Files) -> None:
    options = files.options("none", mllp_tls="no", mllp_port="0", mllp_host="0.0.0.0")
    told = refused(*(f"{name}={value}" for name, value in options.items()))
    assert told.startswith("mllp_host: 0.0.0.0 can be reached from other machines")


def test_a_public_address_is_bound_with_tls_in_front() -> None:
    with serving("host=0.0.0.0", "tls_in_front=yes", "workers=1") as served:
        served.wait_until_ready()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_a_loopback_address_needs_no_tls(host: str) -> None:
    listen(host, 0, may_be_public=False).close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tls_certificate": "none.pem"}, "tls_certificate: none.pem cannot be read: No such file"),
        ({"tls_certificate": "{f}/crl.pem"}, "tls_certificate: there is no certificate (PEM) in"),
        ({"tls_key": "{f}/client.key"}, "tls_key: the key is not that of the first certificate"),
        ({"tls_key": "{f}/server.pem"}, "tls_key: there is no key (PEM) in"),
        ({"tls_crl": "{f}/server.pem"}, "tls_crl: there is no revocation list (PEM) in"),
        ({"tls_crl": "{f}/bare.crl"}, "tls_crl: a list in"),
        ({"tls_trust": "{f}/foreign.pem"}, "tls_crl: no authority of tls_trust has signed"),
    ],
)
def test_files_that_cannot_be_used_are_told(
    files: Files, change: dict[str, str], complaint: str
) -> None:
    changed = {name: path.format(f=files.folder) for name, path in change.items()}
    with pytest.raises(BadMaterial, match=re.escape(complaint)):
        material.read(Config.model_validate({**files.options(), **changed}))


def test_the_server_tells_of_files_that_cannot_be_used(files: Files) -> None:
    options = files.options("none", tls_certificate="none.pem")
    told = refused(*(f"{name}={value}" for name, value in options.items()))
    assert told == "tls_certificate: none.pem cannot be read: No such file or directory\n"


def test_an_encrypted_key_needs_its_password(files: Files, tmp_path: Path) -> None:
    key = tmp_path / "encrypted.key"
    encrypt = f"openssl ec -aes256 -passout pass:secret -in {files.folder}/server.key -out {key}"
    certificates.run(encrypt.split())
    options = files.options("none", tls_key=str(key))
    for password, said in ((None, "needs its"), ("guess", "is the tls_key_password right?")):
        config = Config.model_validate({**options, "tls_key_password": password})
        with pytest.raises(BadMaterial, match=re.escape(said)):
            material.read(config)
    with started(files, "none", tls_key=str(key), tls_key_password="secret", workers="1") as served:
        served.wait_until_ready()
        assert curl(files, url(served), None).stdout == "0200"


# --- everything, with its patient feed -----------------------------------------------------------


@pytest.fixture(scope="module")
def of_everything(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The certificates of that server, the last test of which renews them."""
    return certificates.make(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def everything(of_everything: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The whole server with its patient feed, which demands certificates."""
    files = of_everything
    options = files.options("required", mllp_port=str(free_port()), workers="1")
    with serving_everything(tmp_path_factory.mktemp("everything"), options) as server:
        yield server


def mllp_port(server: Server) -> int:
    def ports() -> list[int]:
        entries = map(json.loads, server.log.read_text().splitlines())
        return [int(one["port"]) for one in entries if one["event"] == "ready for the patient feed"]

    return until(ports)[0]  # its process starts beside the workers


@contextmanager
def connected(files: Files, port: int, name: str) -> Iterator[ssl.SSLSocket]:
    """Connect to the patient feed, and show a certificate."""
    context = ssl.create_default_context(cafile=files.authority)
    context.load_cert_chain(files.folder / f"{name}.pem", files.folder / f"{name}.key")
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def sent(connection: ssl.SSLSocket, message: bytes) -> bytes:
    """Send a message of the patient feed, and give the answer."""
    connection.sendall(b"\x0b" + message + b"\x1c\x0d")
    return connection.recv(65536)


def test_the_client_shows_its_certificate(of_everything: Files, everything: Server) -> None:
    paths = (str(of_everything.folder / f"client.{end}") for end in ("pem", "key"))
    tls = tls_context(of_everything.authority, *paths)
    with DocumentConsumer(everything.registry_url, settings=Settings(tls=tls)) as consumer:
        assert consumer.find_documents(PATIENT).response.is_success
    unknown = Settings(tls=tls_context(of_everything.authority))
    with (
        DocumentConsumer(everything.registry_url, settings=unknown) as consumer,
        pytest.raises(TransportFailed, match="do not agree on TLS"),
    ):
        consumer.find_documents(PATIENT)


def test_the_patient_feed_takes_messages_of_a_client_with_a_certificate(
    of_everything: Files, everything: Server
) -> None:
    with connected(of_everything, mllp_port(everything), "client") as connection:
        assert b"MSA|AA|MSG001" in sent(connection, adt("A04", pid(cx("TLS1"))))


@pytest.mark.parametrize(
    ("name", "alert"),
    [
        (None, "certificate required"),
        ("revoked", "certificate revoked"),
        ("expired", "certificate expired"),
        ("foreign", "unknown ca"),
    ],
)
def test_the_patient_feed_refuses(
    of_everything: Files, everything: Server, name: str | None, alert: str
) -> None:
    answer = s_client(of_everything, mllp_port(everything), name, send="\x0bMSH\x1c\r")
    assert alert in answer.stderr


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_the_patient_feed_refuses_version(
    of_everything: Files, everything: Server, version: str
) -> None:
    weak = ("-cipher", "ALL:@SECLEVEL=0")
    answer = s_client(of_everything, mllp_port(everything), "client", f"-{version}", *weak)
    assert "Cipher is (NONE)" in answer.stdout


def node(files: Files, name: str | None) -> Config:
    """Give the configuration of a server that shows a certificate to those that it calls."""
    shown = (str(files.folder / f"{name}.{end}") if name else None for end in ("pem", "key"))
    names = ("tls_outgoing_certificate", "tls_outgoing_key")
    return Config.model_validate(
        {**dict(zip(names, shown, strict=True)), "tls_outgoing_trust": files.authority}
    )


def test_a_registry_elsewhere_is_shown_the_certificate(
    of_everything: Files, everything: Server
) -> None:
    url = everything.registry_url
    with closing(registry_client(node(of_everything, "client"), url)) as registry:
        assert registry.document_entries(["2.25.1"]) == []
    with (
        closing(registry_client(node(of_everything, None), url)) as registry,
        pytest.raises(RegistryUnavailable, match="do not agree on TLS"),
    ):
        registry.document_entries(["2.25.1"])


def test_deliveries_are_sent_with_the_certificate(files: Files, required: Served) -> None:
    address = url(required)
    delivery = Delivery(
        pk=1,
        id="1",
        channel="test",
        target=address,
        address=address,
        accepted=0,
        attributes={CONTENT_TYPE: "text/plain"},
        size=1,
        parts=0,
        read=lambda: iter([b"x"]),
    )
    allowed = prefixes(address)
    with closing(HttpSender(allowed, contexts.outgoing(node(files, "client")))) as send:
        send(delivery)
    with pytest.raises(NotDelivered, match=r"^\w+$"):
        HttpSender(allowed, contexts.outgoing(node(files, None)))(delivery)


def test_the_patient_feed_takes_newer_certificates_and_keeps_its_connections(
    of_everything: Files, everything: Server
) -> None:
    files, port = of_everything, mllp_port(everything)
    with connected(files, port, "client") as kept:
        certificates.renewed(files)
        until_shown(files, port, "renewed server")
        assert b"MSA|AA|MSG001" in sent(kept, adt("A04", pid(cx("TLS2"))))
