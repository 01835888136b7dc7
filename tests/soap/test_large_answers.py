"""Answers of many objects: made as they are sent, and never in memory as a whole."""

import http.client
import tracemalloc
from uuid import uuid4

import pytest

from bench import samples
from tests.registry import wire
from tests.serving import Server
from tests.soap.messages import ITI18, mtom_type, multipart, root_part
from tests.soap.wire import post
from tests.waiting import PATIENCE
from xds.client import Content
from xds.config import EXAMPLE_REPOSITORY
from xds.metadata import vocabulary as v
from xds.transactions.responses import query_response

DOCUMENTS = 110
"""With their HasMembers and the SubmissionSet they are more objects than are held."""
OBJECTS = 2 * DOCUMENTS + 1


@pytest.fixture(scope="module")
def query(server: Server) -> bytes:
    """A query for a large SubmissionSet and its content."""
    patient, unique_id = samples.patient(uuid4().hex), samples.oid()
    told, repository = Content((b"1",)).fingerprint(), EXAMPLE_REPOSITORY
    entries = [
        samples.entry(number, samples.oid(), patient, told, repository_unique_id=repository)
        for number in range(DOCUMENTS)
    ]
    wire.accept(server, samples.submission(patient, unique_id, entries))
    given = {"$XDSSubmissionSetUniqueId": wire.text(unique_id)}
    return wire.query_message(v.GET_SUBMISSION_SET_AND_CONTENTS, given)


def test_a_large_answer_is_whole_and_in_order(server: Server, query: bytes) -> None:
    answer = wire.found(wire.send(server, query))
    assert len(answer.objects) == OBJECTS
    uuids = answer.ids[1 : 1 + DOCUMENTS]
    few = wire.query(
        server, v.GET_DOCUMENTS, {"$XDSDocumentEntryEntryUUID": wire.texts(*uuids[7:9])}
    )
    assert wire.found(few).ids == uuids[7:9]
    assert few.objects.items() <= answer.objects.items()


def test_it_has_no_length_beforehand(server: Server, query: bytes) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    for _ in range(2):  # on one connection
        connection.request("POST", "/registry", query, {"Content-Type": "application/soap+xml"})
        response = connection.getresponse()
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["Content-Length"] is None
        assert response.read().endswith(b"</s:Envelope>")
    connection.close()


def test_it_is_a_part_of_mtom_where_the_query_was(server: Server, query: bytes) -> None:
    answer = post(
        server, ITI18, multipart(root_part(query.decode())), mtom_type(action=ITI18.action)
    )
    assert answer.is_mtom
    assert len(answer.body[0]) == OBJECTS


def test_what_it_takes_does_not_grow_with_it() -> None:
    def peak(count: int) -> int:
        response = query_response(range(count), lambda number: b"%05d" % number * 2_000)
        assert response.between is not None
        tracemalloc.start()
        assert sum(map(len, response.between)) == count * 10_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(3_000) < 1.5 * peak(300)
