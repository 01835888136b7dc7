"""What `xds destinations` does with one message: show it, and send another in its place."""

import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from xds.commands.client.received_message import described_message
from xds.commands.terminal import moment, printable
from xds.config import Config
from xds.database.access import Database
from xds.fhir_messages.outbound import syntax
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging.outbound import operations, records
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.documents import NotToBeSent
from xds.messaging.outbound.records import OutboundMessage
from xds.messaging.outbound.sending import MessageSender, WrittenMessage
from xds.messaging.outbound.syntax import HL7V2
from xds.outgoing.delivery import NotDelivered, Undeliverable

_MOST_BYTES: Final = 1 << 31


def one(database: Database, key: str) -> OutboundMessage:
    """Return a message by its control id; the command ends where there is none."""
    with database.read() as connection:
        found = records.read(connection, key)
    if found is None:
        raise click.ClickException(f"There is no message {key} to a destination.")
    return found


def show(config: Config, database: Database, found: OutboundMessage, *, as_raw: bool) -> None:
    """Print what became of a message, and the message as it would go out now."""
    sender = MessageSender.open(config, database, fhir=syntax(config))
    written, why = _written(sender, found)
    if as_raw:
        if written is None:
            raise click.ClickException(f"It would not be sent now: {why}.")
        for block in written.blocks:
            sys.stdout.buffer.write(block)
        return
    for line in _record(found):
        click.echo(printable(line))
    click.echo()
    if written is None:
        click.echo(f"It would not be sent now: {why}.")
        return
    for line in _content(written):
        click.echo(printable(line))


def _written(sender: MessageSender, found: OutboundMessage) -> tuple[WrittenMessage | None, str]:
    try:
        return sender.written(found), ""
    except NotToBeSent:
        return None, "a newer message of the document says it all"
    except (Undeliverable, NotDelivered) as error:
        return None, str(error)


def _record(found: OutboundMessage) -> Iterator[str]:
    told = {
        "id": found.id,
        "destination": found.destination,
        "change": found.change,
        "document": found.entry_uuid,
        "state": found.state.value,
        "rule": found.rule,
        "replay": "yes" if found.is_replay else "",
        "corrects": found.corrects or "",
        "recorded": moment(found.created),
        "ended": moment(found.ended),
        "refusals": str(found.refusals or ""),
        "answer": found.answer,
        "why": found.reason,
        "it said": found.said,
    }
    yield from (f"{name:<12} {value}" for name, value in told.items() if value)


def _content(written: WrittenMessage) -> Iterator[str]:
    with SpooledMessage(_MOST_BYTES) as source:
        for block in written.blocks:
            source.write(block)
        source.finish()
        if written.syntax is HL7V2:
            yield from described_message(Message.read(source))
        else:
            yield f"A FHIR message of {source.size} bytes: --raw has it."


def correct(
    database: Database, to: Destination, found: OutboundMessage, file: Path, reason: str
) -> str:
    """Send what is in a file in the place of a message; return its control id."""
    if to.form.message == "FHIR":
        raise click.ClickException("A FHIR message is made of its document: update that, or retry.")
    with SpooledMessage(_MOST_BYTES) as source, file.open("rb") as opened:
        while block := opened.read(1 << 18):
            source.write(block)
        source.finish()
        try:
            return operations.correct(database, to, found, source, because(reason))
        except Unreadable as error:
            raise click.ClickException(f"{file}: {error.reason}.") from None


def because(reason: str) -> str:
    """Return a reason with the name of who gives it."""
    return f"{reason} ({getpass.getuser()})"
