"""Reading what :func:`xds.metadata.ebrim.render` has written, without the XML parser.

What is stored is of that one form, and most of an object stands in others too: the same codes,
authors and slots. So a text is cut at the marks of its parts, and parts that were read lately are
remembered by their text. What is not of that form is left to the parser.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import (
    Classification,
    ExternalIdentifier,
    LocalizedString,
    RegistryObject,
    Slot,
    VersionInfo,
)
from xds.metadata.white_space import trimmed_value, trimmed_values
from xds.parsing import MalformedXML, parse

T = TypeVar("T")
O = TypeVar("O", bound=RegistryObject)  # noqa: E741 - one letter, as T

_KINDS: Final[Mapping[str, type[RegistryObject]]] = {
    "ExtrinsicObject": ebrim.ExtrinsicObject,
    "RegistryPackage": ebrim.RegistryPackage,
    "Association": ebrim.AssociationObject,
}
_PARTS: Final = 2_048
_SLOTS: Final = 4_096
"""How many are remembered in a process."""
_LONGEST: Final = 1_500
"""Characters of a part that is remembered: 2,048 of them take some 10 MB at most."""
_BEGIN: Final = "<rim:"
_HEAD: Final = re.compile(r'<rim:\w+((?: \w+="[^"<>]*")*)')
_ATTRIBUTE: Final = re.compile(r' (\w+)="([^"]*)"')
_SLOT: Final = re.compile(
    r'name="([^"]*)"(?: slotType="([^"]*)")?><rim:ValueList>'
    r"(?:<rim:Value>([^<]*(?:</rim:Value><rim:Value>[^<]*)*)</rim:Value>)?"
    r"</rim:ValueList></rim:Slot>"
)
_BEFORE_VALUE: Final = '"><rim:ValueList><rim:Value>'
_BEHIND_VALUE: Final = "</rim:Value></rim:ValueList></rim:Slot>"
_STRING: Final = re.compile(
    r'<rim:LocalizedString(?: xml:lang="([^"<>]+)")?(?: charset="([^"<>]+)")? value="([^"<>]*)"/>'
)
_ANY_STRING: Final = re.sub(r"\((?!\?)", "(?:", _STRING.pattern)
_TEXTS: Final = re.compile(
    f"(?:<rim:Name>((?:{_ANY_STRING})+)</rim:Name>)?"
    f"(?:<rim:Description>((?:{_ANY_STRING})+)</rim:Description>)?"
    r'(?:<rim:VersionInfo versionName="([^"<>]+)"/>)?'
)
_ENTITY: Final = re.compile("&[^;]*;")
_CHARACTERS: Final = {entity: character for character, entity in ebrim.ENTITIES.items()}


_NO_TEXTS: Final[Mapping[str, Any]] = {"name": (), "description": (), "version_info": None}


class OtherForm(Exception):
    """The text was written by something else."""


class Cut(NamedTuple):
    """The text of an object, cut at the marks of its parts."""

    kind: type[RegistryObject]
    head: str
    """Its beginning with the XML attributes, without the bracket at the end."""
    own: str
    """Its id."""
    slots: list[str]
    """Each without its beginning, as the others are that stand several times."""
    texts: str
    """What stands behind the Slots: Name, Description, VersionInfo."""
    classifications: list[str]
    external_identifiers: list[str]


def read(text: str) -> RegistryObject | None:
    """Return the object that was rendered as a text; None where it is not of that form.

    It is what ``ebrim.read_list`` returns of the same text.
    """
    try:
        return _whole(cut(text, _KINDS))
    except (OtherForm, MalformedXML):
        return None


def cut(text: str, kinds: Mapping[str, type[RegistryObject]] = _KINDS) -> Cut:
    """Cut an object, whose tag names one of these kinds; OtherForm."""
    head, _, body = text.partition(">")
    tag = head[len(_BEGIN) :].partition(" ")[0]
    kind = kinds.get(tag)
    if kind is None or not body.endswith(end := f"</rim:{tag}>"):
        raise OtherForm
    body, *identifiers = body[: -len(end)].split('<rim:ExternalIdentifier id="')
    body, *classifications = body.split('<rim:Classification id="')
    texts, *slots = body.split("<rim:Slot ")
    if slots:
        if texts:
            raise OtherForm
        slots[-1], mark, texts = slots[-1].partition("</rim:Slot>")
        slots[-1] += mark
    own = head.partition(' id="')[2].partition('"')[0]
    return Cut(kind, head, plain(own), slots, texts, classifications, identifiers)


def attributes_in(head: str) -> list[tuple[str, str]]:
    """Read the XML attributes at the beginning of an object; OtherForm."""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise OtherForm
    attributes: list[tuple[str, str]] = _ATTRIBUTE.findall(match[1])
    if "&" in head:
        return [(name, plain(value)) for name, value in attributes]
    return attributes


def _whole(found: Cut) -> RegistryObject:
    own = found.own
    return _assembled(
        found,
        classifications=tuple([_classification(one, own) for one in found.classifications]),
        external_identifiers=tuple([_identifier(one, own) for one in found.external_identifiers]),
    )


def _assembled(found: Cut, **parts: object) -> RegistryObject:
    slots = tuple([made for one in found.slots if (made := slot(one)).values])
    attributes = attributes_in(found.head)
    return ebrim.assembled(found.kind, attributes, slots=slots, **parts, **texts(found.texts))


def slot(text: str) -> Slot:
    """Read a Slot without its beginning; OtherForm."""
    return _remembered(_slot, text)


def in_slot(text: str) -> tuple[str, Sequence[str]]:
    """Return name and values of a Slot without its beginning; OtherForm."""
    name, mark, rest = text.partition(_BEFORE_VALUE)
    value = rest[: -len(_BEHIND_VALUE)]
    if mark and "<" not in value and "&" not in text and rest.endswith(_BEHIND_VALUE):
        name = name.removeprefix('name="')
        if '"' not in name:  # one value and no type, as most; quicker than to look it up
            value = trimmed_value(value)
            return name.strip(), (value,) if value else ()
    held = slot(text)
    return held.name, held.values


def texts(text: str) -> Mapping[str, Any]:
    """Read Name, Description and VersionInfo, by their fields; OtherForm, MalformedXML."""
    return _remembered(_texts, text) if text else _NO_TEXTS


def _remembered(read_part: Callable[[str], T], text: str) -> T:
    if len(text) > _LONGEST:
        whole: Callable[[str], T] = read_part.__wrapped__  # type: ignore[attr-defined]
        return whole(text)
    return read_part(text)


@lru_cache(_SLOTS)
def _slot(text: str) -> Slot:
    match = _SLOT.fullmatch(text)
    if match is None:
        raise OtherForm
    name, kind, values = match.groups()
    listed = () if values is None else values.split("</rim:Value><rim:Value>")
    trimmed = trimmed_values(map(plain, listed))
    return Slot(plain(name).strip(), trimmed, None if kind is None else plain(kind))


def plain(text: str) -> str:
    """Return a text without entities; OtherForm."""
    if "&" not in text:
        return text
    if text.count("&") == text.count("&amp;"):  # as in most identifiers
        return text.replace("&amp;", "&")
    return _ENTITY.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    try:
        return _CHARACTERS[match[0]]
    except KeyError:
        raise OtherForm from None


def _classification(text: str, own: str) -> Classification:
    """Read one that begins with its id; it is remembered without what names the object."""
    identifier, rest = _of_object(text, f' classifiedObject="{own}"')
    return ebrim.changed(classification(rest), id=identifier, classifiedObject=own)


def classification(text: str) -> Classification:
    """Read one without its id and without what names the object; OtherForm, MalformedXML."""
    return _remembered(_any_classification, text)


@lru_cache(_PARTS)
def _any_classification(text: str) -> Classification:
    whole = f'<rim:Classification id=""{text}'
    try:
        return cast("Classification", _assembled(cut(whole, _CLASSIFICATIONS)))
    except OtherForm:
        return _part(whole, Classification)


_CLASSIFICATIONS: Final = {"Classification": Classification}


def _identifier(text: str, own: str) -> ExternalIdentifier:
    """Read one that begins with its id; it is remembered without its value, too."""
    identifier, rest = _of_object(text, f' registryObject="{own}"')
    bare, value = without_value(rest)
    return ebrim.changed(external_identifier(bare), id=identifier, registryObject=own, value=value)


def without_value(text: str) -> tuple[str, str]:
    """Return the text of an ExternalIdentifier without its value, and the value; OtherForm."""
    before, mark, after = text.partition(' value="')
    value, quote, inner = after.partition('"')
    if not (mark and quote):
        raise OtherForm
    return before + inner, trimmed_value(plain(value))


def external_identifier(text: str) -> ExternalIdentifier:
    """Read one without id, value and what names the object; OtherForm, MalformedXML."""
    return _remembered(_any_identifier, text)


@lru_cache(_PARTS)
def _any_identifier(text: str) -> ExternalIdentifier:
    return _part(f'<rim:ExternalIdentifier id=""{text}', ExternalIdentifier)


def _of_object(text: str, naming: str) -> tuple[str, str]:
    """Return the id of a part, and the rest of it without the object that it is of."""
    identifier, _, rest = text.partition('"')
    before, mark, after = rest.partition(naming)
    if not mark or "&" in identifier or ">" in before:
        raise OtherForm
    return identifier.strip(), f"{before}{after}"


@lru_cache(_PARTS)
def _texts(text: str) -> Mapping[str, Any]:
    """Read what stands between Slots and Classifications."""
    match = _TEXTS.fullmatch(text)
    if match is not None:
        name, description, version = match.groups()
        version_info = None if version is None else VersionInfo(plain(version))
        strings = {"name": _strings(name), "description": _strings(description)}
        return {**strings, "version_info": version_info}
    found = _part(f"<rim:ExtrinsicObject>{text}</rim:ExtrinsicObject>", ebrim.ExtrinsicObject)
    if found.content_version_info or found.slots:
        raise OtherForm
    return {name: getattr(found, name) for name in _NO_TEXTS}


def _strings(text: str | None) -> tuple[LocalizedString, ...]:
    return tuple(
        [
            LocalizedString(plain(value).strip(), plain(lang) or None, plain(charset) or None)
            for lang, charset, value in _STRING.findall(text or "")
        ]
    )


def _part(text: str, kind: type[O]) -> O:
    """Have one element parsed and read."""
    root = parse(f'<rim:List xmlns:rim="{v.NS_RIM}">{text}</rim:List>'.encode())
    if len(root) != 1:
        raise OtherForm
    return ebrim.read(root[0], kind)
