"""The attributes of a stored object, without the object: read from its text part by part.

Who writes an object in another form looks at its attributes alone. Most parts stand in many
objects, so what one says is remembered by its text, and no Slots and Classifications are made.
What a part says follows the declarations of :mod:`xds.metadata.objects`, as everything does.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from xds.metadata import ebrim
from xds.metadata.attributes import (
    Attribute,
    ClassificationAttribute,
    IdentifierAttribute,
    SlotAttribute,
    SlotListAttribute,
    TextAttribute,
    XmlAttribute,
)
from xds.metadata.objects import MetadataObject
from xds.metadata.rendered import (
    Cut,
    OtherForm,
    attributes_in,
    classification,
    cut,
    external_identifier,
    in_slot,
    texts,
    without_value,
)
from xds.parsing import MalformedXML

_PARTS: Final = 2_048
_HEADS: Final = 256
_LONGEST: Final = 1_500
"""How many parts and beginnings are remembered, and the characters of the longest of the parts."""

O = TypeVar("O", bound=MetadataObject)  # noqa: E741 - one letter, as T
Said = tuple[tuple[str, Any, bool], ...]
"""Attributes that one part says: name, value, and whether further parts add to it."""


class AttributeView:
    """The attributes of an object; what is not one of these is asked of the whole object."""

    def __init__(self, values: Mapping[str, Any], whole: Callable[[], MetadataObject]) -> None:
        self.__dict__.update(values)
        self._read = whole

    def __getattr__(self, name: str) -> Any:
        whole = self.__dict__.get("_whole")
        if whole is None:
            whole = self.__dict__["_whole"] = self._read()
        return getattr(whole, name)


def attributes_of(
    text: str, kind: type[MetadataObject], whole: Callable[[], MetadataObject]
) -> MetadataObject:
    """Return what stands for an object of which only attributes are read, and its version.

    ``text`` is the object as :func:`xds.metadata.ebrim.render` writes it; ``whole`` reads all of
    it, which is done where the text has another form or more than attributes are asked for.
    """
    try:
        values = _values(cut(text), _declared(cast("Hashable", kind)))
    except (OtherForm, MalformedXML):
        return whole()
    return cast("MetadataObject", AttributeView(values, whole))


def attributes_given(thing: O, values: Mapping[str, Any]) -> O:
    """Return what stands for an object that was made of these attributes, and has no others."""
    absent = _declared(cast("Hashable", type(thing))).absent
    found = AttributeView({**absent, **values, "entry_uuid": thing.id}, lambda: thing)
    return cast("O", found)


class _Declared(NamedTuple):
    """The attributes of a kind by what holds them."""

    kind: Any
    absent: Mapping[str, Any]
    """Each with what it is where nothing says it."""
    xml: Mapping[str, str]
    """By the XML attribute."""
    slots: Mapping[str, tuple[tuple[str, bool], ...]]
    """By the name of the Slot; whether it is a list."""
    classified: Mapping[str, tuple[tuple[str, Attribute[Any]], ...]]
    """What a Classification says, by its scheme; by no scheme what is of none."""
    texts: Mapping[str, Attribute[Any]]


@cache
def _declared(kind: Any) -> _Declared:
    every: Mapping[str, Attribute[Any]] = kind.attributes()
    held = (XmlAttribute, SlotAttribute, SlotListAttribute, TextAttribute, IdentifierAttribute)
    slots: dict[str, tuple[tuple[str, bool], ...]] = {}
    for name, one in every.items():
        if isinstance(one, SlotAttribute | SlotListAttribute):
            is_list = isinstance(one, SlotListAttribute)
            slots[one.slot_name] = (*slots.get(one.slot_name, ()), (name, is_list))
    classified: dict[str, tuple[tuple[str, Attribute[Any]], ...]] = {}
    for name, one in every.items():
        if not isinstance(one, held):
            scheme = one.scheme if isinstance(one, ClassificationAttribute) else ""
            classified[scheme] = (*classified.get(scheme, ()), (name, one))
    nothing = kind(id="")
    return _Declared(
        kind,
        absent={"version": None, **{name: one.read(nothing) for name, one in every.items()}},
        xml={one.xml: name for name, one in every.items() if isinstance(one, XmlAttribute)},
        slots=slots,
        classified=classified,
        texts={name: one for name, one in every.items() if isinstance(one, TextAttribute)},
    )


def _values(found: Cut, declared: _Declared) -> dict[str, Any]:
    """Return every attribute; of what may be said once the first counts, so parts go backwards."""
    values = dict(declared.absent)
    kind = declared.kind
    head = found.head.replace(f'"{found.own}"', f'"{_OWN}"')
    said_in_head, naming_it = _of_head(kind, cast("Hashable", found.kind), head)
    values.update(said_in_head)
    for name in naming_it:
        values[name] = found.own
    if found.texts:
        values.update(_of_texts(kind, found.texts))
    slots = declared.slots
    for text in reversed(found.slots):
        slot_name, listed = in_slot(text)
        if listed:
            for name, is_list in slots.get(slot_name, ()):
                values[name] = listed if is_list else listed[0]
    own = f' classifiedObject="{found.own}"'
    for text in reversed(found.classifications):
        # as _without_ids does; there are a dozen of them
        before, mark, after = text.partition(own)
        if not mark:
            raise OtherForm
        rest = before[before.find('"') + 1 :] + after
        parts = _of_classification if len(rest) <= _LONGEST else _classified
        for name, value, adds in parts(kind, rest):
            values[name] = value + values[name] if adds else value
    own = f' registryObject="{found.own}"'
    for text in reversed(found.external_identifiers):
        rest, value = without_value(_without_ids(text, own))
        for name in _identified(kind, rest):
            values[name] = value
    return values


def _without_ids(text: str, naming: str) -> str:
    """Return a part that begins with its id without it, and without what names the object."""
    before, mark, after = text.partition(naming)
    if not mark:
        raise OtherForm
    return before[before.find('"') + 1 :] + after


_OWN: Final = "\x04"
"""Stands for the object's own id, so that the beginnings of many objects are alike."""


@lru_cache(_HEADS)
def _of_head(kind: Any, read_as: Any, head: str) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Return what XML attributes say, and the names of those that name the object itself."""
    attributes = ebrim.attribute_values(read_as, attributes_in(head), _declared(kind).xml)
    return attributes, tuple(name for name, value in attributes.items() if value == _OWN)


@lru_cache(_PARTS)
def _of_classification(kind: Any, text: str) -> Said:
    return _classified(kind, text)


def _classified(kind: Any, text: str) -> Said:
    read = classification(text)
    carrier, declared = kind(id="", classifications=(read,)), _declared(kind).classified
    of_scheme = declared.get(read.classificationScheme, ()) if read.classificationScheme else ()
    return tuple(
        (name, value, isinstance(one, ClassificationAttribute) and not one.single)
        for name, one in (*of_scheme, *declared.get("", ()))
        if (value := one.read(carrier)) not in (None, ())
    )


@lru_cache(_PARTS)
def _identified(kind: Any, text: str) -> tuple[str, ...]:
    carrier = kind(id="", external_identifiers=(external_identifier(text),))
    return tuple(
        name
        for name, one in kind.attributes().items()
        if isinstance(one, IdentifierAttribute) and one.read(carrier) is not None
    )


@lru_cache(_PARTS)
def _of_texts(kind: Any, text: str) -> dict[str, Any]:
    carrier = kind(id="", **texts(text))
    values = {name: one.read(carrier) for name, one in _declared(kind).texts.items()}
    return {**values, "version": carrier.version}
