"""`xds listen`: receive what servers send and show it, for trials without writing a receiver.

DSUB Notify (ITI-53) by SOAP, rest-hook notifications of FHIR subscriptions (ITI-112) with or
without content, and HL7 v2 messages by MLLP and HTTP. What is shown names patients, on the terminal
of whoever runs it.
"""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import click

from xds.commands.client.received_message import described_message
from xds.commands.terminal import human_size, printable
from xds.fhir.r4 import xml
from xds.fhir.r4.outcome import Refused
from xds.hl7v2.acknowledgement import Judgement, acknowledgements, rejection_of_noise
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.mllp import MllpLimits, Server
from xds.hl7v2.spooled import SpooledMessage
from xds.parsing import MalformedXML, parse
from xds.security.node import Node

_LARGEST: Final = 64 << 20
_WSNT: Final = "{http://docs.oasis-open.org/wsn/b-2}"
_RIM: Final = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
_WSA: Final = "{http://www.w3.org/2005/08/addressing}"
_OBJECTS: Final = ("ExtrinsicObject", "RegistryPackage", "ObjectRef")
_NOTHING: Final = "a notification without content"


@click.command("listen")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--mllp-port",
    type=click.IntRange(0, 65535),
    help="Receive HL7 v2 messages by MLLP at this port as well.",
)
@click.option(
    "--answer",
    metavar="STATUS",
    type=click.IntRange(200, 599),
    help="Answer with this HTTP status, such as 503 to see retries; else 202 or 200.",
)
@click.option(
    "--acknowledge",
    type=click.Choice(["AA", "AE", "AR"]),
    default="AA",
    show_default=True,
    help="Acknowledge HL7 v2 messages so.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many of them.")
@click.option("--raw", is_flag=True, help="Show the whole message as well.")
def command(
    host: str,
    port: int,
    mllp_port: int | None,
    answer: int | None,
    acknowledge: str,
    count: int | None,
    raw: bool,
) -> None:
    """Receive DSUB and FHIR notifications and HL7 v2 messages, and show what is in each.

    By HTTP they may come at any path. It is for trials: whoever reaches the port is answered,
    without TLS. Ctrl-C ends it.
    """
    try:
        server = _Sink((host, port), answer, acknowledge, count, raw=raw)
    except OSError as error:
        raise click.ClickException(f"{host}:{port}: {error.strerror}.") from None
    with server:
        click.echo(f"Listening at http://{host}:{server.server_address[1]}/", err=True)
        with _receiving(server, host, mllp_port):
            try:
                server.serve_forever(poll_interval=0.1)
            except KeyboardInterrupt:
                click.echo("", err=True)


@contextmanager
def _receiving(sink: "_Sink", host: str, port: int | None) -> Iterator[None]:
    """Receive messages by MLLP until the block ends, if there is a port for them."""
    if port is None:
        yield
        return
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise click.ClickException(f"{host}:{port}: {error.strerror}.") from None
    with listening:
        server = Server(listening, sink.message_came, MllpLimits(message_bytes=_LARGEST))
        thread = threading.Thread(target=server.serve)
        thread.start()
        click.echo(f"Listening at mllp://{host}:{listening.getsockname()[1]}", err=True)
        try:
            yield
        finally:
            server.stop()
            thread.join()


