"""Pages under a policy, and their records: what a reader may not know of, no page gives away."""

import base64
from pathlib import Path
from typing import Final

import pytest
from lxml import etree, html

from tests.audit.test_records import reference_schema
from tests.fhir.asked import bare, new_patient
from tests.forms.served import awaited, provide
from tests.forms.test_summary import POLICY, SECRET, audited
from tests.pages.documents import BROWSER, with_text
from tests.pages.hostile import XML
from tests.pages.test_document_pages import get, told, tree
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

SIDES: Final = ("110153", "110152")
"""Source and destination (DICOM PS3.16, CID 402)."""
TEXT: Final = b"words of a report"
REPORT: Final = with_text("words of a report")


@pytest.fixture
def withholding(module_servers: SharedServers) -> Server:
    """A server that withholds what is secret, and records what is read."""

    def options(data: Path) -> dict[str, str]:
        (data / "policy.toml").write_text(POLICY)
        return {"policy": str(data / "policy.toml"), "audit": "on"}

    return module_servers("pages withheld", options)


def page(server: Server, one: DocumentEntry) -> html.HtmlElement:
    reply = get(server, f"/document/{bare(one)}")
    assert reply.status == 200
    return tree(reply)


@pytest.mark.parametrize("kind", [v.RPLC, v.APND, v.XFRM])
def test_a_document_that_is_withheld_is_on_no_page(withholding: Server, kind: str) -> None:
    patient = new_patient()
    shown = provide(withholding, TEXT, patient_id=patient, title="First report")
    hidden = provide(
        withholding,
        TEXT,
        patient_id=patient,
        title="Second report",
        format_code=SECRET,
        related=[(kind, shown)],
    )
    found = page(withholding, shown)
    source = html.tostring(found, encoding="unicode")
    assert "Second report" not in source
    assert bare(hidden) not in source
    assert str(hidden.unique_id) not in source
    assert "newer" not in told(found)
    assert found.xpath("//li[@class='note']") == []
    warnings = [one.text_content().strip() for one in found.xpath("//li[@class='warning']")]
    # its own status it tells, as its metadata does
    deprecated = ["Attention: This document is deprecated: it is no longer in force."]
    assert warnings == (deprecated if kind == v.RPLC else [])


def test_the_newest_version_that_may_be_seen_is_told(withholding: Server) -> None:
    patient = new_patient()
    first = provide(withholding, TEXT, patient_id=patient, title="First report")
    second = provide(
        withholding, TEXT, patient_id=patient, title="Second report", related=[(v.RPLC, first)]
    )
    third = provide(
        withholding,
        TEXT,
        patient_id=patient,
        title="Third report",
        format_code=SECRET,
        related=[(v.RPLC, second)],
    )
    (link,) = page(withholding, first).xpath("//li[@class='warning']//@href")
    assert link.endswith(bare(second))
    assert "Third report" not in told(page(withholding, second))
    # who may not see it gets neither its page, nor that of what is within it
    for path in ("", "/original", "/attachment/1"):
        assert get(withholding, f"/document/{bare(third)}{path}").status == 404


def test_a_view_of_a_page_is_recorded_as_a_retrieval(withholding: Server) -> None:
    patient = new_patient()
    shown = provide(withholding, REPORT, XML, patient_id=patient)
    hidden = provide(withholding, REPORT, XML, patient_id=patient, format_code=SECRET)
    assert page(withholding, shown) is not None
    assert get(withholding, f"/document/{bare(hidden)}").status == 404
    records = [
        etree.fromstring(one.encode())
        for one in awaited(lambda: _all_of(audited(withholding, patient), 2))
    ]
    if (schema := reference_schema()) is not None:
        for one in records:
            assert schema.validate(one), schema.error_log
    by_document = {_document(one): one for one in records}
    seen, denied = (by_document[str(one.unique_id)] for one in (shown, hidden))
    for one in (seen, denied):
        assert one.xpath("//EventID/@csd-code") == ["rest"]
        assert one.xpath("//EventTypeCode/@csd-code") == ["read", "ITI-68"]
        assert patient in one.xpath("//ParticipantObjectIdentification/@ParticipantObjectID")
    assert seen.xpath("//EventIdentification/@EventOutcomeIndicator") == ["0"]
    assert denied.xpath("//EventIdentification/@EventOutcomeIndicator") != ["0"]
    who = [seen.xpath(f"//ActiveParticipant[RoleIDCode/@csd-code='{one}']") for one in SIDES]
    (here,), (reader,) = who
    assert (here.get("UserIsRequestor"), reader.get("UserIsRequestor")) == ("false", "true")
    assert reader.get("NetworkAccessPointID") == "127.0.0.1"
    repository = withholding.config.repository_unique_id
    details = seen.xpath("//ParticipantObjectDetail[@type='Repository Unique ID']/@value")
    assert [base64.b64decode(one).decode() for one in details] == [repository]


def _all_of(found: list[str], count: int) -> list[str] | None:
    return found if len(found) >= count else None


def _document(record: etree._Element) -> str:
    path = "//ParticipantObjectIdentification[@ParticipantObjectTypeCode='2']/@ParticipantObjectID"
    (only,) = record.xpath(path)
    return str(only)


def test_who_asked_as_a_browser_is_recorded_like_any_client(withholding: Server) -> None:
    patient = new_patient()
    shown = provide(withholding, REPORT, XML, patient_id=patient)
    for accept in (BROWSER, "*/*"):
        assert get(withholding, f"/document/{bare(shown)}", accept).status == 200
    first, second = (
        etree.fromstring(one.encode())
        for one in awaited(lambda: _all_of(audited(withholding, patient), 2))
    )
    for path in ("//EventIdentification/EventID/@csd-code", "//ParticipantObjectID"):
        assert first.xpath(path) == second.xpath(path)
    assert _document(first) == _document(second)
