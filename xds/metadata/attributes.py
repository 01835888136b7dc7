"""The forms in which ebRIM holds an attribute: slots, codes, authors, identifiers, names.

A declaration in :mod:`xds.metadata.objects` is an instance of one of these (ITI TF-3 4.2.3.1).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar, Final, Generic, TypeVar, overload

from xds.metadata import vocabulary as v
from xds.metadata.ebrim import (
    Classification,
    ExternalIdentifier,
    LocalizedString,
    RegistryObject,
    Slot,
)
from xds.metadata.searched import Index, Searched

T = TypeVar("T")
O = TypeVar("O", bound=RegistryObject)  # noqa: E741 - one letter, as T

NOWHERE: Final[frozenset[str]] = frozenset()


def slot_of(carrier: RegistryObject, name: str) -> Slot | None:
    """Return the first slot of this name, or None."""
    for slot in carrier.slots:
        if slot.name == name:
            return slot
    return None


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value (ITI TF-3 4.2.3.1.2); str() gives the query form ``code^^codingScheme``."""

    code: str
    coding_scheme: str
    display_name: str = ""

    def __str__(self) -> str:
        return f"{self.code}^^{self.coding_scheme}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who wrote, as XCN, XON and XTN texts (ITI TF-3 4.2.3.2.1); the lists are not paired."""

    person: tuple[str, ...] = ()
    institution: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    specialty: tuple[str, ...] = ()
    telecommunication: tuple[str, ...] = ()


AUTHOR_SLOTS: Final[Mapping[str, str]] = {
    "person": "authorPerson",
    "institution": "authorInstitution",
    "role": "authorRole",
    "specialty": "authorSpecialty",
    "telecommunication": "authorTelecommunication",
}

_AUTHORS: Final = 1_000
"""How many authors are kept as they were read: the same few write most documents."""

AUTHOR_DATA_TYPES: Final[Mapping[str, str]] = {
    "authorPerson": "XCN",
    "authorInstitution": "XON",
    "authorTelecommunication": "XTN",
}
"""authorRole and authorSpecialty may be any text, coded or not."""


class Attribute(Generic[T]):
    """One declared attribute: a view of the carrier, readable as ``entry.class_code``.

    ``required_in`` and ``forbidden_in`` name transactions; ``data_type`` a row of
    :data:`xds.metadata.datatypes.DATA_TYPES`, or none where any text will do. ``searched`` says
    that the registry is searched by it, and as what.
    """

    def __init__(
        self,
        tf_name: str,
        data_type: str | None = None,
        *,
        required_in: frozenset[str] = NOWHERE,
        forbidden_in: frozenset[str] = NOWHERE,
        searched: Searched | None = None,
    ) -> None:
        self.tf_name = tf_name
        self.data_type = data_type
        self.required_in = required_in
        self.forbidden_in = forbidden_in
        self.searched = searched
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Attribute[T]": ...
    @overload
    def __get__(self, instance: RegistryObject, owner: type) -> T: ...
    def __get__(self, instance: RegistryObject | None, owner: type) -> "Attribute[T] | T":
        return self if instance is None else self.read(instance)

    def read(self, carrier: RegistryObject) -> T:
        """Return the attribute's value, None or () when it is absent."""
        raise NotImplementedError

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        """Return every value as the text that data type and index look at."""
        value = self.read(carrier)
        if value is None:
            return ()
        return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)

    def indexes(self) -> Iterator[tuple[str, Index]]:
        """Yield what is searched of it, by name."""
        if self.searched is not None:
            yield self.name, Index(self.searched, self.single, self.texts)

    def occurrences(self, carrier: RegistryObject) -> int:
        """Return how often the carrier holds it, for the rule of cardinality."""
        return len(self.texts(carrier))

    def is_given(self, carrier: RegistryObject) -> bool:
        """Tell whether the carrier holds a value that is not empty."""
        return any(self.texts(carrier))

    def put(self, fields: dict[str, Any], value: T) -> None:
        """Set this attribute anew among the fields of a carrier (None or () removes it)."""
        raise NotImplementedError

    single: ClassVar[bool] = True
    """Whether more than one value breaks the cardinality."""


class XmlAttribute(Attribute[T]):
    """An XML attribute of the element itself."""

    def __init__(self, tf_name: str, xml: str, data_type: str | None = None, **more: Any) -> None:
        super().__init__(tf_name, data_type, **more)
        self.xml = xml

    def read(self, carrier: RegistryObject) -> T:
        value: T = getattr(carrier, self.xml)
        return value

    def put(self, fields: dict[str, Any], value: T) -> None:
        fields[self.xml] = value


class SlotListAttribute(Attribute[tuple[str, ...]]):
    """A slot with any number of values."""

    single = False

    def __init__(self, slot_name: str, data_type: str | None = None, **more: Any) -> None:
        super().__init__(slot_name.rsplit(":", 1)[-1], data_type, **more)
        self.slot_name = slot_name

    def read(self, carrier: RegistryObject) -> tuple[str, ...]:
        slot = slot_of(carrier, self.slot_name)
        return slot.values if slot is not None else ()

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        return self.read(carrier)

    def put(self, fields: dict[str, Any], value: tuple[str, ...]) -> None:
        _put_slot(fields, self.slot_name, value)


