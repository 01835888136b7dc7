"""Records on their way to an Audit Record Repository: rsyslog, which others have written."""

import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.audit.conftest import Rsyslog, rsyslog
from tests.databases import Databases
from tests.registry.wire import BOTH_STATUSES, World, query, text
from tests.serving import Server, serving
from tests.waiting import PATIENCE, until
from xds.audit import chain, table
from xds.audit.message import AuditSource
from xds.audit.shipping import CHANNEL, HandOver, RecordSender
from xds.audit.syslog import Sender, framed
from xds.audit.trail import of_configuration
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.outgoing import operations
from xds.outgoing.delivery import Channel
from xds.outgoing.dispatcher import Dispatcher
from xds.tls.authority import Authority
from xds.url_allowlist import SyslogTarget

_HEADER: Final = re.compile(
    r"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ xds \d+ IHE\+RFC-3881 - <\?xml "
)


_WAITING: Final = r'^xds_outgoing_waiting_messages\{channel="syslog"\} (\S+)'


@contextmanager
def shipping(data: Path, database: str, url: str) -> Iterator[Server]:
    options = {"audit": "on", "database": database, "audit_syslog": url}
    with serving(data, options) as server:
        yield server


def ask(server: Server, count: int) -> list[str]:
    """Ask a query for each of some new patients, and return their ids."""
    patients = [World.new().patient(1) for _ in range(count)]
    for patient_id in patients:
        parameters = {
            "$XDSDocumentEntryPatientId": text(patient_id),
            "$XDSDocumentEntryStatus": BOTH_STATUSES,
        }
        assert query(server, v.FIND_DOCUMENTS, parameters).status == "Success"
    return [patient_id.partition("^")[0] for patient_id in patients]


def named(lines: list[str]) -> list[str]:
    """Return the patients of received records, in their order."""
    return [found[1] for line in lines if (found := re.search(r'ObjectID="(P[^^"]+)\^', line))]


def wait_for(receiver: Rsyslog, wanted: set[str]) -> list[str]:
    return until(lambda: named(receiver.lines), lambda found: wanted <= set(found), pause=0.1)


def wait_for_backlog(server: Server) -> None:
    """Wait until the metrics tell that records wait."""

    def told() -> float:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
            found = re.search(_WAITING, answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    until(lambda: told() >= 1, pause=0.1)


@pytest.mark.slow
def test_records_arrive_once_each_though_the_receiver_was_away(
    tmp_path: Path, receiver: Rsyslog, databases: Databases
) -> None:
    url = f"tcp://127.0.0.1:{receiver.port}"
    with shipping(tmp_path / "data", databases.url(tmp_path / "data"), url) as server:
        first = ask(server, 3)
        assert set(wait_for(receiver, {*first})) == {*first}
        receiver.stop()
        second = ask(server, 3)
        wait_for_backlog(server)
        receiver.start()
        assert sorted(wait_for(receiver, {*first, *second})) == sorted([*first, *second])
    assert all(_HEADER.match(line) for line in receiver.lines)


def test_records_go_by_tls_and_both_ends_show_certificates(
    tmp_path: Path, databases: Databases
) -> None:
    certificates, data = tmp_path / "certificates", tmp_path / "data"
    authority = Authority.make("audit", 1)
    server, client = authority.issue("localhost", ["localhost"]), authority.issue("client")
    certificates.mkdir()
    for name, one in (("authority", authority.own), ("server", server), ("client", client)):
        (certificates / f"{name}.pem").write_bytes(one.certificate_pem)
        (certificates / f"{name}.key").write_bytes(one.key_pem)
    options = {
        "audit": "on",
        "database": databases.url(data),
        "tls_outgoing_trust": str(certificates / "authority.pem"),
        "tls_outgoing_certificate": str(certificates / "client.pem"),
        "tls_outgoing_key": str(certificates / "client.key"),
    }
    with rsyslog(tmp_path / "rsyslog", certificates) as receiver:
        where = {"audit_syslog": f"tls://localhost:{receiver.port}"}
        with serving(data, {**options, **where}) as running:
            asked = ask(running, 2)
            assert set(wait_for(receiver, {*asked})) == {*asked}


@pytest.mark.slow
def test_records_outlast_a_restart_of_the_server(
    tmp_path: Path, receiver: Rsyslog, databases: Databases
) -> None:
    url, data = f"tcp://127.0.0.1:{receiver.port}", tmp_path / "data"
    receiver.stop()
    with shipping(data, databases.url(data), url) as server:
        asked = ask(server, 3)
        server.process.kill()
        server.process.wait()
    receiver.start()
    with shipping(data, databases.url(data), url):
        assert set(wait_for(receiver, {*asked})) == {*asked}


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


def test_several_processes_hand_over_and_ship_each_record_once_and_in_order(
    receiver: Rsyslog, database: Database
) -> None:
    target = SyslogTarget("tcp", "127.0.0.1", receiver.port)
    source = AuditSource(source_id="hub.example")
    stop, hand_overs = threading.Event(), [HandOver(database) for _ in range(3)]

    def hand_over(one: HandOver) -> None:
        while not stop.wait(0.01):
            one.round()

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(3))
        stack.callback(stop.set)
        for one in hand_overs:
            threads.submit(hand_over, one)
            sender = Sender(target, ssl.create_default_context)
            stack.callback(sender.close)
            channel = Channel(name=CHANNEL, send=RecordSender(database, sender, source))
            dispatcher = Dispatcher(database, [channel])
            dispatcher.start()
            stack.callback(dispatcher.close)
        for number in range(100):
            with database.write() as connection:
                table.insert(connection, [of_configuration(f"{number:03}").json()])
        lines = receiver.wait_for(100)
    numbers = [found[1] for line in lines if (found := re.search(r"SHA-256 (\d+)", line))]
    assert numbers == [f"{number:03}" for number in range(100)]


def test_records_that_are_still_to_be_sent_are_not_removed(database: Database) -> None:
    record = replace(of_configuration("1"), at="2020-01-01T00:00:00.000Z")
    chain.append(database, [record.json()])
    HandOver(database, keep_days=1).round()
    with database.read() as connection:
        assert len(table.of_keys(connection, [1])) == 1
        assert table.to_ship(connection, 10) == []
    with database.write() as connection:
        operations.drop(database, connection, operations.EVERYTHING, only_dead=False)
    HandOver(database, keep_days=1).round()
    with database.read() as connection:
        assert table.of_keys(connection, [1]) == []


def test_a_record_is_inserted_once(database: Database) -> None:
    record = of_configuration("1")
    for _ in range(2):
        with database.write() as connection:
            table.insert(connection, [record.json()])
    with database.read() as connection:
        assert len(table.to_ship(connection, 10)) == 1


def test_what_a_receiver_does_not_take_counts_as_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        sender = Sender(SyslogTarget("tcp", "127.0.0.1", port), ssl.create_default_context)

        def close_at_once() -> None:
            connection, _ = listening.accept()
            connection.close()

        closing = threading.Thread(target=close_at_once)
        closing.start()
        message = framed(of_configuration("1"), b"<AuditMessage/>", "host")
        with pytest.raises(OSError, match=r"closed|reset|pipe|takes nothing"):
            send_often(sender, message)
        closing.join()
        sender.close()


def send_often(sender: Sender, message: bytes) -> None:
    for _ in range(50):
        sender.send([message])
        time.sleep(0.02)


@pytest.mark.parametrize("url", ["http://x", "tls://", "tls:x", "tcp://x/path", "tls://x:port"])
def test_a_destination_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"not of the form|[Pp]ort"):
        SyslogTarget.parse(url)
