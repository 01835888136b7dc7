"""Summaries as on-demand documents: an entry for a patient, and what each reader gets by it."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from tests.fhir.asked import ask, bare, new_patient
from tests.forms.eu_laboratory import of_type
from tests.forms.ips import breaches
from tests.forms.served import (
    awaited,
    entries,
    found,
    provide,
    refusal,
    retrieve,
    with_forms,
)
from tests.forms.test_summary import DISCHARGE, JSON, LAB_REPORT, RECORD, SECRET
from tests.hl7v2.wire import connected, merge
from tests.ports import free_port
from tests.servers.shared import SharedServers
from tests.serving import Server, configured
from xds.client import (
    DocumentAdministrator,
    DocumentConsumer,
    TransactionRefused,
    removal_of,
    status_change_of,
)
from xds.content.forms import table
from xds.content.forms.settings import FormSettingsError
from xds.content.reading.reader import read
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.on_demand.tables import built_document

ENTRY: Final = """
class_code = "60591-5^^2.16.840.1.113883.6.1^^Patient summary"
healthcare_facility_type_code = "22232009^^2.16.840.1.113883.6.96^^Hospital"
practice_setting_code = "394802001^^2.16.840.1.113883.6.96^^General medicine"
"""
RULES: Final = "".join(
    f'[[on_demand]]\nform = "{form}"\n[on_demand.entry]{ENTRY}'
    for form in ("summary", "summary-cda")
)
# what is secret is seen by consumers of SOAP alone
POLICY: Final = """
[[rule]]
name = "all is done"
decision = "permit"

