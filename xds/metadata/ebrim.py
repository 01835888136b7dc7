"""The ebRIM carriers: what every piece of XDS metadata is made of on the wire.

Reading keeps everything that ebRIM can say (order, languages, unknown slots, ids), so that
``render(read(element))`` gives the same metadata back (ITI TF-3 4.2.1), but for white space round
values (:mod:`xds.metadata.white_space`) and for empty values. What the pieces *mean* is declared in
:mod:`xds.metadata.objects`. Fields that hold an XML attribute have its very name.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter, itemgetter, methodcaller
from os import urandom
from typing import Any, Final, NamedTuple, TypeVar, cast

from lxml import etree

from xds.metadata import vocabulary as v
from xds.metadata.white_space import trimmed, trimmed_value, trimmed_values

T = TypeVar("T", bound="RegistryObject")

RIM: Final = f"{{{v.NS_RIM}}}"
_LANG: Final = f"{{{v.NS_XML}}}lang"
_LOCALIZED_STRING: Final = f"{RIM}LocalizedString"


class LocalizedString(NamedTuple):
    """One language's text of a Name or Description."""

    value: str
    lang: str | None = None
    charset: str | None = None


class Slot(NamedTuple):
    """A named list of values, in the order in which they were given."""

    name: str
    values: tuple[str, ...]
    slot_type: str | None = None


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """The version of an object: XDS uses version_name only (ITI TF-3 4.2.3.1.5)."""

    version_name: str | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class RegistryObject:
    """What every ebRIM object carries; the kinds below add their own XML attributes.

    Fields stand in the object's dictionary, which is made and copied as a whole, not in slots.
    """

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


@dataclass(frozen=True, kw_only=True)
class Classification(RegistryObject):
    """A code, an author, or the type of a package."""

    classificationScheme: str | None = None
    classificationNode: str | None = None
    classifiedObject: str = ""
    nodeRepresentation: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExternalIdentifier(RegistryObject):
    """A patientId, uniqueId or sourceId."""

    registryObject: str = ""
    identificationScheme: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class ExtrinsicObject(RegistryObject):
    """The carrier of a DocumentEntry."""

    mimeType: str | None = None
    isOpaque: str | None = None
    content_version_info: VersionInfo | None = None


@dataclass(frozen=True, kw_only=True)
class RegistryPackage(RegistryObject):
    """The carrier of a SubmissionSet or a Folder."""


@dataclass(frozen=True, kw_only=True)
class AssociationObject(RegistryObject):
    """The carrier of an Association."""

    associationType: str = ""
    sourceObject: str = ""
    targetObject: str = ""


@dataclass(frozen=True, kw_only=True)
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

_tuple: Final = tuple.__new__
"""Makes a tuple with names without the call of a function that names them."""


def _slot(element: etree._Element) -> Slot:
    texts = [value.text for value in element[0]]  # of the ValueList, by the schema
    given = element.items()
    if len(given) == 1 and given[0][0] == "name":  # seldom more
        return _tuple(Slot, (given[0][1].strip(), trimmed_values(texts), None))
    return Slot(element.get("name", "").strip(), trimmed_values(texts), element.get("slotType"))


def _strings(element: etree._Element) -> tuple[LocalizedString, ...]:
    return tuple([_string(s.items()) for s in element if s.tag == _LOCALIZED_STRING])


def _string(given: list[tuple[str, str]]) -> LocalizedString:
    if len(given) == 1 and given[0][0] == "value":
        return _tuple(LocalizedString, (given[0][1].strip(), None, None))
    named = dict(given)
    return LocalizedString(named.get("value", "").strip(), named.get(_LANG), named.get("charset"))


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
    """What is to be known of a kind to make its objects from all their fields at once.

    Objects are made by the thousand, and half of what they have is absent. Calling the kind would
    hand over each field by its name, and set it by itself.
    """

    absent: dict[str, Any]
    """What each field is where nothing is said of it; a copy is what an object is made from."""
    common: frozenset[str]
    """Names of XML attributes that are absent where they are empty."""
    own: frozenset[str]
    """Names of the others."""
    readers: Mapping[str, tuple[str, bool, _Reader]]
    """By the tag of a child element: the field, whether it may stand several times, its reader."""


