"""`xds messages send`: messages from files to a server, and what it says of each."""

import glob
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

import click

from xds.commands.client.client_options import ENVIRONMENT
from xds.commands.terminal import printable
from xds.hl7v2.acknowledgement import ReceivedAcknowledgement
from xds.hl7v2.batch import batches_in
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.mllp_client import MllpAddress, MllpConnection, NoAnswer
from xds.hl7v2.spooled import SpooledMessage
from xds.outgoing.errors import TransportFailed
from xds.outgoing.transport import HttpEndpoint, HttpRequest, Settings, tls_context

LOCAL: Final = "mllp://127.0.0.1:2575"
_ER7: Final = "application/hl7-v2+er7"
_BLOCK: Final = 1 << 18
_MOST_BYTES: Final = 1 << 30
_MOST_OF_ANSWER: Final = 16 << 20
_TAKEN: Final = ("AA", "CA")
_REFUSED, _UNANSWERED = 1, 3
_FILE: Final = click.Path(exists=True, dir_okay=False)


class MessageConnection(Protocol):
    """One connection to a server of messages."""

    def ask(self, source: SpooledMessage) -> Iterator[bytes]:
        """Send what a file has, and yield the answers."""

    def close(self) -> None:
        """Close the connection."""


@click.command("send")
@click.option(
    "--to", "url", metavar="URL", default=LOCAL, show_default=True, envvar=f"{ENVIRONMENT}MESSAGES",
    show_envvar=True, help="mllp://host:port, mllps://host:port, or a URL such as .../hl7v2.",
)  # fmt: skip
@click.option("--ca", type=_FILE, help="PEM file of the authorities that servers are verified by.")
@click.option("--cert", type=_FILE, help="PEM file of the certificate to show to servers.")
@click.option("--key", type=_FILE, help="PEM file of its key, if it is not in the same file.")
@click.option("--token", type=_FILE, help="File of the bearer token to send by HTTP.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def command(
    url: str,
    ca: str | None,
    cert: str | None,
    key: str | None,
    token: str | None,
    timeout: float,
    files: Sequence[str],
) -> None:
    """Send the HL7 v2 messages in files, or of names with * and ?, over one connection.

    Ends with 0 where all were taken, 1 where one was refused, 3 where there was no answer.
    """
    paths = list(_paths(files))  # before anything is sent: a name may be wrong
    try:
        tls = tls_context(ca, cert, key) if ca or cert else None
        bearer = Path(token).read_text().strip() if token else ""
        with closing(_sender(url, tls, bearer, timeout)) as sender:
            results = [_sent(sender, path) for path in paths]
    except (NoAnswer, OSError, TransportFailed) as error:
        why = error.strerror if isinstance(error, OSError) else None
        click.echo(f"Error: {url}: {why or error}", err=True)
        raise SystemExit(_UNANSWERED) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not all(results):
        raise SystemExit(_REFUSED)


def _paths(files: Sequence[str]) -> Iterator[Path]:
    for name in files:
        found = [name] if Path(name).exists() else sorted(glob.glob(name))
        if not found:
            raise click.UsageError(f"{name}: there is no such file")
        yield from map(Path, found)


def _sender(url: str, tls: ssl.SSLContext | None, token: str, timeout: float) -> MessageConnection:
    if url.startswith(("http://", "https://")):
        return _ByHttp(HttpEndpoint(url, Settings(timeout=timeout, tls=tls)), token)
    return _ByMllp(MllpConnection(MllpAddress.parse(url), tls, answer_seconds=timeout))


def _sent(sender: MessageConnection, path: Path) -> bool:
    """Send a file, print what is said of it, and tell whether all of it was taken."""
    with SpooledMessage(_MOST_BYTES) as source, path.open("rb") as opened:
        while block := opened.read(_BLOCK):
            source.write(block)
        source.finish()
        if source.exceeded:
            raise click.ClickException(f"{path}: {source.exceeded}")
        count, is_taken = 0, True
        for answer in sender.ask(source):
            for one in _read(answer):
                count += 1
                is_taken &= one.code in _TAKEN
                click.echo(f"{path}: {_told(one)}")
                for problem in one.problems:
                    what = "warning" if problem.severity == "W" else "error"
                    told = f"  {what} {problem.code} {problem.verdict} at {problem.location}"
                    click.echo(printable(f"{told}: {problem.reason}"))
    if not count:
        click.echo(f"{path}: sent; no acknowledgement was asked for")
    return is_taken


def _told(one: ReceivedAcknowledgement) -> str:
    what = "taken" if one.code in _TAKEN else "refused"
    return printable(f"{one.code} {what}, message {one.control_id} {one.text}").rstrip()


def _read(answer: bytes) -> Iterator[ReceivedAcknowledgement]:
    """Yield the acknowledgements of an answer, which may be a batch."""
    try:
        for batch in batches_in(SpooledMessage.of(answer)):
            for message in batch.messages:
                if isinstance(message, Message):
                    yield ReceivedAcknowledgement.read(b"".join(message.blocks()))
    except Unreadable as error:
        raise NoAnswer(f"the answer is no acknowledgement: {error.reason}") from None


class _ByMllp:
    def __init__(self, connection: MllpConnection) -> None:
        self._connection = connection
        self.close = connection.close

    def ask(self, source: SpooledMessage) -> Iterator[bytes]:
        """Send each message in a frame, a batch in one, and wait for what it asks for."""
        for blocks, awaited in _frames(source):
            self._connection.send(blocks)
            for _ in range(awaited):
                yield self._connection.receive()


def _frames(source: SpooledMessage) -> Iterator[tuple[Iterator[bytes], int]]:
    """Yield the content of each frame, and how many answers it has; as it is where unreadable."""
    try:
        batches = list(batches_in(source))
    except Unreadable:
        batches = []
    if not batches or any(batch.header for batch in batches):
        yield source.blocks(), max(len(batches), 1)
        return
    for batch in batches:
        for message in batch.messages:
            if isinstance(message, Message):
                yield message.blocks(), _awaited(message)


def _awaited(message: Message) -> int:
    """Return how many acknowledgements a message asks for, which conditions may make fewer."""
    asked = [message.header.value(number).upper() for number in (15, 16)]
    if not any(asked):
        return 1
    return sum(one == "AL" for one in asked)


class _ByHttp:
    def __init__(self, endpoint: HttpEndpoint, token: str) -> None:
        self._endpoint = endpoint
        self.close = endpoint.close
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, source: SpooledMessage) -> Iterator[bytes]:
        """Send a file in one request."""
        request = HttpRequest(
            content_type=_ER7, length=source.size, blocks=source.blocks(), headers=self._headers
        )
        with self._endpoint.post(request) as response:
            answer = bytearray()
            while (block := response.read()) and len(answer) < _MOST_OF_ANSWER:
                answer += block
        if response.status not in (200, 204):
            told = answer.decode(errors="replace").strip()
            raise NoAnswer(printable(f"status {response.status}: {told}"))
        if answer:
            yield bytes(answer)
