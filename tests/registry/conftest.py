"""Fixtures of the registry's tests: worlds, and servers with other policies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.databases import Databases
from tests.registry import behind
from tests.registry.population import Population, populate
from tests.registry.wire import World
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.database.access import Database

CODE_SETS = """
mime_types = ["application/pdf", "image/png", "application/pdf+text/x-cda-r2+xml"]

[codes]
classCode = ["report^^2.999.5.1", "image^^2.999.5.1"]
contentTypeCode = ["discharge^^2.999.5.7"]
"""


@pytest.fixture
def world() -> World:
    """Names that no other test has."""
    return World.new()


@pytest.fixture
def database(tmp_path: Path, databases: Databases) -> Iterator[Database]:
    """An empty registry."""
    with databases.opened(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def population(kept: Kept, server: Server) -> Population:
    """What the tables of queries know of, registered once; no test may change it."""
    return kept.made(("population", server.port), lambda: populate(server, World.new()))


@pytest.fixture(scope="session")
def domain_server(shared_servers: SharedServers) -> Server:
    """A server of an affinity domain with an authority, code sets and known patients only."""

    def options(data: Path) -> dict[str, str]:
        (data / "codes.toml").write_text(CODE_SETS)
        return {
            "assigning_authority": "2.999.1.1",
            "unknown_patients": "known",
            "minimal_metadata": "refuse",
            "home_community_id": "2.999.1.40",
            "code_sets": str(data / "codes.toml"),
        }

    return shared_servers("domain", options)


UPDATES = {
    "metadata_update": "yes",
    "restricted_update": "yes",
    "remove_metadata": "yes",
    "remove_documents": "unreferenced",
}


@pytest.fixture(scope="session")
def update_server(shared_servers: SharedServers) -> Server:
    """A server that lets metadata be updated, and metadata and documents removed."""
    options = {
        **UPDATES,
        "repository_unique_id": "2.999.1.3",
        "home_community_id": "2.999.1.40",
        "restricted_attributes": "languageCode",
        "legal_hold_codes": "litigation^^2.999.5.30",
    }
    return shared_servers("updates", options)


@pytest.fixture
def known_world(domain_server: Server, world: World) -> World:
    """A world in which the domain knows patients 1 and 2, and that 3 was merged into 1."""
    behind.know_patients(domain_server, *(world.patient(number) for number in (1, 2, 3)))
    behind.subsume(domain_server, world.patient(3), world.patient(1))
    return world


@pytest.fixture
def served(request: pytest.FixtureRequest, databases: Databases) -> Callable[[str], Server]:
    """Return the served deployment of a name: the open one, the domain's, or that of updates.

    It asks for databases although it needs none, so that the test is run on each kind of them.
    """

    def find(name: str) -> Server:
        if name == "domain":
            request.getfixturevalue("known_world")
            return cast("Server", request.getfixturevalue("domain_server"))
        if name == "updates":
            return cast("Server", request.getfixturevalue("update_server"))
        return cast("Server", request.getfixturevalue("server"))

    return find
