"""Certificates for tests: those that `xds certs` makes, and some that are to be refused."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.waiting import PATIENCE
from xds.commands import certs
from xds.tls.authority import Authority, Issued


@dataclass(frozen=True, slots=True)
class Files:
    """A folder of `xds certs`, with certificates that an authority of it or another has issued."""

    folder: Path

    @property
    def authority(self) -> str:
        """The file of the authority."""
        return str(self.folder / "authority.pem")

    @property
    def crl(self) -> str:
        """The file of the revocation list."""
        return str(self.folder / "crl.pem")

    def options(self, client_certificates: str = "required", **more: str) -> dict[str, str]:
        """Give the options of a server that shows, and demands, certificates of this folder."""
        certificate = {
            "tls_certificate": str(self.folder / "server.pem"),
            "tls_key": str(self.folder / "server.key"),
            "tls_client_certificates": client_certificates,
        }
        trust = {"tls_trust": self.authority, "tls_crl": self.crl}
        return {**certificate, **(trust if client_certificates != "none" else {}), **more}

    def arguments(self, name: str | None) -> list[str]:
        """Give curl's and openssl's arguments to show a certificate, or none."""
        if name is None:
            return []
        return ["-cert", f"{self.folder}/{name}.pem", "-key", f"{self.folder}/{name}.key"]

    def write(self, name: str, issued: Issued) -> None:
        """Keep what an authority has issued."""
        (self.folder / f"{name}.pem").write_bytes(issued.certificate_pem)
        (self.folder / f"{name}.key").write_bytes(issued.key_pem)


def make(folder: Path) -> Files:
    """Make certificates as a person would, and some that nobody should accept."""
    done = CliRunner().invoke(certs.command, [str(folder)])
    assert done.exit_code == 0, done.output
    files = Files(folder)
    foreign = Authority.make("another authority", 30)
    files.write("foreign", foreign.issue("client"))
    files.write("expired", _authority(folder).issue("client", until=_yesterday()))
    (folder / "bare.crl").write_bytes(_bare_list(_authority(folder)))
    return files


def chain(files: Files) -> None:
    """Add an authority below another, and what it issues and revokes."""
    upper = Authority.make("upper authority", 30, below=1)
    lower = Authority.make("lower authority", 30, issuer=upper)
    client, revoked = lower.issue("client"), lower.issue("revoked client")
    for name, issued in (("below", client), ("below-revoked", revoked)):
        files.write(name, issued)
    trusted = upper.own.certificate_pem + lower.own.certificate_pem
    (files.folder / "chain.pem").write_bytes(trusted)
    lists = upper.revocations([]) + lower.revocations([revoked.certificate])
    (files.folder / "both.crl").write_bytes(lists)


def sign_itself(files: Files, name: str) -> None:
    """Make a certificate of a node that no authority has issued."""
    files.write(name, Authority.make(name, 30, below=None).own)


def renewed(files: Files, name: str = "server", *, days: int = 60) -> None:
    """Put a newer certificate of the same authority in the place of one."""
    until = datetime.now(UTC) + timedelta(days=days)
    hosts = ("localhost", "127.0.0.1")
    files.write(name, _authority(files.folder).issue(f"renewed {name}", hosts, until=until))


def revoked(files: Files, name: str) -> None:
    """Have the authority revoke a certificate."""
    certificate = x509.load_pem_x509_certificate((files.folder / f"{name}.pem").read_bytes())
    Path(files.crl).write_bytes(_authority(files.folder).revocations([certificate]))


def _authority(folder: Path) -> Authority:
    certificate, key = (folder / f"authority.{end}" for end in ("pem", "key"))
    return Authority.read(certificate.read_bytes(), key.read_bytes(), 30)


def _bare_list(authority: Authority) -> bytes:
    """Make a revocation list without a number, as some old programs write it."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().last_update(now)
    builder = builder.issuer_name(authority.own.certificate.subject)
    signed = builder.next_update(now + timedelta(days=1)).sign(authority.own.key, SHA256())
    return signed.public_bytes(Encoding.PEM)


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def curl(files: Files, url: str, name: str | None, *more: str) -> subprocess.CompletedProcess[str]:
    """Ask with curl, showing a certificate or none; its standard output ends with the status."""
    shown = [f"-{one}" if one.startswith("-") else one for one in files.arguments(name)]
    command = ["curl", "--silent", "--show-error", "--write-out", "%{http_code}"]
    return run([*command, "--cacert", files.authority, *shown, *more, url])


def s_client(
    files: Files, port: int, name: str | None, *more: str, send: str = ""
) -> subprocess.CompletedProcess[str]:
    """Connect with `openssl s_client`, showing a certificate or none, and send something."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", files.authority]
    ending = "-ign_eof" if send else "-no_ign_eof"
    return run([*command, ending, *files.arguments(name), *more], send)


def run(command: list[str], send: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(command, input=send, capture_output=True, text=True, timeout=PATIENCE)
