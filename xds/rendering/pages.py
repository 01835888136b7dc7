"""Pages of a PDF before they are drawn: what stands where, from the top down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.rendering import fonts

A4: Final = (595.28, 841.89)
"""Width and height in points."""
MARGIN: Final = 40.0
FOOT: Final = 34.0
"""Height at the bottom that a page keeps free."""
LEADING: Final = 1.28
"""Distance of lines, by the size of the font."""
GREY: Final = 90


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text on a page."""

    x: float
    y: float
    """Of its base line, from the top."""
    text: str
    font: str
    size: float
    grey: int = 0


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """A rule, or a box where it has a height."""

    x: float
    y: float
    width: float
    height: float = 0.0
    line: float = 0.3
    """Thickness."""


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A picture on a page."""

    x: float
    y: float
    """Of its upper edge."""
    width: float
    height: float
    data: bytes
    """PNG or JPEG without transparency, in RGB or grey."""


@dataclass(slots=True)
class Sheet:
    """One page."""

    is_wide: bool
    texts: list[PlacedText] = field(default_factory=list)
    boxes: list[PlacedBox] = field(default_factory=list)
    images: list[PlacedImage] = field(default_factory=list)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        return (A4[1], A4[0]) if self.is_wide else A4


class Flow:
    """Fills pages from the top down, and begins the next where one is full."""

    def __init__(self, banner: Callable[["Flow"], None], *, is_wide: bool = False) -> None:
        self.sheets: list[Sheet] = []
        self.y = 0.0
        self._top = 0.0
        """Where a page begins below the banner."""
        self._banner = banner
        self.running: Callable[[], None] | None = None
        """What is repeated at the top of each page, below the banner."""
        self.turn(is_wide=is_wide)

    @property
    def sheet(self) -> Sheet:
        """The page that is being filled."""
        return self.sheets[-1]

    @property
    def room(self) -> float:
        """Width between the margins."""
        return self.sheet.size[0] - 2 * MARGIN

    @property
    def left(self) -> float:
        """Height that is left on the page."""
        return self.sheet.size[1] - FOOT - self.y

    def turn(self, *, is_wide: bool) -> None:
        """Begin a page."""
        self.sheets.append(Sheet(is_wide))
        self.y = MARGIN
        self._banner(self)
        self._top = self.y
        if self.running is not None:
            self.running()

    def orient(self, *, is_wide: bool) -> None:
        """See to it that what follows stands on a page of that orientation."""
        if self.sheet.is_wide != is_wide:
            self.turn(is_wide=is_wide)

    def reserve(self, height: float) -> None:
        """Begin a page if so much does not fit on this one."""
        if height > self.left:
            self.turn(is_wide=self.sheet.is_wide)

    def put(self, x: float, text: str, font: str, size: float, grey: int = 0) -> None:
        """Place a text in the line that :meth:`advance` ends; x is from the left margin."""
        if text:
            base = self.y + size
            self.sheet.texts.append(PlacedText(MARGIN + x, base, text, font, size, grey))

    def advance(self, size: float) -> None:
        """End a line of that font size."""
        self.y += size * LEADING

    def line(self, text: str, font: str, size: float, x: float = 0.0, grey: int = 0) -> None:
        """Place a line of text."""
        self.reserve(size * LEADING)
        self.put(x, text, font, size, grey)
        self.advance(size)

    def prose(self, text: str, font: str, size: float, x: float = 0.0, grey: int = 0) -> None:
        """Place a text over as many lines as it needs."""
        for line in fonts.wrapped(text, font, size, self.room - x):
            self.line(line, font, size, x, grey)

    def image(self, data: bytes, width: float, height: float, x: float = 0.0) -> None:
        """Place a picture, as small as it must be to fit on one page."""
        whole = self.sheet.size[1] - FOOT - self._top
        scale = min(1.0, (self.room - x) / width, whole / height)
        width, height = width * scale, height * scale
        self.reserve(height)
        self.sheet.images.append(PlacedImage(MARGIN + x, self.y, width, height, data))
        self.y += height

    def rule(self, line: float = 0.3, x: float = 0.0) -> None:
        """Place a rule over the width."""
        self.sheet.boxes.append(PlacedBox(MARGIN + x, self.y, self.room - x, line=line))

    def boxed(self, texts: Sequence[str], size: float) -> None:
        """Place texts in a box."""
        lines = [
            line for text in texts for line in fonts.wrapped(text, fonts.BOLD, size, self.room - 12)
        ]
        height = len(lines) * size * LEADING + 8
        self.reserve(height)
        self.sheet.boxes.append(PlacedBox(MARGIN, self.y, self.room, height, line=1.0))
        self.y += 3
        for line in lines:
            self.put(6, line, fonts.BOLD, size)
            self.advance(size)
        self.y += 9
