"""Subscriptions: what they cost those who register, and how soon subscribers are told."""

import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from bench import machine, samples
from bench.calls import Submit
from bench.deployment import DOCUMENT_BYTES, Deployment, workers
from bench.figures import Figure
from bench.loads import loaded, rate_of
from tests.notification import dsub
from tests.ports import free_port
from tests.serving import Server, serving
from xds.database.access import Database
from xds.database.statements import copy_rows
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.notification import rows
from xds.notification.model import NewSubscription, SubscribedTopic, SubscriptionState
from xds.notification.tables import notification, subscription
from xds.outgoing import operations
from xds.outgoing.transport import HttpEndpoint, HttpRequest, Settings
from xds.registry import events, schema, subscribers
from xds.security.caller import UNKNOWN

SUBSCRIPTIONS: Final = 10_000
BACKLOG: Final = 1_000_000
_RATE: Final = 50
"""Submissions a second for the measure of how soon somebody is told."""
_TOLD: Final = 20
"""Subscriptions that are told of each document after an outage."""
_DOCUMENTS: Final = 100
_PATIENCE: Final = 120.0
_CHUNK: Final = 50_000
_MESSAGE_BYTES: Final = 8_000
_PATIENT: Final = "N1"


def with_many(deployment: Deployment) -> Sequence[Figure]:
    """Measure ITI-42 with 10,000 subscriptions of which one matches, beside ITI-42 with none."""
    with _broker(deployment) as (broken, recipient):

        def prepare() -> None:
            _subscribe(broken.server, recipient.url, samples.patient("W0"))
            _add(broken.server, SUBSCRIPTIONS - 1)

        return _beside(broken, prepare)


def with_backlog(deployment: Deployment) -> Sequence[Figure]:
    """Measure ITI-42 with a million notifications that wait, beside ITI-42 with a few."""
    with _broker(deployment) as (broken, recipient):
        recipient.stop()
        _subscribe(broken.server, recipient.url, samples.patient("W0"))

        def prepare() -> None:
            _have_waiting(broken.server, BACKLOG)
            with opened(broken.server) as database:
                if database.is_sqlite:  # what was written at once is not to be written back now
                    with database.read() as connection:
                        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
            os.sync()

        return _beside(broken, prepare)


def soon(deployment: Deployment) -> Sequence[Figure]:
    """Measure how long after a submission its notification arrives, at 50 a second."""
    with _broker(deployment) as (broken, recipient):
        _subscribe(broken.server, recipient.url, samples.patient("W0"))
        times: list[float] = []
        submit = Submit(broken.url, DOCUMENT_BYTES, with_document=False)(0)
        submit()
        recipient.wait_for(1)
        end = time.monotonic() + max(broken.seconds, 2.0)
        due = time.monotonic()
        while time.monotonic() < end:
            submit()
            times.append(time.monotonic())
            due += 1 / _RATE
            time.sleep(max(0.0, due - time.monotonic()))
        arrived = recipient.wait_for(len(times) + 1)[1:]
        waits = [there - told for told, there in zip(times, arrived, strict=False)]
        return [Figure(quantiles(waits, n=20)[-1], 0.0)]


def drained(deployment: Deployment) -> Sequence[Figure]:
    """Measure how many notifications arrive a second when their recipient is back.

    The second figure is the processor time that the server's processes use for each.
    """
    with _broker(deployment) as (broken, recipient):
        for number in range(_TOLD):
            _subscribe(broken.server, f"{recipient.url}/{number}", samples.patient("W0"))
        recipient.stop()
        submit = Submit(broken.url, DOCUMENT_BYTES, with_document=False)(0)
        for _ in range(_DOCUMENTS):
            submit()
        until(lambda: _numbered(broken.server) == _TOLD * _DOCUMENTS)
        time.sleep(2)  # so that those under way have failed
        recipient.start()
        came = len(recipient.wait_for(0))
        before = machine.cpu_seconds(broken.processes)
        with opened(broken.server) as database, database.write() as connection:
            operations.retry(database, connection, operations.EVERYTHING)
        count = _TOLD * _DOCUMENTS - came
        arrived = recipient.wait_for(came + count)[came:]
        used = machine.cpu_seconds(broken.processes) - before
        rate = (len(arrived) - 1) / (arrived[-1] - arrived[0])
        return [Figure(rate, _posted(recipient, count)), Figure(used / count * 1000, 0.0)]


