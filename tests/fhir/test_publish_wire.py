"""Publishing through the wire: JSON and XML, what comes back, and what is found afterwards."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask
from tests.fhir.published import NOTE, Change, locations, message, statuses
from tests.serving import Server
from xds.fhir.r4 import structure, xml
from xds.fhir.r4.resource import Resource


def _new(name: str, *changes: Change) -> Resource:
    """Return a message with a patient and identifiers that no other test has."""
    text = json.dumps(message(name, *changes))
    text = text.replace("urn:oid:2.999.4.", f"urn:oid:2.999.4.{uuid4().int % 10**12}.")
    found: Resource = json.loads(text.replace("4d48a000-0000", f"{uuid4().hex[:8]}-0000"))
    return found


def _sent(server: Server, resource: Resource, form: str = FHIR_JSON, path: str = "") -> Reply:
    body = xml.render(resource) if form == FHIR_XML else json.dumps(resource).encode()
    return ask(server, "POST", path, {"Content-Type": form, "Accept": form}, body)


def _read(reply: Reply, form: str) -> Resource:
    if form == FHIR_XML:
        resource, issues = xml.read(reply.body)
        assert issues == []
    else:
        resource = reply.json()
    assert structure.problems(resource) == []
    return resource


@pytest.mark.parametrize(
    ("form", "path"),
    [(FHIR_JSON, ""), (FHIR_JSON, "/"), ("application/json", ""), (FHIR_XML, "")],
)
def test_what_is_published_is_found_read_and_retrieved(
    server: Server, form: str, path: str
) -> None:
    bundle = _new("one_document")
    reply = _sent(server, bundle, form, path)
    assert reply.status == 200
    answer = _read(reply, form)
    assert statuses(answer) == ["201 Created"] * 3
    submission_set, document, binary = locations(answer)
    reference = ask(server, "GET", f"/{document}").json()
    url = reference["content"][0]["attachment"]["url"]
    assert ask(server, "GET", url.partition("/fhir")[2]).body == NOTE
    assert ask(server, "GET", f"/{binary}", {"Accept": "text/plain"}).body == NOTE
    identifier = bundle["entry"][0]["resource"]["identifier"][0]["value"]
    found = ask(
        server,
        "GET",
        f"/List?code=submissionset&status=current&identifier={identifier}"
        f"&patient.identifier={quote('urn:oid:2.999.1.1|M4001')}",
    ).json()
    assert [f"List/{one['resource']['id']}" for one in found["entry"]] == [submission_set]
    members = ask(server, "GET", f"/{submission_set}").json()["entry"]
    assert [one["item"]["reference"] for one in members] == [document]


@pytest.mark.parametrize("form", [FHIR_JSON, FHIR_XML])
def test_white_space_round_strings_is_no_part_of_them(server: Server, form: str) -> None:
    bundle = _new("one_document")
    padded: Any = json.loads(json.dumps(bundle))
    for one in padded["entry"][:2]:
        for identifier in one["resource"]["identifier"]:
            identifier["value"] = f" {identifier['value']}\n"
    reference = padded["entry"][1]["resource"]
    reference["description"] = "\u00a0Notes "
    reference["type"]["coding"][0]["display"] = " Report\t"
    reference["content"][0]["attachment"]["title"] = " \n"
    answer = _read(_sent(server, padded, form), form)
    found = ask(server, "GET", f"/{locations(answer)[1]}").json()
    assert found["description"] == "Notes"
    assert found["type"]["coding"][0]["display"] == "Report"
    assert "title" not in found["content"][0]["attachment"]
    sent = {one["value"] for one in bundle["entry"][1]["resource"]["identifier"]}
    assert sent <= {one["value"] for one in found["identifier"]}


def test_what_is_refused_is_told_and_not_found(server: Server) -> None:
    bundle = _new("one_document")
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["hash"] = (
        "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
    )
    reply = _sent(server, bundle)
    assert reply.status == 400
    (issue,) = reply.json()["issue"]
    assert issue["expression"] == ["Bundle.entry[1].resource.content[0].attachment.hash"]
    assert issue["details"]["text"] == "XDSRepositoryMetadataError"
    identifier = bundle["entry"][0]["resource"]["identifier"][0]["value"]
    found = ask(
        server,
        "GET",
        f"/List?code=submissionset&identifier={identifier}"
        f"&patient.identifier={quote('urn:oid:2.999.1.1|M4001')}",
    ).json()
    assert (found["total"], found.get("entry", [])) == (0, [])


@pytest.mark.parametrize("form", [FHIR_JSON, FHIR_XML])
def test_a_fhir_document_comes_back_as_it_was_sent(server: Server, form: str) -> None:
    def change(bundle: Resource) -> None:
        bundle["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = form

    bundle = _new("fhir_document", change)
    answer = _read(_sent(server, bundle, form), form)
    reference = ask(server, "GET", f"/{locations(answer)[1]}").json()
    attachment = reference["content"][0]["attachment"]
    reply = ask(server, "GET", attachment["url"].partition("/fhir")[2])
    assert reply.headers["content-type"].partition(";")[0] == form
    assert attachment["size"] == len(reply.body)
    sent: Any = bundle["entry"][2]["resource"]
    assert (xml.read(reply.body)[0] if form == FHIR_XML else json.loads(reply.body)) == sent


@pytest.mark.parametrize("form", [FHIR_JSON, FHIR_XML])
def test_a_simplified_publish_is_answered_with_what_was_made(server: Server, form: str) -> None:
    reply = _sent(server, _new("simplified_publish"), form, "/DocumentReference")
    assert reply.status == 201
    made = _read(reply, form)
    location = reply.headers["location"].partition("/fhir")[2]
    assert location == f"/DocumentReference/{made['id']}"
    url = made["content"][0]["attachment"]["url"]
    assert ask(server, "GET", url.partition("/fhir")[2]).body == NOTE


def test_a_simplified_publish_may_be_answered_with_nothing(server: Server) -> None:
    body = json.dumps(_new("simplified_publish")).encode()
    headers = {"Content-Type": FHIR_JSON, "Prefer": "return=minimal"}
    reply = ask(server, "POST", "/DocumentReference", headers, body)
    assert (reply.status, reply.body) == (201, b"")
    assert "/fhir/DocumentReference/" in reply.headers["location"]