def _form_of(declared: type[RegistryObject]) -> _Form:
    fields = declared.__dataclass_fields__
    children = {tag: (*one, True) for tag, one in _LISTS.items()}
    children |= {tag: (*one, False) for tag, one in _SINGLES.items()}
    return _Form(
        absent={name: one.default for name, one in fields.items()} | {"id": ""},
        common=frozenset(("id", *_COMMON)),
        own=frozenset(_attributes(declared)),
        readers={
            tag: (name, many, reader)
            for tag, (name, reader, many) in children.items()
            if name in fields
        },
    )


_form: Final = cast("Callable[[type[RegistryObject]], _Form]", cache(_form_of))


def made(kind: type[T], fields: dict[str, Any]) -> T:
    """Make an object of all its fields, whose dictionary becomes its own."""
    one = object.__new__(kind)
    object.__setattr__(one, "__dict__", fields)
    return one


def read(element: etree._Element, kind: type[T]) -> T:
    """Read one ebRIM object; the element is taken as valid against the schema.

    What all objects may have (``home``, ``lid``, ``objectType``, ``status``) is absent where it is
    empty, and so is a Slot without values.
    """
    form = _form(kind)
    fields, readers = _with_attributes(form, element.items()), form.readers
    lists: dict[str, list[Any]] = {}
    for child in element:
        tag = child.tag
        if tag in readers:
            name, many, reader = readers[tag]
            if not many:
                fields[name] = reader(child)
            elif name in lists:
                lists[name].append(reader(child))
            else:
                lists[name] = [reader(child)]
    for name, values in lists.items():
        fields[name] = tuple(values)
    if () in [slot.values for slot in lists.get("slots", ())]:
        fields["slots"] = tuple([slot for slot in lists["slots"] if slot.values])
    return made(kind, fields)


