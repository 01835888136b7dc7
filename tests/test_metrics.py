"""Metrics: added up over all processes, and without patient data."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.databases import Databases
from tests.hl7v2.wire import cx
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.client import DocumentConsumer, TransactionRefused
from xds.database.errors import DatabaseUnavailable
from xds.errors import RequestRefused
from xds.security.access import Access
from xds.security.errors import AccessDenied, AuthenticationFailed
from xds.security.interceptors import SUCCESS, Outcome, Result
from xds.telemetry import database_metrics
from xds.telemetry.metrics import AskedGauge, Metrics
from xds.telemetry.observer import TransactionObserver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """One server: of several, each counts for itself."""
    data = tmp_path_factory.mktemp("counted")
    with serving(data, {"database": databases.url(data)}, processes=1) as running:
        yield running


def metrics(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        lines = answer.read().decode().splitlines()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_transactions_are_counted_by_what_became_of_them(server: Server) -> None:
    before = metrics(server)
    with DocumentConsumer(server.registry_url) as consumer:
        for _ in range(3):
            consumer.find_documents(cx("METRICS1"))
        with pytest.raises(TransactionRefused):
            consumer.stored_query("urn:uuid:00000000-0000-0000-0000-000000000000", {})
    found = {name: count - before.get(name, 0) for name, count in metrics(server).items()}
    assert found['xds_transactions_total{outcome="success",transaction="ITI-18"}'] == 3
    assert found['xds_transactions_total{outcome="failure",transaction="ITI-18"}'] == 1
    assert found['xds_transaction_duration_seconds_count{transaction="ITI-18"}'] == 4
    assert found['xds_http_responses_total{place="registry",status="200"}'] == 4


def test_what_clients_send_is_no_label(server: Server) -> None:
    with pytest.raises(OSError, match="404"):
        urllib.request.urlopen(f"{server.url}/METRICS2/METRICS3?METRICS4", timeout=PATIENCE)
    told = metrics(server)
    assert told['xds_http_responses_total{place="other",status="404"}'] >= 1
    assert not re.search("METRICS[0-9]", " ".join(told))


def test_nothing_is_told_where_metrics_are_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"metrics": "no", "workers": "1"}) as server,
        pytest.raises(OSError, match="404"),
    ):
        metrics(server)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.of(RequestRefused()), "failure"),
        (Outcome.of(AccessDenied("no")), "denied"),
        (Outcome.of(AuthenticationFailed("nobody")), "denied"),
    ],
)
def test_what_is_not_answered_is_no_success(outcome: Outcome, told: str) -> None:
    alone = Metrics()
    interceptor = TransactionObserver(alone, "off")
    interceptor.leave(
        Access(transaction="ITI-67"), outcome
    )  # as where a request comes to no interceptor
    _, text = alone.render()
    assert f'xds_transactions_total{{outcome="{told}",transaction="ITI-67"}} 1.0'.encode() in text


def test_a_process_alone_counts_for_itself() -> None:
    alone = Metrics()
    alone.transacted("ITI-18", SUCCESS, 0.1)
    alone.transacted("ITI-18", Outcome(Result.ERROR), 0.1)
    alone.expires("tls_certificate", 7)
    content_type, text = alone.render()
    assert content_type.startswith("text/plain")
    assert b'xds_transactions_total{outcome="error",transaction="ITI-18"} 1.0' in text
    assert b'xds_certificate_expiry_timestamp_seconds{option="tls_certificate"} 7.0' in text


def test_a_duration_is_of_the_bucket_that_ends_with_it() -> None:
    alone = Metrics()
    for seconds in (0.002, 0.0021, 61):
        alone.transacted("ITI-18", SUCCESS, seconds)
    told = alone.render()[1].decode()
    name = "xds_transaction_duration_seconds"
    for most, count in (("0.002", 1), ("0.005", 2), ("60.0", 2), ("+Inf", 3)):
        assert f'{name}_bucket{{le="{most}",transaction="ITI-18"}} {count}.0' in told
    assert f'{name}_count{{transaction="ITI-18"}} 3.0' in told
    assert f'{name}_sum{{transaction="ITI-18"}} 61.0041' in told


def test_requests_under_way_are_told_at_the_next_look() -> None:
    alone = Metrics()
    alone.begin_request()
    alone.look(2)
    told = alone.render()[1].decode()
    assert "xds_http_requests_in_progress 1.0" in told
    assert "xds_http_requests_waiting 2.0" in told
    alone.end_request()
    alone.look(0)
    told = alone.render()[1].decode()
    assert "xds_http_requests_in_progress 0.0" in told
    assert "xds_http_requests_waiting 0.0" in told


def test_gauges_of_one_look_at_the_database_look_once(tmp_path: Path, databases: Databases) -> None:
    looks: list[float] = []

    def look(connection: Connection) -> float:
        looks.append(float(connection.exec_driver_sql("SELECT 7").scalar_one()))
        return looks[-1]

    gauges = [
        AskedGauge[float](name, "told", ("of",), lambda found: {("all",): found})
        for name in ("xds_first", "xds_second")
    ]
    metrics = Metrics()
    with databases.opened(tmp_path) as database:
        database_metrics.watch(metrics, database, look, gauges)
        for scrape in (1, 2):
            told = metrics.render()[1].decode()
            assert looks == [7.0] * scrape
            assert 'xds_first{of="all"} 7.0' in told
            assert 'xds_second{of="all"} 7.0' in told


def test_gauges_have_no_values_while_the_database_does_not_tell(
    tmp_path: Path, databases: Databases
) -> None:
    def look(_: Connection) -> float:
        raise DatabaseUnavailable("away")

    gauge = AskedGauge[float]("xds_first", "told", (), lambda found: {(): found})
    metrics = Metrics()
    with databases.opened(tmp_path) as database:
        database_metrics.watch(metrics, database, look, [gauge])
        told = metrics.render()[1].decode()
    assert "# TYPE xds_first gauge" in told
    assert "\nxds_first " not in told
