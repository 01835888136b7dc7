"""`xds destinations`: where documents go as messages, and what an operator can do about it."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.maintenance import outbound_message
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import moment, print_table
from xds.config import Config
from xds.database.access import Database
from xds.messaging.outbound import destinations_file, operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.destinations_file import DestinationsError
from xds.messaging.outbound.operations import DestinationHealth, OutboundSelection
from xds.messaging.outbound.records import OutboundMessage, OutboundState

_ACTIONS: Final = (
    *("list", "show", "pause", "resume", "replay", "retry", "try", "resend", "correct", "discard"),
)
_HEADINGS: Final = (
    *("name", "state", "waiting", "oldest", "given up", "sent", "last sent", "why", "address"),
)
_OF_MESSAGES: Final = ("recorded", "change", "state", "rule", "answer", "why", "id", "document")
_NONE: Final = (
    "There are no destinations: the option destinations is not set here, or its file has none. "
    "Give the options of the server: --config FILE, or --destinations FILE."
)
_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?Z?)?")


@click.command("destinations")
@with_config()
@click.argument("action", type=click.Choice(_ACTIONS), default="list")
@click.argument("name", metavar="[DESTINATION]", required=False)
@click.option("--since", metavar="TIME", help="UTC, such as 2026-11-29T08:00: for replay and try.")
@click.option("--id", "key", metavar="ID", help="The message with this control id.")
@click.option("--raw", "as_raw", is_flag=True, help="With show --id: the message, and no more.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What to send in its place, for correct.",
)
@click.option("--reason", default="", help="Why, for correct and discard; it is kept.")
@click.option("--document", metavar="UUID", help="Messages of this document, for show.")
@click.option(
    "--state",
    type=click.Choice([one.value for one in OutboundState]),
    help="Only messages in this state, for show.",
)
@click.option("--most", type=click.IntRange(1), default=100, show_default=True, help="For show.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def command(
    config: Config,
    action: str,
    name: str | None,
    since: str | None,
    key: str | None,
    as_raw: bool,
    file: Path | None,
    reason: str,
    document: str | None,
    state: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List destinations, those first that messages wait for longest, or act on one.

    show lists what was decided about documents, newest first, and why something was not sent; with
    --id it shows one message as it would go out now, beside what its receiver said. pause keeps
    what happens and sends nothing; resume sends what was kept, and goes on; replay sends all that
    the rules choose --since a time again, as new messages; try tells what the rules of the file
    would choose --since a time, and sends nothing.

    retry sends again what was given up, under its control id; resend sends one message, with --id,
    under a new one; correct sends --file in its place, and keeps both; discard gives up for good
    what is not delivered, with --id or all that was given up. All may be done while the servers
    serve.
    """
    _require_sense(action, name, since, key, file, reason)
    destinations = _destinations(config.destinations)
    with database_of(config) as database:
        if action == "list":
            _list(database, destinations, as_json=as_json)
        elif action == "show" and key is not None:
            outbound_message.show(
                config, database, outbound_message.one(database, key), as_raw=as_raw
            )
        elif action == "show":
            chosen = OutboundState(state) if state else None
            selection = OutboundSelection(destination=name, document=document, state=chosen)
            _show(database, selection, most, as_json=as_json)
        elif action in ("resend", "correct"):
            _send_other(database, _named(destinations, name or ""), key or "", file, reason)
        elif action == "discard":
            state = None if key else OutboundState.DEAD
            gone = OutboundSelection(destination=name, state=state, id=key)
            count = operations.discard(database, gone, outbound_message.because(reason))
            click.echo(f"{name}: {_count(count)} discarded.")
        else:
            _act(database, action, _named(destinations, name or ""), since or "", key)


