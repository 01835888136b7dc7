"""ITI-68: documents over plain HTTP, and as Binary resources."""

import hashlib
import http.client
import json
import os
import re
from base64 import b64decode
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from lxml import etree

from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask, bare, new_patient, provide
from tests.registry import wire
from tests.serving import Server, serving
from tests.waiting import PATIENCE, until
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.config import EXAMPLE_REPOSITORY
from xds.fhir.http import conditional
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association

TEXT = bytes(range(256)) * 40  # 10 KiB
LARGE = b"0123456789abcdef" * 20_000  # more than is read at once
ETAG = f'"{hashlib.sha1(TEXT).hexdigest()}"'
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def document(server: Server) -> str:
    return f"/document/{provide(server, TEXT)}"


@pytest.fixture(scope="module")
def large(server: Server) -> str:
    return f"/document/{provide(server, LARGE, 'application/pdf')}"


def get(server: Server, path: str, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(server, "GET", path, named)


# --- the whole document --------------------------------------------------------------------------


def test_a_document_comes_as_it_is_registered(server: Server, document: str) -> None:
    reply = get(server, document)
    assert (reply.status, reply.body) == (200, TEXT)
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["content-length"] == str(len(TEXT))
    assert reply.headers["etag"] == ETAG
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "private, no-transform"
    identifier = document.rpartition("/")[2]
    assert reply.headers["content-disposition"] == f'inline; filename="{identifier}.txt"'


def test_the_second_answer_is_the_first(server: Server, document: str) -> None:
    first, second = get(server, document), get(server, document + "/")
    assert first.body == second.body
    assert {**first.headers, "date": "", "x-request-id": ""} == {
        **second.headers,
        "date": "",
        "x-request-id": "",
    }


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1])
def test_documents_of_every_size_come_whole(server: Server, size: int) -> None:
    data = os.urandom(size)
    reply = get(server, f"/document/{provide(server, data)}")
    assert (reply.status, reply.body) == (200, data)


def test_head_has_the_headers_alone(server: Server, document: str, large: str) -> None:
    for path in (document, large):
        reply = ask(server, "HEAD", path)
        whole = get(server, path)
        assert (reply.status, reply.body) == (200, b"")
        assert {**reply.headers, "date": "", "x-request-id": ""} == {
            **whole.headers,
            "date": "",
            "x-request-id": "",
        }


def test_a_fhir_document_is_its_own_bundle(server: Server) -> None:
    bundle = b'{"resourceType":"Bundle","type":"document"}'
    identifier = provide(server, bundle, FHIR_JSON)
    reply = get(server, f"/document/{identifier}", accept=FHIR_JSON)
    assert (reply.status, reply.body) == (200, bundle)
    assert reply.headers["content-type"] == FHIR_JSON
    assert reply.headers["content-disposition"].endswith('.json"')


def test_what_a_browser_may_run_is_kept_apart(server: Server, document: str) -> None:
    page = f"/document/{provide(server, b'<html/>', 'text/html')}"
    policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert get(server, page).headers["content-security-policy"] == policy
    assert "content-security-policy" not in get(server, document).headers


def test_a_deprecated_document_is_given_out(server: Server) -> None:
    patient = new_patient()
    old, new = (entry_of(patient, "text/plain") for _ in range(2))
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(submission_of([old]), {old.entry_uuid: Content((b"old",), 3)})
        replaces = Association.create(
            association_type=v.RPLC, source=new.entry_uuid, target=old.entry_uuid
        )
        submission = submission_of([new])
        source.provide_and_register(
            submission.with_objects([*submission.objects, replaces]),
            {new.entry_uuid: Content((b"new",), 3)},
        )
    assert get(server, f"/document/{bare(old)}").body == b"old"


