"""A browser without script for tests: it keeps cookies, follows links and sends forms by HTTP."""

import gzip
import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

from lxml import html

from tests.waiting import PATIENCE
from xds.accounts.accounts import Accounts
from xds.accounts.roles import ConsoleRole
from xds.database.access import Database

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Page:
    """What a server has answered."""

    url: str
    """The path, with its query."""
    status: int
    headers: Message
    body: bytes
    """Without its compression."""
    sent: int
    """The bytes of the body as it came over the wire."""

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def tree(self) -> html.HtmlElement:
        return html.document_fromstring(self.text)

    @property
    def heading(self) -> str:
        return " ".join(self.tree.xpath("string(//h1)").split())

    @property
    def words(self) -> str:
        """What the main part says, with single spaces."""
        return " ".join(self.tree.xpath("string(//main)").split())

    def link(self, name: str) -> str:
        """Return where the one link of this name leads."""
        found = [
            a for a in self.tree.xpath("//a[@href]") if " ".join(a.text_content().split()) == name
        ]
        assert found, f"no link {name}: {self.words}"
        return str(found[0].get("href"))

    def form(self, action: str) -> dict[str, str]:
        """Return the fields of the form with this action, as they are filled in."""
        (found,) = self.tree.xpath("//form[@action=$action]", action=action)
        return {name: value or "" for name, value in found.form_values()}

    def buttons(self, label: str, row: str = "") -> list[tuple[str, dict[str, str]]]:
        """Return the forms with a button that begins with a label: their actions and fields.

        Given words of a row, of a table or a list, those in it alone.
        """
        forms = self.tree.xpath("//form")
        if row:
            rows = [one for one in self.tree.xpath("//tbody/tr") if row in one.text_content()]
            assert rows, f"no row with {row}: {self.words}"
            forms = rows[0].xpath(".//form")
        return [
            (form.get("action"), {name: value or "" for name, value in form.form_values()})
            for form in forms
            if any(
                " ".join(button.text_content().split()).startswith(label)
                for button in form.xpath(".//button")
            )
        ]

    def row(self, text: str) -> str:
        """Return the words of the first row of a table that has a text."""
        found = [one for one in self.tree.xpath("//tbody/tr") if text in one.text_content()]
        assert found, f"no row with {text}: {self.words}"
        return " ".join(" ".join(cell.text_content().split()) for cell in found[0])


@dataclass(slots=True)
class ConsoleBrowser:
    """One person's browser."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        url: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """Send one request, and keep the cookies of its answer."""
        told = {"Accept-Encoding": "gzip", **(headers or {})}
        if self.cookies:
            told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, url, body, told)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        for header in answer.headers.get_all("Set-Cookie") or ():
            for name, one in SimpleCookie(header).items():
                self.cookies[name] = one.value
                if one["max-age"] == "0":
                    del self.cookies[name]
        plain = gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data
        return Page(url, answer.status, answer.headers, plain, len(data))

    def get(self, url: str) -> Page:
        """Open a page, and go where it sends one on."""
        page = self.request("GET", url)
        return self.get(urljoin(url, page.headers["Location"])) if page.status == 303 else page

    def post(self, url: str, fields: Mapping[str, str]) -> Page:
        """Send a form as a browser does, and go where it sends one on."""
        told = {"Content-Type": FORM, "Origin": f"http://{self.host}:{self.port}"}
        page = self.request("POST", url, urlencode(fields), told)
        return self.get(urljoin(url, page.headers["Location"])) if page.status == 303 else page

    def submit(self, page: Page, action: str, **fields: str) -> Page:
        """Fill in a form of a page, and send it."""
        return self.post(action, {**page.form(action), **fields})

    def press(self, page: Page, label: str, row: str = "", **fields: str) -> Page:
        """Fill in the one form with a button of this label, perhaps in a row, and send it."""
        found = page.buttons(label, row)
        assert len(found) == 1, f"{len(found)} times {label}: {page.words}"
        action, given = found[0]
        return self.post(action, {**given, **fields})

    def log_in(self, name: str, password: str = PASSWORD) -> Page:
        """Log in; the page is that which follows."""
        return self.submit(
            self.get("/console/login"), "/console/login", name=name, password=password
        )


def browser_of(url: str) -> ConsoleBrowser:
    """Return a new browser for a server."""
    place = urlsplit(url)
    return ConsoleBrowser(place.hostname or "", place.port or 80)


def make_accounts(database_url: str) -> None:
    """Make an account for each role, of its name."""
    database = Database(database_url)
    try:
        for role in ConsoleRole:
            Accounts(database).put(role.value, PASSWORD, [role.value])
    finally:
        database.close()
