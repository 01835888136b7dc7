"""What an update of one entry costs (ITI-57, PUT), beside a registration of one (ITI-42, 65)."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench import fhir, machine, messages, samples
from bench.calls import Submit, Unexpected, exchange, is_success
from bench.clients import Call
from bench.deployment import DOCUMENT_BYTES, Deployment, workers
from bench.figures import Figure
from bench.messages import Request
from bench.trust import NO_TRUST
from tests.serving import Server, serving
from xds.client import Content, DocumentSource
from xds.config import EXAMPLE_REPOSITORY
from xds.metadata import ebrim
from xds.metadata.objects import Association, DocumentEntry
from xds.outgoing.transport import HttpEndpoint

_DOCUMENTS: Final = 100
_TURNS: Final = 6
_MILLISECONDS: Final = 1_000
_VERSION: Final = "VERSION"
"""Stands for the number of the version before."""


@dataclass(frozen=True, slots=True)
class Update:
    """Updates of the one entry of a submission each, which go round all documents of a client."""

    url: str

    def __call__(self, number: int) -> Call:
        """Register the documents, and make the message, whose ids change from call to call."""
        entries = list(self._registered(samples.patient(f"V{number}")))
        first, submission_set = entries[0], samples.oid()
        request = _request(first, submission_set)
        endpoint = HttpEndpoint(self.url + request.path, NO_TRUST.settings)
        turns = ((version, one) for version in count(1) for one in entries)

        def call() -> tuple[int, int]:
            version, one = next(turns)
            values = {
                (first.unique_id or "").encode(): one.unique_id or "",
                submission_set.encode(): samples.oid(),
                (first.lid or "").encode(): one.lid or "",
                _VERSION.encode(): str(version),
            }
            answer = exchange(endpoint, request.filled(values))
            if not is_success(answer):
                raise Unexpected(answer)
            return len(request.body), len(answer)

        return call

    def _registered(self, patient_id: str) -> Iterator[DocumentEntry]:
        told = Content((samples.content(DOCUMENT_BYTES),)).fingerprint()
        with DocumentSource(registry_url=f"{self.url}/registry") as source:
            for _ in range(_DOCUMENTS):
                entry = samples.entry(
                    1, samples.oid(), patient_id, told, repository_unique_id=EXAMPLE_REPOSITORY
                )
                made = samples.submission(patient_id, samples.oid(), [entry]).with_uuids()
                source.register(made)
                yield ebrim.changed(entry, lid=made.document_entries[0].id)


def _request(entry: DocumentEntry, submission_set: str) -> Request:
    """Make an ITI-57 request of the next version of an entry."""
    new = entry.updated(title="Another title")
    made = samples.submission(entry.patient_id or "", submission_set, [new])
    return messages.update(
        made.with_objects(
            one.updated(previous_version=_VERSION) if isinstance(one, Association) else one
            for one in made.objects
        )
    )


@dataclass(frozen=True, slots=True)
class Put:
    """PUT of DocumentReferences, which go round all documents of a client."""

    url: str

    def __call__(self, number: int) -> Call:
        """Publish the documents by ITI-65."""
        connection = fhir.KeptConnection(self.url)
        each = [self._published(connection, f"G{number}") for _ in range(_DOCUMENTS)]
        turns = ((turn, one) for turn in count(1) for one in each)

        def call() -> tuple[int, int]:
            turn, one = next(turns)
            body = json.dumps({**one, "description": f"As corrected {turn} times"}).encode()
            path = f"/fhir/DocumentReference/{one['id']}"
            return len(body), len(_answered(connection, self.url, "PUT", path, body))

        return call

    def _published(self, connection: fhir.KeptConnection, patient: str) -> dict[str, Any]:
        """Publish a document, and read its DocumentReference."""
        told = json.loads(_answered(connection, self.url, "POST", "/fhir", _bundle(patient)))
        locations = [one["response"]["location"] for one in told["entry"]]
        place = next(one for one in locations if "DocumentReference/" in one)
        path = f"/fhir/DocumentReference/{place.split('/')[-1]}"
        found: dict[str, Any] = json.loads(_answered(connection, self.url, "GET", path))
        return found


@dataclass(frozen=True, slots=True)
class Provide:
    """ITI-65 of one document each."""

    url: str

    def __call__(self, number: int) -> Call:
        """Make a connection; each Bundle has ids of its own."""
        connection = fhir.KeptConnection(self.url)

        def call() -> tuple[int, int]:
            body = _bundle(f"H{number}")
            return len(body), len(_answered(connection, self.url, "POST", "/fhir", body))

        return call


def _bundle(patient: str) -> bytes:
    return json.dumps(fhir.bundle(samples.content(DOCUMENT_BYTES), patient)).encode()


def _answered(
    connection: fhir.KeptConnection, url: str, method: str, path: str, body: bytes = b""
) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    status, answer = connection.exchange(head.encode() + body)
    if status != 200:
        raise Unexpected(answer)
    return answer


def updates(deployment: Deployment) -> Sequence[Figure]:
    """Tell the processor time of an ITI-57, in milliseconds, and that of a PUT.

    The yardsticks are those of an ITI-42 and of an ITI-65. One client sends each pair by turns.
    """
    with _updating(deployment) as server:
        register = Submit(server.url, DOCUMENT_BYTES, with_document=False)
        return [
            _compared(server, Update(server.url)(0), register(0)),
            _compared(server, Put(server.url)(0), Provide(server.url)(1)),
        ]


def _compared(server: Server, update: Call, registration: Call) -> Figure:
    processes = machine.family(server.process.pid)
    used = {update: 0.0, registration: 0.0}
    for turn in range(_TURNS):
        for call in used:
            before = machine.cpu_seconds(processes)
            for _ in range(_DOCUMENTS):
                call()
            if turn:  # the first is to warm up
                used[call] += machine.cpu_seconds(processes) - before
    each = {call: took * _MILLISECONDS / (_TURNS - 1) / _DOCUMENTS for call, took in used.items()}
    return Figure(each[update], each[registration])


@contextmanager
def _updating(deployment: Deployment) -> Iterator[Server]:
    """Start a server that takes updates."""
    options = {k: v for k, v in deployment.server.options.items() if k == "database"}
    options |= {"metadata_update": "yes", "fhir_update": "yes", **workers()}
    with (
        tempfile.TemporaryDirectory(dir=deployment.folder) as data,
        serving(Path(data), options) as server,
    ):
        yield server
