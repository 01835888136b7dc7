"""`xds copy-database`: what SQLite has is on PostgreSQL, every row, and can be gone on with."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Boolean, LargeBinary, Text, inspect, select, text

from tests.databases import POSTGRESQL, Databases, databases_of, prepared
from tests.servers.shared import Kept
from tests.test_backup import provide
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.audit import audit_log
from xds.commands.maintenance.copy_database import import_tables
from xds.config import Config
from xds.database import copying
from xds.database.access import Database
from xds.database.hidden_rows import PREFIX
from xds.database.statements import METADATA
from xds.registry.tables import EntryUUID

pytestmark = pytest.mark.on_files
FURTHER = (
    "subscription_token",
    *("message", "message_number", "message_part", "message_order", "report"),
    "message_fragment",
    *("patient_link", "patient_details"),
    *("outbound_message", "outbound_part", "paused_destination"),
    *("document_set_member", "awaited_document"),
    *("account", "account_session", "login_failure"),
    "built_document",
    *("refusal", "unknown_code"),
    "paused_feed",
)
EXAMPLES: dict[type, object] = {
    Text: "Ä text",
    Boolean: True,
    LargeBinary: b"\0\xff",
    EntryUUID: "5b3ad3c6-1111-4222-8333-0123456789ab",
}


@pytest.fixture(scope="module")
def servers(kept: Kept) -> Databases:
    """Databases on the server that other tests use as well."""
    return kept.opened(("databases", POSTGRESQL), lambda: databases_of(POSTGRESQL))


@pytest.fixture
def target(servers: Databases, tmp_path: Path) -> Iterator[str]:
    yield servers.empty(tmp_path)
    servers.drop(tmp_path)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def copied(data: Path, target: str) -> Result:
    url = f"sqlite:///{data}/registry.sqlite3"
    return run("copy-database", target, "--data", data, "--database", url)


def rows(url: str) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    import_tables()
    database = Database(url, connections=2)
    try:
        with database.read() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for table in METADATA.sorted_tables
            }
    finally:
        database.close()


def filled(data: Path) -> str:
    """Make a deployment with something in every table, and return the URL of its database."""
    import_tables()
    url = f"sqlite:///{data}/registry.sqlite3"
    made = run("load", "--entries", "60", "--data", data, "--database", url, "--processes", "1")
    assert made.exit_code == 0, made.output
    config = Config(data=data, database=url, audit="on")
    domain = AffinityDomain.open(config, serves=True)
    provide(domain, b"a document")
    domain.close()
    record(config, url)
    with closing(sqlite3.connect(f"{data}/registry.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO used_once VALUES ('Ä <key>', 9999999999)")
        connection.execute("INSERT INTO swept VALUES ('gone', 9999999999)")
        connection.execute("INSERT INTO registration VALUES ('2.999.77', 'attempt', 7)")
        connection.execute("INSERT INTO audit_lease VALUES ('shipper', 'nobody', 1)")
        connection.execute("INSERT INTO removed_document VALUES ('2.999.78', 'key', 7)")
        connection.execute("INSERT INTO legal_hold VALUES ('2.999.79', 7, 'Ä reason')")
        connection.execute("INSERT INTO subscriber VALUES ('s', 7, NULL, 0, 0, NULL, NULL)")
        connection.execute("INSERT INTO delivery_body VALUES ('id', 0, 7, x'00ff')")
        connection.execute(
            "INSERT INTO delivery_target VALUES "
            "('c', 't', 'h', 7, NULL, 0, 1, 7, 7, 'TimeoutError')"
        )
        connection.execute("INSERT INTO delivery_arrival VALUES (1, 'c', 't', 'h')")
        connection.execute(
            "INSERT INTO delivery VALUES (1, 'id', 'c', 't', '', 7, '{}', 2, 1, x'00ff', 0, "
            "NULL, NULL)"
        )
        connection.execute(
            "INSERT INTO subscription (pk, id, protocol, topic, object_kind, changes, is_grouped, "
            "recovers, tells_end, filter, transaction_name, owner, caller, address, details, "
            "secrets, state, reason, created, numbered, queued, delivered, round, revision) "
            "VALUES (1, 'Ä id', 'dsub', 't', 'DocumentEntry', '[]', 0, 0, 0, '{}', 'ITI-52', 'o', "
            "'{}', 'http://a', '{}', '{}', 'ended', '', 7, 1, 0, 0, 0, 1)"
        )
        connection.execute("INSERT INTO pull_point VALUES ('p', 'o', 7, NULL, '[]')")
        connection.execute("INSERT INTO pull_point_subscription VALUES ('p', 'Ä id')")
        connection.execute("INSERT INTO subscription_revision VALUES (1, 1)")
        connection.execute("INSERT INTO notification VALUES (1, 1, 7, 'created', 7, 'uuid')")
        uuid = "5b3ad3c6-1111-4222-8333-0123456789ab"
        connection.execute("INSERT INTO read_document VALUES (?, 'read', 1, 1)", [uuid])
        connection.execute(
            "INSERT INTO observation VALUES (?, 0, NULL, NULL, 'Ä', 'quantity', 1.5, '1.50', 'g', "
            "'', '', '', NULL, 'final', 0, '{}')",
            [uuid],
        )
        connection.execute("INSERT INTO observation_code VALUES (?, 0, 'K', '2.999')", [uuid])
        for name in FURTHER:
            columns = METADATA.tables[name].columns
            names = ", ".join(f'"{one}"' for one in columns.keys())  # noqa: SIM118
            marks = ", ".join("?" * len(columns))
            values = [EXAMPLES.get(type(one.type), 7) for one in columns]
            connection.execute(f"INSERT INTO {name} ({names}) VALUES ({marks})", values)
    return url


def record(config: Config, url: str) -> None:
    """Have an audit record in the database, and in its chain."""
    audit_log.note_application(config, starts=True)
    database = Database(url)
    audit_log.catch_up(config, database, None)
    database.close()


def test_the_command_knows_every_table(tmp_path: Path) -> None:
    declared = (
        "from xds.commands.maintenance.copy_database import import_tables; import_tables(); "
        "from xds.database.statements import METADATA; print(*METADATA.tables)"
    )
    told = subprocess.run(
        [sys.executable, "-c", declared], check=True, capture_output=True, text=True
    ).stdout.split()
    with Databases().opened(tmp_path) as database, database.read() as connection:
        there = set(inspect(connection).get_table_names())
    assert set(told) == there - {"alembic_version"}


@pytest.mark.slow
def test_everything_is_there_and_goes_on(tmp_path: Path, target: str) -> None:
    data = tmp_path / "var"
    url = filled(data)
    before = rows(url)
    done = copied(data, target)
    assert done.exit_code == 0, done.output
    assert rows(target) == before == rows(url)
    empty = {name for name, found in before.items() if not found}
    assert empty == {name for name in before if name.startswith(PREFIX)}, (
        "they have nothing to lose"
    )
    counts = dict(line.split("\t") for line in done.stdout.splitlines()[1:])
    assert counts == {name: str(len(found)) for name, found in before.items()}

    domain = AffinityDomain.open(Config(data=data, database=target))
    try:
        provide(domain, b"one more")  # its keys come after those that were copied
    finally:
        domain.close()
    after = rows(target)
    assert len(after["document_entry"]) == len(before["document_entry"]) + 1
    assert {row[0] for row in before["event"]} < {row[0] for row in after["event"]}
    assert run("audit", "--verify", "--data", data, "--database", target).exit_code == 0
    assert run("verify", "--data", data, "--database", target).exit_code == 0


@pytest.mark.slow
def test_a_target_with_rows_is_refused_and_stays(tmp_path: Path, target: str) -> None:
    data, other = prepared(tmp_path / "var"), prepared(tmp_path / "other")
    for folder in (data, other):
        domain = AffinityDomain.open(Config(data=folder, database=_url(folder)))
        provide(domain, b"a document")
        domain.close()
    assert copied(other, target).exit_code == 0
    before = rows(target)
    assert before == rows(_url(other))
    again = copied(data, target)
    assert again.exit_code == 1
    assert (
        "Nothing was copied: the server's database is not empty: there are rows in" in again.stderr
    )
    assert rows(target) == before


def _url(data: Path) -> str:
    return f"sqlite:///{data}/registry.sqlite3"


@pytest.mark.slow
def test_a_file_that_is_in_use_is_refused(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path / "var")
    domain = AffinityDomain.open(Config(data=data, database=_url(data)))
    try:
        done = copied(data, target)
    finally:
        domain.close()
    assert done.exit_code == 1
    assert "stop the server" in done.stderr
    assert not any(rows(target)["patient"])
    assert copied(data, target).exit_code == 0


@pytest.mark.slow
def test_a_file_with_a_removal_that_was_broken_off_is_refused(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path / "var")
    AffinityDomain.open(Config(data=data, database=_url(data))).close()
    with closing(sqlite3.connect(f"{data}/registry.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO hidden_folder VALUES (1)")
    done = copied(data, target)
    assert done.exit_code == 1
    assert "run `xds migrate` on the file" in done.stderr
    assert run("migrate", "--database", _url(data)).exit_code == 0
    assert copied(data, target).exit_code == 0


def test_what_differs_after_the_copy_is_told_and_leaves_the_target_empty(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path / "var")
    domain = AffinityDomain.open(Config(data=data, database=_url(data)))
    provide(domain, b"a document")
    domain.close()
    monkeypatch.setattr(copying, "_plain", lambda value: value)  # a UUID is no text then
    done = copied(data, target)
    assert done.exit_code == 1
    assert "are not the same after the copy" in done.stderr
    assert not any(found for name, found in rows(target).items() if name != "audit_chain")


def test_a_table_of_someone_else_is_not_left_behind(tmp_path: Path, target: str) -> None:
    data = prepared(tmp_path / "var")
    AffinityDomain.open(Config(data=data, database=_url(data))).close()
    database = Database(_url(data))
    with database.write() as connection:
        connection.execute(text("CREATE TABLE theirs (a INTEGER)"))
    database.close()
    done = copied(data, target)
    assert done.exit_code == 1
    assert "none of this program: theirs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sqlite:///other"], "URL is of the form postgresql://USER@HOST/NAME"),
        (["postgresql://h/x", "--database", "postgresql://h/y"], "is on a server already"),
    ],
)
def test_only_from_a_file_to_a_server(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run("copy-database", *arguments, "--data", tmp_path)
    assert done.exit_code == 2
    assert said in done.stderr


def test_no_file_is_made_where_there_is_none(tmp_path: Path, target: str) -> None:
    done = copied(tmp_path / "none", target)
    assert done.exit_code == 1
    assert not (tmp_path / "none").exists()
