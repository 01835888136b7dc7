"""JSON Patch, XML Patch and FHIRPath Patch: what they make of a resource, what they refuse."""

import json
from typing import Any

import pytest

from xds.fhir.patch.bodies import JSON_PATCH, XML_PATCH, patch_of
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON

URL = "http://example.org/archived"
RESOURCE: Resource = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "extension": [{"url": "http://example.org/other", "valueString": "x"}],
    "status": "current",
    "description": "Note",
    "category": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
    "content": [{"attachment": {"contentType": "text/plain", "title": "T"}}],
}


def _patched(content_type: str, data: bytes) -> Resource:
    return patch_of(data, content_type, 64)(RESOURCE)


def _json(*operations: dict[str, Any]) -> Resource:
    return _patched(JSON_PATCH, json.dumps(operations).encode())


def _xml(content: str) -> Resource:
    text = f'<diff xmlns="urn:ietf:params:xml:ns:pidf-diff">{content}</diff>'
    return _patched(XML_PATCH, text.encode())


def _operation(**parts: Any) -> dict[str, Any]:
    found = [
        {"name": name, **(value if isinstance(value, dict) else {_KEYS[name]: value})}
        for name, value in parts.items()
    ]
    return {"name": "operation", "part": found}


_KEYS = {
    "type": "valueCode",
    "path": "valueString",
    "name": "valueString",
    "value": "valueString",
    "index": "valueInteger",
    "source": "valueInteger",
    "destination": "valueInteger",
}


def _fhirpath(*operations: dict[str, Any]) -> Resource:
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return _patched(FHIR_JSON, json.dumps(parameters).encode())


def _with(**elements: Any) -> Resource:
    found = {**RESOURCE, **elements}
    return {name: value for name, value in found.items() if value is not None}


ARCHIVED = {"url": URL, "valueBoolean": True}


def test_json_patch() -> None:
    made = _json(
        {"op": "test", "path": "/status", "value": "current"},
        {"op": "replace", "path": "/status", "value": "superseded"},
        {"op": "remove", "path": "/description"},
        {"op": "add", "path": "/extension/-", "value": ARCHIVED},
        {"op": "copy", "from": "/category/0", "path": "/category/3"},
        {"op": "move", "from": "/category/1", "path": "/category/0"},
    )
    assert made == _with(
        status="superseded",
        description=None,
        extension=[*RESOURCE["extension"], ARCHIVED],
        category=[{"text": "b"}, {"text": "a"}, {"text": "c"}, {"text": "a"}],
    )


def test_xml_patch() -> None:
    made = _xml(
        '<replace sel="f:DocumentReference/f:status/@value">superseded</replace>'
        '<remove sel="/f:DocumentReference/f:description"/>'
        '<add sel="DocumentReference/extension[1]" pos="after">'
        f'<extension xmlns="http://hl7.org/fhir" url="{URL}"><valueBoolean value="true"/>'
        "</extension></add>"
        '<replace sel="f:DocumentReference/f:category[2]">'
        '<category><text value="z"/></category></replace>'
    )
    assert made == _with(
        status="superseded",
        description=None,
        extension=[*RESOURCE["extension"], ARCHIVED],
        category=[{"text": "a"}, {"text": "z"}, {"text": "c"}],
    )


def test_fhirpath_patch() -> None:
    made = _fhirpath(
        _operation(
            type="replace", path="DocumentReference.status", value={"valueCode": "superseded"}
        ),
        _operation(type="delete", path="DocumentReference.description"),
        _operation(
            type="insert",
            path="DocumentReference.category",
            index=1,
            value={"valueCodeableConcept": {"text": "n"}},
        ),
        _operation(type="move", path="DocumentReference.category", source=0, destination=3),
        _operation(
            type="replace",
            path="DocumentReference.extension.where(url = 'http://example.org/other').value",
            value="y",
        ),
        _operation(
            type="add",
            path="DocumentReference.content[0].attachment",
            name="language",
            value={"valueCode": "de"},
        ),
    )
    assert made == _with(
        status="superseded",
        description=None,
        category=[{"text": "n"}, {"text": "b"}, {"text": "c"}, {"text": "a"}],
        extension=[{"url": "http://example.org/other", "valueString": "y"}],
        content=[{"attachment": {"contentType": "text/plain", "title": "T", "language": "de"}}],
    )


