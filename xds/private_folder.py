"""Folders for this user alone; some in memory, which no crash leaves behind for long."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")
_LOCK: Final = "lock"


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone; what is there stays as it is."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        # another process may make it at this moment
        with suppress(FileExistsError):
            folder.mkdir(0o700)


@contextmanager
def private_folder(name: str) -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it with the block.

    What servers that were killed have left under the same name is removed as well.
    """
    place = _IN_MEMORY if _IN_MEMORY.is_dir() else Path(tempfile.gettempdir())
    for left in place.glob(f"xds-{name}-*"):
        _remove_if_left(left)
    # it is looked for by its last name only, when the lock is held
    made = Path(tempfile.mkdtemp(prefix=f"xds.{name}.", dir=place))
    with (made / _LOCK).open("xb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name.replace(".", "-")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder if no process holds its lock; a lock ends with its process."""
    with suppress(OSError), (folder / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
