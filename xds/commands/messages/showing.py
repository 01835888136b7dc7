"""`xds messages show`: a message field by field, beside what it made."""

import sys

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.messages.recorded import fields, plain, told
from xds.commands.terminal import printable
from xds.config import Config
from xds.messaging import operations, records


@click.command("show")
@with_config("data", "database")
@click.argument("name", metavar="MESSAGE")
@click.option("--raw", "as_raw", is_flag=True, help="The message as it came, and nothing else.")
def command(config: Config, name: str, as_raw: bool) -> None:
    """Show a message, field by field, beside what it made. It is a patient's.

    MESSAGE is its control id, of which the last is taken, or the id of its record.
    """
    with database_of(config) as database, told():
        with database.read() as connection:
            found = operations.one(connection, name)
        if as_raw:
            for piece in records.raw(database, found.id):
                sys.stdout.buffer.write(piece)
            return
        for key, value in plain(found).items():
            click.echo(f"{key}\t{printable(str(value))}")
        text = b"".join(records.raw(database, found.id)).decode("utf-8", "replace")
        for line in fields(text):
            click.echo(line)
