"""Structural problems: one good resource, and for every rule a broken one with its place."""

import copy
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings

from tests.fhir import generated, schema
from tests.fhir.examples import official
from tests.reference import FHIR as FOLDER
from tests.reference import absent
from xds.fhir.r4 import elements, xml
from xds.fhir.r4 import json as fhir_json
from xds.fhir.r4.issues import MOST
from xds.fhir.r4.json import Decimal
from xds.fhir.r4.outcome import operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import problems

XHTML: Final = "http://www.w3.org/1999/xhtml"

GOOD: Final[Resource] = {
    "resourceType": "DocumentReference",
    "id": "entry-1",
    "meta": {
        "profile": ["https://example.org/profile|4.2.4"],
        "lastUpdated": "2024-02-29T10:00:00Z",
    },
    "text": {"status": "generated", "div": f'<div xmlns="{XHTML}">Report</div>'},
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p",
            "gender": "female",
            "birthDate": "1970-02",
            "multipleBirthInteger": 2,
            "name": [
                {
                    "family": "Müller\n",
                    "given": ["A", None],
                    "_given": [None, {"extension": [{"url": "urn:x", "valueBoolean": True}]}],
                }
            ],
        }
    ],
    "extension": [
        {"url": "urn:a", "valueOid": "urn:oid:1.2.3"},
        {"url": "urn:b", "valueUuid": "urn:uuid:c0ffee00-0000-4000-8000-000000000000"},
        {"url": "urn:c", "valueTime": "10:00:00.1882432"},
        {"url": "urn:d", "valueDecimal": Decimal("1.10")},
        {"url": "urn:e", "valuePositiveInt": 1},
        {"url": "urn:f", "valueDate": "2024-02-29"},
    ],
    "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.4"},
    "status": "current",
    "category": [{"coding": [{"system": "http://loinc.org", "code": "11369-6"}]}],
    "subject": {"reference": "Patient/1"},
    "date": "2024-05-01T10:00:00.123+01:00",
    "content": [
        {
            "attachment": {
                "contentType": "text/plain; charset=utf-8",
                "url": "urn:uuid:c0ffee00-0000-4000-8000-000000000001",
                "size": 2147483647,
                "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
                "creation": "2024-05",
            }
        }
    ],
}

Change = Callable[[Resource], object]


def changed(change: Change) -> Resource:
    resource = copy.deepcopy(GOOD)
    change(resource)
    return resource


def told(resource: Resource) -> list[tuple[str, str]]:
    return [(one.code, ", ".join(one.expression)) for one in problems(resource)]


def put(path: str, value: Any) -> Change:
    """Return a change that puts a value where a path such as ``content.0.attachment`` leads."""
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]

    def change(resource: Resource) -> None:
        inner: Any = resource
        for step in steps:
            inner = inner[step]
        if isinstance(inner, list) and last == len(inner):
            inner.append(value)
        else:
            inner[last] = value

    return change


def drop(name: str) -> Change:
    return lambda resource: resource.pop(name)


D: Final = "DocumentReference"
ATTACHMENT: Final = "content.0.attachment"
AT: Final = f"{D}.content[0].attachment"

