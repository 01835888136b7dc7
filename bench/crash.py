"""The test of crashes: a server killed again and again while it is given documents.

SIGKILL ends supervisor and worker at a random moment of submissions by four clients, some of which
are updated (ITI-57; PUT and PATCH by FHIR) or removed (ITI-62 and ITI-86; DELETE by FHIR). A server
started on the same data must then have every document that was acknowledged, in the version that
was acknowledged, and none whose removal was; and nothing that is half there but what a sweep
removes. `tests/test_crash.py` does it a few times, `python -m bench crash` as often as the project
promises.
"""

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import click
from sqlalchemy import or_, select, union_all

from bench import machine, samples
from bench.calls import Unexpected
from bench.clients import Clients, clients
from tests.serving import Server, configured, serving
from xds.affinity_domain import AffinityDomain
from xds.client import (
    Content,
    DocumentAdministrator,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    Fingerprint,
    TransportFailed,
)
from xds.client.administrator import next_version, update_of
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import Submission
from xds.registry.tables import TABLES, association
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

_DANGLING: Final = select(association.c.entry_uuid).where(
    or_(
        *(
            association.c[end].not_in(
                union_all(*(select(table.c.entry_uuid) for table in TABLES.values()))
            )
            for end in ("source", "target")
        )
    )
)
_UPDATED: Final = 0.3
_REMOVED: Final = 0.3
"""Of the documents submitted, the part that is updated, and that is removed."""
_BY_FHIR: Final = 0.5
"""The part of these that is updated and removed by FHIR."""
_OPTIONS: Final = {
    "fhir_delete": "yes",
    "fhir_patch": "yes",
    "fhir_update": "yes",
    "metadata_update": "yes",
    "remove_metadata": "yes",
    "remove_documents": "unreferenced",
}


class Stage(IntEnum):
    """How far a document is on its way out."""

    KEPT = 0
    REMOVING = 1
    """ITI-62 was sent, and not acknowledged: it may have happened or not."""
    REMOVING_BOTH = 2
    """A DELETE was sent, and not acknowledged: it may have happened or not, and never by half."""
    WITHOUT_METADATA = 3
    """ITI-62 was acknowledged. ITI-86 was sent, and may have happened or not."""
    REMOVED = 4
    """ITI-86 was acknowledged, or the DELETE."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a client knows of one document by what the server has acknowledged."""

    fingerprint: Fingerprint
    version: int = 1
    stage: Stage = Stage.KEPT


Acknowledged = Mapping[str, Known]
"""Documents by their uniqueIds."""


def submitted(fingerprints: Mapping[str, Fingerprint]) -> dict[str, Known]:
    """Return what is known of documents that were submitted, and neither updated nor removed."""
    return {unique_id: Known(told) for unique_id, told in fingerprints.items()}


