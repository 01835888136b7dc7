"""`python -m bench hostile`: memory after very many hostile requests, and that none is a 5xx.

The mix is of every binding: what is no XML or refused XML, names that nobody has used before,
floods, cut and false multipart bodies, hostile FHIR, odd queries, paths and heads, and submissions
that are refused. Each request is on a connection that is used again where the server lets it.
"""

import http.client
import itertools
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from bench import machine
from tests.serving import Server, serving
from tests.soap.messages import (
    ITI18,
    ITI41,
    SIMPLE,
    Case,
    mtom_type,
    multipart,
    part,
    root_part,
    with_header,
)

REQUESTS: Final = 100_000
FIRST: Final = 1_000
_CLIENTS: Final = 4
_SECONDS: Final = 3600
_MEBIBYTE: Final = 1 << 20

Request = tuple[str, str, bytes, dict[str, str]]
_FIND: Final = Case(0).find()
_PROVIDE: Final = Case(0).provide()
_XML: Final = {"Content-Type": SIMPLE}
_GZIP: Final = {**_XML, "Content-Encoding": "gzip"}
_MTOM: Final = {"Content-Type": mtom_type()}
_FHIR: Final = {"Content-Type": "application/fhir+json"}


def _soap(body: bytes) -> Request:
    return "POST", ITI18.path, body, _XML


def _new_names(number: int) -> Request:
    names = "".join(f"<n{number}-{n}/>" for n in range(200))
    return _soap(with_header(_FIND, f"<n>{names}</n>").encode())


def _damaged(number: int) -> Request:
    chosen = random.Random(number)
    data = bytearray(multipart(root_part(_PROVIDE), part(b"a document" * 100)))
    for _ in range(3):
        data[chosen.randrange(len(data))] = chosen.randrange(256)
    del data[chosen.randrange(len(data)) :]
    return "POST", ITI41.path, bytes(data), _MTOM


def _include(number: int) -> Request:
    href = f'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="file:///{number}"/>'
    body = multipart(root_part(Case(0).provide(href)), part(b"a document" * 1000))
    return "POST", ITI41.path, body, _MTOM


def _fhir(body: bytes) -> Request:
    return "POST", "/fhir", body, _FHIR


KINDS: Final[dict[str, Callable[[int], Request]]] = {
    "no XML": lambda n: _soap(b"%d {}" % n),
    "DTD": lambda n: _soap(b'<!DOCTYPE a [<!ENTITY b "%d">]><a>&b;</a>' % n),
    "deep": lambda n: _soap(b"<a%d>" % n * 400),
    "names of nobody": _new_names,
    "attributes": lambda n: _soap(b"<a " + b"".join(b"a%d-%d='' " % (n, i) for i in range(500))),
    "an action of nobody": lambda n: _soap(_FIND.replace(ITI18.action, f"urn:x:{n}").encode()),
    "a query of nobody": lambda n: _soap(_FIND.replace("urn:uuid:14d4debf", f"urn:{n}").encode()),
    "damaged multipart": _damaged,
    "small parts": lambda n: (
        "POST",
        ITI41.path,
        multipart(root_part(_PROVIDE), *[part(b"", f"<{n}-{i}>") for i in range(30)]),
        _MTOM,
    ),
    "include of a file": _include,
    "content encoding": lambda n: ("POST", ITI18.path, b"\x1f\x8b%d" % n, _GZIP),
    "deep JSON": lambda n: _fhir(b'{"a%d":' % n * 300),
    "members of nobody": lambda n: _fhir(
        b'{"resourceType":"Bundle",' + b",".join(b'"m%d-%d":1' % (n, i) for i in range(300)) + b"}"
    ),
    "a member twice": lambda n: _fhir(b'{"m%d":1,"m%d":1}' % (n, n)),
    "a search of nobody": lambda n: (
        "GET", f"/fhir/DocumentReference?x{n}=y&patient.identifier=z%7C{n}&status=%25", b"", {},
    ),
    "Accept of nobody": lambda n: (
        "GET", "/fhir/metadata", b"", {"Accept": f"a{n}/b, */*", "Host": f"h{n}"},
    ),
    "a path of nobody": lambda n: ("GET", f"/{n}/..%2f%0d%0a", b"", {}),
    "a method of nobody": lambda n: (f"M{n % 1000}", "/fhir", b"", {}),
    "a long head": lambda n: ("GET", "/fhir/List/" + f"{n}" * 2_000, b"", {}),
}  # fmt: skip


class _Sent:
    """What came of the requests so far; shared by the clients."""

    def __init__(self, most: int) -> None:
        self._numbers = iter(range(most))
        self._lock = Lock()
        self._until = time.monotonic() + _SECONDS
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()

    def next(self) -> int | None:
        """Give the number of the next request; None at the end."""
        with self._lock:
            return next(self._numbers, None) if time.monotonic() < self._until else None

    def note(self, kind: str, status: int, body: bytes) -> None:
        """Count an answer; one of 5xx that no sender's fault demands is an error."""
        with self._lock:
            self.statuses[status] += 1
            if status >= 500 and b"VersionMismatch" not in body and b"MustUnderstand" not in body:
                self.errors[f"{kind}: {status}"] += 1


def _work(server: Server, sent: _Sent) -> None:
    kinds = list(KINDS.items())
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    while (number := sent.next()) is not None:
        kind, make = kinds[number % len(kinds)]
        method, path, body, headers = make(number)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            sent.note(kind, answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            sent.note(f"{kind}: cut off", 0, b"")
            with suppress(OSError):
                connection.close()
    connection.close()


def _send(server: Server, count: int) -> _Sent:
    sent = _Sent(count)
    clients = [Thread(target=_work, args=(server, sent)) for _ in range(_CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sent


def _rows(server: Server, requests: int) -> Iterator[tuple[int, int, _Sent]]:
    done = 0
    steps = [FIRST, *itertools.repeat(max((requests - FIRST) // 9, 1), 9)]
    for step in steps:
        sent = _send(server, step)
        done += step
        used = sum(machine.resident(pid) for pid in machine.family(server.process.pid))
        yield done, used, sent


def main(folder: Path, requests: int = REQUESTS) -> int:
    """Send the requests to a server of its own on this machine, print the table; 1 for a 5xx."""
    statuses: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="hostile-") as work,
        serving(Path(work), {"log_level": "error"}) as server,
    ):
        print(f"{'requests':>10} {'RSS, all processes':>20} {'5xx':>6}", flush=True)
        for done, used, sent in _rows(server, requests):
            statuses += sent.statuses
            errors += sent.errors
            shown = f"{used / _MEBIBYTE:.1f} MiB"
            print(f"{done:>10,} {shown:>20} {errors.total():>6}", flush=True)
        logged = len(server.log.read_text().splitlines())
    print(
        "answers:",
        ", ".join(f"{n:,} of {status or 'none'}" for status, n in sorted(statuses.items())),
    )
    print(f"lines of errors in the log: {logged}", *sorted(errors.items()))
    return 1 if errors else 0
