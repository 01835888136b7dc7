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
