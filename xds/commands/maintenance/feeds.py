"""`xds feeds`: which feeds are paused; pause one, or have it taken again."""

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import moment
from xds.config import Config
from xds.feeds import paused


@click.command("feeds")
@with_config("data", "database")
@click.argument("action", type=click.Choice(["list", "pause", "resume"]), default="list")
@click.argument("name", required=False)
def command(config: Config, action: str, name: str | None) -> None:
    """List the feeds that are paused. pause NAME has nothing of one taken until resume NAME.

    NAME is a transaction that tells of patients, such as ITI-8; or a door of messages, mllp, http,
    fhir or folder, with the name of its path where it has one, such as "http ward". Senders are
    asked to send again later. It may be done while the servers serve, which heed it in a second.
    """
    if action != "list" and not name:
        raise click.UsageError(f"{action} takes the NAME of a feed.")
    if action == "pause" and name and not paused.is_feed(name):
        told = ", ".join([*sorted(paused.PATIENT_FEEDS), *paused.DOORS])
        raise click.UsageError(f"{name!r} is no feed: it begins with one of {told}.")
    with database_of(config) as database:
        match action, name:
            case "pause", str():
                paused.pause(database, name)
                click.echo("paused")
            case "resume", str():
                was_paused = paused.resume(database, name)
                click.echo("resumed" if was_paused else "It was not paused.")
            case _:
                with database.read() as connection:
                    found = paused.paused(connection)
                for one, since in found.items():
                    click.echo(f"{one}\tpaused since {moment(since)} UTC")
                if not found:
                    click.echo("No feed is paused.")
