"""`xds messages purge`: messages that are kept no longer."""

import time
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.config import Config
from xds.messaging import records

_DAY: Final = 86_400_000


@click.command("purge")
@with_config("data", "database", "messages_kept_days")
def command(config: Config) -> None:
    """Remove messages that came longer ago than they are kept; their records stay."""
    before = int(time.time() * 1000) - config.messages_kept_days * _DAY
    with database_of(config) as database:
        removed = 0
        while count := records.purge(database, before):
            removed += count
    click.echo(f"{removed} removed.")
