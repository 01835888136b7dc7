"""The examples of metadata update by FHIR are sent as they are, where they are present."""

import json
from typing import Any

import pytest

from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.updated import Published, history_of, setting
from tests.reference import MESSAGES, needs
from tests.serving import Server
from xds.fhir.patch.bodies import JSON_PATCH, XML_PATCH
from xds.fhir.r4.resource import Resource

FOLDER = MESSAGES / "fhir-update"
pytestmark = needs(FOLDER)


def _sent(document: Published, name: str, content_type: str) -> Reply:
    body = (FOLDER / name).read_bytes()
    return document.send("PATCH", document.path, body, Content_Type=content_type)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("json-patch-status.json", JSON_PATCH),
        ("xml-patch-status.xml", XML_PATCH),
        ("fhirpath-patch-status.json", FHIR_JSON),
    ],
)
def test_a_patch_of_the_status_is_done(document: Published, name: str, content_type: str) -> None:
    reply = _sent(document, name, content_type)
    assert reply.status == 200, reply.body
    assert history_of(reply.json()) == ("1", "superseded")


def test_a_patch_of_the_label_makes_a_version(document: Published) -> None:
    reply = _sent(document, "json-patch-label.json", JSON_PATCH)
    assert reply.status == 200, reply.body
    assert reply.json()["securityLabel"][0]["coding"][0]["code"] == "R"
    assert history_of(reply.json()) == ("2", "current")


@pytest.mark.parametrize(
    ("name", "content_type", "error"),
    [
        ("json-patch-refused.json", JSON_PATCH, "XDSMetadataIdentifierError"),
        ("fhirpath-patch-refused.json", FHIR_JSON, "XDSPatientIDReconciliationError"),
    ],
)
def test_a_patch_that_is_to_be_refused_changes_nothing(
    document: Published, name: str, content_type: str, error: str
) -> None:
    before = document.read()
    told = document.refuses(_sent(document, name, content_type), 422)
    assert told[0][:2] == ("processing", error)
    assert document.read() == before


def test_a_patch_that_archives_makes_a_version(document: Published) -> None:
    reply = _sent(document, "json-patch-archive.json", JSON_PATCH)
    assert reply.status == 200, reply.body
    assert (
        reply.json()["extension"]
        == json.loads((FOLDER / "json-patch-archive.json").read_text())[0]["value"]
    )
    assert history_of(reply.json()) == ("2", "current")


def test_the_operation_changes_the_doc_status(document: Published) -> None:
    body = (FOLDER / "update-metadata-parameters.json").read_bytes()
    reply = document.send("POST", f"{document.path}/$update-metadata", body)
    assert reply.status == 200, reply.body
    assert reply.json()["docStatus"] == "final"


def test_the_swiss_examples_name_what_is_not_there(updating: Server) -> None:
    """An update makes no document: `d1` is an id that this server gives to none."""
    headers = {"Content-Type": FHIR_JSON, "If-Match": 'W/"1"'}
    put = (FOLDER / "ch-put-body.json").read_bytes()
    assert ask(updating, "PUT", "/DocumentReference/d1", headers, put).status == 404
    bundle = (FOLDER / "ch-transaction.json").read_bytes()
    reply = ask(updating, "POST", "", headers, bundle)
    assert (reply.status, reply.json()["issue"][0]["expression"]) == (404, ["Bundle.entry[0]"])


@pytest.mark.parametrize("name", ["ch-put-body.json", "ch-transaction.json"])
def test_the_swiss_examples_with_the_names_of_a_document(document: Published, name: str) -> None:
    """What the example lacks of a document would be taken away, and of that nothing may be."""
    before = document.read()
    reply = _with_names(document, before, name)
    told = document.refuses(reply, 422)
    within = "Bundle.entry[0].resource" if "transaction" in name else "DocumentReference"
    assert {one[:2] for one in told} == {("processing", "UnmodifiableMetadataError")}, told
    assert all(one[2].startswith(within) for one in told)
    assert document.read() == before
    assert document.put(document.edited(setting(securityLabel=_label(name)))).status == 200


def _label(name: str) -> Any:
    read = json.loads((FOLDER / name).read_text())
    resource = read["entry"][0]["resource"] if "entry" in read else read
    return resource["securityLabel"]


def _with_names(document: Published, known: Resource, name: str) -> Reply:
    text = (FOLDER / name).read_text()
    for old, new in (
        ("urn:oid:2.25.1001", known["masterIdentifier"]["value"]),
        ("Binary/b1", known["content"][0]["attachment"]["url"]),
        ('"d1"', f'"{document.id}"'),
        ("DocumentReference/d1", f"DocumentReference/{document.id}"),
    ):
        text = text.replace(old, new)
    body = json.loads(text)
    resource = body["entry"][0]["resource"] if "entry" in body else body
    resource["subject"] = known["subject"]
    resource["identifier"] = [
        one for one in known["identifier"] if "entryUUID" in json.dumps(one.get("type", {}))
    ]
    sent = json.dumps(body).encode()
    if "entry" in body:
        return ask(document.server, "POST", "", {"Content-Type": FHIR_JSON}, sent)
    return document.send("PUT", document.path, sent)
