"""Documents on demand: their entries by rule, their retrieval, and what becomes of them."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree
from sqlalchemy import select

from tests.fhir.asked import FHIR_JSON, ask, bare
from tests.forms.conftest import LAWFUL
from tests.forms.served import (
    BOTH_TYPES,
    PATIENT_INFO,
    associations,
    awaited,
    entries,
    entry,
    found,
    provide,
    refusal,
    retrieve,
    with_forms,
)
from tests.servers.shared import SharedServers
from tests.serving import Server, configured
from xds.client import (
    DocumentAdministrator,
    DocumentConsumer,
    next_version,
    removal_of,
    status_change_of,
    update_of,
)
from xds.content.forms import table
from xds.content.forms.settings import FormSettingsError
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry
from xds.on_demand.entries import entry_uuid, minted
from xds.registry.tables import document_entry

NS: Final = {"c": "urn:hl7-org:v3"}
TEXT: Final = "Haemoglobin 7.9 mmol/L, über alles".encode()


def texts(data: bytes, path: str) -> list[str]:
    return list(map(str, etree.fromstring(data).xpath(path, namespaces=NS)))


def update(server: Server, of: DocumentEntry, **changes: object) -> None:
    """Change the metadata of a document (ITI-57)."""
    (latest,) = (one for one in found(server, of.patient_id or "").document_entries)
    with DocumentAdministrator(server.registry_url) as administrator:
        administrator.update(update_of(latest, next_version(latest, **changes)))


@pytest.mark.shows("ITI-61", "behaviour on-demand retrieval")
def test_a_document_is_registered_in_a_form_by_rule(server: Server) -> None:
    source = provide(server, TEXT, title="Blood count", source_patient_info=PATIENT_INFO)
    patient = source.patient_id or ""
    made = entry(server, patient, "xds-sd")
    assert (made.hash, made.size, made.creation_time, made.legal_authenticator) == (None,) * 4
    assert made.title == "Blood count (as XDS-SD)"
    assert made.format_code is not None
    assert made.format_code.code == "urn:ihe:iti:xds-sd:text:2008"
    assert (made.mime_type, made.class_code) == ("text/xml", source.class_code)
    assert made.comments == f"Converted from {source.unique_id}; the original is legally valid."
    relations = [(one.association_type, one.target) for one in associations(server, made.id)]
    assert relations == [(v.XFRM, source.id)]
    # a consumer that does not ask for such entries does not find them
    assert [one.id for one in found(server, patient).document_entries] == [source.id]
    assert len(found(server, patient, *BOTH_TYPES).document_entries) == 2


@pytest.mark.shows("ITI-43", "behaviour on-demand retrieval")
def test_the_same_content_has_the_same_id_and_bytes(server: Server) -> None:
    source = provide(server, TEXT, source_patient_info=PATIENT_INFO)
    made = entry(server, source.patient_id or "", "xds-sd")
    first, second = retrieve(server, made), retrieve(server, made)
    assert first == second
    assert first.unique_id == made.unique_id
    assert first.new_unique_id not in (None, made.unique_id, source.unique_id)
    assert first.new_repository_unique_id is None, "it is not kept"
    assert texts(first.data, "/*/c:id/@root") == [first.new_unique_id]
    update(server, source, title="Another title")
    awaited(
        lambda: (
            [
                one
                for one in entries(server, source.patient_id or "")
                if one.title == "Another title (as XDS-SD)"
            ]
            or None
        )
    )
    third = retrieve(server, made)
    assert third.new_unique_id not in (first.new_unique_id, made.unique_id)
    assert texts(third.data, "/*/c:title/text()") == ["Another title"]


def test_a_text_is_wrapped_as_xds_sd(server: Server) -> None:
    source = provide(
        server,
        TEXT,
        source_patient_info=PATIENT_INFO,
        title="Blood count",
        creation_time="20260301101500",
        service_start_time="20260228",
    )
    data = retrieve(server, entry(server, source.patient_id or "", "xds-sd")).data
    (body,) = texts(data, "//c:nonXMLBody/c:text/text()")
    assert b64decode(body) == TEXT
    expected: Mapping[str, str] = {
        "/*/c:templateId/@root": "1.3.6.1.4.1.19376.1.2.20",
        "/*/c:relatedDocument[@typeCode='XFRM']/c:parentDocument/c:id/@root": source.unique_id
        or "",
        "//c:nonXMLBody/c:text/@mediaType": "text/plain;charset=UTF-8",
        "//c:patient/c:name/c:family/text()": "Jones",
        "//c:patient/c:birthTime/@value": "19700102",
        "//c:patientRole/c:addr/c:country/text()": "GB",
        "//c:representedCustodianOrganization/c:name/text()": "Harbour Hospital",
        "//c:representedCustodianOrganization/c:addr/c:country/text()": "GB",
        "//c:author[c:templateId/@root='1.3.6.1.4.1.19376.1.2.20.1']/c:time/@value": (
            "20260301101500+0000"
        ),
        "//c:assignedAuthoringDevice/c:manufacturerModelName/text()": "Harbour scanner",
        "//c:dataEnterer/c:templateId/@root": "1.3.6.1.4.1.19376.1.2.20.3",
        "//c:serviceEvent/c:effectiveTime/c:low/@value": "20260228",
    }
    assert {path: texts(data, path) for path in expected} == {
        path: [value] for path, value in expected.items()
    }
    (told,) = texts(data, "//c:parentDocument/c:text/text()")
    assert told.startswith(f"Converted from {source.unique_id} by IHE XDS registry ")
    assert told.endswith("; the original is legally valid.")


def test_what_is_registered_as_a_pdf_and_is_none_is_not_wrapped(server: Server) -> None:
    source = provide(server, b"no PDF", "application/pdf")
    error = refusal(server, entry(server, source.patient_id or "", "xds-sd"))
    assert error.code == "XDSDocumentUniqueIdError"
    assert "is registered as a PDF and is none" in error.code_context


def test_fhir_clients_get_what_is_there_now(server: Server) -> None:
    source = provide(server, TEXT)
    made = entry(server, source.patient_id or "", "xds-sd")
    reference = ask(server, "GET", f"/DocumentReference/{bare(made)}").json()
    attachment = reference["content"][0]["attachment"]
    assert attachment.keys().isdisjoint({"hash", "size", "creation"})
    assert attachment["url"].endswith(f"/fhir/document/{bare(made)}")
    assert reference["relatesTo"][0]["code"] == "transforms"
    reply = ask(server, "GET", f"/document/{bare(made)}")
    assert (reply.status, reply.body) == (200, retrieve(server, made).data)
    assert reply.headers["content-type"] == "text/xml"
    etag = {"If-None-Match": reply.headers["etag"]}
    assert ask(server, "GET", f"/document/{bare(made)}", etag).status == 304
    part = ask(server, "GET", f"/document/{bare(made)}", {"Range": "bytes=5-8"})
    assert (part.status, part.body) == (206, reply.body[5:9])
    binary = ask(server, "GET", f"/Binary/{bare(made)}", {"Accept": FHIR_JSON})
    assert b64decode(binary.json()["data"]) == reply.body
    assert binary.headers["etag"] == f"W/{reply.headers['etag']}"


def test_a_form_ends_with_its_document(server: Server) -> None:
    old = provide(server, TEXT)
    patient = old.patient_id or ""
    made = entry(server, patient, "xds-sd")
    new = provide(server, b"newer", related=[(v.RPLC, old)], patient_id=patient)
    awaited(lambda: [one for one in entries(server, patient) if one.id != made.id] or None)
    states = {one.id: one.availability_status for one in entries(server, patient)}
    assert states[made.id] == v.DEPRECATED
    assert "deprecated" in refusal(server, made).code_context
    assert ask(server, "GET", f"/document/{bare(made)}").status == 404
    # the newer one has a form of its own
    (other,) = (one for one in states if one != made.id)
    assert [one.target for one in associations(server, other)] == [new.id]


def test_a_form_is_deprecated_and_approved_with_its_document(server: Server) -> None:
    source = provide(server, TEXT)
    patient = source.patient_id or ""
    made = entry(server, patient, "xds-sd")

    def has(status: str) -> bool | None:
        return all(one.availability_status == status for one in entries(server, patient)) or None

    for status in (v.DEPRECATED, v.APPROVED):
        (latest,) = found(server, patient).document_entries
        with DocumentAdministrator(server.registry_url) as administrator:
            administrator.update(status_change_of(latest, status))
        awaited(partial(has, status))
    assert retrieve(server, made).mime_type == "text/xml"


def test_a_form_is_removed_with_its_document(server: Server) -> None:
    source = provide(server, TEXT)
    patient = source.patient_id or ""
    made = entry(server, patient, "xds-sd")
    with (
        DocumentConsumer(server.registry_url) as consumer,
        DocumentAdministrator(server.registry_url) as administrator,
    ):
        removal = removal_of(consumer, [source.unique_id or ""])
        administrator.remove_metadata(removal.entry_uuids)
    awaited(lambda: None if entries(server, patient) else True)
    assert refusal(server, made).code == "XDSDocumentUniqueIdError"


# --- persistence ---------------------------------------------------------------------------------


@pytest.mark.shows("behaviour on-demand persistence")
def test_what_is_retrieved_is_kept_as_a_snapshot(keeping: Server) -> None:
    source = provide(keeping, TEXT)
    patient = source.patient_id or ""
    made = entry(keeping, patient, "xds-sd")
    first = retrieve(keeping, made)
    assert first.new_repository_unique_id == keeping.config.repository_unique_id
    assert retrieve(keeping, made) == first
    stable = {one.unique_id: one for one in found(keeping, patient).document_entries}
    snapshot = stable[first.new_unique_id]
    assert len(stable) == 2
    assert (snapshot.availability_status, snapshot.size) == (v.APPROVED, str(len(first.data)))
    relations = {one.association_type: one.target for one in associations(keeping, snapshot.id)}
    assert relations == {v.IS_SNAPSHOT_OF: made.id, v.XFRM: source.id}
    again = retrieve(keeping, first.new_unique_id or "")
    assert (again.data, again.new_unique_id) == (first.data, None)
    # it is no source of further forms
    assert len(entries(keeping, patient)) == 1


def test_a_newer_snapshot_takes_the_place_of_the_one_before(keeping: Server) -> None:
    source = provide(keeping, TEXT)
    patient = source.patient_id or ""
    made = entry(keeping, patient, "xds-sd")
    first = retrieve(keeping, made)
    stored = [one for one in found(keeping, patient).document_entries if one.id == source.id]
    with DocumentAdministrator(keeping.registry_url) as administrator:
        administrator.update(update_of(stored[0], next_version(stored[0], title="New title")))
    awaited(lambda: [one for one in entries(keeping, patient) if one.title != made.title] or None)
    second = retrieve(keeping, made)
    states = {
        one.unique_id: one.availability_status
        for one in found(keeping, patient).document_entries
        if one.on_demand_form
    }
    assert states == {first.new_unique_id: v.DEPRECATED, second.new_unique_id: v.APPROVED}


# --- who may see ---------------------------------------------------------------------------------


POLICY: Final = """
[[rule]]
name = "all is done"
decision = "permit"

