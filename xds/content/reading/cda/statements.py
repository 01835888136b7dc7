"""What the entries of sections state, beside results: problems, allergies, medicines and the like.

Sections are told by their LOINC codes, which C-CDA, PCC, IPS and national guides share, and not by
templates, of which each has its own. An entry that cannot be read states nothing, and the narrative
of its section, which is what was signed (CDA R2 4.3.4), has to be shown.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from lxml import etree

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.concern_readers import allergies, conditions
from xds.content.reading.cda.observations import is_result, plain_observation
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.cda.statement_parts import StatementReader
from xds.content.reading.cda.treatment_readers import (
    devices,
    immunizations,
    medications,
    procedures,
)
from xds.content.reading.model import (
    ContentObservation,
    ContentStatement,
    SectionStatements,
    StatementKind,
)

LOINC: Final = "2.16.840.1.113883.6.1"
_KINDS: Final[Mapping[str, StatementKind]] = {
    "10160-0": "medication",  # History of Medication use
    "10183-2": "medication",  # Hospital discharge medications
    "10155-0": "allergy",  # History of allergies
    "11348-0": "condition",  # History of Past illness
    "11369-6": "immunization",  # History of Immunization
    "11450-4": "condition",  # Problem list
    "29549-3": "medication",  # Medication administered
    "42346-7": "medication",  # Medications on admission
    "46264-8": "device",  # History of medical device use
    "47519-4": "procedure",  # History of Procedures
    "48765-2": "allergy",  # Allergies and adverse reactions
    "57828-6": "medication",  # Prescription list
}
"""What the entries of a section are, by its code."""
_READERS: Final[
    Mapping[StatementKind, Callable[[StatementReader, Element], Iterator[ContentStatement]]]
] = {
    "allergy": allergies,
    "condition": conditions,
    "device": devices,
    "immunization": immunizations,
    "medication": medications,
    "procedure": procedures,
}
"""By the kind of the section."""
_OF_OBSERVATIONS: Final = frozenset({"10162-6", "29762-2", "47420-5"})
"""Histories of pregnancy and social history, functional status."""
_STATEMENTS: Final = (
    f"{{{NS}}}act",
    f"{{{NS}}}observation",
    f"{{{NS}}}organizer",
    f"{{{NS}}}procedure",
    f"{{{NS}}}substanceAdministration",
    f"{{{NS}}}supply",
)
_OBSERVATION: Final = f"{{{NS}}}observation"
_ORGANIZER: Final = f"{{{NS}}}organizer"
_MOST_WORDS: Final = 2_000
"""Characters of a part of the narrative that a statement refers to."""

# narrative
_ROWS: Final = frozenset({"tr", "item", "paragraph"})
_HEADS: Final = frozenset({"thead", "caption", "col", "colgroup"})
_WITH_ROWS: Final = frozenset({"text", "table", "tbody", "list"})


def statements(source: CdaSource) -> Iterator[SectionStatements]:
    """Yield what each section states whose entries are known, in the order of the document."""
    for structured in hl7.each(source.root, "component/structuredBody"):
        for section in structured.iter(f"{{{NS}}}section"):
            code = section.find(f"{{{NS}}}code")
            if code is None or code.get("codeSystem") != LOINC:
                continue
            kind = _KINDS.get(code.get("code") or "")
            if kind is not None or code.get("code") in _OF_OBSERVATIONS:
                yield _of_section(source, section, kind)


def _of_section(
    source: CdaSource, section: Element, kind: StatementKind | None
) -> SectionStatements:
    narrative = _Narrative(section)
    found: list[ContentStatement] = []
    observed: list[ContentObservation] = []
    is_all = True
    for entry in section.iterchildren(f"{{{NS}}}entry"):
        own = list(entry.iterchildren(_STATEMENTS))
        words = narrative.words(entry)
        count = len(found) + len(observed)
        for statement in own:
            if kind is None:
                observed += _observations(source, section, statement, words)
            else:
                reader = StatementReader(source, words)
                found += _READERS[kind](reader, statement)
        is_all = is_all and len(found) + len(observed) > count
    return SectionStatements(
        place=source.places.of(section),
        code=source.code(section.find(f"{{{NS}}}code")),
        statements=found,
        observations=observed,
        is_all=is_all and bool(found or observed) and narrative.is_told,
    )


def _observations(
    source: CdaSource, section: Element, statement: Element, words: tuple[str, ...]
) -> Iterator[ContentObservation]:
    """Yield the observations of an entry that are none by their templates."""
    if statement.tag == _ORGANIZER:
        for inner in statement.iterfind(f"{{{NS}}}component/{{{NS}}}observation"):
            yield from _observations(source, section, inner, words)
    is_event = (statement.get("moodCode") or "EVN") == "EVN"
    if statement.tag != _OBSERVATION or not is_event or is_result(statement):
        return
    category = source.code(section.find(f"{{{NS}}}code"))
    found = plain_observation(source, statement, category)
    is_of_patient = statement.find(f"{{{NS}}}subject") is None
    if is_of_patient and found.name and found.values and found.status != "entered-in-error":
        notes = dict.fromkeys((*found.notes, *(one for one in words if one != found.name)))
        yield replace(found, notes=tuple(notes))


class _Narrative:
    """The narrative of a section: which of it statements refer to."""

    def __init__(self, section: Element) -> None:
        self._text = section.find(f"{{{NS}}}text")
        self._words: dict[Element, str | None] = {}
        self._by_id: dict[str, Element] = {}
        if self._text is not None:
            for one in self._text.iter(etree.Element):
                if identifier := one.get("ID"):
                    self._by_id.setdefault(identifier, one)

    def words(self, entry: Element) -> tuple[str, ...]:
        """Return the rows, items and paragraphs that an entry refers to, and remember them."""
        found: dict[Element, str] = {}
        for reference in entry.iter(f"{{{NS}}}reference"):
            value = reference.get("value") or ""
            row = self._row(self._by_id.get(value[1:])) if value.startswith("#") else None
            if row is not None:
                # looked at once, however many entries refer to it
                if row not in self._words:
                    self._words[row] = _words_of(row)
                said = self._words[row]
                if said is not None:
                    found[row] = said
        return tuple(filter(None, found.values()))

    @property
    def is_told(self) -> bool:
        """Whether nothing was said beside what was remembered."""
        return self._text is None or not self._left(self._text)

    def _row(self, element: Element | None) -> Element | None:
        here = element
        while here is not None and here is not self._text:
            if _name(here) in _ROWS:
                return here
            here = here.getparent()
        return None if element is None or _name(element) in _WITH_ROWS else element

    def _left(self, element: Element) -> bool:
        """Tell whether there are words, or a picture, that no statement refers to."""
        pending = [element]
        while pending:
            here = pending.pop()
            if any(_is_word(one.tail) for one in here) or _is_word(here.text):
                return True
            if here.find(f"{{{NS}}}renderMultiMedia") is not None:
                return True
            pending += [
                one
                for one in here.iterchildren(etree.Element)
                if self._words.get(one) is None and _name(one) not in _HEADS
            ]
        return False


def _name(element: Element) -> str:
    return str(etree.QName(element).localname)


def _is_word(text: str | None) -> bool:
    return text is not None and any(one.isalnum() for one in text)


def _is_plain(row: Element) -> bool:
    """Tell whether nothing in a row was deleted or is a picture: its text alone would mislead."""
    return not any(
        one.get("revised") is not None or _name(one) == "renderMultiMedia"
        for one in row.iter(etree.Element)
    )


def _words_of(row: Element) -> str | None:
    """Return the words of a row, those of its cells told apart; None of one that needs showing."""
    if not _is_plain(row):
        return None
    cells = [hl7.text(one) for one in row.iterchildren(f"{{{NS}}}td", f"{{{NS}}}th")]
    said = ", ".join(filter(None, cells)) or hl7.text(row)
    return said if len(said) <= _MOST_WORDS else None
