"""Finding patients and documents at the console, reading them, and what is withheld."""

import http.client
from typing import Any

import pytest

from tests.console.browsing import PASSWORD, ConsoleBrowser, Page, browser_of
from tests.console.provided import RESTRICTED, cx, page_of, provide, somebody
from tests.console.recorded import await_records
from tests.serving import Server
from tests.waiting import until
from xds.accounts.accounts import Accounts
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.database.access import Database
from xds.metadata.objects import Author, Code

People = dict[str, ConsoleBrowser]


def search(browser: ConsoleBrowser, text: str) -> Page:
    return browser.submit(browser.get("/console"), "/console/search", q=text)


def test_a_patient_is_found_by_number_and_by_id(console_server: Server, people: People) -> None:
    patient_id = somebody()
    entry = provide(console_server, patient_id, title="Blood count")
    for text in (patient_id, patient_id.partition("^")[0], f"  {patient_id} "):
        page = search(people["viewer"], text)
        assert page.url.startswith("/console/patients/")
        assert patient_id.partition("^")[0] in page.words
        assert page.link("Blood count") == page_of(entry)
        assert patient_id.partition("^")[0] not in page.url


def test_an_nhs_number_is_found_however_it_is_written(
    console_server: Server, people: People
) -> None:
    provide(console_server, cx("9990000018", "2.16.840.1.113883.2.1.4.1"))
    for text in ("9990000018", "999 000 0018", "999-000-0018"):
        page = search(people["viewer"], text)
        assert page.url.startswith("/console/patients/")
        assert "NHS number 999 000 0018" in page.words.replace("NHS number999", "NHS number 999")


def test_a_document_is_found_by_each_of_its_ids(console_server: Server, people: People) -> None:
    entry = provide(console_server, somebody(), title="Letter")
    uuid = entry.entry_uuid
    for text in (uuid, uuid.removeprefix("urn:uuid:"), uuid.upper().removeprefix("URN:UUID:")):
        assert search(people["integration"], text).heading == "Letter Approved"
    assert search(people["integration"], entry.unique_id or "").heading == "Letter Approved"


@pytest.mark.parametrize("text", ["", " ", "%", "_", "CONSOLE-", "'", "\0", "x" * 20_000, "\u202e"])
def test_what_is_not_exactly_there_is_not_found(people: People, text: str) -> None:
    page = search(people["viewer"], text)
    assert page.status == http.client.OK
    assert page.heading == "Nothing found"


def test_documents_come_newest_first_and_can_be_chosen(
    console_server: Server, people: People
) -> None:
    patient_id = somebody()
    lab = Author(institution=("Genomics^^^^^&2.999.1&ISO^^^^1",))
    kind = Code("lab", "2.999.5", "Laboratory report")
    provide(console_server, patient_id, title="Old", creation_time="20200101")
    provide(
        console_server,
        patient_id,
        title="Report",
        creation_time="20240301101500",
        source_patient_id=cx("L1", "2.999.7.1"),
        type_code=kind,
        author=(lab,),
    )
    provide(console_server, patient_id, title="Middle", creation_time="202302")
    page = search(people["viewer"], patient_id)
    names = [a.text_content() for a in page.tree.xpath("//table//a")]
    assert names == ["Report", "Middle", "Old"]
    assert "1 Mar 2024" in page.words
    assert "Genomics" in page.words
    form = page.tree.xpath("//form[@method='get']")[0]
    chosen = {
        select.get("name"): [o.text_content() for o in select.xpath(".//option")]
        for select in form.xpath(".//select")
    }
    assert "Laboratory report (1)" in chosen["type"]
    assert "Genomics (1)" in chosen["organisation"]
    assert "2.999.7.1 (1)" in chosen["source"]
    (repository,) = [one.partition(" ")[0] for one in chosen["repository"] if "(3)" in one]
    for query, titles in (
        ("type=lab%5E%5E2.999.5", ["Report"]),
        ("since=2023-02-01", ["Report", "Middle"]),
        ("until=2023-01-01", ["Old"]),
        ("status=deprecated", []),
        ("organisation=Genomics%5E%5E%5E%5E%5E%262.999.1%26ISO%5E%5E%5E%5E1", ["Report"]),
        ("source=2.999.7.1", ["Report"]),
        (f"repository={repository}", ["Report", "Middle", "Old"]),
        ("repository=2.999.77", []),
        ("type=nothing", []),
        ("since=tomorrow&until=%00&start=-1&class=", ["Report", "Middle", "Old"]),
    ):
        found = people["viewer"].get(f"{page.url}?{query}")
        assert [a.text_content() for a in found.tree.xpath("//table//a")] == titles, query


def test_many_documents_are_pages(console_server: Server, people: People) -> None:
    patient_id = somebody()
    for number in range(27):
        provide(console_server, patient_id, title=f"No {number}", creation_time=f"{1990 + number}")
    first = search(people["viewer"], patient_id)
    assert len(first.tree.xpath("//table//a")) == 25
    second = people["viewer"].get(f"{first.url}{first.link('Older documents')}")
    assert len(second.tree.xpath("//table//a")) == 2
    again = people["viewer"].get(f"{first.url}{second.link('Newer documents')}")
    assert len(again.tree.xpath("//table//a")) == 25


