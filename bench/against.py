"""Another commit of this project beside this one: checked out, installed and served for a run."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from bench.deployment import Deployment, workers
from bench.figures import Figure, Measure, Result
from tests.serving import Program, serving

_ROOT: Final = Path(__file__).resolve().parent.parent


@contextmanager
def served(commit: str, deployed: Deployment) -> Iterator[Deployment]:
    """Serve a commit on an empty data folder beside a deployment; the clients are the same."""
    with (
        tempfile.TemporaryDirectory(dir=deployed.folder.parent, prefix="bench-") as work,
        _installed(commit, Path(work, "program").absolute()) as program,
        serving(Path(work, "data").absolute(), workers(), program=program) as server,
    ):
        yield replace(deployed, server=server, folder=Path(work))


@contextmanager
def _installed(commit: str, checkout: Path) -> Iterator[Program]:
    click.echo(f"checking out and installing {commit}")
    _run("git", "worktree", "add", "--detach", "--force", str(checkout), commit, folder=_ROOT)
    try:
        _run("make", ".venv/installed", folder=checkout)
        yield Program(checkout / ".venv" / "bin" / "python", checkout)
    finally:
        _run("git", "worktree", "remove", "--force", str(checkout), folder=_ROOT)


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def compared(
    commit: str, measure: Measure, here: Sequence[Figure], there: Sequence[Figure]
) -> Result:
    """Return how many times as good each round was here; the yardstick is what it was there."""
    found = [
        Figure(
            _ratio(other.value, one.value) if measure.at_most else _ratio(one.value, other.value),
            other.value,
            other.effort,
        )
        for one, other in zip(here, there, strict=True)
    ]
    return Result(Measure(title=f"  times {commit}", unit="x", goal=1), found)


def _ratio(one: float, other: float) -> float:
    return one / other if other else 1.0
