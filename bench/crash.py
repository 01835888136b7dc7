"""The test of crashes: a server killed again and again while it is given documents.

SIGKILL ends supervisor and worker at a random moment of submissions by four clients. A server
started on the same data must then have every document that was acknowledged, and nothing that is
half there but what a sweep removes. `tests/test_crash.py` does it a few times, `python -m bench
crash` as often as the project promises.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from bench import machine, samples
from bench.clients import Clients, clients
from tests.serving import Server, configured, serving
from xds.affinity_domain import AffinityDomain
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    Fingerprint,
    TransportFailed,
)
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.repository import index, maintenance

CLIENTS: Final = 4
KILLS: Final = 10
SUBMISSIONS: Final = 1_000

_PATIENT_ID: Final = samples.patient("C1")
_SMALLEST: Final = 1 << 10
_LARGEST: Final = 1 << 20
_LONGEST_SUBMISSION: Final = 0.05
_POLL_SECONDS: Final = 0.002
_PATIENCE_SECONDS: Final = 120
_A_QUESTION: Final = 100

Acknowledged = Mapping[str, Fingerprint]
"""Documents by their uniqueIds."""


@dataclass(slots=True)
class Report:
    """What the crashes did, and every breach of what is promised."""

    kills: int = 0
    begun: int = 0
    """Submissions sent or half sent."""
    acknowledged: dict[str, Fingerprint] = field(default_factory=dict)
    registered: int = 0
    """Documents that are registered in the end: those that were acknowledged, and perhaps some
    whose acknowledgement a crash cut off."""
    swept: int = 0
    """Files that had no row."""
    problems: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Tell all of it."""
        yield f"{self.kills} kills during {self.begun} submissions"
        yield f"{len(self.acknowledged)} acknowledged, {self.registered} registered"
        yield f"{self.swept} files without a row, swept"
        yield from self.problems or ["every acknowledged document is found, intact, and no more"]


def main(folder: Path) -> None:
    """Run the whole test below a folder, and exit with 1 if a promise is broken."""
    began = time.monotonic()
    seed = random.SystemRandom().randrange(1_000_000)
    click.echo(f"{machine.describe()}; seed {seed}")
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as work:
        report = run(Path(work), kills=KILLS, submissions=SUBMISSIONS, seed=seed)
    click.echo("\n".join(report.lines()))
    click.echo(f"{time.monotonic() - began:.0f} s")
    raise SystemExit(1 if report.problems else 0)


