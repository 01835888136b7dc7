"""A privacy officer reads the audit records: finds, exports and verifies them, and is recorded."""

import http.client
import json

import pytest
from lxml import etree
from sqlalchemy import text as sql

from tests.console.browsing import ConsoleBrowser, Page, browser_of
from tests.console.provided import page_of, provide, somebody
from tests.serving import Server
from tests.waiting import until
from xds.accounts.accounts import Accounts
from xds.database.access import Database
from xds.metadata.objects import DocumentEntry

People = dict[str, ConsoleBrowser]

AUDIT = "/console/audit"
CHAIN = "/console/audit/chain"


def search(officer: ConsoleBrowser, **fields: str) -> Page:
    """Search the records by the form."""
    return officer.post(AUDIT, {**officer.get(AUDIT).form("/console/logout"), **fields})


def form_with(page: Page, field: str, action: str = AUDIT) -> dict[str, str]:
    """Return the fields of a form that has a certain hidden one."""
    path = "//form[@action=$action and input[@type='hidden' and @name=$field and @value!='']]"
    (found,) = page.tree.xpath(path, action=action, field=field)
    return {name: value or "" for name, value in found.form_values()}


def lines(page: Page) -> list[str]:
    return [" ".join(row.text_content().split()) for row in page.tree.xpath("//tbody/tr")]


def opened(server: Server, people: People) -> DocumentEntry:
    """Return a document that a viewer has opened."""
    entry = provide(server, somebody())
    content = people["viewer"].get(page_of(entry, "/original"))
    assert content.status == http.client.OK
    return entry


def test_who_opened_a_document_is_found_by_document_patient_and_person(
    console_server: Server, people: People
) -> None:
    officer, entry = people["privacy"], opened(console_server, people)

    def has_opened(page: Page) -> bool:
        return any("viewer" in line and "Retrieve Document" in line for line in lines(page))

    assert entry.unique_id
    assert entry.patient_id
    by_document = until(lambda: search(officer, document=entry.unique_id or ""), has_opened)
    assert all(entry.unique_id in line for line in lines(by_document))
    number = entry.patient_id.partition("^")[0]
    for patient in (entry.patient_id, number):
        page = search(officer, patient=patient)
        assert has_opened(page)
        assert all(number in line for line in lines(page))
        assert number not in page.url
    assert has_opened(search(officer, user="viewer", transaction="ITI-68"))
    assert not has_opened(search(officer, user="viewer", transaction="ITI-68", outcome="failed"))
    assert not has_opened(search(officer, document=entry.unique_id, user="clinician"))
    tabs = officer.get(page_of(entry, "/readers"))
    of_page = officer.get(tabs.link("All records of this document"))
    assert has_opened(of_page)
    assert all(entry.unique_id in line for line in lines(of_page))
    page_of_patient = officer.get(
        tabs.tree.xpath("//nav//a[contains(@href, '/patients/')]/@href")[0]
    )
    of_patient = officer.get(page_of_patient.link("Who has seen this patient's records"))
    assert has_opened(of_patient)
    assert all(number in line for line in lines(of_patient))


def test_a_record_is_shown_readable_and_raw(console_server: Server, people: People) -> None:
    officer, entry = people["privacy"], opened(console_server, people)
    unique_id = entry.unique_id or ""
    found = until(lambda: search(officer, document=unique_id, user="viewer"), lines)
    page = officer.get(found.tree.xpath("//tbody//a/@href")[0])
    assert page.heading.endswith("done")
    assert unique_id in page.words
    raw = page.tree.xpath("//pre[@aria-label='Audit message']")[0].text_content()
    message = etree.fromstring(raw.encode())
    assert message.tag == "AuditMessage"
    kept = json.loads(page.tree.xpath("//pre[@aria-label='As it is kept']")[0].text_content())
    assert kept["things"][0]["id"] == unique_id
    (form,) = [
        one
        for one in page.tree.xpath("//form[@action='/console/audit']")
        if "document" in one.fields
    ]
    same = officer.post(AUDIT, dict(form.form_values()))
    assert any(unique_id in line for line in lines(same))