# --- one document --------------------------------------------------------------------------------


def test_a_document_has_its_metadata_in_the_words_of_the_tf(
    console_server: Server, people: People
) -> None:
    kind = Code("lab", "2.999.5", "Laboratory report")
    entry = provide(console_server, somebody(), title="R", type_code=kind)
    page = people["viewer"].get(page_of(entry, "/metadata"))
    terms = dict(
        zip(
            [one.text_content() for one in page.tree.xpath("//main//dt")],
            [" ".join(one.text_content().split()) for one in page.tree.xpath("//main//dd")],
            strict=True,
        )
    )
    assert terms["typeCode"] == "Laboratory report lab^^2.999.5"
    assert terms["availabilityStatus"] == "Approved"
    assert terms["uniqueId"] == entry.unique_id
    assert terms["mimeType"] == "text/plain"


def test_a_document_that_was_replaced_leads_to_the_newer_one(
    console_server: Server, people: People
) -> None:
    patient_id = somebody()
    old = provide(console_server, patient_id, title="First")
    new = provide(console_server, patient_id, title="Second", replaces=old)
    page = people["viewer"].get(page_of(old))
    assert "There is a newer document" in page.words
    assert page.heading == "First Deprecated"
    assert page.link("Second") == page_of(new)
    related = people["viewer"].get(page_of(new, "/relations"))
    assert "It replaces First" in related.words
    assert "newer document" not in people["viewer"].get(page_of(new)).words
    package = people["viewer"].get(
        related.tree.xpath("//a[contains(@href,'submission-sets')]/@href")[0]
    )
    assert package.link("Second") == page_of(new)


def test_a_submission_set_of_many_documents_has_pages(
    console_server: Server, people: People
) -> None:
    patient_id = somebody()
    entries = [entry_of(patient_id, "text/plain").updated(title=f"No {n}") for n in range(53)]
    data = Content((b"some text",), 9)
    with DocumentSource(console_server.repository_url) as source:
        source.provide_and_register(
            submission_of(entries), {one.entry_uuid: data for one in entries}
        )
    related = people["viewer"].get(page_of(entries[0], "/relations"))
    place = related.tree.xpath("//a[contains(@href,'submission-sets')]/@href")[0]
    first = people["viewer"].get(place)
    titles = first.tree.xpath("//tbody/tr/td//a/text() | //tbody/tr/th//a/text()")
    assert [one for one in titles if one.startswith("No ")] == [f"No {n}" for n in range(50)]
    rest = people["viewer"].get(first.link("More of what it holds"))
    assert rest.link("No 52") == page_of(entries[52])
    assert "No 49" not in rest.words
    assert "More of what it holds" not in rest.words
    assert rest.link("The first") == place


def test_raw_forms_are_those_of_the_protocols(console_server: Server, people: People) -> None:
    entry = provide(console_server, somebody(), title='A "title" & <more>')
    page = people["viewer"].get(page_of(entry, "/raw"))
    ebrim, fhir = (one.text_content() for one in page.tree.xpath("//pre"))
    assert '<rim:ExtrinsicObject id="' in ebrim
    assert '"resourceType": "DocumentReference"' in fhir
    assert f"xds get {entry.unique_id} --url" in page.words


def test_the_hash_is_checked(console_server: Server, people: People) -> None:
    entry = provide(console_server, somebody())
    page = people["viewer"].get(page_of(entry))
    checked = people["viewer"].submit(page, page_of(entry, "/check"))
    assert "Every byte was read" in checked.words


@pytest.mark.parametrize(
    ("mime", "is_page"),
    [
        ("text/plain", True),
        ("image/png", False),
        ("text/html", True),
        ("text/xml", True),
        ("image/svg+xml", True),
        ("application/pdf", False),
    ],
)
def test_a_hostile_document_has_no_rights(
    console_server: Server, people: People, mime: str, is_page: bool
) -> None:
    hostile = b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>"
    entry = provide(console_server, somebody(), hostile, mime)
    page = people["viewer"].get(page_of(entry))
    (frame,) = page.tree.xpath("//iframe")
    assert "allow-scripts" not in frame.get("sandbox", "")
    content = people["viewer"].request("GET", frame.get("src"))
    policy = content.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    if is_page:
        assert content.headers["Content-Type"].startswith("text/html")
        assert b"<script" not in content.body
    else:
        assert content.body == hostile
        assert content.headers["Content-Type"] == mime
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert content.headers["Cache-Control"] == "no-store"
    saved = people["viewer"].request("GET", page_of(entry, "/original"))
    assert saved.headers["Content-Type"] == mime
    assert saved.headers["Content-Disposition"].startswith("attachment;")
    if mime != "application/pdf":
        assert "sandbox" in saved.headers["Content-Security-Policy"]


