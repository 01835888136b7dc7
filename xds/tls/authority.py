"""An authority of one's own, for trials and tests: it issues certificates and revokes them.

Keys are of the curve P-256, signatures ECDSA with SHA-256, as RFC 9325 would have it.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LEEWAY: Final = timedelta(minutes=5)
"""For clocks that are behind."""
_BOTH_ENDS: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate, which is signed with its own key, and what it issues."""

    own: Issued
    days: int

    @classmethod
    def make(
        cls, name: str, days: int, *, below: int | None = 0, issuer: "Authority | None" = None
    ) -> Self:
        """Make an authority; what it issues is good for as many days as itself.

        ``below`` is how many authorities may follow below it, None for a node of its own, which
        issues nothing. Without an ``issuer`` it signs its own certificate.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        until = datetime.now(UTC) + timedelta(days=days)
        upper, signing = (issuer.own.certificate.subject, issuer.own.key) if issuer else (None, key)
        is_authority = below is not None
        builder = _builder(_name(name), upper or _name(name), key.public_key(), until)
        builder = builder.add_extension(x509.BasicConstraints(is_authority, below), critical=True)
        builder = builder.add_extension(_usage(of_authority=is_authority), critical=True)
        return cls(Issued(builder.sign(signing, SHA256()), key), days)

    @classmethod
    def read(cls, certificate: bytes, key: bytes, days: int) -> Self:
        """Take up one that was made earlier, of its PEM."""
        found = load_pem_private_key(key, None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return cls(Issued(x509.load_pem_x509_certificate(certificate), found), days)

    def issue(
        self, name: str, hosts: Sequence[str] = (), *, until: datetime | None = None
    ) -> Issued:
        """Issue a certificate for a node, which as a server is reached by these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.own.certificate
        until = until or issuer.not_valid_after_utc
        builder = _builder(_name(name), issuer.subject, key.public_key(), until)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_usage(of_authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(_BOTH_ENDS), critical=False)
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.key.public_key())
        builder = builder.add_extension(by, critical=False)
        if hosts:
            names = x509.SubjectAlternativeName(map(_host, hosts))
            builder = builder.add_extension(names, critical=False)
        return Issued(builder.sign(self.own.key, SHA256()), key)

    def revocations(self, revoked: Iterable[x509.Certificate]) -> bytes:
        """Return the list of what is revoked, in PEM."""
        now = datetime.now(UTC) - _LEEWAY
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.own.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=self.days))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.key.public_key()),
                critical=False,
            )
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().revocation_date(now)
            serial = one.serial_number
            builder = builder.add_revoked_certificate(entry.serial_number(serial).build())
        return builder.sign(self.own.key, SHA256()).public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    since = min(datetime.now(UTC), until - timedelta(days=1)) - _LEEWAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "xds test"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, of_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_authority,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
