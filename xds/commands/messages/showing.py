"""`xds messages show`: a message field by field, beside what it made."""

import json
import sys
from collections.abc import Iterator
from typing import Final

import click

from xds.commands.client.received_message import described_message
from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import maintained
from xds.commands.messages.recorded import plain, told
from xds.commands.terminal import printable
from xds.config import Config
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.messaging import operations, raw_messages
from xds.messaging.operations import RecordedMessage
from xds.repository.repository import DocumentRepository

_MOST_BYTES: Final = 1 << 31
_WIDE: Final = 200
"""Characters of a line that are shown."""
_MOST_LINES: Final = 500
"""Of what is no message of HL7 v2."""


@click.command("show")
@with_config("data", "database", "documents", "documents_options")
@click.argument("name", metavar="MESSAGE")
@click.option("--raw", "as_raw", is_flag=True, help="The message as it came, and nothing else.")
def command(config: Config, name: str, as_raw: bool) -> None:
    """Show a message, field by field, beside what it made. It is a patient's.

    MESSAGE is its control id, of which the last is taken, or the id of its record.
    """
    with maintained(config) as domain, told():
        with domain.database.read() as connection:
            found = operations.one(connection, name)
        if as_raw:
            for piece in raw_messages.raw(domain.repository, found.id):
                sys.stdout.buffer.write(piece)
            return
        for line in (*_record(found), "", *_content(domain.repository, found)):
            click.echo(printable(line))


def _record(found: RecordedMessage) -> Iterator[str]:
    """Yield what became of a message, a line for each thing; what is empty is left out."""
    for key, value in plain(found).items():
        for one in value if isinstance(value, list) else [value]:
            text = (
                f"{one['change']} {one['entry_uuid']}, uniqueId {one['unique_id']}"
                if isinstance(one, dict)
                else str(one or "")
            )
            if text:
                yield f"{key.replace('_', ' '):<12} {text}"


def _content(repository: DocumentRepository, found: RecordedMessage) -> Iterator[str]:
    """Yield the message itself, field by field where it can be read."""
    with SpooledMessage(_MOST_BYTES) as source:
        for piece in raw_messages.raw(repository, found.id, omits_removed=True):
            source.write(piece)
        source.finish()
        if not source.size:
            yield "The message itself is no longer kept."
        elif found.media == "fhir":
            yield from _cut(json.dumps(json.loads(b"".join(source.blocks())), indent=2))
        else:
            try:
                yield from described_message(Message.read(source))
            except Unreadable:
                yield from _cut(b"".join(source.blocks()).decode("utf-8", "replace"))


def _cut(text: str) -> Iterator[str]:
    lines = text.splitlines()
    for line in lines[:_MOST_LINES]:
        yield line if len(line) <= _WIDE else f"{line[:_WIDE]}... ({len(line)} characters)"
    if len(lines) > _MOST_LINES:
        yield f"... ({len(lines)} lines)"