# Those that HL7's JSON schema finds as well.
SEEN_BY_THE_SCHEMA: Final[list[tuple[str, Change, str, str]]] = [
    ("unknown element", put("titel", "x"), "structure", f"{D}.titel"),
    ("unknown inside", put(f"{ATTACHMENT}.Hash", "x"), "structure", f"{AT}.Hash"),
    ("type of a part", put("subject.resourceType", "x"), "structure", f"{D}.subject.resourceType"),
    ("text for a part", put("subject", "Patient/1"), "structure", f"{D}.subject"),
    ("list for one", put("subject", [{"reference": "a"}]), "structure", f"{D}.subject"),
    ("list for a code", put("status", ["current"]), "structure", f"{D}.status"),
    ("one for a list", put("category", {"text": "a"}), "structure", f"{D}.category"),
    ("number for text", put("description", 1), "structure", f"{D}.description"),
    ("text for a number", put(f"{ATTACHMENT}.size", "7"), "structure", f"{AT}.size"),
    ("object for text", put("description", {}), "structure", f"{D}.description"),
    ("null", put("description", None), "structure", f"{D}.description"),
    ("no content", drop("content"), "required", f"{D}.content"),
    ("no attachment", put("content.0", {"id": "a"}), "required", f"{D}.content[0].attachment"),
    ("code", put("status", "superceded"), "code-invalid", f"{D}.status"),
    ("code within", put("contained.0.gender", "f"), "code-invalid", f"{D}.contained[0].gender"),
    ("date", put("contained.0.birthDate", "02/1970"), "value", f"{D}.contained[0].birthDate"),
    ("date time", put(f"{ATTACHMENT}.creation", "2024-05-01T10:00Z"), "value", f"{AT}.creation"),
    ("no zone", put(f"{ATTACHMENT}.creation", "2024-05-01T10:00:00"), "value", f"{AT}.creation"),
    ("instant", put("date", "2024-05-01"), "value", f"{D}.date"),
    ("lone year 0", put(f"{ATTACHMENT}.creation", "0000"), "value", f"{AT}.creation"),
    ("id", put("id", "a_b"), "value", f"{D}.id"),
    ("oid", put("extension.0.valueOid", "1.2.3"), "value", f"{D}.extension[0].value"),
    ("uuid", put("extension.1.valueUuid", "urn:uuid:1"), "value", f"{D}.extension[1].value"),
    ("uri", put("implicitRules", "a b"), "value", f"{D}.implicitRules"),
    ("code form", put("language", " en"), "value", f"{D}.language"),
    ("time", put("extension.2.valueTime", "10:00"), "value", f"{D}.extension[2].value"),
    ("positive", put("extension.4.valuePositiveInt", 0), "value", f"{D}.extension[4].value"),
    ("boolean", put("extension.4.valueBoolean", 1), "structure", f"{D}.extension[4].value"),
    (
        "contained type",
        put("contained.0.resourceType", "Pacient"),
        "structure",
        f"{D}.contained[0].resourceType",
    ),
    (
        "text beside",
        put("contained.0.name.0._family", "x"),
        "structure",
        f"{D}.contained[0].name[0].family",
    ),
    ("beside a part", put("_subject", {"id": "a"}), "structure", f"{D}._subject"),
]
NOT_SEEN: Final[list[tuple[str, Change, str, str]]] = [
    (
        "contained twice",
        put("contained", [{"resourceType": "Device", "id": "a"} for _ in range(2)]),
        "duplicate",
        f"{D}.contained[1].id",
    ),
    ("empty text", put("description", ""), "structure", f"{D}.description"),
    ("empty list", put("category", []), "structure", f"{D}.category"),
    ("empty object", put("subject", {}), "structure", f"{D}.subject"),
    ("empty in a list", put("category.0", {}), "structure", f"{D}.category[0]"),
    ("empty beside", put("_description", {}), "structure", f"{D}.description"),
    (
        "nothing beside",
        put("contained.0.name.0._given", [None, None]),
        "structure",
        f"{D}.contained[0].name[0]._given",
    ),
    ("null in a list", put("category.1", None), "structure", f"{D}.category[1]"),
    (
        "null that pads nothing",
        put("contained.0.name.0.given", [None, None]),
        "structure",
        f"{D}.contained[0].name[0].given[0]",
    ),
    ("no status", drop("status"), "required", f"{D}.status"),
    ("no url", lambda it: it["extension"][0].pop("url"), "required", f"{D}.extension[0].url"),
    (
        "no type",
        lambda it: it["contained"][0].pop("resourceType"),
        "required",
        f"{D}.contained[0].resourceType",
    ),
    ("no base64", put(f"{ATTACHMENT}.hash", "2jmj7l5!"), "value", f"{AT}.hash"),
    ("base64 cut off", put(f"{ATTACHMENT}.hash", "2jmj7"), "value", f"{AT}.hash"),
    ("padding inside", put(f"{ATTACHMENT}.hash", "2j==mj7l"), "value", f"{AT}.hash"),
    ("too large", put(f"{ATTACHMENT}.size", 1 << 31), "value", f"{AT}.size"),
    ("negative", put(f"{ATTACHMENT}.size", -1), "value", f"{AT}.size"),
    ("a fraction", put(f"{ATTACHMENT}.size", Decimal("1.0")), "value", f"{AT}.size"),
    (
        "text for a decimal",
        put("extension.3.valueDecimal", "1"),
        "structure",
        f"{D}.extension[3].value",
    ),
    ("decimal for text", put("description", Decimal("1.0")), "structure", f"{D}.description"),
    ("no day", put("extension.5.valueDate", "2023-02-29"), "value", f"{D}.extension[5].value"),
    ("control character", put("description", "a\x00"), "value", f"{D}.description"),
    ("no character", put("description", "a\uffff"), "value", f"{D}.description"),
    ("long text", put("description", "a" * 1048577), "too-long", f"{D}.description"),
    ("two of a choice", put("extension.3.valueCode", "a"), "structure", f"{D}.extension[3].value"),
    (
        "two of a choice, one beside",
        put("extension.3._valueCode", {"id": "a"}),
        "structure",
        f"{D}.extension[3].value",
    ),
    (
        "contained twice",
        put("contained.0.contained", [{"resourceType": "Organization"}]),
        "structure",
        f"{D}.contained[0].contained",
    ),
    ("no resource", put("contained.0", "Patient"), "structure", f"{D}.contained[0]"),
    ("no XML", put("text.div", f'<div xmlns="{XHTML}"><p></div>'), "structure", f"{D}.text.div"),
    ("no XHTML", put("text.div", "<div>a</div>"), "structure", f"{D}.text.div"),
    (
        "an entity",
        put("text.div", f'<div xmlns="{XHTML}">&nbsp;</div>'),
        "structure",
        f"{D}.text.div",
    ),
]


