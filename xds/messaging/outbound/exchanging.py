"""A message and its answer on the wire: by MLLP, MLLPS or HTTP."""

import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from xds.hl7v2.mllp_client import MllpAddress, MllpConnection, NoAnswer
from xds.messaging.outbound.answers import AnswerVerdict, JudgedAnswer
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.syntax import HL7V2, MessageSyntax
from xds.outgoing.delivery import NotDelivered, Undeliverable
from xds.outgoing.errors import TransportFailed
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse, Settings

_MOST_OF_ANSWER: Final = 256 * 1024
_STRAY_ANSWERS: Final = 2
"""Answers to other messages that are read before a connection is given up."""
_TIMES: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Statuses below 500 that say nothing of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOnTheWire:
    """A message that is made."""

    id: str
    """MSH-10."""
    lane: str
    """Messages of a lane go out one at a time, on one connection."""
    blocks: Iterable[bytes]
    """From the beginning each time that they are iterated."""
    syntax: MessageSyntax = HL7V2
    is_answered: bool = True
    """Whether the receiver acknowledges it; else it is delivered once it is sent."""


@dataclass(slots=True)
class DestinationWire:
    """Exchanges messages with destinations, on connections that are kept; for many threads."""

    tls: ssl.SSLContext | None
    _connections: dict[str, MllpConnection] = field(default_factory=dict)
    _endpoints: dict[str, HttpEndpoint] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def exchange(self, destination: Destination, message: MessageOnTheWire) -> JudgedAnswer:
        """Send a message once and return its answer; NotDelivered, Undeliverable."""
        if urlsplit(destination.address).scheme in ("http", "https"):
            return self._post(destination, message)
        connection = self._connection(destination, message.lane)
        try:
            connection.send(message.blocks)
            if message.is_answered:
                answer = _answer(connection, destination, message)
            else:
                answer = JudgedAnswer(AnswerVerdict.DELIVERED)
            is_kept = answer.verdict is not AnswerVerdict.NOT_OURS
        except (NoAnswer, OSError) as error:
            connection.close()
            reason = str(error) if isinstance(error, NoAnswer) else type(error).__name__
            raise NotDelivered(reason) from error
        except BaseException:
            connection.close()  # a message cut short is no message
            raise
        if is_kept:
            with self._lock:
                self._connections[message.lane] = connection
        else:
            connection.close()
        return answer

    def _connection(self, destination: Destination, lane: str) -> MllpConnection:
        """Return the kept connection of a lane, or a new one."""
        with self._lock:
            kept = self._connections.pop(lane, None)
        if kept is not None:
            if kept.is_open:
                return kept
            kept.close()
        try:
            return MllpConnection(
                MllpAddress.parse(destination.address),
                self.tls,
                answer_seconds=destination.answer_seconds,
            )
        except OSError as error:
            raise NotDelivered(type(error).__name__) from error

    def _post(self, destination: Destination, message: MessageOnTheWire) -> JudgedAnswer:
        """Send a message by HTTP: what its answer says counts, else its status."""
        request = HttpRequest(
            content_type=message.syntax.content_type,
            length=None,
            blocks=message.blocks,
            repeatable=True,
        )
        try:
            with self._endpoint(destination).post(request) as response:
                status, later = response.status, response.retry_after
                content = _bounded(response)
        except TransportFailed as error:
            raise NotDelivered(type(error.__cause__ or error).__name__) from error
        is_taken = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        if is_taken and not message.is_answered:
            return JudgedAnswer(AnswerVerdict.DELIVERED)
        answer = message.syntax.judged(content, message.id, destination.reading)
        is_answered = answer.verdict is not AnswerVerdict.NOT_OURS
        if is_answered or is_taken:
            return replace(answer, retry_after=later)
        is_of_message = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if is_of_message and status not in _TIMES:
            raise Undeliverable(str(status))
        raise NotDelivered(str(status), retry_after=later)

    def _endpoint(self, destination: Destination) -> HttpEndpoint:
        with self._lock:
            found = self._endpoints.get(destination.name)
            if found is None:
                settings = Settings(timeout=destination.answer_seconds, tls=self.tls)
                found = HttpEndpoint(destination.address, settings)
                self._endpoints[destination.name] = found
            return found

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
            for endpoint in self._endpoints.values():
                endpoint.close()


def _answer(
    connection: MllpConnection, destination: Destination, message: MessageOnTheWire
) -> JudgedAnswer:
    """Read the answer; where an application acknowledgement was asked for, that one too."""
    form, answer = destination.form, JudgedAnswer(AnswerVerdict.NOT_OURS)
    for _ in range(1 + _STRAY_ANSWERS):
        answer = message.syntax.judged(connection.receive(), message.id, destination.reading)
        is_ours = answer.verdict is not AnswerVerdict.NOT_OURS
        if is_ours and not (answer.code == "CA" and form.application_acknowledgement == "AL"):
            break
    return answer


def _bounded(answer: HttpResponse) -> bytes:
    """Read an answer; nothing of one that goes on and on, which is no acknowledgement."""
    content = b""
    while block := answer.read():
        content += block
        if len(content) > _MOST_OF_ANSWER:
            return b""
    return content
