"""/health/ready is 200 only where a submission could be written, and what is said at the start."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from falcon import testing
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from tests.ports import free_port
from tests.waiting import PATIENCE
from xds import app
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.audit.spool import Spool
from xds.commands import serve
from xds.config import Config
from xds.database.access import Database
from xds.http import pages
from xds.registry import schema
from xds.repository.filesystem import FilesystemStore


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[AffinityDomain]:
    opened = AffinityDomain.open(Config(data=tmp_path / "var", audit="on"), serves=True)
    yield opened
    opened.close()


def is_full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def ready(domain: AffinityDomain) -> tuple[int, dict[str, str]]:
    answer = testing.TestClient(pages.create(domain)).simulate_get("/health/ready")
    return answer.status_code, answer.json


def move_database(domain: AffinityDomain, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var" / "registry.sqlite3").rename(tmp_path / "moved")


def keep_from_committing(domain: AffinityDomain, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the disk be full for SQLite: no page can be added."""
    domain.database._kept.close()  # these go back to the pool
    engine = domain.database._backend.engine
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    assert not pool.checkedout()
    connections = [engine.raw_connection() for _ in range(pool.size())]
    for one in connections:
        one.cursor().execute("PRAGMA query_only = 1")
        one.close()


def fill_documents(domain: AffinityDomain, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("xds.repository.filesystem._write_all", is_full)


def fill_spool(domain: AffinityDomain, tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Spool, "_fresh", is_full)


@pytest.mark.parametrize(
    ("happens", "part"),
    [
        (move_database, "database"),
        (keep_from_committing, "database"),
        (fill_documents, "documents"),
        (fill_spool, "audit"),
    ],
)
def test_a_server_that_cannot_write_is_not_ready(
    domain: AffinityDomain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[..., None],
    part: str,
) -> None:
    happens(domain, tmp_path, monkeypatch)
    assert ready(domain) == (503, {"status": "not ready", "unavailable": part})


def test_a_server_that_can_write_is_ready(domain: AffinityDomain) -> None:
    assert ready(domain) == (200, {"status": "ready"})


def test_a_record_that_is_not_needed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(data=tmp_path, audit="on", audit_failure="warn")
    opened = AffinityDomain.open(config, serves=True)
    try:
        monkeypatch.setattr(Spool, "_fresh", is_full)
        assert ready(opened)[0] == 200
    finally:
        opened.close()


# --- at the start --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_database_that_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/registry.sqlite3")
    schema.migrate(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99.0'"))
    database.close()
    options = ["--data", str(tmp_path), "--port", str(free_port()), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "xds", "serve", *options, "--log-format", "json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (error,) = (line for line in lines if line["level"] == "error")
    assert error["event"] == "the application cannot start"
    assert "the database has schema 99.0, and this program knows" in error["reason"]
    assert "Traceback" not in done.stderr


def test_an_empty_index_beside_stored_documents_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(app._log, "error", lambda event, **_: said.append(event))
    config = Config(data=tmp_path)
    app.tell_surprises(config)
    assert said == []
    store = FilesystemStore(tmp_path / "documents")
    store.publish([store.stage([b"of another index"])])
    app.tell_surprises(config)
    (event,) = said
    assert event.startswith("there are stored documents, but none is in the index")
    verified = CliRunner().invoke(main, ["verify", "--data", str(tmp_path)])
    assert verified.exit_code == 1
    assert "none is in the index of this database" in verified.stderr


class Said:
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **more: object) -> None:
        self.warnings.append((event, more))

    def info(self, event: str, **more: object) -> None:
        pass


def test_example_oids_and_a_folder_of_one_machine_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = Said()
    monkeypatch.setattr("xds.logs.get_logger", lambda _: said)
    serve._warn(
        Config(
            database="postgresql://xds@host/xds",
            home_community_id="2.999.1",
            assigning_authority="1.2.3",
        )
    )
    assert [more.get("option") for _, more in said.warnings] == [
        "repository_unique_id",
        "home_community_id",
        None,
    ]
    assert "every instance that shares the database needs the same folder" in said.warnings[2][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--code-sets", "{}/none.toml"], "code_sets: "),
        (["--identifier-systems", "{}/none.toml"], "identifier_systems: "),
        (["--generate-defaults", "{}/none.toml"], "generate_defaults: "),
        (["--user-issuers", "{}/none.toml"], "user_issuers: "),
        (["--policy", "{}/none.toml"], "policy: "),
        (["--tls-certificate", "{}/none.pem", "--tls-key", "{}/none.pem"], "tls_certificate: "),
        (["--tls-outgoing-trust", "{}/none.pem"], "tls_outgoing_trust: "),
        (["--documents-options", "root_certificate={}/none.pem"], "documents_options: "),
    ],
)
def test_a_file_that_is_missing_is_told_by_xds_config(
    tmp_path: Path, options: list[str], said: str
) -> None:
    done = CliRunner().invoke(main, ["config", *(one.format(tmp_path) for one in options)])
    assert done.exit_code == 2
    assert f"Error: {said}" in done.stderr
    assert str(tmp_path) in done.stderr
