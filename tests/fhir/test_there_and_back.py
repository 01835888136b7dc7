"""A document goes from one server to another by SOAP and FHIR, and nothing of it is lost."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from tests.fhir.asked import ask
from tests.fhir.story import Story
from tests.registry.wire import World
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.client import Content, DocumentConsumer, DocumentSource
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, MetadataObject
from xds.metadata.submission import Submission
from xds.mhd.vocabulary import COMPREHENSIVE_PROVIDE_BUNDLE

REPORT = b"BRCA1: no variant found"
JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another server, with nothing in it."""
    with serving(tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


def found(server: Server, resource_type: str, token: str) -> list[dict[str, Any]]:
    """Return the resources of a patient."""
    query = quote(token, safe="")
    reply = ask(server, "GET", f"/{resource_type}?patient.identifier={query}&status=current")
    return [entry["resource"] for entry in reply.json().get("entry", [])]


def bytes_at(url: str) -> bytes:
    """Retrieve a document (ITI-68)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().read()
    finally:
        connection.close()


def posted(resource: dict[str, Any], full_url: str) -> dict[str, Any]:
    """Return the entry of a transaction that makes a resource."""
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def again(sent: dict[str, Any], references: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ITI-65 request that submits what was read."""
    entries = []
    for reference in references:
        attachment = reference["content"][0]["attachment"]
        data = base64.b64encode(bytes_at(attachment["url"])).decode()
        attachment["url"] = uuid4().urn
        binary = {"resourceType": "Binary", "contentType": attachment["contentType"], "data": data}
        entries.append(posted(reference, f"urn:uuid:{reference['id']}"))
        entries.append(posted(binary, attachment["url"]))
    for item in sent["entry"]:
        item["item"]["reference"] = f"urn:uuid:{item['item']['reference'].rpartition('/')[2]}"
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [COMPREHENSIVE_PROVIDE_BUNDLE]},
        "type": "transaction",
        "entry": [posted(sent, f"urn:uuid:{sent['id']}"), *entries],
    }


def objects(server: Server, submission_set: str) -> list[MetadataObject]:
    """Return a SubmissionSet and all that is in it, by ITI-18."""
    with DocumentConsumer(server.registry_url) as consumer:
        answer = consumer.stored_query(
            v.GET_SUBMISSION_SET_AND_CONTENTS, {"$XDSSubmissionSetEntryUUID": submission_set}
        )
    return [one for one in answer.objects if isinstance(one, MetadataObject)]


@pytest.mark.parametrize("name", ["comprehensive_document", "several_authors"])
def test_what_came_by_soap_is_read_by_fhir_and_submitted_again(
    server: Server, elsewhere: Server, name: str
) -> None:
    world = World.new()
    read = Submission.read(world.fixture(f"iti42/{name}").find(f"{{{v.NS_SOAP12}}}Body")[0])
    nothing = {"hash": None, "size": None, "repository_unique_id": None}
    submission = read.with_objects(
        one.updated(**nothing) if isinstance(one, DocumentEntry) else one for one in read.objects
    )
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            submission, {one.id: Content((REPORT,)) for one in submission.document_entries}
        )
    token = f"urn:oid:2.999.1.1|{world.patient(1).partition('^')[0]}"
    (sent,) = found(server, "List", token)
    request = again(sent, found(server, "DocumentReference", token))

    reply = ask(elsewhere, "POST", "", JSON, json.dumps(request).encode())
    assert reply.status == 200, reply.body

    uuid = f"urn:uuid:{sent['id']}"
    here, there = objects(server, uuid), objects(elsewhere, uuid)
    assert [one.KIND for one in here] == [one.KIND for one in there]
    assert len([one for one in here if isinstance(one, DocumentEntry)]) > 0
    for one, other in zip(here, there, strict=True):
        own = {"entry_uuid"} if isinstance(one, Association) else set()
        assert differing(one, other) <= own


def differing(one: MetadataObject, other: MetadataObject) -> set[str]:
    """Return the names of the declared attributes in which two objects differ."""
    declared = one.attributes().items()
    return {name for name, attribute in declared if attribute.read(one) != attribute.read(other)}


def told(resource: dict[str, Any], server: Server) -> dict[str, Any]:
    """Return a resource without what each server decides for itself."""
    text = json.dumps(resource).replace(server.url, "http://here")
    plain: dict[str, Any] = json.loads(text)
    del plain["meta"]["lastUpdated"]
    version = plain["meta"]["versionId"]
    plain["meta"]["versionId"] = version.partition("-")[0]  # the rest is a digest of all of it
    del plain["subject"]["reference"]  # patients are numbered by each server
    if plain["resourceType"] == "DocumentReference":
        del plain["date"]  # of registration
    return plain


def test_what_came_by_fhir_is_read_by_soap_and_submitted_again(
    server: Server, elsewhere: Server
) -> None:
    story = Story.new()
    bundle = json.dumps(story.bundle(REPORT, b"BRCA2: one variant found")).encode()
    assert ask(server, "POST", "", JSON, bundle).status == 200
    (sent,) = found(server, "List", story.token)
    things = objects(server, f"urn:uuid:{sent['id']}")
    entries = [one for one in things if isinstance(one, DocumentEntry)]
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        data = {
            document.document_unique_id: b"".join(document.chunks())
            for document in consumer.retrieve(entries)
        }
    with DocumentSource(elsewhere.repository_url) as source:
        source.provide_and_register(
            Submission(tuple(things)),
            {one.id: Content((data[one.unique_id or ""],)) for one in entries},
        )
    for kind in ("List", "DocumentReference"):
        here, there = (
            [told(resource, one) for resource in found(one, kind, story.token)]
            for one in (server, elsewhere)
        )
        assert here == there
        assert here
