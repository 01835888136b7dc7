"""Logging in at Canaille, a real provider of OpenID Connect, in a real Chromium."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page as BrowserPage

from tests.browser import MISSING, NARROW, Chromium, Visit, chromium, path_of_chromium, visited
from tests.console import providers
from tests.console.browsing import PASSWORD
from tests.console.conftest import OPTIONS
from tests.console.providers import canaille
from tests.console.recorded import now, require_login, require_refusal
from tests.console.test_browser import require_sound
from tests.ports import free_port
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.console.pages.table import PAGES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(path_of_chromium() is None, reason=MISSING),
    pytest.mark.skipif(not providers.PYTHON.exists(), reason=providers.MISSING),
]

# Canaille takes what comes by Basic as it is, where RFC 6749 2.3.1 has it encoded: so nothing that
# is encoded is in them
CLIENT: Final = "xds-console"
SECRET: Final = "of-tests-alone_1.2~3"
PEOPLE: Final = {"ada": ["engineers", "all staff"], "eve": ["all staff"], "tom": []}
LINK: Final = "Log in with your organisation's account"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(shared_servers: SharedServers, kept: Kept) -> Server:
    """A server whose people log in at Canaille, which knows them by their groups."""

    def options(_: Path) -> Mapping[str, str]:
        port = str(free_port())
        url = f"http://127.0.0.1:{port}"
        client: dict[str, Any] = {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": [f"{url}/console/openid/return"],
            "post_logout_redirect_uris": [f"{url}/console/login"],
        }
        issuer = kept.opened(("canaille", port), lambda: canaille([client], PEOPLE))
        return {
            **OPTIONS,
            "port": port,
            "public_url": url,
            "console_login": "either",
            "console_roles": "integration=engineers",
            "openid_issuer": issuer,
            "openid_client": CLIENT,
            "openid_secret": SECRET,
            "openid_scopes": "openid profile groups",
        }

    return shared_servers("canaille console", options)


def at_provider(page: BrowserPage, name: str) -> None:
    page.get_by_role("link", name=LINK).click()
    page.locator("input[name=login]").fill(name)
    page.locator("button[type=submit]").first.click()
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]").first.click()


def own(visit: Visit, server: Server) -> bool:
    return visit.page.url.startswith(f"{server.url}/console")


@pytest.mark.parametrize("has_script", [True, False])
def test_an_engineer_logs_in_at_the_provider_and_out_again(
    served: Server, chrome: Chromium, has_script: bool
) -> None:
    began = now()
    with visited(
        chrome, served.url, "/console/dead-letters", java_script_enabled=has_script
    ) as visit:
        page = visit.page
        at_provider(page, "ada")
        page.get_by_role("heading", name="Dead letters").wait_for()
        assert page.url == f"{served.url}/console/dead-letters"
        assert page.get_by_text("Ada Example").is_visible()
        assert page.get_by_role("banner").get_by_text("integration", exact=True).is_visible()
        shown: list[str] = []
        for group in ("Coming in", "This server"):
            page.get_by_role("navigation").get_by_text(group).click()
            shown += page.get_by_role("navigation").get_by_role("link").all_inner_texts()
        menu = {row.menu for row in PAGES if row.menu and row.is_for(["integration"])}
        assert set(shown) == menu
        require_login(served, began)
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("link", name=LINK).wait_for()  # the provider sends people back
        assert page.url.startswith(f"{served.url}/console/login")
        page.goto(f"{served.url}/console")
        page.get_by_role("link", name=LINK).click()
        page.locator("input[name=login]").wait_for()  # there one has logged out as well
        assert visit.dialogs == []


def test_who_has_no_group_with_a_role_is_told_so(served: Server, chrome: Chromium) -> None:
    began = now()
    with visited(chrome, served.url, "/console") as visit:
        at_provider(visit.page, "eve")
        visit.page.get_by_text("None of the person's groups has a role here").wait_for()
        assert own(visit, served)
    require_refusal(served, began, "none of the person's groups has a role here")


@pytest.mark.parametrize("width", [NARROW, 640])
def test_the_page_to_log_in_on_can_be_used_by_everybody(
    served: Server, chrome: Chromium, width: int
) -> None:
    size = {"width": width, "height": 450}
    with visited(chrome, served.url, "/console/login", viewport=size) as visit:
        require_sound(visit)
        keyboard = visit.page.keyboard
        for _ in range(3):  # past the link to the main content and the name of the console
            keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.textContent") == LINK
        keyboard.press("Enter")
        visit.page.locator("input[name=login]").wait_for()
        visit.page.goto(f"{served.url}/console/openid/return?code=x&state=y")
        visit.page.get_by_text("The state of the answer is not that of the login").wait_for()
        visit.foreign.clear()  # those of the provider
        visit.complaints.clear()  # that the status is 403
        require_sound(visit)
