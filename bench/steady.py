"""A steady load of every kind, whose clients try again until they succeed, and what they see."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from bench import samples
from bench.fhir import connected, exchange, publication
from xds.client import (
    ClientError,
    Content,
    DocumentConsumer,
    DocumentRequest,
    DocumentSource,
    Fingerprint,
    NotReached,
    Settings,
    TransactionRefused,
    TransportFailed,
)
from xds.config import EXAMPLE_REPOSITORY
from xds.outgoing.connection import BrokenOff, NotHTTP

_PATIENT: Final = "F1"
_SMALL: Final = 2_000
_LARGE: Final = 9 << 20
"""More than a part of an object, so that it is uploaded in several."""
_LARGE_EVERY: Final = 25
_PAUSE_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 90.0
"""Silence after which an answer is taken for one that never comes."""
_REGISTERED: Final = "XDSDuplicateUniqueIdInRegistry"
"""What a client is told that tries again, where the first attempt was registered after all."""

SUCCESS: Final = "success"
REGISTERED_BEFORE: Final = "registered by the attempt before"
_DONE: Final = (SUCCESS, REGISTERED_BEFORE)


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its answer."""

    transaction: str
    began: float
    seconds: float
    outcome: str
    """SUCCESS, the codes of the errors, or how the connection ended."""

    @property
    def ended(self) -> float:
        """When the answer was there."""
        return self.began + self.seconds


class Wrong(Exception):
    """An answer that should never be."""


@dataclass(slots=True)
class Steady:
    """What the clients of one load have done and seen."""

    url: str
    large_every: int = _LARGE_EVERY
    acknowledged: dict[str, Fingerprint] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int = 1) -> Iterator[None]:
        """Run so many clients of each kind while the block does; each then ends its request."""
        kinds = (self._provide, self._publish, self._read, self._search)
        threads = [
            threading.Thread(target=self._run, args=(kind, 10 * number + place), daemon=True)
            for number in range(clients)
            for place, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            until = time.monotonic() + _PATIENCE_SECONDS
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))
            if any(thread.is_alive() for thread in threads):
                self.problems.append("a client waits for ever")

    def outcomes(self, since: float = 0.0) -> Counter[tuple[str, str]]:
        """Count what has come of each transaction."""
        return Counter((c.transaction, c.outcome) for c in self.calls if c.ended >= since)

    def wait_for(self, successes: int, transaction: str = "ITI-41", seconds: float = 120.0) -> bool:
        """Wait until a transaction has succeeded so often from now on."""
        began = time.monotonic()

        def has_succeeded() -> bool:
            return self.outcomes(began)[(transaction, SUCCESS)] >= successes

        return _until(has_succeeded, seconds)

    def wait_for_refusal(self, transaction: str = "ITI-41", seconds: float = 150.0) -> bool:
        """Wait until one that ends from now on does not succeed."""
        began = time.monotonic()

        def is_refused() -> bool:
            since = self.outcomes(began)
            return any(one == transaction and told not in _DONE for one, told in since)

        return _until(is_refused, seconds)

    def _run(self, act: Callable[[random.Random], None], seed: int) -> None:
        chance = random.Random(seed)
        while not self.stopping.is_set():
            try:
                act(chance)
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
                return

    # --- the four clients; each call of one of them is a session that ends at the first failure --

    def _provide(self, chance: random.Random) -> None:
        """Submit by ITI-41, each submission until it is acknowledged."""
        with DocumentSource(f"{self.url}/repository", settings=_SETTINGS) as source:
            while not self.stopping.is_set():
                large = chance.randrange(self.large_every) == 0
                self._insist("ITI-41", *_provision(source, _LARGE if large else _SMALL, chance))

    def _insist(
        self, transaction: str, told: dict[str, Fingerprint], attempt: Callable[[], str]
    ) -> None:
        """Try again until it is acknowledged, or the load ends."""
        again = False
        while self._timed(transaction, attempt, again=again) not in _DONE:
            again = True
            if self.stopping.is_set():
                return
            time.sleep(_PAUSE_SECONDS)
        self.acknowledged |= told

    def _publish(self, chance: random.Random) -> None:
        """Publish by ITI-105, each document until it is acknowledged."""
        while not self.stopping.is_set():
            data = chance.randbytes(_SMALL)
            unique_id = samples.oid()
            body = publication(data, _PATIENT, unique_id.encode())
            told = {unique_id: Content((data,)).fingerprint()}

            def attempt(body: bytes = body) -> str:
                return _asked(self.url, "POST", "/fhir/DocumentReference", body)

            self._insist("ITI-105", told, attempt)

    def _read(self, chance: random.Random) -> None:
        """Find and retrieve what was acknowledged (ITI-18, ITI-43)."""
        with DocumentConsumer(
            f"{self.url}/registry", f"{self.url}/repository", settings=_SETTINGS
        ) as consumer:
            while not self.stopping.is_set():
                known = list(self.acknowledged)
                if not known:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                unique_id = chance.choice(known[-50:])
                self._read_one(consumer, unique_id, self.acknowledged[unique_id])

    def _read_one(self, consumer: DocumentConsumer, unique_id: str, told: Fingerprint) -> None:
        def find() -> str:
            # there may be two: an ITI-105 that is repeated is a submission of its own
            entries = consumer.get_documents(unique_ids=[unique_id]).document_entries
            return SUCCESS if entries else _wrong(f"{unique_id} is not found")

        def retrieve() -> str:
            with consumer.retrieve([DocumentRequest(EXAMPLE_REPOSITORY, unique_id)]) as found:
                for document in found:
                    if document.fingerprint() != told:
                        return _wrong(f"{unique_id} comes back changed")
            return SUCCESS

        for transaction, attempt in (("ITI-18", find), ("ITI-43", retrieve)):
            if self._timed(transaction, _told(attempt)) != SUCCESS:
                time.sleep(_PAUSE_SECONDS)

    def _search(self, chance: random.Random) -> None:
        """Search by ITI-67."""
        path = (
            f"/fhir/DocumentReference?patient.identifier=urn:oid:{samples.PATIENT_AUTHORITY}"
            f"|{_PATIENT}&status=current&_count={chance.randint(1, 9)}"
        )
        if self._timed("ITI-67", lambda: _asked(self.url, "GET", path)) != SUCCESS:
            time.sleep(_PAUSE_SECONDS)

    def _timed(self, transaction: str, attempt: Callable[[], str], *, again: bool = False) -> str:
        began = time.monotonic()
        try:
            outcome = attempt()
        except Wrong as error:
            outcome = str(error)
            self.problems.append(outcome)
        if again and _REGISTERED in outcome:
            outcome = REGISTERED_BEFORE
        self.calls.append(Call(transaction, began, time.monotonic() - began, outcome))
        return outcome


