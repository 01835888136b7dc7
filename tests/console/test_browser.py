"""The console in a real Chromium, by role: nothing runs, nothing is fetched, all can use it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page as BrowserPage

from tests.browser import (
    MISSING,
    NARROW,
    Chromium,
    Visit,
    chromium,
    names,
    path_of_chromium,
    visited,
)
from tests.console.browsing import PASSWORD, ConsoleBrowser
from tests.console.examples import examples, opened, rows
from tests.console.operated import OperatedServer
from tests.console.provided import page_of, provide, somebody
from tests.console.queued import counted, database_of, given_up
from tests.console.test_hostile import HOSTILE
from tests.console.test_messages import corrupt, send
from tests.serving import Server
from tests.waiting import until
from xds.metadata.vocabulary import APPROVED

pytestmark = pytest.mark.skipif(path_of_chromium() is None, reason=MISSING)

REPORT: Final = Path(__file__).parents[2] / "fixtures" / "documents" / "report.xml"
WIDE: Final = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


def log_in(page: BrowserPage, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def require_sound(visit: Visit) -> None:
    assert visit.dialogs == []
    assert visit.foreign == []
    assert visit.complaints == []
    assert names(visit.violations()) == ""
    assert visit.overflow() == 0


@pytest.fixture(scope="module")
def addresses(operated: OperatedServer) -> Mapping[str, str]:
    return examples(operated, opened(operated, "administrator"))


@dataclass(frozen=True)
class Way:
    """A way to look at pages."""

    name: str
    options: Mapping[str, Any]

    def require(self, visit: Visit) -> None:
        """Require that the page can be used so."""
        if self.options.get("java_script_enabled", True):
            require_sound(visit)
        assert visit.page.get_by_role("heading", level=1).is_visible()
        assert (visit.dialogs, visit.foreign, visit.complaints) == ([], [], [])
        assert visit.overflow() == 0


NARROW_SCREEN: Final = Way("320 px", {"viewport": {"width": NARROW, "height": 900}})
# a screen of 1280 pixels at 200 %: half as many pixels of CSS, of twice the size (WCAG 2.2, 1.4.4)
ZOOMED: Final = Way("200 %", {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2})
WIDE_SCREEN: Final = Way("1280 px", {"viewport": WIDE})
MEDIUM: Final = {"width": 1100, "height": 900}
WITHOUT_SCRIPT: Final = Way("no script", {"viewport": MEDIUM, "java_script_enabled": False})
WAYS: Final = (WITHOUT_SCRIPT, NARROW_SCREEN, ZOOMED, WIDE_SCREEN)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_page_can_be_used_by_everybody(
    operated: OperatedServer, chrome: Chromium, addresses: Mapping[str, str], way: Way
) -> None:
    """Every row of PAGES that is a page: a new one joins by itself (tests/console/examples.py)."""
    url = operated.server.url
    with visited(chrome, url, "/console/login", **way.options) as visit:
        way.require(visit)
        log_in(visit.page, "administrator")
        for row in (row for row in rows("GET") if row.template):
            visit.page.goto(url + addresses[row.path])
            try:
                way.require(visit)
            except AssertionError as error:
                raise AssertionError(f"{row.path}: {error}") from error


SEND: Final = """([url, fields]) => {
    const form = document.createElement("form")
    form.method = "post"
    form.action = url
    for (const [name, value] of Object.entries(fields)) {
        const input = document.createElement("textarea")
        input.name = name
        input.value = value
        form.append(input)
    }
    document.body.append(form)
    form.submit()
}"""


@pytest.mark.slow
def test_hostile_parameters_open_no_dialog(
    operated: OperatedServer, chrome: Chromium, addresses: Mapping[str, str]
) -> None:
    """All parameters of a row at once, in the URL or in the form that a browser sends."""
    url = operated.server.url
    with visited(chrome, url, "/console/login", viewport=WIDE) as visit:
        page = visit.page
        log_in(page, "administrator")
        for row, text in product(rows(), (HOSTILE[0], HOSTILE[4])):
            if not row.parameters or row.path in ("/login", "/logout"):
                continue
            fields = dict.fromkeys(row.parameters, text)
            if row.method == "GET":
                page.goto(f"{url}{addresses[row.path]}?{urlencode(fields)}")
            else:
                page.goto(f"{url}/console")
                token = page.locator("input[name=token]").first.input_value()
                told = [addresses[row.path], {**fields, "token": token}]
                with page.expect_navigation():
                    page.evaluate(SEND, told)
            assert (visit.dialogs, visit.foreign) == ([], []), row.path


def test_a_clinician_opens_the_newest_report_by_keyboard_alone(
    console_server: Server, chrome: Chromium
) -> None:
    patient_id = somebody()
    provide(console_server, patient_id, title="Old letter", creation_time="2019")
    provide(console_server, patient_id, REPORT.read_bytes(), "text/xml", title="Newest report")
    with visited(chrome, console_server.url, "/console/login", viewport=WIDE) as visit:
        keyboard = visit.page.keyboard
        for _ in range(3):  # past the link to the main content and the name of the console
            keyboard.press("Tab")
        keyboard.type("clinician")
        keyboard.press("Tab")
        keyboard.type(PASSWORD)
        keyboard.press("Enter")
        visit.page.get_by_role("heading", name="Home").wait_for()
        visit.page.get_by_label("Find by number or id").focus()
        keyboard.type(patient_id.partition("^")[0])
        keyboard.press("Enter")
        visit.page.get_by_role("heading", name="Documents").wait_for()
        focused = "document.activeElement.matches('a') && document.activeElement.textContent"
        for _ in range(30):
            keyboard.press("Tab")
            if visit.page.evaluate(focused) == "Newest report":
                break
        keyboard.press("Enter")
        visit.page.get_by_role("heading", name="Newest report").wait_for()
        frame = visit.page.frame_locator("iframe")
        frame.get_by_text("Genetic analysis report").first.wait_for()
        require_sound(visit)


@pytest.mark.slow
def test_the_menu_of_an_administrator_is_one_line_and_opens_by_keyboard(
    console_server: Server, chrome: Chromium
) -> None:
    for width in (1024, 1280):
        viewport = {"width": width, "height": 800}
        with visited(
            chrome,
            console_server.url,
            "/console/login",
            viewport=viewport,
            java_script_enabled=False,
        ) as visit:
            page = visit.page
            log_in(page, "administrator")
            items = page.get_by_role("navigation", name="Menu").locator("ul").first.locator("> li")
            boxes = [one.bounding_box() for one in items.all()]
            assert len({box["y"] for box in boxes if box}) == 1
            assert len(boxes) > 5
            page.get_by_text("Coming in").focus()
            page.keyboard.press("Enter")
            page.get_by_text("Going out").focus()
            page.keyboard.press("Enter")  # one is open at a time
            assert page.get_by_role("link", name="Unknown codes").count() == 0
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Queue", exact=True).wait_for()
            assert visit.complaints == []


def test_an_engineer_corrects_a_message_and_sees_what_it_made(
    console_server: Server, chrome: Chromium
) -> None:
    """Without script, which no page has need of."""
    control_id = send(console_server, corrupt())
    with visited(
        chrome, console_server.url, "/console", viewport=WIDE, java_script_enabled=False
    ) as visit:
        page = visit.page
        log_in(page, "integration")
        page.get_by_label("Find by number or id").fill(control_id)
        page.get_by_role("button", name="Find").click()
        page.get_by_role("heading", name=control_id).wait_for()
        raw = page.get_by_label("A segment on each line")
        raw.fill(raw.input_value().replace("%%%", ""))
        page.get_by_role("button", name="Send the corrected message").click()
        page.get_by_role("heading", name=f"{control_id} filed").wait_for()
        page.get_by_role("listitem").filter(has_text="registered").get_by_role("link").click()
        page.get_by_role("heading", name="Report").wait_for()
        assert visit.dialogs == []


@pytest.mark.slow
def test_an_operator_finds_the_dead_endpoint_and_resumes_it_after_it_is_back(
    operated: OperatedServer, operators: dict[str, ConsoleBrowser], chrome: Chromium
) -> None:
    whose = somebody()
    one = operated.subscribe(whose, *[503] * 100)
    operated.report(whose)
    until(lambda: operated.subscription(one.key).state == "error")
    size = {"width": NARROW, "height": 900}
    with visited(chrome, operated.server.url, "/console", viewport=size) as visit:
        page = visit.page
        log_in(page, "operator")
        page.get_by_role("link", name="Subscriptions by dsub, error").first.click()
        require_sound(visit)
        page.get_by_role("row").filter(has_text="503").get_by_role("link").first.click()
        page.get_by_role("heading", name=f"Subscription {one.key} error").wait_for()
        require_sound(visit)
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("heading", name=f"Subscription {one.key} paused").wait_for()
        operated.recipient.refuse(one.address.removeprefix(operated.recipient.url))
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("heading", name=f"Subscription {one.key} active").wait_for()
        until(lambda: operated.subscription(one.key).waiting == 0)
        (message, *_) = (
            operators["operator"]
            .get("/console/destinations/record")
            .tree.xpath("//tbody//th/a/@href")
        )
        places = ("destinations", "destinations/record", "feeds", "queue", "activity")
        for place in (*(f"/console/{one}" for one in places), message):
            page.goto(operated.server.url + place)
            require_sound(visit)


def test_an_operator_tries_again_what_was_given_up(
    console_server: Server, chrome: Chromium
) -> None:
    """Without script, which no page has need of."""
    channel = given_up(console_server, 2)
    with visited(
        chrome, console_server.url, "/console", viewport=WIDE, java_script_enabled=False
    ) as visit:
        page = visit.page
        log_in(page, "operator")
        page.get_by_role("link", name=f"Deliveries of {channel} given up: 2").click()
        page.get_by_role("button", name="Try all of them again").click()
        page.get_by_role("heading", name="Try 2 messages again?").wait_for()
        page.get_by_role("button", name="Try 2 messages again").click()
        page.get_by_role("heading", name="Done").wait_for()
        page.get_by_role("link", name="Back").click()
        page.get_by_role("heading", name=f"Queue: {channel}").wait_for()
        with database_of(console_server) as database:
            assert (counted(database, channel).waiting, counted(database, channel).dead) == (2, 0)


def test_hostile_documents_stay_in_their_frame(console_server: Server, chrome: Chromium) -> None:
    hostile = b"<html><body onload=alert(1)><script>alert(2)</script><form action=/console/logout "
    hostile += (
        b"method=post><button>Log out</button></form><a target=_top href=//evil.example>x</a>"
    )
    entry = provide(console_server, somebody(), hostile, "text/html", title="Trap")
    with visited(chrome, console_server.url, "/console", viewport=WIDE) as visit:
        log_in(visit.page, "viewer")
        visit.page.goto(console_server.url + page_of(entry))
        visit.page.frame_locator("iframe").locator("body").wait_for()
        assert visit.dialogs == []
        assert visit.foreign == []
        assert visit.page.get_by_role("heading", name="Trap").is_visible()


def test_a_privacy_officer_sees_who_opened_a_document(
    console_server: Server, people: dict[str, ConsoleBrowser], chrome: Chromium
) -> None:
    entry = provide(console_server, somebody(), title="Private letter")
    people["viewer"].get(page_of(entry, "/original"))
    with visited(
        chrome, console_server.url, "/console", viewport=WIDE, java_script_enabled=False
    ) as visit:
        page = visit.page
        log_in(page, "privacy")
        page.get_by_role("link", name="Audit", exact=True).click()
        row = page.get_by_role("row").filter(has_text="viewer").filter(has_text="Retrieve Document")

        def shown() -> int:
            page.get_by_label("Document").fill(entry.unique_id or "")
            page.get_by_role("button", name="Show").click()
            page.get_by_role("heading", name="Audit").wait_for()
            return row.count()

        until(shown, pause=0.1)
        row.get_by_role("link").first.click()
        page.get_by_role("heading", name="Retrieve Document").wait_for()
        page.get_by_role("button", name="All records of this person").click()
        page.get_by_role("row").filter(has_text="viewer").first.wait_for()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as JSON").click()
        assert saved.value.suggested_filename == "audit-records.jsonl"
        page.get_by_role("link", name="Check that the records are as they were written").click()
        page.get_by_role("button", name="Check the latest").click()
        page.get_by_role("status").filter(has_text="is the end of the chain").wait_for()
        assert visit.dialogs == []


def test_an_engineer_asks_in_the_workbench(console_server: Server, chrome: Chromium) -> None:
    patient_id = somebody()
    entry = provide(console_server, patient_id, title="Asked for")
    with visited(
        chrome, console_server.url, "/console", viewport=WIDE, java_script_enabled=False
    ) as visit:
        page = visit.page
        log_in(page, "integration")
        page.get_by_role("link", name="Workbench").click()
        page.get_by_label("Query").select_option("FindDocuments")
        page.get_by_role("button", name="Choose").click()
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("cell", name="XDSStoredQueryMissingParam").wait_for()
        page.get_by_role("cell", name="$XDSDocumentEntryPatientId is required").wait_for()
        page.get_by_label("$XDSDocumentEntryPatientId").fill(patient_id)
        page.get_by_label("$XDSDocumentEntryStatus").fill(APPROVED)
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("heading", name="Answer Success").wait_for()
        page.get_by_role("link", name="Asked for").wait_for()
        page.get_by_label("Query").select_option("DocumentReference")
        page.get_by_role("button", name="Choose").click()
        page.get_by_label("identifier", exact=True).fill(entry.unique_id or "")
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("status").filter(has_text="1 found").wait_for()
        page.get_by_text("Statement 1", exact=True).click()
        assert "document_entry" in page.get_by_label("Plan of statement 1").inner_text()
        assert visit.dialogs == []


@pytest.mark.slow
def test_the_workbench_can_be_used_by_everybody(console_server: Server, chrome: Chromium) -> None:
    size = {"width": NARROW, "height": 900}
    with visited(chrome, console_server.url, "/console", viewport=size) as visit:
        log_in(visit.page, "integration")
        visit.page.goto(f"{console_server.url}/console/workbench?query=FindDocuments")
        visit.page.get_by_role("button", name="Ask").click()
        visit.page.get_by_role("heading", name="Answer Failure").wait_for()
        require_sound(visit)
