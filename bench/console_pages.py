"""Every page of the console, of a registry where much has happened: how long each takes.

The pages are found by their links, as a person finds them, so a new row of PAGES is measured as
soon as a link leads to it. To these come searches that find much, little, or nothing at all, and
what is about the patient, the document and the user with the most records.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import text

from bench.calls import Unexpected
from bench.cases import duration, reading
from bench.clients import Call
from bench.deployment import Deployment
from bench.fhir import KeptConnection
from bench.figures import Figure, Measure, Result
from bench.load.audit_history import USER, Known
from bench.load.history import DESTINATIONS
from tests.console.browsing import FORM, PASSWORD, ConsoleBrowser, browser_of
from tests.console.examples import linked, rows
from tests.console.provided import provide, provide_in_folder, somebody
from tests.pages.documents import PDF, PNG, media, with_text
from xds.accounts.accounts import Accounts
from xds.accounts.roles import ConsoleRole
from xds.console.rendering import ROOT
from xds.database.access import Database

OPTIONS: Final = {"console": "on", "audit": "on", "mllp_port": "0"}
MOST_MILLISECONDS: Final = 300
_PERSON: Final = "bench"
_TYPE: Final = re.compile(r":[^{}]*(?=\})")
"""Of a variable part of a path."""
_DESTINATION: Final = (
    '[[destination]]\nname = "{}"\naddress = "mllp://localhost:9"\n'
    'rule = [{{ class_code = ["nothing^^2.999.1"] }}]\n'
)
_MOST_DOCUMENTS: Final = (
    "SELECT patient FROM document_entry GROUP BY patient ORDER BY count(*) DESC LIMIT 1"
)
_NUMBER: Final = "SELECT pk FROM patient WHERE patient_id = :known"
_CODE: Final = "SELECT type_code FROM document_entry WHERE patient = :known LIMIT 1"


def options(folder: Path) -> Mapping[str, str]:
    """Return the options of a server that has every page."""
    path = folder / "destinations.toml"
    path.write_text("".join(map(_DESTINATION.format, DESTINATIONS)))
    return {**OPTIONS, "destinations": str(path)}


def make_account(database: Database) -> None:
    """Make the account of who opens the pages."""
    Accounts(database).put(_PERSON, PASSWORD, [ConsoleRole.ADMINISTRATOR])


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """A page, opened again and again; to a client, a value that makes such a call."""

    title: str
    """Of its line in the table."""
    path: str
    """With the query."""
    form: Mapping[str, str] = field(default_factory=dict)
    """What is sent by POST; empty where the page is read by GET."""
    url: str = ""
    """The root of the server."""
    cookies: str = ""

    def by(self, browser: ConsoleBrowser) -> "OpenedPage":
        """Return the same as this browser opens it."""
        cookies = "; ".join(f"{name}={one}" for name, one in browser.cookies.items())
        form = self.form and {**browser.get(ROOT).form(f"{ROOT}/search"), **self.form}
        url = f"http://{browser.host}:{browser.port}"
        return replace(self, form=form, url=url, cookies=cookies)

    def __call__(self, number: int) -> Call:
        """Make the request."""
        connection, request = KeptConnection(self.url), self._request()

        def call() -> tuple[int, int]:
            status, answer = connection.exchange(request)
            if status not in (200, 303):
                raise Unexpected(answer)
            return len(request), len(answer)

        return call

    def _request(self) -> bytes:
        body = urlencode(self.form)
        lines = [
            f"{'POST' if body else 'GET'} {self.path} HTTP/1.1",
            f"Host: {self.url.partition('//')[2]}",
            f"Cookie: {self.cookies}",
            "Accept-Encoding: gzip",
        ]
        if body:
            told = (f"Origin: {self.url}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}")
            lines += told
        return "\r\n".join([*lines, "", body]).encode()


def results(deployment: Deployment, database: Database, known: Known) -> Iterator[Result]:
    """Measure every page, one after the other, and yield what came out."""
    _provide(deployment)
    browser = browser_of(deployment.url)
    browser.log_in(_PERSON)
    for page in (*_linked(browser), *_searches(database, known)):
        yield Result(_measure(page.title), [_timed(deployment, page.by(browser))])


def _measure(title: str) -> Measure:
    return Measure(title=title, unit="ms", goal=MOST_MILLISECONDS, at_most=True)


def _timed(deployment: Deployment, page: OpenedPage) -> Figure:
    ((figure),) = duration(lambda _: page, reading, deployment)
    return replace(figure, value=figure.value * 1000, yardstick=figure.yardstick * 1000)


def _provide(deployment: Deployment) -> None:
    """Have documents that can be opened: what is loaded has none."""
    told = '<renderMultiMedia referencedObject="M1"><caption>A picture</caption></renderMultiMedia>'
    cda = with_text(told, media("M1", "image/png", PNG))
    provide_in_folder(deployment.server, somebody(), cda, "text/xml", title="A report")
    provide(deployment.server, somebody(), PDF, "application/pdf")


def _linked(browser: ConsoleBrowser) -> Iterator[OpenedPage]:
    """Yield a page for each row; what has no address is an error, for it would not be measured."""
    found = linked(browser)
    for row in rows("GET"):
        urls = found[row.path]
        if not urls:
            raise LookupError(f"no link leads to {row.path}")
        yield OpenedPage(_TYPE.sub("", row.path), urls[0])


# --- what is searched for ------------------------------------------------------------------------


def _searches(database: Database, known: Known) -> Iterator[OpenedPage]:
    cx, uuid, unique_id = known.first
    with database.read() as connection:

        def asked(query: str, **values: object) -> object:
            return connection.execute(text(query), values).scalar()

        largest = asked(_MOST_DOCUMENTS)
        frequent = asked(_NUMBER, known=cx)
        code = asked(_CODE, known=largest)
    large = f"{ROOT}/patients/{largest}"
    yield OpenedPage("patient with the most documents", large)
    for name, given in (
        ("of a type", {"type": str(code)}),
        ("of an organisation", {"organisation": "Nobody^^^^^^^^^2.999.1"}),
        ("deprecated", {"status": "deprecated"}),
        ("page 40", {"start": "1000"}),
    ):
        yield OpenedPage(f"  {name}", f"{large}?{urlencode(given)}")
    bare = uuid.removeprefix("urn:uuid:")
    yield OpenedPage("who opened the document most read", f"{ROOT}/documents/{bare}/readers")
    yield from _audited({"patient": cx, "document": unique_id, "user": USER})
    yield from _audit_by_url(str(frequent), bare)
    yield from _messages()
    for name, value in (
        ("NHS number", cx.partition("^")[0]),
        ("uniqueId", unique_id),
        ("entryUUID", uuid),
        ("control id", "C000000007"),
        ("placer number", "P7"),
        ("reference id", "nothing^^^&2.999.1&ISO^urn:ihe:iti:xds:2013:accession"),
        ("nothing", "there is no such thing"),
    ):
        yield OpenedPage(f"search box: {name}", f"{ROOT}/search", {"q": value})


def _audited(about: Mapping[str, str]) -> Iterator[OpenedPage]:
    """Yield searches of the audit records by what only forms have, one by one and together."""
    names: Sequence[tuple[str, ...]] = (
        ("patient",),
        ("document",),
        ("user",),
        ("patient", "user"),
        ("patient", "document"),
        ("user", "document"),
        ("patient", "user", "document"),
    )
    narrowed: Sequence[Mapping[str, str]] = (
        {},
        {"outcome": "failed"},
        {"outcome": "done"},
        {"transaction": "ITI-41"},
        {"transaction": "ITI-62"},
    )
    for chosen in names:
        for more in narrowed if len(chosen) == 1 else narrowed[:2]:
            form = {**{name: about[name] for name in chosen}, **more}
            title = ", ".join((*chosen, *more.values()))
            yield OpenedPage(f"audit: {title}", f"{ROOT}/audit", form)


def _audit_by_url(number: str, uuid: str) -> Iterator[OpenedPage]:
    for name, given in (
        ("patient's number", {"number": number}),
        ("document's UUID", {"uuid": uuid}),
        ("failed", {"outcome": "failed"}),
        ("failed, ITI-41", {"outcome": "failed", "transaction": "ITI-41"}),
        ("failed, ITI-62", {"outcome": "failed", "transaction": "ITI-62"}),
        ("ITI-18", {"transaction": "ITI-18"}),
        ("a year ago", {"until": "2025-01-01"}),
        ("in the future", {"since": "2099-01-01"}),
    ):
        yield OpenedPage(f"audit: {name}", f"{ROOT}/audit?{urlencode(given)}")


def _messages() -> Iterator[OpenedPage]:
    for name, given in (
        ("refused", {"state": "refused"}),
        ("of a sender", {"sender": "LAB7"}),
        ("of no sender", {"sender": "nobody"}),
        ("a verdict", {"verdict": "patient-unknown"}),
        ("no verdict that there is", {"verdict": "nothing"}),
        ("joined", {"state": "joined"}),
        ("a year ago", {"until": "2025-01-01"}),
        ("first week, of no sender", {"until": "2026-01-01", "sender": "nobody"}),
    ):
        yield OpenedPage(f"messages: {name}", f"{ROOT}/messages?{urlencode(given)}")
