"""FHIRPath Patch (FHIR R4, fhirpatch) of a resource, by simple paths.

A path names elements from the resource on, each with an index or one ``where`` on a text:
``DocumentReference.extension.where(url = 'http://...').value``. Any other path is refused.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from xds.fhir.r4 import elements
from xds.fhir.r4.elements import Element, Type
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource

_TYPES: Final = ("add", "insert", "delete", "replace", "move")
_WITH_VALUE: Final = ("add", "insert", "replace")
_MOST: Final = 1_000
_STEP: Final = re.compile(
    r"(?:^|\.)(?:where\(\s*(?P<name>\w+)\s*=\s*'(?P<text>[^'\\]*)'\s*\)|(?P<step>[A-Za-z]\w*))"
    r"(?:\[(?P<index>[0-9]{1,4})\])?"
)


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a path: an element by its name, or a choice among those of the step before."""

    name: str
    text: str | None = None
    """What the element ``name`` of one has to be; None where the step is an element itself."""
    index: int | None = None


@dataclass(frozen=True, slots=True)
class FhirPathOperation:
    """One operation of a FHIRPath Patch."""

    type: str
    path: tuple[PathStep, ...]
    name: str
    value: Any
    value_type: str
    """As the name of its element ends: ``Boolean`` of ``valueBoolean``."""
    index: int
    source: int
    place: str
    """Where it is in the patch, for errors."""


class _ElementPlace(NamedTuple):
    """An element of a resource, by what holds it."""

    container: Any
    key: str | int
    element: Element | None

    @property
    def value(self) -> Any:
        return self.container[self.key]


def operations(parameters: Resource) -> Sequence[FhirPathOperation]:
    """Read a patch; Refused 400 where it is not well-formed."""
    listed = parameters.get("parameter") or []
    if not 0 < len(listed) <= _MOST:
        raise Refused.because(400, "required", f"a patch has 1 to {_MOST} operations", "Parameters")
    return [_operation(one, f"Parameters.parameter[{i}]") for i, one in enumerate(listed)]


def _operation(found: Resource, place: str) -> FhirPathOperation:
    parts = {one.get("name"): one for one in found.get("part") or ()}
    said = {str(name): _value(one) for name, one in parts.items()}
    kind, path = said.get("type", (None, ""))[0], said.get("path", (None, ""))[0]
    if found.get("name") != "operation" or kind not in _TYPES:
        reason = f"each parameter is an operation of type {', '.join(_TYPES)}"
        raise Refused.because(400, "invalid", reason, place)
    if kind in _WITH_VALUE and "value" not in said:
        raise Refused.because(400, "required", f"{kind} needs a value[x]", place)
    numbers = [said.get(name, (0, ""))[0] for name in ("index", "source")]
    if kind == "move":
        numbers[0] = said.get("destination", (None, ""))[0]
    if not all(type(one) is int for one in numbers):
        raise Refused.because(400, "invalid", "an index is an integer", place)
    name = said.get("name", ("", ""))[0]
    value, value_type = said.get("value", (None, ""))
    return FhirPathOperation(
        kind, _path(path, place), name, value, value_type, numbers[0], numbers[1], place
    )


def _value(part: Resource) -> tuple[Any, str]:
    found = [(value, name[5:]) for name, value in part.items() if name.startswith("value")]
    return found[0] if found else (None, "")


def _path(text: Any, place: str) -> tuple[PathStep, ...]:
    found = list(_STEP.finditer(text)) if isinstance(text, str) else []
    if not found or "".join(one[0] for one in found) != text or not found[0]["step"]:
        reason = "a path is of element names, each with an index or one where(name = 'text')"
        raise Refused.because(400, "not-supported", reason, place)
    return tuple(
        PathStep(
            one["step"] or one["name"],
            None if one["step"] else one["text"],
            None if one["index"] is None else int(one["index"]),
        )
        for one in found
    )


