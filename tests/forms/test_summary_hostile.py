"""Hostile documents in a summary: nothing of them acts, and their words are there."""

import json
import re
from typing import Any, Final

import pytest
from lxml import etree

from tests.forms.eu_laboratory import of_type
from tests.forms.ips import breaches
from tests.forms.test_summary import JSON, RECORD, made, source
from tests.pages.hostile import DOCUMENTS, Hostile

_CODED: Final = b'<section><code code="48765-2" codeSystem="2.16.840.1.113883.6.1"/>'
_TAGS: Final = frozenset(
    {"div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "br"}
    | {"table", "caption", "thead", "tbody", "tr", "th", "td"}
)
_ATTRIBUTES: Final = frozenset({"colspan", "rowspan"})


def narratives(bundle: Any) -> list[str]:
    pending, found = [bundle], []
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            found += [one["div"]] if isinstance(one.get("div"), str) else []
            pending += one.values()
        elif isinstance(one, list):
            pending += one
    return found


def check(bundle: Any) -> str:
    """Hold narratives to what is written here; returns their words."""
    words = []
    for div in narratives(bundle):
        root = etree.fromstring(div)
        for element in root.iter():
            assert etree.QName(element).localname in _TAGS
            assert etree.QName(element).namespace == "http://www.w3.org/1999/xhtml"
            assert {*element.attrib} <= _ATTRIBUTES
        words.append(" ".join(root.itertext()))
    return " ".join(" ".join(words).split())


@pytest.mark.parametrize("hostile", DOCUMENTS, ids=lambda one: one.name)
def test_nothing_of_a_document_acts(hostile: Hostile) -> None:
    data = hostile.data.replace(b"<section>", _CODED)
    bundle = made(source(data, hostile.media_type))
    assert breaches(bundle) == []
    said = check(bundle)
    if data != hostile.data and "no: " not in said:
        # those of the header are elements of resources
        said += json.dumps(bundle, ensure_ascii=False)
        assert [word for word in hostile.words if " ".join(word.split()) not in said] == []


def test_the_narrative_of_a_resource_is_written_anew() -> None:
    bundle = json.loads(RECORD)
    resource = next(
        one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "Condition"
    )
    resource["text"] = {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p style="x" onclick="alert(1)">Said'
        '<a href="javascript:alert(1)">here</a><img src="http://elsewhere.invalid/x.png" alt="y"/>'
        "<script>alert(1)</script></p></div>",
    }
    summary = made(source(json.dumps(bundle).encode(), JSON))
    assert breaches(summary) == []
    check(summary)
    (condition,) = of_type(summary, "Condition")
    div = condition["text"]["div"]
    assert "Said" in div
    assert not re.search("alert|elsewhere|style|onclick", div)
