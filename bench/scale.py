"""`make bench-scale`, which is `python -m bench.scale`: a registry of a million entries.

A PostgreSQL of its own, which writes through to the disk, has two databases: a small one and a
large one, both filled by `xds load`. A server of this project serves each of them; the clients, the
servers and PostgreSQL share the processors of this machine. All of it is gone in the end. The large
one gets a history at last, and each page of the console is opened.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import click
import psycopg

from bench import console_pages, machine
from bench.calls import Query, Submit
from bench.cases import rate, reading
from bench.clients import Clients, Load, clients
from bench.deployment import CLIENTS, DOCUMENT_BYTES, SETTINGS, Deployment
from bench.figures import Figure, Measure, Result, head, row
from bench.load import history
from bench.load.audit_history import Known
from bench.load.history import History
from bench.load.random_values import FIRST_ID
from bench.yardsticks import blocks_of, plain_wsgi, write_and_sync
from tests.postgresql import OwnPostgreSQL, own_postgresql
from tests.serving import serving
from xds.config import Config
from xds.database.access import Database
from xds.metadata import vocabulary as v

_FEW: Final = (8, 8)
_MANY: Final = (46, 54)
_ASKED: Final = 400
_ONE_PATIENT: Final = ("9979999999",)
_WRITES: Final = 500
_SECONDS_OF_A_PAGE: Final = 1.0
_TPS: Final = re.compile(r"tps = ([0-9.]+)")
_FOUND: Final = """
    SELECT patient_id, count(*) FROM document_entry JOIN patient ON patient.pk = patient
    WHERE availability_status = 0 AND object_type = 0 GROUP BY patient_id
    HAVING count(*) BETWEEN %s AND %s ORDER BY md5(patient_id) LIMIT %s
"""
"""Some patients by the number of their approved documents, from everywhere in the table."""


def _share(title: str, goal: float) -> Measure:
    return Measure(title=title, unit="", goal=goal)


def _at_rate(title: str, goal: float) -> Measure:
    return Measure(title=title, unit="/s", goal=goal)


ITI41: Final = _at_rate("ITI-41, 10 KB", 150)
ITI42: Final = _at_rate("ITI-42", 250)
FEW: Final = _at_rate("ITI-18 LeafClass, 8 entries", 400)
MANY: Final = _at_rate("ITI-18 LeafClass, 50 entries", 150)
GROWN_FEW: Final = _share("the same, large against small: 8", 0.8)
GROWN_MANY: Final = _share("the same, large against small: 50", 0.8)
ONE_PATIENT: Final = _share("ITI-42, one patient against spread", 0.8)
TWO_WORKERS: Final = _share("ITI-42, two workers against one", 1.7)
SIZE: Final = Measure(title="database for each entry", unit="B", goal=4096, at_most=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """What the measures are made on."""

    postgresql: OwnPostgreSQL
    clients: Clients
    plain_url: str
    folder: Path
    seconds: float
    patients: int

    @contextmanager
    def served(
        self, name: str, workers: int | None = None, more: Mapping[str, str] | None = None
    ) -> Iterator[Deployment]:
        """Serve one of the databases."""
        options = {"database": self.postgresql.database(name), "log_level": "warning"}
        options |= {"workers": str(workers or Config().workers), **(more or {})}
        with serving(self.folder / f"served-{name}-{workers}", options) as server:
            yield Deployment(server, self.plain_url, self.clients, self.folder, self.seconds)

    def pgbench(self, *arguments: str) -> float:
        """Return the transactions of pgbench in a second, by as many clients."""
        program = self.postgresql.programs / "pgbench"
        url = self.postgresql.database("pgbench")
        shared = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", str(max(round(self.seconds), 1))]
        done = subprocess.run(
            [program, *shared, *arguments, url], capture_output=True, text=True, check=True
        )
        found = _TPS.search(done.stdout)
        assert found is not None, done.stdout
        return float(found[1])

    def commits(self, _: Deployment, __: Sequence[Load]) -> float:
        """The yardstick of submissions: pgbench's simple-update, each of one commit."""
        return self.pgbench("-N")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--entries", default=1_000_000, show_default=True, help="Of the large database.")
