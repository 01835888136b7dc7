"""Clients that others wrote publish, search, page, read and retrieve against a served process."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests
from fhirclient import client as smart
from fhirclient.models.bundle import Bundle
from fhirclient.models.documentreference import DocumentReference
from fhirclient.models.list import List
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.fhir.node import node, node_packages
from tests.fhir.story import Story
from tests.serving import Server
from tests.waiting import PATIENCE

DOCUMENTS = (b"BRCA1: no variant found", b"BRCA2: one variant found")


def ids(resources: Iterable[Any]) -> list[str]:
    return [resource["id"] for resource in resources]


def test_fhirpy(server: Server) -> None:
    story, client = Story.new(), SyncFHIRClient(f"{server.url}/fhir")
    answer = client.execute("", method="post", data=story.bundle(*DOCUMENTS))
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201"] * 5

    references = client.resources("DocumentReference").search(
        patient__identifier=story.token, status="current"
    )
    found = references.fetch()
    assert len(found) == 2
    paged = references.sort("-date").limit(1).fetch_all()
    assert sorted(ids(paged)) == sorted(ids(found))
    assert references.count() == 2
    of_type = references.search(type="http://loinc.org|51969-4", creation__ge="2026-03-01")
    assert sorted(ids(of_type.fetch())) == sorted(ids(found))
    assert references.search(creation__lt="2026-03-01").fetch() == []

    (sent,) = client.resources("List").search(
        patient__identifier=story.token, code="submissionset", status="current"
    )
    members = {entry["item"]["reference"].rpartition("/")[2] for entry in sent["entry"]}
    assert members == set(ids(found))

    read = client.reference("DocumentReference", found[0]["id"]).to_resource()
    assert read["content"] == found[0]["content"]
    urls = [one["content"][0]["attachment"]["url"] for one in found]
    retrieved = [requests.get(url, timeout=PATIENCE) for url in urls]
    assert sorted(one.content for one in retrieved) == sorted(DOCUMENTS)

    subject = client.reference(reference=found[0]["subject"]["reference"]).to_resource()
    assert subject["identifier"][0]["value"] == story.number
    with pytest.raises(ResourceNotFound):
        client.reference("DocumentReference", "unknown").to_resource()
    with pytest.raises(OperationOutcome, match="transaction"):
        client.execute("", method="post", data={"resourceType": "Bundle", "type": "message"})


@pytest.fixture
def smart_client(server: Server) -> smart.FHIRClient:
    settings = {"app_id": "tests", "api_base": f"{server.url}/fhir"}
    made = smart.FHIRClient(settings=settings)
    made.prepare()
    return made


def test_fhirclient(smart_client: smart.FHIRClient) -> None:
    story, server = Story.new(), smart_client.server
    assert server.capabilityStatement.fhirVersion == "4.0.1"
    bundle = Bundle(story.bundle(*DOCUMENTS))
    answer = Bundle(server.post_json("", bundle.as_json()).json())
    assert [entry.response.status[:3] for entry in answer.entry] == ["201"] * 5

    wanted = {"patient.identifier": story.token, "status": "current", "_count": "1"}
    pages = list(DocumentReference.where(struct=wanted).perform_iter(server))
    found = [entry.resource for page in pages for entry in page.entry]
    assert [len(page.entry) for page in pages] == [1, 1]
    assert all(isinstance(one, DocumentReference) for one in found)
    read = DocumentReference.read(found[0].id, server)
    assert read.as_json() == found[0].as_json()
    assert read.author[0].resolved(type(read.contained[0])) is not None
    assert server.request_data(read.content[0].attachment.url) in DOCUMENTS

    lists = {"patient.identifier": story.token, "code": "submissionset", "status": "current"}
    (sent,) = List.where(struct=lists).perform_resources_iter(server)
    assert len(sent.entry) == 2


def test_fhir_kit_client(server: Server) -> None:
    modules = node_packages("fhir-kit-client")
    if modules is None:
        pytest.skip("needs Node 20 with npm, and the npm registry: fhir-kit-client runs there")
    story = Story.new()
    ran = subprocess.run(
        [
            node() or "",
            str(Path(__file__).with_name("fhir_kit.mjs")),
            modules,
            f"{server.url}/fhir",
        ],
        input=json.dumps({"bundle": story.bundle(*DOCUMENTS), "token": story.token}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert [status[:3] for status in seen["statuses"]] == ["201"] * 5
    assert seen["sizes"] == [1, 1]
    assert len(set(seen["found"])) == 2
    assert seen["lists"] == [2]
    assert seen["read"] == seen["found"][0]
    assert seen["text"].encode() in DOCUMENTS
    assert seen["refused"]["status"] == 404
    assert seen["refused"]["data"]["resourceType"] == "OperationOutcome"
    assert {"transaction", "search-system"} <= set(seen["interactions"])