def test_only_the_registered_type_can_be_had(server: Server, document: str) -> None:
    for accept in ("text/plain", "text/*", "application/pdf, */*;q=0.1", "TEXT/plain;charset=x"):
        assert get(server, document, accept=accept).status == 200
    for accept in ("application/pdf", "text/plain;q=0, image/png"):
        reply = get(server, document, accept=f"{accept}, {FHIR_JSON}")
        assert reply.status == 406
        assert reply.codes() == ["not-supported"]


def test_what_a_fhir_library_sends_with_every_request_asks_for_no_type(
    server: Server, document: str
) -> None:
    hapi = f"{FHIR_XML};q=1.0, {FHIR_JSON};q=1.0, application/xml+fhir;q=0.9"
    for accept in (FHIR_JSON, FHIR_XML, "application/json", f"{FHIR_JSON}; charset=utf-8", hapi):
        assert get(server, document, accept=accept).body == TEXT
    for accept in (f"{FHIR_JSON}, application/pdf", f"{FHIR_JSON};q=0", "application/xml"):
        assert get(server, document, accept=accept).status == 406


# --- ranges and conditions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299999", 100, 300_000),
        ("bytes=319990-", 319_990, 320_000),
        ("bytes=319990-999999", 319_990, 320_000),
        ("bytes=-7", 319_993, 320_000),
        ("bytes=-999999", 0, 320_000),
    ],
)
def test_one_range(server: Server, large: str, asked: str, start: int, stop: int) -> None:
    reply = get(server, large, range=asked)
    assert (reply.status, reply.body) == (206, LARGE[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(LARGE)}"
    assert reply.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-4", "bytes=x-", "bytes=-", "lines=1-2", "bytes=1"]
)
def test_several_ranges_and_what_is_none_give_the_whole(
    server: Server, document: str, asked: str
) -> None:
    reply = get(server, document, range=asked)
    assert (reply.status, reply.body) == (200, TEXT)


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_beyond_the_end(server: Server, document: str, asked: str) -> None:
    reply = get(server, document, range=asked)
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{len(TEXT)}"
    assert reply.codes() == ["value"]


def test_a_range_of_another_version_gives_the_whole(server: Server, document: str) -> None:
    modified = get(server, document).headers["last-modified"]
    for condition, status in (
        (ETAG, 206),
        (modified, 206),
        ('"other"', 200),
        (f"W/{ETAG}", 200),
        (formatdate(0, usegmt=True), 200),
    ):
        reply = get(server, document, range="bytes=0-9", if_range=condition)
        assert reply.status == status, condition


def test_head_takes_no_range(server: Server, document: str) -> None:
    assert ask(server, "HEAD", document, {"Range": "bytes=0-1"}).status == 200


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"a", {ETAG}', "*"])
def test_what_the_client_has_is_not_sent(server: Server, document: str, known: str) -> None:
    for method in ("GET", "HEAD"):
        reply = ask(server, method, document, {"If-None-Match": known, "Range": "bytes=99999-"})
        assert (reply.status, reply.body) == (304, b"")
        assert reply.headers["etag"] == ETAG
    assert get(server, document, if_none_match='"other"').status == 200


def test_dates_decide_where_there_is_no_etag(server: Server, document: str) -> None:
    modified = get(server, document).headers["last-modified"]
    long_ago = formatdate(0, usegmt=True)
    for headers, status in (
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": long_ago}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": modified, "If-None-Match": '"other"'}, 200),
        ({"If-Unmodified-Since": modified}, 200),
        ({"If-Unmodified-Since": long_ago}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": long_ago}, 200),
    ):
        assert ask(server, "GET", document, headers).status == status, headers


@pytest.mark.parametrize("wanted", ['"other"', f"W/{ETAG}"])
def test_what_the_client_does_not_mean_is_not_sent(
    server: Server, document: str, wanted: str
) -> None:
    reply = get(server, document, if_match=wanted)
    assert reply.status == 412
    assert reply.codes() == ["conflict"]


