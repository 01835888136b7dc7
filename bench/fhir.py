"""What FHIR clients do in each measure, and what a bare Falcon route does beside them."""

import base64
import json
import random
import ssl
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from bench import machine, samples
from bench.calls import Unexpected
from bench.clients import Call, Hammer
from bench.deployment import DOCUMENT_BYTES, ENTRIES, GIGABYTE, Deployment
from bench.figures import Figure
from bench.trust import NO_TRUST, Trust
from xds.outgoing.connection import Connection, Head

_SECONDS: Final = 60
_SYSTEM: Final = f"urn:oid:{samples.PATIENT_AUTHORITY}"
_URI: Final = "urn:ietf:rfc:3986"
_MEGABYTE: Final = 1_000_000
_PLACE: Final = b"2.999.7.7777777777777777777777777777777777"


def exchange(connection: Connection, request: bytes) -> tuple[Head, bytes]:
    """Send one request, and return the head and the body of its answer."""
    connection.send(request)
    head = connection.head()
    body = connection.body(head)
    return head, b"".join(iter(lambda: body.read(1 << 20), b""))


class KeptConnection:
    """A connection for many requests, which is made again where the server has ended it.

    A server that spreads connections over its workers ends some with an answer.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._tls = tls
        self._connection = connected(url, tls)

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send one request, and return the status and the body of its answer."""
        head, answer = exchange(self._connection, request)
        if not head.keeps_alive:
            self._connection.close()
            self._connection = connected(self._url, self._tls)
        return head.status, answer


def connected(url: str, tls: ssl.SSLContext | None = None) -> Connection:
    """Connect to a server that is kept for many requests."""
    parts = urlsplit(url)
    connection = Connection(parts.hostname or "", parts.port or 80, tls, _SECONDS)
    connection.settimeout(_SECONDS)
    return connection


@dataclass(frozen=True, slots=True)
class Get:
    """Requests for one of several paths, whose answers have a mark so often, or such a length.

    Where each is asked for once, the clients, so many as ``clients`` says, share the paths.
    """

    url: str
    paths: Sequence[str]
    size: int = 0
    mark: bytes = b""
    times: int = 0
    trust: Trust = NO_TRUST
    clients: int = 0

    def __call__(self, number: int) -> Call:
        """Make the requests."""
        own = self.paths[number :: self.clients] if self.clients else self.paths
        requests = [_get(self.url, path, self.trust) for path in own]
        connection, chance = KeptConnection(self.url, self.trust.tls), random.Random(number)
        each = iter(requests)

        def call() -> tuple[int, int]:
            request = next(each) if self.clients else chance.choice(requests)
            status, answer = connection.exchange(request)
            right = len(answer) == self.size if self.size else answer.count(self.mark) == self.times
            if status != 200 or not right:
                raise Unexpected(answer)
            return len(request), len(answer)

        return call


@dataclass(frozen=True, slots=True)
class Publish:
    """ITI-105: documents of one size, each with its own uniqueId."""

    url: str
    size: int
    trust: Trust = NO_TRUST

    def __call__(self, number: int) -> Call:
        """Make the request, in which the uniqueId changes from call to call."""
        body = publication(samples.content(self.size), f"F{number}", _PLACE)
        head = (
            f"POST /fhir/DocumentReference HTTP/1.1\r\nHost: {urlsplit(self.url).netloc}\r\n"
            f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
            f"{self.trust.header}\r\n"
        ).encode()
        connection = KeptConnection(self.url, self.trust.tls)

        def call() -> tuple[int, int]:
            unique_id = f"2.999.7.{random.randrange(10**33, 10**34)}".encode()
            status, answer = connection.exchange(head + body.replace(_PLACE, unique_id))
            if status != 201:
                raise Unexpected(answer)
            return len(body), len(answer)

        return call


def publication(data: bytes, patient: str, unique_id: bytes) -> bytes:
    """Give the body of an ITI-105: a document of the patient of that name."""
    body = json.dumps(_document_reference(data, patient)).encode()
    return body.replace(_PLACE, unique_id)


def bundle(data: bytes, patient: str) -> dict[str, Any]:
    """Give the Bundle of an ITI-65: a SubmissionSet, a new document of the patient, its Binary."""
    reference = _document_reference(data, patient)
    reference["masterIdentifier"]["value"] = f"urn:oid:{samples.oid()}"
    attachment = reference["content"][0]["attachment"]
    binary = {"resourceType": "Binary", "contentType": attachment["contentType"]}
    binary["data"] = attachment.pop("data")
    attachment["url"], document = uuid4().urn, uuid4().urn
    listed = {
        "resourceType": "List",
        "extension": [
            {
                "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"value": "urn:oid:2.999.1.8"},
            }
        ],
        "identifier": [
            {"use": "usual", "system": _URI, "value": f"urn:oid:{samples.oid()}"},
        ],
        "status": "current",
        "mode": "working",
        "code": {
            "coding": [
                {
                    "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes",
                    "code": "submissionset",
                }
            ]
        },
        "subject": reference["subject"],
        "date": "2026-03-01T09:30:00Z",
        "entry": [{"item": {"reference": document}}],
    }
    profile = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [profile]},
        "type": "transaction",
        "entry": [
            {"fullUrl": url, "resource": one, "request": {"method": "POST", "url": name}}
            for url, one in (
                (uuid4().urn, listed),
                (document, reference),
                (attachment["url"], binary),
            )
            for name in (one["resourceType"],)
        ],
    }


