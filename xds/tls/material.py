"""What TLS needs, read from the files that the options name, checked, and kept for the processes.

Files are replaced while a server runs, and not all at once. So processes do not read them: they
read a copy, in memory and for this user alone, that is made anew only when all files fit together.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtensionOID

from xds.tls.options import TlsOptions

T = TypeVar("T")

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
TRUST: Final = "trust.pem"

_KEY_KINDS: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class BadMaterial(Exception):
    """A file is not what its option says; the text names the option and the file."""


@dataclass(frozen=True, slots=True)
class Material:
    """The certificate of a server with its key, and what certificates of clients are judged by."""

    chain: Sequence[x509.Certificate]
    """The server's certificate first."""
    key: PrivateKeyTypes
    trust: Sequence[x509.Certificate] = ()
    revocations: Sequence[x509.CertificateRevocationList] = ()


def read(options: TlsOptions) -> Material:
    """Read all files for serving; BadMaterial where one is wrong or two do not fit together."""
    if options.tls_certificate is None:
        raise BadMaterial("tls_certificate is unset")
    chain = certificates("tls_certificate", options.tls_certificate)
    key = _key(options)
    if _public(key.public_key()) != _public(chain[0].public_key()):
        raise BadMaterial(
            f"tls_key: the key is not that of the first certificate in {options.tls_certificate}"
        )
    trust = certificates("tls_trust", options.tls_trust) if options.tls_trust else ()
    lists = _revocations(options.tls_crl, trust) if options.tls_crl else ()
    return Material(chain, key, trust, lists)


def certificates(option: str, path: Path) -> Sequence[x509.Certificate]:
    """Read the certificates of a file, at least one."""
    return _all(option, path, "CERTIFICATE", "certificate", x509.load_pem_x509_certificate)


def _revocations(
    path: Path, trust: Sequence[x509.Certificate]
) -> Sequence[x509.CertificateRevocationList]:
    found = _all("tls_crl", path, "X509 CRL", "revocation list", x509.load_pem_x509_crl)
    for one in found:
        issuers = [authority for authority in trust if authority.subject == one.issuer]
        if not any(_has_signed(issuer, one) for issuer in issuers):
            raise BadMaterial(
                f"tls_crl: no authority of tls_trust has signed the list of "
                f"{one.issuer.rfc4514_string()} in {path}"
            )
        kinds = {extension.oid for extension in one.extensions}
        if not kinds or ExtensionOID.DELTA_CRL_INDICATOR in kinds:
            # Granian would fail on it, and with it every worker
            raise BadMaterial(
                f"tls_crl: a list in {path} is no complete one of RFC 5280: it has no CRL number, "
                "or only tells what has changed"
            )
    return found


def _has_signed(issuer: x509.Certificate, revocations: x509.CertificateRevocationList) -> bool:
    try:
        return revocations.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _all(option: str, path: Path, label: str, name: str, load: Callable[[bytes], T]) -> Sequence[T]:
    text = _read(option, path)
    blocks = [found[0] for found in _BLOCK.finditer(text) if found[1].decode() == label]
    if not blocks:
        raise BadMaterial(f"{option}: there is no {name} (PEM) in {path}")
    try:
        return [load(block) for block in blocks]
    except (ValueError, UnsupportedAlgorithm):
        raise BadMaterial(f"{option}: a {name} in {path} cannot be read") from None


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadMaterial(f"{option}: {path} cannot be read: {error.strerror}") from None


def _key(options: TlsOptions) -> PrivateKeyTypes:
    option, path = "tls_key", options.tls_key
    if path is None:
        option, path = "tls_certificate", options.tls_certificate or Path()
    text = _read(option, path)
    blocks = [found[0] for found in _BLOCK.finditer(text) if found[1].endswith(b"PRIVATE KEY")]
    if not blocks:
        raise BadMaterial(f"{option}: there is no key (PEM) in {path}")
    password = options.tls_key_password
    is_encrypted = b"ENCRYPTED" in blocks[0]
    if is_encrypted and not password:
        raise BadMaterial(f"{option}: the key in {path} needs its tls_key_password")
    try:
        secret = password.encode() if password and is_encrypted else None
        key = load_pem_private_key(blocks[0], secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "; is the tls_key_password right?" if is_encrypted else ""
        raise BadMaterial(f"{option}: the key in {path} cannot be read{reason}") from None
    if not isinstance(key, _KEY_KINDS):
        raise BadMaterial(f"{option}: the key in {path} is of no kind for TLS: RSA, EC or Ed25519")
    return key


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Copies:
    """Copies of what was read last, in a folder that only this user can read.

    A key that lay encrypted is not so in its copy: Granian reads no encrypted key (2.8.7 fails on
    whatever OpenSSL writes).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.current = folder
        """The folder of the newest copy; it stays while the one after it is the newest."""

    def take(self, material: Material) -> Path:
        """Copy, and return the folder of the copy."""
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir(0o700)
        (folder / CERTIFICATE).write_bytes(_pem(material.chain))
        (folder / KEY).touch(0o600)
        (folder / KEY).write_bytes(
            material.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        if material.trust:
            (folder / TRUST).write_bytes(_pem(material.trust))
        for number, one in enumerate(material.revocations):
            (folder / f"crl-{number}.pem").write_bytes(one.public_bytes(Encoding.PEM))
        shutil.rmtree(self._folder / str(self._number - 2), ignore_errors=True)
        self.current = folder
        return folder


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
