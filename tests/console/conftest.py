"""Servers with a console, a person of each role, and documents of patients."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.console.browsing import ConsoleBrowser, browser_of, make_accounts
from tests.console.operated import OperatedServer, operated_server
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.accounts.roles import ConsoleRole

OPTIONS = {
    "console": "on",
    "console_idle_minutes": "480",
    "audit": "on",
    "workers": "1",
    "mllp_port": "0",
}
"""People stay logged in for as long as a slow run of all tests."""
POLICY = """
[[rule]]
name = "people at the console see what is not restricted"
decision = "permit"
user = "authenticated"
confidentialityCode = ["N^^2.16.840.1.113883.5.25"]

[[rule]]
name = "a clinician in an emergency"
decision = "permit"
roles = ["clinician^^urn:xds:console:role"]
purposes = ["BTG^^2.16.840.1.113883.5.8"]
break_glass = true

[[rule]]
name = "sources"
decision = "permit"
transactions = ["ITI-41", "ITI-42"]
user = "none"
"""
"""Restricted documents are for clinicians who break the glass."""


def _with_accounts(server: Server, kept: Kept) -> Server:
    kept.made(("accounts", server.database), lambda: make_accounts(server.database))
    return server


@pytest.fixture(scope="session")
def console_server(shared_servers: SharedServers, kept: Kept) -> Server:
    """A server with a console, and an account of each role."""
    return _with_accounts(shared_servers("console", OPTIONS), kept)


@pytest.fixture(scope="session")
def guarded_server(shared_servers: SharedServers, kept: Kept) -> Server:
    """The same with a policy."""

    def options(data: Path) -> Mapping[str, str]:
        policy = data / "policy.toml"
        policy.write_text(POLICY)
        return {**OPTIONS, "policy": str(policy)}

    return _with_accounts(shared_servers("guarded console", options), kept)


@pytest.fixture(scope="session")
def operated(shared_servers: SharedServers, kept: Kept) -> OperatedServer:
    """A server that sends to subscribers and destinations, with an account of each role."""
    made = operated_server(shared_servers, kept)
    _with_accounts(made.server, kept)
    return made


@pytest.fixture(scope="session")
def operators(operated: OperatedServer, kept: Kept) -> dict[str, ConsoleBrowser]:
    """A browser of each role, logged in at that server."""
    return _people(operated.server, kept)


def _people(server: Server, kept: Kept) -> dict[str, ConsoleBrowser]:
    def log_in(role: ConsoleRole) -> ConsoleBrowser:
        browser = browser_of(server.url)
        page = browser.log_in(role.value)
        assert page.heading == "Home", page.words
        return browser

    return kept.made(
        ("people", server.database), lambda: {one.value: log_in(one) for one in ConsoleRole}
    )


@pytest.fixture(scope="session")
def people(console_server: Server, kept: Kept) -> dict[str, ConsoleBrowser]:
    """A browser of each role, logged in."""
    return _people(console_server, kept)


@pytest.fixture(scope="session")
def guarded_people(guarded_server: Server, kept: Kept) -> dict[str, ConsoleBrowser]:
    """The same, where there is a policy."""
    return _people(guarded_server, kept)


@pytest.fixture
def browser(console_server: Server) -> ConsoleBrowser:
    """The browser of somebody who has not logged in."""
    return browser_of(console_server.url)