def _cases(rows: list[tuple[str, Change, str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("change", "code", "expression"), [row[1:] for row in rows], ids=[row[0] for row in rows]
    )


def test_a_good_resource_has_no_problems() -> None:
    assert problems(GOOD) == []
    assert problems(GOOD, expected="DocumentReference") == []


@_cases([*SEEN_BY_THE_SCHEMA, *NOT_SEEN])
def test_each_problem_has_its_place(change: Change, code: str, expression: str) -> None:
    assert (code, expression) in told(changed(change))
    assert all(one.severity == "error" for one in problems(changed(change)))


@_cases(SEEN_BY_THE_SCHEMA)
def test_the_schema_finds_the_same(
    definitions: dict[str, Any], change: Change, code: str, expression: str
) -> None:
    assert schema.accepts(definitions, _plain(GOOD))
    assert not schema.accepts(definitions, _plain(changed(change)))


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    if not FOLDER.exists():
        pytest.skip(absent(FOLDER))
    found: dict[str, Any] = json.loads((FOLDER / "fhir.schema.json").read_bytes())["definitions"]
    return found


def _plain(resource: Resource) -> Any:
    """Return a resource without what the schema does not take though JSON's form has it."""
    plain = json.loads(fhir_json.render(resource))
    name = plain["contained"][0]["name"][0]
    for padded in ("given", "_given"):
        name[padded] = [one for one in name[padded] if one is not None]
    return plain


@official
def test_official_examples_have_no_problems(path: Any) -> None:
    found = problems(fhir_json.read(path.read_bytes()))
    # The publisher of guides writes parameters of its own, though R4 binds their codes.
    codes = ".definition.parameter["
    assert [one for one in found if codes not in one.expression[0]] == []


@settings(max_examples=40)
@given(generated.resources())
def test_what_the_table_makes_has_no_problems(resource: Resource) -> None:
    assert problems(resource) == []


@settings(max_examples=40)
@given(generated.resources())
def test_whatever_is_needed_is_missed(resource: Resource) -> None:
    name = resource["resourceType"]
    for step, names in elements.known(name).required:
        without = {key: value for key, value in resource.items() if key not in names}
        assert ("required", f"{name}.{step}") in told(without)


def test_places_in_bundles_are_told_from_the_bundle() -> None:
    entry = {"fullUrl": "urn:uuid:1", "resource": changed(put("subject", {"refrence": "a"}))}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"fullUrl": "a"}, entry]}
    assert told(bundle) == [("structure", "Bundle.entry[1].resource.subject.refrence")]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ({}, "required"),
        ({"resourceType": "Documentreference"}, "structure"),
        ({"resourceType": 1}, "structure"),
        ({"resourceType": "Element"}, "structure"),
    ],
)
def test_every_resource_has_a_type(resource: Resource, code: str) -> None:
    ((found, expression),) = told(resource)
    assert found == code
    assert expression.endswith(".resourceType")


