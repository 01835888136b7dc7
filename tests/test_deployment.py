"""What docs/deployment.md and deploy/ promise: that the files are right, and what comes of them."""

import http.client
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.failures import verified
from bench.steady import REGISTERED_BEFORE, SUCCESS, Steady
from tests.ports import free_port
from tests.postgresql import own_postgresql
from tests.registry.test_schema import ADDED, ADDING
from tests.serving import Server, serving
from tests.waiting import until
from xds.__main__ import main
from xds.config import Config, load
from xds.database.access import Database
from xds.registry import schema
from xds.registry.registry import DocumentRegistry
from xds.registry.schema import HEAD, OURS, Migrations

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = [*sorted(DEPLOY.iterdir()), ROOT / "docs" / "deployment.md"]
TESTS_OWN = {"XDS_TEST_POSTGRES_URL", "XDS_CONFIG"}
NOT_OPTIONS = {"XDS_DATABASE_PASSWORD"}


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_and_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"\bXDS_[A-Z_]+[A-Z]\b", text)) - TESTS_OWN - NOT_OPTIONS
    assert {one.removeprefix("XDS_").lower() for one in named} <= Config.model_fields.keys()
    for command in set(re.findall(r"(?:bin/|`)xds ([a-z-]+)", text)):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0, command


def test_the_configuration_is_one() -> None:
    config = load({}, DEPLOY / "xds.toml")
    assert config.documents_settings["endpoint"] == "https://s3.example"


@pytest.mark.skipif(not shutil.which("haproxy"), reason="apt-get install haproxy")
def test_haproxy_takes_its_file() -> None:
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_takes_its_units(tmp_path: Path) -> None:
    for unit in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")):
        text = unit.read_text().replace("/opt/xds/bin/xds", sys.executable)
        (tmp_path / unit.name.replace("@", "@8081")).write_text(text)
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# --- rolling upgrade behind the load balancer ----------------------------------------------------


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def balanced(folder: Path, *ports: int) -> Iterator[str]:
    """Run HAProxy on the file of deploy/, at other ports, and give its URL."""
    port = free_port()
    text = (DEPLOY / "haproxy.cfg").read_text().replace("bind :8080", f"bind 127.0.0.1:{port}")
    for told, one in zip((8081, 8082), ports, strict=True):
        text = text.replace(f"127.0.0.1:{told}", f"127.0.0.1:{one}")
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        until(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("haproxy"), reason="apt-get install haproxy")
def test_an_upgrade_goes_round_while_clients_work(tmp_path: Path) -> None:
    step = tmp_path / f"v{ADDED.replace('.', '_')}.py"
    step.write_text(ADDING.format(head=HEAD, added=ADDED))
    with own_postgresql({"fsync": "off"}) as postgresql, ExitStack() as stack:
        url = postgresql.create("xds")
        database = Database(url)
        stack.callback(database.close)
        schema.migrate(database)
        shared = {"database": url, "documents": (tmp_path / "documents").as_uri()}
        ports = free_port(), free_port()

        def started(number: int) -> tuple[ExitStack, Server]:
            own = stack.enter_context(ExitStack())
            options = {**shared, "port": str(ports[number]), "workers": "1"}
            running = serving(tmp_path / f"instance{number}", options, processes=1)
            return own, own.enter_context(running)

        instances = [started(0), started(1)]
        load = Steady(stack.enter_context(balanced(tmp_path, *ports)), large_every=10**6)
        with load.running():
            assert load.wait_for(3)
            schema.migrate(database, Migrations(ADDED, (*OURS.folders, tmp_path)))
            assert load.wait_for(3)
            for number in (0, 1):
                own, server = instances[number]
                assert server.stop() == 0
                own.close()
                assert load.wait_for(3)
                instances[number] = started(number)
                assert load.wait_for(3)
        outcomes = {outcome for _, outcome in load.outcomes()}
        assert (outcomes - {SUCCESS, REGISTERED_BEFORE}, load.problems) == (set(), [])
        assert verified(instances[0][1]) == ""


# --- backup and restore --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backup_that_is_made_while_clients_work_loses_nothing(tmp_path: Path) -> None:
    documents, copied = tmp_path / "documents", tmp_path / "copied"
    with own_postgresql({"fsync": "off"}) as postgresql, ExitStack() as stack:
        url = postgresql.create("xds")
        made = Database(url)
        schema.migrate(made)
        made.close()
        options = {"database": url, "documents": documents.as_uri()}
        server = stack.enter_context(serving(tmp_path / "data", options))
        load = Steady(server.url, large_every=10**6)
        with load.running():
            assert load.wait_for(10)
            before = set(load.acknowledged)
            postgresql.run("pg_dump", "-d", url, "-Fc", "-f", "dump")  # first the database,
            assert load.wait_for(3)
            shutil.copytree(documents, copied)  # then the documents, which are more by then
            assert load.wait_for(3)
        assert load.problems == []
        restored = postgresql.create("restored")
        postgresql.run("pg_restore", "-d", restored, "--exit-on-error", "dump")
        again = stack.enter_context(
            serving(tmp_path / "again", {"database": restored, "documents": copied.as_uri()})
        )
        assert verified(again) == ""
        database = Database(restored)
        stack.callback(database.close)
        found = DocumentRegistry(database=database).stable_documents(Config().repository_unique_id)
        assert before <= {one.unique_id for one in found} < set(load.acknowledged)
