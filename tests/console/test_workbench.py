"""An integration engineer asks stored queries and FHIR searches in the workbench."""

import html
import json
import subprocess
from typing import Final

import pytest

from tests.console.browsing import ConsoleBrowser, Page
from tests.console.provided import RESTRICTED, page_of, provide, somebody
from tests.console.recorded import await_records
from tests.console.test_hostile import HOSTILE, require_harmless
from tests.serving import Server
from xds.app import INTERACTIONS
from xds.console.views.workbench import stored_queries
from xds.console.views.workbench.asked import FIELDS
from xds.metadata import vocabulary as v

People = dict[str, ConsoleBrowser]

WORKBENCH: Final = "/console/workbench"


def chosen(engineer: ConsoleBrowser, query: str) -> Page:
    return engineer.get(f"{WORKBENCH}?query={query}")


def asked(engineer: ConsoleBrowser, query: str, **values: str) -> Page:
    """Choose a query, fill in its form by the labels, and send it; ``_`` begins other fields."""
    page = chosen(engineer, query)
    fields = page.form(WORKBENCH)
    for name, value in values.items():
        label = page.tree.xpath("//label[normalize-space()=$name]/@for", name=name)
        fields[label[0] if label else name.removeprefix("_")] = value
    return engineer.post(WORKBENCH, fields)


def outcome(page: Page) -> str:
    """Return the line that says how much was found and how it was answered."""
    return " ".join(page.tree.xpath("string(//*[@role='status'])").split())


def raw(page: Page) -> str:
    return str(page.tree.xpath("//pre[@aria-label='Raw answer']")[0].text_content())


def command(page: Page, name: str) -> str:
    return str(page.tree.xpath("//pre[@aria-label=$name]", name=name)[0].text_content())


def find(engineer: ConsoleBrowser, patient_id: str, **more: str) -> Page:
    return asked(
        engineer,
        "FindDocuments",
        **{"$XDSDocumentEntryPatientId": patient_id, "$XDSDocumentEntryStatus": v.APPROVED, **more},
    )


def test_find_documents_is_asked_and_shown(console_server: Server, people: People) -> None:
    engineer, patient_id = people["integration"], somebody()
    first = provide(console_server, patient_id, title="One's letter")
    provide(console_server, patient_id, title="Another letter")
    form = chosen(engineer, "FindDocuments")
    assert form.form(WORKBENCH)[FIELDS[1]] == v.APPROVED
    page = find(engineer, patient_id)
    assert page.url == WORKBENCH
    assert "2 found, 2 shown." in outcome(page)
    assert page.link("One's letter") == page_of(first)
    assert v.SUCCESS in raw(page)
    assert "SELECT" in page.words
    plans = page.tree.xpath("//pre[starts-with(@aria-label, 'Plan of statement')]")
    assert any("document_entry" in one.text_content() for one in plans)
    one = find(engineer, patient_id, _size="1")
    assert "2 found, 1 shown." in outcome(one)
    following = one.tree.xpath("//form[.//input[@name='start']]")[0]
    second = engineer.post(WORKBENCH, dict(following.form_values()))
    assert "Another letter" in second.words
    assert "One's letter" not in second.words
    references = find(engineer, patient_id, _return=v.OBJECT_REF)
    assert first.entry_uuid in references.words


def test_what_is_shown_as_a_command_finds_the_same(console_server: Server, people: People) -> None:
    patient_id = somebody()
    entry = provide(console_server, patient_id, title="Letter & 'quotes'")
    page = find(
        people["integration"], patient_id, **{"$XDSDocumentEntryClassCode": str(entry.class_code)}
    )
    told = subprocess.run(
        ["bash", "-c", command(page, "By curl")], check=True, capture_output=True, text=True
    )
    assert entry.entry_uuid in told.stdout
    assert entry.title == "Letter & 'quotes'"
    source = command(page, "By the client for Python")
    names: dict[str, object] = {}
    exec(source, names)
    (found,) = names["found"].document_entries  # type: ignore[attr-defined]
    assert found.entry_uuid == entry.entry_uuid
    assert "--patient" in command(page, "By xds find")
    searched = asked(people["integration"], "DocumentReference", identifier=entry.unique_id or "")
    told = subprocess.run(
        ["bash", "-c", command(searched, "By curl")], check=True, capture_output=True, text=True
    )
    assert json.loads(told.stdout)["total"] == 1


