"""The ebRIM carriers: what every piece of XDS metadata is made of on the wire.

Reading keeps everything that ebRIM can say (order, languages, unknown slots, ids), so that
``render(read(element))`` gives the same metadata back (ITI TF-3 4.2.1), but for white space round
values (:mod:`xds.metadata.white_space`) and for empty values. What the pieces *mean* is declared in
:mod:`xds.metadata.objects`. Fields that hold an XML attribute have its very name.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter, methodcaller
from os import urandom
from typing import Any, Final, TypeVar, cast

from lxml import etree

from xds.metadata import vocabulary as v
from xds.metadata.white_space import trimmed, trimmed_value, trimmed_values

T = TypeVar("T", bound="RegistryObject")

RIM: Final = f"{{{v.NS_RIM}}}"
_LANG: Final = f"{{{v.NS_XML}}}lang"
_LOCALIZED_STRING: Final = f"{RIM}LocalizedString"


@dataclass(frozen=True, slots=True)
class LocalizedString:
    """One language's text of a Name or Description."""

    value: str
    lang: str | None = None
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A named list of values, in the order in which they were given."""

    name: str
    values: tuple[str, ...]
    slot_type: str | None = None


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """The version of an object: XDS uses version_name only (ITI TF-3 4.2.3.1.5)."""

    version_name: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryObject:
    """What every ebRIM object carries; the kinds below add their own XML attributes."""

    id: str = field(default_factory=lambda: new_uuid())
    home: str | None = None
    lid: str | None = None
    objectType: str | None = None
    status: str | None = None
    slots: tuple[Slot, ...] = ()
    name: tuple[LocalizedString, ...] = ()
    description: tuple[LocalizedString, ...] = ()
    version_info: VersionInfo | None = None
    classifications: "tuple[Classification, ...]" = ()
    external_identifiers: "tuple[ExternalIdentifier, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification(RegistryObject):
    """A code, an author, or the type of a package."""

    classificationScheme: str | None = None
    classificationNode: str | None = None
    classifiedObject: str = ""
    nodeRepresentation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIdentifier(RegistryObject):
    """A patientId, uniqueId or sourceId."""

    registryObject: str = ""
    identificationScheme: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrinsicObject(RegistryObject):
    """The carrier of a DocumentEntry."""

    mimeType: str | None = None
    isOpaque: str | None = None
    content_version_info: VersionInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPackage(RegistryObject):
    """The carrier of a SubmissionSet or a Folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationObject(RegistryObject):
    """The carrier of an Association."""

    associationType: str = ""
    sourceObject: str = ""
    targetObject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedObject(RegistryObject):
    """An ebRIM object of a kind that XDS does not use, kept so that a rule can name it."""

    kind: str = ""


_ATTRIBUTES: Final[Mapping[type[RegistryObject], tuple[str, ...]]] = {
    Classification: (
        "classificationScheme",
        "classificationNode",
        "classifiedObject",
        "nodeRepresentation",
    ),
    ExternalIdentifier: ("registryObject", "identificationScheme", "value"),
    ExtrinsicObject: ("mimeType", "isOpaque"),
    RegistryPackage: (),
    AssociationObject: ("associationType", "sourceObject", "targetObject"),
}
"""The XML attributes that a kind adds to those of RegistryObject."""

_COMMON: Final = ("home", "lid", "objectType", "status")


def new_uuid() -> str:
    """Return a new random UUID (RFC 4122 version 4) as a ``urn:uuid:`` (ITI TF-3 4.2.3.1.1).

    A submission needs some twenty, so this is spelt out rather than left to the uuid module.
    """
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return (
        f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{variant}{digits[17:20]}-{digits[20:]}"
    )


is_uuid: Final[Callable[[str], bool]] = methodcaller("startswith", "urn:uuid:")
"""Tells a UUID from a symbolic id, which is any string without ``urn:uuid:`` in front."""


# --- reading -------------------------------------------------------------------------------------


