"""What clients write who do it otherwise, and what they mean by it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.changes import IDENTIFIER, UNKNOWN, put
from tests.fhir.published import Change, ids, message, statuses, warnings
from tests.serving import Server
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import MHD

BEFORE = "http://profiles.ihe.net/ITI/MHD"


def _new(name: str, *changes: Change) -> Resource:
    """Return a message with identifiers that no other test has."""
    text = json.dumps(message(name, *changes))
    text = text.replace("urn:oid:2.999.4.", f"urn:oid:2.999.4.{uuid4().int % 10**12}.")
    found: Resource = json.loads(text.replace("4d48a000-0000", f"{uuid4().hex[:8]}-0000"))
    return found


def _sent(server: Server, resource: Resource, path: str = "", **headers: str) -> Reply:
    body = json.dumps(resource).encode()
    return ask(server, "POST", path, {"Content-Type": FHIR_JSON, **headers}, body)


def _provided(server: Server, *changes: Change, name: str = "one_document") -> Resource:
    reply = _sent(server, _new(name, *changes))
    assert reply.status == 200, reply.body
    answer: Resource = reply.json()
    return answer


# --- the canonical URLs of MHD 4.0 and 4.1 -------------------------------------------------------


def _strings(element: Any) -> Iterator[str]:
    if isinstance(element, str):
        yield element
    for one in element.values() if isinstance(element, dict) else element:
        if not isinstance(element, str):
            yield from _strings(one)


@pytest.mark.parametrize("name", ["one_document", "folder"])
def test_canonicals_that_begin_with_http_are_taken(server: Server, name: str) -> None:
    bundle = json.loads(json.dumps(_new(name)).replace(MHD, BEFORE))
    reply = _sent(server, bundle)
    assert reply.status == 200
    kinds = [one["response"]["location"] for one in reply.json()["entry"]]
    lists = [location for location in kinds if location.startswith("List/")]
    for location in lists:
        found = ask(server, "GET", f"/{location}").json()
        urls = [one["url"].rpartition("/")[2] for one in found["extension"]]
        assert "ihe-designationType" in urls, "its extensions were read"
        assert not any(text.startswith(BEFORE) for text in _strings(found))
        code = f"{BEFORE}/CodeSystem/MHDlistTypes|{found['code']['coding'][0]['code']}"
        query = f"_id={found['id']}&code={quote(code)}"
        assert ask(server, "GET", f"/List?{query}").json()["total"] == 1


# --- references that lead nowhere, beside an identifier ------------------------------------------


def _reference(**more: Any) -> Resource:
    return {"reference": UNKNOWN, **more}


def test_a_dangling_subject_is_the_one_of_its_identifier(server: Server) -> None:
    subject = _reference(identifier=IDENTIFIER)
    answer = _provided(
        server, *(put(f"entry.{index}.resource.subject", subject) for index in (0, 1))
    )
    assert statuses(answer) == ["201 Created"] * 3
    found = ask(server, "GET", f"/DocumentReference/{ids(answer)[1]}").json()
    assert found["subject"]["identifier"] == IDENTIFIER


def test_a_dangling_author_is_the_one_of_its_identifier(server: Server) -> None:
    author = _reference(
        identifier={"system": "urn:oid:2.999.1.7", "value": "A-17"}, display="Okafor"
    )
    answer = _provided(server, put("entry.1.resource.author", [author]))
    found = ask(server, "GET", f"/DocumentReference?_id={ids(answer)[1]}&author.family=Okafor")
    assert found.json()["total"] == 1


def test_a_dangling_target_is_the_one_of_its_identifier(server: Server) -> None:
    first = _new("one_document")
    (_, old, _) = ids(_sent(server, first).json())
    target = _reference(identifier=first["entry"][1]["resource"]["masterIdentifier"])
    relation = {"code": "appends", "target": target}
    second = _new("one_document")
    second["entry"][1]["resource"]["relatesTo"] = [relation]
    (_, new, _) = ids(_sent(server, second).json())
    found = ask(server, "GET", f"/DocumentReference/{new}").json()
    assert found["relatesTo"][0]["target"] == {"reference": f"DocumentReference/{old}"}


@pytest.mark.parametrize("reference", [UNKNOWN, "#nobody"])
def test_a_dangling_author_without_an_identifier_is_refused(server: Server, reference: str) -> None:
    author = [{"reference": reference, "display": "Okafor"}]
    reply = _sent(server, _new("one_document", put("entry.1.resource.author", author)))
    assert (reply.status, reply.codes()) == (400, ["not-found"])


# --- identifiers without a value, urns as request.url --------------------------------------------


def test_an_identifier_without_a_value_is_passed_over(server: Server) -> None:
    def change(bundle: Resource) -> None:
        document = bundle["entry"][1]["resource"]
        document["identifier"] = [{"system": "urn:oid:2.999.1.9"}, {"use": "official"}]
        document["context"]["related"] = [{"identifier": {"system": "urn:oid:2.999.1.9"}}]
        document["author"] = [{"display": "Okafor", "identifier": {"system": "urn:oid:2.999"}}]

    answer = _provided(server, change)
    told = [text for index, text in warnings(answer) if "without a value" in text]
    assert len(told) == 4
    issues = answer["entry"][1]["response"]["outcome"]["issue"]
    places = {place for issue in issues for place in issue["expression"]}
    assert "Bundle.entry[1].resource.identifier[1]" in places


def test_a_master_identifier_without_a_value_is_none(server: Server) -> None:
    change = put("entry.1.resource.masterIdentifier", {"system": "urn:ietf:rfc:3986"})
    reply = _sent(server, _new("one_document", change))
    assert reply.status == 400
    told = {(one["severity"], one["code"]) for one in reply.json()["issue"]}
    assert told == {("error", "required"), ("warning", "incomplete")}


def test_what_is_passed_over_is_told_once(server: Server) -> None:
    sent = _new("simplified_publish")
    sent["identifier"] = [{"system": "urn:oid:2.999.1.9"}]
    sent["masterIdentifier"] = {
        "system": "urn:ietf:rfc:3986",
        "value": f"urn:oid:2.999.4.{uuid4().int % 10**12}",
    }
    reply = _sent(server, sent, "/DocumentReference", Prefer="return=OperationOutcome")
    assert reply.status == 201
    told = [one["expression"] for one in reply.json()["issue"]]
    assert told.count(["DocumentReference.identifier[0]"]) == 1


def test_a_urn_as_the_url_of_a_post_is_passed_over(server: Server) -> None:
    url = "urn:uuid:4d480000-0000-4000-8000-000000000001"
    answer = _provided(server, *(put(f"entry.{i}.request.url", url) for i in (0, 1, 2)))
    assert statuses(answer) == ["201 Created"] * 3
    assert [index for index, text in warnings(answer) if "request.url" in text] == [0, 1, 2]
