"""What backup and restore share: where all lies, and how failures are told."""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import click

from xds.commands.terminal import human_size, print_table, printable, progress
from xds.config import Config
from xds.repository.filesystem import FilesystemStore
from xds.repository.index import IndexedDocument
from xds.repository.maintenance import Damage
from xds.repository.store import StoreError, open_store
from xds.sqlite_file import path_of

_OF_A_SERVER: Final = """\
{command} is for SQLite and documents in a folder. Here it takes, in this order:
{steps}
docs/deployment.md, "Backup and restore", has it in full."""
_DUMP: Final = "pg_dump --format=custom --file=xds.dump DATABASE"
_LOAD: Final = "pg_restore --exit-on-error --dbname=DATABASE xds.dump    (a new, empty database)"


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Where an embedded deployment has its state."""

    data: Path
    database: Path
    store: FilesystemStore | None
    """None where a registry is served alone."""


def places(config: Config, command: str) -> StatePaths:
    """Return them; for a server or a bucket say what is to be used, with exit code 2."""
    database = path_of(config.database_url)
    has_bucket = config.serve_repository == "yes" and not config.documents_url.startswith("file:")
    if database is None or has_bucket:
        _told_otherwise(config, command, database)
    store = None
    if config.serve_repository == "yes":
        opened = open_store(config.documents_url)
        assert isinstance(opened, FilesystemStore)
        store = opened
    return StatePaths(config.data.absolute(), database, store)


def _told_otherwise(config: Config, command: str, database: Path | None) -> NoReturn:
    backs_up = command == "xds backup"
    a_file = "sqlite3 {} '.backup xds.sqlite3'" if backs_up else "cp xds.sqlite3 {}"
    of_server = _DUMP if backs_up else _LOAD
    of_database = of_server if database is None else a_file.format(database)
    of_documents = _of_documents(config, backs_up=backs_up)
    steps = [of_database, of_documents] if backs_up else [of_documents, of_database]
    if not backs_up:
        steps.append("xds verify")
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
    raise click.UsageError(_OF_A_SERVER.format(command=command, steps=numbered))


def _of_documents(config: Config, *, backs_up: bool) -> str:
    url = config.documents_url
    if url.startswith("s3"):
        ends = (url, "FOLDER") if backs_up else ("FOLDER", url)
        return f"aws s3 sync {' '.join(ends)}"
    tool = "rsync -a" if url.startswith("file:") else "rclone copy"
    place = url.removeprefix("file://") + "/"
    return f"{tool} {' '.join((place, 'FOLDER/') if backs_up else ('FOLDER/', place))}"


@contextmanager
def sentences() -> Iterator[None]:
    """Have what goes wrong end the command with a sentence and exit code 1."""
    try:
        yield
    except sqlite3.Error as error:
        raise click.ClickException(f"The database cannot be copied: {error}.") from None
    except (StoreError, ValueError) as error:
        raise click.ClickException(f"The documents cannot be copied: {error}.") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'A file'}: {error.strerror}.") from None


@contextmanager
def removed_on_failure(folder: Path, *, is_new: bool) -> Iterator[None]:
    """Remove what was made in a folder that was empty, where the block fails."""
    try:
        yield
    except BaseException:
        for path in [folder] if is_new else list(folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def tell(copied: Iterable[tuple[IndexedDocument, Damage | None]]) -> tuple[int, int]:
    """Name what is damaged as it comes; return how many documents there were, and how many were."""
    count = size = damaged = 0
    with progress("copying", None) as advance:
        for document, damage in copied:
            count, size = count + 1, size + document.size
            advance(document.size)
            if damage is not None:
                damaged += 1
                click.echo(f"{printable(damage.unique_id)}\t{damage.reason}")
    rows = [
        ("documents copied", f"{count} ({human_size(size)})"),
        ("damaged or missing", str(damaged)),
    ]
    print_table(("what", "number"), rows)
    return count, damaged
