"""Transaction Bundles of PUT and PATCH entries: all of them are done, or none (CH:MHD-1)."""

import base64
import json
from collections.abc import Sequence

import pytest

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask
from tests.fhir.updated import (
    RESTRICTED,
    Published,
    another_document,
    history_of,
    new_bundle,
    patient_of,
    published,
    published_folder,
    replacing,
    setting,
)
from tests.serving import Server, serving
from xds.client import DocumentConsumer, DocumentSource, entry_of, submission_of
from xds.fhir.patch.bodies import JSON_PATCH
from xds.fhir.r4 import structure, xml
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry

shows = pytest.mark.shows
ALL_OR_NOTHING = shows("FHIR POST /")
REMOVED_TOGETHER = shows("FHIR POST / ITI-62")


def _put(document: Published, resource: Resource, **request: str) -> Resource:
    url = document.path.removeprefix("/")
    return {
        "fullUrl": f"{document.server.url}/fhir{document.path}",
        "resource": resource,
        "request": {"method": "PUT", "url": url, **request},
    }


def _patch(document: Published, resource: Resource, url: str = "") -> Resource:
    url = url or document.path.removeprefix("/")
    return {"resource": resource, "request": {"method": "PATCH", "url": url}}


def _operation(path: str, value: Resource) -> Resource:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", **value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


SUPERSEDED = _operation("DocumentReference.status", {"valueCode": "superseded"})


def _send(server: Server, entries: Sequence[Resource], **headers: str) -> Reply:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(bundle).encode()
    return ask(server, "POST", "", {"Content-Type": FHIR_JSON, **named}, body)


@ALL_OR_NOTHING
def test_every_entry_of_a_transaction_is_done(updating: Server, document: Published) -> None:
    other = another_document(document)
    reply = _send(
        updating,
        [
            _put(document, document.edited(setting(securityLabel=RESTRICTED)), ifMatch='W/"1"'),
            _patch(other, SUPERSEDED),
        ],
    )
    assert reply.status == 200, reply.body
    bundle = reply.json()
    assert structure.problems(bundle) == []
    assert bundle["type"] == "transaction-response"
    first, second = bundle["entry"]
    assert first["resource"] == document.read()
    assert second["resource"] == other.read()
    assert first["response"]["status"] == "200 OK"
    assert first["response"]["etag"] == f'W/"{document.read()["meta"]["versionId"]}"'
    assert history_of(document.read()) == ("2", "current")
    assert history_of(other.read()) == ("1", "superseded")


def test_documents_of_several_patients_change_in_one_commit(
    updating: Server, document: Published
) -> None:
    other = published(updating)
    both = [_put(one, one.edited(setting(description="seen"))) for one in (document, other)]
    assert _send(updating, both).status == 200
    assert {one.read()["description"] for one in (document, other)} == {"seen"}
    set_of = document.read()["meta"]["lastUpdated"], other.read()["meta"]["lastUpdated"]
    assert set_of[0] == set_of[1]


@ALL_OR_NOTHING
@pytest.mark.parametrize("is_of_another_patient", [False, True])
def test_nothing_is_done_where_an_entry_is_refused(
    updating: Server, document: Published, is_of_another_patient: bool
) -> None:
    other = published(updating) if is_of_another_patient else another_document(document)
    before = document.read(), other.read()
    reply = _send(
        updating,
        [
            _put(document, document.edited(setting(description="seen"))),
            _put(other, other.edited(setting(subject=None))),
        ],
    )
    assert document.refuses(reply, 422) == [
        ("processing", "XDSPatientIDReconciliationError", "Bundle.entry[1].resource.subject")
    ]
    assert (document.read(), other.read()) == before


def test_all_that_is_wrong_is_told_of_every_entry(updating: Server, document: Published) -> None:
    other = another_document(document)
    reply = _send(
        updating,
        [
            _put(document, document.edited(setting(subject=None))),
            _put(other, other.edited(setting(description="seen")), ifMatch='W/"7"'),
        ],
    )
    assert document.refuses(reply, 400) == [
        ("processing", "XDSPatientIDReconciliationError", "Bundle.entry[0].resource.subject"),
        ("conflict", "XDSMetadataVersionError", "Bundle.entry[1]"),
    ]


def test_a_stale_entry_refuses_the_transaction(updating: Server, document: Published) -> None:
    edited = document.edited(setting(description="seen"))
    reply = _send(updating, [_put(document, edited, ifMatch='W/"7"')])
    assert document.refuses(reply, 412) == [
        ("conflict", "XDSMetadataVersionError", "Bundle.entry[0]")
    ]


def test_a_resource_is_changed_by_one_entry(updating: Server, document: Published) -> None:
    edited = document.edited(setting(description="seen"))
    reply = _send(updating, [_put(document, edited), _patch(document, SUPERSEDED)])
    assert document.refuses(reply, 400) == [("invalid", "", "Bundle.entry[1].request.url")]
    assert history_of(document.read()) == ("1", "current")


