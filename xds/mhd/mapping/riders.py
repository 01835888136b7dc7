"""What a resource says and no attribute of the metadata can: it rides with the object.

A submitted resource is compared with what would be written of the object that was read from it.
Elements in which the two differ are kept as they were sent, as JSON in a Slot that is extra
metadata (ITI TF-3 4.2.3.1.6), so that SOAP consumers pass them on. A value of a Slot has 256
characters at most, so the JSON is cut into values, each in brackets for white space at its ends.

When the resource is written, an element that rode along takes the place of the written one as long
as it is read into the same attributes. So nobody can have a resource say another thing than the
metadata do, and where these have changed, they win.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any, Final, TypeVar

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.exact import BESIDE
from xds.fhir.datatypes.identifiers import kind_of
from xds.fhir.r4 import json, structure
from xds.fhir.r4.contained import local_references, referred
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd import vocabulary as mhd

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)
Steps = tuple[str | int, ...]

_VALUE: Final = 254
"""Characters of JSON in one value of the Slot."""
MOST: Final = 64 * 1024
"""Characters of JSON that ride with one object."""
_OWN: Final = "urn:xds:fhir:"
_PATHS: Final = 1_000
"""How many paths are kept in their steps: those of the shapes are looked up for each resource."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which elements of a resource type may ride, and what attributes are read from them."""

    elements: Mapping[str, tuple[str, ...]]
    """Paths such as ``content[0].format``, in the order of their importance."""
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URLs of extensions of the resource that attributes are read from."""
    written: frozenset[str] = frozenset()
    """URLs of extensions that are written from attributes alone."""


@dataclass(frozen=True, slots=True)
class Rider:
    """What rides with one object."""

    elements: Mapping[str, Any] = field(default_factory=dict)
    """By their paths; ``_title`` is what JSON has beside ``title``."""
    contained: tuple[Resource, ...] = ()
    """The resources that they refer to."""
    patient: str = ""
    """The patientId (CX) of the submission."""

    def values(self) -> tuple[str, ...]:
        """Return the values of the Slot; none where nothing rides."""
        if not self.elements:
            return ()
        content: Resource = {"patient": self.patient, "elements": dict(self.elements)}
        if self.contained:
            content["contained"] = list(self.contained)
        text = json.render(content).decode()
        for character in "\ufffe\uffff":  # which no XML can carry
            text = text.replace(character, f"\\u{ord(character):04x}")
        return tuple(f"[{text[i : i + _VALUE]}]" for i in range(0, len(text), _VALUE))

    @classmethod
    def of(cls, values: Iterable[str]) -> "Rider":
        """Read the values of the Slot; what is not of this form is nothing."""
        text = "".join(value.strip()[1:-1] for value in values)
        if not text or len(text) > MOST + MOST:
            return cls()
        try:
            found = json.read(text.encode())
        except Refused:
            return cls()
        elements, contained = found.get("elements"), found.get("contained", [])
        sound = isinstance(elements, dict) and isinstance(contained, list)
        if not sound or not all(isinstance(one, dict) for one in contained):
            return cls()
        return cls(elements or {}, tuple(contained), str(found.get("patient", "")))


# --- places --------------------------------------------------------------------------------------


@lru_cache(_PATHS)
def _steps(path: str) -> Steps:
    found: list[str | int] = []
    for name in path.split("."):
        bare, _, place = name.partition("[")
        found.append(bare)
        if place:
            found.append(int(place[:-1]))
    return tuple(found)


def at(resource: Any, path: str) -> Any:
    """Return the element at a path, None where there is none."""
    for step in _steps(path):
        if isinstance(step, int):
            resource = resource[step] if isinstance(resource, list) and resource[step:] else None
        else:
            resource = resource.get(step) if isinstance(resource, dict) else None
    return resource


@lru_cache(_PATHS)
def _beside(path: str) -> str:
    start, dot, name = path.rpartition(".")
    return f"{start}{dot}{BESIDE}{name}"


def _set(resource: Resource, path: str, value: Any) -> Resource:
    """Return a copy with an element set anew; None takes it away."""
    found: Resource = _with(resource, _steps(path), value)
    return found


def _with(resource: Any, steps: Steps, value: Any) -> Any:
    first, *rest = steps
    if isinstance(first, int):
        others = enumerate(resource)
        return [_with(one, tuple(rest), value) if i == first else one for i, one in others]
    found = {**(resource or {})}
    made = _with(found.get(first), tuple(rest), value) if rest else value
    if made in (None, {}, []):
        found.pop(first, None)
    else:
        found[first] = made
    return found


def _by_id(resource: Resource) -> dict[str, Resource]:
    found = resource.get("contained") or ()
    return {str(one.get("id")): one for one in found}


def unfolded(element: Any, contained: Mapping[str, Resource], within: Steps = ()) -> Any:
    """Return an element with what is contained in the places of the references to it."""
    if isinstance(element, list):
        return [unfolded(one, contained, within) for one in element]
    if not isinstance(element, dict):
        return element
    reference = element.get("reference")
    name = reference[1:] if isinstance(reference, str) and reference.startswith("#") else ""
    if name in contained and name not in within:
        others = {key: one for key, one in element.items() if key != "reference"}
        target = {key: one for key, one in contained[name].items() if key != "id"}
        element, within = {**target, **others}, (*within, name)
    return {
        key: unfolded(one, contained, within) if isinstance(one, dict | list) else one
        for key, one in element.items()
    }


# --- reading: what is to ride --------------------------------------------------------------------


@dataclass
class _Localized:
    """Elements of a submitted resource as they can stand alone.

    What they refer to in the request becomes contained; a urn that leads nowhere is left out.
    """

    resource: Resource
    reading: Reading
    contained: dict[str, Resource]
    _made: dict[int, str] = field(default_factory=dict)
    lost: bool = False
    """Whether a reference was left out that nothing beside it says the meaning of."""

    def element(self, value: Any) -> Any:
        """Return an element; None where nothing of it is left."""
        if isinstance(value, list):
            return [one for one in map(self.element, value) if one not in (None, {}, [])] or None
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("reference"), str) and not value["reference"].startswith("#"):
            value = self._reference(value)
        made = {name: self.element(one) for name, one in value.items()}
        return {name: one for name, one in made.items() if one is not None} or None

    def _reference(self, value: Resource) -> Resource:
        target = self.reading.resolve(value)
        if target is not None:
            return {**value, "reference": f"#{self._name(target)}"}
        if value["reference"].lower().startswith((f.UUID_URN, f.OID_URN)):
            others = {name: one for name, one in value.items() if name != "reference"}
            self.lost |= not (others.keys() & {"identifier", "display"})
            return others
        return value

    def _name(self, target: Resource) -> str:
        """Contain a resource of the request, once; return its id."""
        known = self._made.get(id(target))
        if known is not None:
            return known
        name = self._free(target["resourceType"].lower())
        self._made[id(target)] = name
        # a contained resource contains none (R4 dom-2): what it had is beside it now
        within = {n: self._free(n) for n in _by_id(target)}
        for own, one in _by_id(target).items():
            self.contained[within[own]] = self._moved({**one, "id": within[own]}, within)
        content = {n: one for n, one in target.items() if n not in ("meta", "contained")}
        self.contained[name] = self._moved({**content, "id": name}, within)
        return name

    def _free(self, start: str) -> str:
        """Return an id that no contained resource has, and take it."""
        found = next(n for i in count(1) if (n := f"{start}-{i}") not in self.contained)
        self.contained[found] = {}
        return found

    def _moved(self, resource: Resource, names: Mapping[str, str]) -> Resource:
        found: Resource = self.element(_renamed(resource, names))
        return found


def rider_of(
    resource: Resource,
    written: Resource,
    shape: Shape,
    reading: Reading,
    notes: IssueCollector,
    further: Sequence[Resource] = (),
) -> Rider:
    """Return what is to ride with the object that was read from a resource.

    ``written`` is what would be written of the object, ``further`` are the identifiers beside its
    own. What cannot be held is noted.
    """
    local = _Localized(resource, reading, _by_id(resource))
    differing: list[tuple[str, Mapping[str, Any]]] = []
    for path, pair in _differing(_said(resource, shape, further), written, shape, local):
        if local.lost:
            notes.lost("a reference to what is not in the request is not kept", path)
        differing.append((path, pair))
    every = {name: one for _, pair in differing for name, one in pair.items()}
    contained = referred(every, local.contained) if every else []
    if not every or _length({**every, "": contained}) <= MOST:
        return Rider(every, tuple(contained))
    kept: dict[str, Any] = {}
    size = 0
    for path, pair in differing:
        length = _length({**pair, "": referred(pair, local.contained)})
        if size + length > MOST:
            notes.lost("this is too large to be kept beside the metadata", path, code="too-long")
            continue
        size += length
        kept |= pair
    return Rider(kept, tuple(referred(kept, local.contained)))


def _length(elements: Mapping[str, Any]) -> int:
    return len(json.render(dict(elements)).decode())


def _is_as_written(
    path: str, said: Mapping[str, Any], written: Resource, shape: Shape, alike: bool
) -> bool:
    """Tell whether an element is the very one that is written, and so is what it refers to.

    ``alike`` tells whether both resources contain the same.
    """
    same = all(said.get(name) == _written(written, name, shape) for name in (path, _beside(path)))
    return same and (alike or not local_references(list(said.values())))


def _differing(
    given: Iterable[tuple[str, Mapping[str, Any]]],
    written: Resource,
    shape: Shape,
    local: _Localized,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the elements that differ, each with what JSON has beside it."""
    of_set = _by_id(written)
    alike = local.contained == of_set
    for path, said in given:
        local.lost = False
        if _is_as_written(path, said, written, shape, alike):
            continue
        pair = {name: local.element(one) for name, one in said.items()}
        pair = {name: one for name, one in pair.items() if one is not None}
        of_written = {name: _written(written, name, shape) for name in (path, _beside(path))}
        here = {name: unfolded(one, local.contained) for name, one in pair.items()}
        there = {name: unfolded(one, of_set) for name, one in of_written.items() if one is not None}
        if path in _MERGED and path in pair:
            here[path] = _marked(there.get(path) or {}, pair[path])
        if pair and here != there:
            yield path, pair


