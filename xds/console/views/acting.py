"""What pages with actions share: lists, counts that are confirmed, the record of what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from xds.audit import trail
from xds.console.views import shown
from xds.console.visits import PageContent, Visit

TEMPLATE: Final = "confirm.html"
"""Of pages that ask before something is done, or say that it was."""
SHOWN: Final = 50
"""Rows of a list on one page."""
_MOST_START: Final = 100_000
"""Rows that a list passes over at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFirst:
    """What somebody is asked before it is done; the form brings back the count that was seen."""

    question: str
    """The heading."""
    told: Sequence[str]
    """What will happen, a paragraph each."""
    action: str
    """The path of the action, below /console."""
    fields: Mapping[str, str]
    """What the form brings back."""
    button: str
    back: str
    """The path that leads back, below /console."""
    is_final: bool = False
    """Whether it cannot be undone."""

    def page(self) -> PageContent:
        """Return the page that asks."""
        return _page({"asked": self, "done": "", "back": self.back}, self.question)


def done(told: str, back: str) -> PageContent:
    """Return the page that says what was done; ``back`` is the path that leads back."""
    return _page({"asked": None, "done": told, "back": back}, "Done")


def _page(values: Mapping[str, object], title: str) -> PageContent:
    return PageContent(values, title=title, template=TEMPLATE)


@dataclass(frozen=True, slots=True)
class ListPage:
    """Where a list stands: rows from a number on."""

    start: int
    path: str
    """Of the list, below /console."""
    chosen: Mapping[str, str]
    """What the rows are chosen by."""
    is_last: bool = True

    @property
    def first(self) -> str:
        """The path of the beginning of the list; empty where this is it."""
        return self._place(0) if self.start else ""

    @property
    def further(self) -> str:
        """The path of what follows; empty where nothing does."""
        return "" if self.is_last else self._place(self.start + SHOWN)

    def _place(self, start: int) -> str:
        return place(self.path, **self.chosen, start=str(start or ""))


def start_of(visit: Visit) -> int:
    """Return from which row on a list is asked for."""
    return min(number_of(visit.given["start"]), _MOST_START)


def number_of(text: str) -> int:
    """Return a number of a form; 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def place(path: str, **chosen: str) -> str:
    """Return the path of a list with what it is chosen by."""
    told = {name: text for name, text in chosen.items() if text}
    return f"{path}?{urlencode(told)}" if told else path


def count(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def record(visit: Visit, action: str, target: str, told: str = "") -> None:
    """Record what the person has done to the server."""
    visit.record(trail.of_action(visit.caller, action, shown.plain(target), shown.plain(told)))
