"""What is measured: a server on an empty data folder, the clients, and bare WSGI beside them."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from bench import machine, samples
from bench.buckets import Bucket, bucket
from bench.clients import Clients, clients
from bench.trust import NO_TRUST, Trust
from bench.trust import make as make_trust
from bench.yardsticks import plain_wsgi
from tests.postgresql import own_postgresql
from tests.serving import Server, serving
from xds.client import Content, DocumentConsumer, DocumentSource, Fingerprint
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.database.access import Database
from xds.metadata.submission import Submission
from xds.registry import schema

CLIENTS: Final = 4
DOCUMENT_BYTES: Final = 10_000
ENTRIES: Final = 50
MANY_ENTRIES: Final = 1_000
GIGABYTE: Final = 1 << 30

_PATIENTS: Final = 20
_DOCUMENTS: Final = 400
_A_SUBMISSION: Final = 50
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Deployment:
    """A server and everything about it; what it must hold is registered when first asked for."""

    server: Server
    plain_url: str
    """The bare WSGI application under the same settings."""
    clients: Clients
    folder: Path
    """Where to write what belongs to the measurement, on the disk of the server's data."""
    seconds: float
    """How long to measure a load, each time."""
    bucket: Bucket | None = None
    """Where the server keeps its documents, if not in its data folder."""
    trust: Trust = NO_TRUST
    database_process: int | None = None
    """The process of its PostgreSQL, where the time of that counts as the server's."""

    @property
    def url(self) -> str:
        """The root of the server."""
        return self.server.url

    @property
    def processes(self) -> Sequence[int]:
        """The server's processes."""
        beside = self.database_process
        return machine.family(self.server.process.pid) + (machine.family(beside) if beside else [])

    @cached_property
    def patient_ids(self) -> Sequence[str]:
        """Patients with 50 entries each."""
        found = [samples.patient(f"Q{number}") for number in range(_PATIENTS)]
        for patient_id in found:
            self._register(patient_id, ENTRIES)
        return found

    @cached_property
    def large_patient_id(self) -> str:
        """A patient with 1,000 entries."""
        patient_id = samples.patient("L1")
        self._register(patient_id, MANY_ENTRIES)
        return patient_id

    @cached_property
    def unique_ids(self) -> Sequence[str]:
        """Documents that can be retrieved."""
        data = samples.content(DOCUMENT_BYTES)
        return [
            unique_id
            for _ in range(0, _DOCUMENTS, _A_SUBMISSION)
            for unique_id in self._provide(samples.patient("R1"), data)
        ]

    @cached_property
    def gigabyte(self) -> Path:
        """A document of 1 GB."""
        path = self.folder / "gigabyte"
        block = samples.content(_BLOCK)
        with path.open("xb", buffering=0) as file:
            for _ in range(0, GIGABYTE, _BLOCK):
                file.write(block)
        return path

    def source(self) -> DocumentSource:
        """Give a client that submits."""
        return DocumentSource(
            self.server.repository_url, self.server.registry_url, settings=self.trust.settings
        )

    def consumer(self) -> DocumentConsumer:
        """Give a client that asks and retrieves."""
        return DocumentConsumer(
            self.server.registry_url, self.server.repository_url, settings=self.trust.settings
        )

    def _provide(self, patient_id: str, data: bytes) -> Sequence[str]:
        content = Content(lambda: (data,), len(data))
        submission = _submission(patient_id, content.fingerprint())
        with self.source() as source:
            source.provide_and_register(
                submission, {entry.id: content for entry in submission.document_entries}
            )
        return [entry.unique_id or "" for entry in submission.document_entries]

    def _register(self, patient_id: str, count: int) -> None:
        told = Content((samples.content(DOCUMENT_BYTES),)).fingerprint()
        with self.source() as source:
            for _ in range(0, count, _A_SUBMISSION):
                source.register(_submission(patient_id, told, EXAMPLE_REPOSITORY))


def _submission(
    patient_id: str, told: Fingerprint, repository_unique_id: str | None = None
) -> Submission:
    entries = [
        samples.entry(
            number, samples.oid(), patient_id, told, repository_unique_id=repository_unique_id
        )
        for number in range(_A_SUBMISSION)
    ]
    return samples.submission(patient_id, samples.oid(), entries)


OWN_POSTGRESQL: Final = "postgresql"
"""In place of a URL: start a PostgreSQL for the run, which writes through to the disk."""
SETTINGS: Final = {"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


@contextmanager
def deployment(
    folder: Path, seconds: float, database: str | None = None, documents: str | None = None
) -> Iterator[Deployment]:
    """Start everything below a folder of its own, and leave nothing of it behind.

    What is registered in a database of a given URL stays there.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="bench-") as work,
        _database(folder, database) as options,
        bucket(documents) as place,
        serving(Path(work, "data"), {**options, **workers(), **_of(place)}) as server,
        plain_wsgi(Path(work), Config().workers, Config().threads) as (plain_url, _),
        clients(CLIENTS) as ready,
    ):
        yield Deployment(server, plain_url, ready, Path(work), seconds, place)


def workers() -> Mapping[str, str]:
    """As many workers as a server has that is told nothing, and as the yardstick has."""
    return {"workers": str(Config().workers)}


def _of(place: Bucket | None) -> Mapping[str, str]:
    return place.options if place else {}


@contextmanager
def _database(folder: Path, database: str | None) -> Iterator[Mapping[str, str]]:
    """Give the options of a server on a database, which is brought up to date."""
    with ExitStack() as stack:
        if database == OWN_POSTGRESQL:
            database = stack.enter_context(own_postgresql(SETTINGS, folder)).create("xds")
        if database is None:
            yield {}
            return
        opened = Database(database)
        schema.migrate(opened)
        opened.close()
        yield {"database": database}


@contextmanager
def trusted(deployed: Deployment) -> Iterator[Deployment]:
    """Start a second server beside one, which trusts nobody; the clients are the same."""
    with tempfile.TemporaryDirectory(dir=deployed.folder.parent, prefix="bench-") as work:
        trust, options = make_trust(Path(work, "trust"))
        with serving(Path(work, "data"), {**workers(), **options}) as server:
            yield replace(deployed, server=server, folder=Path(work), trust=trust)