def _posted(recipient: "Recipient", count: int) -> float:
    """Return how many messages of such a size a bare client posts a second, one by one."""
    endpoint = HttpEndpoint(recipient.url, Settings())
    body = samples.content(_MESSAGE_BYTES)
    message = HttpRequest(content_type="application/soap+xml", length=len(body), blocks=[body])
    began = time.monotonic()
    for _ in range(count):
        with endpoint.post(message) as answer:
            answer.read()
    endpoint.close()
    return count / (time.monotonic() - began)


# --- parts ---------------------------------------------------------------------------------------


def _beside(deployment: Deployment, prepare: Callable[[], None]) -> Sequence[Figure]:
    """Measure ITI-42, and as its yardstick ITI-42 before something was prepared.

    The second figure is the processor time of the server for each, in milliseconds.
    """
    submit = Submit(deployment.url, DOCUMENT_BYTES, with_document=False)
    count = len(deployment.clients)
    before, effort_before = loaded(deployment, submit, count=count)
    prepare()
    submit(0)()
    until(lambda: not _waits(deployment.server))  # and all subscriptions have been read
    after, effort = loaded(deployment, submit, count=count)
    return [
        Figure(rate_of(after), rate_of(before), effort),
        Figure(effort.server * 1000, effort_before.server * 1000),
    ]


@contextmanager
def _broker(deployment: Deployment) -> Iterator[tuple[Deployment, "Recipient"]]:
    """Serve with a broker on an empty registry of the same kind, and a recipient beside it."""
    options = {k: v for k, v in deployment.server.options.items() if k == "database"}
    with (
        tempfile.TemporaryDirectory(dir=deployment.folder) as data,
        Recipient.ready() as recipient,
        serving(
            Path(data), {**workers(), **options, "notification_targets": recipient.url}
        ) as server,
    ):
        yield replace(deployment, server=server, folder=Path(data)), recipient
        _forget(server)


def _forget(server: Server) -> None:
    """End the subscriptions, as the database may be used again."""
    with opened(server) as database, database.write() as connection:
        for table in (notification, subscription):
            connection.execute(table.delete())
        operations.drop(database, connection, operations.EVERYTHING, only_dead=False)


def _subscribe(server: Server, url: str, patient_id: str) -> None:
    wanted = dsub.topic("ihe:FullDocumentEntry")
    wanted += dsub.query(dsub.DOCUMENTS, dsub.patient(patient_id.partition("^")[0]))
    reply = dsub.post(f"{server.url}/notification", dsub.envelope(dsub.subscribe(url, wanted)))
    assert reply.content.tag.endswith("}SubscribeResponse"), reply.body


@contextmanager
def opened(server: Server) -> Iterator[Database]:
    """Open the database of a server beside it."""
    database = Database(server.database)
    try:
        schema.prepare(database)
        yield database
    finally:
        database.close()


def _add(server: Server, count: int) -> None:
    """Add subscriptions to patients of whom nothing is registered."""
    topic = SubscribedTopic("bench", DocumentEntry, frozenset({events.REGISTERED}))
    with opened(server) as database, database.write() as connection:
        begins = connection.exec_driver_sql("SELECT max(pk) FROM event").scalar()
        for number in range(count):
            new = NewSubscription(
                protocol="dsub",
                topic=topic,
                filter=equal("patient_id", [samples.patient(f"{_PATIENT}-{number}")]),
                transaction="ITI-52",
                caller=UNKNOWN,
                address="http://127.0.0.1:9/",
            )
            rows.added(
                connection,
                new,
                state=SubscriptionState.ACTIVE,
                created=0,
                beats=None,
                begins=begins,
            )


def _have_waiting(server: Server, count: int) -> None:
    """Have the subscription be behind by so many notifications more."""
    with opened(server) as database:
        with database.write() as connection:
            (row,) = connection.execute(subscription.select().with_for_update()).all()
            last = connection.exec_driver_sql("SELECT max(pk) FROM event").scalar_one()
            rows.changed(connection, row.pk, numbered=row.numbered + count)
        first, end = row.numbered + 1, row.numbered + count + 1
        for begin in range(first, end, _CHUNK):
            numbers = range(begin, min(begin + _CHUNK, end))
            with database.write() as connection:
                copy_rows(connection, notification, [_waiting(row.pk, n, last) for n in numbers])


