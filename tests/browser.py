"""A real Chromium for tests: what a page does in it, and what axe finds of its accessibility.

It is one of Debian's packages, which `.ci/run` installs; playwright drives it. axe is run in the
page by the protocol of the developer tools, so that the page's own policy stays as it is.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, sync_playwright

PACKAGES: Final = "chromium"
MISSING: Final = f"no Chromium: as root on Debian, apt-get install {PACKAGES}"

NARROW: Final = 320
"""Pixels of the narrowest screen (WCAG 2.2, 1.4.10)."""
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_KEPT_BACK: Final = frozenset({"csp", "origin"})
_MILLISECONDS: Final = 20_000


def path_of_chromium() -> str | None:
    """Return where Chromium is, None where it is not."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium. Its driver keeps an event loop: nothing else in the thread may need one."""
    with sync_playwright() as driver:
        # tests run as root in containers, where there is no sandbox
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=path_of_chromium(), args=options)
        try:
            yield browser
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
def visited(browser: Browser, base: str, path: str, **options: Any) -> Iterator[Visit]:
    """Open a page of a server; ``options`` are those of a context of playwright."""
    context: BrowserContext = browser.new_context(**options)
    try:
        page = context.new_page()
        visit = Visit(page, base)
        context.on("request", visit.note)
        page.on("dialog", visit.note_dialog)
        page.on("console", lambda one: visit.complaints.append(one.text))
        page.on("pageerror", lambda one: visit.complaints.append(str(one)))
        context.on("requestfailed", visit.note_failure)
        page.goto(base + path, timeout=_MILLISECONDS, wait_until="load")
        yield visit
    finally:
        context.close()


def names(found: Sequence[str]) -> str:
    """Return what was found, a line each, for the message of a test."""
    return "\n".join(found)