def test_a_refused_query_shows_code_and_context(people: People) -> None:
    engineer = people["integration"]
    page = asked(engineer, "FindDocuments", **{"$XDSDocumentEntryStatus": ""})
    assert "Answer Failure" in page.words
    errors = [" ".join(row.text_content().split()) for row in page.tree.xpath("//tbody/tr")]
    assert len([one for one in errors if one.startswith("XDSStoredQueryMissingParam")]) == 2
    assert "$XDSDocumentEntryPatientId is required" in page.words
    wrong = find(engineer, "P1", **{"$XDSDocumentEntryCreationTimeFrom": "yesterday"})
    assert "XDSRegistryError" in wrong.words
    assert "$XDSDocumentEntryCreationTimeFrom" in wrong.words
    refused = asked(engineer, "DocumentReference", date="yesterday", identifier="1.2")
    assert "Answer 400" in refused.words
    assert refused.tree.xpath("string(//tbody//code)") in ("invalid", "value")
    assert "date" in refused.tree.xpath("string(//tbody)")
    assert json.loads(raw(refused))["resourceType"] == "OperationOutcome"


def test_lists_and_repeated_slots_are_as_the_client_has_them(people: People) -> None:
    page = find(
        people["integration"],
        "P1^^^&2.999.1.1&ISO",
        **{
            "$XDSDocumentEntryEventCodeList": "a^^2.999\nb^^2.999\n\nc^^2.999",
            "$XDSDocumentEntryAuthorPerson": "O'Brien%",
        },
    )
    curl = html.unescape(command(page, "By curl"))
    assert "<rim:Value>('a^^2.999','b^^2.999')</rim:Value>" in curl
    assert "<rim:Value>('c^^2.999')</rim:Value>" in curl
    assert "('O''Brien%')" in curl
    assert "Answer Success" in page.words


def test_a_search_is_asked_page_by_page(console_server: Server, people: People) -> None:
    engineer, patient_id = people["integration"], somebody()
    entries = [provide(console_server, patient_id, title=f"Letter {n}") for n in range(3)]
    number, authority = patient_id.partition("^")[0], "urn:oid:2.999.1.1"
    fields = {"patient.identifier": f"{authority}|{number}", "_more": "_sort=_lastUpdated"}
    page = asked(engineer, "DocumentReference", **fields, _size="2")
    assert "3 found, 2 shown." in outcome(page), raw(page)
    places = set(page.tree.xpath("//table//a/@href"))
    following = page.tree.xpath("//form[.//input[@name='start']]")[0]
    second = engineer.post(WORKBENCH, dict(following.form_values()))
    places |= set(second.tree.xpath("//table//a/@href"))
    assert places == {page_of(one) for one in entries}
    patients = asked(engineer, "Patient", identifier=f"{authority}|{number}")
    assert engineer.get(patients.tree.xpath("//table//a/@href")[0]).status == 200


def test_the_policy_is_that_of_the_person(guarded_server: Server, guarded_people: People) -> None:
    patient_id = somebody()
    provide(guarded_server, patient_id, title="Open letter")
    provide(guarded_server, patient_id, title="Secret letter", confidentiality_code=RESTRICTED)
    engineer = guarded_people["integration"]
    page = find(engineer, patient_id)
    assert "1 found, 1 shown." in outcome(page)
    assert "Secret" not in page.text
    number = patient_id.partition("^")[0]
    searched = asked(
        engineer, "DocumentReference", **{"patient.identifier": f"urn:oid:2.999.1.1|{number}"}
    )
    assert "1 found, 1 shown." in outcome(searched)
    assert "Secret" not in searched.text


def test_each_query_is_recorded_as_its_transaction(console_server: Server, people: People) -> None:
    engineer, patient_id = people["integration"], somebody()
    provide(console_server, patient_id)
    find(engineer, patient_id)
    number = patient_id.partition("^")[0]
    asked(engineer, "DocumentReference", **{"patient.identifier": f"urn:oid:2.999.1.1|{number}"})
    await_records(
        console_server,
        lambda told: (
            {one["transaction"]: one["outcome"] for one in told} == {"ITI-18": 0, "ITI-67": 0}
        ),
        patient=patient_id,
        user="integration",
    )


_SEARCHES: Final = sorted({one.resource_type for one in INTERACTIONS if one.code == "search-type"})


@pytest.mark.parametrize("query", [*stored_queries.QUERIES, *_SEARCHES])
def test_hostile_values_of_every_query_are_escaped(people: People, query: str) -> None:
    engineer = people["integration"]
    form = chosen(engineer, query).form(WORKBENCH)
    for text in HOSTILE:
        values = {name: text for name in form if name not in ("token", "query")}
        require_harmless(engineer.post(WORKBENCH, {**form, **values, "start": text}))
