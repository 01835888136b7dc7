"""A server is killed while it is given documents; `python -m bench crash` does it more often."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.crash import Report, Stage, examine, run
from tests.serving import configured
from xds.affinity_domain import AffinityDomain
from xds.repository import index

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A data folder after crashes, and what was found wrong with it."""
    folder = tmp_path_factory.mktemp("crashed")
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    return folder / "data", run(folder, kills=3, submissions=150, seed=seed)


@contextmanager
def opened(data: Path) -> Iterator[AffinityDomain]:
    domain = AffinityDomain.open(configured(data))
    try:
        yield domain
    finally:
        domain.database.close()


def test_what_was_acknowledged_outlives_a_kill(crashed: tuple[Path, Report]) -> None:
    _, report = crashed
    assert report.problems == []
    assert report.kills == 3
    assert report.registered >= len(report.at(Stage.KEPT)) > 0
    assert any(one.version > 1 for one in report.acknowledged.values())
    assert report.at(Stage.REMOVED)


@pytest.mark.on_files
def test_a_file_without_its_row_is_swept(crashed: tuple[Path, Report]) -> None:
    data, before = crashed
    with opened(data) as domain:
        store = domain.repository.store
        store.publish([store.stage([b"published, and never registered"])])
        store.stage([b"half"])
    report = Report(acknowledged=before.acknowledged)
    examine(configured(data), report)
    assert report.problems == []
    assert report.swept == 2


def test_a_row_without_its_document_is_seen(crashed: tuple[Path, Report]) -> None:
    data, before = crashed
    with opened(data) as domain:
        lost = next(index.every(domain.database))
        domain.repository.store.delete(lost.key)
    report = Report(acknowledged=before.acknowledged)
    examine(configured(data), report)
    assert f"{lost.unique_id} has a row in the index, but the document is missing" in (
        report.problems
    )
