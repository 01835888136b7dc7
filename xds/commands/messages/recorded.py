"""What the commands about recorded messages share: how they are shown, and filed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import click

from xds.commands.maintenance.maintained import maintained
from xds.commands.terminal import printable
from xds.config import Config
from xds.messaging.filing import FilingOutcome, MessageFiler
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.operations import (
    MessageNotKept,
    MessageOperations,
    RecordedMessage,
)
from xds.messaging.verdicts import MessageFinding


@contextmanager
def acting(config: Config) -> Iterator[MessageOperations]:
    """Open what files messages again; what goes wrong ends the command with a sentence."""
    with maintained(config) as domain, told():
        filer = MessageFiler.open(domain, config)
        yield MessageOperations(filer=filer, flavours=read_flavours(config.flavours))


@contextmanager
def told() -> Iterator[None]:
    """End the command with a sentence where a message is not kept."""
    try:
        yield
    except MessageNotKept as error:
        sentence = str(error)
        raise click.ClickException(f"{sentence[:1].upper()}{sentence[1:]}.") from None


def tell(name: str, outcome: FilingOutcome) -> None:
    """Say what has become of a message; the command fails where it was refused."""
    number = len(outcome.documents)
    click.echo(f"{name}: {outcome.state}, {number} document{'' if number == 1 else 's'}")
    for one in outcome.findings:
        click.echo(f"  {_sentence(one)}")
    if not outcome.is_accepted:
        raise SystemExit(1)


def milliseconds(moment: datetime | None) -> int:
    """Return a time (UTC) in milliseconds since 1970; 0 for none."""
    return 0 if moment is None else int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(one: RecordedMessage) -> tuple[str, ...]:
    """Return a line of the list."""
    documents = str(len(one.outcome.documents))
    named = map(printable, (one.what, one.control_id, one.sender))
    return (_moment(one.received), *named, one.state, one.verdict, documents, one.id)


def plain(one: RecordedMessage) -> dict[str, object]:
    """Return a record by names."""
    found = asdict(one)
    del found["key"]
    outcome: dict[str, object] = found.pop("outcome")
    found["received"] = _moment(one.received)
    found["documents"] = outcome["documents"]
    found["decisions"] = outcome["decisions"]
    found["findings"] = [_sentence(finding) for finding in one.outcome.findings]
    return found


def _sentence(one: MessageFinding) -> str:
    severity = "warning" if one.is_warning else "error"
    return f"{severity} {one.verdict.name} at {one.location}: {one.reason}"
