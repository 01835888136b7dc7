"""Whatever a message says, in whichever field: each form stays what it is, and says it."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from tests.messaging.reports import CORRECTION, ENVELOPE, PATIENT, REPORT, TABLE
from xds import parsing
from xds.fhir.r4 import structure
from xds.fhir.r4.json import read
from xds.messaging.rendering.documents import ReportForm
from xds.messaging.rendering.render import render

_KEPT = frozenset({"action", "status", "domain", "oid", "coding_scheme", "language", "sex"})
"""Fields that do not come from a sender as they are."""


def said_everywhere(value: Any, text: str) -> Any:
    """Return a value of the model with a text in each of its fields."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(said_everywhere(one, text) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {
        field.name: said_everywhere(getattr(value, field.name), text)
        for field in fields(value)
        if field.name not in _KEPT
    }
    return replace(value, **changed)


@pytest.mark.parametrize(
    "text",
    ["</td><script>x</script>", "\x00\x1b\ufffe ", "]]>\r\n--> &lt; %s {0} (\\)", "  ", "漢\u2028"],
)
@pytest.mark.parametrize("form", ["pdf", "cda", "fhir", "text"])
def test_a_text_in_every_field(form: ReportForm, text: str) -> None:
    arguments = (said_everywhere(one, text) for one in (REPORT, TABLE, PATIENT, ENVELOPE))
    report, content, patient, envelope = arguments
    document = render(form, report, content, patient, envelope, CORRECTION)
    made = b"".join(document.chunks())
    if form == "cda":
        assert not parsing.parse(made).xpath("//*[local-name() = 'script']")
    elif form == "fhir":
        assert structure.problems(read(made), expected="Bundle") == []
    elif form == "pdf":
        assert made.rstrip().endswith(b"%%EOF")
    else:
        assert made.decode()
