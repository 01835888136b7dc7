"""What clients do in each measure: a value that, in a client process, makes a call to be repeated.

A call sends one request, receives the whole answer, and looks whether it is the one expected.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench import messages, samples
from bench.clients import Call
from bench.messages import Request
from bench.trust import NO_TRUST, Trust
from xds.client import Content
from xds.config import EXAMPLE_REPOSITORY
from xds.metadata import vocabulary as v
from xds.outgoing.transport import HttpEndpoint, HttpRequest

_SUCCESS: Final = f'status="{v.SUCCESS}"'.encode()
_REFERENCE: Final = b"<rim:ObjectRef "
_ENTRY: Final = b"<rim:ExtrinsicObject "
_TOLD: Final = 2_000


class Unexpected(Exception):
    """An answer is not the one that the request should have."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer[:_TOLD].decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Submit:
    """Submissions of one document each, all for one patient a client."""

    url: str
    size: int
    with_document: bool
    """ITI-41 if so, else ITI-42."""
    patients: Sequence[str] = ()
    """Names of equal length of whose patients it is to be by chance, in place of that one."""
    trust: Trust = NO_TRUST

    def __call__(self, number: int) -> Call:
        """Make the message, whose uniqueIds change from call to call."""
        patients = self.patients or (f"W{number}",)
        document, submission_set = samples.oid(), samples.oid()
        made = self._request(samples.patient(patients[0]), document, submission_set)
        request = self.trust.asked(made)
        endpoint = HttpEndpoint(self.url + request.path, self.trust.settings)
        places = (document.encode(), submission_set.encode())
        patient = f"{patients[0]}^^^".encode()
        chance = random.Random(number)

        def call() -> tuple[int, int]:
            values = {place: samples.oid() for place in places}
            values[patient] = f"{chance.choice(patients)}^^^"
            answer = exchange(endpoint, request.filled(values))
            if not is_success(answer):
                raise Unexpected(answer)
            return len(request.body), len(answer)

        return call

    def _request(self, patient_id: str, document: str, submission_set: str) -> Request:
        data = samples.content(self.size)
        told = Content((data,)).fingerprint()
        repository = {} if self.with_document else {"repository_unique_id": EXAMPLE_REPOSITORY}
        entry = samples.entry(1, document, patient_id, told, **repository)
        submission = samples.submission(patient_id, submission_set, [entry])
        if self.with_document:
            return messages.provide_and_register(submission, data)
        return messages.register(submission)


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Retrievals of one document each (ITI-43)."""

    url: str
    unique_ids: Sequence[str]
    size: int
    trust: Trust = NO_TRUST

    def __call__(self, number: int) -> Call:
        """Make a request for each document."""
        requests = [messages.retrieve(one) for one in self.unique_ids]

        def is_expected(answer: bytes) -> bool:
            return _SUCCESS in answer and len(answer) > self.size

        return _any_of(self.url, requests, [is_expected] * len(requests), number, self.trust)


@dataclass(frozen=True, slots=True)
class Query:
    """FindDocuments for one of several patients (ITI-18)."""

    url: str
    patients: Mapping[str, int]
    """How many entries each of the patient ids has."""
    return_type: str
    trust: Trust = NO_TRUST

    def __call__(self, number: int) -> Call:
        """Make a request for each patient."""
        mark = _REFERENCE if self.return_type == v.OBJECT_REF else _ENTRY
        requests = [messages.find_documents(one, self.return_type) for one in self.patients]
        expected = [partial(_has, mark, entries) for entries in self.patients.values()]
        return _any_of(self.url, requests, expected, number, self.trust)


@dataclass(frozen=True, slots=True)
class Plain:
    """Requests to the bare WSGI application of `bench.yardsticks`, of given sizes both ways."""

    url: str
    request: int
    answer: int

    def __call__(self, number: int) -> Call:
        """Make the one request."""
        body = samples.content(self.request)
        request = Request(f"/bytes?size={self.answer}", "application/soap+xml", body)
        return _any_of(self.url, [request], [lambda answer: len(answer) == self.answer], number)


def _has(mark: bytes, count: int, answer: bytes) -> bool:
    return answer.count(mark) == count


def _any_of(
    url: str,
    requests: Sequence[Request],
    expected: Sequence[Callable[[bytes], bool]],
    seed: int,
    trust: Trust = NO_TRUST,
) -> Call:
    endpoint = HttpEndpoint(url + requests[0].path, trust.settings)
    prepared = [
        (trust.asked(request).message, is_expected)
        for request, is_expected in zip(requests, expected, strict=True)
    ]
    chance = random.Random(seed)

    def call() -> tuple[int, int]:
        message, is_expected = chance.choice(prepared)
        answer = exchange(endpoint, message)
        if not is_expected(answer):
            raise Unexpected(answer)
        return message.length or 0, len(answer)

    return call


def is_success(answer: bytes) -> bool:
    """Tell whether an answer is one of success."""
    return _SUCCESS in answer


def exchange(endpoint: HttpEndpoint, message: HttpRequest) -> bytes:
    """Send a message, and return the whole answer."""
    with endpoint.post(message) as answer:
        return b"".join(iter(answer.read, b""))
