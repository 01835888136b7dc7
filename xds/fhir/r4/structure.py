"""Whether a resource has the structure that R4 gives it: the problems, each with its place.

Checked are names, JSON types, cardinalities, the form of primitive values, choices of types,
narratives, and the codes of elements that are bound to a list of codes. Not checked are invariants
other than dom-2, the types that references lead to, and codes within CodeableConcept.

In a FHIR document within a request, what R4 does not know is a warning: a document is kept as it
is, and may be of another version's making.
"""

from dataclasses import dataclass
from typing import Any, Final

from xds.fhir.r4 import elements, xml
from xds.fhir.r4.elements import Element, Place, Type
from xds.fhir.r4.issues import MOST, IssueCollector
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.primitives import CHECKS, FITTING, Wrong
from xds.fhir.r4.resource import Resource

_CODES_TOLD: Final = 20


def problems(resource: Resource, *, expected: str | None = None) -> list[Issue]:
    """Return every problem of a resource, which is to be of the type ``expected`` if one is given.

    Issues of the severity ``warning`` are no reason to refuse the resource.
    """
    findings = IssueCollector(most=MOST)
    name = resource.get("resourceType")
    place: Place = (None, name if isinstance(name, str) and name else "Resource", None)
    if expected is None or name == expected:
        _Walk(findings).resource(resource, place)
    else:
        findings.tell("invalid", (place, "resourceType", None), f"is to be {expected}")
    return findings.issues


def _wrong(value: Any, element: Element) -> Wrong | None:
    """Return what is wrong with a primitive value as its type wants it."""
    fits = FITTING.get(element.type) if type(value) is str and value.isprintable() else None
    return None if fits is not None and fits(value) else CHECKS[element.type](value)


