"""The words of an element of markup, what its attributes say, and text as HTML has it."""

import re
from typing import Final

from lxml import etree

_LONGEST_SPAN: Final = 1_000
_SPAN: Final = re.compile(r"[0-9]{1,4}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}")


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


def escaped(text: str) -> str:
    """Escape text that stands between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def quoted(text: str) -> str:
    """Escape text that stands in an attribute."""
    return escaped(text).replace('"', "&quot;")


def language_of(given: str) -> str:
    """Return a language as RFC 5646 writes it, or nothing where it is none."""
    language = given.strip().replace("_", "-")
    return language if _LANGUAGE.fullmatch(language) else ""


def words(element: etree._Element) -> str:
    """Return all text in an element, with single spaces."""
    return " ".join(" ".join(element.itertext("*")).split())