class _Sink(ThreadingHTTPServer):
    """The server, and how it is to answer."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        answer: int | None,
        acknowledge: str,
        left: int | None,
        *,
        raw: bool,
    ) -> None:
        super().__init__(address, _Handler)
        self.answer = answer
        self.acknowledge = acknowledge
        self.raw = raw
        self._left = left
        self._lock = threading.Lock()

    def show(self, heading: str, lines: list[str], body: bytes) -> None:
        """Show something that came."""
        text = [f"{datetime.now():%H:%M:%S} {printable(heading)}"]
        text += [f"    {printable(line)}" for line in lines]
        if self.raw and body:
            text.append(body.replace(b"\r", b"\n").decode("utf-8", "replace"))
        with self._lock:
            click.echo("\n".join(text))
            sys.stdout.flush()

    def counted(self) -> None:
        """End where enough has come."""
        with self._lock:
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    threading.Thread(target=self.shutdown).start()

    def message_came(self, source: SpooledMessage, _: Node) -> list[bytes]:
        """Show a message that came by MLLP, and return its acknowledgements."""
        answers = self.acknowledged(source, "MLLP")
        self.counted()
        return answers

    def acknowledged(self, source: SpooledMessage, door: str) -> list[bytes]:
        """Show a message, and return its acknowledgements."""
        try:
            message = Message.read(source)
        except Unreadable as error:
            self.show(f"{door} answered AR", [error.reason], b"")
            return [rejection_of_noise("1", source.skeleton, error.reason)]
        lines = list(described_message(message))
        self.show(f"{door} answered {self.acknowledge}", lines, b"".join(message.blocks()))
        return list(acknowledgements(message, Judgement.of(self.acknowledge), "1"))


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Sink
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        """Show what came, and answer."""
        body = self._body()
        if body is None:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return
        content_type = self.headers.get("Content-Type", "")
        if "hl7-v2" in content_type:
            self._acknowledge(body, content_type)
        else:
            status = self.server.answer or _usual(content_type)
            lines = list(described(content_type, body))
            shown = body.replace(b"\r\n", b"\n")
            self.server.show(f"{self._asked} answered {status}", lines, shown)
            self._answer(status)
        self.server.counted()

    def _acknowledge(self, body: bytes, content_type: str) -> None:
        """Show an HL7 v2 message, and answer with its acknowledgement."""
        with SpooledMessage.of(body) as source:
            answers = self.server.acknowledged(source, self._asked)
        status = self.server.answer or HTTPStatus.OK
        self._answer(status, b"".join(answers) if status == HTTPStatus.OK else b"", content_type)

    @property
    def _asked(self) -> str:
        return f"{self.command} {self.path}"

    do_PUT = do_POST  # classic rest-hooks with content are updates of the resource

    def _body(self) -> bytes | None:
        """Read the body; None where it is too large or of unknown length."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        whole = bytearray()
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            if len(whole) + size > _LARGEST:
                return None
            whole += self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(65536).strip():
            pass
        return bytes(whole)

    def _answer(self, status: int, content: bytes = b"", content_type: str = "") -> None:
        self.send_response(status)
        if content:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing more."""


def _usual(content_type: str) -> int:
    """Return the status that a recipient answers with: ITI-53 is one-way, ITI-112 is not."""
    return HTTPStatus.OK if "fhir" in content_type or not content_type else HTTPStatus.ACCEPTED


def described(content_type: str, body: bytes) -> Iterator[str]:
    """Yield lines that say what a notification holds."""
    try:
        if not body.strip():
            yield _NOTHING
        elif "json" in content_type:
            yield from _resource(json.loads(body))
        elif "fhir+xml" in content_type:
            yield from _resource(xml.read(body)[0])
        elif "xml" in content_type:
            yield from _notify(body)
        else:
            yield f"{content_type or 'no content type'}, {human_size(len(body))}"
    except (ValueError, MalformedXML, Refused) as error:
        yield f"cannot be read as {content_type}: {error}"


def _notify(body: bytes) -> Iterator[str]:
    root = parse(body)
    messages = list(root.iter(f"{_WSNT}NotificationMessage"))
    yield f"DSUB Notify, {len(messages)} notification message{'' if len(messages) == 1 else 's'}"
    for message in messages:
        topic = (message.findtext(f"{_WSNT}Topic") or "no topic").strip()
        address = message.findtext(f"{_WSNT}SubscriptionReference/{_WSA}Address") or "not named"
        yield f"{topic} of subscription {address}"
        if message.find(f"{_WSNT}Message/{_WSNT}Unsubscribe") is not None:
            yield "  the subscription has ended"
        for name in _OBJECTS:
            for one in message.iter(f"{_RIM}{name}"):
                yield f"  {name} {one.get('id')}{_details(one)}"


def _details(one: Any) -> str:
    """Return title, patient id and uniqueId of an object of ebRIM."""
    title = one.find(f"{_RIM}Name/{_RIM}LocalizedString")
    found = [] if title is None else [f"title {title.get('value')}"]
    for identifier in one.findall(f"{_RIM}ExternalIdentifier"):
        name = identifier.find(f"{_RIM}Name/{_RIM}LocalizedString")
        if name is not None:
            found.append(f"{str(name.get('value')).partition('.')[2]} {identifier.get('value')}")
    return "".join(f", {one}" for one in found)


def _resource(resource: Any) -> Iterator[str]:
    if not isinstance(resource, dict):
        raise ValueError("no resource")
    entries = [one.get("resource") or {} for one in resource.get("entry") or ()]
    status = entries[0] if entries else {}
    if status.get("resourceType") not in ("Parameters", "SubscriptionStatus"):
        yield _named(resource)
        return
    told = _parameters(status)
    yield f"FHIR {told.get('type', 'notification')}, status {told.get('status', 'not told')}"
    yield f"subscription {told.get('subscription', 'not named')}"
    for event in told.get("events", ()):
        focus = event.get("focus", "nothing named")
        yield f"event {event.get('event-number')} at {event.get('timestamp', '?')}: {focus}"
    for entry in entries[1:]:
        yield f"  {_named(entry)}"


def _parameters(status: Any) -> dict[str, Any]:
    """Return what a subscription's status says (backport R4: Parameters), by name."""
    told: dict[str, Any] = {"events": []}
    for parameter in status.get("parameter") or ():
        if parameter.get("name") == "notification-event":
            told["events"].append({p.get("name"): _value(p) for p in parameter.get("part") or ()})
        else:
            told[parameter.get("name")] = _value(parameter)
    return told


def _value(parameter: Any) -> str:
    for name, value in parameter.items():
        if name.startswith("value"):
            return str(value.get("reference") if isinstance(value, dict) else value)
    return ""


def _named(resource: Any) -> str:
    kind, key = resource.get("resourceType", "no resource"), resource.get("id")
    description = resource.get("description") or resource.get("title")
    described_as = f": {description}" if description else ""
    return f"{kind}/{key}{described_as}" if key else f"{kind}{described_as}"