[[rule]]
name = "what is secret is not seen"
decision = "deny"
transactions = ["ITI-67", "ITI-68", "ITI-78"]
formatCode = ["urn:test:secret^^2.999.9"]
"""


@pytest.fixture
def server(module_servers: SharedServers) -> Server:
    """A server that has summaries on demand, and keeps what is retrieved where it may."""

    def options(data: Path) -> dict[str, str]:
        (data / "policy.toml").write_text(POLICY)
        return with_forms(
            data,
            RULES,
            policy=str(data / "policy.toml"),
            on_demand_snapshots="yes",
            metadata_update="yes",
            remove_metadata="yes",
            mllp_port=str(free_port()),
        )

    return module_servers("summaries on demand", options)


def both(server: Server, patient_id: str) -> Sequence[DocumentEntry]:
    """Return the FHIR document's entry of a patient's summary, and that of the CDA."""

    def look() -> Sequence[DocumentEntry] | None:
        there = sorted(entries(server, patient_id), key=lambda one: str(one.on_demand_form))
        return there if len(there) == 2 else None

    return awaited(look)


def have_status(server: Server, patient_id: str, status: str) -> bool | None:
    there = entries(server, patient_id)
    return (bool(there) and all(one.availability_status == status for one in there)) or None


@pytest.mark.shows("ITI-61", "behaviour patient summary")
def test_a_patient_has_entries_with_the_first_structured_document(server: Server) -> None:
    patient = new_patient()
    provide(server, b"Words", "text/plain", patient_id=patient, title="Note")
    provide(server, DISCHARGE, "text/xml", patient_id=patient, title="Discharge of Mr Quill")
    summary, cda = both(server, patient)
    assert (summary.on_demand_form, summary.mime_type) == ("summary", JSON)
    assert (cda.on_demand_form, cda.mime_type) == ("summary-cda", "text/xml")
    for one in (summary, cda):
        assert one.type_code is not None
        assert one.type_code.code == "60591-5"
        assert (one.hash, one.size, one.creation_time) == (None, None, None)
        # nothing of the documents, which not everybody may see
        assert one.title is not None
        assert one.title.startswith("Patient summary")
        assert one.source_patient_info == ()
        assert [code.code for code in one.confidentiality_code] == ["N"]
    # another document makes no other entries
    provide(server, LAB_REPORT, "text/xml", patient_id=patient)
    other = new_patient()
    provide(server, DISCHARGE, "text/xml", patient_id=other)
    both(server, other)
    assert [one.id for one in both(server, patient)] == [summary.id, cda.id]


def test_a_patient_without_structured_documents_has_none(server: Server) -> None:
    patient, other = new_patient(), new_patient()
    provide(server, b"Words", "text/plain", patient_id=patient)
    provide(server, DISCHARGE, "text/xml", patient_id=other)
    both(server, other)  # later than the first
    assert entries(server, patient) == []


@pytest.mark.shows("ITI-43", "behaviour on-demand retrieval")
def test_a_summary_is_made_when_it_is_retrieved(server: Server) -> None:
    patient = new_patient()
    provide(server, DISCHARGE, "text/xml", patient_id=patient)
    summary, cda = both(server, patient)
    first = retrieve(server, summary)
    assert retrieve(server, summary) == first
    bundle = json.loads(first.data)
    assert breaches(bundle) == []
    assert bundle["identifier"]["value"] == f"urn:oid:{first.new_unique_id}"
    provide(server, RECORD, JSON, patient_id=patient)
    second = retrieve(server, summary)
    assert second.unique_id == first.unique_id
    assert second.new_unique_id != first.new_unique_id
    assert len(of_type(json.loads(second.data), "DocumentReference")) == 2
    document = read(retrieve(server, cda).data, "text/xml")
    assert document.header.title == "International Patient Summary"
    # FHIR clients get the same, and a browser a page
    reply = ask(server, "GET", f"/document/{bare(summary)}")
    assert (reply.status, reply.body) == (200, second.data)
    page = ask(server, "GET", f"/document/{bare(cda)}", {"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert b"Penicillin: rash in childhood" in page.body


def test_each_reader_gets_what_that_one_may_see_and_nothing_is_kept(server: Server) -> None:
    patient = new_patient()
    provide(server, LAB_REPORT, "text/xml", patient_id=patient)
    provide(server, DISCHARGE, "text/xml", patient_id=patient, format_code=SECRET)
    summary, cda = both(server, patient)
    whole = retrieve(server, summary)
    assert b"Penicillin" in whole.data
    assert whole.new_repository_unique_id is None
    part = ask(server, "GET", f"/document/{bare(summary)}")
    assert part.status == 200
    assert b"Penicillin" not in part.body
    assert json.loads(part.body)["identifier"] != json.loads(whole.data)["identifier"]
    assert b"Penicillin" not in ask(server, "GET", f"/document/{bare(cda)}").body
    # what was made for one who may see more is there for nobody
    stable = [one.on_demand_form for one in found(server, patient).document_entries]
    assert stable == [None, None]
    with pytest.raises(TransactionRefused, match="XDSDocumentUniqueIdError"):
        retrieve(server, whole.new_unique_id or "")


def test_entries_end_and_begin_with_the_documents(server: Server) -> None:
    patient = new_patient()
    provide(server, DISCHARGE, "text/xml", patient_id=patient)
    summary, _ = both(server, patient)
    for status in (v.DEPRECATED, v.APPROVED):
        (latest,) = found(server, patient).document_entries
        with DocumentAdministrator(server.registry_url) as administrator:
            administrator.update(status_change_of(latest, status))
        awaited(partial(have_status, server, patient, status))
        if status == v.DEPRECATED:
            assert "deprecated" in refusal(server, summary).code_context
    assert retrieve(server, summary).mime_type == JSON


def test_entries_go_with_the_last_document(server: Server) -> None:
    patient = new_patient()
    source = provide(server, DISCHARGE, "text/xml", patient_id=patient)
    summary, _ = both(server, patient)
    retrieve(server, summary)
    assert summary.id in made_for(server)
    with (
        DocumentConsumer(server.registry_url) as consumer,
        DocumentAdministrator(server.registry_url) as administrator,
    ):
        administrator.remove_metadata(removal_of(consumer, [source.unique_id or ""]).entry_uuids)
    awaited(lambda: None if entries(server, patient) else True)
    awaited(lambda: None if summary.id in made_for(server) else True)
    assert refusal(server, summary).code == "XDSDocumentUniqueIdError"


def made_for(server: Server) -> set[str]:
    """Return the entries of which it is known when their documents were made."""
    database = Database(configured(server.data).database_url)
    try:
        with database.read() as connection:
            return {one.source for one in connection.execute(select(built_document.c.source))}
    finally:
        database.close()


def test_a_merged_patient_leaves_one_summary(server: Server) -> None:
    subsumed, surviving = new_patient(), new_patient()
    provide(server, DISCHARGE, "text/xml", patient_id=subsumed)
    provide(server, LAB_REPORT, "text/xml", patient_id=surviving)
    both(server, subsumed)
    kept = {one.id for one in both(server, surviving)}
    with connected(int(server.options["mllp_port"])) as sender:
        assert sender.ask(merge(subsumed, surviving)).code == "AA"
    awaited(lambda: {one.id for one in entries(server, surviving)} == kept or None)
    summary, _ = both(server, surviving)
    bundle = json.loads(retrieve(server, summary).data)
    assert len(of_type(bundle, "DocumentReference")) == 2


def test_a_rule_says_what_a_summary_is(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    path.write_text('[[on_demand]]\nform = "summary"\n')
    with pytest.raises(FormSettingsError) as refused:
        table.read(path)
    assert str(refused.value) == (
        "form summary needs class_code, healthcare_facility_type_code, practice_setting_code "
        "in the table entry of its rule"
    )
