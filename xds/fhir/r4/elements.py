"""Which elements FHIR R4 (4.0.1) has: their names, types, cardinalities, order and codes.

The table ``elements.txt`` is made by ``tests/fhir/definitions.py``; it has every resource and data
type of R4. A type is read out of it when it is first asked for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

Place = tuple["Place | None", str, int | None]
"""Where an element is: that which holds it, its own name, and its number where it repeats."""

XHTML: Final = "xhtml"
RESOURCE: Final = "Resource"
"""The type of an element that holds a whole resource."""
ELEMENT: Final = "Element"
"""What each value may have beside itself: an id, and extensions."""

_TABLE: Final = Path(__file__).with_suffix(".txt")
_BLOCK: Final = re.compile(r"^([A-Z][\w.]*):(?: (\w+))?\n((?: .*\n)*)", re.MULTILINE)
_CODES: Final = re.compile(r"^= (\S+): (.*)\n", re.MULTILINE)
_NAMES: Final = re.compile(r"^(?: @?)?(\w+)", re.MULTILINE)
_SHOWN: Final = 64
"""Characters of a name that are shown; no name of R4 has as many."""
_CARDINALITIES: Final = ("0..1", "0..*", "1..1", "1..*")


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type; of a choice of types, each type is an element of its own."""

    name: str
    """As JSON and XML have it, such as ``valueQuantity``."""
    type: str
    step: str
    """As FHIRPath has it: ``value`` for ``valueQuantity`` (R4, 2.1.9)."""
    required: bool = False
    repeats: bool = False
    choice: bool = False
    attribute: bool = False
    """Whether the XML form has it as an attribute of its own (R4, 2.6.1.0)."""
    codes: frozenset[str] = frozenset()
    """The codes of a required binding; empty where there is none, or it is not a list of codes."""
    primitive: bool = field(init=False)
    special: bool = field(init=False)
    """Whether more is demanded of a value than its type tells."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "primitive", self.type[0].islower())
        object.__setattr__(self, "special", bool(self.codes) or self.type == XHTML)


@dataclass(frozen=True, slots=True)
class Type:
    """A resource type, a data type, or the content of an element that has its own."""

    name: str
    elements: Mapping[str, Element]
    """By their names, in the order that the XML form has."""
    required: tuple[tuple[str, tuple[str, ...]], ...]
    """The step of what must be there, with the names of which one is to be given."""
    order: Mapping[str, int]
    """The position of each name, and of the name that JSON has for its extensions."""


def type_of(name: str) -> Type | None:
    """Return a type by its name, such as ``Patient``, ``Coding`` or ``Bundle.entry``."""
    return known(name) if name in _table().blocks else None


def resource_type(name: str) -> Type | None:
    """Return the type of a resource, None where R4 has none of this name."""
    return known(name) if name in resource_types() else None


@cache
def resource_types() -> frozenset[str]:
    """Return the names of all resources that can be sent."""
    bases = ("Resource", "DomainResource")
    blocks = _table().blocks
    return frozenset(name for name, (base, _) in blocks.items() if base in bases) - {*bases}


def type_names() -> tuple[str, ...]:
    """Return the names of all types in the table."""
    return tuple(_table().blocks)


def is_name(text: str) -> bool:
    """Tell whether FHIR has a resource type, a data type or an element of this name."""
    return text in _names()


@cache
def _names() -> frozenset[str]:
    return frozenset(_NAMES.findall(_TABLE.read_text(encoding="utf-8")))


def expression(place: Place) -> str:
    """Return the FHIRPath of a place (R4, OperationOutcome.issue.expression).

    Each element that may repeat has its number, and what is in a resource within another is told
    from the outermost: ``Bundle.entry[1].resource.content[0].attachment.hash``. A name that came
    from a client is cut, and not told where an answer could not hold it.
    """
    steps = []
    here: Place | None = place
    while here is not None:
        here, step, index = here
        step = step[:_SHOWN] if step.isprintable() else "?"
        steps.append(step if index is None else f"{step}[{index}]")
    return ".".join(reversed(steps))


class _Table(NamedTuple):
    blocks: Mapping[str, tuple[str, str]]
    """The base type and the lines of each type."""
    codes: Mapping[str, str]


@cache
def _table() -> _Table:
    text = _TABLE.read_text("utf-8")
    blocks = {found[1]: (found[2] or "", found[3]) for found in _BLOCK.finditer(text)}
    return _Table(blocks, {found[1]: found[2] for found in _CODES.finditer(text)})


@cache
def known(name: str) -> Type:
    """Return a type that the table names itself."""
    base, lines = _table().blocks[name]
    elements = dict(known(base).elements) if base else {}
    for line in lines.splitlines():
        elements.update((one.name, one) for one in _elements(line))
    steps: dict[str, list[str]] = {}
    for one in elements.values():
        if one.required:
            steps.setdefault(one.step, []).extend((one.name, f"_{one.name}"))
    order = {form: at for at, one in enumerate(elements) for form in (one, f"_{one}")}
    return Type(
        name,
        MappingProxyType(elements),
        tuple((step, tuple(names)) for step, names in steps.items()),
        MappingProxyType(order),
    )


def _elements(line: str) -> Iterator[Element]:
    """Return the element that a line of the table has; of a choice, one for each type."""
    named, types, *rest = line.split()
    cardinality = rest.pop(0) if rest and rest[0] in _CARDINALITIES else "0..1"
    step = named.removeprefix("@").removesuffix("[x]")
    choice = named.endswith("[x]")
    for kind in types.split("|"):
        yield Element(
            name=step + kind[0].upper() + kind[1:] if choice else step,
            type=kind,
            step=step,
            required=cardinality.startswith("1"),
            repeats=cardinality.endswith("*"),
            choice=choice,
            attribute=named.startswith("@"),
            codes=_codes(rest[0]) if rest else frozenset(),
        )


@cache
def _codes(name: str) -> frozenset[str]:
    return frozenset(_table().codes[name].split(" "))