def _slot(element: etree._Element) -> Slot:
    texts = [value.text for value in element[0]]  # of the ValueList, by the schema
    return Slot(element.get("name", "").strip(), trimmed_values(texts), element.get("slotType"))


def _strings(element: etree._Element) -> tuple[LocalizedString, ...]:
    return tuple(
        [
            LocalizedString(s.get("value", "").strip(), s.get(_LANG), s.get("charset"))
            for s in element
            if s.tag == _LOCALIZED_STRING
        ]
    )


def _version(element: etree._Element) -> VersionInfo:
    return VersionInfo(element.get("versionName"), element.get("comment"))


def _classification(element: etree._Element) -> Classification:
    return read(element, Classification)


def _external_identifier(element: etree._Element) -> ExternalIdentifier:
    return read(element, ExternalIdentifier)


_Reader = Callable[[etree._Element], object]
_LISTS: Final[Mapping[str, tuple[str, _Reader]]] = {
    f"{RIM}Slot": ("slots", _slot),
    f"{RIM}Classification": ("classifications", _classification),
    f"{RIM}ExternalIdentifier": ("external_identifiers", _external_identifier),
}
_SINGLES: Final[Mapping[str, tuple[str, _Reader]]] = {
    f"{RIM}Name": ("name", _strings),
    f"{RIM}Description": ("description", _strings),
    f"{RIM}VersionInfo": ("version_info", _version),
    f"{RIM}ContentVersionInfo": ("content_version_info", _version),
}


@dataclass(frozen=True, slots=True)
class _Form:
    """What is to be known of a kind to make its objects field by field.

    Objects are made by the thousand, and half of what they have is absent. Calling the kind would
    hand over each field by its name, and copying an object name all of them.
    """

    absent: tuple[object, ...]
    """What each field is where nothing is said of it."""
    places: Mapping[str, int]
    """The place of each field."""
    attributes: Mapping[str, int]
    """The places of those that are XML attributes."""
    readers: Mapping[str, tuple[int, bool, _Reader]]
    """By the tag of a child element: the place, whether it may stand several times, its reader."""
    content: Callable[[object], tuple[Any, ...]]
    """Returns all fields of an object."""
    put: tuple[Callable[[object, object], None], ...]
    """Sets each field of a new object."""


@cache
def _form(kind: Hashable) -> _Form:
    declared = cast("type[RegistryObject]", kind)
    names = tuple(declared.__dataclass_fields__)
    places = {name: place for place, name in enumerate(names)}
    defaults = [one.default for one in declared.__dataclass_fields__.values()]
    children = {tag: (*one, True) for tag, one in _LISTS.items()}
    children |= {tag: (*one, False) for tag, one in _SINGLES.items()}
    return _Form(
        absent=("", *defaults[1:]),
        places=places,
        attributes={n: places[n] for n in ("id", *_COMMON, *_attributes(declared))},
        readers={
            tag: (places[name], many, reader)
            for tag, (name, reader, many) in children.items()
            if name in places
        },
        content=attrgetter(*names),
        put=tuple([getattr(declared, name).__set__ for name in names]),
    )


def _made(kind: type[T], content: Iterable[object]) -> T:
    """Make an object of all its fields in order."""
    made = object.__new__(kind)
    for put, value in zip(_form(cast("Hashable", kind)).put, content, strict=True):
        put(made, value)
    return made


def read(element: etree._Element, kind: type[T]) -> T:
    """Read one ebRIM object; the element is taken as valid against the schema.

    What all objects may have (``home``, ``lid``, ``objectType``, ``status``) is absent where it is
    empty, and so is a Slot without values.
    """
    form = _form(cast("Hashable", kind))
    content, readers = _with_attributes(form, element.items()), form.readers
    lists: dict[int, list[Any]] = {}
    for child in element:
        tag = child.tag
        if tag in readers:
            place, many, reader = readers[tag]
            if not many:
                content[place] = reader(child)
            elif place in lists:
                lists[place].append(reader(child))
            else:
                lists[place] = [reader(child)]
    for place, values in lists.items():
        content[place] = tuple(values)
    slots = form.places["slots"]
    if () in [slot.values for slot in lists.get(slots, ())]:
        content[slots] = tuple([slot for slot in lists[slots] if slot.values])
    return _made(kind, content)


