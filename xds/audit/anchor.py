"""The end of the hash chain as a machine has seen it, apart from the database.

Who can write to the database could cut records off the end of the trail, or make the whole chain
anew; neither fits what is noted here, in a file of the data folder, or in the log.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from xds.audit.chain import Link
from xds.audit.record import line_of, read_json

FILE: Final = "chain-end.json"
_END: Final = re.compile(r"[0-9]{1,18}:[0-9A-Fa-f]{64}")


def note(folder: Path, end: Link) -> None:
    """Note an end of the chain where it is later than the one noted; OSError where that fails."""
    before = noted(folder)
    if before is not None and before.sequence >= end.sequence:
        return
    fresh = folder / f".{FILE}.{uuid4().hex}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, line_of(end._asdict()).encode())
    finally:
        os.close(descriptor)
    fresh.replace(folder / FILE)


def noted(folder: Path) -> Link | None:
    """Return the end of the chain that was noted last; None where there is none to be read."""
    with suppress(OSError, ValueError, TypeError):
        return Link(**read_json((folder / FILE).read_bytes()))
    return None


def parsed(text: str) -> Link:
    """Read an end as the log has it, ``NUMBER:HASH``; ValueError for what is none."""
    number, _, digest = text.partition(":")
    if not _END.fullmatch(text):
        raise ValueError("not of the form NUMBER:HASH")
    return Link(int(number), digest.lower())
