"""Reports without a document: Observations become the content that is rendered."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from xds.fhir_messages.bundle import MessageBundle, PlacedResource
from xds.messaging.model import RenderedContent, ReportSection, ResultRow

_STATUS_WORDS: Final[Mapping[str, str]] = {
    "registered": "pending",
    "preliminary": "preliminary",
    "amended": "corrected",
    "corrected": "corrected",
    "cancelled": "not obtained",
}


def rendered_content(
    message: MessageBundle, report: PlacedResource, collected: str
) -> RenderedContent | None:
    """Return what a report without a document says; None where it says nothing.

    Its rows are the Observations of ``result``, else all of the message. ``collected`` is the time
    (DTM) of the report, which a row has where it says no other.
    """
    resource = report.resource
    named = [message.referred(one) for one in resource.get("result", ())]
    observations = [one for one in named if one is not None] or message.of_type("Observation")
    rows = tuple(row for one in observations for row in _rows(message, one, collected))
    conclusion = resource.get("conclusion") or ""
    lines = tuple(conclusion.splitlines())
    if not rows and not lines:
        return None
    heading = _name(resource.get("code"))
    section = ReportSection(heading=heading, lines=lines, rows=rows)
    return RenderedContent(sections=(section,), location=report.path)


def _rows(message: MessageBundle, placed: PlacedResource, collected: str) -> Iterator[ResultRow]:
    """Yield the row of an Observation, and one for each of its components."""
    said = placed.resource
    status = _STATUS_WORDS.get(said.get("status", ""), "")
    time = _time(message, placed)
    yield ResultRow(
        test=_name(said.get("code")),
        value=_value(said),
        unit=_unit(said),
        range=_range(said),
        flag=", ".join(filter(None, map(_name, said.get("interpretation", ())))),
        status=status,
        time=time if time != collected else "",
        code=message.code(said.get("code")),
        is_text=bool(said.get("valueString")) and len(said["valueString"]) > 60,
        notes=tuple(note.get("text", "") for note in said.get("note", ())),
        location=placed.path,
    )
    for place, one in enumerate(said.get("component", ())):
        yield ResultRow(
            test=_name(one.get("code")),
            value=_value(one),
            unit=_unit(one),
            range=_range(one),
            flag=", ".join(filter(None, map(_name, one.get("interpretation", ())))),
            code=message.code(one.get("code")),
            group="1.1",
            location=f"{placed.path}.component[{place}]",
        )


def _time(message: MessageBundle, placed: PlacedResource) -> str:
    """Return when an Observation was made: effective[x], of a period its start."""
    said = placed.resource
    start = (said.get("effectivePeriod") or {}).get("start")
    found = said.get("effectiveDateTime") or said.get("effectiveInstant") or start
    return message.time(found, f"{placed.path}.effective")


def _name(concept: Mapping[str, Any] | None) -> str:
    said = concept or {}
    codings = said.get("coding", ())
    display = next((one["display"] for one in codings if one.get("display")), "")
    code = next((one["code"] for one in codings if one.get("code")), "")
    return said.get("text") or display or code


def _value(said: Mapping[str, Any]) -> str:
    for name, value in said.items():
        if not name.startswith("value") or name.startswith("valueset"):
            continue
        match name:
            case "valueQuantity":
                return f"{value.get('comparator', '')}{value.get('value', '')}"
            case "valueCodeableConcept":
                return _name(value)
            case "valueRange":
                low, high = value.get("low") or {}, value.get("high") or {}
                return f"{low.get('value', '')} to {high.get('value', '')}"
            case "valueRatio":
                parts = (value.get("numerator") or {}, value.get("denominator") or {})
                return ":".join(str(part.get("value", "")) for part in parts)
            case "valuePeriod":
                return f"{value.get('start', '')} to {value.get('end', '')}"
            case "valueBoolean":
                return "yes" if value else "no"
            case _ if isinstance(value, str | int | float):
                return str(value)
    return _name(said.get("dataAbsentReason"))


def _unit(said: Mapping[str, Any]) -> str:
    quantity = said.get("valueQuantity") or {}
    return quantity.get("unit") or quantity.get("code") or ""


def _range(said: Mapping[str, Any]) -> str:
    for one in said.get("referenceRange", ()):
        if one.get("text"):
            return str(one["text"])
        low, high = (one.get(end, {}).get("value") for end in ("low", "high"))
        if low is not None or high is not None:
            return f"{'' if low is None else low} to {'' if high is None else high}".strip()
    return ""