def _with_attributes(form: _Form, given: Iterable[tuple[str, str]]) -> list[object]:
    """Return all fields of an object that has these XML attributes."""
    content, attributes = list(form.absent), form.attributes
    for name, value in given:
        if name in attributes:
            text, place = value.strip(), attributes[name]
            if text or place > len(_COMMON):
                content[place] = trimmed_value(text) if "^" in text else text
    return content


def attribute_values(
    kind: type[RegistryObject], given: Iterable[tuple[str, str]], names: Mapping[str, str]
) -> dict[str, object]:
    """Return XML attributes of an object by other names, as they are read; absent ones too."""
    form = _form(cast("Hashable", kind))
    content = _with_attributes(form, given)
    return {name: content[form.places[xml]] for xml, name in names.items()}


def assembled(kind: type[T], attributes: Iterable[tuple[str, str]], **fields: object) -> T:
    """Return an object of its XML attributes, as they are read, and of other fields as given."""
    form = _form(cast("Hashable", kind))
    content = _with_attributes(form, attributes)
    for name, value in fields.items():
        content[form.places[name]] = value
    return _made(kind, content)


def read_slots(element: etree._Element) -> tuple[Slot, ...]:
    """Read the Slots of an element, also those without values."""
    return tuple([_slot(child) for child in element.iterchildren(f"{RIM}Slot")])


def _id(element: etree._Element) -> str:
    return trimmed(element.get("id", ""))


def _attributes(kind: type[RegistryObject]) -> tuple[str, ...]:
    for base in kind.__mro__:
        if base in _ATTRIBUTES:
            return _ATTRIBUTES[base]
    return ()


_KINDS: Final[Mapping[str, type[RegistryObject]]] = {
    f"{RIM}ExtrinsicObject": ExtrinsicObject,
    f"{RIM}RegistryPackage": RegistryPackage,
    f"{RIM}Association": AssociationObject,
}


def read_list(registry_object_list: etree._Element) -> Iterator[RegistryObject]:
    """Read a RegistryObjectList; package types given as siblings join their package (TF-3 4.2.1.3).

    ObjectRefs carry no metadata and are passed over; kinds foreign to XDS come as UnusedObject.
    """
    siblings: dict[str, list[Classification]] = {}
    for element in registry_object_list.iterchildren(f"{RIM}Classification"):
        sibling = _classification(element)
        siblings.setdefault(sibling.classifiedObject, []).append(sibling)
    for element in registry_object_list.iterchildren(tag=etree.Element):
        if element.tag in (f"{RIM}ObjectRef", f"{RIM}Classification"):
            continue
        yield _read_any(element, tuple(siblings.pop(_id(element), ())))
        for nested in element.iterchildren(f"{RIM}RegistryObjectList"):
            yield UnusedObject(id="", kind=etree.QName(nested).localname)
    for orphans in siblings.values():
        yield from orphans


def _read_any(element: etree._Element, siblings: tuple[Classification, ...]) -> RegistryObject:
    kind = _KINDS.get(element.tag)
    if kind is None:
        name = etree.QName(element).localname
        return UnusedObject(id=_id(element), kind=name)
    found = read(element, kind)
    return changed(found, classifications=found.classifications + siblings) if siblings else found


def changed(carrier: T, **values: object) -> T:
    """Return a copy with some carrier fields changed."""
    return recast(type(carrier), carrier, **values)


def recast(kind: type[T], carrier: RegistryObject, **values: object) -> T:
    """Return the carrier's content as another kind of the same fields, some of them changed."""
    form = _form(cast("Hashable", type(carrier)))
    content = list(form.content(carrier))
    for name, value in values.items():
        content[form.places[name]] = value
    return _made(kind, content)


# --- writing -------------------------------------------------------------------------------------

