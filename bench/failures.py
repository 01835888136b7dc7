"""What clients see while a part of a deployment fails under load: `python -m bench failures`.

Two processes serve one PostgreSQL and one document store behind a relay that gives connections to
them in turn, as a load balancer does. Clients submit, search and retrieve all the time and try
again until they succeed. Then a process is killed, or the database or the store goes away and
comes back, or the disk is full. Afterwards every acknowledged document must be there and be intact,
and no row without its document. `tests/test_failures.py` does the same in seconds.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from bench import machine
from bench.crash import Report, examine, kill_process, submitted
from bench.steady import REGISTERED_BEFORE, SUCCESS, Steady
from tests.postgresql import OwnPostgreSQL, own_postgresql, standby_of
from tests.s3_server import NoServer, Swift, s3_server
from tests.serving import Server, serving
from xds.database.access import Database
from xds.registry import schema

PROCESSES: Final = 2

_AWAY_SECONDS: Final = 4.0
_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 120.0
_DISK: Final = 48 << 20


class NotHere(Exception):
    """This machine lacks what a failure needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server of several processes, and what it depends on."""

    server: Server
    postgresql: OwnPostgreSQL | None
    standby: OwnPostgreSQL | None
    swift: Swift | None
    disk: Path | None
    """A small disk of their own for the documents."""

    def is_ready(self, seconds: float = 3.0) -> bool:
        """Ask one of the processes whether it is ready; no if it does not answer in time."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=seconds)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def is_unready(self, seconds: float = 3.0) -> bool:
        """Tell whether one of the looks in some seconds finds it so.

        A full disk has room for the moment in which a refused document is taken away again.
        """
        end = time.monotonic() + seconds
        while self.is_ready():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def until_ready(self, seconds: float = _READY_SECONDS) -> float:
        """Wait until both processes are ready, and say for how long; infinite if never."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if all(self.is_ready() for _ in range(PROCESSES)):
                return time.monotonic() - began
            time.sleep(_POLL_SECONDS)
        return float("inf")


Breaking = Callable[[Deployment], Callable[[], None]]
"""Breaks something, and returns what mends it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row of the table: what fails, and what that takes."""

    name: str
    told: str
    break_: Breaking
    needs: frozenset[str] = frozenset()
    """Of what it is made: postgresql, standby, s3, disk, audit; else SQLite and a folder."""
    refuses: bool = True
    """Whether submissions are refused while it lasts."""
    unready: bool = True
    """Whether every process says then that it is not ready."""


@dataclass(slots=True)
class Seen:
    """What came of one failure."""

    failure: Failure
    load: Steady
    broken: float = 0.0
    mended: float = 0.0
    was_unready: bool = False
    ready_after: float = 0.0
    """Seconds from the mending until both processes were ready."""
    report: Report = field(default_factory=Report)

    @property
    def problems(self) -> list[str]:
        """Every breach of what is promised."""
        return [*self.load.problems, *self.report.problems]

    def refusals(self) -> dict[str, int]:
        """Count how requests failed from the failure on."""
        counted = self.load.outcomes(self.broken)
        return {
            f"{transaction} {outcome}": number
            for (transaction, outcome), number in sorted(counted.items())
            if outcome != SUCCESS
        }

    def longest(self) -> float:
        """Give the seconds of the answer that took longest, from the failure on."""
        return max((c.seconds for c in self.load.calls if c.ended >= self.broken), default=0.0)

    def again_after(self) -> float:
        """Give the seconds from the mending until the next submission was acknowledged."""
        done = (c.ended for c in self.load.calls if c.outcome in (SUCCESS, REGISTERED_BEFORE))
        return min((at for at in done if at >= self.mended), default=float("inf")) - self.mended

    def lines(self) -> Iterator[str]:
        """Tell all of it."""
        submitted = len(self.load.acknowledged)
        yield f"{self.failure.name}: {self.failure.told}"
        yield f"    acknowledged {submitted} documents, registered {self.report.registered}"
        for refusal, number in self.refusals().items():
            yield f"    {number:5} x {refusal}"
        yield (
            f"    longest answer {self.longest():.1f} s; after the mending, acknowledged again in "
            f"{self.again_after():.1f} s and all ready in {self.ready_after:.1f} s"
        )
        yield f"    {self.report.swept} files without a row, swept"
        yield from (f"    WRONG: {problem}" for problem in self.problems[:20])
        yield "" if self.problems else "    every acknowledged document is found, intact\n"


def main(folder: Path, names: Sequence[str] = ()) -> None:
    """Let everything fail once, below a folder, and exit with 1 if a promise is broken."""
    click.echo(f"{machine.describe()}; {PROCESSES} processes, clients on the same processors\n")
    broken = False
    for failure in FAILURES:
        if names and failure.name not in names:
            continue
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as work:
                seen = run(failure, Path(work))
        except NotHere as reason:
            click.echo(f"{failure.name}: not tried, {reason}\n")
            continue
        click.echo("\n".join(seen.lines()))
        broken = broken or bool(seen.problems)
    raise SystemExit(1 if broken else 0)


def run(failure: Failure, folder: Path, seconds: float = _AWAY_SECONDS, clients: int = 1) -> Seen:
    """Let one thing fail for some seconds under load, mend it, and examine what is left."""
    with deployment(failure.needs, folder) as deployed:
        seen = Seen(failure, Steady(deployed.server.url))
        with seen.load.running(clients):
            _require(seen, "before the failure")
            seen.broken = time.monotonic()
            mend = failure.break_(deployed)
            try:
                if failure.refuses and not seen.load.wait_for_refusal():
                    seen.load.problems.append("no submission is refused")
                time.sleep(seconds)
                seen.was_unready = deployed.is_unready()
            finally:
                mend()
            seen.mended = time.monotonic()
            seen.ready_after = deployed.until_ready()
            _require(seen, "after it was mended")
        if failure.refuses and failure.unready and not seen.was_unready:
            seen.load.problems.append("/health/ready did not tell it")
        seen.load.problems.extend(filter(None, [verified(deployed.server)]))
        seen.report.acknowledged = submitted(seen.load.acknowledged)
        deployed.server.stop()
        examine(deployed.server.config, seen.report)
        return seen


def _require(seen: Seen, when: str) -> None:
    for transaction in ("ITI-41", "ITI-105", "ITI-18", "ITI-43", "ITI-67"):
        if not seen.load.wait_for(3, transaction):
            seen.load.problems.append(f"{transaction} does not succeed {when}")


def verified(server: Server) -> str:
    """Have `xds verify` look at everything, while the server serves; give what it finds wrong."""
    config = server.config
    given = {"data": str(config.data), "database": server.database}
    given |= {"documents": config.documents_url}
    given |= {"documents_options": config.documents_options or ""}
    environment = os.environ | {f"XDS_{name.upper()}": value for name, value in given.items()}
    done = subprocess.run(
        [sys.executable, "-m", "xds", "verify"], env=environment, capture_output=True, text=True
    )
    return f"xds verify: {done.stdout[-500:]}{done.stderr[-500:]}" if done.returncode else ""


# --- what fails ----------------------------------------------------------------------------------


def _kill(deployed: Deployment) -> Callable[[], None]:
    kill_process(deployed.server.process.pid)
    deployed.server.process.wait()
    return lambda: None  # the others do its work


def _stop(mode: str) -> Breaking:
    def break_(deployed: Deployment) -> Callable[[], None]:
        assert deployed.postgresql is not None
        deployed.postgresql.stop(mode)
        return deployed.postgresql.start

    return break_


def _fail_over(deployed: Deployment) -> Callable[[], None]:
    """Lose the primary for good; what mends it is the standby that takes over."""
    assert deployed.postgresql is not None
    assert deployed.standby is not None
    deployed.postgresql.stop("immediate")
    return deployed.standby.promote


def _freeze(deployed: Deployment) -> Callable[[], None]:
    """Stop the processes of PostgreSQL in the midst of what they do, as a dead disk does."""
    assert deployed.postgresql is not None
    pid = int((deployed.postgresql.folder / "data" / "postmaster.pid").read_text().split()[0])
    frozen = machine.family(pid)
    _signal(frozen, signal.SIGSTOP)
    return lambda: _signal(frozen, signal.SIGCONT)


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _take_store_away(deployed: Deployment) -> Callable[[], None]:
    assert deployed.swift is not None
    deployed.swift.stop()
    return deployed.swift.start


def _fill(deployed: Deployment) -> Callable[[], None]:
    """Fill the disk, and fill it again whenever something comes free."""
    assert deployed.disk is not None
    full, filler = threading.Event(), deployed.disk / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            while not full.wait(0.01):
                with suppress(OSError):
                    left = os.statvfs(deployed.disk or "").f_bavail
                    file.write(b"\0" * 4096 * left)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()

    def mend() -> None:
        full.set()
        filling.join()
        filler.unlink()

    return mend


_PG: Final = frozenset({"postgresql"})
FAILURES: Final = (
    Failure("kill", "one of two processes is killed (SIGKILL)", _kill, _PG, refuses=False),
    Failure("stop", "PostgreSQL is stopped (fast) and started", _stop("fast"), _PG),
    Failure("crash", "PostgreSQL is stopped (immediate) and started", _stop("immediate"), _PG),
    Failure("freeze", "PostgreSQL stands still for a minute and more", _freeze, _PG),
    Failure("failover", "the primary is lost, its standby promoted", _fail_over, _PG | {"standby"}),
    Failure("store", "the object store is ended and started", _take_store_away, _PG | {"s3"}),
    Failure("disk", "the disk for documents is full for a while", _fill, _PG | {"disk"}),
    Failure("one-disk", "the disk of SQLite and documents is full", _fill, frozenset({"disk"})),
    Failure(
        "audit-disk",
        "the disk of SQLite, documents and the records of audit is full",
        _fill,
        frozenset({"disk", "audit"}),
    ),
)


# --- what it fails for ---------------------------------------------------------------------------


@contextmanager
def deployment(needs: frozenset[str], folder: Path) -> Iterator[Deployment]:
    """Serve on what a failure needs; NotHere where it cannot be had."""
    data = folder / "data"
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(folder / "disk")) if "disk" in needs else None
        swift, options = stack.enter_context(_documents(needs, disk))
        postgresql = standby = None
        if "postgresql" in needs:
            postgresql = stack.enter_context(own_postgresql())
            options = {**options, "database": _migrated(postgresql.create("xds"))}
        if postgresql is not None and "standby" in needs:
            standby = stack.enter_context(standby_of(postgresql))
            options = {**options, "database": _of_either(postgresql, standby)}
        elif disk is not None:
            data = disk / "data"
        if "audit" in needs:
            options = {**options, "audit": "on"}
        server = stack.enter_context(serving(data, options, processes=PROCESSES))
        yield Deployment(server, postgresql, standby, swift, disk)


def _of_either(one: OwnPostgreSQL, other: OwnPostgreSQL) -> str:
    hosts = f"host=127.0.0.1:{one.port}&host=127.0.0.1:{other.port}"
    return f"postgresql://postgres@/xds?{hosts}&target_session_attrs=read-write"


def _migrated(url: str) -> str:
    database = Database(url)
    schema.migrate(database)
    database.close()
    return url


@contextmanager
def _documents(
    needs: frozenset[str], disk: Path | None
) -> Iterator[tuple[Swift | None, Mapping[str, str]]]:
    if "s3" in needs:
        try:
            with s3_server() as s3:
                if s3.server is None:
                    raise NotHere("the object store is another's, and is not to be stopped")
                options = {"documents": s3.fresh_url(), "documents_options": s3.option_text}
                yield s3.server, options
        except NoServer as reason:
            raise NotHere(str(reason)) from None
    elif disk is not None and "postgresql" in needs:
        yield None, {"documents": (disk / "documents").as_uri()}
    else:
        yield None, {}


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes."""
    folder.mkdir(parents=True)
    if os.geteuid() or not shutil.which("mount"):
        raise NotHere("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "xds-small-disk", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise NotHere("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
