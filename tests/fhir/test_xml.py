"""The XML form: read as it is seen in the wild, with nothing lost, and written as R4 demands."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings

from tests.fhir import generated
from tests.fhir.examples import OFFICIAL, canonical, official
from tests.fhir.node import node, node_packages
from tests.reference import FHIR, needs
from tests.waiting import PATIENCE
from xds.fhir.r4 import json as fhir_json
from xds.fhir.r4 import xml
from xds.fhir.r4.json import DEEPEST, Decimal
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import problems

XHTML: Final = "http://www.w3.org/1999/xhtml"


def document_reference(content: str, attributes: str = "") -> bytes:
    return f'<DocumentReference xmlns="http://hl7.org/fhir"{attributes}>{content}</DocumentReference>'.encode()


def read(content: str, attributes: str = "") -> Resource:
    resource, issues = xml.read(document_reference(content, attributes))
    assert issues == []
    assert resource.pop("resourceType") == "DocumentReference"
    return resource


def refused(data: bytes) -> Issue:
    with pytest.raises(Refused) as refusal:
        xml.read(data)
    assert refusal.value.status == 400
    issue = refusal.value.issues[0]
    assert (issue.code, issue.severity) == ("structure", "error")
    return issue


# --- both ways -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(generated.resources())
def test_what_is_written_is_read_again(resource: Resource) -> None:
    again, issues = xml.read(xml.render(resource))
    assert (again, issues) == (resource, [])
    # a Decimal is equal to the text of its digits, but is rendered otherwise
    assert _sorted(again) == _sorted(resource)
    assert xml.read(xml.render(resource, pretty=True)) == (resource, [])


def _sorted(resource: Resource) -> Any:
    plain = json.loads(fhir_json.render(resource), parse_float=lambda digits: f"number {digits}")
    return json.dumps(plain, sort_keys=True)


@official
def test_official_examples_come_back_from_xml(path: Path) -> None:
    resource = fhir_json.read(path.read_bytes())
    again, issues = xml.read(xml.render(resource))
    assert issues == []
    assert canonical(again) == canonical(resource)


def test_the_order_is_that_of_r4() -> None:
    resource = {
        "content": [{"attachment": {"url": "a", "contentType": "b"}}],
        "status": "current",
        "resourceType": "DocumentReference",
        "id": "1",
    }
    assert xml.render(resource) == (
        b'<?xml version="1.0" encoding="UTF-8"?><DocumentReference xmlns="http://hl7.org/fhir">'
        b'<id value="1"/><status value="current"/><content><attachment>'
        b'<contentType value="b"/><url value="a"/></attachment></content></DocumentReference>'
    )


def test_pretty_is_for_people() -> None:
    resource = {"resourceType": "Patient", "name": [{"given": ["A", "B"]}], "active": True}
    assert xml.render(resource, pretty=True).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Patient xmlns="http://hl7.org/fhir">\n'
        '  <active value="true"/>\n  <name>\n    <given value="A"/>\n    <given value="B"/>\n'
        "  </name>\n</Patient>"
    )


def test_every_character_comes_back() -> None:
    text = "a\r\nb\tc \" ' < > & ]]> ä \u2028 \U0001f600 "
    resource = {"resourceType": "DocumentReference", "description": text}
    assert xml.read(xml.render(resource)) == (resource, [])


def test_decimals_keep_their_digits() -> None:
    value = '<extension url="urn:a"><valueDecimal value="{}"/></extension>'
    for digits in ("1.10", "1e3", "-0.0", "12345678901234567890"):
        (extension,) = read(value.format(digits))["extension"]
        assert extension == {"url": "urn:a", "valueDecimal": Decimal(digits)}
        assert isinstance(extension["valueDecimal"], Decimal)
    assert read(value.format("5"))["extension"][0]["valueDecimal"] == 5


def test_ids_and_extensions_of_primitive_values() -> None:
    content = (
        '<status id="s" value="current"/>'
        '<description><extension url="urn:a"><valueCode value="masked"/></extension></description>'
    )
    resource = read(content)
    assert resource == {
        "status": "current",
        "_status": {"id": "s"},
        "_description": {"extension": [{"url": "urn:a", "valueCode": "masked"}]},
    }
    assert xml.render({"resourceType": "DocumentReference", **resource}).count(content.encode())


def test_nulls_pad_what_repeats() -> None:
    name = {
        "given": [None, "B", "C"],
        "_given": [{"id": "a"}, None, {"id": "c"}],
        "_suffix": [{"id": "d"}],
    }
    resource = {"resourceType": "Patient", "name": [name]}
    data = xml.render(resource)
    assert b'<given id="a"/><given value="B"/><given id="c" value="C"/><suffix id="d"/>' in data
    assert xml.read(data) == (resource, [])


def test_resources_within_resources() -> None:
    content = (
        '<contained><Patient><id value="p"/></Patient></contained><contained><Binary/></contained>'
    )
    assert read(content) == {
        "contained": [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Binary"}]
    }


def test_an_element_may_be_named_as_the_type_is() -> None:
    instance = {"resourceId": "a", "resourceType": "Patient"}
    scenario = {"resourceType": "ExampleScenario", "status": "draft", "instance": [instance]}
    assert xml.read(xml.render(scenario)) == (scenario, [])


def test_a_large_binary_comes_through() -> None:
    # beyond what libxml2 takes in one attribute unless it is told
    resource = {"resourceType": "Binary", "contentType": "a/b", "data": "QUJD" * 4_000_000}
    assert xml.read(xml.render(resource)) == (resource, [])
    assert problems(resource) == []


# --- as it is seen in the wild -------------------------------------------------------------------


def test_any_order_is_taken() -> None:
    content = (
        '<context><event><text value="a"/></event></context><status value="current"/>'
        '<text><div xmlns="http://www.w3.org/1999/xhtml">b</div><status value="generated"/></text>'
        '<identifier><value value="1"/></identifier><id value="x"/>'
        '<identifier><value value="2"/></identifier>'
    )
    assert read(content) == {
        "context": {"event": [{"text": "a"}]},
        "status": "current",
        "text": {"div": f'<div xmlns="{XHTML}">b</div>', "status": "generated"},
        "identifier": [{"value": "1"}, {"value": "2"}],
        "id": "x",
    }


def test_of_what_is_there_twice_the_first_is_kept() -> None:
    setting = (
        '<practiceSetting><coding><code value="{}"/><code value="{}"/></coding></practiceSetting>'
    )
    resource, (issue,) = xml.read(
        document_reference(f"<context>{setting.format('Practice-E', 'General Medicine')}</context>")
    )
    assert resource["context"] == {"practiceSetting": {"coding": [{"code": "Practice-E"}]}}
    assert (issue.severity, issue.code) == ("warning", "structure")
    assert issue.expression == ("DocumentReference.context.practiceSetting.coding[0].code",)


def test_attributes_of_schema_instance_say_nothing() -> None:
    attributes = (
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://hl7.org/fhir fhir.xsd" xml:lang="en"'
    )
    assert read('<status value="current" xsi:type="code"/>', attributes) == {"status": "current"}


def test_comments_instructions_and_white_space_are_passed_over() -> None:
    content = '\n <!-- a -->\n <status value="current"><!-- b --></status> <?c d?>\n'
    assert read(content) == {"status": "current"}


def test_a_prefix_is_as_good_as_none() -> None:
    data = b'<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="false"/></f:Patient>'
    assert xml.read(data) == ({"resourceType": "Patient", "active": False}, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_every_encoding_that_is_told(encoding: str) -> None:
    name = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{name}"?>{document_reference("").decode()}'
    text = text.replace("></D", '><description value="ä"/></D')
    resource, _ = xml.read(text.encode(encoding))
    assert resource["description"] == "ä"


def test_values_that_do_not_fit_their_type_are_left_to_structure() -> None:
    resource, issues = xml.read(
        document_reference(
            '<content><attachment><size value="12.0"/><size value="x"/></attachment>'
            '<attachment><size value="99999999999999999999"/></attachment></content>'
            '<content><attachment><size value="07"/></attachment></content>'
        )
    )
    assert [one.severity for one in issues] == ["warning", "warning"]
    first, second = resource["content"]
    assert first["attachment"]["size"] == Decimal("12.0")
    assert second["attachment"]["size"] == "07"
    wrong = [one.expression[0] for one in problems(resource) if one.code != "required"]
    assert wrong == [f"DocumentReference.content[{at}].attachment.size" for at in (0, 1)]


# --- narratives ----------------------------------------------------------------------------------


def test_a_narrative_is_kept_without_the_namespaces_around_it() -> None:
    div = f'<div xmlns="{XHTML}"><p title="x&#10;y">a &lt; <b>b</b><br/></p></div>'
    content = f'<text><status value="generated"/>\n{div}\n</text>'
    resource = read(content, ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"')
    assert resource["text"]["div"] == div
    assert div.encode() in xml.render({"resourceType": "DocumentReference", **resource})


def test_nothing_can_be_said_by_a_narrative_but_xhtml() -> None:
    escape = f'<div xmlns="{XHTML}"/></text><status value="current"/><text>'
    resource = {"resourceType": "DocumentReference", "text": {"div": escape}}
    assert problems(resource)
    with pytest.raises(ValueError, match="not well-formed"):
        xml.render(resource)


def test_a_prolog_of_a_narrative_is_left_out() -> None:
    div = f'<?xml version="1.0"?><!-- a --><div xmlns="{XHTML}">b</div>'
    data = xml.render({"resourceType": "Patient", "text": {"div": div}})
    assert f'<text><div xmlns="{XHTML}">b</div></text>'.encode() in data


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expression", "told"),
    [
        ("<status>current</status>", "DocumentReference.status", "text"),
        ('x<status value="current"/>', "DocumentReference", "text"),
        ('<status value="current"/>x', "DocumentReference", "text"),
        ("<status/>", "DocumentReference.status", "no value"),
        ('<status code="current"/>', "DocumentReference.status", "attribute"),
        ('<subject value="Patient/1"/>', "DocumentReference.subject", "attribute"),
        ('<subject><id value="1"/></subject>', "DocumentReference.subject.id", "no element"),
        ('<_status value="a"/>', "DocumentReference._status", "no element"),
        ('<resourceType value="a"/>', "DocumentReference.resourceType", "no element"),
        ('<a:status xmlns:a="urn:a" value="b"/>', "DocumentReference", "namespace"),
        ('<status xmlns="" value="b"/>', "DocumentReference", "namespace"),
        ("<contained/>", "DocumentReference.contained[0]", "one resource"),
        (
            "<contained><Patient/><Patient/></contained>",
            "DocumentReference.contained[0]",
            "one resource",
        ),
        ("<contained>a<Patient/></contained>", "DocumentReference.contained[0]", "text"),
        ("<text><div>a</div></text>", "DocumentReference.text.div", XHTML),
    ],
)
def test_what_is_not_the_xml_of_fhir(content: str, expression: str, told: str) -> None:
    issue = refused(document_reference(content))
    assert issue.expression == (expression,)
    assert told in issue.diagnostics


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not well-formed"),
        (b"<Patient", "not well-formed"),
        (b"<Patient/>", "namespace"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Patient xmlns="http://hl7.org/fhir"/>', "DTD"),
        (b'<Patient xmlns="http://hl7.org/fhir">&nbsp;</Patient>', "not well-formed"),
    ],
)
def test_what_is_no_xml(data: bytes, told: str) -> None:
    assert told in refused(data).diagnostics


@pytest.mark.parametrize("more", [0, 100, 100_000])
def test_nesting_has_an_end(more: int) -> None:
    def nested(times: int) -> bytes:
        start = '<extension url="urn:a">'
        return document_reference(start * times + "</extension>" * times)

    resource, _ = xml.read(nested(DEEPEST - 1))
    assert fhir_json.read(fhir_json.render(resource)) == resource
    told = refused(nested(DEEPEST + more)).diagnostics
    assert "nested" in told


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "\uffff"])
def test_what_xml_cannot_say_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="XML"):
        xml.render({"resourceType": "DocumentReference", "description": text})


@pytest.mark.parametrize("name", ["a b", "a/><b", "a:b", ""])
def test_a_name_that_is_none_is_not_written(name: str) -> None:
    for resource in ({"resourceType": name}, {"resourceType": "Patient", name: "a"}):
        with pytest.raises(ValueError, match="cannot be said"):
            xml.render(resource)


# --- what R4 does not know -----------------------------------------------------------------------

UNKNOWN: Final = (
    '<newer value="1"/><part><inner value="a"/><inner value="b"/></part>'
    '<other value="c"><extension url="urn:a"><valueCode value="d"/></extension></other>'
    '<many id="1"><extension url="urn:a"/></many><many id="2"/>'
)


def test_what_is_not_known_is_kept_and_refused_by_structure() -> None:
    resource = read(UNKNOWN)
    assert resource == {
        "newer": "1",
        "part": {"inner": ["a", "b"]},
        "other": "c",
        "_other": {"extension": [{"url": "urn:a", "valueCode": "d"}]},
        "many": [{"id": "1", "extension": [{"url": "urn:a"}]}, {"id": "2"}],
    }
    resource = {"resourceType": "DocumentReference", **resource}
    assert UNKNOWN.encode() in xml.render(resource)
    assert "DocumentReference.newer" in [one.expression[0] for one in problems(resource)]


def document(content: str) -> bytes:
    inner = (
        f'<Bundle><entry><resource>{content}</resource></entry><type value="document"/></Bundle>'
    )
    return (
        '<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>'
        f"<entry><resource>{inner}</resource></entry></Bundle>"
    ).encode()


def test_a_document_keeps_every_element() -> None:
    newer = f'<Newer><id value="a"/>{UNKNOWN}</Newer>'
    resource, issues = xml.read(document(newer))
    assert issues == []
    assert newer.encode() in xml.render(resource)
    assert {one.severity for one in problems(resource)} == {"warning"}


def test_a_document_is_not_changed_to_fit() -> None:
    issue = refused(document('<Composition><title value="a"/><title value="b"/></Composition>'))
    assert issue.expression == ("Bundle.entry[0].resource.entry[0].resource.title",)


# --- the opinion of others -----------------------------------------------------------------------

ASK: Final = """
const {Fhir} = require("fhir"), fhir = new Fhir();
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {json, xml} = JSON.parse(line);
  console.log(JSON.stringify({xml: fhir.objToXml(json), json: fhir.xmlToObj(xml)}));
});
"""


@pytest.fixture(scope="module")
def answers() -> Sequence[dict[str, Any]]:
    """What the npm package ``fhir`` makes of each official example, and of our XML of it."""
    packages, found = node_packages("fhir"), node()
    if packages is None or found is None:
        pytest.skip("Node 20 with its package fhir is not here")
    asked = [
        {
            "json": json.loads(path.read_bytes()),
            "xml": xml.render(fhir_json.read(path.read_bytes())).decode(),
        }
        for path in OFFICIAL
    ]
    run = subprocess.run(
        [found, "-e", ASK],
        input="\n".join(json.dumps(one) for one in asked).encode(),
        env={**os.environ, "NODE_PATH": str(packages)},
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


@needs(FHIR)
@pytest.mark.slow
def test_another_converter_reads_and_writes_the_same(answers: Sequence[dict[str, Any]]) -> None:
    for path, answer in zip(OFFICIAL, answers, strict=True):
        ours = _comparable(json.loads(path.read_bytes()))
        resource, issues = xml.read(answer["xml"].encode())
        assert issues == []
        assert _comparable(json.loads(fhir_json.render(resource))) == ours, path.name
        assert _comparable(answer["json"]) == ours, path.name


def _comparable(resource: Any) -> Any:
    """Return a resource without narratives, whose white space that package does not keep.

    Numbers are compared as texts, since it reads some decimals as such.
    """
    if isinstance(resource, list):
        return [_comparable(one) for one in resource]
    if not isinstance(resource, dict):
        return str(resource) if type(resource) in (int, float) else resource
    return {name: _comparable(value) for name, value in resource.items() if name != "div"}
