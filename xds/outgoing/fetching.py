"""Documents that a request only points at, fetched from where the options allow (2:3.65.4.1.3).

A server that fetches whatever URL it is given lends its place in the network to anyone. So a URL is
fetched only where it lies below one of ``fhir_fetch_from``, a redirection only to such a URL again,
without any credentials, and within bounds of size and time.
"""

import http.client
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from xds import tracing
from xds.url_allowlist import Target, admitted

_BLOCK: Final = 256 * 1024
_CONNECT_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 20.0
_ALL_SECONDS: Final = 120.0
_MOST_HOPS: Final = 3
_REDIRECTIONS: Final = frozenset({301, 302, 303, 307, 308})


class CannotFetch(Exception):
    """A document was not fetched; the text says why, and quotes nothing of the URL."""

    code = "not-found"


class NotAllowed(CannotFetch):
    """The URL lies outside of what may be fetched."""

    code = "forbidden"


class TooLarge(CannotFetch):
    """There is more behind the URL than may be taken in."""

    code = "too-long"


@dataclass(frozen=True, slots=True)
class Fetching:
    """What may be fetched, and how much at once."""

    allowed: Sequence[Target] = ()
    most: int = 64 << 20
    """The largest document, in bytes."""
    seconds: float = _ALL_SECONDS
    """How long it may take altogether."""
    tls: ssl.SSLContext | None = None
    """For https; without one, the authorities that the system trusts."""

    def admits(self, url: str) -> bool:
        """Whether a URL may be fetched at all."""
        return admitted(url, self.allowed) is not None

    def fetch(self, url: str, *, accept: str = "*/*") -> Iterator[bytes]:
        """Yield the bytes behind a URL; CannotFetch at any time ends it."""
        until = time.monotonic() + self.seconds
        for _ in range(_MOST_HOPS + 1):
            with closing(self._connection(self._target(url))) as connection:
                response = _asked(connection, self._target(url), accept)
                if response.status in _REDIRECTIONS:
                    url = urljoin(url, response.headers.get("Location", ""))
                    continue
                if response.status != http.client.OK:
                    raise CannotFetch(f"its server answers {response.status}")
                yield from self._content(response, until)
                return
        raise CannotFetch(f"its server redirects more than {_MOST_HOPS} times")

    def _target(self, url: str) -> Target:
        target = admitted(url, self.allowed)
        if target is None:
            raise NotAllowed("the URL does not lie below one of the option fhir_fetch_from")
        return target

    def _connection(self, target: Target) -> http.client.HTTPConnection:
        if target.scheme == "https":
            return http.client.HTTPSConnection(
                target.host,
                target.port,
                timeout=_CONNECT_SECONDS,
                context=self.tls,
            )
        return http.client.HTTPConnection(target.host, target.port, timeout=_CONNECT_SECONDS)

    def _content(self, response: http.client.HTTPResponse, until: float) -> Iterator[bytes]:
        stated, read = response.length, 0
        if stated is not None and stated > self.most:
            raise TooLarge(f"it has more than {self.most} bytes")
        while block := _block(response):
            read += len(block)
            if read > self.most:
                raise TooLarge(f"it has more than {self.most} bytes")
            if time.monotonic() > until:
                raise CannotFetch("its server takes too long")
            yield block
        if stated is not None and read < stated:
            raise CannotFetch("its server broke off")


def _asked(
    connection: http.client.HTTPConnection, target: Target, accept: str
) -> http.client.HTTPResponse:
    try:
        connection.connect()
        connection.sock.settimeout(_SILENCE_SECONDS)
        headers = {"Accept": accept, "Accept-Encoding": "identity", "Connection": "close"}
        if trace := tracing.passed_on():
            headers[tracing.HEADER] = trace
        connection.request("GET", target.resource, headers=headers)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise CannotFetch(f"its server does not answer ({type(error).__name__})") from error


def _block(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise CannotFetch(f"its server broke off ({type(error).__name__})") from error