def apply(patch: Sequence[FhirPathOperation], resource: Resource) -> Resource:
    """Return a resource changed by all operations in their order; Refused 422 where one fails."""
    holder = {"": copy.deepcopy(resource)}
    for one in patch:
        _apply(holder, one)
    return holder[""]


def _apply(holder: dict[str, Any], one: FhirPathOperation) -> None:
    resource_type = holder[""]["resourceType"]
    if one.path[0] != PathStep(resource_type) or (len(one.path) == 1 and one.type != "add"):
        raise _failed(one, f"the path leads from {resource_type} to one of its elements")
    found = list(_places(holder, one.path[1:]))
    match one.type:
        case "add":
            _add(_only(found, one), one)
        case "delete":
            if found:
                _delete(_only(found, one))
        case "replace":
            place = _only(found, one)
            place.container[place.key] = copy.deepcopy(one.value)
        case "insert" | "move":
            _in_list(found, one)


def _places(holder: dict[str, Any], path: Sequence[PathStep]) -> Iterator[_ElementPlace]:
    """Yield what a path leads to."""
    here = [_ElementPlace(holder, "", None)]
    for step in path:
        if step.text is None:
            here = [one for place in here for one in _children(place, step.name)]
        else:
            here = [one for one in here if _is(one.value, step)]
        if step.index is not None:
            here = here[step.index : step.index + 1]
    yield from here


def _is(value: Any, step: PathStep) -> bool:
    return isinstance(value, dict) and value.get(step.name) == step.text


def _children(place: _ElementPlace, name: str) -> Iterator[_ElementPlace]:
    thing = place.value
    for element in _elements(place):
        if element.step != name or not isinstance(thing, dict) or element.name not in thing:
            continue
        held = thing[element.name]
        if isinstance(held, list):
            yield from (_ElementPlace(held, index, element) for index in range(len(held)))
        else:
            yield _ElementPlace(thing, element.name, element)


def _elements(place: _ElementPlace) -> Sequence[Element]:
    """Return the elements that a place may have."""
    named = place.value.get("resourceType") if place.element is None else place.element.type
    found: Type | None = elements.type_of(str(named))
    return list(found.elements.values()) if found else []


def _only(found: Sequence[_ElementPlace], one: FhirPathOperation) -> _ElementPlace:
    if len(found) != 1:
        raise _failed(one, f"the path leads to {len(found)} elements, not to one")
    return found[0]


def _add(place: _ElementPlace, one: FhirPathOperation) -> None:
    """Add to an element that which ``name`` says; to a list, at its end."""
    named = [
        element
        for element in _elements(place)
        if element.step == one.name
        and (not element.choice or element.name == one.name + one.value_type)
    ]
    if len(named) != 1 or not isinstance(place.value, dict):
        raise _failed(one, "there is no element of this name and type")
    (element,), thing = named, place.value
    if element.repeats:
        thing.setdefault(element.name, []).append(copy.deepcopy(one.value))
    elif element.name in thing:
        raise _failed(one, "the element is there already")
    else:
        thing[element.name] = copy.deepcopy(one.value)


def _delete(place: _ElementPlace) -> None:
    del place.container[place.key]


def _in_list(found: Sequence[_ElementPlace], one: FhirPathOperation) -> None:
    """Insert into a list, or move within it."""
    if not found or not all(place.container is found[0].container for place in found):
        raise _failed(one, "the path leads to no list")
    listed = found[0].container
    if not isinstance(listed, list) or not 0 <= one.index <= len(listed):
        raise _failed(one, "the list has no such place")
    if one.type == "insert":
        listed.insert(one.index, copy.deepcopy(one.value))
    elif not (0 <= one.source < len(listed) and one.index < len(listed)):
        raise _failed(one, "the list has no such place")
    else:
        listed.insert(one.index, listed.pop(one.source))


def _failed(one: FhirPathOperation, reason: str) -> Refused:
    return Refused.because(422, "processing", reason, one.place)
