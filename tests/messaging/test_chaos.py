"""Whatever is killed: messages that are acknowledged are filed once, documents go out in order."""

import http.client
import random
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from tests.databases import POSTGRESQL, SQLITE
from tests.hl7v2.wire import END, START
from tests.messaging.http_receiver import HttpReceiver, HttpReply, receiving_http
from tests.messaging.receiver import MllpReceiver
from tests.messaging.senders import NHS, mdm, nhs_number, pdf, report_number
from tests.notification.chaos import Deployment, disturb, retry_everything
from tests.ports import free_port
from tests.postgresql import NoPostgreSQL, own_postgresql
from tests.waiting import PATIENCE, until, until_none_left
from xds.database.access import Database
from xds.messaging.outbound.records import OutboundState
from xds.messaging.outbound.tables import outbound_message
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry
from xds.registry import schema, subscribers
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING

pytestmark = pytest.mark.slow

SECONDS: Final = 15.0
"""How long things are killed."""
_NOT_NOW: Final = (b"|206^", b"|207^")
SENDERS: Final = 3
SEEDS: Final = {SQLITE: 1, POSTGRESQL: 2}
DESTINATIONS: Final = """
[[destination]]
name = "mllp"
address = "{mllp}"
answer_seconds = 2.0
refusals = 10000

[[destination]]
name = "http"
address = "{http}"
answer_seconds = 2.0
"""


@dataclass
class Away:
    """A receiver by MLLP that may be away, or take nothing."""

    port: int = field(default_factory=free_port)
    refusing: bool = False
    came: list[bytes] = field(default_factory=list)
    _now: MllpReceiver | None = None

    def start(self) -> None:
        """Listen."""
        self._now = MllpReceiver(self.port)
        self._now.came, self._now.answers = self.came, _Answers(self)

    def stop(self) -> None:
        """Be away."""
        if self._now is not None:
            self._now.close()
            self._now.disconnect()
            self._now = None


class _Answers(list[str | None]):
    """What a receiver answers next: that it cannot at the moment, or that it takes a message."""

    def __init__(self, receiver: Away) -> None:
        super().__init__(["AA"])
        self._receiver = receiver

    def pop(self, _: object = 0) -> str | None:
        return "AR 207" if self._receiver.refusing else "AA"


