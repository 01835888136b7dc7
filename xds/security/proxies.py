"""Proxies that end TLS in front of this server, and tell it by headers which node is asking.

A header can be sent by anyone, so all of them are forgotten but those of a trusted proxy. The
names of the two that matter have no ``-`` and no ``_`` (xds.tls.options refuses others): WSGI makes
both the same, and the server in front of it keeps the last that came, so that a client could send
the other spelling through a proxy that only replaces its own.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from xds.security.node import ENVIRONMENT, Node

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TOLD: Final = "xds.told"
"""Where the environment of a request has what a trusted proxy tells of a person, by header."""

_FORWARDED: Final = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_")
_ARMOUR: Final = re.compile(rb"-----(?:BEGIN|END) CERTIFICATE-----")
_KEPT: Final = 1024
_TEXT: Final = b"The proxy in front of this server tells who asks in a form that cannot be read.\n"


class UnreadableForwarding(ValueError):
    """A trusted proxy has told of a node in a form that cannot be read."""


class Proxies:
    """Tells which node a request comes from, and takes out of it what only a proxy may say."""

    def __init__(
        self,
        trusted: Sequence[Network],
        certificate_header: str,
        address_header: str,
        person_headers: Sequence[str] = (),
    ) -> None:
        self._trusted = trusted
        self._certificate = f"HTTP_{certificate_header.upper()}"
        self._address = f"HTTP_{address_header.upper()}"
        self._person = {name: f"HTTP_{name.upper()}" for name in person_headers}

    def resolve(self, environ: dict[str, Any]) -> None:
        """Put the node into the environment of a request; Unreadable where a proxy misleads."""
        certificate = environ.pop(self._certificate, "")
        address = environ.pop(self._address, "")
        told = {name: environ.pop(key, "") for name, key in self._person.items()}
        if not self._trusted:
            environ[ENVIRONMENT] = _peer(environ.get("REMOTE_ADDR") or "")
            return
        peer = _address(environ.get("REMOTE_ADDR") or "")
        if peer is None or not any(peer in network for network in self._trusted):
            for name in [name for name in environ if name.startswith(_FORWARDED)]:
                del environ[name]
            environ[ENVIRONMENT] = Node(address=str(peer or ""))
        else:
            environ[ENVIRONMENT] = _node(certificate, address or str(peer))
            environ[TOLD] = told


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # a socket that takes both kinds shows the older one inside the newer
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(_KEPT)
def _peer(address: str) -> Node:
    return Node(address=str(_address(address) or ""))


@lru_cache(_KEPT)
def _node(certificate: str, address: str) -> Node:
    known = _address(address)
    if known is None:
        raise UnreadableForwarding("the address is none")
    if not certificate:
        return Node(address=str(known))
    return Node.of_certificate(str(known), _der(certificate))


def _der(text: str) -> bytes:
    """Read base64 of DER, as in RFC 9440 between colons, or PEM, as it is or percent-encoded."""
    data = unquote_to_bytes(text) if "%" in text else text.encode("latin-1")
    data = b"".join(_ARMOUR.sub(b"", data).split())
    if data.startswith(b":") and data.endswith(b":"):
        data = data[1:-1]
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise UnreadableForwarding("the certificate is not in base64") from None


def told_of_person(environ: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what a trusted proxy tells of the person who asks, by header; nothing of others."""
    told: Mapping[str, str] = environ.get(TOLD) or {}
    return told


class KnownNodes:
    """An application that finds out which node asks, before anything else is made of a request."""

    def __init__(self, application: WSGIApplication, proxies: Proxies) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request; 400 where a trusted proxy misleads."""
        try:
            self._proxies.resolve(environ)
        except ValueError:
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(_TEXT)))]
            start_response("400 Bad Request", [*headers, ("Connection", "close")])
            return [_TEXT]
        return self._application(environ, start_response)
