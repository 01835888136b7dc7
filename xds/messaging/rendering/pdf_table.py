"""Tables of results on pages: columns as wide as they need, and heads on each page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds.messaging.model import ResultRow
from xds.messaging.rendering.text import HEADS, cells, level
from xds.rendering import fonts
from xds.rendering.pages import GREY, LEADING, Flow
from xds.rendering.pdf_parts import shared, widest
from xds.rendering.pdf_text import monospaced

SIZE: Final = 8.5
_GAP: Final = 9.0
_INDENT: Final = 9.0
_NOTE_SIZE: Final = 8.0
_GROUP_GAP: Final = 5.0
_TOGETHER: Final = 8
"""Lines of a row that stay on one page."""
_FLAG: Final = 4
_USUAL: Final = ("", "normal")
"""Flags of results that need no emphasis."""
_WIDEST_WORD: Final = 0.3
"""Of the room: longer words are broken."""


@dataclass(frozen=True, slots=True)
class _Column:
    at: int
    x: float
    width: float


def table(flow: Flow, rows: Sequence[ResultRow], zone: str) -> None:
    """Place rows of results; text rows take the whole width."""
    shown = [_cells(row, zone) for row in rows]
    columns = _columns(rows, shown, flow.room)

    def heads() -> None:
        for column in columns:
            flow.put(column.x, HEADS[column.at], fonts.BOLD, _NOTE_SIZE, GREY)
        flow.advance(_NOTE_SIZE)
        flow.y += 1.5
        flow.rule(0.6)
        flow.y += 2.5

    flow.reserve(4 * SIZE * LEADING)
    heads()
    flow.running = heads
    group = rows[0].group
    for row, texts in zip(rows, shown, strict=True):
        if _outermost(row.group) != _outermost(group):
            flow.y += _GROUP_GAP
        group = row.group
        if row.is_text:
            _text_row(flow, row)
        else:
            _row(flow, columns, row, texts)
        for note in row.notes:
            flow.prose(note, fonts.PROSE, _NOTE_SIZE, _INDENT * (level(row) + 1), GREY)
        flow.y += 1.5
        flow.rule(0.15)
        flow.y += 2
    flow.running = None


def _outermost(group: str) -> str:
    return group.partition(".")[0]


def _cells(row: ResultRow, zone: str) -> tuple[str, ...]:
    """Return what stands in the columns; groups are indented by their place, not by spaces."""
    return (row.test, *cells(row, zone)[1:])


def _columns(
    rows: Sequence[ResultRow], shown: Sequence[Sequence[str]], room: float
) -> Sequence[_Column]:
    """Return the columns that have something in them, with their places and widths."""
    measured = [texts for row, texts in zip(rows, shown, strict=True) if not row.is_text] or [
        ("",) * len(HEADS)
    ]
    used = [at for at in range(len(HEADS)) if at < 2 or any(texts[at] for texts in measured)]
    indent = _INDENT * max(level(row) for row in rows)
    wanted, least = [], []
    for at in used:
        texts = {HEADS[at], *(texts[at] for texts in measured)}
        extra = indent if at == 0 else 0.0
        wanted.append(extra + max(widest(text.split("\n"), SIZE) for text in texts))
        words = extra + max(widest(text.split(), SIZE) for text in texts)
        least.append(min(words, room * _WIDEST_WORD))
    widths = shared(wanted, least, room - _GAP * (len(used) - 1))
    found, x = [], 0.0
    for at, width in zip(used, widths, strict=True):
        found.append(_Column(at, x, width))
        x += width + _GAP
    return found


def _row(flow: Flow, columns: Sequence[_Column], row: ResultRow, texts: Sequence[str]) -> None:
    indents = {0: _INDENT * level(row)}
    faces = {
        _FLAG: fonts.PROSE if row.flag in _USUAL else fonts.BOLD,
        1: fonts.BOLD if row.flag not in _USUAL else fonts.PROSE,
    }
    lines = [
        list(
            fonts.wrapped(
                texts[column.at],
                faces.get(column.at, fonts.PROSE),
                SIZE,
                column.width - indents.get(column.at, 0.0),
            )
        )
        for column in columns
    ]
    height = max(map(len, lines))
    flow.reserve(min(height, _TOGETHER) * SIZE * LEADING)
    for at in range(height):
        flow.reserve(SIZE * LEADING)
        for column, cell in zip(columns, lines, strict=True):
            if at < len(cell):
                x = column.x + indents.get(column.at, 0.0)
                flow.put(x, cell[at], faces.get(column.at, fonts.PROSE), SIZE)
        flow.advance(SIZE)


def _text_row(flow: Flow, row: ResultRow) -> None:
    x = _INDENT * level(row)
    marks = ", ".join(part for part in (row.test, row.flag, row.status) if part)
    flow.reserve(3 * SIZE * LEADING)
    if marks:
        flow.prose(marks, fonts.BOLD, SIZE, x)
    monospaced(flow, row.value.split("\n"), x + _INDENT)