def test_another_resource_than_is_expected() -> None:
    (issue,) = problems({"resourceType": "Patient"}, expected="DocumentReference")
    assert (issue.code, issue.expression) == ("invalid", ("Patient.resourceType",))


def test_an_element_may_have_extensions_and_no_value() -> None:
    beside = {"extension": [{"url": "urn:reason", "valueCode": "masked"}]}
    resource = changed(put("_status", beside))
    del resource["status"]
    assert problems(resource) == []


def test_an_element_may_be_named_as_the_type_is() -> None:
    instance = {"resourceId": "a", "resourceType": "Patient"}
    scenario = {"resourceType": "ExampleScenario", "status": "draft", "instance": [instance]}
    assert problems(scenario) == []


def test_texts_are_not_quoted_in_what_is_told() -> None:
    resource = changed(put("contained.0.birthDate", "born in 1970"))
    assert "born" not in problems(resource)[0].diagnostics


def test_not_more_is_told_than_anybody_reads() -> None:
    resource = changed(put("category", [None] * 10 * MOST))
    assert len(problems(resource)) == MOST


@pytest.mark.parametrize(("name", "shown"), [("a\x00", "?"), ("b" * 1000, "b" * 64)])
def test_names_are_told_so_that_an_answer_can_hold_them(name: str, shown: str) -> None:
    (issue,) = problems(changed(put(name, "x")))
    assert issue.expression == (f"DocumentReference.{shown}",)
    assert xml.render(operation_outcome([issue]))
    assert shown in problems({"resourceType": name})[0].diagnostics


def _document(**composition: Any) -> Resource:
    first = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "a"},
        "date": "2024",
        "author": [{"display": "a"}],
        "title": "a",
        **composition,
    }
    document = {"resourceType": "Bundle", "type": "document", "entry": [{"resource": first}]}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": document}],
    }


def test_in_a_document_what_is_not_known_is_a_warning() -> None:
    issues = problems(_document(version="1", _newer={"id": "a"}))
    where = "Bundle.entry[0].resource.entry[0].resource."
    assert [one.expression[0] for one in issues] == [f"{where}version", f"{where}_newer"]
    assert {one.severity for one in issues} == {"warning"}


def test_in_a_document_what_is_wrong_is_an_error() -> None:
    # more warnings than are told do not hide it
    unknown = {f"new{number}": 1 for number in range(2 * MOST)}
    issues = problems(_document(**unknown, status="finished"))
    assert [one.code for one in issues if one.severity == "error"] == ["code-invalid"]
    assert len(issues) == MOST + 1
