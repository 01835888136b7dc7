"""`xds messages list`: messages that came in."""

import json
from datetime import datetime
from typing import Any, Final, get_args

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.messages.recorded import milliseconds, plain, row
from xds.commands.terminal import print_table
from xds.config import Config
from xds.messaging import operations
from xds.messaging.incoming import MessageState
from xds.messaging.operations import MessageSelection

_STATES: Final = get_args(MessageState)
_HEADINGS: Final = ("received", "what", "control id", "sender", "state", "why", "documents", "id")


@click.command("list")
@with_config("data", "database")
@click.option("--control-id", "name", default="", help="MSH-10, or the id of the record.")
@click.option("--patient", default="", help="Id of the patient, with its domain (CX) or without.")
@click.option("--number", default="", help="Number of a report or an order.")
@click.option("--sender", default="", help="APPLICATION|FACILITY, or a part of it.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES))
@click.option("--since", type=click.DateTime(), help="UTC.")
@click.option("--until", type=click.DateTime(), help="UTC.")
@click.option("--most", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def command(
    config: Config,
    since: datetime | None,
    until: datetime | None,
    most: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """List messages that came in, the latest first. Those in state refused wait for correction."""
    selection = MessageSelection(since=milliseconds(since), until=milliseconds(until), **asked)
    with database_of(config) as database, database.read() as connection:
        found = operations.find(connection, selection, most)
    if as_json:
        for one in found:
            click.echo(json.dumps(plain(one), ensure_ascii=False))
    elif found:
        print_table(_HEADINGS, map(row, found))
    else:
        click.echo("There are no such messages.")
