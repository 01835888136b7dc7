"""`xds messages try`: what a message would become, without filing it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import click

from xds.commands.flags import with_config
from xds.commands.flavours import no_such
from xds.config import Config
from xds.hl7v2.acknowledgement import acknowledgements
from xds.hl7v2.batch import batches_in
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.spooled import SpooledMessage
from xds.hl7v2.wide_text import WideText
from xds.messaging.doors.judging import habits_of, judgement_of
from xds.messaging.flavours.reading import FlavourError, read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import CarriedContent, EntityNumber, RenderedContent
from xds.messaging.registering import contents
from xds.messaging.v2.reading import envelope_of, read, whole_of
from xds.messaging.verdicts import ContentRefused, MessageFinding
from xds.metadata.objects import Code

_CONTROL_ID: Final = "TRIED"
"""MSH-10 of the acknowledgement that is shown."""
_BLOCK: Final = 1 << 18
_MOST_BYTES: Final = 1 << 30


@click.command("try")
@with_config("flavours")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--flavour", "name", metavar="NAME", help="Read it so, whoever its sender is.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def command(config: Config, file: Path, name: str | None, as_json: bool) -> None:
    """Show what the message (HL7 v2) in FILE would become, and its acknowledgement.

    A file of several messages, or a batch, is shown message by message; as JSON it is a list then.
    Nothing is filed, and no server is asked: what is registered already may yet speak against it.
    Fails where a message would be refused. What is shown is a patient's.
    """
    flavours = _flavours(config, name)
    with SpooledMessage(_MOST_BYTES) as source:
        try:
            text = WideText(source)
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    text.write(block)
            text.finish()
            messages = [one for batch in batches_in(source) for one in batch.messages]
        except Unreadable as error:
            raise click.ClickException(error.reason) from None
        if len(messages) == 1 and isinstance(messages[0], Unreadable):
            raise click.ClickException(messages[0].reason)
        shown = [_tried(one, flavours) for one in messages]
    if as_json:
        told = shown[0] if len(shown) == 1 else shown
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for number, one in enumerate(shown, 1):
            if len(shown) > 1:
                click.echo(f"message {number} of {len(shown)}")
            click.echo("\n".join(_lines(one)))
    if any(one["verdict"] == "refused" for one in shown):
        raise SystemExit(1)


def _flavours(config: Config, name: str | None) -> FlavourTable:
    try:
        table = read_flavours(config.flavours)
    except FlavourError as error:
        raise click.ClickException(str(error)) from None
    try:
        return table.forced(name) if name else table
    except KeyError:
        raise no_such(name or "", table) from None


def _tried(message: Message | Unreadable, flavours: FlavourTable) -> dict[str, Any]:
    if isinstance(message, Unreadable):
        return {"verdict": "refused", "findings": [message.reason]}
    flavour = flavours.flavour_of(envelope_of(message))
    shown: dict[str, Any] = {"flavour": flavour.name}
    documents = _TriedContent()
    try:
        with whole_of(message) as whole:
            content = read(whole, flavours)
            shown |= documents.shown(content)
            documents.findings.extend(content.findings)
    except ContentRefused as error:
        documents.findings.extend(error.findings)
    is_refused = any(not one.is_warning for one in documents.findings)
    shown["findings"] = [_finding(one) for one in documents.findings]
    judgement = judgement_of(documents.findings, flavour.reading)
    due = acknowledgements(message, judgement, _CONTROL_ID, habits_of(flavour))
    shown["acknowledgements"] = [
        one.decode(message.encoding.charset).rstrip("\r").split("\r") for one in due
    ]
    return {"verdict": "refused" if is_refused else "accepted", **shown}


def _finding(one: MessageFinding) -> str:
    severity = "warning" if one.is_warning else "error"
    return f"{severity} {one.verdict.name} at {one.location}: {one.reason}"


class _TriedContent:
    """Shows values without what is empty in them, and decodes documents."""

    def __init__(self) -> None:
        self.findings: list[MessageFinding] = []

    def shown(self, value: Any) -> Any:
        """Return a value of the model as JSON has it."""
        match value:
            case CarriedContent():
                return self._carried(value)
            case RenderedContent():
                return {"rendered": list(_rendered(value))}
            case Code():
                return f"{value.code}^{value.display_name}^{value.coding_scheme}"
            case EntityNumber():
                return "^".join((value.value, value.authority, value.oid)).rstrip("^")
            case MessageFinding():
                return None
            case str() | bool() | None:
                return value
            case Sequence():
                return [shown for one in value if (shown := self.shown(one)) not in (None, "")]
        assert is_dataclass(value)
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: self.shown(one) for name, one in named if one not in (None, "", (), False)}

    def _carried(self, content: CarriedContent) -> dict[str, Any]:
        size, digest = 0, hashlib.sha1(usedforsecurity=False)

        def take(block: bytes) -> None:
            nonlocal size
            size += len(block)
            digest.update(block)

        try:
            mime_type = contents.judged(content, take)
        except ContentRefused as error:
            self.findings.extend(error.findings)
            return {"mime_type": content.mime_type}
        return {"mime_type": mime_type, "size": size, "sha1": digest.hexdigest()}


def _rendered(content: RenderedContent) -> Iterator[str]:
    """Yield the lines and rows of a report that would be rendered."""
    for section in content.sections:
        if section.heading:
            yield section.heading
        yield from section.lines
        for row in section.rows:
            cells = (row.test, row.value, row.unit, row.range, row.flag, row.status, row.time)
            yield " | ".join(filter(None, cells))
            yield from (f"  {note}" for note in row.notes)
        yield from section.notes
    yield from content.other


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """Yield a value as indented lines."""
    items = value.items() if isinstance(value, Mapping) else (("-", one) for one in value)
    for name, one in items:
        label = name if name == "-" else f"{name}:"
        if isinstance(one, str | bool | int):
            yield f"{indent}{label} {one}"
        elif one:
            yield f"{indent}{label}"
            yield from _lines(one, f"{indent}  ")
