"""A slower disk, simulated: each sync of the servers that are measured takes so much longer."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

_SOURCE: Final = Path(__file__).with_suffix(".c")


@contextmanager
def slower_syncs(milliseconds: int) -> Iterator[None]:
    """Have each fsync and fdatasync of programs started in the block take so much longer."""
    if not milliseconds:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "slow_sync.so")
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise click.ClickException(f"a slower disk needs a C compiler: {error}") from error
        told = {"LD_PRELOAD": str(library), "SYNC_DELAY_MS": str(milliseconds)}
        os.environ.update(told)
        try:
            yield
        finally:
            for name in told:
                del os.environ[name]
