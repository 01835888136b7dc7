"""The node at the other end of a connection (ITI TF-2 3.19)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

from xds.security.texts import require_text

ENVIRONMENT: Final = "xds.node"
"""Where the environment of a request has its node; see :mod:`xds.security.proxies`."""

_KEPT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A system that a request comes from, as far as the connection shows who it is."""

    address: str = ""
    """The IP address; empty where it is not known."""
    certificate_subject: str | None = None
    """The subject of the certificate that it has proved to own (RFC 4514), if it has."""
    certificate: bytes | None = None
    """That certificate, DER, where it is known."""

    @classmethod
    def of_certificate(cls, address: str, certificate: bytes) -> Self:
        """Return the node that has proved to own a certificate (DER).

        ValueError if it is none, or its subject is a text that cannot be kept.
        """
        return cls(
            address=address,
            certificate_subject=_subject(certificate),
            certificate=certificate,
        )

    @property
    def names(self) -> frozenset[str]:
        """What its certificate calls it; nothing where it has shown none.

        The subject, each part of it (``CN=engine``), and each subjectAltName by its kind:
        ``DNS:``, ``URI:``, ``IP:`` or ``EMAIL:``. Of a certificate that is not known here, the
        subject alone.
        """
        if self.certificate is not None:
            return _names(self.certificate)
        return frozenset(filter(None, [self.certificate_subject]))


NOWHERE: Final = Node()
"""A node of which nothing is known."""


def of_environment(environ: Mapping[str, Any]) -> Node:
    """Return the node that an HTTP request comes from."""
    node: Node | None = environ.get(ENVIRONMENT)
    return node or Node(address=environ.get("REMOTE_ADDR") or "")


@lru_cache(_KEPT)
def _subject(certificate: bytes) -> str:
    # here, as it takes its time, and most servers need none of it
    from cryptography import x509

    subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    require_text([subject])
    return subject


@lru_cache(_KEPT)
def _names(certificate: bytes) -> frozenset[str]:
    from cryptography import x509

    read = x509.load_der_x509_certificate(certificate)
    parts = (part.rfc4514_string() for part in read.subject.rdns)
    found = {read.subject.rfc4514_string(), *parts}
    try:
        extension = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset(found)
    kinds: dict[type[x509.GeneralName], str] = {
        x509.DNSName: "DNS",
        x509.UniformResourceIdentifier: "URI",
        x509.IPAddress: "IP",
        x509.RFC822Name: "EMAIL",
    }
    for name in extension.value:
        if kind := kinds.get(type(name)):
            found.add(f"{kind}:{name.value}")
    return frozenset(found)
