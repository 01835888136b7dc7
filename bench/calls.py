"""What clients do in each measure: a small class whose instance, in a client process, makes a call.

A call sends one request, receives the whole answer, and looks whether it is the one expected.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import messages, samples
from bench.clients import Call
from bench.messages import Message
from bench.wire import Wire
from xds.metadata import vocabulary as v

_SUCCESS: Final = f'status="{v.SUCCESS}"'.encode()
_REFERENCE: Final = b"<rim:ObjectRef "
_ENTRY: Final = b"<rim:ExtrinsicObject "


class Unexpected(Exception):
    """An answer is not the one that the request should have."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Submissions of one document each, all for one patient a client."""

    url: str
    size: int
    with_document: bool
    """ITI-41 if so, else ITI-42."""

    def __call__(self, number: int) -> Call:
        """Prepare the message, and change its uniqueIds from call to call."""
        wire = Wire(self.url)
        message = self.message(f"W{number}")
        head = wire.head("POST", message.path, message.content_type, len(message.body))
        places = (_DOCUMENT.encode(), _SUBMISSION_SET.encode())

        def call() -> tuple[int, int]:
            body = message.filled({place: samples.oid() for place in places})
            answer = wire.exchange(head + body)
            _require(_SUCCESS, answer)
            return len(body), len(answer)

        return call

    def message(self, patient: str) -> Message:
        """Give the message that is sent with changing uniqueIds."""
        make = messages.provide_and_register if self.with_document else messages.register
        data = samples.content(self.size)
        return make(samples.patient(patient), [_DOCUMENT], data, _SUBMISSION_SET)


_DOCUMENT: Final = samples.oid()
_SUBMISSION_SET: Final = samples.oid()


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Retrievals of one document each (ITI-43)."""

    url: str
    unique_ids: Sequence[str]
    size: int

    def __call__(self, number: int) -> Call:
        """Prepare a request for each document."""
        wire = Wire(self.url)
        requests = [_request(wire, messages.retrieve(one)) for one in self.unique_ids]
        chance = random.Random(number)

        def call() -> tuple[int, int]:
            request = chance.choice(requests)
            answer = wire.exchange(request)
            _require(_SUCCESS, answer)
            if len(answer) < self.size:
                raise Unexpected(answer[:2000])
            return len(request), len(answer)

        return call


@dataclass(frozen=True, slots=True)
class Query:
    """FindDocuments for one of several patients who have the same number of entries (ITI-18)."""

    url: str
    patient_ids: Sequence[str]
    return_type: str
    entries: int

    def __call__(self, number: int) -> Call:
        """Prepare a request for each patient."""
        wire = Wire(self.url)
        requests = [
            _request(wire, messages.find_documents(one, self.return_type))
            for one in self.patient_ids
        ]
        chance = random.Random(number)
        mark = _REFERENCE if self.return_type == v.OBJECT_REF else _ENTRY

        def call() -> tuple[int, int]:
            request = chance.choice(requests)
            answer = wire.exchange(request)
            if answer.count(mark) != self.entries:
                raise Unexpected(answer[:2000])
            return len(request), len(answer)

        return call


@dataclass(frozen=True, slots=True)
class Plain:
    """Requests to the bare WSGI application, answered with a number of bytes."""

    url: str
    answer: int

    def __call__(self, number: int) -> Call:
        """Prepare the one request."""
        wire = Wire(self.url)
        request = wire.head("GET", f"/bytes?size={self.answer}", "text/plain", 0)

        def call() -> tuple[int, int]:
            return len(request), len(wire.exchange(request))

        return call


def _request(wire: Wire, message: Message) -> bytes:
    head = wire.head("POST", message.path, message.content_type, len(message.body))
    return head + message.body


def _require(text: bytes, answer: bytes) -> None:
    if text not in answer:
        raise Unexpected(answer[:4000])
