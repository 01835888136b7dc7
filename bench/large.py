"""One document of 1 GB on its way in and out: how fast, and what memory the server takes for it."""

import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from bench import machine, samples
from bench.deployment import GIGABYTE, Deployment
from bench.figures import Figure
from xds.client import Content, DocumentRequest, Settings
from xds.config import EXAMPLE_REPOSITORY
from xds.outgoing.transport import HttpEndpoint, HttpRequest

_MEGABYTE: Final = 1_000_000


def gigabyte(deployment: Deployment) -> Sequence[Figure]:
    """Measure the way in, the way out, and the memory that a process has taken for both."""
    unique_id = samples.oid()
    before = {pid: machine.resident(pid) for pid in deployment.processes}
    for pid in before:
        machine.forget_peak(pid)
    speed_in = _speed(lambda: _provide(deployment, unique_id))
    speed_out = _speed(lambda: _retrieve(deployment, unique_id))
    growth = max(machine.resident_peak(pid) - size for pid, size in before.items())
    return [
        Figure(speed_in, _speed(lambda: _plain_in(deployment))),
        Figure(speed_out, _speed(lambda: _plain_out(deployment))),
        Figure(growth / _MEGABYTE, 0),
    ]


def _speed(transfer: Callable[[], None]) -> float:
    began = time.perf_counter()
    transfer()
    return GIGABYTE / _MEGABYTE / (time.perf_counter() - began)


def _provide(deployment: Deployment, unique_id: str) -> None:
    patient_id = samples.patient("G1")
    entry = samples.entry(1, unique_id, patient_id)
    submission = samples.submission(patient_id, samples.oid(), [entry])
    with deployment.source() as source:
        source.provide_and_register(submission, {entry.id: deployment.gigabyte})


def _retrieve(deployment: Deployment, unique_id: str) -> None:
    with deployment.consumer() as consumer:
        for document in consumer.retrieve([DocumentRequest(EXAMPLE_REPOSITORY, unique_id)]):
            _require(sum(map(len, document.chunks())))


def _plain_in(deployment: Deployment) -> None:
    """Have the bare application write the same document to the disk, or put it in the bucket."""
    if deployment.bucket:
        deployment.bucket.put_file(deployment.gigabyte)
        return
    content = Content.of_file(deployment.gigabyte)
    _post(f"{deployment.plain_url}/sink?file=1&fsync=1", content)


def _plain_out(deployment: Deployment) -> None:
    """Have the bare application send the same document from the disk, or get it once more."""
    if deployment.bucket:
        deployment.bucket.get_file(deployment.gigabyte)
        return
    path = quote(str(deployment.gigabyte.resolve()))
    _require(_post(f"{deployment.plain_url}/file?path={path}", Content((), 0)))


def _post(url: str, content: Content) -> int:
    message = HttpRequest(
        content_type="application/octet-stream", length=content.size, blocks=content.blocks()
    )
    with HttpEndpoint(url, Settings()).post(message) as answer:
        return sum(map(len, iter(answer.read, b"")))


def _require(received: int) -> None:
    if received != GIGABYTE:
        raise RuntimeError(f"{received} bytes of {GIGABYTE} were received")