def test_an_empty_document_has_no_ranges() -> None:
    assert conditional.part({"HTTP_RANGE": "bytes=0-"}, 0, '"e"', None) is None


# --- what is not there ---------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", [NOBODY, "1", "..", NOBODY + "/x", ""])
def test_an_unknown_document(server: Server, identifier: str) -> None:
    for path in ("/document/", "/Binary/"):
        reply = get(server, path + identifier)
        assert reply.status == 404
        assert reply.codes() == ["not-found"]


def test_a_document_that_is_kept_elsewhere(server: Server) -> None:
    found = []
    for repository in ("2.999.77", EXAMPLE_REPOSITORY):
        entry = entry_of(new_patient(), "text/plain").updated(
            repository_unique_id=repository, hash="0" * 40, size="1"
        )
        with DocumentSource(registry_url=server.registry_url) as source:
            source.register(submission_of([entry]))
        reply = get(server, f"/document/{bare(entry)}")
        assert reply.status == 404
        found += [issue["details"]["text"] for issue in reply.json()["issue"]]
    assert found == ["XDSUnknownRepositoryId", "XDSDocumentUniqueIdError"]


def test_an_on_demand_document_is_not_made(server: Server) -> None:
    world = wire.World.new()
    wire.accept(server, world.fixture("iti61/on_demand_document"))
    reply = get(server, f"/document/{world.uuid(61).removeprefix('urn:uuid:')}")
    assert reply.status == 404
    assert "on demand" in reply.json()["issue"][0]["diagnostics"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("own"), {"workers": "1"}) as running:
        yield running


def stored(server: Server) -> list[Path]:
    return [path for path in (server.data / "documents").rglob("*") if path.is_file()]


@pytest.mark.on_files
def test_a_document_that_was_removed_is_gone(own: Server) -> None:
    for data in (b"small", LARGE):
        before = set(stored(own))
        path = f"/document/{provide(own, data)}"
        assert get(own, path).status == 200
        (file,) = set(stored(own)) - before
        file.unlink()
        for method in ("GET", "HEAD"):
            assert ask(own, method, path).status == 410
        reply = get(own, path)
        assert reply.codes() == ["deleted"]
        assert reply.json()["issue"][0]["details"]["text"] == "XDSDocumentUniqueIdError"


@pytest.mark.on_files
def test_a_document_that_was_cut_off_is_not_sent(own: Server) -> None:
    for data in (b"small", LARGE):
        before = set(stored(own))
        path = f"/document/{provide(own, data)}"
        (file,) = set(stored(own)) - before
        os.truncate(file, 3)
        reply = get(own, path)
        assert reply.status == 500
        assert reply.codes() == ["exception"]


@pytest.mark.on_files
def test_a_store_that_is_not_there_is_unavailable(own: Server) -> None:
    small, large = (f"/document/{provide(own, data)}" for data in (b"small", LARGE))
    folder = own.data / "documents"
    away = folder.rename(own.data / "away")
    try:
        for path in (small, large):
            reply = get(own, path)
            assert reply.status == 503
            assert int(reply.headers["retry-after"]) > 0
    finally:
        away.rename(folder)
    assert get(own, small).body == b"small"


@pytest.mark.on_files
def test_a_document_is_closed_when_its_reader_goes_away(own: Server) -> None:
    data = os.urandom(1 << 20) * 64
    path = f"/fhir/document/{provide(own, data)}"
    for _ in range(4):
        connection = http.client.HTTPConnection(own.host, own.port, timeout=PATIENCE)
        connection.request("GET", path)
        response = connection.getresponse()
        response.read(10)
        response.close()
        connection.close()
    until(lambda: open_documents(own), lambda still: not still)


def open_documents(server: Server) -> list[str]:
    """Return the documents that the processes of a server hold open."""
    folder = str(server.data / "documents")
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith(folder):
            found.append(target)
    return found


