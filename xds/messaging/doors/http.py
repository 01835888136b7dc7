"""HL7 v2 messages by HTTP: ``POST /hl7v2`` and ``/hl7v2/<feed>`` (HL7 over HTTP, HAPI's draft).

Whatever can be acknowledged is, with status 200; an error status never has an acknowledgement. A
message that may be taken later is answered with 503, so that senders without MSH-15 too try again.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from xds import logs
from xds.database.errors import DatabaseUnavailable
from xds.fhir.authorization import Authorization
from xds.fhir.r4.outcome import RETRY_AFTER_SECONDS, Refused
from xds.hl7v2.acknowledgement import Judgement
from xds.hl7v2.batch import batches_in
from xds.hl7v2.feed import EVENTS
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import LimitOf, SpooledMessage
from xds.hl7v2.wide_text import WideText
from xds.http.request_body import RequestBody
from xds.http.slow_clients import TooMany, TooSlow
from xds.messaging.doors.answering import Answering, MessageArrival
from xds.messaging.filing import DOCUMENT_EVENTS
from xds.security.caller import Caller
from xds.security.scopes import permissions

PATH: Final = "/hl7v2"
ER7: Final = "application/hl7-v2+er7"
_MEDIA_TYPES: Final = (
    ER7,
    "x-application/hl7-v2+er7",
    "text/plain",
    "text/hl7",
    "application/octet-stream",
    "application/x-www-form-urlencoded",  # what curl says where it is told nothing
    "",
)
_STATUS: Final[Mapping[int, str]] = {
    200: "200 OK",
    204: "204 No Content",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    405: "405 Method Not Allowed",
    408: "408 Request Timeout",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    503: "503 Service Unavailable",
}
_MOST_DRAINED: Final = 64 << 20
_NEEDED: Final = permissions(DocumentReference="c")
_ALL: Final = sorted({row.name for row in DOCUMENT_EVENTS.values()})
_LATER: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}

_log = logs.get_logger(__name__)


class MessageEndpoint:
    """Answers the requests of one path, and of those below it; a WSGI application."""

    def __init__(
        self, answering: Answering, authorization: Authorization, limit: LimitOf, most: int
    ) -> None:
        self._answering = answering
        self._authorization = authorization
        self._limit = limit
        self.most = most
        """Bytes of a body."""

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        body = RequestBody(environ)
        try:
            status, headers, content = self._answer(environ, body)
        except Refused as refused:
            body.drain(_MOST_DRAINED)
            status, headers = refused.status, dict(refused.headers)
            content = "".join(f"{one.diagnostics}\n" for one in refused.issues).encode()
        except DatabaseUnavailable as error:
            _log.error("not available", exc_info=error)
            status, headers, content = 503, dict(_LATER), b"the database is not available\n"
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        if status != 204:
            headers["Content-Length"] = str(len(content))
        else:
            del headers["Content-Type"]
        start_response(_STATUS[status], list(headers.items()))
        return [content] if content else []

    def _answer(
        self, environ: Mapping[str, Any], body: RequestBody
    ) -> tuple[int, dict[str, str], bytes]:
        media_type, charset = _content_type(environ)
        self._require_acceptable(environ, body, media_type)
        with SpooledMessage(self._limit) as source:
            source.charset = charset
            text = WideText(source)
            _receive(body, text, self.most)
            if source.exceeded:
                raise Refused.because(413, "too-long", source.exceeded)
            if source.error:
                raise _later("the message could not be kept")
            caller = self._caller(environ, source)
            feed = environ["PATH_INFO"].removeprefix(PATH).strip("/")
            judged: list[Judgement | None] = []
            arrival = MessageArrival(door="http", caller=caller, feed=feed, judged=judged.append)
            answers = list(self._answering.answers(source, arrival))
        if judged == [None]:
            raise Refused.because(
                400, "structure", "the body is no HL7 v2 message: there is no MSH"
            )
        if len(judged) == 1 and judged[0] and judged[0].is_transient:
            raise _later("the message cannot be taken at the moment")
        content = text.answered(b"".join(answers))
        media_type = _answered(media_type, content, text.charset)
        return (200 if content else 204), {"Content-Type": media_type}, content

    def _require_acceptable(
        self, environ: Mapping[str, Any], body: RequestBody, media_type: str
    ) -> None:
        if environ["REQUEST_METHOD"] != "POST":
            told = "messages are sent by POST"
            refused = Refused.because(405, "not-supported", told)
            refused.headers["Allow"] = "POST"
            raise refused
        if media_type not in _MEDIA_TYPES or body.coding != "identity":
            told = f"a message is {ER7}, not compressed"
            raise Refused.because(415, "not-supported", told)
        if (body.declared or 0) > self.most:
            raise Refused.because(413, "too-long", f"a body has {self.most} bytes at most")
        if not self._authorization.may_be_known(environ, _ALL):
            self._authorization.access(environ, ", ".join(_ALL), _NEEDED)

    def _caller(self, environ: Mapping[str, Any], source: SpooledMessage) -> Caller:
        """Return who sends it; Refused unless the transactions of all messages may be theirs."""
        access = self._authorization.access(environ, ", ".join(_transactions(source)), _NEEDED)
        if access.checks:
            told = "a token of one patient does not send messages"
            raise Refused.because(403, "forbidden", told)
        return access.caller


def _transactions(source: SpooledMessage) -> list[str]:
    """Return the transactions of what came; all of messages, where it is of none."""
    found: set[str] = set()
    try:
        for batch in batches_in(source):
            for message in batch.messages:
                if isinstance(message, Message):
                    found |= _transaction(message.message_code, message.trigger_event)
    except Unreadable:
        return _ALL
    return sorted(found) or _ALL


def _transaction(code: str, trigger: str) -> set[str]:
    if row := DOCUMENT_EVENTS.get((code, trigger)):
        return {row.name}
    event = EVENTS.get((code, trigger))
    return {event.transaction} if event else set()


def _receive(body: RequestBody, text: WideText, most: int) -> None:
    try:
        while block := body.read_on():
            text.write(block)
            if body.count > most:
                raise Refused.because(413, "too-long", f"a body has {most} bytes at most")
    except TooSlow as error:
        raise Refused.because(408, "timeout", "the body came too slowly") from error
    except TooMany as error:
        raise _later("too many requests wait for their clients") from error
    except OSError as error:
        raise Refused.because(400, "incomplete", "the body ends before it is complete") from error
    if body.count < (body.declared or 0):
        raise Refused.because(400, "incomplete", "the body ends before it is complete")
    text.finish()


def _later(told: str) -> Refused:
    refused = Refused.because(503, "transient", f"{told}; try again later")
    refused.headers.update(_LATER)
    return refused


def _content_type(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return media type and charset of a request, both in lower case."""
    media_type, _, parameters = (environ.get("CONTENT_TYPE") or "").lower().partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return media_type.strip(), value.strip().strip('"')
    return media_type.strip(), ""


def _answered(media_type: str, content: bytes, charset: str) -> str:
    """Return the Content-Type of an answer: that of the request, where it is one of HL7."""
    answered = media_type if "hl7" in media_type or media_type == "text/plain" else ER7
    if charset:
        return f"{answered}; charset={charset}"
    try:
        content.decode()
    except UnicodeDecodeError:
        return answered
    return f"{answered}; charset=utf-8"
