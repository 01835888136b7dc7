"""Searches with a large page: its Bundle is made as it is sent."""

import tracemalloc
from uuid import uuid4

import pytest
from lxml import etree

from bench import samples
from tests.fhir.asked import Reply, ask
from tests.registry import wire
from tests.serving import Server
from xds.client import Content
from xds.config import EXAMPLE_REPOSITORY
from xds.fhir.r4 import json

DOCUMENTS = 205
"""More than a page may have that is held in memory."""


@pytest.fixture(scope="module")
def patient(server: Server) -> str:
    """The id of a patient with so many documents."""
    name = uuid4().hex
    patient_id, told = samples.patient(name), Content((b"1",)).fingerprint()
    entries = [
        samples.entry(n, samples.oid(), patient_id, told, repository_unique_id=EXAMPLE_REPOSITORY)
        for n in range(DOCUMENTS)
    ]
    wire.accept(server, samples.submission(patient_id, samples.oid(), entries))
    return name


def search(server: Server, patient: str, more: str = "", accept: str = "") -> Reply:
    path = f"/DocumentReference?patient.identifier=urn:oid:2.999.1.1|{patient}{more}"
    reply = ask(server, "GET", path, {"Accept": accept} if accept else {})
    assert reply.status == 200
    return reply


def test_a_large_page_is_whole_and_in_order(server: Server, patient: str) -> None:
    large = search(server, patient)
    assert large.headers["transfer-encoding"] == "chunked"
    found = large.json()
    assert found["total"] == len(found["entry"]) == DOCUMENTS
    first = search(server, patient, "&_count=100").json()
    assert first["entry"] == found["entry"][:100]
    assert {*found} == {*first}
    assert search(server, patient).json()["entry"] == found["entry"]


def test_it_is_had_in_every_form(server: Server, patient: str) -> None:
    found = search(server, patient).json()
    assert search(server, patient, "&_pretty=true").json()["entry"] == found["entry"]
    xml = etree.fromstring(search(server, patient, accept="application/fhir+xml").body)
    assert len(xml.findall("{*}entry")) == DOCUMENTS
    parts = search(server, patient, "&_elements=status").json()
    assert len(parts["entry"]) == DOCUMENTS
    warned = search(server, patient, "&unknown=1").json()
    assert warned["entry"][:-1] == found["entry"]
    assert warned["entry"][-1]["search"] == {"mode": "outcome"}


def test_what_it_takes_does_not_grow_with_it() -> None:
    def peak(count: int) -> int:
        items = ({"text": f"{number:05}" * 2_000} for number in range(count))
        tracemalloc.start()
        assert sum(map(len, json.blocks({"total": count}, "entry", items))) > count * 10_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(3_000) < 1.5 * peak(300)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64])
def test_the_blocks_are_the_json_of_the_whole(count: int) -> None:
    items = [{"number": number} for number in range(count)]
    whole = b"".join(json.blocks({"a": 1}, "list", iter(items)))
    assert whole == json.render({"a": 1, "list": items})
