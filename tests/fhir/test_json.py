"""The JSON form: nothing is lost, and what no resource can be is refused."""

import copy
import decimal
from enum import StrEnum

import pytest
from hypothesis import given, settings

from tests.fhir import generated
from xds.fhir.r4 import json
from xds.fhir.r4.json import DEEPEST, Decimal, Lasting
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource


@settings(max_examples=40)
@given(generated.resources())
def test_what_is_written_is_read_again(resource: Resource) -> None:
    rendered = json.render(resource)
    assert json.read(rendered) == resource
    assert json.render(json.read(rendered)) == rendered
    assert json.read(json.render(resource, pretty=True)) == resource


def test_an_element_whose_json_is_remembered_is_written_as_any_other() -> None:
    inner = Lasting(code="a", value=Decimal("1.10"))
    lasting = Lasting(coding=[inner], text="ä")
    plain = {"coding": [{"code": "a", "value": Decimal("1.10")}], "text": "ä"}
    for _ in range(2):
        for pretty in (False, True):
            made = json.render({"type": lasting, "list": [inner]}, pretty=pretty)
            assert made == json.render({"type": plain, "list": plain["coding"]}, pretty=pretty)


def test_a_copy_of_such_an_element_may_be_changed() -> None:
    lasting = Lasting(coding=[Lasting(code="a")])
    assert json.render({"type": lasting}) == b'{"type":{"coding":[{"code":"a"}]}}'
    copied = copy.deepcopy({"type": lasting})
    copied["type"]["coding"][0]["code"] = "b"
    assert json.render(copied) == b'{"type":{"coding":[{"code":"b"}]}}'
    assert json.render({"type": lasting}) == b'{"type":{"coding":[{"code":"a"}]}}'


@pytest.mark.parametrize(
    "number",
    ["1.10", "0.00", "-1.50E-7", "1e400", "-0", "-0.0", "7", "123456789012345678901234567890"],
)
def test_numbers_keep_their_digits(number: str) -> None:
    written = f'{{"value":{number}}}'.encode()
    assert json.render(json.read(written)) == written


def test_a_decimal_can_be_told_from_text_and_be_counted_with() -> None:
    resource = json.read(b'{"number":1.10,"text":"1.10"}')
    assert isinstance(resource["number"], Decimal)
    assert not isinstance(resource["text"], Decimal)
    assert decimal.Decimal(resource["number"]) * 2 == decimal.Decimal("2.20")
    assert json.render(resource) == b'{"number":1.10,"text":"1.10"}'


def test_a_byte_order_mark_is_passed_over() -> None:
    assert json.read(b'\xef\xbb\xbf{"a":"b"}') == {"a": "b"}


def test_other_texts_are_rendered_as_texts() -> None:
    class Status(StrEnum):
        CURRENT = "current"

    assert json.render({"status": Status.CURRENT}) == b'{"status":"current"}'


def test_pretty_is_for_people() -> None:
    assert json.render({"a": Decimal("1.0")}, pretty=True) == b'{\n  "a": 1.0\n}'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not well-formed"),
        (b"{", "not well-formed"),
        (b'{"a":1}}', "Extra data"),
        (b'{"a":01}', "line 1, column 7"),
        (b'{"a":"\n"}', "control character"),
        (b"[]", "JSON object"),
        (b'"a"', "JSON object"),
        (b'{"a":"\xff"}', "UTF-8"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\uDC00":1}', "surrogate"),
        (b'{"status":1,"b":{},"status":1}', "two members 'status'"),
        (b'{"a":{"b":1,"b":2}}', "two members 'b'"),
    ],
)
def test_what_is_no_resource_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(Refused) as refused:
        json.read(data)
    (issue,) = refused.value.issues
    assert (refused.value.status, issue.code, issue.severity) == (400, "structure", "error")
    assert told in issue.diagnostics


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert json.read(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_texts_are_not_quoted_in_what_is_told() -> None:
    with pytest.raises(Refused) as refused:
        json.read(b'{"family":"Smith", "given" "John"}')
    assert "Smith" not in refused.value.issues[0].diagnostics
    assert "John" not in refused.value.issues[0].diagnostics


@pytest.mark.parametrize(
    ("start", "end"), [(b'{"a":', b"}"), (b'{"a":[', b"]}"), (b'{"a":[1,', b',{"b":2}]}')]
)
def test_nesting_has_an_end(start: bytes, end: bytes) -> None:
    assert json.read(start * (DEEPEST - 1) + b'{"a":1}' + end * (DEEPEST - 1))
    for times in (DEEPEST, 100_000):
        with pytest.raises(Refused, match="structure") as refused:
            json.read(start * times + b'{"a":1}' + end * times)
        assert "deeper than 64" in refused.value.issues[0].diagnostics


def test_lists_within_lists_are_nesting_too() -> None:
    with pytest.raises(Refused) as refused:
        json.read(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}")
    assert "deeper than 64" in refused.value.issues[0].diagnostics
