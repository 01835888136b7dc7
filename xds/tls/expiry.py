"""When certificates and revocation lists run out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from xds.tls.material import Material, certificates
from xds.tls.options import TlsOptions


@dataclass(frozen=True, slots=True)
class Expiry:
    """The first of what an option's file holds to run out."""

    option: str
    at: datetime
    notice: timedelta
    """How long before that somebody should be told."""

    def is_near(self, now: datetime) -> bool:
        """Whether it is time to tell."""
        return now >= self.at - self.notice


_CERTIFICATES = timedelta(days=30)
_LISTS = timedelta(hours=12)
"""Revocation lists are issued anew every few days at most."""


def expiries(material: Material, outgoing: Sequence[x509.Certificate] = ()) -> Iterator[Expiry]:
    """Give when each file runs out."""
    for option, found in (
        ("tls_certificate", material.chain),
        ("tls_trust", material.trust),
        ("tls_outgoing_certificate", outgoing),
    ):
        if found:
            yield Expiry(option, min(one.not_valid_after_utc for one in found), _CERTIFICATES)
    updates = [one.next_update_utc for one in material.revocations if one.next_update_utc]
    if updates:
        yield Expiry("tls_crl", min(updates), _LISTS)


def of_files(options: TlsOptions) -> Iterator[Expiry]:
    """Give when the certificates in the files of the options run out; BadMaterial."""
    for option in ("tls_certificate", "tls_trust", "tls_outgoing_certificate"):
        if path := getattr(options, option, None):
            found = certificates(option, path)
            yield Expiry(option, min(one.not_valid_after_utc for one in found), _CERTIFICATES)


def now() -> datetime:
    """Return the time that expiries are compared with."""
    return datetime.now(UTC)