def test_an_entry_finds_its_resource_by_a_search(updating: Server, document: Published) -> None:
    master = document.read()["masterIdentifier"]
    url = f"DocumentReference?identifier={master['system']}|{master['value']}"
    assert _send(updating, [_patch(document, SUPERSEDED, url)]).status == 200
    assert history_of(document.read()) == ("1", "superseded")


def test_a_json_patch_is_a_binary(updating: Server, document: Published) -> None:
    patch = b'[{"op": "add", "path": "/description", "value": "seen"}]'
    data = base64.b64encode(patch).decode()
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}
    assert _send(updating, [_patch(document, binary)]).status == 200
    assert document.read()["description"] == "seen"


def test_a_document_and_its_folder_change_together(updating: Server) -> None:
    _, document, folder = published_folder(updating)
    other = another_document(document)
    item = {"item": {"reference": f"DocumentReference/{other.id}"}}
    reply = _send(
        updating,
        [
            _put(other, other.edited(setting(description="seen"))),
            _put(folder, folder.edited(setting(title="Renamed", entry=[item]))),
        ],
    )
    assert reply.status == 200, reply.body
    assert folder.read()["entry"] == [item]
    assert (folder.read()["title"], other.read()["description"]) == ("Renamed", "seen")


def test_a_transaction_in_xml(updating: Server, document: Published) -> None:
    entry = _put(document, document.edited(setting(description="seen")))
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    headers = {"Content-Type": FHIR_XML, "Prefer": "return=minimal"}
    reply = ask(updating, "POST", "", headers, xml.render(bundle))
    assert reply.status == 200, reply.body
    assert document.read()["description"] == "seen"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("DocumentReference", "Bundle.entry[0].request.url"),
        ("Patient/1", "Bundle.entry[0].request.url"),
        ("DocumentReference/4d48a000-0000-4000-8000-00000000dead", "Bundle.entry[0]"),
    ],
)
def test_an_entry_names_what_it_changes(
    updating: Server, document: Published, url: str, place: str
) -> None:
    reply = _send(updating, [_patch(document, SUPERSEDED, url)])
    assert reply.status in (400, 404)
    assert document.refuses(reply, reply.status)[0][2] == place


# --- removals ------------------------------------------------------------------------------------


def _delete(document: Published, url: str = "", **request: str) -> Resource:
    url = url or document.path.removeprefix("/")
    return {"request": {"method": "DELETE", "url": url, **request}}


@REMOVED_TOGETHER
@shows("FHIR DELETE /DocumentReference/{id}")
def test_documents_are_removed_together(updating: Server, document: Published) -> None:
    of_the_same, of_another = another_document(document), published(updating)
    master = of_another.read()["masterIdentifier"]
    search = f"DocumentReference?identifier={master['system']}|{master['value']}"
    document.put(document.edited(setting(description="seen")))
    entries = [_delete(document), _delete(of_the_same), _delete(of_another, search)]
    reply = _send(updating, entries)
    assert reply.status == 200, reply.body
    assert structure.problems(reply.json()) == []
    assert [one["response"]["status"] for one in reply.json()["entry"]] == ["204 No Content"] * 3
    for one in (document, of_the_same, of_another):
        assert ask(updating, "GET", one.path).status == 404


def _registered(document: Published) -> DocumentEntry:
    unique_id = document.read()["masterIdentifier"]["value"].removeprefix("urn:oid:")
    with DocumentConsumer(document.server.registry_url) as consumer:
        query = {"$XDSDocumentEntryUniqueId": [unique_id]}
        (entry,) = consumer.stored_query(v.GET_DOCUMENTS, query).document_entries
    return entry


_OF_DOCUMENT = ("unique_id", "repository_unique_id", "size", "hash")


@REMOVED_TOGETHER
def test_the_bytes_of_documents_go_together(updating: Server, document: Published) -> None:
    """Those of a document that another entry still names stay, and keep no others."""
    removed = [document, another_document(document), another_document(document)]
    entries = [_registered(one) for one in removed]
    other = entry_of(
        entries[0].patient_id or "",
        entries[0].mime_type or "",
        **{name: getattr(entries[0], name) for name in _OF_DOCUMENT},
    )
    with DocumentSource(registry_url=updating.registry_url) as source:
        source.register(submission_of([other]))
    assert _send(updating, [_delete(one) for one in removed]).status == 200
    with DocumentConsumer(updating.registry_url, updating.repository_url) as consumer:
        found = consumer.retrieve([DocumentRequest.of(one) for one in entries], allow_partial=True)
        assert [one.document_unique_id for one in found] == [other.unique_id]
        assert [one.location for one in found.errors] == [one.unique_id for one in entries[1:]]