_SETTINGS: Final = Settings(timeout=_PATIENCE_SECONDS)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _wrong(text: str) -> str:
    raise Wrong(text)


def _told(attempt: Callable[[], str]) -> Callable[[], str]:
    """Have an attempt by SOAP say how it failed."""

    def act() -> str:
        try:
            return attempt()
        except TransactionRefused as refused:
            return " ".join(sorted({one.code for one in refused.response.errors}))
        except NotReached:
            return "not reached"
        except TransportFailed:
            return "connection broken off"
        except ClientError as error:
            return _wrong(f"{type(error).__name__}: {error}")

    return act


def _provision(
    source: DocumentSource, size: int, chance: random.Random
) -> tuple[dict[str, Fingerprint], Callable[[], str]]:
    data = chance.randbytes(size)
    content = Content(lambda: (data,), len(data))
    patient_id = samples.patient(_PATIENT)
    entry = samples.entry(1, samples.oid(), patient_id)
    submission = samples.submission(patient_id, samples.oid(), [entry])

    def attempt() -> str:
        source.provide_and_register(submission, {entry.id: content})
        return SUCCESS

    return {entry.unique_id or "": content.fingerprint()}, _told(attempt)


def _asked(url: str, method: str, path: str, body: bytes = b"") -> str:
    """Send one FHIR request on a connection of its own, and say what came of it."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        connection = connected(url)
    except OSError:
        return "not reached"
    try:
        found, answer = exchange(connection, head.encode() + body)
    except (OSError, BrokenOff, NotHTTP):
        return "connection broken off"
    finally:
        connection.close()
    if found.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return SUCCESS
    return f"{found.status} {_codes(answer)}"


def _codes(answer: bytes) -> str:
    """Name what an OperationOutcome tells: the codes of its issues, and the TF's where it has."""
    try:
        issues: Sequence[dict[str, object]] = json.loads(answer)["issue"]
    except (ValueError, KeyError, TypeError):
        return "(no OperationOutcome)"
    if _REGISTERED.encode() in answer:
        return _REGISTERED
    return " ".join(sorted({str(issue.get("code")) for issue in issues}))
