"""What reading a document adds to its publication by FHIR: processor time of the server.

The same number of bytes is published by ITI-105 as a PDF, of which nothing is read, and as a CDA,
of which versions are read; and by ITI-106, which takes all metadata from it. They come by turns, so
that what else the machine does falls on each alike.
"""

import base64
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from bench import machine, samples
from bench.deployment import DOCUMENT_BYTES, Deployment
from bench.fhir import publication
from bench.figures import Figure
from bench.pages import document
from tests.fhir.asked import FHIR_JSON, ask

_ROUNDS: Final = 8
_OF_EACH: Final = 25
_ID: Final = b'<id root="2.999.3.1" extension="1"/>'


def derivation(deployment: Deployment) -> Sequence[Figure]:
    """Measure what reading adds to an ITI-105, and ITI-106 to an ITI-105 of no markup, in ms."""
    cda = document(DOCUMENT_BYTES, rows=1)
    plain = samples.content(len(cda))
    kinds: Sequence[Callable[[], tuple[str, bytes]]] = (
        partial(_published, plain, "application/pdf"),
        partial(_published, cda, "text/xml"),
        partial(_generated, cda),
    )
    used = [0.0] * len(kinds)
    for of_round in range(_ROUNDS + 1):
        for at, make in enumerate(kinds):
            requests = [make() for _ in range(_OF_EACH)]
            before = machine.cpu_seconds(deployment.processes)
            for path, body in requests:
                reply = ask(deployment.server, "POST", path, {"Content-Type": FHIR_JSON}, body)
                assert reply.status in (200, 201), reply.body
            if of_round:  # the first one warms up
                used[at] += machine.cpu_seconds(deployment.processes) - before
    without, read, generated = (one / (_ROUNDS * _OF_EACH) * 1000 for one in used)
    return [Figure(read - without, without), Figure(generated - without, without)]


def _published(data: bytes, media_type: str) -> tuple[str, bytes]:
    patient = samples.patient("R1").partition("^")[0]
    body = publication(_own(data), patient, samples.oid().encode())
    return "/DocumentReference", body.replace(b"application/pdf", media_type.encode())


def _generated(data: bytes) -> tuple[str, bytes]:
    encoded = base64.b64encode(_own(data)).decode()
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": encoded}
    parameter = {"name": "document", "resource": binary}
    body = json.dumps({"resourceType": "Parameters", "parameter": [parameter]}).encode()
    return "/DocumentReference/$generate-metadata", body


def _own(data: bytes) -> bytes:
    """Return a document with an id of its own."""
    return data.replace(_ID, b'<id root="%b"/>' % samples.oid().encode())
