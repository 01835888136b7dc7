"""`xds certs`: certificates for trials in one command."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from tests.certificates import run
from xds.__main__ import main


def certs(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["certs", *map(str, arguments)])


def test_it_makes_what_openssl_verifies(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    result = certs(folder, "--host", "registry.example", "--host", "192.0.2.1", "--days", 30)
    assert result.exit_code == 0
    authority = str(folder / "authority.pem")
    verify = ["openssl", "verify", "-CAfile", authority, "-CRLfile", str(folder / "crl.pem")]
    verified = run([*verify, "-crl_check", f"{folder}/server.pem", f"{folder}/client.pem"])
    assert verified.returncode == 0, verified.stderr
    assert "certificate revoked" in run([*verify, "-crl_check", f"{folder}/revoked.pem"]).stderr
    server = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["registry.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


def test_it_tells_how_they_are_used(tmp_path: Path) -> None:
    told = certs(tmp_path).stdout
    assert f"xds serve --tls-certificate {tmp_path}/server.pem" in told
    assert f"curl --cacert {tmp_path}/authority.pem --cert {tmp_path}/client.pem" in told
    assert "https://localhost:8080" in told


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    certs(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")}
    assert modes == dict.fromkeys(
        ("authority.key", "server.key", "client.key", "revoked.key"), 0o600
    )


def test_it_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "client.key").write_text("mine")
    result = certs(tmp_path)
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path} has client.key already; nothing is replaced\n"
    assert [path.name for path in tmp_path.iterdir()] == ["client.key"]


@pytest.mark.parametrize("arguments", [("--days", 0), ("--host", "exämple"), ("--host", "")])
def test_what_cannot_be_made_is_told(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    result = certs(tmp_path / "none", *arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "none").exists()
