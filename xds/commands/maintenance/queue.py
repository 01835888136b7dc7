"""`xds queue`: what waits to be sent, and why; try it now, or drop it."""

import json
from dataclasses import asdict
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import moment, print_table
from xds.config import Config
from xds.database.access import Database
from xds.outgoing import operations
from xds.outgoing.operations import DeadDelivery, DeliverySelection, WaitingTarget

_MOST: Final = 1000
_HEADINGS: Final = ("channel", "waiting", "since", "state", "failed", "next try", "why", "target")


@click.command("queue")
@with_config("data", "database")
@click.argument("action", type=click.Choice(["list", "retry", "drop"]), default="list")
@click.option("--channel", metavar="NAME", help="Of this channel, such as soap-reply or syslog.")
@click.option("--target", metavar="NAME", help="For this target, as the list names it.")
@click.option("--id", "key", metavar="ID", help="The message with this id.")
@click.option("--dead", is_flag=True, help="Only messages that were given up.")
@click.option("--all", "everything", is_flag=True, help="Whatever is in the queue, for drop.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def command(
    config: Config,
    action: str,
    channel: str | None,
    target: str | None,
    key: str | None,
    dead: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """List what waits to be sent by target, with the error of the last attempt.

    retry has it tried now, and what was given up tried again. drop removes it for good, and takes
    --channel, --target, --id, --dead or --all. Both may be done while the servers serve.
    """
    selection = DeliverySelection(channel, target, key)
    if action == "drop" and not (everything or dead or channel or target or key):
        raise click.UsageError("drop takes --channel, --target, --id, --dead or --all.")
    with database_of(config) as database:
        match action:
            case "list":
                _list(database, selection, only_dead=dead, as_json=as_json)
            case "retry":
                _retry(database, selection)
            case _:
                _drop(database, selection, only_dead=dead)


def _list(
    database: Database, selection: DeliverySelection, *, only_dead: bool, as_json: bool
) -> None:
    with database.read() as connection:
        waiting = [] if only_dead else operations.waiting(connection, selection, _MOST)
        dead = operations.dead(connection, selection, _MOST)
    if as_json:
        found: list[WaitingTarget | DeadDelivery] = [*waiting, *dead]
        for one in found:
            click.echo(json.dumps(asdict(one)))
        return
    if not (waiting or dead):
        click.echo("Nothing waits to be sent.")
        return
    print_table(_HEADINGS, [*map(_waiting_row, waiting), *map(_dead_row, dead)])


def _waiting_row(one: WaitingTarget) -> tuple[str, ...]:
    return (
        one.channel,
        str(one.waiting),
        moment(one.oldest),
        "being sent" if one.is_taken else "waits",
        str(one.attempts),
        "" if one.is_taken or one.due is None else moment(one.due),
        one.error or "",
        one.target,
    )


def _dead_row(one: DeadDelivery) -> tuple[str, ...]:
    why = one.error or ""
    since = moment(one.accepted)
    failed = str(one.attempts)
    return (one.channel, "1", since, "given up", failed, "", why, f"{one.target} {one.id}")


def _retry(database: Database, selection: DeliverySelection) -> None:
    targets, messages = operations.retry_now(database, selection)
    click.echo(f"{_count(targets, 'target')} tried now, {_count(messages, 'message')} tried again.")


def _drop(database: Database, selection: DeliverySelection, *, only_dead: bool) -> None:
    removed = operations.drop_now(database, selection, only_dead=only_dead)
    click.echo(f"{_count(removed, 'message')} dropped.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