def test_who_has_opened_a_document_is_told_to_the_privacy_officer(
    console_server: Server, people: People
) -> None:
    entry = provide(console_server, somebody())
    people["viewer"].request("GET", page_of(entry, "/original"))
    assert people["viewer"].get(page_of(entry, "/readers")).status == http.client.NOT_FOUND
    found = until(
        lambda: people["privacy"].get(page_of(entry, "/readers")).words,
        lambda words: "viewer@urn:xds:console" in words,
    )
    assert "Retrieve Document" in found
    await_records(
        console_server,
        lambda told: any("privacy@urn:xds:console" in str(one["actor"]) for one in told),
        transaction="audit log",
        most="200",
    )


# --- what is withheld ----------------------------------------------------------------------------


def test_what_is_withheld_is_counted_for_a_clinician_and_seen_in_an_emergency(
    guarded_server: Server, guarded_people: People
) -> None:
    patient_id = somebody()
    provide(guarded_server, patient_id, title="Open")
    hidden = provide(guarded_server, patient_id, title="Secret", confidentiality_code=RESTRICTED)
    clinician, viewer = guarded_people["clinician"], guarded_people["viewer"]
    page = search(clinician, patient_id)
    assert "1 document withheld" in page.words
    assert "Secret" not in page.text
    assert "withheld" not in search(viewer, patient_id).words
    for browser in (clinician, viewer):
        for part in ("", "/metadata", "/relations", "/raw", "/content", "/original"):
            assert browser.get(page_of(hidden, part)).status == http.client.NOT_FOUND
    action = f"{page.url}/break-glass"
    short = clinician.submit(page, action, reason="because")
    assert short.status == http.client.BAD_REQUEST
    assert "Give a reason" in short.words
    seen = clinician.submit(page, action, reason="unconscious in the emergency department")
    assert seen.link("Secret") == page_of(hidden)
    assert "Emergency access until" in seen.words
    assert clinician.get(page_of(hidden)).heading == "Secret Approved"
    assert clinician.get(page_of(hidden, "/content")).body == b"some text"
    assert viewer.get(page_of(hidden)).status == http.client.NOT_FOUND
    other = somebody()
    elsewhere = provide(guarded_server, other, title="X", confidentiality_code=RESTRICTED)
    assert clinician.get(page_of(elsewhere)).status == http.client.NOT_FOUND
    reason = "emergency access, for the reason: unconscious in the emergency department"
    permitted = "emergency access, permitted by: "

    def are_told(found: list[dict[str, Any]]) -> bool:
        told = [str(one["description"]) for one in found]
        uses = [one for one in told if one.startswith(permitted)]
        assert all("a clinician in an emergency" in one for one in uses)
        return reason in told and len(uses) >= 4

    await_records(guarded_server, are_told, patient=patient_id)


def test_no_other_role_breaks_the_glass(guarded_server: Server, guarded_people: People) -> None:
    patient_id = somebody()
    provide(guarded_server, patient_id)
    page = search(guarded_people["viewer"], patient_id)
    fields = {**page.form("/console/logout"), "reason": "out of curiosity, and no more"}
    answer = guarded_people["viewer"].post(f"{page.url}/break-glass", fields)
    assert answer.status == http.client.NOT_FOUND


def test_an_operator_comes_to_no_patient_and_no_document(
    console_server: Server, people: People
) -> None:
    patient_id = somebody()
    entry = provide(console_server, patient_id)
    operator = people["operator"]
    place = search(people["viewer"], patient_id).url
    assert operator.get(place).status == http.client.NOT_FOUND
    assert operator.get(page_of(entry)).status == http.client.NOT_FOUND
    assert operator.get(page_of(entry, "/content")).status == http.client.NOT_FOUND
    assert "Registered last" not in operator.get("/console").words
    assert not operator.get("/console").tree.xpath("//form[@role='search']")


def test_an_account_of_one_patient_sees_nobody_else(console_server: Server) -> None:
    own, other = somebody(), somebody()
    mine = provide(console_server, own, title="Mine")
    theirs = provide(console_server, other, title="Theirs")
    database = Database(console_server.database)
    Accounts(database).put("ward7", PASSWORD, ["clinician"], [own])
    database.close()
    browser = browser_of(console_server.url)
    assert "Theirs" not in browser.log_in("ward7").text
    assert search(browser, own).link("Mine") == page_of(mine)
    assert search(browser, other).heading == "Nothing found"
    assert browser.get(page_of(theirs)).status == http.client.NOT_FOUND
    assert browser.get(page_of(theirs, "/content")).status == http.client.NOT_FOUND


@pytest.mark.parametrize(
    "place",
    [
        "/console/patients/999999999",
        "/console/patients/0",
        "/console/patients/-1",
        "/console/patients/9223372036854775808",
        "/console/patients/1%00",
        "/console/documents/00000000-0000-4000-8000-000000000000",
        "/console/documents/x",
        "/console/submission-sets/00000000-0000-4000-8000-000000000000",
        "/console/folders/00000000-0000-4000-8000-000000000000",
    ],
)
def test_what_is_not_there_is_not_found(people: People, place: str) -> None:
    page = people["administrator"].request("GET", place)
    assert page.status == http.client.NOT_FOUND
    assert page.heading == "Page not found"
