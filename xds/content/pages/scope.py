"""What the narratives of one page share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lxml import etree
from markupsafe import Markup

Element: TypeAlias = etree._Element
MediaRenderer = Callable[[str, str], Markup]
"""Shows what an XML ID or a URL refers to, with the words beside it."""

MOST_ELEMENTS: Final = 100_000
"""Of all narratives of a page."""
_MOST_SPANNED: Final = 50_000
"""Cells that all spans of a page make: each takes a browser as long as a cell that is written."""


@dataclass
class NarrativeScope:
    """What the narratives of one page share: ids, notes, tables, and how much is left of limits."""

    narratives: Sequence[Element]
    media: MediaRenderer
    elements_left: int = MOST_ELEMENTS
    spanned_left: int = _MOST_SPANNED
    ids: set[str] = field(default_factory=set)
    """Those that were written; a second element of an id has none."""
    notes: dict[Element, int] = field(default_factory=dict)
    """The number of each footnote, in the order of the page."""
    notes_by_id: dict[str, int] = field(default_factory=dict)
    tables: int = 0
    is_cut: bool = False
    """Whether something was left out for being beyond the limits."""
    _known_ids: frozenset[str] | None = None

    def has_id(self, given: str, attribute: str) -> bool:
        """Tell whether a narrative of the page has an element of this id."""
        if self._known_ids is None:
            path = f"descendant-or-self::*/@{attribute}"
            found = (one.xpath(path) for one in self.narratives)
            self._known_ids = frozenset(str(one) for each in found for one in each)
        return given in self._known_ids
