"""Tokens, dates, numbers, references and escapes in search values."""

from dataclasses import replace
from typing import Any

import pytest

from xds.fhir.search.values import Span, Token, number_span, reference_id, split, unescape
from xds.metadata.objects import DocumentEntry
from xds.mhd.search import criteria as compare
from xds.mhd.search.parameters import DOCUMENT_REFERENCES

BASE = "https://hub.example/fhir"
UNSEARCHED = next(one for one in DocumentEntry.attributes() if one not in DocumentEntry.indexes())


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b,c", [r"a\,b", "c"]),
        (r"a\\,b", [r"a\\", "b"]),
        ("a,", ["a", ""]),
        ("a\\", ["a\\"]),
    ],
)
def test_a_value_is_cut_at_commas_that_are_not_escaped(text: str, pieces: list[str]) -> None:
    assert split(text, ",") == pieces


def test_only_separators_can_be_escaped() -> None:
    assert unescape(r"\,\|\$\\\n") == r",|$\\n"


@pytest.mark.parametrize(
    ("text", "system", "value"),
    [
        ("a", None, "a"),
        ("s|a", "s", "a"),
        ("|a", "", "a"),
        ("s|", "s", ""),
        (r"s|a\|b\,c", "s", "a|b,c"),
        ("s|a|b", "s", "a|b"),
        (" s | a ", "s", "a"),
    ],
)
def test_tokens(text: str, system: str | None, value: str) -> None:
    assert Token.parse(text) == Token(system, value)


@pytest.mark.parametrize("text", ["|", "", " | "])
def test_a_token_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        Token.parse(text)


@pytest.mark.parametrize(
    ("text", "prefix", "first", "end"),
    [
        ("2026", "eq", "20260101000000", "20270101000000"),
        ("ge2026-12", "ge", "20261201000000", "20270101000000"),
        ("lt2024-02-29", "lt", "20240229000000", "20240301000000"),
        ("2026-03-05T10:00", "eq", "20260305100000", "20260305100100"),
        ("ne2026-03-05T10:00:59Z", "ne", "20260305100059", "20260305100100"),
        ("2026-03-05T10:00:60Z", "eq", "20260305100059", "20260305100100"),
        ("le2026-03-05T00:30:00.25+01:00", "le", "20260304233000", "20260304233001"),
        ("2026-03-05T10:00:00 01:00", "eq", "20260305090000", "20260305090001"),
        ("2026-03-05T23:30:00-01:00", "eq", "20260306003000", "20260306003001"),
        ("9999", "eq", "99990101000000", "99991231235959"),
    ],
)
def test_spans(text: str, prefix: str, first: str, end: str) -> None:
    assert Span.of_date(text) == Span(prefix, first, end)


@pytest.mark.parametrize(
    ("text", "prefix", "first", "end"),
    [
        ("100", "eq", "100", "101"),
        ("100.0", "eq", "100", "101"),
        ("100.5", "eq", "101", "101"),
        ("1e2", "eq", "50", "150"),
        ("1.2e3", "eq", "1150", "1250"),
        ("ne-3", "ne", "-3", "-2"),
        ("gt100.5", "gt", "101", "101"),
        ("le1e2", "le", "100", "101"),
        ("ap1000", "ap", "900", "1100"),
        ("lt1e20", "lt", str(2**63 - 1), str(2**63 - 1)),
    ],
)
def test_spans_of_numbers(text: str, prefix: str, first: str, end: str) -> None:
    assert number_span(text) == Span(prefix, first, end)


@pytest.mark.parametrize("text", ["", "gt", "one", "1,5", "0x10", "1e999", "NaN", "1.", "²"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number_span(text)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"attributes": {DocumentEntry: UNSEARCHED}}, f"{UNSEARCHED} .* is not searched"),
        ({"attributes": {DocumentEntry: "sise"}}, "has no sise"),
        ({"attributes": {DocumentEntry: "hash"}}, "hash .* is searched as text, not as number"),
        ({"comparator": compare.dates}, "size .* is searched as number, not as time"),
        (
            {"comparator": compare.texts, "attributes": {DocumentEntry: "hash"}},
            "not as number, time",
        ),
        ({"comparator": None}, "does not say how they compare"),
    ],
)
def test_a_wrong_row_ends_the_program_at_its_start(changed: Any, reason: str) -> None:
    (row,) = (one for one in DOCUMENT_REFERENCES.parameters if one.name == "size")
    with pytest.raises(ValueError, match=f"size: .*{reason}"):
        replace(row, **changed)


def test_approximately_reaches_further_the_longer_ago_it_is() -> None:
    span = Span.of_date("ap1000")
    assert span.first < "09500101000000"
    assert span.end > "10500101000000"


@pytest.mark.parametrize(
    "text",
    ["", "2026-13", "2026-02-29", "xx2026", "2026-1", "0000", "GE2026", "2026-01-01T25:00",
     "2026-01-01T10", "2026-01-01T10:00:00+15:00", "today"],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="date"):
        Span.of_date(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7", "7"),
        ("Patient/7", "7"),
        (f"{BASE}/Patient/7", "7"),
        ("Patient/7/_history/2", "7"),
        ("Group/7", None),
        ("https://other.example/fhir/Patient/7", None),
        (f"{BASE}/Group/7", None),
    ],
)
def test_references(text: str, found: str | None) -> None:
    assert reference_id(text, "Patient", BASE) == found


@pytest.mark.parametrize("text", ["urn:oid:1.2|7", "Patient/7 8"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a reference"):
        reference_id(text, "Patient", BASE)
