"""Every parameter of every page and action is fed with what would do harm if it were believed."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final
from urllib.parse import quote, urlencode

import pytest

from tests.console import examples
from tests.console.browsing import FORM, ConsoleBrowser, Page
from tests.console.operated import OperatedServer
from xds.console.pages.row import ConsolePage
from xds.console.views.workbench.asked import FIELDS

HOSTILE: Final = (
    examples.HOSTILE,
    "{{ 7 * 7 }}${7*7}{% for x in y %}#{7}<%= 7 %>",
    "\r\nSet-Cookie: evil=1\r\n\r\n<b>",
    "\0\x1b[31m\u202egnp.exe\u200b\ufeff\ud7ff",
    "javascript:alert(1)//",
    "' OR 1=1; DROP TABLE patient; --",
    "../../../../etc/passwd",
    "%00%0d%0a%3Cscript%3E",
    "x" * 10_000,
    "-1",
    "9" * 30,
    "",
)
_OF_LOGINS: Final = (("POST", "/login"), ("POST", "/logout"))
ELEMENTS: Final = re.compile(r"<img src=x|<b>|<script|onerror=[^&]*>")
MISLEADING: Final = re.compile("[\0\x1b\u202e\u200b\ufeff]")


def rows() -> Iterator[ConsolePage]:
    """Return what is tested here; logins have tests of their own, which know that one waits."""
    return (row for row in examples.rows() if (row.method, row.path) not in _OF_LOGINS)


@pytest.fixture(scope="module")
def administrator(operated: OperatedServer) -> ConsoleBrowser:
    return examples.opened(operated, "administrator")


@pytest.fixture(scope="module")
def addresses(operated: OperatedServer, administrator: ConsoleBrowser) -> Mapping[str, str]:
    """An address of each row, of what this module alone has made."""
    return examples.examples(operated, administrator)


@pytest.fixture(scope="module")
def token(administrator: ConsoleBrowser) -> Iterator[Mapping[str, str]]:
    """The fields of any form of the session, which outlasts all that is sent."""
    cookies = dict(administrator.cookies)
    yield administrator.get("/console").form("/console/logout")
    assert administrator.get("/console").heading == "Home"
    assert administrator.cookies == cookies


def sent(
    browser: ConsoleBrowser,
    row: ConsolePage,
    url: str,
    token: Mapping[str, str],
    fields: Mapping[str, str],
) -> Page:
    if row.method == "GET":
        query = urlencode(fields, errors="surrogatepass")
        return browser.request("GET", f"{url}?{query}" if query else url)
    told = {**token, **fields}
    headers = {"Content-Type": FORM, "Origin": f"http://{browser.host}:{browser.port}"}
    return browser.request("POST", url, urlencode(told), headers)


def require_harmless(page: Page) -> None:
    assert page.status < 500, page.text
    for name, value in page.headers.items():
        assert "evil" not in name
        assert "\n" not in value
    assert not (page.headers["Location"] or "").startswith(("//", "http", "javascript"))
    if "text/html" in page.headers.get("Content-Type", ""):
        assert not ELEMENTS.search(page.text)
        assert page.text.count("<textarea") == page.text.count("</textarea>")
        assert not MISLEADING.search(page.text)


@pytest.mark.parametrize("row", [row for row in rows() if row.parameters], ids=lambda r: r.path)
def test_hostile_parameters_do_no_harm(
    administrator: ConsoleBrowser,
    addresses: Mapping[str, str],
    token: Mapping[str, str],
    row: ConsolePage,
) -> None:
    """Those of queries, which are alike, have tests of their own in test_workbench.py."""
    names = [one for one in row.parameters if one not in FIELDS[1:]]
    for name, text in product(names, HOSTILE):
        url = addresses[row.path]
        require_harmless(sent(administrator, row, url, token, {name: text}))


@pytest.mark.parametrize("row", list(rows()), ids=lambda r: f"{r.method} {r.path}")
def test_what_is_registered_does_no_harm(
    administrator: ConsoleBrowser,
    addresses: Mapping[str, str],
    token: Mapping[str, str],
    row: ConsolePage,
) -> None:
    require_harmless(sent(administrator, row, addresses[row.path], token, {}))


@pytest.mark.parametrize(
    "row", [r for r in rows() if "{" in r.path and r.method == "GET"], ids=lambda r: r.path
)
def test_hostile_paths_lead_nowhere(administrator: ConsoleBrowser, row: ConsolePage) -> None:
    for text in HOSTILE:
        if text.isdecimal() or not text:
            continue
        url = re.sub(r"\{[^}]*\}", quote(text[:500], safe=""), f"/console{row.path}")
        page = administrator.request("GET", url)
        require_harmless(page)
        assert page.status in (400, 404, 414)
