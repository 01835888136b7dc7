"""What an update of one entry costs (ITI-57), beside a registration of one (ITI-42)."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from bench import machine, messages, samples
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


def updates(deployment: Deployment) -> Sequence[Figure]:
    """Tell the processor time of an ITI-57, in milliseconds; the yardstick is that of an ITI-42.

    One client sends them by turns.
    """
    with _updating(deployment) as server:
        processes = machine.family(server.process.pid)
        calls = [Submit(server.url, DOCUMENT_BYTES, with_document=False)(0), Update(server.url)(0)]
        used = [0.0, 0.0]
        for turn in range(_TURNS):
            for which, call in enumerate(calls):
                before = machine.cpu_seconds(processes)
                for _ in range(_DOCUMENTS):
                    call()
                if turn:  # the first is to warm up
                    used[which] += machine.cpu_seconds(processes) - before
    registration, update = (seconds * _MILLISECONDS / (_TURNS - 1) / _DOCUMENTS for seconds in used)
    return [Figure(update, registration)]


@contextmanager
def _updating(deployment: Deployment) -> Iterator[Server]:
    """Start a server that takes updates."""
    options = {k: v for k, v in deployment.server.options.items() if k == "database"}
    options |= {"metadata_update": "yes", **workers()}
    with (
        tempfile.TemporaryDirectory(dir=deployment.folder) as data,
        serving(Path(data), options) as server,
    ):
        yield server
