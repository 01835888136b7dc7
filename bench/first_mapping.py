"""What a resource costs that was not asked for before: each patient is asked about once.

Patients have 50 documents each, of codes that all have and of authors who are 200 in all. A server
keeps what it has written of a resource, and what it has read of an author or a code; so whoever
asks for the documents of the same few patients again and again measures the first of these alone.
"""

import gc
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from statistics import quantiles
from typing import Final
from uuid import uuid4

from bench import fhir, messages, samples
from bench.call_counts import called
from bench.clients import Hammer, Load
from bench.deployment import DOCUMENT_BYTES, ENTRIES, Deployment
from bench.figures import Effort, Figure
from bench.loads import worked
from xds import logs
from xds.app import create_app
from xds.client import Content
from xds.config import EXAMPLE_REPOSITORY, Config
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author
from xds.metadata.submission import Submission
from xds.server.worker import COLLECTIONS

_STAFF: Final = 200
_WARM_UP: Final = 10
_MEASURED: Final = 40
"""Patients of each client whose documents are asked for before the measurement, and in it."""
_TURNS: Final = 60
_LEFT_OUT: Final = 30
"""Turns in process before it is measured: caches of authors and codes fill meanwhile."""
_MICROSECONDS: Final = 1_000_000
_SECONDS: Final = 600
"""Within which so many requests are answered."""


def _submission(chance: random.Random, patient_id: str) -> Submission:
    """Make a submission of 50 entries of a patient, each with two of the staff as authors."""
    told = Content((samples.content(DOCUMENT_BYTES),)).fingerprint()
    number = patient_id.partition("^")[0]
    source = f"M{number}^^^&2.999.1.2&ISO"
    person = (f"PID-3|{source}", f"PID-5|Doe^{number}^^^", "PID-7|19800229", "PID-8|F")
    entries = [
        samples.entry(n, samples.oid(), patient_id, told, repository_unique_id=EXAMPLE_REPOSITORY)
        for n in range(ENTRIES)
    ]
    return samples.submission(
        patient_id,
        samples.oid(),
        [
            one.updated(
                author=[_author(chance.randrange(_STAFF)) for _ in range(2)],
                legal_authenticator=_person(chance.randrange(_STAFF)),
                source_patient_id=source,
                source_patient_info=person,
            )
            for one in entries
        ],
    )


def _person(number: int) -> str:
    return f"D{number}^Welby^Marcus {number}^^^Dr^MD^^&2.999.1.6&ISO"


def _author(number: int) -> Author:
    return Author(
        person=(_person(number),),
        institution=("General Hospital^^^^^^^^^2.999.1.7", "Ward 7^^^^^&2.999.1.7&ISO^^^^W7"),
        role=("Attending physician",),
        specialty=("394802001^^^&2.16.840.1.113883.6.96&ISO",),
        telecommunication=(f"^NET^Internet^welby.{number}@hospital.example",),
    )


@contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    """Have the log of this process in a file, and garbage looked for, as a worker has them."""
    with Path(folder, "log").open("w") as file, redirect_stderr(file):
        logs.configure(log_format="json")
        before = gc.get_threshold()
        gc.set_threshold(*COLLECTIONS)
        yield
        gc.set_threshold(*before)


def asked(deployment: Deployment) -> tuple[Sequence[Load], Effort]:
    """Ask for the documents of new patients by ITI-67, each once; tell the loads and the effort."""
    clients = len(deployment.clients)
    name = uuid4().hex[:8]
    patients = [samples.patient(f"N{name}{n}") for n in range(clients * (_WARM_UP + _MEASURED))]
    chance = random.Random(1)
    with deployment.source() as source:
        for one in patients:
            source.register(_submission(chance, one))
    paths = [fhir.documents_of(one) for one in patients]
    first, then = paths[: clients * _WARM_UP], paths[clients * _WARM_UP :]
    deployment.clients.run(Hammer(_each(deployment, first), _SECONDS, _WARM_UP))
    work = Hammer(_each(deployment, then), _SECONDS, _MEASURED)
    return worked(deployment, work, count=clients)


def _each(deployment: Deployment, paths: Sequence[str]) -> fhir.Get:
    return fhir.Get(
        deployment.url,
        paths,
        mark=b'"fullUrl"',
        times=ENTRIES,
        trust=deployment.trust,
        clients=len(deployment.clients),
    )


def in_process(deployment: Deployment) -> Sequence[Figure]:
    """Measure what an entry takes of an ITI-67 that has not mapped it before, in microseconds.

    That is processor time in this process, without the HTTP server; the yardstick is an ITI-18 for
    the same patient, LeafClass. They come by turns, and the quarter least of each counts.
    """
    chance = random.Random(1)
    took: dict[str, list[float]] = {"search": [], "query": []}
    with tempfile.TemporaryDirectory(dir=deployment.folder) as folder, _quiet(Path(folder)):
        application = create_app(Config(data=Path(folder, "data")))
        for turn in range(_TURNS):
            patient_id = samples.patient(f"P{turn}")
            request = messages.register(_submission(chance, patient_id))
            called(application, request.path, request.content_type, request.body)
            query = messages.find_documents(patient_id, v.LEAF_CLASS)
            calls: dict[str, tuple[str, str, bytes]] = {
                "search": (fhir.documents_of(patient_id), "", b""),
                "query": (query.path, query.content_type, query.body),
            }
            for name, call in calls.items():
                began = time.process_time()
                answer = called(application, *call)
                took[name].append((time.process_time() - began) * _MICROSECONDS / ENTRIES)
                if answer.count(b'"fullUrl"') + answer.count(b"<rim:ExtrinsicObject ") != ENTRIES:
                    raise RuntimeError(answer[:2000])
    mapping, leaf = (quantiles(one[_LEFT_OUT:])[0] for one in took.values())
    return [Figure(mapping, leaf)]
