"""Every parameter of every page and action is fed with what would do harm if it were believed."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Final
from urllib.parse import quote, urlencode

import pytest

from tests.console.browsing import FORM, ConsoleBrowser, Page, browser_of
from tests.console.provided import page_of, provide, somebody
from tests.console.test_messages import corrupt, send
from tests.serving import Server
from xds.accounts.roles import ConsoleRole
from xds.console.pages import PAGES, ConsolePage
from xds.console.views.workbench.asked import FIELDS

HOSTILE: Final = (
    "'\"></textarea></title></script><script>alert(1)</script><img src=x onerror=alert(1)>",
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
ELEMENTS: Final = re.compile(r"<img|<b>|<script|onerror=[^&]*>")
MISLEADING: Final = re.compile("[\0\x1b\u202e\u200b\ufeff]")


def rows() -> Iterator[ConsolePage]:
    """Return what is tested here; logins have tests of their own, which know that one waits."""
    return (row for row in PAGES if (row.method, row.path) not in _OF_LOGINS)


@pytest.fixture(scope="module")
def administrator(console_server: Server) -> ConsoleBrowser:
    browser = browser_of(console_server.url)
    browser.log_in("administrator")
    return browser


@pytest.fixture(scope="module")
def places(console_server: Server, administrator: ConsoleBrowser) -> dict[str, str]:
    """Values of the variable parts of paths that are of something."""
    entry = provide(console_server, somebody(), title=HOSTILE[0], comments=HOSTILE[1])
    uuid = page_of(entry).rpartition("/")[2]
    patient = administrator.get(page_of(entry)).tree.xpath("//nav//a/@href")
    number = next(one for one in patient if "/patients/" in one).rpartition("/")[2]
    send(console_server, corrupt("<script>|\u202e"))
    message = administrator.get("/console/messages").tree.xpath("//table//a/@href")[0]
    return {"uuid": uuid, "number": number, "id": message.rpartition("/")[2]}


def url_of(row: ConsolePage, places: dict[str, str]) -> str:
    path = re.sub(r"\{(\w+)[^}]*\}", lambda found: places.get(found[1], "1"), row.path)
    return f"/console{path}"


def sent(browser: ConsoleBrowser, row: ConsolePage, url: str, fields: dict[str, str]) -> Page:
    if row.method == "GET":
        query = urlencode(fields, errors="surrogatepass")
        return browser.request("GET", f"{url}?{query}" if query else url)
    told = {**browser.get("/console").form("/console/logout"), **fields}
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
    administrator: ConsoleBrowser, places: dict[str, str], row: ConsolePage
) -> None:
    """Those of queries, which are alike, have tests of their own in test_workbench.py."""
    url = url_of(row, places)
    names = [one for one in row.parameters if one not in FIELDS[1:]]
    for name, text in product(names, HOSTILE):
        require_harmless(sent(administrator, row, url, {name: text}))


@pytest.mark.parametrize("row", list(rows()), ids=lambda r: f"{r.method} {r.path}")
def test_what_is_registered_does_no_harm(
    administrator: ConsoleBrowser, places: dict[str, str], row: ConsolePage
) -> None:
    require_harmless(sent(administrator, row, url_of(row, places), {}))


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


@pytest.mark.parametrize(
    "row", [r for r in rows() if r.roles], ids=lambda r: f"{r.method} {r.path}"
)
def test_each_page_is_for_its_roles_alone(
    people: dict[str, ConsoleBrowser],
    browser: ConsoleBrowser,
    places: dict[str, str],
    row: ConsolePage,
) -> None:
    """So it is whatever the page would show: who has another role is told that there is none."""
    url = url_of(row, places)
    for role in ConsoleRole:
        if role is not ConsoleRole.ADMINISTRATOR and role not in row.roles:
            page = sent(people[role.value], row, url, {})
            assert page.status == 404, role
    headers = {"Content-Type": FORM, "Origin": f"http://{browser.host}:{browser.port}"}
    page = browser.request(row.method, url, "" if row.method == "POST" else None, headers)
    assert page.status == 303
    assert page.headers["Location"].startswith("/console/login")


@pytest.mark.parametrize("row", [r for r in rows() if r.method == "POST"], ids=lambda r: r.path)
def test_each_action_refuses_a_forged_form(
    administrator: ConsoleBrowser, places: dict[str, str], row: ConsolePage
) -> None:
    own = f"http://{administrator.host}:{administrator.port}"
    token = administrator.get("/console").form("/console/logout")
    for fields, origin in ((token, "https://evil.example"), ({}, own)):
        headers = {"Content-Type": FORM, "Origin": origin}
        page = administrator.request("POST", url_of(row, places), urlencode(fields), headers)
        assert page.status == 403
        assert page.heading == "The form was not taken"