def run(folder: Path, *, kills: int, submissions: int, seed: int) -> Report:
    """Crash a server that often during about as many submissions, and examine what is left."""
    chance = random.Random(seed)
    report = Report()
    data = folder / "data"
    with clients(CLIENTS) as submitters:
        for life in range(kills):
            target = chance.randint(1, 2 * submissions // kills)
            work = Submitting(folder, seed=1_000 * seed + life)
            with serving(data) as server:
                _verify(server, report)
                _crash(server, submitters, work, target, chance, report)
    with serving(data) as server:
        _verify(server, report)
    examine(configured(data), report)
    return report


# --- the clients ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submitting:
    """The work of one client: submissions (ITI-41) until the server is gone."""

    folder: Path
    """Where each client leaves a byte for each submission that it begins."""
    seed: int
    url: str = ""

    def at(self, server: Server) -> "Submitting":
        """Give the work with the place where the server listens."""
        return Submitting(self.folder, self.seed, server.repository_url)

    def __call__(self, number: int) -> Acknowledged:
        """Submit, and give what the server has acknowledged."""
        acknowledged: dict[str, Fingerprint] = {}
        chance = random.Random(10 * self.seed + number)
        with (
            DocumentSource(self.url) as source,
            self.progress(number).open("wb", buffering=0) as progress,
        ):
            while True:
                progress.write(b".")
                try:
                    acknowledged |= _submit(source, chance)
                except TransportFailed:
                    return acknowledged

    def progress(self, number: int) -> Path:
        """Give the file with a byte for each submission that a client has begun."""
        return self.folder / f"progress{number}"

    def begun(self) -> int:
        """Give how many submissions all clients have begun."""
        paths = [self.progress(number) for number in range(CLIENTS)]
        return sum(path.stat().st_size for path in paths if path.exists())


def _submit(source: DocumentSource, chance: random.Random) -> Acknowledged:
    data = chance.randbytes(int(_SMALLEST * (_LARGEST / _SMALLEST) ** chance.random()))
    content = Content(lambda: (data,), len(data))
    told = content.fingerprint()
    # every other source leaves size and hash to the repository
    entry = samples.entry(1, samples.oid(), _PATIENT_ID, told if chance.random() < 0.5 else None)
    submission = samples.submission(_PATIENT_ID, samples.oid(), [entry])
    source.provide_and_register(submission, {entry.id: content})
    return {entry.unique_id or "": told}


# --- the crash -----------------------------------------------------------------------------------


def _crash(
    server: Server,
    submitters: Clients,
    work: Submitting,
    target: int,
    chance: random.Random,
    report: Report,
) -> None:
    """Let clients submit, kill the server in the midst of it, and note what was acknowledged."""
    for number in range(CLIENTS):
        work.progress(number).unlink(missing_ok=True)
    submitters.start(work.at(server))
    until = time.monotonic() + _PATIENCE_SECONDS
    while work.begun() < target and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    time.sleep(chance.uniform(0, _LONGEST_SUBMISSION))
    kill(server)
    for acknowledged in submitters.results():
        report.acknowledged |= acknowledged
    report.kills += 1
    report.begun += work.begun()


def kill(server: Server) -> None:
    """End supervisor and workers by SIGKILL, the supervisor first: it would replace workers."""
    for process in server.processes:
        kill_process(process.pid)
        process.wait()


def kill_process(pid: int) -> None:
    """End one of the processes of a server, with its workers."""
    for one in machine.family(pid):
        os.kill(one, signal.SIGKILL)


# --- what is left --------------------------------------------------------------------------------


def _verify(server: Server, report: Report) -> None:
    """Find and retrieve every acknowledged document through the wire."""
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        asked = list(report.acknowledged)
        for start in range(0, len(asked), _A_QUESTION):
            some = asked[start : start + _A_QUESTION]
            report.problems.extend(_missing(consumer, some))
            report.problems.extend(_changed(consumer, some, report.acknowledged))


def _missing(consumer: DocumentConsumer, unique_ids: Sequence[str]) -> Iterator[str]:
    entries = consumer.get_documents(unique_ids=unique_ids).document_entries
    found = {entry.unique_id for entry in entries}
    return (f"{one} was acknowledged and is not found" for one in unique_ids if one not in found)


def _changed(
    consumer: DocumentConsumer, unique_ids: Sequence[str], acknowledged: Acknowledged
) -> Iterator[str]:
    requests = [DocumentRequest(EXAMPLE_REPOSITORY, one) for one in unique_ids]
    retrieval = consumer.retrieve(requests, allow_partial=True)
    for document in retrieval:
        unique_id = document.document_unique_id
        if document.fingerprint() != acknowledged[unique_id]:
            yield f"{unique_id} was acknowledged and comes back changed"
    for error in retrieval.errors:
        yield f"{error.location} was acknowledged and cannot be retrieved: {error.code}"


def examine(config: Config, report: Report) -> None:
    """Compare registry, index and store of a server that is not running, and sweep."""
    domain = AffinityDomain.open(config)
    try:
        report.problems.extend(_inconsistencies(domain, report))
        report.swept += len(list(maintenance.sweep(domain.repository, older_than=timedelta(0))))
        report.problems.extend(_leftovers(domain))
    finally:
        domain.database.close()


def _inconsistencies(domain: AffinityDomain, report: Report) -> Iterator[str]:
    """Find rows without their document, in the registry and in the repository's index."""
    registered = {
        one.unique_id: Fingerprint(one.size, one.hash)
        for one in domain.registry.stable_documents(domain.repository.unique_id)
    }
    report.registered = len(registered)
    indexed = {}
    for found, damage in maintenance.damages(domain.repository):
        indexed[found.unique_id] = Fingerprint(found.size, found.hash)
        if damage is not None:
            yield f"{damage.unique_id} has a row in the index, but {damage.reason}"
    for unique_id in registered.keys() | indexed.keys():
        if registered.get(unique_id) != indexed.get(unique_id):
            yield f"{unique_id} is not the same in registry and index"
    for unique_id in report.acknowledged.keys() - registered.keys():
        yield f"{unique_id} was acknowledged and has no row"


def _leftovers(domain: AffinityDomain) -> Iterator[str]:
    """Find files that a sweep should have removed, or should have left."""
    kept = {stored.key for stored in domain.repository.store.list()}
    rows = {found.key for found in index.every(domain.database)}
    for key in kept - rows:
        yield f"the file {key} has no row, and a sweep has left it"
    for key in rows - kept:
        yield f"the row of {key} has no file"
    for stored in domain.repository.store.staged_leftovers():
        yield f"the staged file {stored.key} is left over by a sweep"
