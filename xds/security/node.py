"""The node at the other end of a connection (ITI TF-2 3.19)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A system that a request comes from, as far as the connection shows who it is."""

    address: str = ""
    """The IP address; empty where it is not known."""
    certificate_subject: str | None = None
    """The subject of the certificate that it has proved to own (RFC 4514), if it has."""
    certificate: bytes | None = None
    """That certificate, DER, where it is known."""


NOWHERE: Final = Node()
"""A node of which nothing is known."""


def of_environment(environ: Mapping[str, Any]) -> Node:
    """Return the node that an HTTP request comes from."""
    return Node(address=environ.get("REMOTE_ADDR") or "")
