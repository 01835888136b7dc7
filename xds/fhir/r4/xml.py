"""FHIR's XML form, read into the JSON form and written from it by the table of elements.

It is read in any order of elements, since most of what clients of MHD send has them in another
order than R4 demands (R4, 2.6.1), and with nothing lost: what the table does not know is kept, and
refused by ``structure.problems`` where it may not be.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import Any, Final

from lxml import etree

from xds.fhir.r4 import elements
from xds.fhir.r4.characters import sayable
from xds.fhir.r4.elements import Element, Place, Type
from xds.fhir.r4.issues import MOST, IssueCollector
from xds.fhir.r4.json import DEEPEST, Rendered, number
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.primitives import DECIMAL, plain
from xds.fhir.r4.resource import Resource
from xds.parsing import MalformedXML, parse

NS_FHIR: Final = "http://hl7.org/fhir"
NS_XHTML: Final = "http://www.w3.org/1999/xhtml"

_FHIR: Final = f"{{{NS_FHIR}}}"
_DIV: Final = f"{{{NS_XHTML}}}div"
_IGNORED: Final = (
    "{http://www.w3.org/2001/XMLSchema-instance}",
    "{http://www.w3.org/XML/1998/namespace}",
)
"""Namespaces of attributes that say nothing of a resource, such as ``xsi:schemaLocation``."""
_STREWN: Final = etree.XPath("//f:*[text()[normalize-space()]]", namespaces={"f": NS_FHIR})
_BOOLEANS: Final = {"true": True, "false": False}
_NUMBERS: Final = ("decimal", "integer", "unsignedInt", "positiveInt")
_VALUE: Final = ("value", elements.ELEMENT)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_LONG: Final = 1000
"""Characters of a text from which on it is likely to be base64."""
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_TO_ESCAPE: Final = re.compile('[&<"\t\n\r]')


def read(data: bytes, deepest: int = DEEPEST) -> tuple[Resource, list[Issue]]:
    """Read a resource, and return it with warnings; whether it is right is asked of ``structure``.

    Of an element that is there too often the first is kept, with a warning; within a FHIR document
    that is an error, since a document has to stay as it is. Raises Refused for what is no XML, is
    not FHIR's, or is nested deeper than so many elements.
    """
    try:
        root = parse(data)
    except MalformedXML as error:
        raise Refused.because(400, "structure", str(error)) from None
    reader = _Reader(frozenset(_STREWN(root)), deepest)
    place: Place = (None, etree.QName(root).localname, None)
    resource = reader.resource(root, place)
    if reader.findings.has_errors:
        raise Refused(400, reader.findings.issues)
    return resource, reader.findings.issues


def narrative(text: str) -> etree._Element:
    """Return the ``div`` of a narrative (R4, 2.4.0); ValueError where it is none."""
    root = parse(text.encode("utf-8"), encoding="utf-8")
    if root.tag != _DIV:
        raise ValueError("is to be a div of XHTML")
    return root


def narrative_problem(text: str) -> str:
    """Return why a text is no narrative; empty where it is one."""
    try:
        narrative(text)
    except MalformedXML as error:
        return f"is no XHTML: {str(error).rstrip('.')}"
    except ValueError as error:
        return str(error)
    return ""


def render(resource: Resource, pretty: bool = False) -> bytes:
    """Return the XML of a resource, its elements in the order of R4; ValueError for what has none.

    A resource without structural problems always has its XML.
    """
    writer = _Writer(pretty)
    writer.resource(resource, 0)
    return "".join(writer.out).encode("utf-8")


@dataclass(slots=True)
class _Reader:
    """Reads one resource with all that it holds."""

    strewn: frozenset[etree._Element]
    """The elements that have text, which FHIR has in attributes only."""
    deepest: int
    findings: IssueCollector = field(default_factory=partial(IssueCollector, most=MOST))
    document: bool = False
    depth: int = 0

    def resource(self, node: etree._Element, place: Place) -> Resource:
        """Read a resource; one of an unknown type by what all resources have."""
        name = self.name(node, place)
        thing: Resource = {"resourceType": name or ""}
        outside = self.document
        self.document = outside or (name == "Bundle" and _code(node, "type") == "document")
        type_ = elements.resource_type(name or "") or elements.known("DomainResource")
        self.content(node, type_, place, thing)
        self.document = outside
        return thing

    def name(self, node: etree._Element, place: Place) -> str | None:
        """Return the name of an element of FHIR's namespace."""
        tag = str(node.tag)
        if tag.startswith(_FHIR):
            return tag[len(_FHIR) :]
        if tag == _DIV:
            return "div"
        told = f"has an element that is not of the namespace {NS_FHIR}"
        self.findings.tell("structure", place, told)
        return None

    def content(self, node: etree._Element, type_: Type, place: Place, thing: Resource) -> None:
        """Read attributes and elements into an object."""
        self.depth += 1
        if self.depth > self.deepest:
            told = f"The resource is nested deeper than {self.deepest} elements."
            raise Refused.because(400, "structure", told)
        if node in self.strewn:
            self.findings.tell("structure", place, "has text between its elements")
        self.attributes(node, type_, place, thing)
        counts: dict[str, int] = {}
        beside: dict[str, dict[int, Resource]] = {}
        tags: Counter[str] = Counter()
        for child in node:
            element = self.element(child, type_, place, tags)
            if element is None:
                continue
            name, count = element.name, counts.get(element.name, 0)
            counts[name] = count + 1
            if count and not element.repeats:
                self.again((place, element.step, None))
                continue
            at = (place, element.step, count if element.repeats else None)
            value, extra = self.value(child, element, at)
            if element.repeats:
                thing.setdefault(name, []).append(value)
            elif value is not None:
                thing[name] = value
            if extra is not None:
                beside.setdefault(name, {})[count] = extra
        for name, extras in beside.items():
            _put_beside(thing, name, extras)
        self.depth -= 1

    def element(
        self, node: etree._Element, type_: Type, place: Place, tags: Counter[str]
    ) -> Element | None:
        """Return which element of a type this is, None where it cannot be one.

        One that the table does not know is as the table would have it, seen from what has come;
        ``tags`` is filled for that with the tags of all that are beside it.
        """
        name = self.name(node, place)
        if name is None:
            return None
        element = type_.elements.get(name)
        if element is None and name != "resourceType" and not name.startswith("_"):
            if not tags:
                tags.update(str(one.tag) for one in node.getparent())
            kind = "BackboneElement" if node.get("value") is None else "string"
            return Element(name=name, type=kind, step=name, repeats=tags[str(node.tag)] > 1)
        if element is None or element.attribute:
            told = f"is no element of the XML form of {type_.name}"
            self.findings.tell("structure", (place, name, None), told)
            return None
        return element

    def attributes(self, node: etree._Element, type_: Type, place: Place, thing: Resource) -> None:
        """Read what the XML form has as attributes, but the value of a primitive element."""
        for name, value in node.items():
            element = type_.elements.get(name)
            if element is not None and element.attribute:
                thing[name] = value
            elif not name.startswith(_IGNORED) and (name, type_.name) != _VALUE:
                self.findings.tell("structure", place, "has an attribute that FHIR does not know")

    def again(self, place: Place) -> None:
        """Tell that an element is there once more than it may be."""
        if self.document:
            self.findings.tell("structure", place, "is there more than once")
        else:
            told = "is there more than once; the first is kept"
            self.findings.tell("structure", place, told, severity="warning")

    def value(
        self, node: etree._Element, element: Element, place: Place
    ) -> tuple[Any, Resource | None]:
        """Read an element's value, and what JSON has beside it."""
        if element.type == elements.XHTML:
            return self.narrative(node, place), None
        if element.primitive:
            return self.primitive(node, element.type, place)
        if element.type == elements.RESOURCE:
            return self.held(node, place), None
        return self.object(node, elements.known(element.type), place), None

    def object(self, node: etree._Element, type_: Type, place: Place) -> Resource:
        """Read an element that has elements."""
        thing: Resource = {}
        self.content(node, type_, place, thing)
        return thing

    def primitive(
        self, node: etree._Element, type_: str, place: Place
    ) -> tuple[Any, Resource | None]:
        """Read a primitive element: its value, its id and its extensions."""
        given = node.items()
        if len(given) == 1 and given[0][0] == "value" and not len(node) and not node.text:
            return _converted(given[0][1], type_), None
        text = node.get("value")
        value = None if text is None else _converted(text, type_)
        beside = self.object(node, elements.known(elements.ELEMENT), place)
        if text is None and not beside:
            self.findings.tell("structure", place, "has no value")
        return value, beside or None

    def held(self, node: etree._Element, place: Place) -> Resource:
        """Read the resource that an element such as ``contained`` holds."""
        if len(node) != 1 or any(not name.startswith(_IGNORED) for name, _ in node.items()):
            self.findings.tell("structure", place, "is to hold one resource, and nothing else")
            return {}
        if node in self.strewn:
            self.findings.tell("structure", place, "has text beside its resource")
        return self.resource(node[0], place)

    def narrative(self, node: etree._Element, place: Place) -> str:
        """Return the XHTML of a narrative as text."""
        if node.tag != _DIV:
            self.findings.tell("structure", place, f"is not of the namespace {NS_XHTML}")
        return _xhtml(node)