_MERGED: Final = frozenset({"masterIdentifier"})
"""Elements to which the server adds."""


def _written(written: Resource, path: str, shape: Shape) -> Any:
    if path.startswith("extension("):
        return [one for one in written.get("extension", ()) if path == _of_url(one)] or None
    return None if path.rpartition(".")[2] in _LISTS else at(written, path)


def _of_url(extension: Resource) -> str:
    return f"extension({extension.get('url')})"


FURTHER: Final = "identifier"
"""Identifiers that are neither the uniqueId nor a UUID of the object."""
_LISTS: Final = frozenset({"extension", FURTHER})
"""Lists that are added to."""


def _said(
    resource: Resource, shape: Shape, further: Sequence[Resource]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in shape.elements:
        if path == FURTHER:
            pair: dict[str, Any] = {path: list(further) or None}
        elif path.rpartition(".")[2] in _LISTS:
            pair = {path: _others(at(resource, path), shape) or None}
        else:
            pair = {name: at(resource, name) for name in (path, _beside(path))}
        if said := {name: one for name, one in pair.items() if one is not None}:
            yield path, said
    for url in shape.extensions:
        path = f"extension({url})"
        if found := [one for one in resource.get("extension", ()) if path == _of_url(one)]:
            yield path, {path: found}


def _others(extensions: Any, shape: Shape) -> list[Resource]:
    """Return the extensions that are not written from attributes."""
    return [
        one
        for one in extensions or ()
        if one.get("url") not in (*shape.extensions, *shape.written)
        and not str(one.get("url")).startswith(_OWN)
    ]


# --- writing: what rode along --------------------------------------------------------------------


def restored(
    written: Resource,
    thing: T,
    shape: Shape,
    read: Callable[[Resource, str], T],
) -> Resource:
    """Return a resource that was written of an object, with the elements that rode along with it.

    ``read`` reads a resource for a patient. An element that would be read into other attributes
    than the object has is left as it was written.
    """
    if not thing.fhir_elements:
        return written
    rider = Rider.of(thing.fhir_elements)
    try:
        return _restored(written, thing, rider, shape, read)
    except (Refused, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return written  # the Slot may be anyone's


def _restored(
    written: Resource, thing: T, rider: Rider, shape: Shape, read: Callable[[Resource, str], T]
) -> Resource:
    paths = _paths(shape, rider, thing)
    made = _applied(written, rider, paths, shape)
    said = read(made, rider.patient)
    right = {path: names for path, names in paths.items() if _same(said, thing, names)}
    if right != paths:
        made = _applied(written, rider, right, shape)
    sound = not any(one.severity == "error" for one in structure.problems(made))
    return made if sound else written


def _same(one: T, other: T, names: Iterable[str]) -> bool:
    declared = other.attributes()
    return all(declared[name].read(one) == declared[name].read(other) for name in names)


def _paths(shape: Shape, rider: Rider, thing: T) -> Mapping[str, tuple[str, ...]]:
    """Return the paths that may take their places, and the attributes that they are read into."""
    allowed = dict(shape.elements)
    allowed |= {f"extension({url})": names for url, names in shape.extensions.items()}
    if rider.patient != (thing.patient_id or "") or thing.availability_status == v.DEPRECATED:
        allowed = {path: names for path, names in allowed.items() if path not in _IN_WORDS}
    ridden = {path for path in allowed if path in rider.elements or _beside(path) in rider.elements}
    return {path: names for path, names in allowed.items() if path in ridden}


_IN_WORDS: Final = frozenset({"text", "subject.display"})
"""What tells the patient or the status in words, and is shown as long as these are as submitted."""


def _applied(written: Resource, rider: Rider, paths: Iterable[str], shape: Shape) -> Resource:
    bare = written
    for path in paths:
        if path.rpartition(".")[2] not in _LISTS and not path.startswith("extension("):
            bare = _set(bare, path, None)
    kept = {str(one["id"]): one for one in referred(_content(bare), _by_id(written))}
    ridden = {str(one["id"]): one for one in rider.contained}
    clashing = {n: f"sent-{n}" for n in kept.keys() & ridden.keys() if kept[n] != ridden[n]}
    found = written
    for path in paths:
        value = _renamed(rider.elements.get(path), clashing)
        found = _put(found, path, value, rider.elements.get(_beside(path)), shape)
    contained = _renamed([{**one, "id": clashing.get(n, n)} for n, one in ridden.items()], clashing)
    every = _by_id(written) | {str(one["id"]): one for one in contained}
    head: Resource = {n: found[n] for n in ("resourceType", "id", "meta") if n in found}
    if needed := referred(_content(found), every):
        head["contained"] = needed
    return {**head, **{n: one for n, one in _content(found).items() if n not in head}}


_CODE: Final = "code"


def list_types(concept: Resource) -> set[str]:
    """Return the codes of a List that say what it is (MHDlistTypes)."""
    codings = concept.get("coding") or ()
    return {str(one.get("code")) for one in codings if one.get("system") == mhd.LIST_TYPES}


def _content(resource: Resource) -> Resource:
    return {name: one for name, one in resource.items() if name != "contained"}


def _put(found: Resource, path: str, value: Any, beside: Any, shape: Shape) -> Resource:
    if path.startswith("extension("):
        others = [one for one in found.get("extension", ()) if path != _of_url(one)]
        return {**found, "extension": [*others, *(one for one in value if path == _of_url(one))]}
    if path.rpartition(".")[2] in _LISTS:
        more = [one for one in value if not kind_of(one)[1]] if path == FURTHER else None
        more = _others(value, shape) if more is None else more
        return _set(found, path, [*(at(found, path) or ()), *more])
    if path in _MERGED:
        return {**found, path: _marked(found.get(path) or {}, value)}
    if path == _CODE and list_types(value) != list_types(found[_CODE]):
        return found
    return _set(_set(found, path, value), _beside(path), beside)


def _marked(written: Resource, said: Resource) -> Resource:
    """Return an identifier as it was sent, with the marks by which MHD tells it."""
    found = {**written, **said}
    if "type" in written and "type" in said:
        codings = written["type"].get("coding", [])
        more = [one for one in said["type"].get("coding", ()) if one not in codings]
        found["type"] = {**said["type"], "coding": [*codings, *more]}
    return found


def _renamed(element: Any, names: Mapping[str, str]) -> Any:
    if not names:
        return element
    if isinstance(element, list):
        return [_renamed(one, names) for one in element]
    if not isinstance(element, dict):
        return element
    made = {name: _renamed(one, names) for name, one in element.items()}
    reference = made.get("reference")
    if isinstance(reference, str) and reference[1:] in names and reference.startswith("#"):
        made["reference"] = f"#{names[reference[1:]]}"
    return made
