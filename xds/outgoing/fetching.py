"""What a request only points at, fetched from where the options allow (2:3.65.4.1.3).

A server that fetches whatever URL it is given lends its place in the network to anyone. So a URL is
fetched only where it lies below one that an option allows, a redirection only to such a URL again,
without any credentials, and within bounds of size and time.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

from xds.outgoing.errors import TransportFailed
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse, Settings
from xds.url_allowlist import Target, admitted

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
    option: str = "fhir_fetch_from"
    """That which says what is allowed."""

    def admits(self, url: str) -> bool:
        """Whether a URL may be fetched at all."""
        return admitted(url, self.allowed) is not None

    def fetch(self, url: str, *, accept: str = "*/*") -> Iterator[bytes]:
        """Yield the bytes behind a URL; CannotFetch at any time ends it."""
        until = time.monotonic() + self.seconds
        for _ in range(_MOST_HOPS + 1):
            with (
                closing(self._endpoint(self._target(url), until)) as endpoint,
                _asked(endpoint, accept, until) as answer,
            ):
                if answer.status in _REDIRECTIONS:
                    url = urljoin(url, answer.location or "")
                    continue
                if answer.status != HTTPStatus.OK:
                    raise CannotFetch(f"its server answers {answer.status}")
                yield from self._content(answer, until)
                return
        raise CannotFetch(f"its server redirects more than {_MOST_HOPS} times")

    def exchange(self, url: str, message: HttpRequest) -> tuple[int, bytes]:
        """Send one message to a URL, and return status and content of its answer; CannotFetch.

        Whatever it is: no redirection is followed.
        """
        until = time.monotonic() + self.seconds
        with (
            closing(self._endpoint(self._target(url), until)) as endpoint,
            _sent(endpoint, message, until) as answer,
        ):
            return answer.status, b"".join(self._content(answer, until))

    def _target(self, url: str) -> Target:
        target = admitted(url, self.allowed)
        if target is None:
            raise NotAllowed(f"the URL does not lie below one of the option {self.option}")
        return target

    def _endpoint(self, target: Target, until: float) -> HttpEndpoint:
        settings = Settings(
            timeout=_SILENCE_SECONDS,
            connect_timeout=_CONNECT_SECONDS,
            total=max(until - time.monotonic(), 0.0),
            tls=self.tls,
        )
        return HttpEndpoint(target.url, settings)

    def _content(self, answer: HttpResponse, until: float) -> Iterator[bytes]:
        read, stated = 0, answer.length or 0
        if stated > self.most:
            raise self._too_large()
        while block := _block(answer, until):
            read += len(block)
            if read > self.most:
                raise self._too_large()
            yield block

    def _too_large(self) -> TooLarge:
        return TooLarge(f"it has more than {self.most} bytes")


def _asked(endpoint: HttpEndpoint, accept: str, until: float) -> HttpResponse:
    request = HttpRequest(
        content_type="", length=0, blocks=(), headers={"Accept": accept}, method="GET"
    )
    return _sent(endpoint, request, until)


def _sent(endpoint: HttpEndpoint, message: HttpRequest, until: float) -> HttpResponse:
    try:
        return endpoint.post(message)
    except TransportFailed as error:
        raise _failure("its server does not answer", error, until) from error


def _block(answer: HttpResponse, until: float) -> bytes:
    try:
        return answer.read()
    except TransportFailed as error:
        raise _failure("its server broke off", error, until) from error


def _failure(what: str, error: TransportFailed, until: float) -> CannotFetch:
    if time.monotonic() > until:
        return CannotFetch("its server takes too long")
    return CannotFetch(f"{what} ({type(error.__cause__ or error).__name__})")
