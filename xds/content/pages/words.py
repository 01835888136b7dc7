"""The words of an element of markup, and the numbers of its attributes."""

import re
from typing import Final

from lxml import etree

_LONGEST_SPAN: Final = 1_000
_SPAN: Final = re.compile(r"[0-9]{1,4}")


def texts_of(element: etree._Element) -> list[str]:
    """Return the texts within an element, and what follows it; none is blank."""
    found = [text for text in element.itertext("*") if text.strip()]
    if element.tail and element.tail.strip():
        found.append(element.tail)
    return found


def has_words(element: etree._Element) -> bool:
    """Tell whether an element shows anything but blanks."""
    if element.text and not element.text.isspace():
        return True
    return len(element) > 0 and any(not text.isspace() for text in element.itertext("*"))


def span_of(given: str | None) -> int:
    """Return how many rows or columns an attribute says, at most 1,000; 1 where it says none."""
    number = int(given.strip()) if given and _SPAN.fullmatch(given.strip()) else 1
    return number if 1 <= number <= _LONGEST_SPAN else 1