[[rule]]
name = "what is secret is not seen"
decision = "deny"
transactions = ["ITI-18", "ITI-43", "ITI-67", "ITI-68"]
formatCode = ["urn:test:secret^^2.999.9"]

[[rule]]
name = "what is restricted is not seen"
decision = "deny"
transactions = ["ITI-18", "ITI-43", "ITI-67", "ITI-68"]
confidentialityCode = ["R^^2.16.840.1.113883.5.25"]
"""


@pytest.fixture
def withholding(module_servers: SharedServers) -> Server:
    """A server that keeps what is retrieved, and withholds what is secret or restricted."""

    def options(data: Path) -> dict[str, str]:
        (data / "policy.toml").write_text(POLICY)
        rules = '[[on_demand]]\nform = "xds-sd"\n'
        more = {**LAWFUL, "on_demand_snapshots": "yes", "policy": str(data / "policy.toml")}
        return with_forms(data, rules, **more)

    return module_servers("forms withheld", options)


SECRET: Final = Code("urn:test:secret", "2.999.9", "Secret")
RESTRICTED: Final = Code("R", "2.16.840.1.113883.5.25", "restricted")


def assert_withheld(server: Server, source: DocumentEntry, made: Sequence[DocumentEntry]) -> None:
    """Hold that neither a document nor what is made of it is told of or given out."""
    for one in (source, *made):
        assert refusal(server, one).code == "XDSDocumentUniqueIdError"
        for path in ("", "/original"):
            assert ask(server, "GET", f"/document/{bare(one)}{path}").status == 404
        for form in ("pdf", "xds-sd"):
            path = f"/DocumentReference/{bare(one)}/$document?form={form}"
            assert ask(server, "GET", path).status == 404
        reply = ask(server, "GET", f"/DocumentReference/{bare(one)}")
        assert reply.status == 404
    patient = source.patient_id or ""
    assert found(server, patient, *BOTH_TYPES).document_entries == ()
    number = patient.partition("^")[0]
    asked = f"/DocumentReference?patient.identifier=urn:oid:2.999.1.1|{number}&status=current"
    assert ask(server, "GET", asked).json().get("entry", []) == []


def test_whoever_may_not_see_a_document_does_not_get_its_form(withholding: Server) -> None:
    shown = provide(withholding, TEXT)
    assert retrieve(withholding, entry(withholding, shown.patient_id or "", "xds-sd")).mime_type
    hidden = provide(withholding, TEXT, format_code=SECRET)
    repository = withholding.config.repository_unique_id
    identifier = entry_uuid(repository, "xds-sd", hidden.id)
    unique_id = minted(repository, "unique id", "xds-sd", hidden.id)
    made = DocumentEntry.create(entry_uuid=identifier, unique_id=unique_id)
    awaited(lambda: registered(withholding, identifier) or None)
    assert_withheld(withholding, hidden, [made])


def registered(server: Server, logical_id: str) -> bool:
    """Tell whether an entry is there, whoever may see it."""
    query = select(document_entry.c.pk).where(document_entry.c.logical_id == logical_id)
    database = Database(configured(server.data).database_url)
    try:
        with database.read() as connection:
            return connection.execute(query).first() is not None
    finally:
        database.close()


@pytest.mark.parametrize(
    "changed",
    [{"format_code": SECRET}, {"confidentiality_code": (RESTRICTED,)}],
    ids=["format", "confidentiality"],
)
def test_what_was_kept_goes_with_its_original_that_is_withheld(
    withholding: Server, changed: dict[str, Any]
) -> None:
    source = provide(withholding, TEXT)
    patient = source.patient_id or ""
    made = entry(withholding, patient, "xds-sd")
    kept_id = retrieve(withholding, made).new_unique_id or ""
    seen = found(withholding, patient).document_entries
    (kept,) = (one for one in seen if one.unique_id == kept_id)
    assert ask(withholding, "GET", f"/document/{bare(kept)}").status == 200
    (stored,) = (one for one in seen if one.id == source.id)
    with DocumentAdministrator(withholding.registry_url) as administrator:
        administrator.update(update_of(stored, next_version(stored, **changed)))
    assert_withheld(withholding, source, [made, kept])


# --- what a deployment writes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "forms.toml: "),
        ("[custodian]\nname = 'a'", "there is no table custodian"),
        ("[organisation]\nname = 'a'\nid = 'b'", "organisation: id is an OID"),
        ("[organisation]\ncountry = 'Britain'", "country is a code of ISO 3166-1"),
        ("[xds_sd]\nscanner = 'a'", "xds_sd: there is no key scanner"),
        ("[[on_demand]]\nform = 'png'", "on_demand 1: form is one of "),
        ("[[on_demand]]\nform = 'xds-sd'\nwhen = 1", "on_demand 1: there is no key when"),
        (
            "[[on_demand]]\nform = 'xds-sd'\nrule = [{ type = 'a' }]",
            "on_demand 1: rule: unknown key type",
        ),
        (
            "[[on_demand]]\nform = 'xds-sd'\nentry = { class_code = 'a' }",
            "on_demand 1: entry: class_code is of the form code^^codingScheme^^display name",
        ),
        ("[[on_demand]]\nform = 'xds-sd'", "form xds-sd needs the table organisation"),
    ],
)
def test_a_file_of_forms_that_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "forms.toml"
    path.write_text(text)
    with pytest.raises(FormSettingsError) as refused:
        table.read(path)
    assert told in str(refused.value)
