"""Copies of an embedded deployment: what ``xds backup`` makes, and ``xds restore`` brings back.

    FOLDER/registry.sqlite3   the database, as it was at one moment
    FOLDER/documents/…        the documents that its index names
    FOLDER/audit, outbox      records and answers that waited on the disk
    FOLDER/backup.json        written last: a copy without it is not complete

Names of files on the disk lead to rows, never the other way round. So what waits on the disk is
copied first, since it may go to the database meanwhile, and the documents last: each that the
copied index names is there, for only what is in no index is ever swept. Where the registry is
elsewhere, a document may be withdrawn whose registration failed: that one is passed over, and the
next sweep of the restored deployment withdraws it as well.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from xds import sqlite_file
from xds.private_folder import make_private_folder
from xds.repository.filesystem import FilesystemStore
from xds.repository.index import IndexedDocument
from xds.repository.maintenance import Damage
from xds.repository.store import DocumentNotFound, DocumentStore

DATABASE: Final = "registry.sqlite3"
DOCUMENTS: Final = "documents"
WAITING: Final = ("audit", "outbox")
"""Folders of a data folder whose files wait for something."""
_COMPLETE: Final = "backup.json"
_AT_ONCE: Final = 8
_PAGE: Final = 500
_INDEX: Final = """
    SELECT unique_id, key, mime_type, size, hash,
        EXISTS (SELECT 1 FROM registration WHERE registration.unique_id = document.unique_id)
    FROM document ORDER BY unique_id
"""


def copy_waiting(data: Path, target: Path) -> None:
    """Copy the files that wait in a data folder; what goes meanwhile is in the database by then."""
    for name in WAITING:
        folder = data / name
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            make_private_folder(target / name)
            with suppress(FileNotFoundError):
                _write(target / name / path.name, path.read_bytes())


def copy_documents(
    database: Path, store: DocumentStore, target: FilesystemStore
) -> Iterator[tuple[IndexedDocument, Damage | None]]:
    """Copy each document that an index names, and compare it with what the index says of it."""
    copy = partial(_copied, store, target)
    with closing(_opened(database)) as connection, ThreadPoolExecutor(_AT_ONCE) as threads:
        rows = iter(connection.execute(_INDEX))
        while page := list(islice(rows, _PAGE)):
            found = [(IndexedDocument(*row[:-1]), bool(row[-1])) for row in page]
            yield from threads.map(lambda one: copy(*one), found)


def _opened(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(sqlite_file.uri(database), uri=True)


def _copied(
    store: DocumentStore, target: FilesystemStore, document: IndexedDocument, is_pending: bool
) -> tuple[IndexedDocument, Damage | None]:
    try:
        with store.open(document.key) as reader:
            kept = target.keep(document.key, reader)
    except DocumentNotFound:
        lost = Damage(document.unique_id, "the document is missing")
        return document, None if is_pending else lost
    if (kept.size, kept.hash) != (document.size, document.hash):
        said = f"size {document.size} and hash {document.hash}"
        held = f"size {kept.size} and hash {kept.hash}"
        return document, Damage(document.unique_id, f"registered with {said}, stored with {held}")
    return document, None


def complete(target: Path, documents: int) -> None:
    """Note that a copy has all that belongs to it."""
    told = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "documents": documents}
    _write(target / _COMPLETE, json.dumps(told).encode() + b"\n")
    _sync(target)


def is_complete(folder: Path) -> bool:
    """Whether a folder is a complete copy."""
    return (folder / _COMPLETE).is_file() and (folder / DATABASE).is_file()


def is_unused(data: Path, database: Path, store: FilesystemStore | None) -> bool:
    """Whether nothing of a deployment is there yet."""
    waiting = (path for name in WAITING for path in (data / name).glob("*"))
    return not database.exists() and next(waiting, None) is None and _is_empty(store)


def _is_empty(store: FilesystemStore | None) -> bool:
    return store is None or next(store.list(), None) is None


def put_database(copy: Path, database: Path) -> None:
    """Put the database of a copy in its place, where it is once it is whole."""
    make_private_folder(database.parent)
    arriving = database.with_name(f"{database.name}.arriving")
    arriving.unlink(missing_ok=True)
    sqlite_file.copy(copy, arriving)
    arriving.rename(database)
    _sync(database.parent)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
