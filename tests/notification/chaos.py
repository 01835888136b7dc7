"""Servers, a database and a recipient of notifications that are killed and started at random."""

import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Protocol

from lxml import etree

from bench import machine
from tests.ports import free_port
from tests.postgresql import OwnPostgreSQL
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.client import ClientError, DocumentSource, entry_of, new_oid, submission_of
from xds.database.access import Database, retried
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry
from xds.outgoing import operations

TAKEN: Final = 200
AWAY: Final = 1.0
"""Seconds for which something is away at most."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification that came and was taken."""

    id: str
    objects: tuple[str, ...]


@dataclass
class Recipient:
    """Where notifications arrive, by their paths: it may be away, or refuse some."""

    port: int = field(default_factory=free_port)
    refusing: bool = False
    came: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    _server: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._server = _Listening(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, body: bytes) -> int:
        """Keep what came; return the status to answer with."""
        if self.refusing:
            return 500
        arrival = read(body)
        if arrival is not None:
            with self._lock:
                self.came[path].append(arrival)
        return TAKEN


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def _handler(recipient: Recipient) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status = recipient.take(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def read(body: bytes) -> Arrival | None:
    """Read a Notify or a Bundle: its id, and the entryUUIDs that it names; None of a handshake."""
    if body.startswith(b"{"):
        bundle = json.loads(body)
        is_event = b'"event-notification"' in body
        return Arrival(bundle["id"], ()) if is_event else None
    root = etree.fromstring(body)
    message = root.findtext(".//{http://www.w3.org/2005/08/addressing}MessageID", "")
    rim = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
    found = [*root.iter(f"{rim}ExtrinsicObject"), *root.iter(f"{rim}ObjectRef")]
    return Arrival(message.removeprefix("urn:uuid:"), tuple(one.get("id", "") for one in found))


@dataclass
class Writers:
    """Who registers documents at whatever server answers."""

    urls: Sequence[str]
    patients: Sequence[str]
    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """entryUUIDs by patient."""
    unknown: set[str] = field(default_factory=set)
    """Those of which nobody knows."""
    _ends: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def writing(self, count: int) -> Iterator[None]:
        """Have so many write for the length of a block."""
        threads = [threading.Thread(target=self._write, args=(one,)) for one in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()

    def _write(self, number: int) -> None:
        chance = random.Random(number)
        former: DocumentEntry | None = None
        while not self._ends.wait(0.02):
            patient_id = chance.choice(self.patients)
            replaced = former if former and chance.random() < 0.2 else None
            if replaced is not None:
                patient_id = replaced.patient_id or ""
            entry = _entry(patient_id)
            url = chance.choice(self.urls)
            try:
                _register(url, entry, replaced)
            except (ClientError, OSError):
                self.unknown.add(entry.id)
                continue
            self.acknowledged[patient_id].append(entry.id)
            former = None if replaced else entry


def _entry(patient_id: str) -> DocumentEntry:
    more = {"hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "size": "0"}
    return entry_of(patient_id, "text/plain", repository_unique_id="2.999.9.9", **more)


def _register(url: str, entry: DocumentEntry, replaced: DocumentEntry | None) -> None:
    submission = submission_of([entry])
    if replaced is not None:
        link = Association.create(association_type=v.RPLC, source=entry.id, target=replaced.id)
        submission = submission.with_objects([*submission.objects, link])
    with DocumentSource(f"{url}/repository", f"{url}/registry") as source:
        source.register(submission)


def patient() -> str:
    """Return the id of a new patient."""
    return f"P{new_oid()[-12:]}^^^&2.999.1.1&ISO"


class Deployment:
    """Two servers on one database, each of which may be killed and started again."""

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, str],
        postgresql: OwnPostgreSQL | None,
        own: Sequence[Mapping[str, str]] = ({}, {}),
    ) -> None:
        """``own`` are the options that each has for itself."""
        self._own = own
        self._folder = folder
        self._options = options
        self._postgresql = postgresql
        self._ports = [free_port(), free_port()]
        self._stacks = [ExitStack(), ExitStack()]
        self.servers: list[Server] = []

    @property
    def urls(self) -> Sequence[str]:
        """The roots of both servers."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def start(self) -> None:
        """Start both."""
        self.servers = [self._start(number) for number in (0, 1)]

    def _start(self, number: int) -> Server:
        options = {**self._options, **self._own[number]}
        options |= {"port": str(self._ports[number]), "workers": "1"}
        server = serving(self._folder / str(number), options, processes=1)
        return self._stacks[number].enter_context(server)

    def kill(self, number: int) -> None:
        """Have a server end at once with all its processes, and start it again."""
        for pid in reversed(machine.family(self.servers[number].process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.servers[number].process.wait(PATIENCE)
        self._stacks[number].close()
        self.servers[number] = self._start(number)

    def interrupt_database(self) -> None:
        """Have the database end as if its machine went away, and come back."""
        if self._postgresql is not None:
            self._postgresql.stop("immediate")
            time.sleep(random.uniform(0.1, AWAY))
            self._postgresql.start()

    def close(self) -> None:
        """Stop both."""
        for stack in self._stacks:
            stack.close()


class Disturbed(Protocol):
    """A recipient that may be away, or refuse what comes."""

    refusing: bool

    def start(self) -> None:
        """Listen."""

    def stop(self) -> None:
        """Be away."""


def disturb(
    deployment: Deployment,
    recipient: Disturbed,
    seconds: float,
    chance: random.Random,
    is_enough: Callable[[], bool],
) -> None:
    """Kill and start at random, each at least once, for a while and until it is enough.

    On a busy machine a server takes long to start, and not much happens in a while.
    """

    def absent() -> None:
        recipient.stop()
        time.sleep(chance.uniform(0.1, AWAY))
        recipient.start()

    def refusing() -> None:
        recipient.refusing = True
        time.sleep(chance.uniform(0.1, AWAY))
        recipient.refusing = False

    acts: Mapping[str, Callable[[], None]] = {
        "first server": lambda: deployment.kill(0),
        "second server": lambda: deployment.kill(1),
        "database": deployment.interrupt_database,
        "recipient": absent,
        "refusals": refusing,
    }
    order = list(acts)
    chance.shuffle(order)
    done: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(done) < len(order) or not is_enough():
        assert time.monotonic() < end + PATIENCE, done
        name = order[len(done)] if len(done) < len(order) else chance.choice(order)
        acts[name]()
        done.append(name)
        time.sleep(chance.uniform(0.1, 1.0))


def retry_everything(database: Database) -> None:
    """Have all that waits sent now: pauses after failures take minutes."""

    def retry() -> None:
        with database.write() as connection:
            operations.retry(database, connection, operations.EVERYTHING)

    retried(retry)  # servers take targets and give them back meanwhile
