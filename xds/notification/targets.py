"""Where notifications may be sent.

A target lies below one of the URLs of an option (:mod:`xds.url_allowlist`), and plain http is as
good as https only where that URL says http. A host that the option names by its address is meant as
it is. Where it names one by name, the addresses to which the name resolves, each time that a
connection is made, must be public or lie in the networks of another option: so nobody who has a say
in a name's addresses can have this server connect to another host of the house.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xds.notification.model import TargetNotAllowed
from xds.url_allowlist import Target, admitted

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LONGEST_URL: Final = 2_000
_LONGEST_HEADER: Final = 8_000
_FORBIDDEN_HEADERS: Final = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "content-type"),
        *("keep-alive", "te", "trailer", "upgrade", "expect", "proxy-authorization"),
        *("proxy-connection", "content-encoding", "accept-encoding", "traceparent", "user-agent"),
    }
)
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class TargetRules:
    """The targets that the options allow."""

    prefixes: Sequence[Target] = ()
    networks: Sequence[Network] = ()
    """Where the addresses may lie of hosts that are named, besides public ones."""

    def admitted(self, url: str) -> Target:
        """Return the target that a URL is; TargetNotAllowed."""
        target = admitted(url, self.prefixes) if len(url) <= _LONGEST_URL else None
        if target is None:
            raise TargetNotAllowed("The server may not send notifications to that address.")
        return target

    def reaches(self, target: Target, address: str) -> bool:
        """Tell whether an address, to which the host of a target resolves, may be connected to."""
        found = _plain(ipaddress.ip_address(address.partition("%")[0]))
        named = _literal(target.host)
        if named is not None:
            return named == found
        if target.host == "localhost":
            return found.is_loopback
        if any(found in network for network in self.networks):
            return True
        return found.is_global and not found.is_multicast


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (RFC 4291 2.5.5, 3056, 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _literal(host: str) -> Address | None:
    try:
        return _plain(ipaddress.ip_address(host))
    except ValueError:
        return None


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise TargetNotAllowed for headers that a subscriber may not set (RFC 9110 5.1, 5.5)."""
    for name, value in headers.items():
        if not name or not _TOKEN.issuperset(name.lower()):
            raise TargetNotAllowed("The name of a header is none.")
        if name.lower() in _FORBIDDEN_HEADERS:
            raise TargetNotAllowed(f"The header {name} is set by the server alone.")
        is_plain = value.isascii() and value.isprintable() and value == value.strip()
        if not is_plain or len(value) > _LONGEST_HEADER:
            raise TargetNotAllowed(f"The value of the header {name} is none.")
