"""A report as plain text, and the canonical form whose digest is the identity of its content."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from xds.messaging.model import RenderedContent, ReportSection, ResultRow
from xds.messaging.rendering import header
from xds.messaging.rendering.documents import RenderedDocument, ReportSource, rendered
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code

FORMAT: Final = Code(v.MIME_TYPE_SUFFICIENT, v.IHE_FORMAT_CODES, "mimeType Sufficient")
_INDENT: Final = "  "
HEADS: Final = ("Test", "Result", "Unit", "Reference range", "Flag", "Status", "Time")
"""Of the columns of a table of results, as :func:`cells` gives them."""


def canonical(content: RenderedContent) -> bytes:
    """Return what tells a report's content from another's, whatever form it is rendered in.

    Of text it is the lines without what is blank at their ends, joined by LF, with one LF at the
    end; notes follow the lines of their section. With rows of results it is JSON, one line, of all
    that is shown. Neither has what the message says besides, such as times of its sending.
    """
    if content.is_text:
        lines = [
            line.rstrip()
            for section in content.sections
            for line in (*section.lines, *section.notes)
        ]
        return ("\n".join(lines) + "\n").encode(errors="backslashreplace")
    sections = [
        {
            "heading": section.heading,
            "lines": [line.rstrip() for line in section.lines],
            "rows": [_canonical_row(row) for row in section.rows],
            "notes": list(section.notes),
        }
        for section in content.sections
    ]
    return json.dumps(sections, sort_keys=True, ensure_ascii=False).encode(
        errors="backslashreplace"
    )


def _canonical_row(row: ResultRow) -> dict[str, object]:
    shown = asdict(row)
    del shown["location"]
    if row.code is not None:
        shown["code"] = str(row.code)
    return {name: value for name, value in shown.items() if value}


def render(source: ReportSource) -> RenderedDocument:
    """Return a report as text/plain in UTF-8: a header, then each section."""
    text = "\n".join(line.rstrip() for line in _document(source)) + "\n"
    return rendered("text/plain", FORMAT, text.encode(errors="backslashreplace"))


def _document(source: ReportSource) -> Iterator[str]:
    yield header.title(source)
    yield "; ".join(header.banner(source))
    yield from header.marks(source)
    labelled = header.fields(source)
    width = max(len(label) for label, _ in labelled)
    yield from (f"{label:{width}}  {value}" for label, value in labelled)
    yield header.origin(source)
    yield ""
    yield from _body(source.content, source.zone)


def _body(content: RenderedContent, zone: str) -> Iterator[str]:
    for section in content.sections:
        if section.heading:
            yield from ("", section.heading, "-" * len(section.heading))
        yield from section.lines
        yield from _rows(section, zone)
        yield from section.notes
    if content.other:
        yield from ("", "Other content of the message", *content.other)


def _rows(section: ReportSection, zone: str) -> Iterator[str]:
    if not section.rows:
        return
    texts_of = [cells(row, zone) for row in section.rows]
    widths = [max(map(len, column)) for column in zip(*texts_of, strict=True)]
    for row, texts in zip(section.rows, texts_of, strict=True):
        if row.is_text:
            yield texts[0]
            yield from (f"{_INDENT}{line}" for line in row.value.split("\n"))
        else:
            padded = (text.ljust(width) for text, width in zip(texts, widths, strict=True) if width)
            yield _INDENT.join(padded)
        yield from (f"{_INDENT}{note}" for note in row.notes)


def cells(row: ResultRow, zone: str) -> tuple[str, ...]:
    """Return what stands in the columns of a row; a test is indented as its group lies."""
    test = _INDENT * level(row) + row.test
    value = "" if row.is_text else row.value
    time = header.moment(row.time, zone)
    return (test, value, row.unit, row.range, row.flag, row.status, time)


def level(row: ResultRow) -> int:
    """Return how deep a row lies within groups: by the dots of OBX-4, ``3a.1a`` is 1."""
    return row.group.count(".")
