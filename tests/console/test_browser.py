"""The console in a real Chromium, by role: nothing runs, nothing is fetched, all can use it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as BrowserPage

from tests.browser import MISSING, NARROW, Visit, chromium, names, path_of_chromium, visited
from tests.console.browsing import PASSWORD, ConsoleBrowser
from tests.console.provided import page_of, provide, somebody
from tests.console.test_hostile import HOSTILE
from tests.console.test_messages import corrupt, send
from tests.serving import Server
from xds.console.pages import PAGES
from xds.metadata.objects import DocumentEntry
from xds.metadata.vocabulary import APPROVED

pytestmark = pytest.mark.skipif(path_of_chromium() is None, reason=MISSING)

REPORT: Final = Path(__file__).parents[2] / "fixtures" / "documents" / "report.xml"
WIDE: Final = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def letter(console_server: Server) -> DocumentEntry:
    """A document of somebody, whose metadata are hostile."""
    content = REPORT.read_bytes()
    return provide(console_server, somebody(), content, "text/xml", title=HOSTILE[0])


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


def places(people: dict[str, ConsoleBrowser], entry: DocumentEntry) -> list[str]:
    """Return a URL of each page of the table that is one."""
    patient = people["administrator"].get(page_of(entry)).tree.xpath("//nav//a/@href")
    number = next(one for one in patient if "/patients/" in one)
    message = people["administrator"].get("/console/messages").tree.xpath("//table//a/@href")[0]
    sets = people["administrator"].get(page_of(entry, "/relations")).tree
    (package,) = sets.xpath("//a[contains(@href, 'submission-sets')]/@href")
    record = people["administrator"].get("/console/audit").tree.xpath("//tbody//a/@href")[0]
    # without a provider there are no pages to log in at one: tests/console/test_openid_browser.py
    rows = (row for row in PAGES if row.method == "GET" and not row.path.startswith("/openid"))
    fixed = [f"/console{row.path}" for row in rows if "{" not in row.path]
    parts = ("", "/metadata", "/relations", "/raw", "/readers")
    return [*fixed, number, message, package, record, *(page_of(entry, part) for part in parts)]


@pytest.mark.parametrize("width", [NARROW, pytest.param(1280, marks=pytest.mark.slow)])
def test_every_page_can_be_used_by_everybody(
    console_server: Server,
    people: dict[str, ConsoleBrowser],
    chrome: Browser,
    letter: DocumentEntry,
    width: int,
) -> None:
    send(console_server, corrupt("<script>alert(1)</script>|X"))
    size = {"width": width, "height": 900}
    with visited(chrome, console_server.url, "/console/login", viewport=size) as visit:
        require_sound(visit)
        log_in(visit.page, "administrator")
        for place in places(people, letter):
            visit.page.goto(console_server.url + place)
            try:
                require_sound(visit)
            except AssertionError as error:
                raise AssertionError(place) from error


def test_a_clinician_opens_the_newest_report_by_keyboard_alone(
    console_server: Server, chrome: Browser
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


def test_an_engineer_corrects_a_message_and_sees_what_it_made(
    console_server: Server, chrome: Browser
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


def test_hostile_documents_stay_in_their_frame(console_server: Server, chrome: Browser) -> None:
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
    console_server: Server, people: dict[str, ConsoleBrowser], chrome: Browser
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
        for _ in range(50):
            page.get_by_label("Document").fill(entry.unique_id or "")
            page.get_by_role("button", name="Show").click()
            page.get_by_role("heading", name="Audit").wait_for()
            if row.count():
                break
            page.wait_for_timeout(100)
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


def test_an_engineer_asks_in_the_workbench(console_server: Server, chrome: Browser) -> None:
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


def test_the_workbench_can_be_used_by_everybody(console_server: Server, chrome: Browser) -> None:
    size = {"width": NARROW, "height": 900}
    with visited(chrome, console_server.url, "/console", viewport=size) as visit:
        log_in(visit.page, "integration")
        visit.page.goto(f"{console_server.url}/console/workbench?query=FindDocuments")
        visit.page.get_by_role("button", name="Ask").click()
        visit.page.get_by_role("heading", name="Answer Failure").wait_for()
        require_sound(visit)
