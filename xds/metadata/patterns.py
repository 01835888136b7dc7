"""Objects with blanks: made and rendered once, and filled in as often as one likes.

Making an object and writing it as XML takes a few hundred times as long as putting other words into
what was written. Who needs millions of objects that differ in some words makes a pattern of each
sort, whose differing texts are blanks, and drafts of it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from operator import itemgetter
from typing import Any, Final

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.objects import MetadataObject
from xds.metadata.submission import part_ids

_BLANK: Final = re.compile("⟦([^⟧]+)⟧")


def blank(name: str) -> str:
    """Write a blank, which any attribute that is a text may hold, alone or among other words."""
    return f"⟦{name}⟧"


def blanks(text: str) -> Sequence[str]:
    """Return the names of the blanks of a text."""
    return _BLANK.findall(text)


class Text:
    """A text cut at its blanks."""

    def __init__(self, text: str) -> None:
        self._parts = _BLANK.split(text)
        names = self._parts[1::2]
        self._pick: Callable[[Mapping[str, str]], Any] = (
            itemgetter(*names) if len(names) > 1 else lambda values: [values[n] for n in names]
        )

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the text with a value for each blank."""
        parts = self._parts.copy()
        parts[1::2] = self._pick(values)
        return "".join(parts)


@dataclass(frozen=True, eq=False)
class Pattern:
    """An object whose ids are blanks, and other texts of it: see :func:`pattern`."""

    thing: MetadataObject
    ids: Sequence[str]
    """The blanks of its own id, and then of those of its parts."""

    @cached_property
    def text(self) -> Text:
        """The object as XML."""
        return Text(ebrim.render(self.thing))


@dataclass(frozen=True, slots=True)
class Draft:
    """One object of a pattern: ``values`` has a text for each of its blanks."""

    pattern: Pattern
    values: Mapping[str, str]

    @property
    def id(self) -> str:
        """Its entryUUID."""
        return self.values[self.pattern.ids[0]]

    def render(self) -> str:
        """Write the object as XML text, as :func:`xds.metadata.ebrim.render` does."""
        return self.pattern.text.filled(escaped(self.values))


def escaped(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the values as XML has them."""
    return {name: ebrim.escape(value) for name, value in values.items()}


def pattern(thing: MetadataObject) -> Pattern:
    """Make a pattern of an object that has blanks; its id and those of its parts become some."""
    own = blank("id 0")
    places = count(1)
    classifications = tuple(
        ebrim.changed(part, id=blank(f"id {next(places)}"), classifiedObject=own)
        for part in thing.classifications
    )
    identifiers = tuple(
        ebrim.changed(part, id=blank(f"id {next(places)}"), registryObject=own)
        for part in thing.external_identifiers
    )
    made = ebrim.changed(
        thing, id=own, classifications=classifications, external_identifiers=identifiers
    )
    return Pattern(made, tuple(f"id {place}" for place in range(next(places))))


def filled(made: Pattern, entry_uuid: str, values: Mapping[str, str]) -> Draft:
    """Make a draft that has this id; those of its parts follow it."""
    ids = dict(zip(made.ids, chain((entry_uuid,), part_ids(entry_uuid)), strict=False))
    return Draft(made, {**values, **ids})


def render(drafts: Sequence[Draft]) -> str:
    """Write an ``lcm:SubmitObjectsRequest`` of drafts."""
    content = "".join([draft.render() for draft in drafts])
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{v.NS_LCM}" xmlns:rim="{v.NS_RIM}">'
        f"<rim:RegistryObjectList>{content}</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
    )
