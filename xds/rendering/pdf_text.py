"""Lines of text on pages as they came: monospaced, columns kept, smaller before they are broken."""

from collections.abc import Sequence
from typing import Final

from xds.rendering import fonts
from xds.rendering.pages import A4, MARGIN, Flow

LARGEST: Final = 9.0
SMALLEST: Final = 6.0
"""Sizes of the font in points."""
_TAB: Final = 8


def monospaced(flow: Flow, lines: Sequence[str], x: float = 0.0) -> None:
    """Place lines in one size: the largest in which those fit that can fit at all."""
    shown = [line.rstrip().expandtabs(_TAB) for line in lines]
    size = _size(shown, flow.room - x)
    for line in shown:
        for part in fonts.wrapped(line, fonts.MONO, size, flow.room - x):
            flow.line(part, fonts.MONO, size, x)


def is_wide(lines: Sequence[str]) -> bool:
    """Return whether lines have columns that fit on a page that is turned only."""
    upright, turned = (_columns(side - 2 * MARGIN, SMALLEST) for side in A4)
    return any(
        upright < len(line.rstrip().expandtabs(_TAB)) <= turned and "  " in line.strip()
        for line in lines
    )


def _size(lines: Sequence[str], room: float) -> float:
    most = _columns(room, SMALLEST)
    longest = max((len(line) for line in lines if len(line) <= most), default=0)
    fitting = room / (longest * _advance()) if longest else LARGEST
    return max(SMALLEST, min(LARGEST, fitting))


def _columns(room: float, size: float) -> int:
    return int(room / (size * _advance()))


def _advance() -> float:
    return fonts.font(fonts.MONO).width("n")
