"""URLs that a message asks the server to send to, and those that it may send to.

A URL out of a message is used only where it lies below one that the options name. Both are read
by one grammar that leaves no two ways of reading: what a careless HTTP stack might take for another
host or another path is no target at all. So is everything but plain http and https.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5})?)?"
    r"(?P<path>(?:/(?:[a-z0-9._~!$&'()*+,;=:@-]|%[0-9a-f]{2})*)*)"
    r"(?P<query>(?:\?(?:[a-z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-f]{2})*)?)",
    re.ASCII | re.IGNORECASE,
)
_PORTS: Final = {"http": 80, "https": 443}
_UNCLEAR: Final = re.compile(r"[\x00-\x1f\x7f\\]")


class BadTarget(ValueError):
    """The text is no URL to send to; the sentence says what such a URL is and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, every part in the one form in which it is compared."""

    url: str
    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]
    """The path, decoded."""
    resource: str
    """Path and query as they are sent in a request."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart; BadTarget for what is no http URL or could be read in two ways."""
        found = _URL.fullmatch(url)
        if found is None:
            raise BadTarget(
                "not a URL of the form http://host:port/path, in ASCII and without user name"
            )
        scheme = found["scheme"].lower()
        port = int(found["port"] or _PORTS[scheme])
        if not 0 < port < 65536:
            raise BadTarget("no such port")
        resource = (found["path"] or "/") + found["query"]
        return cls(url, scheme, _host(found["host"]), port, _segments(found["path"]), resource)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may stand in logs."""
        return f"{self.scheme}://{self._host}:{self.port}"

    @property
    def server(self) -> str:
        """The URL of its server: the port only where it is not that of the scheme."""
        has_usual_port = self.port == _PORTS[self.scheme]
        return f"{self.scheme}://{self._host}" if has_usual_port else self.origin

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine itself, as its host says."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def is_below(self, prefix: "Target") -> bool:
        """Whether this is the prefix itself or lies under it, by whole segments of the path."""
        same = (self.scheme, self.host, self.port) == (prefix.scheme, prefix.host, prefix.port)
        return same and self.segments[: len(prefix.segments)] == prefix.segments


def prefixes(text: str) -> tuple[Target, ...]:
    """Read the URLs of an option, separated by white space; BadTarget where one of them is none."""
    return tuple(_prefix(url) for url in text.split())


def admitted(url: str, allowed: Iterable[Target]) -> Target | None:
    """Return the target that a URL is if it lies below an allowed one, else nothing."""
    try:
        target = Target.parse(url)
    except BadTarget:
        return None
    return target if any(target.is_below(prefix) for prefix in allowed) else None


def _prefix(url: str) -> Target:
    if "?" in url:
        raise BadTarget("a URL below which others are allowed has no query")
    return Target.parse(url.rstrip("/"))


def _host(host: str) -> str:
    if not host.startswith("["):
        return host.lower()
    try:
        return str(ipaddress.IPv6Address(host[1:-1]))
    except ValueError:
        raise BadTarget("no such IPv6 address") from None


def _segments(path: str) -> tuple[str, ...]:
    """Decode a path, also what is encoded twice: its receiver might do so too."""
    decoded = path
    # Latin-1 keeps apart whatever bytes differ
    while (further := unquote(decoded, encoding="latin-1")) != decoded:
        decoded = further
    segments = tuple(decoded.split("/")[1:])
    dots = any(segment.partition(";")[0] in (".", "..") for segment in segments)
    if dots or decoded.count("/") != path.count("/") or _UNCLEAR.search(decoded):
        raise BadTarget("the path has segments of dots, or encoded separators")
    return segments


_SYSLOG_PORTS: Final = {"tls": 6514, "tcp": 601, "udp": 514}


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """Where an Audit Record Repository or a relay listens (RFC 5425, 6587, 5426)."""

    protocol: Literal["tls", "tcp", "udp"]
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``tls://host:port``, ``tcp://…`` or ``udp://…``; ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in _SYSLOG_PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("not of the form tls://host:port, tcp://host:port or udp://host:port")
        return cls(parts.scheme, parts.hostname, parts.port or _SYSLOG_PORTS[parts.scheme])  # type: ignore[arg-type]
