"""The exact text of an XDS attribute beside the element that shows it.

FHIR's data types say less than HL7 v2's: a DTM to the minute, a telephone without its area code, a
name with an unusual component. The element is then written as well as it can be, and carries the
text in an extension. The text is believed only as long as it says what the element says, so that
who changes the element and leaves the extension gets what the element says.
"""

from collections.abc import Callable
from typing import Final

from xds.fhir import vocabulary as f
from xds.fhir.r4.resource import Resource

Canonical = Callable[[str], str | None]
"""What comes back of a text that went through the element alone; None where nothing does."""


def extension(url: str, kind: str, value: object) -> Resource:
    """Return one Extension, such as ``extension(url, "valueString", text)``."""
    return {"url": url, kind: value}


def keep(element: Resource, *texts: str) -> None:
    """Put exact texts beside an element."""
    element.setdefault("extension", []).extend(
        extension(f.OWN_TEXT, "valueString", text) for text in texts
    )


def kept(element: Resource) -> tuple[str, ...]:
    """Return the exact texts beside an element."""
    return tuple(
        one["valueString"]
        for one in element.get("extension", ())
        if one.get("url") == f.OWN_TEXT and "valueString" in one
    )


def believed(element: Resource, plain: str | None, canonical: Canonical) -> str | None:
    """Return the exact text where it says what the element says, else what the element says."""
    for text in kept(element):
        if canonical(text) == plain:
            return text
    return plain


def extensions(element: Resource, url: str) -> list[tuple[int, Resource]]:
    """Return the extensions of this URL, each with its place in the list."""
    found = enumerate(element.get("extension", ()))
    return [(index, one) for index, one in found if one.get("url") == url]


# --- primitive elements --------------------------------------------------------------------------


def put(element: Resource, name: str, text: str, plain: object, canonical: str | None) -> None:
    """Set a primitive element, and beside it the text where the element alone would lose it.

    ``plain`` is the element's value, None where it can have none.
    """
    if plain is not None:
        element[name] = plain
    if canonical != text:
        keep(element.setdefault(BESIDE + name, {}), text)


def text_of(element: Resource, name: str, plain: str | None, canonical: Canonical) -> str | None:
    """Return the text of a primitive element whose own value reads as ``plain``."""
    beside = element.get(BESIDE + name)
    return plain if beside is None else believed(beside, plain, canonical)


BESIDE: Final = "_"
"""FHIR JSON keeps the extensions of a primitive element beside it, under its name with this."""