def _put_beside(thing: Resource, name: str, extras: dict[int, Resource]) -> None:
    """Put what JSON has beside the values of a primitive element into their object."""
    values = thing.get(name)
    if not isinstance(values, list):
        thing[f"_{name}"] = extras[0]
        return
    thing[f"_{name}"] = [extras.get(index) for index in range(len(values))]
    if all(value is None for value in values):
        del thing[name]


def _code(node: etree._Element, name: str) -> str | None:
    found = node.find(f"{_FHIR}{name}")
    return None if found is None else found.get("value")


def _converted(text: str, type_: str) -> Any:
    """Return what JSON has for a value; text where it is no value of its type."""
    if type_ == "boolean":
        return _BOOLEANS.get(text, text)
    if type_ in _NUMBERS and DECIMAL.fullmatch(text):
        return number(text)
    return text


def _xhtml(node: etree._Element) -> str:
    """Return an element as text, without the namespaces of what it stood in."""
    alone = copy.copy(node)
    etree.cleanup_namespaces(alone)
    return str(etree.tostring(alone, encoding="unicode", with_tail=False))


@dataclass(slots=True)
class _Writer:
    """Writes one resource with all that it holds."""

    pretty: bool
    out: list[str] = field(default_factory=lambda: ['<?xml version="1.0" encoding="UTF-8"?>'])

    def resource(self, thing: Resource, depth: int) -> None:
        """Write a resource; the outermost declares the namespace."""
        name = _name(thing.get("resourceType"))
        type_ = elements.resource_type(name) or elements.known("DomainResource")
        self.element(name, "" if depth else f' xmlns="{NS_FHIR}"', thing, type_, depth)

    def element(self, name: str, attributes: str, thing: Resource, type_: Type, depth: int) -> None:
        """Write an element that has elements."""
        start = len(self.out)
        self.out.append(f"{self.line(depth)}<{name}{attributes}>")
        for inner, element in _in_order(thing, type_):
            self.values(inner, element, thing, depth + 1)
        if len(self.out) == start + 1:
            self.out[start] = f"{self.line(depth)}<{name}{attributes}/>"
        else:
            self.out.append(f"{self.line(depth)}</{name}>")

    def line(self, depth: int) -> str:
        """Return what stands before a tag."""
        return "\n" + "  " * depth if self.pretty else ""

    def values(self, name: str, element: Element | None, thing: Resource, depth: int) -> None:
        """Write every value of an element."""
        value, beside = thing.get(name), thing.get(f"_{name}")
        if isinstance(value, Rendered):
            value = value.resource()
        if type(value) is str and beside is None and (element is None or not element.special):
            self.out.append(f'{self.line(depth)}<{name} value="{_escaped(value)}"/>')
            return
        several = value if isinstance(value, list) else [value]
        extended = beside if isinstance(beside, list) else [beside]
        for one, extra in zip_longest(several, extended):
            if isinstance(one, dict):
                self.part(name, element, one, depth)
            elif element is not None and element.type == elements.XHTML:
                self.out.append(f"{self.line(depth)}{_xhtml(narrative(one))}")
            elif one is not None or extra:
                self.primitive(name, one, extra or {}, depth)

    def part(self, name: str, element: Element | None, thing: Resource, depth: int) -> None:
        """Write an element that has elements, or holds a resource."""
        found = None if element is None else elements.type_of(element.type)
        holds = "resourceType" in thing if found is None else found.name == elements.RESOURCE
        if holds:
            self.out.append(f"{self.line(depth)}<{name}>")
            self.resource(thing, depth + 1)
            self.out.append(f"{self.line(depth)}</{name}>")
            return
        type_ = found or elements.known("BackboneElement")
        self.element(name, _attributes(thing, type_), thing, type_, depth)

    def primitive(self, name: str, value: Any, beside: Resource, depth: int) -> None:
        """Write a primitive element."""
        type_ = elements.known(elements.ELEMENT)
        attributes = _attributes(beside, type_) if beside else ""
        if value is not None:
            attributes += f' value="{_text(value)}"'
        if beside:
            self.element(name, attributes, beside, type_, depth)
        else:
            self.out.append(f"{self.line(depth)}<{name}{attributes}/>")


def _in_order(thing: Resource, type_: Type) -> Iterator[tuple[str, Element | None]]:
    """Return the names of an object's elements in the order of R4, unknown ones last."""
    order, last = type_.order, len(type_.order)
    for form in sorted(thing, key=lambda form: order.get(form, last)):
        name = form.removeprefix("_")
        if name != form and name in thing:
            continue
        element = type_.elements.get(name)
        if element is None and form != "resourceType":
            yield _name(name), None
        elif element is not None and not element.attribute:
            yield name, element


def _attributes(thing: Resource, type_: Type) -> str:
    return "".join(
        f' {name}="{_text(thing[name])}"'
        for name in ("id", "url")
        if name in thing and name in type_.elements and type_.elements[name].attribute
    )


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("A name of the resource cannot be said in XML")
    return name


def _text(value: object) -> str:
    """Return a primitive value as an attribute has it."""
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise ValueError("A value of the resource is no primitive one")


def _escaped(text: str) -> str:
    if len(text) > _LONG and plain(text):
        return text
    if not sayable(text):
        raise ValueError("A string has a character that XML has not")
    return text.translate(_ESCAPES) if _TO_ESCAPE.search(text) else text
