"""A FHIR document that is read: what it holds by references, and access to it of any shape.

A document may have been stored without a look at its structure, so nothing is taken for granted:
an element that is not of the type that R4 gives it is as good as absent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from xds.fhir.datatypes import times
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code
from xds.metadata.systems import Systems

COMPOSITION: Final = "Bundle.entry[0].resource"


def part(thing: object, name: str) -> Resource:
    """Return an element that is an object; an empty one where there is none."""
    found = thing.get(name) if isinstance(thing, dict) else None
    return found if isinstance(found, dict) else {}


def parts(thing: object, name: str) -> list[Resource]:
    """Return the objects of an element that repeats."""
    found = thing.get(name) if isinstance(thing, dict) else None
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict)]


def text(thing: object, name: str) -> str:
    """Return a primitive value as text; empty where there is none."""
    found = thing.get(name) if isinstance(thing, dict) else None
    return as_text(found)


def as_text(value: object) -> str:
    """Return a primitive value as text: booleans in words, numbers as they were written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def texts(thing: object, name: str) -> list[str]:
    """Return the primitive values of an element that repeats."""
    found = thing.get(name) if isinstance(thing, dict) else None
    return [said for one in found if (said := as_text(one))] if isinstance(found, list) else []


def choice(thing: Resource, name: str) -> tuple[str, Any]:
    """Return the type and the value of a choice of types, such as ``value[x]``; ("", None)."""
    for key, value in thing.items():
        if key.startswith(name) and key[len(name) : len(name) + 1].isupper():
            return key[len(name) :], value
    return "", None


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A resource of the document, and where it stands."""

    resource: Resource
    full_url: str
    place: str

    @property
    def type(self) -> str:
        """The type of the resource."""
        return text(self.resource, "resourceType")


_NOTHING: Final = BundleEntry({}, "", "")


@dataclass
class FhirSource:
    """One FHIR document, and the names of code systems by which it is read."""

    bundle: Resource
    systems: Systems
    _entries: list[BundleEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = self.bundle.get("entry")
        for i, one in enumerate(found if isinstance(found, list) else ()):
            if resource := part(one, "resource"):
                place = f"Bundle.entry[{i}].resource"
                self._entries.append(BundleEntry(resource, text(one, "fullUrl"), place))

    @property
    def entries(self) -> Sequence[BundleEntry]:
        """The resources, in their order."""
        return self._entries

    @property
    def composition(self) -> BundleEntry:
        """The first resource, which says what the document is."""
        return self._entries[0] if self._entries else _NOTHING

    @cached_property
    def _by_url(self) -> dict[str, BundleEntry]:
        found: dict[str, BundleEntry] = {}
        for one in self._entries:
            identity = f"{one.type}/{text(one.resource, 'id')}"
            for name in (one.full_url, _folded(one.full_url), identity):
                if name:
                    found.setdefault(name, one)
        return found

    def follow(self, reference: object, of: BundleEntry) -> BundleEntry | None:
        """Return the resource that a Reference in ``of`` leads to, within the document.

        A relative one begins at the server of the fullUrl that the referring entry has.
        """
        url = text(reference, "reference")
        if not url:
            return None
        if url.startswith("#"):
            return self._contained(url[1:], of)
        url = url.partition("/_history/")[0]
        found = self._by_url.get(url) or self._by_url.get(_folded(url))
        if found is None and "/" in of.full_url and ":" not in url:
            base = "/".join(of.full_url.split("/")[:-2])
            found = self._by_url.get(f"{base}/{url}")
        return found

    def _contained(self, identifier: str, of: BundleEntry) -> BundleEntry | None:
        for i, one in enumerate(parts(of.resource, "contained")):
            if text(one, "id") == identifier:
                return BundleEntry(one, of.full_url, f"{of.place}.contained[{i}]")
        return None

    def followed(self, thing: Resource, name: str, of: BundleEntry) -> Iterator[BundleEntry]:
        """Yield the resources that an element with one Reference or several leads to."""
        for reference in [part(thing, name)] if part(thing, name) else parts(thing, name):
            if (found := self.follow(reference, of)) is not None:
                yield found

    # values

    def code(self, concept: Resource) -> Code | None:
        """Return the first code of a CodeableConcept that has a system."""
        return next(self.codes(concept), None)

    def codes(self, concept: Resource) -> Iterator[Code]:
        """Yield the codes of a CodeableConcept."""
        for coding in parts(concept, "coding"):
            if (found := self.coding(coding)) is not None:
                yield found

    def coding(self, coding: Resource) -> Code | None:
        """Return the code of a Coding that has a system."""
        code, system = text(coding, "code"), text(coding, "system")
        if not (code and system):
            return None
        return Code(code, self.systems.scheme(system), text(coding, "display") or code)

    def identifier(self, identifier: Resource) -> str:
        """Return an Identifier in the form of a CX, or as it is where it has no authority."""
        system, value = text(identifier, "system"), text(identifier, "value")
        if not value or not system or system == "urn:ietf:rfc:3986":
            return value
        return f"{value}^^^&{self.systems.scheme(system)}&ISO"


def words(concept: Resource) -> str:
    """Return what readers call a CodeableConcept: its text, a display, or a code."""
    codings = parts(concept, "coding")
    said = [text(concept, "text"), *(text(one, "display") for one in codings)]
    return next(filter(None, (*said, *(text(one, "code") for one in codings))), "")


def dtm(value: object) -> str:
    """Return a date, dateTime or instant as DTM; empty where it is none."""
    try:
        return times.dtm(value) if isinstance(value, str) else ""
    except ValueError:
        return ""


def time_of(thing: Resource, name: str) -> str:
    """Return the time of a choice of types: a dateTime, or the start or end of a Period."""
    kind, value = choice(thing, name)
    if kind == "Period":
        return dtm(text(value, "start")) or dtm(text(value, "end"))
    return dtm(value)


def _folded(url: str) -> str:
    return url.lower() if url[:9].lower() == "urn:uuid:" else url
