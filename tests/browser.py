"""A real Chromium for tests: what a page does in it, and what axe finds of its accessibility.

It is one of Debian's packages, which `.ci/run` installs; playwright drives it. axe is run in the
page by the protocol of the developer tools, so that the page's own policy stays as it is.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    sync_playwright,
)

from tests.waiting import PATIENCE

PACKAGES: Final = "chromium"
MISSING: Final = f"no Chromium: as root on Debian, apt-get install {PACKAGES}"

NARROW: Final = 320
"""Pixels of the narrowest screen (WCAG 2.2, 1.4.10)."""
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_KEPT_BACK: Final = frozenset({"csp", "origin"})
_MILLISECONDS: Final = 1000 * PATIENCE


def path_of_chromium() -> str | None:
    """Return where Chromium is, None where it is not."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Chromium:
    """A running Chromium, and its pages between two visits.

    A new context and a new page cost more than what most visits do. So a page is used again by
    visits with the same options; it has no cookies, no storage and no cache of the visit before.
    """

    browser: Browser
    _idle: dict[str, Page] = field(default_factory=dict)
    """The empty pages, by the options of their contexts."""

    @contextmanager
    def opened(self, options: Mapping[str, Any]) -> Iterator[Page]:
        """Open an empty page in a context with options of playwright."""
        key = json.dumps(options, sort_keys=True)
        page = self._idle.pop(key, None) or self._new_page(options)
        size = page.viewport_size
        try:
            yield page
            _emptied(page)
            if size:
                page.set_viewport_size(size)
        except BaseException:
            page.context.close()
            raise
        self._idle[key] = page

    def _new_page(self, options: Mapping[str, Any]) -> Page:
        context = self.browser.new_context(**options)
        context.set_default_timeout(_MILLISECONDS)
        return context.new_page()


def _emptied(page: Page) -> None:
    """Close what a visit has opened, and remove what it has left in the browser."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    session = page.context.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    session.send("Network.clearBrowserCache")
    session.detach()
    page.context.clear_cookies()
    page.goto("about:blank")


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run Chromium. Its driver keeps an event loop: nothing else in the thread may need one."""
    with sync_playwright() as driver:
        # tests run as root in containers, where there is no sandbox
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(
            executable_path=path_of_chromium(), args=options, timeout=_MILLISECONDS
        )
        try:
            yield Chromium(browser)
        finally:
            browser.close()


@dataclass
class Visit:
    """What happened while a page was open."""

    page: Page
    base: str
    dialogs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """The addresses outside of the server that were asked for."""
    own: list[str] = field(default_factory=list)
    """The paths that were asked for."""
    complaints: list[str] = field(default_factory=list)
    """What the console has."""
    failed: list[str] = field(default_factory=list)
    """The paths that were not had."""

    def note_dialog(self, dialog: Dialog) -> None:
        """Note what a script has asked."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def note(self, request: Request) -> None:
        """Note what is asked for."""
        if request.url.startswith(self.base):
            self.own.append(request.url.removeprefix(self.base))
        elif not request.url.startswith(("data:", "chrome-extension:", "chrome:", "blob:")):
            self.foreign.append(request.url)

    def note_failure(self, request: Request) -> None:
        """Note what was not had; what the policy of the page has kept back was not asked for."""
        if request.url in self.foreign and request.failure in _KEPT_BACK:
            self.foreign.remove(request.url)
        elif request.url.startswith(self.base):
            self.failed.append(request.url.removeprefix(self.base))

    def note_complaint(self, message: ConsoleMessage) -> None:
        """Note what the browser or a script says at the console."""
        self.complaints.append(message.text)

    def note_error(self, error: Error) -> None:
        """Note what a script has failed of."""
        self.complaints.append(str(error))

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what happens until the block ends."""
        context = self.page.context
        told: list[tuple[Any, str, Any]] = [
            (context, "request", self.note),
            (context, "requestfailed", self.note_failure),
            (self.page, "dialog", self.note_dialog),
            (self.page, "console", self.note_complaint),
            (self.page, "pageerror", self.note_error),
        ]
        for source, event, note in told:
            source.on(event, note)
        try:
            yield
        finally:
            for source, event, note in told:
                source.remove_listener(event, note)

    @property
    def text(self) -> str:
        """The words that a reader sees, with single spaces."""
        return " ".join(self.page.locator("body").inner_text().split())

    def violations(self) -> list[str]:
        """Return what axe finds, with the elements."""
        session = self.page.context.new_cdp_session(self.page)
        options = {"runOnly": _RULES, "iframes": False}
        run = f"axe.run(document, {json.dumps(options)}).then(r => JSON.stringify(r.violations))"
        answer = session.send(
            "Runtime.evaluate",
            {"expression": f"{_axe()};{run}", "awaitPromise": True, "returnByValue": True},
        )
        session.detach()
        assert "exceptionDetails" not in answer, answer
        found: list[dict[str, Any]] = json.loads(answer["result"]["value"])
        return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        found: int = self.page.evaluate(wide)
        return found


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@contextmanager
def visited(chrome: Chromium, base: str, path: str, **options: Any) -> Iterator[Visit]:
    """Open a page of a server; ``options`` are those of a context of playwright."""
    with chrome.opened(options) as page:
        visit = Visit(page, base)
        with visit.noting():
            page.goto(base + path, wait_until="load")
            yield visit


def names(found: Sequence[str]) -> str:
    """Return what was found, a line each, for the message of a test."""
    return "\n".join(found)
