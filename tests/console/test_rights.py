"""Who may have which page and which action: the table of pages, walked by every role."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.console.browsing import FORM, ConsoleBrowser, Page, browser_of
from tests.console.examples import examples, name_of, rows
from tests.console.operated import OperatedServer
from xds.accounts.roles import ConsoleRole
from xds.console.pages.row import ConsolePage
from xds.console.pages.table import PAGES
from xds.console.rights_page import written

DOCS = Path(__file__).parents[2] / "docs" / "console.md"


@pytest.fixture(scope="module")
def addresses(operated: OperatedServer, operators: dict[str, ConsoleBrowser]) -> Mapping[str, str]:
    return examples(operated, operators["administrator"])


@pytest.fixture(scope="module")
def tokens(operators: dict[str, ConsoleBrowser]) -> Mapping[str, str]:
    """The token of each one's session, which is in all of their forms."""
    return {
        role: browser.get("/console").form("/console/logout")["token"]
        for role, browser in operators.items()
    }


def sent(browser: ConsoleBrowser, url: str, origin: str, fields: Mapping[str, str]) -> Page:
    headers = {"Content-Type": FORM, "Origin": origin}
    return browser.request("POST", url, urlencode(fields), headers)


def own(browser: ConsoleBrowser) -> str:
    return f"http://{browser.host}:{browser.port}"


def with_roles(method: str) -> list[ConsolePage]:
    return [row for row in rows(method) if row.roles]


@pytest.mark.parametrize("role", list(ConsoleRole), ids=str)
@pytest.mark.parametrize("row", with_roles("GET"), ids=name_of)
def test_a_page_is_for_the_roles_of_the_table_alone(
    operators: dict[str, ConsoleBrowser],
    addresses: Mapping[str, str],
    row: ConsolePage,
    role: ConsoleRole,
) -> None:
    may = role in row.roles or role is ConsoleRole.ADMINISTRATOR
    page = operators[role].request("GET", addresses[row.path])
    assert page.status == (200 if may else 404), page.url
    if not may:
        assert page.heading == "Page not found"


@pytest.mark.parametrize("role", list(ConsoleRole), ids=str)
@pytest.mark.parametrize("row", with_roles("POST"), ids=name_of)
def test_an_action_is_for_the_roles_of_the_table_alone(
    operators: dict[str, ConsoleBrowser],
    tokens: Mapping[str, str],
    addresses: Mapping[str, str],
    row: ConsolePage,
    role: ConsoleRole,
) -> None:
    """Whoever may have it has a forged form refused; for all others there is no such thing."""
    browser, url = operators[role], addresses[row.path]
    may = role in row.roles or role is ConsoleRole.ADMINISTRATOR
    token = {"token": tokens[role]}
    for origin, fields in (
        ("https://evil.example", token),
        ("null", token),
        (own(browser), {}),
        (own(browser), {"token": "0" * 128}),
    ):
        page = sent(browser, url, origin, fields)
        assert page.status == (403 if may else 404)
        assert page.heading == ("The form was not taken" if may else "Page not found")
    if not may:
        assert sent(browser, url, own(browser), token).status == 404


@pytest.mark.parametrize("row", [row for row in rows() if row.roles], ids=name_of)
def test_who_has_not_logged_in_is_sent_to_do_so(
    operated: OperatedServer, addresses: Mapping[str, str], row: ConsolePage
) -> None:
    browser, url = browser_of(operated.server.url), addresses[row.path]
    page = (
        browser.request("GET", url)
        if row.method == "GET"
        else sent(browser, url, own(browser), {"token": "0" * 128})
    )
    assert page.status == 303
    assert page.headers["Location"].startswith("/console/login")


def test_other_methods_are_none_here(operators: dict[str, ConsoleBrowser]) -> None:
    methods: dict[str, set[str]] = {}
    for row in PAGES:
        methods.setdefault(row.path, set()).add(row.method)
    for path in (path for path, known in methods.items() if known == {"POST"} and "{" not in path):
        assert operators["administrator"].request("GET", f"/console{path}").status == 405
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        answer = operators["administrator"].request(method, "/console/messages")
        assert answer.status in (400, 405)


# --- the table of docs/console.md ----------------------------------------------------------------


def test_the_table_of_the_page_is_that_of_the_program() -> None:
    page = DOCS.read_text()
    assert written(page) == page, "`make docs` writes it anew"
    with pytest.raises(ValueError, match="no place"):
        written("# The console")


def test_every_page_of_patients_is_closed_to_operators() -> None:
    """They look after queues, and see no document."""
    open_to_all = [row.path for row in PAGES if ConsoleRole.OPERATOR in row.roles]
    assert not [one for one in open_to_all if re.match(r"/(patients|documents|pages|folders)", one)]
