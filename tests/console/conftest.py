"""A server with a console, and a person of each role."""

from pathlib import Path

import pytest

from tests.console.browsing import ConsoleBrowser, browser_of, make_accounts
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.accounts.roles import ConsoleRole

OPTIONS = {"console": "on", "audit": "on", "workers": "1", "mllp_port": "0"}


@pytest.fixture(scope="session")
def console_server(shared_servers: SharedServers, kept: Kept) -> Server:
    """A server with a console, and an account of each role."""

    def options(_: Path) -> dict[str, str]:
        return OPTIONS

    server = shared_servers("console", options)
    kept.made(("accounts", server.database), lambda: make_accounts(server.database))
    return server


@pytest.fixture(scope="session")
def people(console_server: Server, kept: Kept) -> dict[str, ConsoleBrowser]:
    """A browser of each role, logged in."""

    def log_in(role: ConsoleRole) -> ConsoleBrowser:
        browser = browser_of(console_server.url)
        page = browser.log_in(role.value)
        assert page.heading == "Home", page.words
        return browser

    return kept.made(
        ("people", console_server.database), lambda: {one.value: log_in(one) for one in ConsoleRole}
    )


@pytest.fixture
def browser(console_server: Server) -> ConsoleBrowser:
    """The browser of somebody who has not logged in."""
    return browser_of(console_server.url)
