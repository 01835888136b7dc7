"""The structured results of real documents are those that an independent reader found."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import pytest

from tests.content.samples import SAMPLES, media_type, path, rows
from tests.reference import needs
from xds.content import cda_values
from xds.content.reading.cda.observations import STATUSES
from xds.content.reading.model import ContentObservation
from xds.content.reading.reader import read
from xds.content.reading.rules import PLAIN

pytestmark = needs(SAMPLES)

_BY_FILE: Final = [
    list(found)
    for _, found in groupby(rows("expected-observations.tsv"), key=lambda row: row["file"])
]


def _value(found: ContentObservation, row: Mapping[str, str]) -> str:
    """Return the value of a result in the form of its row."""
    (value,) = found.values or (None,)
    if value is None:
        return ""
    if value.code is not None:
        return f"{value.code.code}|{value.code.coding_scheme}|{value.code.display_name}"
    if value.kind == "range":
        return f"{value.low}..{value.high}"
    if row["value"].startswith("NULL"):
        return row["value"] if value.kind in ("text", "absent") else value.text
    return value.number or value.text


def _range(row: Mapping[str, str]) -> str:
    low, dots, high = row["range"].partition("..")
    return " - ".join((low, high)) if dots and low and high else row["range"]


def _expected_time(row: Mapping[str, str]) -> str:
    said = row["effectiveTime"]
    return cda_values.dtm(said, PLAIN.time_zone) if said else ""


@pytest.mark.parametrize("expected", _BY_FILE, ids=lambda found: found[0]["file"])
def test_the_results_of_a_document(expected: Sequence[Mapping[str, str]]) -> None:
    first = expected[0]
    document = read(path(first).read_bytes(), media_type(first))
    found = [one for one in document.observations() if not one.is_earlier]
    assert len(found) == len(expected)
    for one, row in zip(found, expected, strict=True):
        code = one.code or next(iter(one.translations), None)
        assert code is not None
        assert (code.code, code.coding_scheme) == (row["code"], row["codeSystem"])
        assert one.name == row["display"]
        assert one.status == STATUSES[row["status"]]
        assert one.time == _expected_time(row)
        assert _value(one, row) == row["value"]
        assert (one.values[0].unit if one.values else "") == row["unit"]
        assert " ".join(code.code for code in one.interpretation) == row["interpretation"]
        assert one.reference_range.removesuffix(f" {row['unit']}") == _range(row)


def test_results_that_a_document_only_cites_are_earlier_ones() -> None:
    name = "fr-xdlab-cervical-linkhtml.xml"
    row = next(row for row in rows("expected.tsv") if row["file"] == name)
    found = list(read(path(row).read_bytes(), media_type(row)).observations())
    current = [one for one in found if not one.is_earlier]
    earlier = [one for one in found if one.is_earlier]
    assert {one.name for one in earlier} == {one.name for one in current}
    assert max(one.time for one in earlier) < min(one.time for one in current)
