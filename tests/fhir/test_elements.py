"""The table of elements: it is made from the definitions, and agrees with HL7's JSON schema."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.fhir import definitions
from tests.fhir.node import node_packages
from tests.reference import FHIR as FOLDER
from tests.reference import absent
from xds.fhir.r4 import elements
from xds.fhir.r4.elements import Element

SCHEMA: Final = FOLDER / "fhir.schema.json"

# What this copy of the schema has more than R4: additions of those who packed it, and
# modifierExtension in parts of data types, which have none (R4, 2.24.0.2).
NOT_OF_R4: Final = {
    "Meta": {"author", "project", "account", "compartment"},
    "Reference": {"resource"},
    "OperationOutcome": {"status", "resource"},
    "DeviceDefinition": {"classification"},
    "ObservationDefinition": {"publisher"},
}
# A code in the schema only: its binding is extensible in R4.
NO_CODES: Final = {("Expression", "language")}


def test_the_table_is_what_the_definitions_make() -> None:
    package = node_packages("fhir")
    if package is None:
        pytest.skip("Node 20 with its package fhir is not here")
    assert elements._TABLE.read_text() == definitions.table(package / "fhir")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    if not SCHEMA.exists():
        pytest.skip(absent(SCHEMA))
    found: dict[str, Any] = json.loads(SCHEMA.read_bytes())["definitions"]
    return found


def test_the_table_agrees_with_the_schema(schema: dict[str, Any]) -> None:
    pairs = dict(_pairs(schema))
    assert len(pairs) > 600
    assert [told for name, key in pairs.items() for told in _differences(name, schema[key])] == []


def _pairs(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return types of the table with the definitions in the schema that are about them."""
    left = [(name, name) for name in elements.type_names() if "." not in name and name in schema]
    seen: set[str] = set()
    while left:
        name, key = left.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name, key
        for one in elements.known(name).elements.values():
            reference = _of(schema[key], one.name).get("$ref", "")
            if "." in one.type and reference:
                left.append((one.type, reference.rpartition("/")[2]))


def _of(definition: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = definition["properties"].get(name, {})
    inner: dict[str, Any] = found.get("items", found)
    return inner


def _differences(name: str, definition: dict[str, Any]) -> Iterator[str]:
    type_ = elements.known(name)
    theirs = [one for one in definition["properties"] if not one.startswith("_")]
    if "resourceType" not in type_.elements:
        theirs = [one for one in theirs if one != "resourceType"]
    more = NOT_OF_R4.get(name, set())
    if "modifierExtension" not in type_.elements:
        more = more | {"modifierExtension"}
    if [one for one in theirs if one not in more] != list(type_.elements):
        yield f"{name} has {theirs}"
    needed = set(definition.get("required", ())) - {"resourceType"}
    if not needed <= {step for step, _ in type_.required}:
        yield f"{name} needs {needed}"
    for one in type_.elements.values():
        yield from _differences_of(f"{name}.{one.name}", one, definition)


def _differences_of(place: str, one: Element, definition: dict[str, Any]) -> Iterator[str]:
    if (definition["properties"][one.name].get("type") == "array") != one.repeats:
        yield f"{place} repeats otherwise"
    content = _of(definition, one.name)
    if "enum" in content:
        if one.codes != set(content["enum"]) and tuple(place.split(".")) not in NO_CODES:
            yield f"{place} has the codes {content['enum']}"
    elif "$ref" in content:
        kind = content["$ref"].rpartition("/")[2]
        nested = "." in one.type and kind.partition("_")[0] == one.type.partition(".")[0]
        if not nested and kind != {"Resource": "ResourceList"}.get(one.type, one.type):
            yield f"{place} is {kind}"


@pytest.mark.parametrize(
    ("type_", "name", "codes"),
    [
        ("DocumentReference", "status", "current superseded entered-in-error"),
        ("DocumentReference.relatesTo", "code", "replaces transforms signs appends"),
        ("List", "status", "current retired entered-in-error"),
        ("List", "mode", "working snapshot changes"),
        ("Bundle.entry.request", "method", "GET HEAD POST PUT DELETE PATCH"),
        ("Bundle.entry.search", "mode", "match include outcome"),
        ("Patient", "gender", "male female other unknown"),
        ("Patient.link", "type", "replaced-by replaces refer seealso"),
        ("ContactPoint", "system", "phone fax email pager url sms other"),
        ("ContactPoint", "use", "home work temp old mobile"),
        ("Identifier", "use", "usual official temp secondary old"),
        ("Narrative", "status", "generated extensions additional empty"),
        ("OperationOutcome.issue", "severity", "fatal error warning information"),
        ("Composition", "confidentiality", "U L M N R V"),
        ("Attachment", "contentType", ""),
    ],
)
def test_codes_that_are_demanded(type_: str, name: str, codes: str) -> None:
    assert elements.known(type_).elements[name].codes == set(codes.split())


def test_what_mhd_3_and_4_send_is_known() -> None:
    named = "Bundle Binary DocumentReference DocumentManifest List Patient Practitioner Parameters"
    assert set(named.split()) < elements.resource_types()
    assert len(elements.resource_types()) == 146


@pytest.mark.parametrize("name", ["Element", "Coding", "Resource", "DomainResource", "patient", ""])
def test_what_is_no_resource_is_none(name: str) -> None:
    assert elements.resource_type(name) is None


def test_a_type_that_is_not_there_is_none() -> None:
    assert elements.type_of("DocumentReference.nothing") is None


def test_a_choice_has_an_element_for_each_type() -> None:
    extension = elements.known("Extension")
    assert extension.elements["valueQuantity"].step == "value"
    assert len([one for one in extension.elements.values() if one.choice]) == 50
    assert extension.required == (("url", ("url", "_url")),)


def test_an_element_may_have_the_content_of_another() -> None:
    assert elements.known("Bundle.entry").elements["link"].type == "Bundle.link"
    assert elements.known("ClaimResponse").elements["adjudication"].repeats


def test_expressions_are_told_from_the_outermost_resource() -> None:
    entry: elements.Place = ((None, "Bundle", None), "entry", 1)
    place: elements.Place = ((entry, "resource", None), "subject", None)
    assert elements.expression(place) == "Bundle.entry[1].resource.subject"
