"""Reading what :func:`xds.metadata.ebrim.render` has written, without the XML parser.

What is stored is of that one form, and most of an object stands in others too: the same codes,
authors and slots. So a text is cut at the marks of its parts, and parts that were read lately are
remembered by their text. What is not of that form is left to the parser.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Classification, ExternalIdentifier, RegistryObject, Slot
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
_HEAD: Final = re.compile(r'<rim:(\w+)((?: \w+="[^"<>]*")*)>')
_ATTRIBUTE: Final = re.compile(r' (\w+)="([^"]*)"')
_SLOT: Final = re.compile(
    r'name="([^"]*)"(?: slotType="([^"]*)")?><rim:ValueList>'
    r"(?:<rim:Value>([^<]*(?:</rim:Value><rim:Value>[^<]*)*)</rim:Value>)?"
    r"</rim:ValueList></rim:Slot>"
)
_ENTITY: Final = re.compile("&[^;]*;")
_CHARACTERS: Final = {entity: character for character, entity in ebrim.ENTITIES.items()}


_NO_TEXTS: Final[Mapping[str, Any]] = {"name": (), "description": (), "version_info": None}


class _OtherForm(Exception):
    """The text was written by something else."""


def read(text: str, *, part_ids: bool = True) -> RegistryObject | None:
    """Return the object that was rendered as a text; None where it is not of that form.

    It is what ``ebrim.read_list`` returns of the same text. Without ``part_ids`` its parts have no
    ids of their own nor that of the object, so that they can be those which are remembered.
    """
    try:
        return _read(text, _with_ids if part_ids else _without_ids)
    except (_OtherForm, MalformedXML):
        return None


def _read(text: str, identified: "_Identified") -> RegistryObject:
    head = _HEAD.match(text)
    kind = _KINDS.get(head[1]) if head else None
    if head is None or kind is None or not text.endswith(end := f"</rim:{head[1]}>"):
        raise _OtherForm
    body, *identifiers = text[head.end() : -len(end)].split('<rim:ExternalIdentifier id="')
    body, *classifications = body.split('<rim:Classification id="')
    first, *slots = body.split("<rim:Slot ")
    if slots:
        if first:
            raise _OtherForm
        slots[-1], mark, first = slots[-1].partition("</rim:Slot>")
        slots[-1] += mark
    attributes = [(name, _plain(value)) for name, value in _ATTRIBUTE.findall(head[2])]
    own = next((value for name, value in attributes if name == "id"), "")
    found = [slot for one in slots if (slot := _remembered(_slot, one)).values]
    return ebrim.assembled(
        kind,
        attributes,
        slots=tuple(found),
        classifications=tuple([_classification(one, own, identified) for one in classifications]),
        external_identifiers=tuple([_identifier(one, own, identified) for one in identifiers]),
        **(_remembered(_texts, first) if first else _NO_TEXTS),
    )


def _remembered(read_part: Callable[[str], T], text: str) -> T:
    if len(text) > _LONGEST:
        whole: Callable[[str], T] = read_part.__wrapped__  # type: ignore[attr-defined]
        return whole(text)
    return read_part(text)


@lru_cache(_SLOTS)
def _slot(text: str) -> Slot:
    match = _SLOT.fullmatch(text)
    if match is None:
        raise _OtherForm
    name, kind, values = match.groups()
    texts = () if values is None else values.split("</rim:Value><rim:Value>")
    plain = trimmed_values(map(_plain, texts))
    return Slot(_plain(name).strip(), plain, None if kind is None else _plain(kind))


def _plain(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    try:
        return _CHARACTERS[match[0]]
    except KeyError:
        raise _OtherForm from None


_Identified = Callable[..., Any]
"""Gives a part that is remembered its ids, and what else is given."""


def _with_ids(part: O, **values: object) -> O:
    return ebrim.changed(part, **values)


def _without_ids(part: O, **values: object) -> O:
    return ebrim.changed(part, value=values["value"]) if "value" in values else part


def _classification(text: str, own: str, identified: _Identified) -> Classification:
    """Read one that begins with its id; it is remembered without what names the object."""
    identifier, rest = _of_object(text, f' classifiedObject="{own}"')
    found = _remembered(_any_classification, rest)
    made: Classification = identified(found, id=identifier, classifiedObject=own)
    return made


@lru_cache(_PARTS)
def _any_classification(text: str) -> Classification:
    return _part(f'<rim:Classification id=""{text}', Classification)


def _identifier(text: str, own: str, identified: _Identified) -> ExternalIdentifier:
    """Read one that begins with its id; it is remembered without its value, too."""
    identifier, rest = _of_object(text, f' registryObject="{own}"')
    before, mark, after = rest.partition(' value="')
    value, quote, inner = after.partition('"')
    if not (mark and quote):
        raise _OtherForm
    found = _remembered(_any_identifier, f"{before}{inner}")
    value = trimmed_value(_plain(value))
    made: ExternalIdentifier = identified(found, id=identifier, registryObject=own, value=value)
    return made


@lru_cache(_PARTS)
def _any_identifier(text: str) -> ExternalIdentifier:
    return _part(f'<rim:ExternalIdentifier id=""{text}', ExternalIdentifier)


def _of_object(text: str, naming: str) -> tuple[str, str]:
    """Return the id of a part, and the rest of it without the object that it is of."""
    identifier, _, rest = text.partition('"')
    before, mark, after = rest.partition(naming)
    if not mark or "&" in identifier or ">" in before:
        raise _OtherForm
    return identifier.strip(), f"{before}{after}"


@lru_cache(_PARTS)
def _texts(text: str) -> Mapping[str, Any]:
    """Read what stands between Slots and Classifications."""
    found = _part(f"<rim:ExtrinsicObject>{text}</rim:ExtrinsicObject>", ebrim.ExtrinsicObject)
    if found.content_version_info or found.slots:
        raise _OtherForm
    return {name: getattr(found, name) for name in _NO_TEXTS}


def _part(text: str, kind: type[O]) -> O:
    """Have one element parsed and read."""
    root = parse(f'<rim:List xmlns:rim="{v.NS_RIM}">{text}</rim:List>'.encode())
    if len(root) != 1:
        raise _OtherForm
    return ebrim.read(root[0], kind)