_SPECIAL: Final = re.compile("[&<>\"'\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
ENTITIES: Final[Mapping[str, str]] = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}


def _entity(match: re.Match[str]) -> str:
    try:
        return ENTITIES[match[0]]
    except KeyError:
        raise ValueError("a character that XML cannot carry") from None


class Placeholder(str):
    """A text that stands for a value filled in later, and is written as it is."""

    __slots__ = ()


def escape(text: str) -> str:
    """Return text ready for an attribute or an element; ValueError for what XML cannot carry."""
    if not _SPECIAL.search(text) or isinstance(text, Placeholder):
        return text
    return _SPECIAL.sub(_entity, text)


def _render_slot(slot: Slot) -> str:
    name, values = slot.name, slot.values
    if _SPECIAL.search(name + "".join(values)):
        name, values = escape(name), tuple(map(escape, values))
    content = "</rim:Value><rim:Value>".join(values)
    kind = f' slotType="{escape(slot.slot_type)}"' if slot.slot_type is not None else ""
    value_list = f"<rim:Value>{content}</rim:Value>" if values else ""
    return f'<rim:Slot name="{name}"{kind}><rim:ValueList>{value_list}</rim:ValueList></rim:Slot>'


def _render_strings(tag: str, strings: tuple[LocalizedString, ...]) -> str:
    rendered = [f"<rim:{tag}>"]
    for string in strings:
        lang = f' xml:lang="{escape(string.lang)}"' if string.lang is not None else ""
        charset = f' charset="{escape(string.charset)}"' if string.charset is not None else ""
        rendered.append(f'<rim:LocalizedString{lang}{charset} value="{escape(string.value)}"/>')
    rendered.append(f"</rim:{tag}>")
    return "".join(rendered)


def _render_version(tag: str, version: VersionInfo) -> str:
    name = f' versionName="{escape(version.version_name)}"' if version.version_name else ""
    comment = f' comment="{escape(version.comment)}"' if version.comment is not None else ""
    return f"<rim:{tag}{name}{comment}/>"


_TAGS: Final[Mapping[type[RegistryObject], str]] = {
    Classification: "Classification",
    ExternalIdentifier: "ExternalIdentifier",
    ExtrinsicObject: "ExtrinsicObject",
    RegistryPackage: "RegistryPackage",
    AssociationObject: "Association",
}


@cache
def _element(kind: Hashable) -> tuple[str, tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    """Return the name of a kind's element, its XML attributes, and what returns their values."""
    for base in cast("type[RegistryObject]", kind).__mro__:
        if base in _TAGS:
            names = ("id", *_COMMON, *_attributes(base))
            return _TAGS[base], names, attrgetter(*names)
    raise TypeError(f"{cast('type', kind).__name__} has no ebRIM element")


def render(carrier: RegistryObject) -> str:
    """Write one object as XML text; the prefixes ``rim`` and ``xml`` are bound by the receiver."""
    tag, names, attributes = _element(cast("Hashable", type(carrier)))
    values = attributes(carrier)
    if _SPECIAL.search("".join(filter(None, values))):
        values = tuple([value and escape(value) for value in values])
    parts = [f"<rim:{tag}"]
    for name, value in zip(names, values, strict=True):
        if value is not None:
            parts.append(f' {name}="{value}"')
    parts.append(">")
    for slot in carrier.slots:
        parts.append(_render_slot(slot))
    if carrier.name:
        parts.append(_render_strings("Name", carrier.name))
    if carrier.description:
        parts.append(_render_strings("Description", carrier.description))
    if carrier.version_info is not None:
        parts.append(_render_version("VersionInfo", carrier.version_info))
    for classification in carrier.classifications:
        parts.append(render(classification))
    for identifier in carrier.external_identifiers:
        parts.append(render(identifier))
    if isinstance(carrier, ExtrinsicObject) and carrier.content_version_info is not None:
        parts.append(_render_version("ContentVersionInfo", carrier.content_version_info))
    parts.append(f"</rim:{tag}>")
    return "".join(parts)
