"""The fonts of rendered PDFs: what they can show, and how wide it is.

They come with the package ``pymupdf-fonts`` (SIL Open Font License): FiraGO for prose, Cascadia
Mono for lines with columns. Each stands in for what the other lacks.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final

import pymupdf_fonts
from fontTools.ttLib import TTFont

PROSE: Final = "figo"
BOLD: Final = "figbo"
MONO: Final = "cascadia"
_STAND_INS: Final = {PROSE: (MONO,), BOLD: (MONO,), MONO: (PROSE,)}

# Of the layout of scripts, which is not used here; they make each document slower.
_UNUSED_TABLES: Final = ("GSUB", "GPOS", "GDEF", "DSIG", "BASE", "STAT", "meta")
_CONTROLS: Final = (range(0x20), range(0x7F, 0xA0), range(0xD800, 0xF900), range(0xFE00, 0xFE10))
_MARKS: Final = frozenset({0x00AD, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF})


@dataclass(frozen=True, slots=True)
class PdfFont:
    """One font."""

    name: str
    data: bytes
    """A TrueType font without layout tables."""
    widths: Mapping[int, float]
    """Width of each character that it has, by code point, for the size 1."""

    def width(self, text: str) -> float:
        """Return the width of a text for the size 1; all its characters are in the font."""
        widths = self.widths
        return sum(widths[ord(character)] for character in text)


@cache
def font(name: str) -> PdfFont:
    """Return a font by its name."""
    read = TTFont(io.BytesIO(pymupdf_fonts.myfont(name)), recalcTimestamp=False, lazy=True)
    for table in _UNUSED_TABLES:
        if table in read:
            del read[table]
    advances, unit = read["hmtx"].metrics, read["head"].unitsPerEm
    widths = {
        code: advances[glyph][0] / unit
        for code, glyph in read.getBestCmap().items()
        if code not in _MARKS and not any(code in controls for controls in _CONTROLS)
    }
    stripped = io.BytesIO()
    read.save(stripped)
    return PdfFont(name, stripped.getvalue(), widths)


@cache
def _of_character(name: str, character: str) -> tuple[str, str]:
    """Return with which font to show what for a character: itself, or its code point."""
    for candidate in (name, *_STAND_INS[name]):
        if ord(character) in font(candidate).widths:
            return candidate, character
    return name, f"[U+{ord(character):04X}]"


def runs(text: str, name: str) -> Sequence[tuple[str, str]]:
    """Return a text as fonts with what each shows of it; no character is lost."""
    own = font(name).widths
    if all(ord(character) in own for character in text):
        return ((name, text),) if text else ()
    shown = (_of_character(name, character) for character in text)
    return [
        (one, "".join(character for _, character in group))
        for one, group in groupby(shown, key=lambda pair: pair[0])
    ]


def width(text: str, name: str, size: float) -> float:
    """Return the width of a text in points."""
    return size * sum(font(one).width(shown) for one, shown in runs(text, name))


def wrapped(text: str, name: str, size: float, room: float) -> Iterator[str]:
    """Yield a text as lines that are no wider than ``room`` points, broken between words if it can.

    Leading spaces stay; of the spaces at a break one is left out.
    """
    for line in text.split("\n"):
        yield from _wrapped_line(line.rstrip(), name, size, room)


def _wrapped_line(line: str, name: str, size: float, room: float) -> Iterator[str]:
    while width(line, name, size) > room and len(line) > 1:
        fitting = _fitting(line, name, size, room)
        lead = len(line) - len(line.lstrip(" "))
        space = line.rfind(" ", lead, fitting + 1)
        at = space if space > lead else fitting
        yield line[:at].rstrip()
        line = line[at + 1 :] if at == space else line[at:]
    yield line


def _fitting(line: str, name: str, size: float, room: float) -> int:
    """Return how many characters of a line fit, at least one."""
    taken = 0.0
    for at, character in enumerate(line):
        shown_by, shown = _of_character(name, character)
        taken += size * font(shown_by).width(shown)
        if taken > room:
            return max(at, 1)
    return len(line)
