"""Tables of any content on pages: cells that span, rows that break, a head on each page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds.rendering import fonts
from xds.rendering.pages import LEADING, Flow
from xds.rendering.pdf_parts import shared, widest

SIZE: Final = 8.5
_GAP: Final = 7.0
_TOGETHER: Final = 8
"""Lines of a row that stay on one page."""
_WIDEST_WORD: Final = 0.3
"""Of the room: longer words are broken."""
_NARROWEST: Final = 12.0
MOST_COLUMNS: Final = 40


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell."""

    text: str
    is_head: bool = False
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class _Placed:
    """A cell in its column."""

    cell: GridCell
    at: int

    @property
    def font(self) -> str:
        return fonts.BOLD if self.cell.is_head else fonts.PROSE


GridRow = Sequence[GridCell]


def grid(flow: Flow, head: Sequence[GridRow], rows: Sequence[GridRow]) -> None:
    """Place a table; its head is repeated on each page.

    A cell over several rows stands in the first of them. Columns beyond MOST_COLUMNS are one.
    """
    placed = _placed([*head, *rows])
    count = max((one.at + one.cell.columns for row in placed for one in row), default=0)
    if not count:
        return
    edges = _edges(placed, count, flow.room)
    top, body = placed[: len(head)], placed[len(head) :]

    def repeated() -> None:
        for row in top:
            _row(flow, row, edges)
            flow.rule(0.6)
            flow.y += 2

    flow.reserve(4 * SIZE * LEADING)
    repeated()
    flow.running = repeated
    for row in body:
        _row(flow, row, edges)
        flow.rule(0.15)
        flow.y += 2
    flow.running = None
    flow.y += 4


def _placed(rows: Sequence[GridRow]) -> list[list[_Placed]]:
    """Return cells in their columns: those of rows before that reach into a row come first."""
    found: list[list[_Placed]] = []
    taken: dict[int, int] = {}
    for row in rows:
        placed, at = [], 0
        for cell in row:
            while taken.get(at, 0) and at < MOST_COLUMNS - 1:
                at += 1
            columns = max(1, min(cell.columns, MOST_COLUMNS - at))
            placed.append(_Placed(GridCell(cell.text, cell.is_head, columns, cell.rows), at))
            at = min(at + columns, MOST_COLUMNS - 1)
        taken = {column: left - 1 for column, left in taken.items() if left > 1}
        for one in placed:
            if one.cell.rows > 1:
                taken |= dict.fromkeys(range(one.at, one.at + one.cell.columns), one.cell.rows - 1)
        found.append(placed)
    return found


def _edges(rows: Sequence[Sequence[_Placed]], count: int, room: float) -> Sequence[float]:
    """Return where each column begins, and where the last one ends."""
    wanted, least = [_NARROWEST] * count, [_NARROWEST] * count
    for row in rows:
        for one in row:
            if one.cell.columns > 1:
                continue
            text = one.cell.text
            wanted[one.at] = max(wanted[one.at], widest(text.split("\n"), SIZE))
            word = min(widest(text.split(), SIZE), room * _WIDEST_WORD)
            least[one.at] = max(least[one.at], word)
    widths = shared(wanted, least, room - _GAP * (count - 1))
    edges, x = [], 0.0
    for width in widths:
        edges.append(x)
        x += width + _GAP
    return [*edges, x]


def _row(flow: Flow, row: Sequence[_Placed], edges: Sequence[float]) -> None:
    lines = [list(fonts.wrapped(one.cell.text, one.font, SIZE, _width(one, edges))) for one in row]
    height = max(map(len, lines), default=0)
    flow.reserve(min(height, _TOGETHER) * SIZE * LEADING)
    for at in range(height):
        flow.reserve(SIZE * LEADING)
        for one, cell in zip(row, lines, strict=True):
            if at < len(cell):
                flow.put(edges[one.at], cell[at], one.font, SIZE)
        flow.advance(SIZE)
    flow.y += 1.5


def _width(one: _Placed, edges: Sequence[float]) -> float:
    return max(edges[one.at + one.cell.columns] - _GAP - edges[one.at], _NARROWEST)
