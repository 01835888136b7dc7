"""`xds copy-database`: from the embedded database to a server's, with nothing lost."""

import click

from xds.commands.flags import with_config
from xds.commands.terminal import print_table
from xds.config import Config
from xds.database.access import Database
from xds.database.copying import NotCopied, copy_to_server, gather_statistics
from xds.database.errors import DatabaseUnavailable
from xds.sqlite_file import path_of


@click.command("copy-database")
@with_config("data", "database")
@click.argument("target", metavar="URL")
def command(config: Config, target: str) -> None:
    """Copy the embedded database to the PostgreSQL database of URL, which is new or empty.

    Metadata, patients, events, the index of documents and the audit trail: each row of every table
    is copied with its key, read back and compared, all in one transaction; what fails leaves URL
    empty, and the file is not changed in any case. Stop the server first: while one has the file
    open nothing is copied. Documents, and records that wait in the data folder, stay where they
    are. Exits with 1 where nothing was copied.
    """
    path = path_of(config.database_url)
    if path is None:
        raise click.UsageError(
            "The database is on a server already: pg_dump and pg_restore copy it to another one."
        )
    if not target.startswith(("postgresql:", "postgres:", "postgresql+")):
        raise click.UsageError("URL is of the form postgresql://USER@HOST/NAME.")
    if not path.exists():
        raise click.ClickException(f"There is no database {path}.")
    try:
        copied = _copy(config, target)
    except NotCopied as error:
        raise click.ClickException(f"Nothing was copied: {error}.") from None
    except DatabaseUnavailable as error:
        raise click.ClickException(f"Nothing was copied, as a database failed: {error}.") from None
    print_table(("table", "rows"), [(name, str(rows)) for name, rows in copied.items()])
    click.echo(
        f"All rows were compared. Serve with that URL as `database` from now on; {path} is as it "
        "was, and whatever is written to it from here on would be lost.",
        err=True,
    )


def import_tables() -> None:
    """Import every module that declares tables, all of which are to be copied."""
    import xds.accounts.tables
    import xds.audit.chain
    import xds.audit.shipping
    import xds.audit.table
    import xds.database.used_once
    import xds.dsub.pull_points
    import xds.feeds.tables
    import xds.messaging.outbound.tables
    import xds.messaging.tables
    import xds.notification.tables
    import xds.on_demand.tables
    import xds.outgoing.tables
    import xds.refusals.tables
    import xds.registry.patient_links
    import xds.registry.storage.observations
    import xds.registry.subscribers
    import xds.registry.tables
    import xds.registry.versions.set_rows
    import xds.repository.index  # noqa: F401


def _copy(config: Config, target: str) -> dict[str, int]:
    from xds.registry import schema

    import_tables()
    path = path_of(config.database_url)
    assert path is not None
    copied: dict[str, int] = {}
    database = Database(target, connections=2, patience=None)
    try:
        schema.migrate(database)
        copy_to_server(path, database, schema.FILLED, copied.__setitem__)
        gather_statistics(database)
    finally:
        database.close()
    return copied