def _require_sense(
    action: str,
    name: str | None,
    since: str | None,
    key: str | None,
    file: Path | None,
    reason: str,
) -> None:
    if action not in ("list", "show") and name is None:
        raise click.UsageError(f"{action} takes a DESTINATION.")
    if (action in ("replay", "try")) != (since is not None):
        raise click.UsageError("replay and try, and nothing else, take --since.")
    if action in ("resend", "correct") and key is None:
        raise click.UsageError(f"{action} takes --id, the control id of a message.")
    if (action == "correct") != (file is not None):
        raise click.UsageError("correct, and nothing else, takes --file.")
    if action in ("correct", "discard") and not reason:
        raise click.UsageError(f"{action} takes --reason, which is kept.")


def _send_other(
    database: Database, to: Destination, key: str, file: Path | None, reason: str
) -> None:
    """Send another message in the place of one."""
    found = outbound_message.one(database, key)
    if found.destination != to.name:
        raise click.ClickException(f"The message {key} is of {found.destination}.")
    if file is None:
        sent = operations.resend(database, to, found)
    else:
        sent = outbound_message.correct(database, to, found, file, reason)
    click.echo(f"{to.name}: {sent} is sent in its place.")


def _destinations(path: Path | None) -> Sequence[Destination]:
    try:
        return [] if path is None else destinations_file.read(path)
    except DestinationsError as error:
        raise click.ClickException(str(error)) from None


def _named(destinations: Sequence[Destination], name: str) -> Destination:
    for one in destinations:
        if one.name == name:
            return one
    if not destinations:
        raise click.ClickException(_NONE)
    known = ", ".join(one.name for one in destinations)
    raise click.ClickException(f"The option destinations names no {name}; it names {known}.")


def _list(database: Database, destinations: Sequence[Destination], *, as_json: bool) -> None:
    with database.read() as connection:
        found = operations.health(connection, destinations)
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one)))
    elif found:
        print_table(_HEADINGS, map(_row, found))
    if not destinations:
        click.echo(_NONE, err=True)


def _row(one: DestinationHealth) -> tuple[str, ...]:
    return (
        *(one.name, one.state, str(one.waiting), moment(one.oldest), str(one.dead)),
        *(str(one.delivered), moment(one.last_delivered), one.error, one.address),
    )


def _show(database: Database, selection: OutboundSelection, most: int, *, as_json: bool) -> None:
    with database.read() as connection:
        found = operations.messages(connection, selection, most)
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one)))
    elif found:
        print_table(_OF_MESSAGES, map(_message_row, found), whole=2)
    else:
        click.echo("There are no such messages.")


def _message_row(one: OutboundMessage) -> tuple[str, ...]:
    state = f"{one.state.value} (replay)" if one.is_replay else one.state.value
    return (
        *(moment(one.created), f"{one.destination}: {one.change}", state, one.rule, one.answer),
        *(one.reason, one.id, one.entry_uuid),
    )


def _act(database: Database, action: str, one: Destination, since: str, key: str | None) -> None:
    match action:
        case "pause":
            said = f"paused; {_count(operations.pause(database, one.name))} held"
        case "resume":
            said = f"resumed; {_count(operations.resume(database, one))} sent on"
        case "retry":
            said = f"{_count(operations.retry(database, one, key))} tried again"
        case "replay":
            said = f"{_count(operations.replay(database, one, _dtm(since)))} sent again"
        case _:
            said = _tried(database, one, _dtm(since))
    click.echo(f"{one.name}: {said}.")


def _tried(database: Database, one: Destination, since: str) -> str:
    with database.read() as connection:
        found: Counter[str] = Counter()
        for decided in operations.decisions(connection, one, since):
            is_chosen = decided.state is OutboundState.WAITING
            found[f"chosen by {decided.rule}" if is_chosen else decided.state.value] += 1
    told = ", ".join(f"{number} {what}" for what, number in sorted(found.items()))
    return told or "nothing has happened since"


def _dtm(text: str) -> str:
    found = _TIME.fullmatch(text)
    if found is None:
        raise click.UsageError("--since is a time such as 2026-11-29T08:00, in UTC.")
    return "".join(part or "" for part in found.groups())


def _count(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"