@dataclass(slots=True)
class _Walk:
    """Goes through one resource; those within it are walks of their own."""

    findings: IssueCollector
    document: bool = False
    contained: bool = False

    def resource(self, thing: object, place: Place) -> None:
        """Check a resource, in a walk that knows what it is in."""
        if not isinstance(thing, dict):
            return self.tell("structure", place, "is to be a resource")
        name = thing.get("resourceType")
        if name is None:
            return self.tell("required", (place, "resourceType", None), "is missing")
        type_ = elements.resource_type(name) if isinstance(name, str) else None
        if type_ is None:
            at: Place = (place, "resourceType", None)
            return self.unknown(at, "is no resource type of FHIR R4")
        self.document = self.document or is_document(thing)
        return self.object(thing, type_, place)

    def object(self, thing: Resource, type_: Type, place: Place) -> None:
        """Check each element of an object, then what it should have had."""
        known = type_.elements
        chosen: dict[str, str] = {}
        for name, value in thing.items():
            element = known.get(name)
            if element is None:
                element = self.other(name, value, type_, place)
            elif element.repeats:
                self.several(value, element, thing, place)
            elif element.primitive:
                if element.special or _wrong(value, element) is not None:
                    self.primitive(value, element, (place, element.step, None))
            else:
                self.part(value, element, (place, element.step, None))
            if (
                element is not None
                and element.choice
                and chosen.setdefault(element.step, element.name) != element.name
            ):
                told = f"is given as {chosen[element.step]} and as {element.name}"
                self.tell("structure", (place, element.step, None), told)
        for step, names in type_.required:
            if not any(name in thing for name in names):
                self.tell("required", (place, step, None), "is missing")

    def other(self, name: str, value: Any, type_: Type, place: Place) -> Element | None:
        """Check what is no element: extensions of a primitive one, the type, or unknown."""
        element = type_.elements.get(name[1:]) if name.startswith("_") else None
        if element is not None and element.primitive and not element.attribute:
            self.extensions(value, element, place)
            return element
        if name != "resourceType" or "." in type_.name or "implicitRules" not in type_.elements:
            told = f"is no element of {type_.name}"
            self.unknown((place, name, None), told)
        return None

    def extensions(self, value: Any, element: Element, place: Place) -> None:
        """Check what JSON has beside a primitive value, or beside each of several."""
        if not element.repeats:
            return self.extended(value, (place, element.step, None))
        if not isinstance(value, list):
            return self.tell("structure", (place, element.step, None), "is to be a list")
        if all(one is None for one in value):
            self.tell("structure", (place, f"_{element.name}", None), "is empty")
        for index, one in enumerate(value):
            if one is not None:
                self.extended(one, (place, element.step, index))
        return None

    def extended(self, value: Any, place: Place) -> None:
        """Check the id and the extensions of one primitive value."""
        if not isinstance(value, dict):
            self.tell("structure", place, "is to have its extensions in a JSON object")
        elif not value:
            self.tell("structure", place, "has an empty object for extensions")
        else:
            self.object(value, elements.known(elements.ELEMENT), place)

    def several(self, value: Any, element: Element, thing: Resource, place: Place) -> None:
        """Check an element that repeats."""
        if not isinstance(value, list):
            self.tell("structure", (place, element.step, None), "is to be a list")
        elif not value:
            self.tell("structure", (place, element.step, None), "is an empty list")
        elif self.contained and element.name == "contained":
            told = "is contained in a contained resource (dom-2)"
            self.tell("structure", (place, element.step, None), told)
        elif element.primitive:
            beside = thing.get(f"_{element.name}")
            padded = beside if isinstance(beside, list) else []
            for index, one in enumerate(value):
                if one is None and index < len(padded) and padded[index]:
                    continue
                self.primitive(one, element, (place, element.step, index))
        else:
            for index, one in enumerate(value):
                self.part(one, element, (place, element.step, index))
            if element.name == "contained" and not self.document:
                self.distinct(value, (place, element.step, None))

    def distinct(self, contained: list[Any], place: Place) -> None:
        """Check that references among contained resources lead to one of them (R4, 2.3.1)."""
        above, step, _ = place
        seen: set[str] = set()
        for index, one in enumerate(contained):
            identifier = one.get("id") if isinstance(one, dict) else None
            if not isinstance(identifier, str):
                continue
            if identifier in seen:
                at: Place = ((above, step, index), "id", None)
                self.tell("duplicate", at, "is that of another contained resource")
            seen.add(identifier)

    def part(self, value: Any, element: Element, place: Place) -> None:
        """Check an element that has elements."""
        if element.type == elements.RESOURCE:
            _Walk(self.findings, self.document, element.name == "contained").resource(value, place)
        elif not isinstance(value, dict):
            several = isinstance(value, list)
            told = "may be there once, and is a list" if several else "is to be a JSON object"
            self.tell("structure", place, told)
        elif not value:
            self.tell("structure", place, "is an empty object")
        else:
            self.object(value, elements.known(element.type), place)

    def primitive(self, value: Any, element: Element, place: Place) -> None:
        """Check one primitive value."""
        if isinstance(value, list) and not element.repeats:
            return self.tell("structure", place, "may be there once, and is a list")
        if value is None:
            return self.tell("structure", place, "is null")
        wrong = _wrong(value, element)
        if wrong is not None:
            return self.tell(wrong.code, place, wrong.told)
        if element.codes and value not in element.codes:
            return self.tell("code-invalid", place, _codes_told(element))
        if element.type == elements.XHTML and (told := xml.narrative_problem(value)):
            return self.tell("structure", place, told)
        return None

    def unknown(self, place: Place, told: str) -> None:
        """Tell what R4 does not know."""
        severity = "warning" if self.document else "error"
        self.findings.tell("structure", place, told, severity=severity)

    def tell(self, code: str, place: Place, told: str) -> None:
        """Tell an error."""
        self.findings.tell(code, place, told)


def is_document(resource: Resource) -> bool:
    """Tell whether a resource is a FHIR document (R4, 3.3): a Bundle of this type."""
    return resource.get("resourceType") == "Bundle" and resource.get("type") == "document"


def _codes_told(element: Element) -> str:
    if len(element.codes) > _CODES_TOLD:
        return "is none of the codes that R4 has for it"
    return f"is to be one of {', '.join(sorted(element.codes))}"
