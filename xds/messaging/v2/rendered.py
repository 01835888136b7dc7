"""Reports as lines of text and rows of results, of which a document is rendered.

Nothing that a sender wrote is left out: what has no place in lines and rows is listed after them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from xds.hl7v2.message import Segment
from xds.messaging.model import RenderedContent, ReportSection, ResultRow
from xds.messaging.v2 import values
from xds.messaging.v2.carriers import TEXT_TYPES
from xds.messaging.v2.codes import coded
from xds.messaging.v2.context import MessageReading, location
from xds.messaging.v2.grouping import DocumentGroup, Grouped, Observation, OrderGroup

_NUMBERED: Final = re.compile(r"report line( \d+)?", re.IGNORECASE)
_DELETED: Final = "D"
_LONG_UNIT: Final = 24
"""Characters: a longer unit of several words is the heading of what follows."""

Group = OrderGroup | DocumentGroup


def content_of(
    reading: MessageReading, groups: Sequence[Group], grouped: Grouped, status: str
) -> RenderedContent | None:
    """Return what a report without a document says; None where no line has a value.

    ``status`` is OBR-25: the status of a line is named where it is another one.
    """
    shown = [one for group in groups for one in _shown(group)]
    if not any(_has_value(one.segment) for one in shown):
        return None
    is_text = all(map(_is_text, shown))
    sections: list[ReportSection] = []
    for group in groups:
        heading = _request_name(group) if len(groups) > 1 else ""
        build = _text_sections if is_text else _row_sections
        sections.extend(_headed(heading, list(build(reading, group, status))))
    if is_text:
        sections = _without_last_blanks(sections)
    where = location(shown[0].segment, 5)
    return RenderedContent(
        sections=tuple(sections), other=tuple(_other(groups, grouped)), location=where
    )


def _without_last_blanks(sections: list[ReportSection]) -> list[ReportSection]:
    """Return the sections of a text without blank lines at its end, which mean nothing."""
    while sections and not (last := sections[-1]).notes:
        lines = list(last.lines)
        while lines and not lines[-1]:
            lines.pop()
        if lines or last.heading:
            return [*sections[:-1], replace(last, lines=tuple(lines))]
        sections = sections[:-1]
    return sections


def _shown(group: Group) -> Iterator[Observation]:
    return (one for one in group.observations if one.segment.value(11) != _DELETED)


def _has_value(obx: Segment) -> bool:
    return obx.value(5) not in ("", '""')


def _is_text(one: Observation) -> bool:
    obx = one.segment
    kind = obx.value(2, 1, 1)
    if kind == "ST":
        return not (obx.value(6) or obx.value(7) or obx.value(8))
    return kind in TEXT_TYPES


def _request_name(group: Group) -> str:
    request = group.obr if isinstance(group, OrderGroup) else None
    return (request.value(4, 1, 2, 1) or request.value(4, 1, 1, 1)) if request else ""


def _headed(heading: str, sections: list[ReportSection]) -> list[ReportSection]:
    """Return the sections of a group, of which the first one has its heading too."""
    if not heading or not sections:
        return sections
    first = sections[0]
    if not first.heading:
        return [replace(first, heading=heading), *sections[1:]]
    return [ReportSection(heading=heading), *sections]


def _notes(segments: Iterable[Segment]) -> tuple[str, ...]:
    texts = ("\n".join(values.lines(segment, 3)).strip() for segment in segments)
    return tuple(text for text in texts if text)


def _status(obx: Segment, status: str) -> str:
    own = obx.value(11)
    return "" if own == status else values.STATUSES.get(own, "")


def _text_sections(reading: MessageReading, group: Group, status: str) -> Iterator[ReportSection]:
    shown = list(_shown(group))
    names = {_test(one.segment) for one in shown}
    yield from _lead(group)
    runs = groupby(
        shown, lambda one: (_line_heading(one.segment, names), _status(one.segment, status))
    )
    for (name, word), run in runs:
        lines: list[str] = []
        heading = f"{name} ({word})".strip() if word else name
        for one in run:
            lines.extend(values.lines(one.segment))
            if notes := _notes(one.notes):
                yield ReportSection(heading=heading, lines=tuple(lines), notes=notes)
                lines, heading = [], ""
        if lines:
            yield ReportSection(heading=heading, lines=tuple(lines))


def _lead(group: Group) -> Iterator[ReportSection]:
    """Yield the notes of the order, which stand before its results."""
    if notes := _notes(group.notes):
        yield ReportSection(notes=notes)


def _line_heading(obx: Segment, names: set[str]) -> str:
    name = obx.value(3, 1, 2, 1)
    return "" if len(names) < 2 or _NUMBERED.fullmatch(name) else _test(obx)


def _row_sections(reading: MessageReading, group: Group, status: str) -> Iterator[ReportSection]:
    heading, rows = "", []
    notes = _notes(group.notes)
    collected = group.obr.value(7, 1, 1, 1) if isinstance(group, OrderGroup) and group.obr else ""
    for one in _shown(group):
        unit = _unit(one.segment)
        is_heading = len(unit) > _LONG_UNIT and " " in unit
        rows.append(_row(reading, one, status, collected, "" if is_heading else unit))
        if is_heading:
            yield ReportSection(heading=heading, rows=tuple(rows), notes=notes)
            heading, rows, notes = unit, [], ()
    if rows or notes or heading:
        yield ReportSection(heading=heading, rows=tuple(rows), notes=notes)


def _row(
    reading: MessageReading, one: Observation, status: str, collected: str, unit: str
) -> ResultRow:
    obx = one.segment
    is_text = obx.value(2, 1, 1) in TEXT_TYPES
    time = obx.value(14, 1, 1, 1)
    has_own_time = time and time != collected
    return ResultRow(
        test=_test(obx),
        value="\n".join(values.lines(obx)).strip("\n") if is_text else values.shown(obx),
        unit=unit,
        range=obx.value(7),
        flag=values.flag(obx),
        status=_status(obx, status),
        time=reading.time(obx, 14) or time if has_own_time else "",
        code=coded(reading, obx, 3),
        group=obx.value(4),
        is_text=obx.value(2, 1, 1) in ("TX", "FT"),
        notes=_notes(one.notes),
        location=location(obx, 5),
    )


def _test(obx: Segment) -> str:
    places = ((2, 1), (5, 1), (1, 1))
    return next((text for place in places if (text := obx.value(3, 1, *place))), "")


def _unit(obx: Segment) -> str:
    return obx.value(6, 1, 1, 1) or obx.value(6, 1, 2, 1)


def _other(groups: Sequence[Group], grouped: Grouped) -> Iterator[str]:
    """Yield what else the message says of a report, each in a line."""
    for group in groups:
        if isinstance(group, OrderGroup):
            yield from _of_request(group)
            yield from (_line(one, "of the specimen, ") for one in group.of_specimens)
    yield from map(_line, grouped.of_patient)
    yield from (f"Note on the patient: {note}" for note in _notes(grouped.notes))


def _of_request(group: OrderGroup) -> Iterator[str]:
    obr = group.obr
    if obr is None:
        return
    if text := obr.value(13):
        yield f"Relevant clinical information: {text}"
    for repetition in range(1, obr.repetitions(31) + 1):
        if text := obr.value(31, repetition, 2) or obr.value(31, repetition, 1):
            yield f"Reason for study: {text}"
    for one in group.observations:
        if one.segment.value(2, 1, 1) == "RP":
            yield f"Document elsewhere: {one.segment.value(5)}"


def _line(one: Observation, kind: str = "") -> str:
    obx = one.segment
    is_text = obx.value(2, 1, 1) in TEXT_TYPES
    value = " ".join(values.lines(obx)) if is_text else values.shown(obx)
    parts = (f"{kind}{_test(obx)}: {value}".strip(), _unit(obx), values.flag(obx))
    return " ".join(filter(None, parts))
