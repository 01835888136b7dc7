"""A ClinicalDocument that is read: times, texts that are elsewhere in it, and places."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cached_property
from typing import Final

from lxml import etree

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.metadata.objects import Code

_NO_CODES: Final = frozenset({"unknown", "unk", "nullflavor"})
"""What some systems write as the code of what has none, in place of a nullFlavor."""
TRANSLATION: Final = f"{{{NS}}}translation"
_WITH_ID: Final = etree.XPath("descendant-or-self::*[@ID]")


@dataclass(slots=True)
class ElementPlaces:
    """The XPath of elements, with plain names: the children of each parent are counted once."""

    _paths: dict[Element, str] = field(default_factory=dict)

    def of(self, element: Element) -> str:
        """Return where an element stands, such as ``/ClinicalDocument/author[2]/time``."""
        known = self._paths.get(element)
        if known is not None:
            return known
        parent = element.getparent()
        if parent is None:
            self._paths[element] = found = f"/{_name(element)}"
            return found
        above = self.of(parent)
        self._count(parent, above)
        return self._paths[element]

    def _count(self, parent: Element, above: str) -> None:
        children = [one for one in parent if isinstance(one.tag, str)]
        numbers: dict[str, int] = {}
        for child in children:
            numbers[child.tag] = numbers.get(child.tag, 0) + 1
        repeated = {tag for tag, number in numbers.items() if number > 1}
        numbers.clear()
        for child in children:
            path = f"{above}/{_name(child)}"
            if child.tag in repeated:
                number = numbers[child.tag] = numbers.get(child.tag, 0) + 1
                path = f"{path}[{number}]"
            self._paths[child] = path


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


@dataclass
class CdaSource:
    """One ClinicalDocument, and what is known of times that state no zone."""

    root: Element
    zone: tzinfo = UTC
    places: ElementPlaces = field(default_factory=ElementPlaces)

    @cached_property
    def _with_ids(self) -> dict[str, Element]:
        """The elements that have an ID; of several with one ID the first."""
        found: dict[str, Element] = {}
        for element in _WITH_ID(self.root):
            found.setdefault(element.get("ID") or "", element)
        return found

    def time(self, element: Element | None) -> str:
        """Return a point in time as DTM; empty where there is none, or none that can be read."""
        value = (element.get("value") or "").strip() if element is not None else ""
        try:
            return hl7.dtm(value, self.zone) if value else ""
        except (ValueError, OverflowError):
            return ""

    def time_of(self, element: Element | None, *bounds: str) -> str:
        """Return a point in time, or the first bound that an interval has."""
        if element is None:
            return ""
        found = (self.time(hl7.first(element, bound)) for bound in bounds)
        return self.time(element) or next(filter(None, found), "")

    def text(self, element: Element | None) -> str:
        """Return the text of an ED, or of the part of the narrative that it refers to."""
        if element is None:
            return ""
        return hl7.text(element) or self._referred(element)

    def _referred(self, element: Element) -> str:
        reference = hl7.first(element, "reference")
        value = (reference.get("value") or "") if reference is not None else ""
        if not value.startswith("#"):
            return ""
        return hl7.text(self._with_ids.get(value[1:]))

    def words(self, element: Element | None) -> str:
        """Return what readers call a coded thing.

        That is its own display, the text that it was made of, what a translation calls it, or last
        its code. A display that says that it is unknown counts where nothing else is said.
        """
        if element is None:
            return ""
        display = (element.get("displayName") or "").strip()
        if display and display.casefold() not in _NO_CODES:
            return display
        if original := self.text(element.find(f"{{{NS}}}originalText")):
            return original
        for one in element.iterchildren(TRANSLATION):
            if said := (one.get("displayName") or "").strip():
                return said
        return display or (element.get("code") or "").strip()

    def code(self, element: Element | None) -> Code | None:
        """Return the code of a CD itself, displayed by its words; None where it has none."""
        if element is None or element.get("nullFlavor") is not None:
            return None
        code, scheme = (
            (element.get("code") or "").strip(),
            (element.get("codeSystem") or "").strip(),
        )
        if not (code and scheme) or code.casefold() in _NO_CODES:
            return None
        return Code(code, scheme, self.words(element))

    def translations(self, element: Element | None) -> Iterator[Code]:
        """Yield the codes of the translations of a CD."""
        if element is not None:
            for one in element.iterchildren(TRANSLATION):
                if (code := self.code(one)) is not None:
                    yield code
