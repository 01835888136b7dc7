"""Sending deliveries by HTTP POST, to where the options allow."""

import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Final

from xds.outgoing.delivery import Delivery, NotDelivered
from xds.outgoing.errors import TransportFailed
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse, Settings
from xds.url_allowlist import Target, admitted

CONTENT_TYPE: Final = "content_type"
"""The attribute of a delivery with the media type of its body."""

_CONNECT_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 60.0
_MOST_OF_ANSWER: Final = 64 * 1024
_MOST_ENDPOINTS: Final = 256
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Poster:
    """Posts to many URLs and keeps their connections; a status of 2xx says that it was taken.

    A redirection is not followed, no proxy is used, and of an answer no more than a part is read.
    """

    def __init__(
        self, settings: Settings, admits: Callable[[Target, str], bool] | None = None
    ) -> None:
        """``admits`` tells to which addresses of the host of a target it may connect.

        It is asked of one target of each server, whatever paths others have.
        """
        self._settings = settings
        self._admits = admits
        self._endpoints: OrderedDict[str, HttpEndpoint] = OrderedDict()
        self._lock = threading.Lock()

    def post(self, target: Target, message: HttpRequest) -> None:
        """Send a message once; NotDelivered where it was not taken."""
        try:
            with self._endpoint(target).post(_to(target, message)) as answer:
                status, later = answer.status, answer.retry_after
                with suppress(TransportFailed):  # the status says it all
                    _read(answer)
        except TransportFailed as error:
            # its text names the host; the kind of its cause says what happened
            raise NotDelivered(type(error.__cause__ or error).__name__) from error
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotDelivered(str(status), refused=status not in _BUSY, retry_after=later)

    def _endpoint(self, target: Target) -> HttpEndpoint:
        """Return the endpoint of a server, with its connections; the one used longest ago goes."""
        with self._lock:
            found = self._endpoints.pop(target.server, None) or self._new(target)
            self._endpoints[target.server] = found
            if len(self._endpoints) > _MOST_ENDPOINTS:
                _, oldest = self._endpoints.popitem(last=False)
                oldest.close()
            return found

    def _new(self, target: Target) -> HttpEndpoint:
        if self._admits is None:
            return HttpEndpoint(target.server, self._settings)
        return HttpEndpoint(
            target.server, replace(self._settings, admits=partial(self._admits, target))
        )

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            while self._endpoints:
                self._endpoints.popitem()[1].close()


class HttpSender:
    """Posts the body of a delivery to its address."""

    def __init__(self, allowed: Sequence[Target], tls: ssl.SSLContext | None = None) -> None:
        """``allowed`` are the URLs below which an address may lie; ``tls`` is for https."""
        self._allowed = allowed
        self._poster = Poster(
            Settings(timeout=_SILENCE_SECONDS, connect_timeout=_CONNECT_SECONDS, tls=tls)
        )

    def __call__(self, delivery: Delivery) -> None:
        """Send a delivery once; NotDelivered where it was not taken, Undeliverable without body."""
        target = admitted(delivery.address, self._allowed)
        if target is None:
            raise NotDelivered("the address is not allowed any more", refused=True)
        message = HttpRequest(
            content_type=delivery.attributes[CONTENT_TYPE],
            length=delivery.size,
            blocks=_Blocks(delivery),
            repeatable=True,
        )
        self._poster.post(target, message)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._poster.close()


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The body of a delivery, from its beginning each time that it is iterated."""

    delivery: Delivery

    def __iter__(self) -> Iterator[bytes]:
        return self.delivery.read()


def _to(target: Target, message: HttpRequest) -> HttpRequest:
    """Return a message with the whole path of its target: an endpoint is a server's."""
    path, mark, query = target.resource[1:].partition("?")
    if message.path:
        path = f"{path.rstrip('/')}/{message.path}" if path else message.path
    return replace(message, path=f"{path}{mark}{query}")


def _read(answer: HttpResponse) -> None:
    """Read an answer to its end, so that the connection is kept; not one that goes on and on."""
    left = _MOST_OF_ANSWER
    while left > 0 and (block := answer.read(min(left, _MOST_OF_ANSWER))):
        left -= len(block)
