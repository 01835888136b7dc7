"""Sweeps beside submissions: what is acknowledged stays, whatever the age and the clock."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from bench.crash import Report, examine, submitted
from bench.steady import Steady
from tests.serving import configured, serving
from tests.waiting import until, until_none_left
from xds.affinity_domain import AffinityDomain
from xds.repository import maintenance
from xds.repository.store import StoredDocument

pytestmark = pytest.mark.slow

SUBMISSIONS = 150
CLIENTS = 3


@pytest.mark.on_files
@pytest.mark.parametrize(
    ("older_than", "ahead"),
    [(timedelta(0), timedelta(0)), (timedelta(hours=1), timedelta(days=2))],
)
def test_what_is_acknowledged_is_never_swept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    older_than: timedelta,
    ahead: timedelta,
) -> None:
    with serving(tmp_path / "data") as server:
        load = Steady(server.url)
        domain = AffinityDomain.open(configured(server.data))
        real, ending = time.time, threading.Event()
        swept: list[StoredDocument] = []

        def sweep() -> None:
            while not ending.is_set():
                swept.extend(maintenance.sweep(domain.repository, older_than=older_than))

        try:
            with load.running(CLIENTS):
                monkeypatch.setattr(time, "time", lambda: real() + ahead.total_seconds())
                sweeping = threading.Thread(target=sweep)
                sweeping.start()
                until_none_left(lambda: max(SUBMISSIONS - len(load.acknowledged), 0))
                until(lambda: swept or older_than)  # they are to meet
                ending.set()
                sweeping.join()
        finally:
            ending.set()
            domain.close()
        monkeypatch.undo()
        assert load.problems == []
        server.stop()
    report = Report(acknowledged=submitted(load.acknowledged))
    examine(configured(server.data), report)
    assert report.problems == []
    assert report.registered >= len(report.acknowledged) >= SUBMISSIONS
