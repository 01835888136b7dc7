"""Removals of many objects: how long they take, and how long another writer waits meanwhile."""

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench import samples
from bench.calls import Submit
from bench.deployment import DOCUMENT_BYTES, Deployment, workers
from bench.figures import Figure
from tests.serving import serving
from xds.client import Content, DocumentSource
from xds.client.administrator import DocumentAdministrator
from xds.config import EXAMPLE_REPOSITORY
from xds.metadata.document_request import DocumentRequest
from xds.metadata.submission import Submission

ENTRIES: Final = 10_000
_A_SUBMISSION: Final = 500
_BYTES: Final = 1_000


def large(deployment: Deployment) -> Sequence[Figure]:
    """Remove all of a patient with 10,000 documents: metadata (ITI-62), then documents (ITI-86).

    Another client submits (ITI-42) all the time. The yardstick of a removal is how long it took to
    provide and register the same, that of a wait is the longest one before.
    """
    options = {k: v for k, v in deployment.server.options.items() if k == "database"}
    options |= {"remove_metadata": "yes", "remove_documents": "unreferenced", **workers()}
    with (
        tempfile.TemporaryDirectory(dir=deployment.folder) as data,
        serving(Path(data), options) as server,
        DocumentSource(server.repository_url, server.registry_url) as source,
        DocumentAdministrator(server.registry_url, server.repository_url) as administrator,
    ):
        began = time.perf_counter()
        submissions = [_provided(source) for _ in range(0, ENTRIES, _A_SUBMISSION)]
        provided = time.perf_counter() - began
        objects = [one.id for submission in submissions for one in submission.objects]
        documents = [
            DocumentRequest(EXAMPLE_REPOSITORY, one.unique_id or "")
            for submission in submissions
            for one in submission.document_entries
        ]
        quiet, _ = _beside(server.url, lambda: time.sleep(deployment.seconds))
        figures = []
        for remove in (
            lambda: administrator.remove_metadata(objects),
            lambda: administrator.remove_documents(documents),
        ):
            wait, took = _beside(server.url, remove)
            figures += [Figure(took, provided), Figure(wait, quiet)]
        return figures


def _provided(source: DocumentSource) -> Submission:
    content = Content((samples.content(_BYTES),))
    entries = [
        samples.entry(number, samples.oid(), samples.patient("X1"), content.fingerprint())
        for number in range(_A_SUBMISSION)
    ]
    submission = samples.submission(samples.patient("X1"), samples.oid(), entries).with_uuids()
    source.provide_and_register(
        submission, {entry.id: content for entry in submission.document_entries}
    )
    return submission


def _beside(url: str, act: Callable[[], object]) -> tuple[float, float]:
    """Do something while another client submits; return its longest wait, and how long it took."""
    submit = Submit(url, DOCUMENT_BYTES, with_document=False)(0)
    submit()
    waits: list[float] = []
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            began = time.perf_counter()
            submit()
            waits.append(time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        began = time.perf_counter()
        act()
        took = time.perf_counter() - began
    finally:
        over.set()
        writer.join()
    return max(waits), took
