"""What is measured: a server on an empty data folder, the clients, and bare WSGI beside them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from bench import machine, messages, samples
from bench.clients import Clients, clients
from bench.messages import Message
from bench.wire import Wire
from bench.yardsticks import plain_wsgi
from tests.serving import Server, serving
from xds.config import Config
from xds.metadata import vocabulary as v

CLIENTS: Final = 4
DOCUMENT_BYTES: Final = 10_000
ENTRIES: Final = 50
MANY_ENTRIES: Final = 1_000

_PATIENTS: Final = 20
_DOCUMENTS: Final = 400
_A_SUBMISSION: Final = 50


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

    @property
    def url(self) -> str:
        """The root of the server."""
        return self.server.url

    @cached_property
    def processes(self) -> Sequence[int]:
        """The server's processes."""
        return machine.family(self.server.process.pid)

    @cached_property
    def worker(self) -> int:
        """The process that serves."""
        return machine.largest(self.processes)

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
        found = [samples.oid() for _ in range(_DOCUMENTS)]
        patient_id = samples.patient("R1")
        with Wire(self.url) as wire:
            for start in range(0, _DOCUMENTS, _A_SUBMISSION):
                some = found[start : start + _A_SUBMISSION]
                _send(
                    wire,
                    messages.provide_and_register(patient_id, some, data, samples.oid()),
                )
        return found

    def _register(self, patient_id: str, count: int) -> None:
        data = samples.content(DOCUMENT_BYTES)
        with Wire(self.url) as wire:
            for _ in range(0, count, _A_SUBMISSION):
                some = [samples.oid() for _ in range(_A_SUBMISSION)]
                _send(wire, messages.register(patient_id, some, data, samples.oid()))


@contextmanager
def deployment(folder: Path, seconds: float) -> Iterator[Deployment]:
    """Start everything below a folder of its own, and leave nothing of it behind."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".bench-") as work,
        serving(Path(work, "data")) as server,
        plain_wsgi(Path(work), blocking_threads=Config().threads) as (plain_url, _),
        clients(CLIENTS) as ready,
    ):
        yield Deployment(server, plain_url, ready, Path(work), seconds)


def _send(wire: Wire, message: Message) -> None:
    head = wire.head("POST", message.path, message.content_type, len(message.body))
    answer = wire.exchange(head + message.body)
    if f'status="{v.SUCCESS}"'.encode() not in answer:
        raise RuntimeError(answer[:4000].decode(errors="replace"))
