"""The summary of a patient as a page for browsers, at the same address."""

from typing import Final
from urllib.parse import urljoin

import pytest
from lxml import etree

from tests.audit.test_records import reference_schema
from tests.content.test_cda_statements import CARE
from tests.fhir.asked import Reply, ask, new_patient
from tests.forms.ips import breaches
from tests.forms.served import awaited, provide
from tests.forms.test_summary import (
    DISCHARGE,
    SECRET,
    audited,
    by_identifier,
    patient_resource_id,
    summaries,
)
from tests.pages.documents import BROWSER
from tests.pages.test_document_pages import get, told, tree
from tests.serving import Server
from xds.content.reading.reader import read

__all__ = ["summaries"]
FHIR_JSON: Final = "application/fhir+json"


@pytest.fixture
def patient(summaries: Server) -> str:
    patient_id = new_patient()
    provide(summaries, CARE.encode(), "text/xml", patient_id=patient_id)
    return patient_id


def path_of(patient_id: str) -> str:
    return f"/Patient/$summary?identifier={by_identifier(patient_id)}"


def followed(server: Server, path: str, reply: Reply) -> Reply:
    """Follow the link to the document that a page was made of."""
    (link,) = tree(reply).xpath("//footer//a/@href")
    assert link.startswith("?")
    return get(server, f"{path.partition('?')[0]}{link}")


@pytest.mark.shows("behaviour patient summary")
def test_a_browser_gets_the_page_of_a_summary(summaries: Server, patient: str) -> None:
    number = patient_resource_id(summaries, patient)
    for path in (path_of(patient), f"/Patient/{number}/$summary"):
        reply = get(summaries, path)
        found = tree(reply)
        assert found.findtext(".//h1") == "International Patient Summary"
        said = told(found)
        for words in ("Alder Quill", "Walnut", "NOT: Aspirin", "Made automatically of 1"):
            assert words in said
        assert "It and this page were made of other documents, which are the legal ones" in said
        assert breaches(followed(summaries, path, reply).json()) == []


def test_a_page_of_a_summary_leads_to_the_documents(summaries: Server, patient: str) -> None:
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient, title="Discharge <summary>")
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient, format_code=SECRET)
    number = patient_resource_id(summaries, patient)
    for path in (path_of(patient), f"/Patient/{number}/$summary"):
        found = tree(get(summaries, path))
        links = found.xpath("//h2[.='Documents']/following-sibling::ol[1]//a")
        assert len(links) == 2
        assert "Discharge <summary>" in " ".join(one.text_content() for one in links)
        assert found.xpath("//h2[.='Attachments']") == []
        for link in links:
            linked = urljoin(f"{summaries.url}/fhir{path}", link.get("href"))
            below = linked.removeprefix(f"{summaries.url}/fhir")
            assert get(summaries, below).status == 200


def test_the_cda_of_a_summary_is_a_page_as_well(summaries: Server, patient: str) -> None:
    path = f"{path_of(patient)}&form=summary-cda"
    reply = get(summaries, path)
    assert "NOT: Aspirin" in told(tree(reply))
    original = followed(summaries, path, reply)
    assert original.headers["content-type"] == "text/xml"
    assert read(original.body, "text/xml").header.title == "International Patient Summary"


def test_a_page_of_a_summary_has_the_headers_of_any_page(summaries: Server, patient: str) -> None:
    reply = get(summaries, path_of(patient))
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "private, no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["vary"] == "Accept"
    assert "etag" not in reply.headers
    head = get(summaries, path_of(patient), method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == reply.headers["content-length"]


@pytest.mark.parametrize(
    ("accept", "more", "is_page"),
    [
        (BROWSER, "", True),
        ("text/html", "", True),
        ("*/*", "&_format=html", True),
        (FHIR_JSON, "&_format=text/html", True),
        ("*/*", "", False),
        (FHIR_JSON, "", False),
        (f"{FHIR_JSON}, text/html, application/xhtml+xml", "", False),
        (BROWSER, "&_format=json", False),
    ],
)
def test_who_gets_the_page(
    summaries: Server, patient: str, accept: str, more: str, is_page: bool
) -> None:
    reply = get(summaries, f"{path_of(patient)}{more}", accept)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html" if is_page else FHIR_JSON)


def test_a_post_is_answered_by_a_resource(summaries: Server, patient: str) -> None:
    number = patient_resource_id(summaries, patient)
    reply = ask(summaries, "POST", f"/Patient/{number}/$summary", {"Accept": BROWSER})
    assert reply.headers["content-type"].startswith("application/fhir+")


def test_a_failure_is_a_page_that_tells_nothing_of_a_patient(summaries: Server) -> None:
    patient_id = new_patient()
    provide(summaries, DISCHARGE, "text/xml", patient_id=patient_id, format_code=SECRET)
    hidden, unknown = (get(summaries, path_of(one)) for one in (patient_id, new_patient()))
    for reply in (hidden, unknown):
        assert reply.status == 404
        assert told(tree(reply)).startswith("Not found")
        assert reply.headers["x-request-id"] in told(tree(reply))
        assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert len(hidden.body) == len(unknown.body)
    wrong = get(summaries, "/Patient/$summary")
    assert wrong.status == 400
    tree(wrong)
    assert get(summaries, path_of(patient_id), "*/*").codes() == ["not-found"]


def test_a_page_of_a_summary_is_recorded(summaries: Server) -> None:
    patient_id = new_patient()
    source = provide(summaries, CARE.encode(), "text/xml", patient_id=patient_id)
    get(summaries, path_of(patient_id))
    unique_id = str(source.unique_id)
    (record,) = awaited(
        lambda: [one for one in audited(summaries, patient_id) if unique_id in one] or None
    )
    if (schema := reference_schema()) is not None:
        assert schema.validate(etree.fromstring(record.encode())), schema.error_log