def test_fhirpath_patch_deletes_what_is_not_there() -> None:
    assert _fhirpath(_operation(type="delete", path="DocumentReference.docStatus")) == RESOURCE


def _refusal(content_type: str, data: bytes) -> tuple[int, str]:
    before = json.dumps(RESOURCE)
    with pytest.raises(Refused) as refused:
        _patched(content_type, data)
    assert json.dumps(RESOURCE) == before
    return refused.value.status, refused.value.issues[0].code


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "test", "path": "/status", "value": "superseded"}, 422),
        ({"op": "test", "path": "/status", "value": True}, 422),
        ({"op": "replace", "path": "/docStatus", "value": "final"}, 422),
        ({"op": "replace", "path": "/category/3", "value": {}}, 422),
        ({"op": "replace", "path": "/category/01", "value": {}}, 422),
        ({"op": "remove", "path": ""}, 422),
        ({"op": "move", "from": "/content", "path": "/content/0"}, 422),
        ({"op": "replace", "path": "/status", "value": "current "}, 422),
        ({"op": "replace", "path": "/category", "value": "x"}, 422),
        ({"op": "replace", "path": "status", "value": "current"}, 400),
        ({"op": "replace", "path": "/status"}, 400),
        ({"op": "change", "path": "/status", "value": "x"}, 400),
    ],
)
def test_json_patches_that_are_refused(operation: Any, status: int) -> None:
    assert _refusal(JSON_PATCH, json.dumps([operation]).encode())[0] == status


def test_a_resource_does_not_grow_by_copies_of_copies() -> None:
    copies = [{"op": "copy", "from": "/category", "path": "/category/-"}] * 40
    assert _refusal(JSON_PATCH, json.dumps(copies).encode())[0] == 422


@pytest.mark.parametrize("data", [b"{}", b"[]", b"[", b'[{"op": "test"}]', b"[1]"])
def test_what_is_no_json_patch(data: bytes) -> None:
    assert _refusal(JSON_PATCH, data)[0] == 400


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('<replace sel="f:DocumentReference/f:docStatus/@value">final</replace>', 422),
        ('<remove sel="f:DocumentReference/f:category"/>', 422),
        ('<replace sel="f:DocumentReference/f:status/@value">current </replace>', 422),
        ('<remove sel="f:DocumentReference"/>', 422),
        ('<remove sel="//f:status"/>', 400),
        ("<remove sel=\"f:DocumentReference/f:category[text()='a']\"/>", 400),
        ('<remove sel="count(/f:a)"/>', 400),
        ('<move sel="f:DocumentReference/f:status"/>', 400),
        ("", 400),
        ("<remove", 400),
    ],
)
def test_xml_patches_that_are_refused(content: str, status: int) -> None:
    text = f'<diff xmlns="urn:ietf:params:xml:ns:pidf-diff">{content}</diff>'
    assert _refusal(XML_PATCH, text.encode())[0] == status


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (_operation(type="replace", path="DocumentReference.docStatus", value="final"), 422),
        (_operation(type="replace", path="DocumentReference.category", value="x"), 422),
        (_operation(type="replace", path="Patient.active", value="x"), 422),
        (_operation(type="add", path="DocumentReference", name="status", value="x"), 422),
        (_operation(type="add", path="DocumentReference", name="nothing", value="x"), 422),
        (_operation(type="insert", path="DocumentReference.category", index=9, value="x"), 422),
        (_operation(type="delete", path="DocumentReference.category"), 422),
        (_operation(type="delete", path="DocumentReference"), 422),
        (_operation(type="delete", path="DocumentReference.category.first()"), 400),
        (_operation(type="delete", path="DocumentReference..status"), 400),
        (_operation(type="replace", path="DocumentReference.status"), 400),
        (_operation(type="change", path="DocumentReference.status"), 400),
        ({"name": "change"}, 400),
    ],
)
def test_fhirpath_patches_that_are_refused(operation: Any, status: int) -> None:
    parameters = {"resourceType": "Parameters", "parameter": [operation]}
    assert _refusal(FHIR_JSON, json.dumps(parameters).encode())[0] == status


def test_another_media_type() -> None:
    assert _refusal("application/json", b"[]") == (415, "not-supported")