def test_a_failure_names_its_log_lines_and_no_document(own: Server) -> None:
    reply = get(own, f"/document/{NOBODY}", x_request_id="a-request")
    assert reply.headers["x-request-id"] == "a-request"
    (line,) = [line for line in own.log.read_text().splitlines() if "a-request" in line]
    logged = json.loads(line)
    assert (logged["transaction"], logged["outcome"]) == ("ITI-68", "failure")
    assert logged["violations"] == [{"code": "not-found"}]
    assert NOBODY not in line


def test_documents_are_read_and_nothing_else(server: Server, document: str) -> None:
    for method in ("POST", "PUT", "DELETE", "FOO"):
        reply = ask(server, method, document, body=b"x" * 300_000)
        assert reply.status == 405
        assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
        assert reply.codes() == ["not-supported"]
    assert ask(server, "OPTIONS", document).headers["allow"] == "GET, HEAD, OPTIONS"


# --- Binary --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10_240, 300_001])
def test_a_binary_is_a_resource_where_a_fhir_type_is_asked_for(server: Server, size: int) -> None:
    data = os.urandom(size)
    identifier = provide(server, data, "application/pdf")
    reply = get(server, f"/Binary/{identifier}", accept=FHIR_JSON)
    found = reply.json()
    assert b64decode(found.pop("data", "")) == data
    last_updated = found["meta"].pop("lastUpdated")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last_updated)
    assert found == {
        "resourceType": "Binary",
        "id": identifier,
        "meta": {"versionId": "1"},
        "contentType": "application/pdf",
        "securityContext": {"reference": f"DocumentReference/{identifier}"},
    }
    assert reply.headers["content-length"] == str(len(reply.body))
    xml = get(server, f"/Binary/{identifier}?_format=xml&_pretty=true")
    assert xml.headers["content-type"] == f"{FHIR_XML}; charset=utf-8"
    root = etree.fromstring(xml.body)
    encoded = "".join(root.xpath("f:data/@value", namespaces={"f": "http://hl7.org/fhir"}))
    assert b64decode(encoded) == data


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", f"{FHIR_JSON};q=0.1, text/plain"])
def test_a_binary_is_the_document_where_no_fhir_type_is_asked_for(
    server: Server, document: str, accept: str
) -> None:
    path = document.replace("document", "Binary")
    reply = get(server, path, **({"accept": accept} if accept else {}))
    assert (reply.status, reply.body) == (200, TEXT)
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["vary"] == "Accept"
    part = get(server, path, accept="*/*", range="bytes=0-9")
    assert (part.status, part.body) == (206, TEXT[:10])


def test_a_binary_of_a_fhir_document_is_a_resource_too(server: Server) -> None:
    path = f"/Binary/{provide(server, b'{}', FHIR_JSON)}"
    assert get(server, path, accept=FHIR_JSON).json()["resourceType"] == "Binary"
    assert get(server, path).body == b"{}"


def test_a_binary_has_a_version(server: Server, document: str) -> None:
    path = document.replace("document", "Binary")
    head = ask(server, "HEAD", path, {"Accept": FHIR_JSON})
    whole = get(server, path, accept=FHIR_JSON)
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": "", "x-request-id": ""} == {
        **whole.headers,
        "date": "",
        "x-request-id": "",
    }
    assert whole.headers["etag"] == 'W/"1"'
    assert get(server, path, accept=FHIR_JSON, if_none_match='W/"1"').status == 304


def test_a_binary_in_a_form_that_nobody_knows(server: Server, document: str) -> None:
    path = document.replace("document", "Binary")
    reply = get(server, path, accept="application/pdf")
    assert (reply.status, reply.codes()) == (406, ["not-supported"])
    for named in ("text/plain", FHIR_JSON, FHIR_XML):
        assert named in reply.json()["issue"][0]["diagnostics"]
    assert get(server, f"{path}?_format=pdf").status == 406
