"""The file of an embedded database, by the driver alone: made private, known again, copied.

A process that keeps an SQLite file open must never open and close the same file by itself: that
would drop the locks of the connections. So nothing here opens a file that is there already.
"""

import os
import re
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, unquote

from xds.private_folder import make_private_folder

_URL: Final = re.compile(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?")
_BUSY_SECONDS: Final = 30.0


def path_of(url: str) -> Path | None:
    """Return the file that the URL of a database names; None where it names a server."""
    found = _URL.fullmatch(url)
    return Path(unquote(found[1])).absolute() if found else None


def url_of(path: Path) -> str:
    """Return the URL of a database in a file."""
    return f"sqlite:///{str(path.absolute()).replace('%', '%25').replace('?', '%3F')}"


def uri(path: Path) -> str:
    """Return what SQLite opens without making it: a file that has gone must not come back empty."""
    return f"file:{quote(str(path))}?mode=rw"


@dataclass(frozen=True, slots=True)
class SQLiteFile:
    """A file by its name, and by what tells it from another one of the same name."""

    path: Path
    device: int
    inode: int

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make the file and its folders, private to this user, where they are not there yet.

        SQLite gives the files that it keeps beside it the same permissions. Raises OSError.
        """
        make_private_folder(path.parent)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        status = os.stat(path)
        return cls(path, status.st_dev, status.st_ino)

    def is_there(self) -> bool:
        """Whether the name still leads to this file: it was not moved, removed or replaced."""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == (self.device, self.inode)

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log beside it."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0


def write_back(path: Path) -> None:
    """Have the write-ahead log written back and removed, if nobody else has the file open.

    SQLite does it when the last connection is closed, which processes that are ended do not.
    Raises sqlite3.Error.
    """
    if path.is_file():
        with closing(_connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def copy(path: Path, target: Path) -> None:
    """Copy a database, as it is at one moment, to a new file; readers and writers go on meanwhile.

    The write-ahead log grows as long as it takes. The copy is durable. Raises sqlite3.Error, or
    OSError where the target is there already.
    """
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(_connect(path)) as source, closing(_connect(target)) as copied:
        copied.execute("PRAGMA synchronous = FULL")
        source.backup(copied)  # all pages in one step, which is one transaction of a reader
        copied.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        (said,) = copied.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {said}")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(uri(path), uri=True, timeout=_BUSY_SECONDS)
