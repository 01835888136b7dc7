"""A proxy that ends TLS tells which node asks, and nobody else does; HAProxy is the proxy."""

import base64
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests import certificates, haproxy
from tests.certificates import Files, curl
from tests.test_server import Served, serving
from xds.config import ConfigError, load
from xds.security.node import Node, of_environment
from xds.security.proxies import Proxies, UnreadableForwarding
from xds.security.texts import UnacceptableText
from xds.tls.options import networks

SUBJECT = "CN=client,O=xds test"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    if not shutil.which("curl"):
        pytest.skip("curl is not here")
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def behind() -> Iterator[Served]:
    """A server that believes a proxy of this machine."""
    with serving("trusted_proxies=127.0.0.0/30", "workers=1") as served:
        served.wait_until_ready()
        yield served


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, files: Files, behind: Served) -> Iterator[str]:
    """The URL of HAProxy before that server."""
    if not haproxy.is_installed():
        pytest.skip(haproxy.MISSING)
    folder = tmp_path_factory.mktemp("haproxy")
    with haproxy.haproxy(folder, files, behind.address[1]) as port:
        yield f"https://localhost:{port}"


def told(files: Files, url: str, name: str | None, *more: str) -> Any:
    """Ask a server which node it takes us for."""
    answer = curl(files, f"{url}/node", name, *more).stdout
    assert answer.endswith("200")
    return json.loads(answer.removesuffix("200"))


def test_the_proxy_tells_who_has_shown_a_certificate(files: Files, proxy: str) -> None:
    node = told(files, proxy, "client")
    assert node == {"address": "127.0.0.1", "subject": SUBJECT, "certificate": True}


def test_who_shows_none_is_a_node_without(files: Files, proxy: str) -> None:
    assert told(files, proxy, None)["subject"] is None


@pytest.mark.parametrize("name", ["revoked", "expired", "foreign"])
def test_the_proxy_refuses_what_this_server_would(files: Files, proxy: str, name: str) -> None:
    assert curl(files, f"{proxy}/node", name).stdout == "000"


@pytest.mark.parametrize(
    "header", ["ClientCertificate", "clientcertificate", "Client_Certificate", "Client-Certificate"]
)
@pytest.mark.parametrize("name", ["client", None])
def test_a_client_cannot_tell_it_through_the_proxy(
    files: Files, proxy: str, header: str, name: str | None
) -> None:
    node = told(files, proxy, name, "--header", f"{header}: {in_base64(files, 'foreign')}")
    assert node["subject"] == (SUBJECT if name else None)


def test_a_client_cannot_tell_it_past_the_proxy(files: Files, behind: Served) -> None:
    # from an address of this machine that is not the proxy's
    direct = f"http://127.0.0.1:{behind.address[1]}"
    headers = ("ClientCertificate: " + in_base64(files, "client"), "ClientAddress: 192.0.2.1")
    more = [part for header in headers for part in ("--header", header)]
    node = told(files, direct, None, *more, "--interface", "127.0.0.9")
    assert node == {"address": "127.0.0.9", "subject": None, "certificate": False}


def test_only_a_trusted_proxy_is_believed_where_it_was_asked(files: Files, behind: Served) -> None:
    url = f"http://127.0.0.1:{behind.address[1]}/forwarded"
    header = ("--header", "X-Forwarded-Host: share.example")
    assert curl(files, url, None, *header).stdout == "share.example200"
    assert curl(files, url, None, *header, "--interface", "127.0.0.9").stdout == "nothing200"


def test_a_proxy_that_misleads_is_refused(files: Files, behind: Served) -> None:
    url = f"http://127.0.0.1:{behind.address[1]}/node"
    answer = curl(files, url, None, "--header", "ClientCertificate: not one")
    assert answer.stdout.endswith("cannot be read.\n400")


# --- forms ---------------------------------------------------------------------------------------


def certificate(files: Files, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((files.folder / f"{name}.pem").read_bytes())


def in_base64(files: Files, name: str) -> str:
    return base64.b64encode(certificate(files, name).public_bytes(Encoding.DER)).decode()


def resolved(header: str, peer: str = "192.0.2.7", trusted: str = "192.0.2.0/24") -> Node:
    environ = {"REMOTE_ADDR": peer, "HTTP_CLIENTCERTIFICATE": header}
    Proxies(networks(trusted), "ClientCertificate", "ClientAddress").resolve(environ)
    assert "HTTP_CLIENTCERTIFICATE" not in environ
    return of_environment(environ)


def test_a_certificate_may_come_in_any_form_that_proxies_write(files: Files) -> None:
    pem = (files.folder / "client.pem").read_text()
    base64_alone = in_base64(files, "client")
    for text in (
        base64_alone,
        f":{base64_alone}:",
        pem.replace("\n", " "),
        pem.replace("\n", "\t"),
        pem.replace("\n", "%0A").replace("+", "%2B").replace("/", "%2F").replace(" ", "%20"),
    ):
        node = resolved(text)
        assert node.certificate_subject == SUBJECT
        assert node.certificate == certificate(files, "client").public_bytes(Encoding.DER)


@pytest.mark.parametrize("text", ["x", "AAAA", "%", "::", "-----BEGIN CERTIFICATE-----", "é"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises((UnreadableForwarding, ValueError)):
        resolved(text)


@pytest.mark.parametrize(
    ("peer", "trusted", "is_believed"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("2001:db8::1", "192.0.2.7 2001:db8::/32", True),
        ("192.0.2.8", "192.0.2.7", False),
        ("192.0.2.7", "", False),
        ("", "192.0.2.7", False),
    ],
)
def test_a_proxy_is_known_by_its_address(
    files: Files, peer: str, trusted: str, is_believed: bool
) -> None:
    node = resolved(in_base64(files, "client"), peer, trusted)
    assert (node.certificate_subject is not None) == is_believed


@pytest.mark.parametrize("name", ["X-SSL-Client-Cert", "X_SSL", "", "Client Certificate"])
def test_a_header_that_a_client_could_send_in_another_spelling_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="letters and digits"):
        load({"node_certificate_header": name or "-"})


def test_proxies_are_addresses() -> None:
    with pytest.raises(ConfigError, match="not addresses or networks"):
        load({"trusted_proxies": "proxy.example"})


@pytest.mark.parametrize("name", ["node\x1b[2J", "no\x85de", "n" * 60 + "\ufffe"])
def test_a_subject_that_cannot_be_kept_is_refused(name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(UnacceptableText):
        Node.of_certificate("127.0.0.1", made.public_bytes(Encoding.DER))
