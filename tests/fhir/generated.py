"""Resources made by Hypothesis from the table of elements: right ones, of every shape."""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from xds.fhir.r4 import elements
from xds.fhir.r4.elements import Element, Type
from xds.fhir.r4.json import Decimal, number
from xds.fhir.r4.resource import Resource

# What MHD is about, with the types in which elements, choices and resources nest most oddly.
TYPES: Final = (
    "Bundle",
    "DocumentReference",
    "DocumentManifest",
    "List",
    "Patient",
    "Practitioner",
    "Parameters",
    "Binary",
    "Composition",
    "OperationOutcome",
    "Observation",
    "Questionnaire",
    "ExampleScenario",
)
DEEPEST: Final = 4
MOST_ELEMENTS: Final = 4

_MOST: Final = (1 << 31) - 1
_CHARACTERS: Final = st.characters(
    exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\t\r\n"
)
_STRINGS: Final = st.text(_CHARACTERS, min_size=1, max_size=20)
_URIS: Final = st.sampled_from(("urn:oid:1.2.3", "http://example.org/a?b=c&d=%3C", "Patient/ä"))
_CLOCKS: Final = st.sampled_from(("00:00:00Z", "23:59:60.123+14:00", "12:30:00.1882432-05:00"))
_DAYS: Final = st.dates().map(str)
_INSTANTS: Final = st.builds("{}T{}".format, _DAYS, _CLOCKS)
_DECIMALS: Final = st.sampled_from(
    ("0", "-7", "1.10", "0.00", "1e3", "-1.50E-7", "-0", "12345678901234567890", "5")
).map(number)
_DIVS: Final = st.sampled_from(("a", "<p>b &amp; c</p>", '<b title="x&#10;y">d</b><br/>')).map(
    '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'.format
)

_PRIMITIVES: Final[Mapping[str, SearchStrategy[Any]]] = {
    "string": _STRINGS,
    "markdown": _STRINGS,
    "xhtml": _DIVS,
    "base64Binary": st.sampled_from(("aGVsbG8=", "AAAA", "aGVs bG8=", "AA==")),
    "boolean": st.booleans(),
    "decimal": _DECIMALS,
    "integer": st.integers(-_MOST - 1, _MOST),
    "unsignedInt": st.integers(0, _MOST),
    "positiveInt": st.integers(1, _MOST),
    "uri": _URIS,
    "url": _URIS,
    "canonical": _URIS,
    "code": st.sampled_from(("a", "text/plain; charset=utf-8", "Ä")),
    "id": st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True),
    "oid": st.sampled_from(("urn:oid:1.2.3", "urn:oid:2.16.840.1")),
    "uuid": st.uuids().map("urn:uuid:{}".format),
    "time": st.sampled_from(("00:00:00", "23:59:59.1234567")),
    "date": _DAYS | st.sampled_from(("1900", "2020-02")),
    "dateTime": _DAYS | _INSTANTS | st.sampled_from(("1900", "2020-02")),
    "instant": _INSTANTS,
}


def resources() -> SearchStrategy[Resource]:
    """Return resources of all the types."""
    return st.sampled_from(TYPES).flatmap(resource)


@st.composite
def resource(draw: DrawFn, name: str, depth: int = 0) -> Resource:
    """Draw a resource of one type."""
    type_ = elements.known(name)
    return {"resourceType": name, **draw(_content(type_, depth, name == "Parameters"))}


@st.composite
def _content(draw: DrawFn, type_: Type, depth: int, may_be_empty: bool = False) -> Resource:
    needed = {draw(st.sampled_from(_of(type_, step))) for step, _ in type_.required}
    optional = [one for one in type_.elements.values() if _may_be(one, depth)]
    chosen = draw(st.lists(st.sampled_from(optional), max_size=MOST_ELEMENTS)) if optional else []
    by_step = {one.step: one for one in (*chosen, *sorted(needed, key=lambda one: one.name))}
    if not by_step and not may_be_empty:
        by_step = {"id": type_.elements["id"]}
    made: Resource = {}
    for one in by_step.values():
        made |= draw(_given(one, depth))
    return made


def _of(type_: Type, step: str) -> list[Element]:
    """Return the elements of a step, simple ones alone where there are such: recursion ends."""
    every = [one for one in type_.elements.values() if one.step == step]
    return [one for one in every if one.primitive] or every


def _may_be(element: Element, depth: int) -> bool:
    if element.name == "contained":
        return depth == 0
    return element.primitive or depth < DEEPEST


@st.composite
def _given(draw: DrawFn, element: Element, depth: int) -> Resource:
    """Draw what an object has of one element, with what JSON has beside it."""
    if not element.repeats:
        value, beside = draw(_value(element, depth))
        return _named(element, value, beside)
    # no id stands twice among contained resources
    once = (lambda pair: pair[0].get("id")) if element.name == "contained" else None
    pairs = draw(st.lists(_value(element, depth), min_size=1, max_size=3, unique_by=once))
    values, besides = [value for value, _ in pairs], [beside for _, beside in pairs]
    return _named(
        element,
        values if any(value is not None for value in values) else None,
        besides if any(besides) else None,
    )


def _named(element: Element, value: Any, beside: Any) -> Resource:
    made = {element.name: value, f"_{element.name}": beside}
    return {name: one for name, one in made.items() if one is not None}


@st.composite
def _value(draw: DrawFn, element: Element, depth: int) -> tuple[Any, Resource | None]:
    if element.type == elements.RESOURCE:
        return draw(resource("Binary" if depth else "Patient", depth + 2)), None
    if not element.primitive:
        return draw(_content(elements.known(element.type), depth + 1)), None
    codes = element.codes
    value = draw(st.sampled_from(sorted(codes)) if codes else _PRIMITIVES[element.type])
    if element.attribute or element.type == elements.XHTML or draw(st.integers(0, 5)):
        return value, None
    extension = {"url": draw(_URIS), "valueDecimal": Decimal("2.50")}
    return draw(st.sampled_from((value, None))), {"extension": [extension]}
