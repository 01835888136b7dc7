"""`xds migrate`: bring the tables of the database to the schema of this program."""

import click

from xds.commands.flags import with_config
from xds.config import Config
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry import schema


@click.command("migrate")
@with_config("data", "database")
def command(config: Config) -> None:
    """Make the tables of a new database, or bring those of an older one up to date.

    Run it before the programs of a new version are started. It says whether those of the old one
    can go on serving meanwhile: nearly always. Take a backup first: there is no way back.
    """
    try:
        database = Database(config.database_url, connections=2)
        try:
            before, after = schema.migrate(database)
        finally:
            database.close()
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database cannot be migrated: {error}.") from None
    click.echo(_told(before, after))


def _told(before: str | None, after: str) -> str:
    if before is None:
        return f"The database is new, and has schema {after} now."
    if before == after:
        return f"The database has schema {after}, and needs nothing."
    told = f"The database had schema {before}, and has {after} now."
    if schema.is_served_by(after, before):
        return f"{told} Programs of before can go on serving."
    return f"{told} Programs of before can serve it no longer: replace them."
