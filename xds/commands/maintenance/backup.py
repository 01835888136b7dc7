"""`xds backup`: a consistent copy of the embedded database and its documents."""

from pathlib import Path

import click

from xds import sqlite_file
from xds.commands.flags import with_config
from xds.commands.maintenance.embedded import places, removed_on_failure, sentences, tell
from xds.config import Config
from xds.private_folder import make_private_folder
from xds.repository import copies
from xds.repository.filesystem import FilesystemStore


@click.command("backup")
@with_config("data", "database", "documents", "serve_repository")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
def command(config: Config, folder: Path) -> None:
    """Copy database and documents to FOLDER, which is new or empty; it may be run while serving.

    All that was acknowledged when it began is in the copy. Each document is compared with its
    registered size and hash: exits with 1 where one is damaged or missing, and the copy stays; with
    1 and no copy where it fails; with 2 where the database or the documents are on a server, and
    says what to use there. `xds restore` brings it back.
    """
    here = places(config, "xds backup")
    is_new = not folder.exists()
    if not is_new and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty: a backup goes to a folder of its own.")
    if not here.database.exists():
        raise click.ClickException(f"There is no database {here.database}.")
    folder = folder.absolute()
    with sentences(), removed_on_failure(folder, is_new=is_new):
        make_private_folder(folder)
        folder.chmod(0o700)
        copies.copy_waiting(here.data, folder)
        sqlite_file.copy(here.database, folder / copies.DATABASE)
        count = damaged = 0
        if here.store is not None:
            target = FilesystemStore(folder / copies.DOCUMENTS)
            database = folder / copies.DATABASE
            count, damaged = tell(copies.copy_documents(database, here.store, target))
        copies.complete(folder, count)
    click.echo(f"The backup is in {folder}.", err=True)
    raise SystemExit(1 if damaged else 0)
