"""JSON Patch (RFC 6902) of a resource, its places by JSON Pointer (RFC 6901)."""

import copy
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from xds.fhir.r4 import json
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource

_OPERATIONS: Final = ("add", "remove", "replace", "move", "copy", "test")
_WITH_VALUE: Final = ("add", "replace", "test")
_WITH_FROM: Final = ("move", "copy")
_MOST: Final = 1_000
_LARGEST: Final = 4 * 1024 * 1024
"""Characters of JSON that a resource may grow to, since a patch can copy what it has copied."""
_POINTER: Final = re.compile(r"(?:/(?:[^~]|~[01])*)?")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_END: Final = "-"
_ROOT: Final = ""

Pointer = tuple[str, ...]


class JsonOperation(NamedTuple):
    """One operation of a JSON Patch."""

    name: str
    path: Pointer
    value: Any
    source: Pointer
    """``from`` of a move or copy."""
    place: str
    """Where it is in the patch, for errors."""


def operations(data: bytes, deepest: int) -> Sequence[JsonOperation]:
    """Read a patch; Refused 400 where it is not well-formed."""
    found = json.read_list(data, deepest)
    if not 0 < len(found) <= _MOST:
        raise _malformed("", f"a JSON Patch is a list of 1 to {_MOST} operations")
    return [_operation(one, f"[{place}]") for place, one in enumerate(found)]


def _operation(found: Any, place: str) -> JsonOperation:
    name = found.get("op") if isinstance(found, dict) else None
    if name not in _OPERATIONS:
        raise _malformed(place, f"op must be one of {', '.join(_OPERATIONS)}")
    if name in _WITH_VALUE and "value" not in found:
        raise _malformed(place, f"{name} needs a value")
    source = _pointer(found.get("from"), place) if name in _WITH_FROM else ()
    path = _pointer(found.get("path"), place)
    return JsonOperation(name, path, found.get("value"), source, place)


def _pointer(text: Any, place: str) -> Pointer:
    if not isinstance(text, str) or not _POINTER.fullmatch(text):
        raise _malformed(place, "path and from must be JSON Pointers (RFC 6901)")
    return tuple(one.replace("~1", "/").replace("~0", "~") for one in text.split("/")[1:])


def apply(patch: Sequence[JsonOperation], resource: Resource) -> Resource:
    """Return a resource changed by all operations in their order; Refused 422 where one fails."""
    # the resource is a member of this, so that it can be replaced as a whole
    holder: dict[str, Any] = {_ROOT: copy.deepcopy(resource)}
    for one in patch:
        _apply(holder, one)
    patched = holder.get(_ROOT)
    if not isinstance(patched, dict):
        raise _failed(patch[-1].place, "what is left is no resource")
    return patched


def _apply(holder: dict[str, Any], one: JsonOperation) -> None:
    path, source = (_ROOT, *one.path), (_ROOT, *one.source)
    match one.name:
        case "add":
            _add(holder, path, copy.deepcopy(one.value), one.place)
        case "remove":
            _remove(holder, path, one.place)
        case "replace":
            _replace(holder, path, copy.deepcopy(one.value), one.place)
        case "test":
            if not _same(_at(holder, path, one.place), one.value):
                raise _failed(one.place, "the value at the path is another one")
        case "move":
            if path[: len(source)] == source and path != source:
                raise _failed(one.place, "an element cannot be moved into itself")
            _add(holder, path, _remove(holder, source, one.place), one.place)
        case "copy":
            _add(holder, path, copy.deepcopy(_at(holder, source, one.place)), one.place)
            if len(json.render(holder)) > _LARGEST:
                raise _failed(one.place, "the resource grows too large")


def _at(holder: Any, path: Pointer, place: str) -> Any:
    for name in path:
        holder = holder[_key(holder, name, place)]
    return holder


def _key(container: Any, name: str, place: str) -> Any:
    """Return the key or index of what is there."""
    if isinstance(container, dict) and name in container:
        return name
    if isinstance(container, list) and _INDEX.fullmatch(name) and int(name) < len(container):
        return int(name)
    raise _failed(place, "there is nothing at the path")


def _add(holder: Any, path: Pointer, value: Any, place: str) -> None:
    container, name = _at(holder, path[:-1], place), path[-1]
    if isinstance(container, dict):
        container[name] = value
    elif isinstance(container, list) and name == _END:
        container.append(value)
    elif isinstance(container, list) and _INDEX.fullmatch(name) and int(name) <= len(container):
        container.insert(int(name), value)
    else:
        raise _failed(place, "nothing can be added at the path")


def _remove(holder: Any, path: Pointer, place: str) -> Any:
    container = _at(holder, path[:-1], place)
    key = _key(container, path[-1], place)
    return container.pop(key)


def _replace(holder: Any, path: Pointer, value: Any, place: str) -> None:
    container = _at(holder, path[:-1], place)
    container[_key(container, path[-1], place)] = value


def _same(one: Any, other: Any) -> bool:
    """Compare values as JSON does: true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _malformed(place: str, reason: str) -> Refused:
    return Refused.because(400, "structure", f"patch{place}: {reason}")


def _failed(place: str, reason: str) -> Refused:
    return Refused.because(422, "processing", f"patch{place}: {reason}")
