"""Fixtures that every test may use."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests import memory
from tests.databases import (
    BOTH,
    ON_BOTH,
    POSTGRESQL,
    SQLITE,
    Databases,
    as_default,
    databases_of,
    default,
)
from tests.documents import ON_FILES, ON_S3
from tests.documents import as_default as in_bucket_as_default
from tests.passwords import hash_at_least_cost
from tests.s3_server import S3, NoServer, s3_server
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server, forks_as_default, several_as_default

_HERE: Final = Path(__file__).parent
_FREE_BYTES: Final = 8 * 1024**3
"""What has to be free in memory for the folders of tests, of this run and the one before."""
_THRESHOLDS: Final = (5_000, 20, 20)
"""Of the collector of garbage: what pytest keeps of thousands of tests is looked at less often."""

# Tests start servers by the hundred: where this is set, each would compile the program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
hash_at_least_cost()
if folder := memory.folder(_FREE_BYTES):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))

# how long an example takes depends on what else the machine does, and which examples are tried on
# the test alone: a change is not refused for what was wrong before it (fuzz/ tries others)
settings.register_profile(
    "steady",
    settings(),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

pytest_plugins = ("tests.conformance",)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=(SQLITE, POSTGRESQL, BOTH),
        default=BOTH,
        help="run on one of them, or on SQLite and what looks at databases on PostgreSQL as well",
    )
    parser.addoption(
        "--documents",
        choices=(ON_FILES, ON_S3),
        default=ON_FILES,
        help="where servers keep documents that are not told: in a folder, or in a bucket",
    )
    parser.addoption(
        "--processes",
        type=int,
        default=1,
        help="how many processes a server is, on one state: connections go to them in turn",
    )
    parser.addoption(
        "--start",
        choices=("fork", "command"),
        default="fork",
        help="start servers as forks of a process that has imported the program, or all of them by "
        "their command",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "databases" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--database")
    module = str(metafunc.definition.path.relative_to(_HERE))
    if wanted == BOTH:
        kinds = (SQLITE, POSTGRESQL) if module in ON_BOTH else (SQLITE,)
    else:
        kinds = (wanted,)
    # the first of them does not show in the names of tests
    ids = (pytest.HIDDEN_PARAM, *kinds[1:])
    chosen = [pytest.param(kind, id=one) for kind, one in zip(kinds, ids, strict=True)]
    metafunc.parametrize("databases", chosen, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from looking at modules and tests, which stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Have the collector of garbage pass over the tests and their modules, which stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


@pytest.fixture(scope="session")
def kept() -> Iterator[Kept]:
    """What tests share until the end of the run."""
    with ExitStack() as stack:
        yield Kept(stack)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, kept: Kept) -> Databases:
    """Databases of the kind that the test is run on."""
    of_the_run = default()
    if of_the_run.kind == request.param:
        return of_the_run
    return kept.opened(("databases", request.param), lambda: databases_of(request.param))


@pytest.fixture(scope="session", autouse=True)
def whole_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have whatever starts a deployment use PostgreSQL, where the whole run is on it."""
    if request.config.getoption("--database") != POSTGRESQL:
        yield
        return
    with databases_of(POSTGRESQL) as found, as_default(found):
        yield


@pytest.fixture(scope="session", autouse=True)
def whole_run_in_bucket(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have whatever starts a server use a bucket, where the whole run is on S3."""
    if request.config.getoption("--documents") == ON_FILES:
        yield
        return
    with in_bucket_as_default(request.getfixturevalue("s3")):
        yield


@pytest.fixture(scope="session", autouse=True)
def whole_run_in_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have whatever starts a server start several processes, where the whole run is on several."""
    with several_as_default(request.config.getoption("--processes")):
        yield


@pytest.fixture(scope="session", autouse=True)
def whole_run_on_forks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have whatever starts a server fork it, unless the whole run is on commands."""
    if request.config.getoption("--start") == "command":
        yield
        return
    with forks_as_default():
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    in_bucket = item.config.getoption("--documents") == ON_S3
    if in_bucket and item.get_closest_marker("on_files"):
        pytest.skip("looks into the folder of documents, and they lie in a bucket")


@pytest.fixture(scope="session")
def shared_servers(
    kept: Kept, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> SharedServers:
    """Servers by names, each with options of its own, shared by all tests."""
    return SharedServers(kept, databases, tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def module_servers(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedServers]:
    """Servers by names, which the tests of one module share, and which end with it."""
    with ExitStack() as stack:
        yield SharedServers(Kept(stack), databases, tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def server(shared_servers: SharedServers) -> Server:
    """One server on an empty database and document folder, shared by all tests."""
    return shared_servers("served", {"workers": "2"})


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 server, shared by all tests; they keep apart by prefixes, `S3.fresh_url`.

    One that stops it starts it again.
    """
    with ExitStack() as stack:
        try:
            found = stack.enter_context(s3_server())
        except NoServer as reason:
            pytest.skip(str(reason))
        yield found