def _with_attributes(form: _Form, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return all fields of an object that has these XML attributes."""
    fields, own, common = form.absent.copy(), form.own, form.common
    for name, value in given:
        text = value.strip()
        if name in own or (text and name in common):
            fields[name] = trimmed_value(text) if "^" in text else text
    return fields


def attribute_values(
    kind: type[RegistryObject], given: Iterable[tuple[str, str]], names: Mapping[str, str]
) -> dict[str, object]:
    """Return XML attributes of an object by other names, as they are read; absent ones too."""
    fields = _with_attributes(_form(kind), given)
    return {name: fields[xml] for xml, name in names.items()}


def assembled(kind: type[T], attributes: Iterable[tuple[str, str]], **fields: object) -> T:
    """Return an object of its XML attributes, as they are read, and of other fields as given."""
    return made(kind, _with_attributes(_form(kind), attributes) | fields)


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
    fields = carrier.__dict__ | values
    assert len(fields) == len(carrier.__dict__), "a field that the kind has not"
    return made(kind, fields)


# --- writing -------------------------------------------------------------------------------------

_SPECIAL: Final = re.compile("[&<>\"'\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROL: Final = re.compile("[\x00-\x1f]")
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
    name, values, slot_type = slot
    content = "</rim:Value><rim:Value>".join(values)
    if _SPECIAL.search(f"{name}{''.join(values)}"):
        name, content = escape(name), "</rim:Value><rim:Value>".join(map(escape, values))
    kind = f' slotType="{escape(slot_type)}"' if slot_type is not None else ""
    value_list = f"<rim:Value>{content}</rim:Value>" if values else ""
    return f'<rim:Slot name="{name}"{kind}><rim:ValueList>{value_list}</rim:ValueList></rim:Slot>'


def _render_strings(tag: str, strings: tuple[LocalizedString, ...]) -> str:
    return f"<rim:{tag}>{''.join(map(_render_string, strings))}</rim:{tag}>"


def _render_string(string: LocalizedString) -> str:
    value, lang, charset = string
    if lang is None and charset is None:
        return f'<rim:LocalizedString value="{escape(value)}"/>'
    language = f' xml:lang="{escape(lang)}"' if lang is not None else ""
    coded = f' charset="{escape(charset)}"' if charset is not None else ""
    return f'<rim:LocalizedString{language}{coded} value="{escape(value)}"/>'


def _render_version(tag: str, version: VersionInfo) -> str:
    name = f' versionName="{escape(version.version_name)}"' if version.version_name else ""
    comment = f' comment="{escape(version.comment)}"' if version.comment is not None else ""
    return f"<rim:{tag}{name}{comment}/>"


_Element = tuple[str, tuple[str, ...], Callable[[object], tuple[Any, ...]]]
_TAGS: Final[Mapping[type[RegistryObject], str]] = {
    Classification: "Classification",
    ExternalIdentifier: "ExternalIdentifier",
    ExtrinsicObject: "ExtrinsicObject",
    RegistryPackage: "RegistryPackage",
    AssociationObject: "Association",
}


def _element_of(kind: type[RegistryObject]) -> _Element:
    """Return the name of a kind's element, its XML attributes, and what returns their values."""
    for base in kind.__mro__:
        if base in _TAGS:
            names = ("id", *_COMMON, *_attributes(base))
            return _TAGS[base], names, attrgetter(*names)
    raise TypeError(f"{kind.__name__} has no ebRIM element")


_element: Final = cast("Callable[[type[RegistryObject]], _Element]", cache(_element_of))


_RENDERED: Final[dict[tuple[Any, ...], tuple[str, str]]] = {}
"""What was rendered lately of Classifications: many objects have the same codes and authors."""
_MOST_RENDERED: Final = 2_048
_LONGEST_RENDERED: Final = 1_500
"""Characters of one that is kept: all together take some 10 MB at most."""
_UNNAMED: Final = {"id": "", "classifiedObject": ""}
_CONTENT: Final = itemgetter(*(Classification.__dataclass_fields__.keys() - _UNNAMED.keys()))
_CLASSIFICATION: Final = '<rim:Classification id="'
_CLASSIFIED: Final = ' classifiedObject="'


def _render_classification(part: Classification) -> str:
    """Write one as :func:`render` does; what it says but for ids is written once for many."""
    fields = part.__dict__
    content = _CONTENT(fields)
    rendered = _RENDERED.get(content)
    if rendered is None:
        whole = render(changed(part, **_UNNAMED)).removeprefix(_CLASSIFICATION)
        before, mark, after = whole.partition(_CLASSIFIED)
        rendered = before + mark, after
        # what is filled in later is equal to a text that XML cannot carry, and is not kept
        if len(whole) <= _LONGEST_RENDERED and not _CONTROL.search(whole):
            if len(_RENDERED) >= _MOST_RENDERED:
                _RENDERED.clear()
            _RENDERED[content] = rendered
    own, owner = fields["id"], fields["classifiedObject"]
    return f"{_CLASSIFICATION}{escape(own)}{rendered[0]}{escape(owner)}{rendered[1]}"


def render(carrier: RegistryObject) -> str:
    """Write one object as XML text; the prefixes ``rim`` and ``xml`` are bound by the receiver."""
    tag, names, attributes = _element(type(carrier))
    values = attributes(carrier)
    if _SPECIAL.search("".join(filter(None, values))):
        values = tuple([value and escape(value) for value in values])
    given = [f' {name}="{one}"' for name, one in zip(names, values, strict=True) if one is not None]
    parts = [f"<rim:{tag}{''.join(given)}>", *map(_render_slot, carrier.slots)]
    if carrier.name:
        parts.append(_render_strings("Name", carrier.name))
    if carrier.description:
        parts.append(_render_strings("Description", carrier.description))
    if carrier.version_info is not None:
        parts.append(_render_version("VersionInfo", carrier.version_info))
    parts += map(_render_classification, carrier.classifications)
    parts += map(render, carrier.external_identifiers)
    if isinstance(carrier, ExtrinsicObject) and carrier.content_version_info is not None:
        parts.append(_render_version("ContentVersionInfo", carrier.content_version_info))
    parts.append(f"</rim:{tag}>")
    return "".join(parts)
