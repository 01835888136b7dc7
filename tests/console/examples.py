"""An address of every page and action of the console, found by its links as a person finds it.

A new row of PAGES joins by itself where a link leads to what it shows; where nothing of that kind
is there yet, `populate` has to make one.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

from tests.console.browsing import ConsoleBrowser, browser_of
from tests.console.operated import OperatedServer
from tests.console.provided import provide_in_folder, somebody
from tests.console.queued import given_up
from tests.console.test_messages import corrupt, send
from tests.pages.documents import PNG, media, with_text
from xds.console.pages.row import ConsolePage
from xds.console.pages.table import PAGES
from xds.console.rendering import ROOT

HOSTILE: Final = (
    "'\"></textarea></title></script><script>alert(1)</script><img src=x onerror=alert(1)>"
)
ELSEWHERE: Final = frozenset({"/openid", "/openid/return"})
"""Paths of rows that a server without a provider does not have."""
_VARIABLE: Final = re.compile(r"\{[^}]*\}")
_ENOUGH: Final = 2
"""Pages of one row that are looked at for links."""


def rows(method: str = "") -> list[ConsolePage]:
    """Return the rows that a server has, or those of a method."""
    return [r for r in PAGES if r.path not in ELSEWHERE and method in ("", r.method)]


def name_of(row: ConsolePage) -> str:
    """Return what a row is called among the tests."""
    return f"{row.method} {row.path}"


def populate(operated: OperatedServer) -> None:
    """Have something of each kind registered, much of it with hostile texts."""
    text = '<renderMultiMedia referencedObject="M1"><caption>A film</caption></renderMultiMedia>'
    document = with_text(text, media("M1", "image/png", PNG))
    told = {"title": HOSTILE, "comments": "{{ 7 * 7 }}"}
    provide_in_folder(operated.server, somebody(), document, "text/xml", **told)
    send(operated.server, corrupt("<script>|\u202e"))
    operated.subscribe(somebody())
    operated.report(somebody())
    given_up(operated.server, 1)


def examples(operated: OperatedServer, administrator: ConsoleBrowser) -> Mapping[str, str]:
    """Return an address for the path of every row, of what has been made just now."""
    populate(operated)
    found = linked(administrator)
    addresses = {path: urls[0] for path, urls in found.items() if urls}
    for row in rows("POST"):
        addresses.setdefault(row.path, _below(row.path, addresses))
    missing = sorted(path for path in found if not addresses.get(path))
    assert not missing, f"no link leads to {missing}: have tests/console/examples.py make one"
    return addresses


def linked(administrator: ConsoleBrowser) -> Mapping[str, list[str]]:
    """Return the first addresses of each row's path to which links lead."""
    found: dict[str, list[str]] = {row.path: [] for row in rows()}
    waiting = [f"{ROOT}{row.path}" for row in rows("GET") if "{" not in row.path]
    seen = set(waiting)
    while waiting:
        url = waiting.pop(0)
        row = _row_of(url)
        if row is None or len(found[row.path]) >= _ENOUGH:
            continue
        found[row.path].append(url)
        if row.method == "GET":
            for one in _links(administrator, url):
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
    return found


def _links(browser: ConsoleBrowser, url: str) -> list[str]:
    page = browser.request("GET", url)
    if "text/html" not in page.headers.get("Content-Type", "") or not page.body:
        return []
    there = page.tree.xpath("//a/@href | //iframe/@src | //img/@src | //form/@action")
    whole = (urljoin(url, str(one)) for one in there)
    return [urlsplit(one).path for one in whole if one.startswith(f"{ROOT}/")]


def _row_of(url: str) -> ConsolePage | None:
    """Return the row of an address, that without a variable part before others."""
    path = url.removeprefix(ROOT) or "/"
    fitting = [row for row in rows() if re.fullmatch(_pattern(row.path), path)]
    return min(fitting, key=lambda row: (row.path.count("{"), row.method), default=None)


def _pattern(path: str) -> str:
    return "[^/]+".join(map(re.escape, _VARIABLE.split(path)))


def _below(path: str, addresses: Mapping[str, str]) -> str:
    """Return an address for an action on something that has a page."""
    above, _, name = path.rpartition("/")
    if "{" not in path:
        return f"{ROOT}{path}"
    return f"{addresses[above]}/{name}" if above in addresses else ""


def opened(operated: OperatedServer, role: str) -> ConsoleBrowser:
    """Return a browser of a role, logged in just now."""
    browser = browser_of(operated.server.url)
    assert browser.log_in(role).heading == "Home"
    return browser