class _Sometimes(list[HttpReply]):
    """A receiver by HTTP that is busy now and then."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__([HttpReply()])
        self._chance = chance

    def pop(self, _: object = 0) -> HttpReply:
        return HttpReply(503, "=") if self._chance.random() < 0.1 else HttpReply()


@dataclass
class Senders:
    """Who sends messages to whatever server answers, each again until it is acknowledged."""

    mllp: Sequence[int]
    http: Sequence[int]
    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Numbers of documents by patient, in their order."""
    _ends: threading.Event = field(default_factory=threading.Event)

    @property
    def count(self) -> int:
        """How many have been acknowledged."""
        return sum(map(len, list(self.acknowledged.values())))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send for the length of a block, and until all is acknowledged."""
        threads = [threading.Thread(target=self._send, args=(one,)) for one in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()

    def _send(self, seed: int) -> None:
        chance, patients = random.Random(seed), [nhs_number() for _ in range(3)]
        former: dict[str, str] = {}
        while not self._ends.wait(0.02):
            patient, number = chance.choice(patients), report_number()
            parent = former.pop(patient, "") if chance.random() < 0.2 else ""
            trigger = "T10" if parent else "T02"
            message = mdm(trigger, patient, number, parent=parent, content=pdf(number))
            end = time.monotonic() + PATIENCE
            while not self._is_taken(message, chance):
                assert time.monotonic() < end, "a message was not acknowledged"
                time.sleep(0.1)
            self.acknowledged[patient].append(number)
            former[patient] = number

    def _is_taken(self, message: bytes, chance: random.Random) -> bool:
        answer = b""
        with suppress(OSError, http.client.HTTPException):
            if chance.random() < 0.3:
                answer = _posted(chance.choice(self.http), message)
            else:
                answer = _sent(chance.choice(self.mllp), message)
        is_taken = b"MSA|AA|" in answer
        # nothing is refused for good
        assert is_taken or not answer or any(one in answer for one in _NOT_NOW), answer
        return is_taken


def _sent(port: int, message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(START + message + END)
        answer = b""
        while not answer.endswith(END) and (block := connection.recv(4096)):
            answer += block
        return answer if answer.endswith(END) else b""  # the server ended while it wrote


def _posted(port: int, message: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/hl7v2", message, {"Content-Type": "text/plain"})
        response = connection.getresponse()
        return b"" if response.status == 503 else response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL])
def test_messages_are_filed_once_and_documents_go_out_in_order(kind: str, tmp_path: Path) -> None:
    try:
        with own_postgresql() if kind == POSTGRESQL else nullcontext() as postgresql:
            url = f"sqlite:///{tmp_path / 'registry.sqlite3'}"
            if postgresql is not None:
                url = postgresql.create("xds")
            database = Database(url)
            schema.migrate(database)
            with closing(database), receiving_http() as receiver:
                away, chance = Away(), random.Random(SEEDS[kind])
                receiver.answers = _Sometimes(random.Random(SEEDS[kind]))
                file = tmp_path / "destinations.toml"
                mllp = f"mllp://localhost:{away.port}"
                file.write_text(DESTINATIONS.format(mllp=mllp, http=receiver.url))
                options = {
                    "database": url,
                    "documents": (tmp_path / "documents").as_uri(),
                    "destinations": str(file),
                }
                ports = [free_port(), free_port()]
                own = [{"mllp_port": str(port)} for port in ports]
                deployment = Deployment(tmp_path, options, postgresql, own)
                _disturbed(deployment, away, receiver, ports, database, chance)
    except NoPostgreSQL as reason:
        pytest.skip(str(reason))


def _disturbed(
    deployment: Deployment,
    away: Away,
    receiver: HttpReceiver,
    ports: Sequence[int],
    database: Database,
    chance: random.Random,
) -> None:
    away.start()
    try:
        deployment.start()
        until(lambda: "destinations" in _subscribers(database))
        senders = Senders(ports, [int(one.rpartition(":")[2]) for one in deployment.urls])
        with senders.sending():
            disturb(deployment, away, SECONDS, chance, lambda: senders.count > 20)
        receiver.answers = []  # it is busy no more
        until_none_left(lambda: _untold(database), pause=0.5)
        _check(database, senders, {"mllp": away.came, "http": [one for _, one in receiver.came]})
    finally:
        deployment.close()
        away.stop()


def _subscribers(database: Database) -> Sequence[str]:
    with database.read() as connection:
        return list(subscribers.states(connection))


def _untold(database: Database) -> int:
    """Have all that waits tried now; return how many messages are not told yet, at most."""
    retry_everything(database)
    under_way = outbound_message.c.state.in_((OutboundState.WAITING, OutboundState.FAILED))
    with database.read() as connection:
        messages = connection.scalar(select(func.count()).where(under_way)) or 0
        events = subscribers.states(connection)["destinations"].waiting
        return messages + 2 * events  # of each, one for each destination


def _check(database: Database, senders: Senders, came: dict[str, list[bytes]]) -> None:
    with database.read() as connection:
        rows = connection.execute(outbound_message.select().order_by(outbound_message.c.pk)).all()
        view = RegistryView(connection, 1_000_000, EVERYTHING)
        entries = {
            patient: [
                one.thing
                for one in view.find(
                    DocumentEntry, [equal("patient_id", [f"{patient}^^^&{NHS}&ISO"])]
                )
            ]
            for patient in senders.acknowledged
        }
    assert {row.state for row in rows} <= {OutboundState.DELIVERED, OutboundState.SUPERSEDED}
    for patient, numbers in senders.acknowledged.items():
        filed = Counter(_number(one) for one in entries[patient])
        assert filed == Counter(numbers)  # each once, and nothing else
        number_of = {one.logical_id or one.id: _number(one) for one in entries[patient]}
        for name, messages in came.items():
            ours = [row for row in rows if row.destination == name and row.logical_id in number_of]
            # decided in the order in which they were sent to the server
            assert [number_of[row.logical_id] for row in ours] == numbers
            sent = [row.id for row in ours if row.state == OutboundState.DELIVERED]
            arrived = [one for one in map(_control_id, messages) if one in set(sent)]
            assert list(dict.fromkeys(arrived)) == sent, name
            superseded = {row.id for row in ours} - set(sent)
            replaced = {one.logical_id or one.id for one in entries[patient] if _is_old(one)}
            assert {row.logical_id for row in ours if row.id in superseded} <= replaced


def _number(entry: DocumentEntry) -> str:
    found = [one.partition("^")[0] for one in entry.reference_id_list if "T26-" in one]
    return found[0]


def _is_old(entry: DocumentEntry) -> bool:
    return (entry.availability_status or "").endswith("Deprecated")


def _control_id(message: bytes) -> str:
    return message.split(b"|")[9].decode()
