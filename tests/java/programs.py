"""Clients in Java that others have written: a program for each, and what it says of its calls.

Their libraries come from Maven Central, once, into ``.java/`` at the root of the repository.
"""

import fcntl
import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

PACKAGES: Final = "default-jdk-headless maven"
"""Of Debian."""
MISSING: Final = f"needs Java 17 or newer, Maven and Maven Central: apt install {PACKAGES}"
_NEEDED: Final = 17
_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1] / ".java"
_SECONDS: Final = 400


def run(program: str, *arguments: str) -> dict[str, str] | None:
    """Run a program with a server, and return what came of each call by its name.

    ``program`` is a path below this folder without ``.java``. None where Java or the libraries are
    not to be had: the test is to be skipped.
    """
    source = _HERE / f"{program}.java"
    libraries = _libraries(source.parent)
    if libraries is None:
        return None
    command = ["java", "-cp", f"{libraries}/*", str(source), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    lines = [line.partition(": ") for line in told.stdout.splitlines()]
    return {name: came for name, _, came in lines}


@cache
def _libraries(folder: Path) -> Path | None:
    """Return the folder of the libraries that a pom.xml names; a lock keeps two from filling it."""
    if not _has_java() or shutil.which("mvn") is None:
        return None
    pom = folder / "pom.xml"
    version = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    into = _ROOT / f"{folder.name}-{version}"
    into.mkdir(parents=True, exist_ok=True)
    with (_ROOT / f"{into.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = into / "installed"
        if not done.exists():
            if not _install(pom, into):
                return None
            done.touch()
    return into


def _has_java() -> bool:
    found = shutil.which("java")
    if found is None:
        return False
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    major = told.partition('version "')[2].partition(".")[0].partition('"')[0]
    return major.isdecimal() and int(major) >= _NEEDED


def _install(pom: Path, into: Path) -> bool:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), *goal]
    try:
        told = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return told.returncode == 0
