"""Pictures as a PDF/A takes them: without transparency, in RGB or grey, and not too large."""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image, UnidentifiedImageError

MOST_PIXELS: Final = 25_000_000
"""Of a picture that is drawn; each takes three bytes of memory, however few there are in a file."""
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")
_LARGEST_SIDE: Final = 2_400
"""Pixels: at the width of a page that is about 330 dpi."""
_POINTS: Final = 0.75
"""Of a pixel, as browsers take it."""


@dataclass(frozen=True, slots=True)
class FlatPicture:
    """A picture that can be drawn."""

    data: bytes
    """PNG."""
    width: float
    """In points."""
    height: float


def flattened(data: bytes) -> FlatPicture | None:
    """Return a picture on white; None of bytes that are none, or of too many pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
            width, height = found.size
            if not 0 < width * height <= MOST_PIXELS:
                return None
            found.load()
            flat = _on_white(found)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    flat.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    made = io.BytesIO()
    flat.save(made, "PNG")
    return FlatPicture(made.getvalue(), width * _POINTS, height * _POINTS)


def _on_white(found: Image.Image) -> Image.Image:
    if found.mode in ("L", "RGB") and "transparency" not in found.info:
        return found.copy()
    if found.mode in ("1", "I", "I;16", "F"):
        return found.convert("L")
    whole = found.convert("RGBA")
    white = Image.new("RGBA", whole.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, whole).convert("RGB")
