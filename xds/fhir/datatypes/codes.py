"""Codes: an XDS code with codingScheme and displayName, a FHIR Coding or CodeableConcept."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import believed, keep
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.json import Lasting
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import CodedString
from xds.metadata.hl7_escapes import escape, unescape
from xds.metadata.objects import Code
from xds.metadata.systems import Systems

_CODES: Final = 2_000
"""How many codes are kept as they were written: the same few classify most documents."""


@lru_cache(_CODES)
def coding(code: Code, systems: Systems) -> Lasting:
    """Return a code as Coding, which nobody changes; a display that only repeats it is left out."""
    found = Lasting()
    uri, faithful = _system(code.coding_scheme, systems)
    if uri:
        found["system"] = uri
    words = code.code.split()
    if words:
        found["code"] = code.code if len(words) == 1 else " ".join(words)
    if code.display_name and code.display_name != code.code:
        found["display"] = code.display_name
    if not faithful or found.get("code") != code.code:
        keep(found, _text(code))
    return found


@lru_cache(_CODES)
def concept(code: Code, systems: Systems) -> Lasting:
    """Return a code as CodeableConcept, which nobody changes."""
    return Lasting(coding=[coding(code, systems)])


@lru_cache(CACHED)
def _system(scheme: str, systems: Systems) -> tuple[str, bool]:
    uri = systems.uri(scheme)
    return uri, systems.scheme(uri) == scheme


def _text(code: Code) -> str:
    """Return a code as HL7 v2 has it (CE), the form in which its exact text is kept."""
    return "^".join(map(escape, (code.code, code.display_name, code.coding_scheme)))


def _parsed(text: str) -> Code:
    code, display, scheme, *_ = (*map(unescape, text.split("^")), "", "")
    return Code(code, scheme, display)


def read_coding(element: Resource, systems: Systems, text: str = "") -> Code:
    """Return the code of a Coding; ``text`` is its display where it has none of its own.

    Parts that are not there are empty. Metadata require a display (ITI TF-3 4.2.3.1.2): the code
    stands in.
    """
    plain = _plain(element, systems, text)

    def canonical(kept: str) -> str | None:
        return _text(_plain(coding(_parsed(kept), systems), systems, text))

    exact = believed(element, _text(plain), canonical) if "extension" in element else None
    return plain if exact is None else _parsed(exact)


def _plain(element: Resource, systems: Systems, text: str) -> Code:
    code = element.get("code", "")
    display = element.get("display") or text or code
    return Code(code, systems.scheme(element.get("system", "")), display)


class Codes:
    """Reads the codes of one resource, and notes those that metadata cannot have."""

    def __init__(self, systems: Systems, notes: IssueCollector) -> None:
        self._systems = systems
        self._notes = notes

    def coding(self, element: Resource | None, path: str, text: str = "") -> Code | None:
        """Read a Coding; one without code or system is noted."""
        if element is None:
            return None
        code = read_coding(element, self._systems, text)
        for part, value in (("code", code.code), ("system", code.coding_scheme)):
            if not value:
                self._notes.error("required", f"a code needs its {part}", f"{path}.{part}")
        return code if code.code and code.coding_scheme else None

    def concept(self, element: Resource | None, path: str) -> Code | None:
        """Read the first of a CodeableConcept's codings that has code and system."""
        if element is None:
            return None
        codings = element.get("coding") or [{}]
        chosen = next((i for i, c in enumerate(codings) if c.get("code") and c.get("system")), 0)
        return self.coding(codings[chosen], f"{path}.coding[{chosen}]", element.get("text", ""))

    def first(self, elements: Iterable[Resource], path: str) -> Code | None:
        """Read the first of several CodeableConcepts."""
        return self.concept(next(iter(elements), None), f"{path}[0]")

    def each(self, elements: Iterable[Resource], path: str) -> tuple[Code, ...]:
        """Read one code of each CodeableConcept."""
        found = [self.concept(one, f"{path}[{i}]") for i, one in enumerate(elements)]
        return tuple(code for code in found if code is not None)

    def all(self, elements: Iterable[Resource], path: str) -> tuple[Code, ...]:
        """Read every coding of every CodeableConcept: some senders put all labels into one."""
        found: list[Code | None] = []
        for i, one in enumerate(elements):
            codings = one.get("coding") or [{}]
            for j, each in enumerate(codings):
                text = one.get("text", "") if len(codings) == 1 else ""
                found.append(self.coding(each, f"{path}[{i}].coding[{j}]", text))
        return tuple(code for code in found if code is not None)


# --- coded strings: roles and specialties --------------------------------------------------------


def coded_concept(text: str, systems: Systems) -> Resource:
    """Return a role or specialty: one that is coded as Coding, any other as text."""
    found, faithful = _coded(text, systems)
    element: Resource = {"coding": [dict(found)]} if isinstance(found, Mapping) else {"text": found}
    if not faithful:
        keep(element, text)
    return element


def read_coded_concept(element: Resource, systems: Systems) -> str | None:
    """Return a role or specialty as text, None where it says nothing.

    A coding whose system has no OID gives its words: a coded string cannot name that system.
    """
    plain = _plain_text(element, systems)

    def canonical(text: str) -> str | None:
        return _plain_text(_concept_of(_coded(text, systems)[0]), systems)

    return believed(element, plain, canonical)


@lru_cache(CACHED)
def _coded(text: str, systems: Systems) -> "tuple[Mapping[str, str] | str, bool]":
    found = _as_coding(text, systems)
    return found, _plain_text(_concept_of(found), systems) == text


def _concept_of(found: Mapping[str, str] | str) -> Resource:
    return {"coding": [found]} if isinstance(found, Mapping) else {"text": found}


def _as_coding(text: str, systems: Systems) -> Mapping[str, str] | str:
    try:
        coded = CodedString.parse(text)
    except ValueError:
        return text
    code = " ".join(coded.code.split())
    return {"system": systems.uri(coded.code_system), "code": code} if code else text


def _plain_text(element: Resource, systems: Systems) -> str | None:
    words: str | None = element.get("text")
    for one in element.get("coding", ()):
        code, system = one.get("code"), systems.authority(one.get("system", ""))
        if code and system:
            try:
                return str(CodedString(code, system))
            except ValueError:
                continue
        words = words or one.get("display") or code
    return words
