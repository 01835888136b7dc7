"""Updates as national programmes and the HAPI client send them, and the answers that they expect.

CH:MHD-1 of the Swiss EPR, PDSm of the French ANS, ISiK of gematik, NRL of NHS England; the messages
are made here.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask
from tests.fhir.updated import (
    RESTRICTED,
    UPDATE_OPTIONS,
    Published,
    history_of,
    published,
    setting,
)
from tests.serving import Server, serving
from xds.fhir.patch.bodies import JSON_PATCH, XML_PATCH
from xds.fhir.r4 import xml
from xds.fhir.r4.resource import Resource

shows = pytest.mark.shows
D = "DocumentReference"
_UNMODIFIABLE = "UnmodifiableMetadataError"


def _master(document: Published) -> str:
    value: str = document.read()["masterIdentifier"]["value"]
    return value


# --- CH:MHD-1 ------------------------------------------------------------------------------------


def _swiss(resource: Resource) -> None:
    """Say identifiers as CH:MHD does, and the label that is to change."""
    resource["masterIdentifier"] = {
        "system": "urn:ietf:rfc:3986",
        "value": resource["masterIdentifier"]["value"],
    }
    (uuid,) = (
        one["value"]
        for one in resource["identifier"]
        if "entryUUID" in json.dumps(one.get("type", {}))
    )
    resource["identifier"] = [{"use": "official", "system": "urn:ietf:rfc:3986", "value": uuid}]
    resource["securityLabel"] = RESTRICTED


def test_a_swiss_put_changes_the_label(document: Published) -> None:
    reply = document.put(document.edited(_swiss))
    assert reply.status == 200, reply.body
    assert (reply.json()["securityLabel"], history_of(reply.json())) == (
        RESTRICTED,
        ("2", "current"),
    )
    assert reply.headers["etag"].startswith('W/"2-')


def test_a_swiss_put_in_xml_is_answered_in_xml(document: Published) -> None:
    body = xml.render(document.edited(_swiss))
    reply = document.send("PUT", document.path, body, Content_Type=FHIR_XML, Accept=FHIR_XML)
    assert (reply.status, reply.body[:80].count(b"DocumentReference")) == (200, 1)


def test_a_swiss_put_of_a_part_of_the_resource_is_refused(document: Published) -> None:
    """CH:MHD-1 sends the whole resource: what is missing would be taken away."""
    before = document.read()
    part = {
        "resourceType": D,
        "id": document.id,
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": _master(document)},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": before["subject"],
        "securityLabel": RESTRICTED,
        "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/b1"}}],
    }
    told = document.refuses(document.put(part), 422)
    assert ("processing", _UNMODIFIABLE, f"{D}.content[0].attachment.url") in told
    assert document.read() == before


def test_a_swiss_transaction(updating: Server, document: Published) -> None:
    entry = {
        "fullUrl": f"{updating.url}/fhir/{D}/{document.id}",
        "resource": document.edited(_swiss),
        "request": {"method": "PUT", "url": f"{D}/{document.id}", "ifMatch": 'W/"1"'},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
    reply = ask(updating, "POST", "", headers, json.dumps(bundle).encode())
    assert reply.status == 200, reply.body
    assert document.read()["securityLabel"] == RESTRICTED


# --- PDSm of the ANS -----------------------------------------------------------------------------

ARCHIVED = {
    "url": "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived",
    "valueBoolean": True,
}


@pytest.fixture(scope="module")
def french(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("pdsm")
    options = {
        **UPDATE_OPTIONS,
        "database": databases.url(data),
        "fhir_changeable": "status securityLabel extension",
        "fhir_unchangeable_status": "405",
    }
    with serving(data, options) as running:
        yield running


def _patched(document: Published, content_type: str, patch: Any) -> Reply:
    """Send a patch of the document that has the masterIdentifier, as PDSm does."""
    path = f"/{D}?identifier=urn:ietf:rfc:3986|{_master(document)}"
    body = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    return document.send("PATCH", path, body, Content_Type=content_type)


def _operation(path: str, **value: object) -> Resource:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", **value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


_XML_STATUS = (
    b'<diff xmlns:f="http://hl7.org/fhir">'
    b'<replace sel="f:DocumentReference/f:status/@value">superseded</replace></diff>'
)


@shows("FHIR PATCH /DocumentReference")
@pytest.mark.parametrize(
    ("content_type", "patch", "outcome"),
    [
        (
            JSON_PATCH,
            [{"op": "replace", "path": "/status", "value": "superseded"}],
            ("1", "superseded"),
        ),
        (XML_PATCH, _XML_STATUS, ("1", "superseded")),
        (FHIR_JSON, _operation(f"{D}.status", valueCode="superseded"), ("1", "superseded")),
        (
            JSON_PATCH,
            [{"op": "replace", "path": "/securityLabel", "value": RESTRICTED}],
            ("2", "current"),
        ),
        (JSON_PATCH, [{"op": "add", "path": "/extension", "value": [ARCHIVED]}], ("2", "current")),
    ],
)
def test_a_french_patch(
    french: Server, content_type: str, patch: Any, outcome: tuple[str, str]
) -> None:
    reply = _patched(published(french), content_type, patch)
    assert (reply.status, history_of(reply.json())) == (200, outcome)
    assert reply.headers["etag"].startswith(f'W/"{outcome[0]}-')


@pytest.mark.parametrize(
    ("content_type", "patch", "place"),
    [
        (
            JSON_PATCH,
            [{"op": "add", "path": "/description", "value": "other"}],
            f"{D}.description",
        ),
        (
            FHIR_JSON,
            _operation(f"{D}.masterIdentifier.value", valueUri="urn:oid:2.999.7"),
            f"{D}.masterIdentifier",
        ),
    ],
)
def test_a_french_patch_of_another_element_is_not_allowed(
    french: Server, content_type: str, patch: Any, place: str
) -> None:
    document = published(french)
    before = document.read()
    reply = _patched(document, content_type, patch)
    assert [one[2] for one in document.refuses(reply, 405)] == [place]
    assert reply.headers["allow"] == "GET, HEAD"
    assert document.read() == before


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "replace", "path": "/status", "value": "current "}],
        [{"op": "replace", "path": "/extension[url:”isArchived”]", "value": "true"}],
        [{"op": "replace", "path": "/securityLabel", "value": "R"}],
        [{"op": "add", "path": "/extension", "value": [{**ARCHIVED, "valueBoolean": "true"}]}],
    ],
)
def test_a_french_patch_that_is_malformed_changes_nothing(french: Server, patch: Any) -> None:
    document = published(french)
    before = document.read()
    assert _patched(document, JSON_PATCH, patch).status in (400, 422)
    assert document.read() == before


# --- ISiK of gematik -----------------------------------------------------------------------------


@shows("FHIR POST /DocumentReference/{id}/$update-metadata")
def test_a_german_update_of_doc_status(document: Published) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "docStatus", "valueCode": "amended"}],
    }
    body = json.dumps(parameters).encode()
    reply = document.send("POST", f"{document.path}/$update-metadata", body)
    assert (reply.status, reply.json()["docStatus"]) == (200, "amended")


# --- NRL of NHS England --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("nrl")
    options = {
        **UPDATE_OPTIONS,
        "database": databases.url(data),
        "fhir_changeable": "docStatus securityLabel description content context category",
        "fhir_unchangeable_status": "400",
    }
    with serving(data, options) as running:
        yield running


def test_an_english_put_keeps_the_date(english: Server) -> None:
    document = published(english)
    before = document.read()["date"]
    changed = document.edited(
        setting(docStatus="amended", description="other", date="2020-01-01T00:00:00Z")
    )
    reply = document.put(changed)
    assert (reply.status, reply.json()["docStatus"]) == (200, "amended")
    assert reply.json()["date"] >= before


@pytest.mark.parametrize(
    "element",
    [
        {"type": {"coding": [{"system": "http://loinc.org", "code": "34133-9", "display": "X"}]}},
        {"custodian": {"display": "Another"}},
        {"subject": {"reference": "Patient/999999"}},
        {"status": "superseded"},
    ],
)
def test_an_english_put_of_what_never_changes_is_a_bad_request(
    english: Server, element: Resource
) -> None:
    document = published(english)
    before = document.read()
    told = document.refuses(document.put(document.edited(setting(**element))), 400)
    assert {one[2] for one in told} == {f"{D}.{next(iter(element))}"}
    assert document.read() == before


def test_an_english_delete(english: Server) -> None:
    document = published(english)
    reply = document.send("DELETE", document.path)
    assert (reply.status, reply.json()["resourceType"]) == (200, "OperationOutcome")


# --- HAPI's client -------------------------------------------------------------------------------

HAPI = {
    "User_Agent": "HAPI-FHIR/8.4.0 (FHIR Client; FHIR 4.0.1/R4; apache)",
    "Accept_Charset": "utf-8",
    "Accept_Encoding": "gzip",
}
IN_JSON = {**HAPI, "Accept": "application/fhir+json;q=1.0, application/json+fhir;q=0.9"}
IN_EITHER = {
    **HAPI,
    "Accept": "application/fhir+xml;q=1.0, application/fhir+json;q=1.0, "
    "application/xml+fhir;q=0.9, application/json+fhir;q=0.9",
}
TYPED = "application/fhir+json; charset=UTF-8"


def test_hapi_updates_what_it_has_read(document: Published) -> None:
    read = document.send("GET", document.path, None, **IN_JSON).json()
    body = json.dumps({**read, "description": "by HAPI"}).encode()
    version = read["meta"]["versionId"]
    reply = document.send(
        "PUT",
        document.path,
        body,
        **IN_JSON,
        Content_Type=TYPED,
        Prefer="return=representation",
        If_Match=f'W/"{version}"',
    )
    assert (reply.status, reply.json()["description"]) == (200, "by HAPI")
    again = document.send(
        "PUT", document.path, body, **IN_JSON, Content_Type=TYPED, If_Match=f'W/"{version}"'
    )
    assert document.refuses(again, 412)[0][1] == "XDSMetadataVersionError"


@pytest.mark.parametrize(
    ("prefer", "kind"), [("return=minimal", ""), ("return=OperationOutcome", "OperationOutcome")]
)
def test_hapi_is_told_as_much_as_it_prefers(document: Published, prefer: str, kind: str) -> None:
    body = json.dumps(document.edited(setting(description=prefer))).encode()
    path = f"{document.path}?_format=json"
    reply = document.send("PUT", path, body, **IN_JSON, Content_Type=TYPED, Prefer=prefer)
    assert reply.status == 200
    assert (json.loads(reply.body)["resourceType"] if reply.body else "") == kind
    assert reply.headers["etag"].startswith('W/"2-')


def test_hapi_updates_what_a_search_finds(document: Published) -> None:
    search = f"identifier={quote(f'urn:ietf:rfc:3986|{_master(document)}', safe='')}"
    body = json.dumps(document.edited(setting(description="by HAPI", id=None))).encode()
    reply = document.send("PUT", f"/{D}?{search}", body, **IN_JSON, Content_Type=TYPED)
    assert (reply.status, reply.json()["id"]) == (200, document.id)


def test_hapi_updates_in_xml(document: Published) -> None:
    body = xml.render(document.edited(setting(description="by HAPI")))
    content = "application/fhir+xml; charset=UTF-8"
    reply = document.send("PUT", document.path, body, **IN_EITHER, Content_Type=content)
    assert reply.status == 200
    assert document.read()["description"] == "by HAPI"


@shows("FHIR PATCH /DocumentReference/{id}")
def test_hapi_patches(document: Published) -> None:
    patch = b'[{"op": "add", "path": "/description", "value": "by HAPI"}]'
    content = f"{JSON_PATCH}; charset=UTF-8"
    reply = document.send("PATCH", document.path, patch, **IN_EITHER, Content_Type=content)
    assert reply.status == 200
    assert document.read()["description"] == "by HAPI"


@pytest.mark.parametrize("is_conditional", [False, True])
def test_hapi_deletes(document: Published, is_conditional: bool) -> None:
    search = f"?identifier={quote(f'urn:ietf:rfc:3986|{_master(document)}', safe='')}"
    path = f"/{D}{search}" if is_conditional else document.path
    reply = document.send("DELETE", path, None, **IN_JSON)
    assert (reply.status, reply.json()["resourceType"]) == (200, "OperationOutcome")
    assert document.send("DELETE", path, None, **IN_JSON).codes() == ["not-found"]


def test_hapi_reads_the_history(document: Published) -> None:
    document.put(document.edited(setting(description="seen")))
    path = f"{document.path}/_history?_count=1&_since=2020-01-01T00%3A00%3A00Z&_format=json"
    bundle = document.send("GET", path, None, **IN_JSON).json()
    assert (bundle["type"], bundle["total"], len(bundle["entry"])) == ("history", 2, 1)
    (following,) = (one["url"] for one in bundle["link"] if one["relation"] == "next")
    older = document.send("GET", following.partition("/fhir")[2], None, **IN_JSON).json()
    assert [history_of(one["resource"])[0] for one in older["entry"]] == ["1"]