class FurtherIdentifiers(SlotListAttribute):
    """Identifiers beside the uniqueId, each ``system|value``; they are looked up by either part."""

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        values = self.read(carrier)
        return (*values, *(f"*|{value.partition('|')[2]}" for value in values))


class SlotAttribute(Attribute[str | None]):
    """A slot with one value."""

    def __init__(self, slot_name: str, data_type: str | None = None, **more: Any) -> None:
        super().__init__(slot_name.rsplit(":", 1)[-1], data_type, **more)
        self.slot_name = slot_name

    def read(self, carrier: RegistryObject) -> str | None:
        for slot in carrier.slots:
            if slot.name == self.slot_name:
                return slot.values[0] if slot.values else None
        return None

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        value = self.read(carrier)
        return () if value is None else (value,)

    def is_given(self, carrier: RegistryObject) -> bool:
        return bool(self.read(carrier))

    def occurrences(self, carrier: RegistryObject) -> int:
        slot = slot_of(carrier, self.slot_name)
        return len(slot.values) if slot is not None else 0

    def put(self, fields: dict[str, Any], value: str | None) -> None:
        _put_slot(fields, self.slot_name, () if value is None else (value,))


def _put_slot(fields: dict[str, Any], name: str, values: tuple[str, ...]) -> None:
    others = tuple([slot for slot in fields["slots"] if slot.name != name])
    fields["slots"] = (*others, Slot(name, values)) if values else others


class TextAttribute(Attribute[str | None]):
    """A Name or Description: the view is its first text, the carrier keeps every language."""

    def __init__(self, tf_name: str, field: str, **more: Any) -> None:
        super().__init__(tf_name, None, **more)
        self.field = field

    def read(self, carrier: RegistryObject) -> str | None:
        strings: tuple[LocalizedString, ...] = getattr(carrier, self.field)
        return strings[0].value if strings else None

    def put(self, fields: dict[str, Any], value: str | None) -> None:
        fields[self.field] = () if value is None else (LocalizedString(value),)


class IdentifierAttribute(Attribute[str | None]):
    """An ExternalIdentifier."""

    def __init__(
        self, tf_name: str, scheme: str, data_type: str | None = None, **more: Any
    ) -> None:
        super().__init__(tf_name, data_type, **more)
        self.scheme = scheme

    def read(self, carrier: RegistryObject) -> str | None:
        for identifier in carrier.external_identifiers:
            if identifier.identificationScheme == self.scheme:
                return identifier.value
        return None

    def is_given(self, carrier: RegistryObject) -> bool:
        return bool(self.read(carrier))

    def occurrences(self, carrier: RegistryObject) -> int:
        schemes = [e.identificationScheme for e in carrier.external_identifiers]
        return schemes.count(self.scheme)

    def put(self, fields: dict[str, Any], value: str | None) -> None:
        others = tuple(
            [e for e in fields["external_identifiers"] if e.identificationScheme != self.scheme]
        )
        made = () if value is None else (self._made(fields["id"], value),)
        fields["external_identifiers"] = (*others, *made)

    def _made(self, of: str, value: str) -> ExternalIdentifier:
        return ExternalIdentifier(
            objectType=v.OBJECT_TYPE_EXTERNAL_IDENTIFIER,
            registryObject=of,
            identificationScheme=self.scheme,
            value=value,
            name=(LocalizedString(v.IDENTIFIER_NAMES[self.scheme]),),
        )


class ClassificationAttribute(Attribute[T]):
    """What codes and authors share: Classifications of one scheme."""

    def __init__(self, tf_name: str, scheme: str, **more: Any) -> None:
        super().__init__(tf_name, None, **more)
        self.scheme = scheme

    def classifications(self, carrier: RegistryObject) -> list[Classification]:
        """Return the Classifications that hold it, in order."""
        return [c for c in carrier.classifications if c.classificationScheme == self.scheme]

    def occurrences(self, carrier: RegistryObject) -> int:
        return [c.classificationScheme for c in carrier.classifications].count(self.scheme)

    def is_given(self, carrier: RegistryObject) -> bool:
        return self.occurrences(carrier) > 0

    def _replace(self, fields: dict[str, Any], made: Iterable[Classification]) -> None:
        others = [c for c in fields["classifications"] if c.classificationScheme != self.scheme]
        fields["classifications"] = (*others, *made)

    def _made(self, of: str, node_representation: str, **more: Any) -> Classification:
        return Classification(
            objectType=v.OBJECT_TYPE_CLASSIFICATION,
            classificationScheme=self.scheme,
            classifiedObject=of,
            nodeRepresentation=node_representation,
            **more,
        )