def _waiting(key: int, number: int, event: int) -> dict[str, object]:
    objects = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    return {
        "subscription": key,
        "number": number,
        "event": event,
        "change": events.REGISTERED,
        "at": 0,
        "objects": objects,
    }


def _waits(server: Server) -> bool:
    """Tell whether events have not been matched yet."""
    with opened(server) as database, database.read() as connection:
        return bool(subscribers.states(connection)["notifications"].waiting)


def _numbered(server: Server) -> int:
    if _waits(server):
        return 0
    with opened(server) as database, database.read() as connection:
        return sum(row.numbered for row in connection.execute(subscription.select()))


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


Take = Callable[[socket.socket, list[float]], None]
"""Takes messages from a connection and notes when each came."""

# --- the recipient -------------------------------------------------------------------------------


@dataclass
class Recipient:
    """A process that takes whatever is posted to it, and tells when each message came."""

    port: int
    _orders: Connection
    _process: BaseProcess

    @classmethod
    @contextmanager
    def ready(cls, *, is_mllp: bool = False) -> Iterator["Recipient"]:
        """Have one listen for the length of a block: by HTTP, or for HL7 v2 by MLLP."""
        own, other = multiprocessing.Pipe()
        port = free_port()
        process = multiprocessing.get_context("spawn").Process(
            target=_receive, args=(port, other, _take_mllp if is_mllp else _take)
        )
        process.start()
        made = cls(port, own, process)
        made.start()
        try:
            yield made
        finally:
            own.send("end")
            process.join()

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._ask("start")

    def stop(self) -> None:
        """Be away."""
        self._ask("stop")

    def wait_for(self, count: int) -> Sequence[float]:
        """Wait until so many messages have come; return when each did."""
        end = time.monotonic() + _PATIENCE
        while (came := self._ask("count")) < count:
            assert time.monotonic() < end, (came, count)
            time.sleep(0.1)
        found: Sequence[float] = self._ask("told")
        return found

    def _ask(self, order: str) -> Any:
        self._orders.send(order)
        return self._orders.recv()


def _receive(port: int, orders: Connection, take: Take) -> None:
    came: list[float] = []
    listening: socket.socket | None = None
    open_ones: list[socket.socket] = []
    while (order := orders.recv()) != "end":
        if order == "start":
            listening = socket.create_server(("127.0.0.1", port))
            told = (listening, came, open_ones, take)
            work = threading.Thread(target=_accept, args=told, daemon=True)
            work.start()
        elif order == "stop" and listening is not None:
            for one in (listening, *open_ones):
                with suppress(OSError):  # the other side may have gone
                    one.shutdown(socket.SHUT_RDWR)  # close alone leaves accept and recv waiting
                one.close()
            open_ones.clear()
        orders.send(tuple(came) if order == "told" else len(came))


def _accept(
    listening: socket.socket, came: list[float], open_ones: list[socket.socket], take: Take
) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        open_ones.append(connection)
        threading.Thread(target=take, args=(connection, came), daemon=True).start()


def _take(connection: socket.socket, came: list[float]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    try:
        while block := connection.recv(65536):
            waiting += block
            while (end := waiting.find(b"\r\n\r\n")) >= 0:
                head = waiting[:end].lower()
                at = head.find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
                if len(waiting) < end + 4 + length:
                    break
                waiting = waiting[end + 4 + length :]
                came.append(time.monotonic())
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    except OSError:
        return


def _take_mllp(connection: socket.socket, came: list[float]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = bytearray()
    try:
        while block := connection.recv(65536):
            waiting += block
            if waiting.endswith(b"\x1c\r"):  # a sender waits for each answer
                control_id = waiting.split(b"|", 10)[9]
                came.append(time.monotonic())
                waiting.clear()
                answer = b"MSH|^~\\&|R||XDS||2026||ACK|1|P|2.4\rMSA|AA|" + control_id + b"\r"
                connection.sendall(b"\x0b" + answer + b"\x1c\r")
    except OSError:
        return
