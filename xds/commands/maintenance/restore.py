"""`xds restore`: bring back what `xds backup` has copied."""

from pathlib import Path

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.embedded import places, sentences, tell
from xds.config import Config
from xds.repository import copies
from xds.repository.filesystem import FilesystemStore


@click.command("restore")
@with_config("data", "database", "documents", "serve_repository")
@click.argument("folder", type=click.Path(path_type=Path, exists=True), metavar="FOLDER")
def command(config: Config, folder: Path) -> None:
    """Bring back the backup in FOLDER, where there is no database and no document yet.

    No server may run there meanwhile. The database comes last, once all documents are there. Each
    is compared with its registered size and hash: exits with 1 where one is damaged or missing.
    """
    here = places(config, "xds restore")
    if not copies.is_complete(folder):
        raise click.ClickException(f"{folder} is no complete backup: it has no backup.json.")
    with sentences():
        if not copies.is_unused(here.data, here.database, here.store):
            raise click.UsageError(
                f"{here.data} has a database, documents, or records that wait already: move them "
                "away first, nothing is replaced."
            )
        database = folder / copies.DATABASE
        damaged = 0
        if here.store is not None:
            source = FilesystemStore(folder / copies.DOCUMENTS)
            _, damaged = tell(copies.copy_documents(database, source, here.store))
        copies.copy_waiting(folder, here.data)
        copies.put_database(database, here.database)
    click.echo(f"{here.data} has what was in {folder}.", err=True)
    raise SystemExit(1 if damaged else 0)