@click.option("--small", default=70_000, show_default=True, help="Entries of the small one.")
@click.option("--patients", default=10_000, show_default=True, help="Who submissions are for.")
@click.option("--rounds", default=3, show_default=True, help="How often to measure each thing.")
@click.option("--seconds", default=3.0, show_default=True, help="How long each load lasts.")
@click.option(
    "--folder",
    default="build",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to make the folder for all data, which is removed at the end; a disk with 8 KB "
    "of room for each entry, and 4 KB for each audit record.",
)
@click.option("--records", default=1_000_000, show_default=True, help="Audit records of a day.")
@click.option("--only-pages", is_flag=True, help="Measure the pages of the console alone.")
def main(
    entries: int,
    small: int,
    patients: int,
    rounds: int,
    seconds: float,
    folder: Path,
    records: int,
    only_pages: bool,
) -> None:
    """Measure what a large registry on PostgreSQL does, what two workers do against one, and pages.

    "reached" is the median of all rounds. The yardstick is measured in the same rounds: for
    submissions, what pgbench commits on the same server with as many clients; for queries, a bare
    WSGI application that takes and gives as many bytes.

    Each page of the console is opened by one client for a second, one after the other. "reached" is
    the median of how long it waits, "server" the processor time of the server and of PostgreSQL;
    the yardstick is a bare WSGI application's answer of as many bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    disk = machine.require_disk(folder)
    click.echo(f"{machine.describe()}; {disk}; {CLIENTS} client processes; {rounds} rounds")
    began, foreign = time.monotonic(), machine.foreign_seconds()
    with _stage(folder, seconds, patients) as stage:
        if not only_pages:
            _load(stage, "small", small)
        _load(stage, "large", entries)
        click.echo(_plain(stage))
        if not only_pages:
            click.echo(head())
            for result in _results(stage, entries, rounds):
                click.echo(row(result))
        known = _have_history(stage, records)
        click.echo(head())
        for result in _pages(stage, known):
            click.echo(row(result))
    elapsed = time.monotonic() - began
    share = (machine.foreign_seconds() - foreign) / (elapsed * machine.processors())
    click.echo(f"{elapsed:.0f} s; other processes used {share:.0%} of the processors")


@contextmanager
def _stage(folder: Path, seconds: float, patients: int) -> Iterator[Stage]:
    with ExitStack() as stack:
        work = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="bench-scale-"))
        )
        work.chmod(0o755)  # PostgreSQL runs as another user where this is run by root
        postgresql = stack.enter_context(own_postgresql(SETTINGS, work))
        plain_url, _ = stack.enter_context(plain_wsgi(work, Config().workers, Config().threads))
        stage = Stage(
            postgresql, stack.enter_context(clients(CLIENTS)), plain_url, work, seconds, patients
        )
        postgresql.create("pgbench")
        stage_url = postgresql.database("pgbench")
        subprocess.run(
            [postgresql.programs / "pgbench", "-i", "-q", "-s", "10", stage_url],
            check=True,
            capture_output=True,
        )
        yield stage


def _load(stage: Stage, name: str, entries: int) -> None:
    """Fill a database, and say how long it took."""
    url = stage.postgresql.create(name)
    began = time.monotonic()
    for command in (["migrate"], ["load", "--entries", str(entries)]):
        arguments = [sys.executable, "-m", "xds", *command, "--database", url]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    size = _size(stage, name)
    click.echo(
        f"{name}: {entries:,} entries in {time.monotonic() - began:.0f} s, {size / 1e9:.2f} GB"
    )


def _size(stage: Stage, name: str) -> int:
    return int(_asked(stage, "postgres", "SELECT pg_database_size(%s)", name)[0][0])


def _asked(stage: Stage, name: str, query: str, *values: object) -> list[tuple[int | str, int]]:
    with psycopg.connect(stage.postgresql.database(name)) as connection:
        return connection.execute(query.encode(), values).fetchall()


def _plain(stage: Stage) -> str:
    """Tell what the machine does without this project."""
    place = stage.folder / "plain"
    place.mkdir()
    data = bytes(DOCUMENT_BYTES)
    began = time.perf_counter()
    for number in range(_WRITES):
        write_and_sync(place / str(number), [data])
    written = time.perf_counter()
    for number in range(_WRITES):
        for _ in blocks_of(place / str(number)):
            pass
    read = time.perf_counter()
    return (
        f"pgbench, {CLIENTS} clients: {stage.pgbench('-N'):,.0f} commits/s, "
        f"{stage.pgbench('-S'):,.0f} reads/s; files of 10 KB, one by one: "
        f"{_WRITES / (written - began):,.0f} written and fsynced/s, "
        f"{_WRITES / (read - written):,.0f} read/s"
    )


def _results(stage: Stage, entries: int, rounds: int) -> Iterator[Result]:
    with stage.served("small") as small, stage.served("large") as large:
        yield from _queries(stage, small, large, rounds)
        yield from _submissions(stage, large, rounds)
    yield from _workers(stage, rounds)
    size = (_size(stage, "large") - _size(stage, "template1")) / entries
    yield Result(SIZE, [Figure(size, 0)])


def _queries(stage: Stage, small: Deployment, large: Deployment, rounds: int) -> Iterator[Result]:
    """Ask both by turns, so that what else the machine does meets both."""
    for measure, grown, between in ((FEW, GROWN_FEW, _FEW), (MANY, GROWN_MANY, _MANY)):
        of_small, of_large = (_patients(stage, name, between) for name in ("small", "large"))
        figures: list[tuple[Figure, Figure]] = []
        for _ in range(rounds):
            (one,) = rate(partial(_query, of_small), reading, small)
            (other,) = rate(partial(_query, of_large), reading, large)
            figures.append((one, other))
        yield Result(measure, [figure for _, figure in figures])
        yield Result(grown, [Figure(large.value / small.value, 0) for small, large in figures])


def _patients(stage: Stage, name: str, between: tuple[int, int]) -> Mapping[str, int]:
    found = _asked(stage, name, _FOUND, *between, _ASKED)
    return {str(patient_id): int(count) for patient_id, count in found}


def _query(patients: Mapping[str, int], deployment: Deployment) -> Query:
    return Query(deployment.url, patients, v.LEAF_CLASS)


def _submissions(stage: Stage, large: Deployment, rounds: int) -> Iterator[Result]:
    spread = _spread(stage)
    documents: list[Figure] = []
    metadata: list[Figure] = []
    of_one: list[Figure] = []
    for _ in range(rounds):
        documents += rate(lambda d: _submit(d, spread, documents=True), stage.commits, large)
        metadata += rate(lambda d: _submit(d, spread), stage.commits, large)
        (one,) = rate(lambda d: _submit(d, _ONE_PATIENT), lambda *_: 0, large)
        of_one.append(Figure(one.value / metadata[-1].value, 0))
    yield Result(ITI41, documents)
    yield Result(ITI42, metadata)
    yield Result(ONE_PATIENT, of_one)


def _spread(stage: Stage) -> Sequence[str]:
    return [str(FIRST_ID + number) for number in range(stage.patients)]


def _submit(deployment: Deployment, patients: Sequence[str], *, documents: bool = False) -> Submit:
    return Submit(deployment.url, DOCUMENT_BYTES, documents, patients)


def _workers(stage: Stage, rounds: int) -> Iterator[Result]:
    """Register: of all that is measured here the clients have least to do with it."""
    figures = []
    with stage.served("large", 1) as one, stage.served("large", 2) as two:
        for _ in range(rounds):
            (alone,) = rate(lambda d: _submit(d, _spread(stage)), lambda *_: 0, one)
            (both,) = rate(lambda d: _submit(d, _spread(stage)), lambda *_: 0, two)
            figures.append(Figure(both.value / alone.value, 0, both.effort))
    yield Result(TWO_WORKERS, figures)


# --- pages of the console ------------------------------------------------------------------------


def _have_history(stage: Stage, records: int) -> Known:
    """Have much happen at the large registry, and say how long that took."""
    began = time.monotonic()
    amount = History(records=records, of_one=max(records // 50, 1))
    database = Database(stage.postgresql.database("large"), patience=None)
    try:
        known = history.fill(database, amount, lambda _: None)
        console_pages.make_account(database)
    finally:
        database.close()
    click.echo(
        f"{records:,} audit records, {amount.messages:,} messages, {amount.outbound:,} for "
        f"destinations, {amount.waiting:,} that wait, {amount.subscriptions:,} subscriptions in "
        f"{time.monotonic() - began:.0f} s"
    )
    return known


def _pages(stage: Stage, known: Known) -> Iterator[Result]:
    database = Database(stage.postgresql.database("large"))
    try:
        with stage.served("large", 1, console_pages.options(stage.folder)) as served:
            timed = replace(
                served, seconds=_SECONDS_OF_A_PAGE, database_process=stage.postgresql.pid
            )
            yield from console_pages.results(timed, database, known)
    finally:
        database.close()


if __name__ == "__main__":
    main(prog_name="python -m bench.scale")