def _get(url: str, path: str, trust: Trust = NO_TRUST) -> bytes:
    host = urlsplit(url).netloc
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{trust.header}\r\n".encode()


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": code}]}


def _document_reference(data: bytes, patient: str) -> dict[str, Any]:
    """Return the DocumentReference with its document that a laboratory would publish."""
    snomed, loinc = "http://snomed.info/sct", "http://loinc.org"
    return {
        "resourceType": "DocumentReference",
        "contained": [
            {
                "resourceType": "Patient",
                "id": "source",
                "identifier": [{"system": "urn:oid:2.999.1.2", "value": "MRN77"}],
            },
            {
                "resourceType": "Practitioner",
                "id": "author",
                "name": [{"family": "Welby", "given": ["Marcus"], "prefix": ["Dr"]}],
            },
        ],
        "masterIdentifier": {
            "system": _URI,
            "value": f"urn:oid:{_PLACE.decode()}",
        },
        "status": "current",
        "type": _concept(loinc, "51969-4"),
        "category": [_concept(loinc, "11502-2")],
        "subject": {"identifier": {"system": _SYSTEM, "value": patient}},
        "author": [{"reference": "#author"}],
        "securityLabel": [
            _concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")
        ],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "en-GB",
                    "data": base64.b64encode(data).decode(),
                    "creation": "2026-03-01T09:30:00Z",
                    "title": "Genetic report",
                },
                "format": {
                    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                },
            }
        ],
        "context": {
            "facilityType": _concept(snomed, "261904005"),
            "practiceSetting": _concept(snomed, "394804000"),
            "sourcePatientInfo": {"reference": "#source"},
        },
    }


# --- what the cases measure ----------------------------------------------------------------------


def documents_of(patient_id: str) -> str:
    """Give the path of an ITI-67 for the current documents of a patient."""
    token = quote(f"{_SYSTEM}|{patient_id.partition('^')[0]}", safe="")
    return f"/fhir/DocumentReference?patient.identifier={token}&status=current"


def search(deployment: Deployment) -> Get:
    """ITI-67 for one of several patients who have the same number of entries."""
    paths = [documents_of(one) for one in deployment.patient_ids]
    return Get(deployment.url, paths, mark=b'"fullUrl"', times=ENTRIES, trust=deployment.trust)


def publish(deployment: Deployment) -> Publish:
    """ITI-105 of a small document."""
    return Publish(deployment.url, DOCUMENT_BYTES, deployment.trust)


def retrieval(deployment: Deployment) -> Sequence[Figure]:
    """Measure ITI-68 of small documents, beside a bare Falcon route with the same bytes."""
    assert deployment.unique_ids, "the documents are there"
    fetched = Get(deployment.url, _documents(deployment.url, samples.patient("R1")), DOCUMENT_BYTES)
    bare = Get(deployment.plain_url, [f"/falcon?size={DOCUMENT_BYTES}"], DOCUMENT_BYTES)
    rates = []
    for load in (fetched, bare):
        deployment.clients.run(Hammer(load, 0.3))
        loads = deployment.clients.run(Hammer(load, deployment.seconds))
        rates.append(sum(len(one.latencies) / one.seconds for one in loads))
    return [Figure(rates[0], rates[1])]


def _documents(url: str, patient_id: str) -> Sequence[str]:
    with urllib.request.urlopen(url + documents_of(patient_id)) as answer:
        found = json.load(answer)["entry"]
    urls = (one["resource"]["content"][0]["attachment"]["url"] for one in found)
    return [urlsplit(one).path for one in urls]


def gigabyte(deployment: Deployment) -> Sequence[Figure]:
    """Measure ITI-68 of 1 GB, and the memory that a process has taken for it."""
    patient_id = samples.patient(f"G{uuid4().hex}")
    entry = samples.entry(1, samples.oid(), patient_id)
    with deployment.source() as source:
        submission = samples.submission(patient_id, samples.oid(), [entry])
        source.provide_and_register(submission, {entry.id: deployment.gigabyte})
    (path,) = _documents(deployment.url, patient_id)
    before = {pid: machine.resident(pid) for pid in deployment.processes}
    for pid in before:
        machine.forget_peak(pid)
    speed = _speed(deployment.url, path)
    growth = max(machine.resident_peak(pid) - size for pid, size in before.items())
    plain = f"/file?path={quote(str(deployment.gigabyte.resolve()))}"
    return [Figure(speed, _speed(deployment.plain_url, plain)), Figure(growth / _MEGABYTE, 0)]


def _speed(url: str, path: str) -> float:
    connection = connected(url)
    began = time.perf_counter()
    connection.send(_get(url, path))
    body = connection.body(connection.head())
    received = sum(map(len, iter(lambda: body.read(1 << 20), b"")))
    if received != GIGABYTE:
        raise RuntimeError(f"{received} bytes of {GIGABYTE} were received")
    return GIGABYTE / _MEGABYTE / (time.perf_counter() - began)