@REMOVED_TOGETHER
def test_nothing_is_removed_where_an_entry_is_refused(
    updating: Server, document: Published
) -> None:
    held, unknown = another_document(document), "DocumentReference/unknown"
    label = {**RESTRICTED[0]["coding"][0], "code": "V", "display": "very restricted"}
    held.put(held.edited(setting(securityLabel=[{"coding": [label]}])))
    reply = _send(updating, [_delete(document), _delete(held)])
    assert document.refuses(reply, 422)[0][1] == "LocalPolicyRestrictionError"
    stale = _delete(document, ifMatch='W/"7"')
    reply = _send(updating, [stale, _delete(held), _delete(held), _delete(held, unknown)])
    assert document.refuses(reply, 400) == [
        ("conflict", "XDSMetadataVersionError", "Bundle.entry[0]"),
        ("invalid", "", "Bundle.entry[2].request.url"),
        ("not-found", "", "Bundle.entry[3]"),
    ]
    assert all(ask(updating, "GET", one.path).status == 200 for one in (document, held))


def test_removals_and_updates_are_not_in_one_transaction(
    updating: Server, document: Published
) -> None:
    other = another_document(document)
    reply = _send(updating, [_patch(document, SUPERSEDED), _delete(other)])
    place = "Bundle.entry[1].request.method"
    assert document.refuses(reply, 400) == [("not-supported", "", place)]
    assert [history_of(one.read()) for one in (document, other)] == [("1", "current")] * 2


# --- updates that come with a submission ---------------------------------------------------------


LABELLED = _operation(
    "DocumentReference.securityLabel[0].coding[0]", {"valueCoding": RESTRICTED[0]["coding"][0]}
)


def _submit(document: Published, *entries: Resource) -> tuple[Reply, str]:
    """Submit a new document of the same patient, with further entries; return the patient too."""
    bundle = new_bundle("one_document", patient_of(document))
    bundle["entry"].extend(entries)
    body = json.dumps(bundle).encode()
    return ask(document.server, "POST", "", {"Content-Type": FHIR_JSON}, body), patient_of(document)


def _number_of_documents(server: Server, patient: str) -> int:
    query = f"patient.identifier=urn:oid:2.999.1.1|{patient}"
    total: int = ask(server, "GET", f"/DocumentReference?{query}").json()["total"]
    return total


@shows("behaviour FHIR submission with updates")
def test_a_submission_updates_another_document_by_a_patch(document: Published) -> None:
    reply, patient = _submit(document, _patch(document, LABELLED))
    assert reply.status == 200, reply.body
    told = reply.json()["entry"][-1]["response"]
    assert (told["status"], told["location"]) == ("200 OK", document.path.removeprefix("/"))
    assert history_of(document.read()) == ("2", "current")
    assert document.read()["securityLabel"][0]["coding"][0]["code"] == "R"
    assert _number_of_documents(document.server, patient) == 2


def test_a_submission_deprecates_another_document_by_a_patch(document: Published) -> None:
    assert _submit(document, _patch(document, SUPERSEDED))[0].status == 200
    assert history_of(document.read()) == ("1", "superseded")


@shows("behaviour FHIR submission with updates")
def test_a_submission_with_an_update_that_is_refused_stores_nothing(document: Published) -> None:
    wrong = _operation("DocumentReference.masterIdentifier.value", {"valueUri": "urn:oid:2.999.9"})
    reply, patient = _submit(document, _patch(document, wrong))
    index = len(new_bundle("one_document")["entry"])
    place = f"Bundle.entry[{index}].resource.masterIdentifier"
    assert document.refuses(reply, 422) == [("processing", "XDSMetadataIdentifierError", place)]
    assert _number_of_documents(document.server, patient) == 1
    assert history_of(document.read()) == ("1", "current")


def test_a_document_is_replaced_and_relabelled_in_one_bundle(document: Published) -> None:
    """The replacement deprecates it, and the update of its label makes a version of that."""
    bundle = replacing(document)
    bundle["entry"].append(_patch(document, LABELLED))
    body = json.dumps(bundle).encode()
    reply = ask(document.server, "POST", "", {"Content-Type": FHIR_JSON}, body)
    assert reply.status == 200, reply.body
    assert history_of(document.read()) == ("2", "superseded")
    assert document.read()["securityLabel"][0]["coding"][0]["code"] == "R"


POLICY = """
[[rule]]
name = "everyone publishes and reads"
decision = "permit"
transactions = ["ITI-65", "ITI-66", "ITI-67"]

[[rule]]
name = "updates are for nobody here"
decision = "deny"
transactions = ["ITI-57"]
"""


def test_the_policy_decides_on_the_transaction_that_a_bundle_is(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> None:
    data = tmp_path_factory.mktemp("policy-of-transactions")
    (data / "policy.toml").write_text(POLICY)
    options = {"database": databases.url(data), "policy": str(data / "policy.toml")}
    with serving(data, options) as running:
        document = published(running)
        reply = _send(running, [_patch(document, SUPERSEDED)])
        assert document.refuses(reply, 403) == [("forbidden", "", "")]
        submission, patient = _submit(document, _patch(document, SUPERSEDED))
        assert document.refuses(submission, 403) == [("forbidden", "", "")]
        assert _number_of_documents(running, patient) == 1
        assert history_of(document.read()) == ("1", "current")
