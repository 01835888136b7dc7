"""What the readers of statements share: what any entry of CDA may have, and how it is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import party
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.codes_of_statements import GENERIC, NONE_KNOWN
from xds.content.reading.model import ContentStatement, StatementKind
from xds.metadata.objects import Code

_COMMENT: Final = "48767-8"
_IN_ERROR: Final = frozenset({"nullified", "obsolete"})
PLANNED: Final = frozenset({"INT", "RQO", "PRP", "PRMS"})
"""Moods of what has not happened yet."""

CodedName: TypeAlias = tuple[str, Code | None, tuple[Code, ...]]
"""The words, the code and further codes of a coded thing."""


def code_of(element: Element | None) -> str:
    """Return the code of an element; empty where it has none."""
    return (element.get("code") or "").strip() if element is not None else ""


def status_code(statement: Element) -> str:
    """Return the ActStatus of a statement; empty where it has none."""
    return code_of(hl7.first(statement, "statusCode"))


def is_negated(statement: Element) -> bool:
    """Tell whether a statement is that something is not so."""
    return bool(statement.get("negationInd") == "true")


def mood(statement: Element) -> str:
    """Return the mood of a statement: EVN has happened."""
    return statement.get("moodCode") or "EVN"


def related(statement: Element, *tags: str) -> Iterator[tuple[Element, Element]]:
    """Yield what hangs on a statement, with the link to it; only what has happened."""
    for link in statement.iterchildren(f"{{{NS}}}entryRelationship"):
        for one in link.iterchildren(*(f"{{{NS}}}{tag}" for tag in tags)):
            if mood(one) == "EVN" and not is_negated(one):
                yield link, one


def is_of(statement: Element, code: str) -> bool:
    """Tell whether the code of a statement is this one."""
    return code_of(statement.find(f"{{{NS}}}code")) == code


def is_usable(statement: Element) -> bool:
    """Tell whether a statement is of the patient, and not withdrawn."""
    is_of_other = statement.find(f"{{{NS}}}subject") is not None
    return not is_of_other and status_code(statement) not in _IN_ERROR


@dataclass(frozen=True, slots=True)
class StatementReader:
    """Reads the statements of one entry."""

    source: CdaSource
    words: tuple[str, ...] = ()
    """Of the narrative, to which the entry refers."""

    def statement(self, kind: StatementKind, element: Element, **more: Any) -> ContentStatement:
        """Return a statement of what is read already and of what all kinds have."""
        start, stop = self.times(element)
        if more["is_none_known"] and is_negated(element):
            more |= {"name": "", "code": None, "translations": ()}
        notes = dict.fromkeys((*more.pop("notes", ()), *self._comments(element), *self.words))
        return ContentStatement(
            kind=kind,
            is_negated=is_negated(element) and not more["is_none_known"],
            start=start,
            stop=stop,
            recorded=self._recorded(element),
            performer=self._performer(element),
            notes=tuple(one for one in notes if one and one != more["name"]),
            place=self.source.places.of(element),
            **more,
        )

    def times(self, statement: Element) -> tuple[str, str]:
        """Return when something began and ended: of an interval, or the one time there is."""
        for element in hl7.each(statement, "effectiveTime"):
            start = self.source.time_of(element, "low", "center")
            stop = self.source.time(hl7.first(element, "high"))
            if start or stop:
                is_point = self.source.time(element) == start and not stop
                is_same = start == stop
                return start, "" if is_point or is_same else stop
        return "", ""

    def _recorded(self, statement: Element) -> str:
        found = (self.source.time(one) for one in hl7.each(statement, "author/time"))
        return next(filter(None, found), "")

    def _performer(self, statement: Element) -> str:
        for role in hl7.each(statement, "performer/assignedEntity"):
            who = party(role)
            if who.name or who.organisation:
                return who.name or who.organisation
        return ""

    def _comments(self, statement: Element) -> Iterator[str]:
        for _, act in related(statement, "act"):
            if is_of(act, _COMMENT):
                yield self.source.text(act.find(f"{{{NS}}}text"))

    def code(self, statement: Element, name: str) -> Code | None:
        """Return the code of an element, or its words as a code without a system."""
        element = hl7.first(statement, name)
        if (code := self.source.code(element)) is not None:
            return code
        said = self.source.words(element)
        return Code("", "", said) if said else None

    def is_none(
        self,
        kind: StatementKind,
        statement: Element,
        code: Code | None,
        *,
        is_generic: bool = False,
    ) -> bool:
        """Tell whether nothing of a kind is known: by a code of that, or as a kind is negated."""
        if code is None:
            return False
        if is_negated(statement):
            return is_generic or code.code in GENERIC.get(kind, ())
        return code.code in NONE_KNOWN[kind]

    def values(self, statement: Element) -> CodedName | None:
        """Return what the value of an observation names, else its code where that says more."""
        for value in statement.iterchildren(f"{{{NS}}}value"):
            if (named := self.named(value)) is not None:
                return named
        return None

    def named(self, element: Element | None) -> CodedName | None:
        """Return the words and the codes of a coded thing; None where it has neither."""
        if element is None:
            return None
        translations = tuple(self.source.translations(element))
        code = self.source.code(element)
        name = self.source.words(element)
        if not name and not code_of(element):
            name = self.source.text(element)
        if not (name or translations):
            return None
        first = code or next(iter(translations), None)
        rest = tuple(one for one in translations if one is not first)
        return name or (first.display_name if first else ""), first, rest

    def reason(self, statement: Element) -> str:
        """Return why something was done, or was not."""
        said = []
        for link, one in related(statement, "observation", "act"):
            if link.get("typeCode") == "RSON":
                value = self.values(one) or self.named(one.find(f"{{{NS}}}code"))
                said += [value[0]] if value is not None else []
        return ", ".join(said)


def text_of(element: Element | None, path: str) -> str:
    """Return the text of the first element at a path; empty where there is none."""
    return hl7.text(hl7.first(element, path)) if element is not None else ""
