"""The body of an XD-LAB document: narrative for people, and entries for machines, row by row."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.messaging.model import ReportSection, ResultRow
from xds.messaging.rendering import header
from xds.messaging.rendering.documents import ReportSource
from xds.messaging.rendering.text import HEADS, level
from xds.metadata.objects import Code
from xds.rendering.cda_elements import Element, code, element, template, time
from xds.rendering.values import (
    FLAGS,
    INTERPRETATIONS,
    LABORATORY_STUDIES,
    LOINC,
    dtm,
    quantity,
)

_SPECIALTY_SECTION: Final = "1.3.6.1.4.1.19376.1.3.3.2.1"
_ITEM_SECTION: Final = "1.3.6.1.4.1.19376.1.3.3.2.2"
_DATA_ENTRY: Final = "1.3.6.1.4.1.19376.1.3.1"
_OBSERVATION: Final = "1.3.6.1.4.1.19376.1.3.1.6"
_COMMENT: Final = "1.3.6.1.4.1.19376.1.5.3.1.4.2"
_COMMENT_CODE: Final = Code("48767-8", LOINC, "Annotation comment")
_STUDIES: Final = Code(LABORATORY_STUDIES[0], LOINC, LABORATORY_STUDIES[1])
_SPACE: Final = "\N{NO-BREAK SPACE}"
_STATUSES: Final = {"preliminary": "active", "not verified": "active"}


def structured_body(source: ReportSource) -> Element:
    """Return the sections: one of the specialty with those of the report, and what is left over."""
    sections = [
        element("component", _section(source, at, section))
        for at, section in enumerate(source.content.sections)
    ]
    studies = element(
        "section",
        *template(_SPECIALTY_SECTION),
        code("code", _STUDIES),
        element("title", header.title(source)),
        *sections,
    )
    return element(
        "structuredBody",
        element("component", studies),
        element("component", _about(source)),
    )


def _section(source: ReportSource, at: int, section: ReportSection) -> Element:
    has_rows = bool(section.rows)
    narrative = [
        *_lines(section.lines),
        _table(section.rows, at, source.zone) if has_rows else None,
        *(one for note in section.notes for one in _lines(note.split("\n"))),
    ]
    return element(
        "section",
        *(template(_ITEM_SECTION) if has_rows else ()),
        code("code", _STUDIES),
        element("title", section.heading or header.title(source)),
        element("text", *narrative),
        _entry(source, at, section.rows) if has_rows else None,
    )


def _about(source: ReportSource) -> Element:
    """Return the section of what is neither result nor header."""
    marks, other = header.marks(source), source.content.other
    said = (*marks, header.origin(source))
    return element(
        "section",
        element("title", "Other content of the message" if other else "About this document"),
        element(
            "text",
            *(element("paragraph", one) for one in said),
            *_lines([line for one in other for line in one.split("\n")]),
        ),
    )


# --- narrative -----------------------------------------------------------------------------------


def _lines(lines: Sequence[str]) -> Iterator[Element]:
    """Yield lines with their columns: spaces that would be dropped are no-break spaces."""
    if lines:
        content: list[Element | str] = []
        for line in lines:
            content += [_kept(line.rstrip()), element("br")]
        yield element("paragraph", *content[:-1])


def _kept(line: str) -> str:
    shown = line.expandtabs().replace("  ", _SPACE * 2)
    return _SPACE + shown[1:] if shown.startswith(" ") else shown


def _table(rows: Sequence[ResultRow], section: int, zone: str) -> Element:
    return element(
        "table",
        element("thead", element("tr", *(element("th", head) for head in HEADS))),
        element(
            "tbody", *(one for at, row in enumerate(rows) for one in _row(row, section, at, zone))
        ),
    )


def _row(row: ResultRow, section: int, at: int, zone: str) -> Iterator[Element]:
    name = _SPACE * 2 * level(row) + row.test
    mark, width = _mark(section, at), str(len(HEADS))
    if row.is_text:
        yield element("tr", element("td", name, colspan=width))
        yield element("tr", element("td", *_lines(row.value.split("\n")), colspan=width, ID=mark))
    else:
        cells = (row.unit, row.range, row.flag, row.status, header.moment(row.time, zone))
        yield element(
            "tr",
            element("td", name),
            element("td", row.value, ID=mark),
            *(element("td", cell) for cell in cells),
        )
    for note in row.notes:
        yield element("tr", element("td", *_lines(note.split("\n")), colspan=width))


def _mark(section: int, at: int) -> str:
    return f"r{section + 1}-{at + 1}"


# --- entries -------------------------------------------------------------------------------------


def _entry(source: ReportSource, at: int, rows: Sequence[ResultRow]) -> Element:
    is_final = source.report.status in ("final", "corrected")
    status = "completed" if is_final else "active"
    observations = [
        element(
            "entryRelationship",
            _observation(source, row, _mark(at, number), status),
            typeCode="COMP",
        )
        for number, row in enumerate(rows)
    ]
    act = element(
        "act",
        code("code", _STUDIES),
        element("statusCode", code=status),
        *observations,
        classCode="ACT",
        moodCode="EVN",
    )
    return element("entry", *template(_DATA_ENTRY), act, typeCode="DRIV")


def _observation(source: ReportSource, row: ResultRow, mark: str, status: str) -> Element:
    return element(
        "observation",
        *template(_OBSERVATION),
        code("code", row.code, row.test),
        element("text", element("reference", value=f"#{mark}")),
        element("statusCode", code=_STATUSES.get(row.status, status)),
        time("effectiveTime", dtm(row.time) or source.report.service_start),
        _value(row),
        *(_interpretation(flag) for flag in row.flag.split(", ") if flag),
        *(
            element("entryRelationship", _note(note), typeCode="SUBJ", inversionInd="true")
            for note in row.notes
        ),
        _range(row.range) if row.range else None,
        classCode="OBS",
        moodCode="EVN",
    )


def _value(row: ResultRow) -> Element | None:
    if not row.value:
        return None
    found = None if row.is_text else quantity(row.value, row.unit)
    if found is None:
        said = f"{row.value} {row.unit}" if row.unit else row.value
        return element("value", said, type_="ST")
    unit = found.unit or "1"
    if not found.comparator:
        return element("value", type_="PQ", value=found.number, unit=unit)
    bound = "high" if found.comparator.startswith("<") else "low"
    inclusive = "true" if found.comparator.endswith("=") else "false"
    limit = element(bound, value=found.number, unit=unit, inclusive=inclusive)
    return element("value", limit, type_="IVL_PQ")


def _interpretation(flag: str) -> Element:
    known = FLAGS.get(flag)
    return code("interpretationCode", Code(known, INTERPRETATIONS, flag) if known else None, flag)


def _range(said: str) -> Element:
    return element("referenceRange", element("observationRange", element("text", said)))


def _note(note: str) -> Element:
    return element(
        "act",
        *template(_COMMENT),
        code("code", _COMMENT_CODE),
        element("text", note),
        element("statusCode", code="completed"),
        classCode="ACT",
        moodCode="EVN",
    )
