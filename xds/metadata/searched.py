"""What is searched of an object, and as what: said where the attribute is declared.

Columns and rows of values (:mod:`xds.registry.tables`), what they are filled with
(:mod:`xds.registry.storage.rows`), and the checks of stored queries and search parameters at the
start of the program all follow from it.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


def searchable(text: str) -> str:
    """Return a text in the form in which texts are compared: NFC, exact (ITI TF-3 App. F).

    NUL, which a client may ask for and not every database takes, becomes another character that
    no XML can carry: it is found in nothing.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffe")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


class Searched(Enum):
    """As what an attribute is searched, which says how its values are kept and compared."""

    TEXT = "text"
    """Equal, or like a pattern."""
    CODE = "code"
    """``code^^codingScheme``, or a word of the TF: equal, or like a pattern."""
    TIME = "time"
    """A DTM: from a time, before a time; it can be sorted by."""
    NUMBER = "number"
    """Digits: compared by their value; it can be sorted by."""
    REFERENCE = "reference"
    """Of an object or a patient: equal."""


TEXTS: Final = frozenset({Searched.TEXT, Searched.CODE})
ORDERED: Final = frozenset({Searched.TIME, Searched.NUMBER})
"""What has a before and an after."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is searched under one name, of objects of one kind."""

    searched: Searched
    single: bool
    """Whether there is one value at most: it stands in a column, and else in rows of values."""
    texts: Callable[[Any], tuple[str, ...]]
    """Returns the values of an object as it has them."""

    def values(self, thing: Any) -> tuple[str, ...]:
        """Return the values of an object as they are kept and compared."""
        texts = self.texts(thing)
        if not texts:
            return ()
        if not self.single:
            return tuple(dict.fromkeys(map(searchable, texts)))
        return (searchable(texts[0]),) if any(texts) else ()


OF_REGISTRY: Final[Mapping[str, Searched]] = {
    "registered_at": Searched.TIME,
    "last_updated_at": Searched.TIME,
}
"""What the registry itself knows of an object, beside its attributes."""