def code_of(classification: Classification) -> Code:
    """Read a code; missing parts are empty texts, which a rule refuses (ITI TF-3 4.2.3.1.2)."""
    return Code(
        classification.nodeRepresentation or "",
        _coding_scheme(classification),
        classification.name[0].value if classification.name else "",
    )


def _coding_scheme(classification: Classification) -> str:
    for name, values, _ in classification.slots:
        if name == "codingScheme":
            return values[0] if values else ""
    return ""


def _query_form(classification: Classification) -> str:
    """Return the code as ``str(code_of(classification))`` does."""
    return f"{classification.nodeRepresentation or ''}^^{_coding_scheme(classification)}"


class CodeListAttribute(ClassificationAttribute[tuple[Code, ...]]):
    """Codes, any number."""

    single = False

    def read(self, carrier: RegistryObject) -> tuple[Code, ...]:
        return tuple(map(code_of, self.classifications(carrier)))

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        return tuple(map(_query_form, self.classifications(carrier)))

    def put(self, fields: dict[str, Any], value: tuple[Code, ...]) -> None:
        self._replace(fields, [self.classification(fields["id"], code) for code in value])

    def classification(self, of: str, code: Code) -> Classification:
        """Return the Classification that carries one code of the object of that id."""
        return self._made(
            of,
            code.code,
            slots=(Slot("codingScheme", (code.coding_scheme,)),),
            name=(LocalizedString(code.display_name),),
        )


class CodeAttribute(ClassificationAttribute["Code | None"]):
    """One code."""

    def read(self, carrier: RegistryObject) -> Code | None:
        for classification in carrier.classifications:
            if classification.classificationScheme == self.scheme:
                return code_of(classification)
        return None

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        for classification in carrier.classifications:
            if classification.classificationScheme == self.scheme:
                return (_query_form(classification),)
        return ()

    def put(self, fields: dict[str, Any], value: Code | None) -> None:
        many = CodeListAttribute(self.tf_name, self.scheme)
        many.put(fields, () if value is None else (value,))


class FlagAttribute(Attribute["bool | None"]):
    """A flag: True by a Classification that names its node, and else absent."""

    single = False  # said twice it says no more

    def __init__(self, tf_name: str, node: str) -> None:
        super().__init__(tf_name)
        self.node = node

    def read(self, carrier: RegistryObject) -> bool | None:
        return any(c.classificationNode == self.node for c in carrier.classifications) or None

    def occurrences(self, carrier: RegistryObject) -> int:
        return sum(c.classificationNode == self.node for c in carrier.classifications)

    def put(self, fields: dict[str, Any], value: bool | None) -> None:
        others = [c for c in fields["classifications"] if c.classificationNode != self.node]
        made = Classification(
            objectType=v.OBJECT_TYPE_CLASSIFICATION,
            classificationNode=self.node,
            classifiedObject=fields["id"],
        )
        fields["classifications"] = (*others, made) if value else tuple(others)


class AuthorAttribute(ClassificationAttribute[tuple[Author, ...]]):
    """Authors, any number; each is one Classification with the slots of AUTHOR_SLOTS.

    They are searched by their persons, and where ``institution_searched``, by their institutions
    too, under a name of their own.
    """

    single = False

    def __init__(
        self, tf_name: str, scheme: str, *, institution_searched: bool = False, **more: Any
    ) -> None:
        super().__init__(tf_name, scheme, **more)
        self.institution_searched = institution_searched

    def read(self, carrier: RegistryObject) -> tuple[Author, ...]:
        return tuple([_author(one.slots) for one in self.classifications(carrier)])

    def texts(self, carrier: RegistryObject) -> tuple[str, ...]:
        return self._texts_of("person", carrier)

    def indexes(self) -> Iterator[tuple[str, Index]]:
        """Yield persons under the attribute's own name, and institutions beside it."""
        yield from super().indexes()
        if self.institution_searched:
            institutions = partial(self._texts_of, "institution")
            yield f"{self.name}_institution", Index(Searched.TEXT, self.single, institutions)

    def _texts_of(self, part: str, carrier: RegistryObject) -> tuple[str, ...]:
        slots = [slot_of(c, AUTHOR_SLOTS[part]) for c in self.classifications(carrier)]
        return tuple([text for slot in slots if slot is not None for text in slot.values])

    def put(self, fields: dict[str, Any], value: tuple[Author, ...]) -> None:
        of = fields["id"]
        self._replace(fields, [self._made(of, "", slots=_author_slots(one)) for one in value])


@lru_cache(_AUTHORS)
def _author(slots: tuple[Slot, ...]) -> Author:
    values = {slot.name: slot.values for slot in reversed(slots)}
    return Author(**{name: values[slot] for name, slot in AUTHOR_SLOTS.items() if slot in values})


def _author_slots(author: Author) -> tuple[Slot, ...]:
    values = {slot: getattr(author, name) for name, slot in AUTHOR_SLOTS.items()}
    return tuple(Slot(slot, value) for slot, value in values.items() if value)
