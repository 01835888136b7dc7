"""Pages in a real Chromium: nothing runs, nothing is fetched, everybody can read them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Frame

from tests.browser import MISSING, NARROW, Chromium, chromium, names, path_of_chromium, visited
from tests.fhir.asked import FHIR_JSON, new_patient, provide
from tests.forms.served import provide as provide_for
from tests.pages.documents import PNG, media, unstructured, with_text
from tests.pages.hostile import DOCUMENTS, XML, Hostile
from tests.serving import Server
from tests.waiting import until

pytestmark = pytest.mark.skipif(path_of_chromium() is None, reason=MISSING)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "documents"
EVERY_ELEMENT = (
    '<paragraph styleCode="Bold">A <content revised="insert">new</content> and '
    '<content revised="delete">old</content> text<sup>1</sup>, H<sub>2</sub>O.</paragraph>'
    "<list><caption>Drugs</caption><item><caption>First:</caption>one</item><item>two</item></list>"
    '<list listType="ordered" styleCode="LittleAlpha"><item>three</item></list>'
    "<table><caption>Values</caption>"
    '<thead><tr><th ID="h">Test</th><th>Value</th><th/></tr></thead>'
    '<tfoot><tr><td colspan="3">Foot<footnote ID="n">A note</footnote></td></tr></tfoot><tbody><tr>'
    '<th>Iron</th><td headers="h" align="right">5.1<footnoteRef IDREF="n"/></td><td>'
    "<table><tr><td>inner</td></tr></table></td></tr></tbody></table>"
    '<table><tr><td>Second</td></tr></table><linkHtml href="#h">Up</linkHtml> '
    '<linkHtml href="https://example.org/">More</linkHtml>'
    '<renderMultiMedia referencedObject="M"><caption>A film</caption></renderMultiMedia>'
)
ORDINARY = (
    Hostile("report", (FIXTURES / "report.xml").read_bytes(), XML, ("Ada Jane Sample",)),
    Hostile("genomics", (FIXTURES / "genomics_report.xml").read_bytes(), XML, ()),
    Hostile("fhir-json", (FIXTURES / "genomics_report.fhir.json").read_bytes(), FHIR_JSON, ()),
    Hostile("pdf", (FIXTURES / "report.pdf").read_bytes(), "application/pdf", ()),
    Hostile(
        "every-element",
        with_text(EVERY_ELEMENT, media("M", "image/png", PNG)),
        XML,
        ("new", "old", "Drugs", "two", "three", "Iron", "A note", "inner", "A film"),
    ),
    Hostile("text-body", unstructured("text/plain", b"plain words"), XML, ("plain words",)),
    Hostile("text", b"plain words\n" * 50, "text/plain", ("plain words",)),
    Hostile("other", b"PK\x03\x04" + bytes(50), "application/zip", ("as it is stored",)),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


QUICK = ("report", "pdf", "every-element", "text", "scripts", "images", "html-body", "fhir")
"""A document of each sort; the others are opened in the slow run."""


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(one, marks=() if one.name in QUICK else pytest.mark.slow)
        for one in (*ORDINARY, *DOCUMENTS)
    ],
    ids=lambda one: one.name,
)
def test_a_page_is_safe_and_everybody_can_read_it(
    server: Server, browser: Chromium, document: Hostile
) -> None:
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}"
    with visited(browser, server.url, path) as visit:
        words = visit.text
        assert [one for one in document.words if one not in words] == []
        assert names(visit.violations()) == ""
        assert visit.overflow() <= 0
        visit.page.set_viewport_size({"width": NARROW, "height": 640})
        assert visit.overflow() <= 0
        assert (visit.dialogs, visit.foreign, visit.complaints) == ([], [], [])
        assert visit.failed == []


@pytest.mark.parametrize("form", ["summary", "summary-cda"])
def test_a_summary_is_safe_and_everybody_can_read_it(
    server: Server, browser: Chromium, form: str
) -> None:
    patient = new_patient()
    for name in ("care_summary.xml", "lab_report.xml", "discharge_summary.xml"):
        document = (FIXTURES / name).read_bytes()
        provide_for(server, document, "text/xml", patient_id=patient)
    asked = f"identifier=urn:oid:2.999.1.1|{patient.partition('^')[0]}&form={form}"
    with visited(browser, server.url, f"/fhir/Patient/$summary?{asked}") as visit:
        for words in ("Alder Quill", "NOT: Aspirin", "Penicillin: rash in childhood", "Sodium"):
            assert words in visit.text
        assert names(visit.violations()) == ""
        visit.page.set_viewport_size({"width": NARROW, "height": 640})
        assert visit.overflow() <= 0
        assert (visit.dialogs, visit.foreign, visit.complaints) == ([], [], [])
        assert visit.failed == []


def test_a_pdf_is_shown_within_the_page(server: Server, browser: Chromium) -> None:
    (document,) = (one for one in ORDINARY if one.name == "pdf")
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}"
    with visited(browser, server.url, path) as visit:

        def viewers() -> list[Frame]:
            visit.page.wait_for_timeout(50)  # in which the browser can tell of new frames
            return [one for one in visit.page.frames if one.url.startswith("chrome-extension:")]

        assert len(until(viewers)) == 1
        assert f"{path}/original" in visit.own


@pytest.mark.parametrize("name", ["every-element", "scripts"])
def test_a_page_needs_no_script(server: Server, browser: Chromium, name: str) -> None:
    (document,) = (one for one in (*ORDINARY, *DOCUMENTS) if one.name == name)
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}"
    with visited(browser, server.url, path) as visit:
        expected = visit.text
    with visited(browser, server.url, path, java_script_enabled=False) as visit:
        assert visit.text == expected


def test_a_page_is_read_in_the_dark_and_at_twice_the_size(
    server: Server, browser: Chromium
) -> None:
    document = next(one for one in ORDINARY if one.name == "every-element")
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}"
    # at 200 %, 1280 pixels are 640
    half = {"width": 640, "height": 512}
    with visited(browser, server.url, path, color_scheme="dark", viewport=half) as visit:
        assert names(visit.violations()) == ""
        assert visit.overflow() <= 0


def test_the_keyboard_comes_first_to_the_content(server: Server, browser: Chromium) -> None:
    document = next(one for one in ORDINARY if one.name == "every-element")
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}"
    with visited(browser, server.url, path) as visit:
        visit.page.keyboard.press("Tab")
        focused = visit.page.locator(":focus")
        assert focused.inner_text() == "Skip to the content"
        assert focused.bounding_box()["x"] >= 0  # type: ignore[index]
        visit.page.keyboard.press("Enter")
        visit.page.keyboard.press("Tab")
        assert visit.page.locator(":focus").get_attribute("role") == "region"


@pytest.mark.parametrize("name", ["svg", "html", "dtd", "stylesheet-instruction"])
def test_what_is_opened_as_it_is_stored_runs_nothing(
    server: Server, browser: Chromium, name: str
) -> None:
    (document,) = (one for one in DOCUMENTS if one.name == name)
    path = f"/fhir/document/{provide(server, document.data, document.media_type)}/original"
    with visited(browser, server.url, path) as visit:
        assert (visit.dialogs, visit.foreign) == ([], [])


def test_a_failure_is_a_page(server: Server, browser: Chromium) -> None:
    with visited(browser, server.url, "/fhir/document/1") as visit:
        assert "There is no such document here" in visit.text
        assert names(visit.violations()) == ""
