"""FHIR's JSON form: resources as dicts, read strictly and with nothing lost (R4, 2.6.2).

A number with a fraction or an exponent is read as Decimal, which keeps it as it was written.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NoReturn

import orjson

from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource

DEEPEST: Final = 64
"""How many objects may lie within one another."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN: Final = 40
"""Characters of a name that a message shows."""
_OURS: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS
"""What is left to this module: Decimal, Lasting and Rendered."""
_BATCH: Final = 32
_LONGEST_INTEGER: Final = 18
"""Characters; what is longer may not fit into 64 bits."""


class Decimal(str):
    """A number as it was written: ``1.10`` says more than ``1.1`` does (R4, 2.24.0.1, decimal).

    It is text and no float, since a float forgets digits; ``decimal.Decimal`` takes it for sums.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A resource that is JSON already, and becomes part of another as it is."""

    identifier: str
    """Its logical id."""
    content: bytes
    fragment: orjson.Fragment = field(init=False, compare=False, repr=False)
    """The same as a part of another."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fragment", orjson.Fragment(self.content))

    def resource(self) -> Resource:
        """Return the resource; it is the caller's own."""
        found: Resource = orjson.loads(self.content)
        return found


class Lasting(dict[str, Any]):
    """An element that stands in many resources and that nobody changes: its JSON is made once."""

    __slots__ = ("fragment", "text")
    text: str
    """The JSON of the element, without indentation; made when it is first asked for."""
    fragment: orjson.Fragment
    """The same as a part of another."""

    def __getattr__(self, name: str) -> Any:
        if name == "text":
            self.text = text(dict(self))
        elif name == "fragment":
            self.fragment = orjson.Fragment(self.text)
        else:
            raise AttributeError(name)
        return getattr(self, name)

    def __reduce__(self) -> tuple[type, tuple[Resource]]:
        """Have copies be plain, which may be changed."""
        return dict, (dict(self),)


@dataclass(frozen=True, slots=True)
class MadeLater:
    """The items of a list, which are made as they are written and can be had once."""

    items: Iterator[Any]


def number(text: str) -> int | Decimal:
    """Return a number from its digits: an int where that says the same."""
    if len(text) <= _LONGEST_INTEGER and text != "-0" and _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text)


def read(data: bytes, deepest: int = DEEPEST) -> Resource:
    """Read a resource; whether its elements are right is asked of ``structure.problems``.

    Raises Refused for what is no JSON object, is not UTF-8, names a member twice, or is nested
    deeper than so many objects.
    """
    found = _parsed(data.removeprefix(_BYTE_ORDER_MARK), deepest)
    if not isinstance(found, dict):
        raise _refused("A resource is a JSON object.")
    if data.count(b"{") + data.count(b"[") > deepest and _deep(found, deepest):
        raise _too_deep(deepest)
    if b"\\u" in data and _SURROGATE.search(data):
        _refuse_halves(found)
    return found


def read_list(data: bytes, deepest: int = DEEPEST) -> list[Any]:
    """Read a list, as a JSON Patch is; raises Refused as :func:`read` does."""
    found = _parsed(data.removeprefix(_BYTE_ORDER_MARK), deepest)
    if not isinstance(found, list):
        raise _refused("This is a JSON list.")
    if _deep({"": found}, deepest):
        raise _too_deep(deepest)
    _refuse_halves({"": found})
    return found


def render(resource: Resource, pretty: bool = False) -> bytes:
    """Return the JSON of a resource, its members in the order that they have."""
    if pretty:
        return orjson.dumps(resource, _plain_and_open, _OURS | orjson.OPT_INDENT_2)
    try:
        return orjson.dumps(resource, _FRAGMENT, _OURS)
    except orjson.JSONEncodeError:  # for what is neither Lasting nor Rendered
        return orjson.dumps(resource, _plain, _OURS)


def text(value: Any) -> str:
    """Return the JSON of a value, as text."""
    return orjson.dumps(value, _plain, _OURS).decode()


def of_text(content: str) -> Resource:
    """Return a resource of this program's own JSON, which has no fractions."""
    found: Resource = orjson.loads(content)
    return found


def joined(members: Mapping[str, str]) -> str:
    """Return the JSON of an object, given that of its members; one without text is left out."""
    found = ",".join([f'"{name}":{one}' for name, one in members.items() if one])
    return f"{{{found}}}"


def listed(items: Iterable[str]) -> str:
    """Return the JSON of a list, given that of its items; no text where there are none."""
    found = ",".join(items)
    return f"[{found}]" if found else ""


_FRAGMENT: Final = attrgetter("fragment")
"""What most of that has which orjson does not write, without a call of Python."""


def blocks(resource: Resource, name: str, items: Iterator[Any]) -> Iterator[bytes]:
    """Yield the JSON of a resource and of one element more, a list whose items are made by it."""
    yield render({**resource, name: []}).removesuffix(b"]}")
    separator = b""
    while batch := list(islice(items, _BATCH)):
        yield separator + b",".join(map(render, batch))
        separator = b","
    yield b"]}"


def _parsed(data: bytes, deepest: int) -> object:
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise _refused("The JSON is not in UTF-8.") from None
    except RecursionError:
        raise _too_deep(deepest) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _refused(f"The JSON is not well-formed: {error.msg} ({place}).") from None


def _refuse_halves(resource: Resource) -> None:
    """Refuse half of a surrogate pair, which Python would take and no UTF-8 can have."""
    try:
        render(resource)
    except orjson.JSONEncodeError:
        raise _refused("The JSON has half of a surrogate pair in a string.") from None


def _plain_and_open(value: object) -> object:
    if isinstance(value, Rendered):
        return value.resource()
    return dict(value) if isinstance(value, Lasting) else _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, Lasting | Rendered):
        return value.fragment
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    for kind in (str, int, dict, list):
        if isinstance(value, kind):
            plain: Any = kind
            return plain(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


def _members(pairs: Sequence[tuple[str, Any]]) -> Resource:
    made = dict(pairs)
    if len(made) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _refused(f"An object of the JSON has two members {twice[:_SHOWN]!r}.")
    return made


def _no_number(constant: str) -> NoReturn:
    raise _refused(f"JSON has no number {constant}.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_float=Decimal,
    parse_int=number,
    parse_constant=_no_number,
)


def _deep(resource: Resource, deepest: int) -> bool:
    """Tell whether objects lie deeper than they may; lists that hold lists count as well."""
    level: list[Any] = [resource]
    for _ in range(deepest):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return False
    return True


def _inner(value: Any) -> list[Any]:
    if type(value) is list:
        return [one for one in value if type(one) is dict or type(one) is list]
    found: list[Any] = []
    for one in value.values():
        if type(one) is dict:
            found.append(one)
        elif type(one) is list:
            found += _inner(one)
    return found


def _too_deep(deepest: int) -> Refused:
    return _refused(f"The resource is nested deeper than {deepest} elements.")


def _refused(diagnostics: str) -> Refused:
    return Refused.because(400, "structure", diagnostics)
