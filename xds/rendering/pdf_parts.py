"""Parts of pages that reports and forms have alike: the banner, labelled values, columns."""

from collections.abc import Callable, Sequence
from typing import Final

from xds.rendering import fonts
from xds.rendering.pages import GREY, LEADING, Flow

_NAME_SIZE: Final = 11.0
_SIZE: Final = 8.5
_SPREAD: Final = 26.0
"""How much wider than needed a column may be."""


def banner(name: str, *facts: str, title: str) -> Callable[[Flow], None]:
    """Return what places, at the top of each page, who the patient is and the document's title."""

    def place(flow: Flow) -> None:
        room = flow.room - 80  # for the number of the page
        for line in fonts.wrapped(name, fonts.BOLD, _NAME_SIZE, room):
            flow.put(0, line, fonts.BOLD, _NAME_SIZE)
            flow.advance(_NAME_SIZE)
        for text in ("   ".join(facts), title):
            for line in fonts.wrapped(text, fonts.PROSE, _SIZE, flow.room):
                flow.put(0, line, fonts.PROSE, _SIZE)
                flow.advance(_SIZE)
        flow.y += 3
        flow.rule(1.0)
        flow.y += 8

    return place


def labelled(flow: Flow, fields: Sequence[tuple[str, str]]) -> None:
    """Place labels and values in two columns, filled row by row."""
    if not fields:
        return
    half = (flow.room - 14) / 2
    label_room = 6 + max(fonts.width(label, fonts.PROSE, _SIZE) for label, _ in fields)
    for at in range(0, len(fields), 2):
        pair = fields[at : at + 2]
        values = [
            list(fonts.wrapped(value, fonts.PROSE, _SIZE, half - label_room)) for _, value in pair
        ]
        height = max(map(len, values))
        flow.reserve(min(height, 6) * _SIZE * LEADING)
        for line in range(height):
            flow.reserve(_SIZE * LEADING)
            for side, ((label, _), value) in enumerate(zip(pair, values, strict=True)):
                x = side * (half + 14)
                flow.put(x, label if line == 0 else "", fonts.PROSE, _SIZE, GREY)
                if line < len(value):
                    flow.put(x + label_room, value[line], fonts.PROSE, _SIZE)
            flow.advance(_SIZE)
    flow.y += 3
    flow.rule()
    flow.y += 8


def heading(flow: Flow, text: str, size: float = 10.0) -> None:
    """Place a heading, which stays with what follows."""
    flow.y += 5
    flow.reserve(5 * size * LEADING)
    flow.prose(text, fonts.BOLD, size)
    flow.y += 2


def widest(texts: Sequence[str], size: float) -> float:
    """Return the width of the widest of some texts in bold."""
    return max((fonts.width(text, fonts.BOLD, size) for text in texts), default=0.0)


def shared(wanted: Sequence[float], least: Sequence[float], room: float) -> Sequence[float]:
    """Return the widths of columns: what they want if it fits, else between that and the least."""
    if sum(wanted) <= room:
        spread = min(_SPREAD, (room - sum(wanted)) / len(wanted))
        return [width + spread for width in wanted]
    if sum(least) >= room:
        return [width * room / sum(least) for width in least]
    slack = [most - fewest for most, fewest in zip(wanted, least, strict=True)]
    share = (room - sum(least)) / sum(slack)
    return [fewest + share * one for fewest, one in zip(least, slack, strict=True)]