@dataclass(slots=True)
class Report:
    """What the crashes did, and every breach of what is promised."""

    kills: int = 0
    begun: int = 0
    """Submissions sent or half sent."""
    acknowledged: dict[str, Known] = field(default_factory=dict)
    registered: int = 0
    """Documents that are registered in the end: those that were acknowledged and not removed, and
    perhaps some whose acknowledgement a crash cut off."""
    swept: int = 0
    """Files that had no row."""
    problems: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Tell all of it."""
        yield f"{self.kills} kills during {self.begun} submissions"
        yield f"{len(self.acknowledged)} acknowledged, {self.registered} registered"
        known = self.acknowledged.values()
        updated = sum(one.version > 1 for one in known)
        yield f"{updated} updates and {len(self.at(Stage.REMOVED))} removals acknowledged"
        yield f"{self.swept} files without a row, swept"
        yield from self.problems or ["every acknowledged document is found, intact, and no more"]

    def at(self, *stages: Stage) -> Sequence[str]:
        """Return the uniqueIds of the documents at some stages."""
        return [one for one, known in self.acknowledged.items() if known.stage in stages]


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
            with serving(data, _OPTIONS) as server:
                _verify(server, report)
                _crash(server, submitters, work, target, chance, report)
    with serving(data, _OPTIONS) as server:
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
    registry_url: str = ""
    repository_url: str = ""
    fhir_url: str = ""

    def at(self, server: Server) -> "Submitting":
        """Give the work with the place where the server listens."""
        return replace(
            self,
            registry_url=server.registry_url,
            repository_url=server.repository_url,
            fhir_url=f"{server.url}/fhir",
        )

    def __call__(self, number: int) -> Acknowledged:
        """Submit, and give what the server has acknowledged."""
        acknowledged: dict[str, Known] = {}
        chance = random.Random(10 * self.seed + number)
        with (
            DocumentSource(self.repository_url) as source,
            DocumentAdministrator(self.registry_url, self.repository_url) as administrator,
            self.progress(number).open("wb", buffering=0) as progress,
        ):
            client = _Client(source, administrator, self.fhir_url, chance, acknowledged)
            while True:
                progress.write(b".")
                try:
                    client.act()
                except (TransportFailed, OSError, HTTPException):
                    return acknowledged

    def progress(self, number: int) -> Path:
        """Give the file with a byte for each submission that a client has begun."""
        return self.folder / f"progress{number}"

    def begun(self) -> int:
        """Give how many submissions all clients have begun."""
        paths = [self.progress(number) for number in range(CLIENTS)]
        return sum(path.stat().st_size for path in paths if path.exists())


@dataclass(frozen=True, slots=True)
class _Client:
    """One client, and what it knows of its documents: noted before and after each request."""

    source: DocumentSource
    administrator: DocumentAdministrator
    fhir_url: str
    chance: random.Random
    acknowledged: dict[str, Known]

    def act(self) -> None:
        """Submit one document, and perhaps update it, and perhaps remove it."""
        submission, told = self._submit()
        (entry,) = submission.document_entries
        is_updated, is_removed = self._is(_UPDATED), self._is(_REMOVED)
        if self._is(_BY_FHIR):
            if is_updated:
                self._update_by_fhir(entry)
            if is_removed:
                self._remove_by_fhir(entry)
            return
        objects = [one.id for one in submission.objects]
        if is_updated:
            objects += self._update(entry, told)
        if is_removed:
            self._remove(entry, objects)

    def _is(self, part: float) -> bool:
        return self.chance.random() < part

    def _submit(self) -> tuple[Submission, Fingerprint]:
        size = int(_SMALLEST * (_LARGEST / _SMALLEST) ** self.chance.random())
        data = self.chance.randbytes(size)
        content = Content(lambda: (data,), len(data))
        told = content.fingerprint()
        # every other source leaves size and hash to the repository
        given = told if self.chance.random() < 0.5 else None
        entry = samples.entry(1, samples.oid(), _PATIENT_ID, given)
        submission = samples.submission(_PATIENT_ID, samples.oid(), [entry]).with_uuids()
        (entry,) = submission.document_entries
        self.source.provide_and_register(submission, {entry.id: content})
        self.acknowledged[entry.unique_id or ""] = Known(told)
        return submission, told

    def _update(self, entry: DocumentEntry, told: Fingerprint) -> Sequence[str]:
        """Register a second version, and return the entryUUIDs of what came with it."""
        registered = entry.updated(
            repository_unique_id=EXAMPLE_REPOSITORY, size=str(told.size), hash=told.hash
        )
        new = next_version(registered, title="Corrected")
        submission = update_of(registered, new, unique_id=samples.oid()).with_uuids()
        self.administrator.update(submission)
        self._note(entry, version=2)
        return [one.id for one in submission.objects]

    def _remove(self, entry: DocumentEntry, objects: Sequence[str]) -> None:
        self._note(entry, stage=Stage.REMOVING)
        self.administrator.remove_metadata(objects)
        self._note(entry, stage=Stage.WITHOUT_METADATA)
        request = DocumentRequest(EXAMPLE_REPOSITORY, entry.unique_id or "")
        self.administrator.remove_documents([request])
        self._note(entry, stage=Stage.REMOVED)

    def _update_by_fhir(self, entry: DocumentEntry) -> None:
        """Change its description, by a PUT of what was read or by a patch."""
        if self._is(0.5):
            resource = json.loads(self._asked("GET", entry))
            resource["description"] = "Corrected"
            self._asked("PUT", entry, resource)
        else:
            patch = [{"op": "add", "path": "/description", "value": "Corrected"}]
            self._asked("PATCH", entry, patch, "application/json-patch+json")
        self._note(entry, version=2)

    def _remove_by_fhir(self, entry: DocumentEntry) -> None:
        self._note(entry, stage=Stage.REMOVING_BOTH)
        self._asked("DELETE", entry)
        self._note(entry, stage=Stage.REMOVED)

    def _asked(
        self,
        method: str,
        entry: DocumentEntry,
        body: object = None,
        media_type: str = "application/fhir+json",
    ) -> bytes:
        """Send a request about its DocumentReference; Unexpected where it is refused."""
        url = f"{self.fhir_url}/DocumentReference/{entry.id.removeprefix('urn:uuid:')}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data, {"Content-Type": media_type}, method=method)
        try:
            with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            raise Unexpected(error.read()) from None

    def _note(self, entry: DocumentEntry, **more: Any) -> None:
        unique_id = entry.unique_id or ""
        self.acknowledged[unique_id] = replace(self.acknowledged[unique_id], **more)


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
    """Find and retrieve through the wire what was acknowledged, and nothing that was removed."""
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        asked = list(report.acknowledged)
        for start in range(0, len(asked), _A_QUESTION):
            some = {one: report.acknowledged[one] for one in asked[start : start + _A_QUESTION]}
            versions = _versions(consumer, some)
            report.problems.extend(_misregistered(versions, some))
            report.problems.extend(_misplaced(consumer, versions, some))


def _versions(consumer: DocumentConsumer, some: Acknowledged) -> Mapping[str, int]:
    """Return the latest version of each document that is registered, by its uniqueId."""
    found: dict[str, int] = {}
    response = consumer.stored_query(
        v.GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": list(some), "$MetadataLevel": 2}
    )
    for entry in response.document_entries:
        unique_id = entry.unique_id or ""
        found[unique_id] = max(found.get(unique_id, 0), int(entry.version or 1))
    return found


def _misregistered(versions: Mapping[str, int], some: Acknowledged) -> Iterator[str]:
    for unique_id, known in some.items():
        version = versions.get(unique_id, 0)
        if known.stage is Stage.KEPT and version < known.version:
            yield f"version {known.version} of {unique_id} was acknowledged and is not found"
        if known.stage >= Stage.WITHOUT_METADATA and version:
            yield f"{unique_id} was removed, and is registered again"


def _misplaced(
    consumer: DocumentConsumer, versions: Mapping[str, int], some: Acknowledged
) -> Iterator[str]:
    requests = [DocumentRequest(EXAMPLE_REPOSITORY, one) for one in some]
    retrieval = consumer.retrieve(requests, allow_partial=True)
    for document in retrieval:
        known = some[document.document_unique_id]
        if known.stage is Stage.REMOVED:
            yield f"{document.document_unique_id} was removed, and is retrieved"
        if known.stage is Stage.REMOVING_BOTH and document.document_unique_id not in versions:
            yield f"{document.document_unique_id} was removed by half: it is retrieved"
        if document.fingerprint() != known.fingerprint:
            yield f"{document.document_unique_id} was acknowledged and comes back changed"
    for error in retrieval.errors:
        if some[error.location or ""].stage < Stage.REMOVING_BOTH:
            yield f"{error.location} was acknowledged and cannot be retrieved: {error.code}"
        if some[error.location or ""].stage is Stage.REMOVING_BOTH and error.location in versions:
            yield f"{error.location} was removed by half: it is registered"


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
    on_the_way = report.at(Stage.REMOVING, Stage.REMOVING_BOTH, Stage.WITHOUT_METADATA)
    for unique_id in (registered.keys() | indexed.keys()).difference(on_the_way):
        if registered.get(unique_id) != indexed.get(unique_id):
            yield f"{unique_id} is not the same in registry and index"
    for unique_id in on_the_way:
        if unique_id in registered and unique_id not in indexed:
            yield f"{unique_id} is registered, and its document is removed"
    for unique_id in set(report.at(Stage.KEPT)) - registered.keys():
        yield f"{unique_id} was acknowledged and has no row"
    for unique_id in set(report.at(Stage.REMOVED)) & (registered.keys() | indexed.keys()):
        yield f"{unique_id} was removed and has a row"
    with domain.database.read() as connection:
        for entry_uuid in connection.scalars(_DANGLING):
            yield f"Association {entry_uuid} joins what is not registered"


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