def test_reading_is_recorded_and_the_reader_finds_it(
    console_server: Server, people: People
) -> None:
    officer, entry = people["privacy"], provide(console_server, somebody())
    asked = f"patient_id {entry.patient_id}, most 50"
    search(officer, patient=entry.patient_id or "")

    def own() -> Page:
        return search(officer, user="privacy", transaction="audit log")

    found = until(own, lambda page: any(asked in line for line in lines(page)))
    (line,) = [one for one in lines(found) if asked in one]
    assert "privacy" in line.partition("Audit Log Used")[0]


def test_lists_are_read_page_by_page(console_server: Server, people: People) -> None:
    officer = people["privacy"]
    entry = provide(console_server, somebody())
    for _ in range(60):
        assert people["viewer"].get(page_of(entry, "/original")).status == http.client.OK

    def second_page(page: Page) -> Page:
        return officer.post(AUDIT, form_with(page, "after"))

    def all_there(page: Page) -> bool:
        return (
            len(lines(page)) == 50
            and "Older records" in page.words
            and (len(lines(second_page(page))) == 10)
        )

    unique_id = entry.unique_id or ""
    first = until(lambda: search(officer, document=unique_id), all_there)
    second = second_page(first)
    places = [page.tree.xpath("//tbody//a/@href") for page in (first, second)]
    assert len({*places[0], *places[1]}) == 60
    fields = form_with(first, "document", f"{AUDIT}/export")
    for kind in ("json", "xml"):
        saved = officer.post(f"{AUDIT}/export", {**fields, "form": kind})
        assert saved.status == http.client.OK
        assert saved.headers["Content-Disposition"].startswith("attachment")
        told = saved.text.splitlines()
        assert len(told) == 60
        assert all(unique_id in one for one in told)
        assert kind == "xml" or json.loads(told[0])["things"][0]["id"] == unique_id
        assert kind == "json" or etree.fromstring(told[0].encode()).tag == "AuditMessage"


def test_the_chain_is_verified_and_a_change_is_told(console_server: Server, people: People) -> None:
    officer, entry = people["privacy"], opened(console_server, people)
    until(lambda: search(officer, document=entry.unique_id or ""), lines)
    page = officer.get(CHAIN)
    for start in ("latest", "beginning"):
        checked = officer.submit(page, CHAIN, **{"from": start})
        assert "are as written, and the last of them is the end of the chain." in checked.words
    database = Database(console_server.database)
    change = "UPDATE audit_record SET outcome = outcome + :by WHERE patient_id = :whose"
    try:
        for by, told in ((4, "changed: record"), (-4, "as written")):
            with database.write() as connection:
                connection.execute(sql(change), {"by": by, "whose": entry.patient_id})
            checked = officer.submit(page, CHAIN, **{"from": "latest"})
            assert told in checked.words
    finally:
        database.close()
    wrong = officer.submit(page, CHAIN, **{"from": "latest", "end": f"1:{'0' * 64}"})
    assert "the chain was made anew up to there" in wrong.words
    assert officer.submit(page, CHAIN, end="1:x").heading == "Audit chain"


@pytest.mark.parametrize("fields", [{"since": "yesterday"}, {"patient": "nobody-has-this"}])
def test_what_cannot_be_searched_for_says_so(people: People, fields: dict[str, str]) -> None:
    page = search(people["privacy"], **fields)
    assert page.status == http.client.BAD_REQUEST
    assert "There is a problem" in page.words
    (link,) = page.tree.xpath("//div[@role='alert']//a/@href")
    assert page.tree.get_element_by_id(link[1:]).get("name") in fields


def test_who_is_limited_to_patients_has_no_audit(console_server: Server) -> None:
    database = Database(console_server.database)
    try:
        password = "a long enough password"
        Accounts(database).put("limited-officer", password, ["privacy"], [somebody()])
    finally:
        database.close()
    browser = browser_of(console_server.url)
    assert browser.log_in("limited-officer", password).heading == "Home"
    for place in (AUDIT, CHAIN, f"{AUDIT}/export"):
        assert browser.get(place).status in (http.client.NOT_FOUND, 405)
