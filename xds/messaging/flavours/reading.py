"""Flavours as TOML: one file a sender, what they inherit, and what is wrong with them.

A file has the name of its flavour. Its keys are the attributes of :class:`Flavour`; ``extends``
names the flavour that it inherits from (``generic``, unless it says so), and each ``[[match]]``
which messages have it. A table, such as ``domains``, adds to the one that is inherited; anything
else takes its place. ``common.toml`` has what all flavours inherit.

The flavours of a deployment lie in a folder of its own. One of the name of a shipped flavour takes
its place, and may extend it. Codes are written ``code^display^system``, where the system is an OID,
a URI, or a name of ``coding_systems``.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

from pydantic import TypeAdapter, ValidationError

from xds.hl7v2.encoding import named_codec
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.flavours.table import FlavourMatch, FlavourRow, FlavourTable
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code

COMMON: Final = "common"
GENERIC: Final = "generic"
SHIPPED: Final = "shipped"

_KEYS: Final = frozenset(field.name for field in fields(Flavour)) - {"name"}
_OF_FILES: Final = frozenset({"extends", "match"})
_TABLES_OF_OIDS: Final = (
    "domains",
    "id_types",
    "number_authorities",
    "person_authorities",
    "organisation_authorities",
)
_LISTS_OF_FIELDS: Final = (
    "national_number_fields",
    "report_number",
    "filler_fields",
    "encounter_fields",
    "class_fields",
)
_FIELD: Final = re.compile(r"[A-Z][A-Z0-9]{2}-[1-9][0-9]*")
_ADDRESS: Final = re.compile(r"mllps?://\S+:[0-9]{1,5}|https?://\S+")
_ONE_CODE: Final = frozenset(f.name for f in fields(Flavour) if f.type == Code | None)
_CODES: Final = frozenset(f.name for f in fields(Flavour) if f.type == Sequence[Code])
_TABLES_OF_CODES: Final = frozenset(f.name for f in fields(Flavour) if f.type == Mapping[str, Code])
_FLAVOUR: Final = TypeAdapter(Flavour)
_MATCH: Final = TypeAdapter(FlavourMatch)


class FlavourError(ValueError):
    """Flavours cannot be used; the text has a line for each thing that is wrong with them."""


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    source: str
    text: str
    data: Mapping[str, Any]

    def error(self, key: str, reason: str) -> str:
        line = self._line(key)
        return f"{self.source}{f', line {line}' if line else ''}: {key}: {reason}"

    def _line(self, key: str) -> int:
        last = re.escape(key.rpartition(".")[2] or key)
        found = re.search(rf'^[ \t\[]*"?(?:[\w-]+\.)*{last}"?[ \t]*[=\]]', self.text, re.MULTILINE)
        return self.text.count("\n", 0, found.start()) + 1 if found else 0


def read_flavours(folder: Path | None = None) -> FlavourTable:
    """Read the shipped flavours and those of a folder; FlavourError."""
    own = _of_folder(folder) if folder else []
    shipped = _shipped()
    errors = [error for file in (*own, *shipped) for error in _wrong_keys(file)]
    if errors:
        raise FlavourError("\n".join(errors))
    return _Flavours(own, shipped).table()


def _of_folder(folder: Path) -> list[_File]:
    if not folder.is_dir():
        raise FlavourError(f"{folder}: there is no such folder")
    return [
        _parsed(path.stem, str(path), path.read_bytes) for path in sorted(folder.glob("*.toml"))
    ]


def _shipped() -> list[_File]:
    folder = resources.files("xds.messaging.flavours").joinpath("shipped")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=_file_name)
    return [_parsed(one.name[: -len(".toml")], SHIPPED, one.read_bytes) for one in files]


def _file_name(file: Any) -> tuple[bool, str]:
    return file.name == f"{GENERIC}.toml", file.name  # what matches everything is tried last


def _parsed(name: str, source: str, read: Callable[[], bytes]) -> _File:
    try:
        text = read().decode()
        return _File(name, source, text, tomllib.loads(text))
    except OSError as error:
        raise FlavourError(f"{source}: {error.strerror}") from error
    except ValueError as error:
        raise FlavourError(f"{source}: {error}") from error


def _wrong_keys(file: _File) -> Iterator[str]:
    known = _KEYS if file.name == COMMON else _KEYS | _OF_FILES
    for key in file.data:
        if key not in known:
            near = get_close_matches(key, known, 1)
            yield file.error(key, f"no such key{f'; is it {near[0]}?' if near else ''}")


class _Flavours:
    """Makes flavours of files: each once what it extends is known."""

    def __init__(self, own: Sequence[_File], shipped: Sequence[_File]) -> None:
        self._common = [file for file in (*shipped, *own) if file.name == COMMON]
        self._own = {file.name: file for file in own if file.name != COMMON}
        self._shipped = {file.name: file for file in shipped if file.name != COMMON}

    def table(self) -> FlavourTable:
        """Return the rows in their order; FlavourError with all that is wrong."""
        last = self._own.get(GENERIC)
        own = [file for file in self._own.values() if file is not last]
        replaced = [self._own.get(name, file) for name, file in self._shipped.items()]
        rows, errors = [], []
        for file in (*own, *(file for file in replaced if file not in own)):
            try:
                rows.append(self._row(file))
            except FlavourError as error:
                errors.append(str(error))
        if errors:
            raise FlavourError("\n".join(dict.fromkeys("\n".join(errors).split("\n"))))
        return FlavourTable(tuple(rows))

    def _row(self, file: _File) -> FlavourRow:
        chain = self._chain(file)
        data = _merged([*self._common, *reversed(chain)])
        return FlavourRow(
            flavour=_flavour(file.name, data, [*chain, *reversed(self._common)]),
            extends=chain[1].name if len(chain) > 1 else "",
            matches=tuple(_matches(file)),
            source=file.source,
        )

    def _chain(self, file: _File) -> list[_File]:
        """Return a flavour and what it inherits from, one after the other."""
        chain = [file]
        while parent := self._parent(chain[-1]):
            if parent in chain:
                raise FlavourError(file.error("extends", "the flavours extend each other"))
            chain.append(parent)
        return chain

    def _parent(self, file: _File) -> _File | None:
        default = GENERIC if file.name != GENERIC else ""
        name = file.data.get("extends", default)
        if not name:
            return None
        found = None if name == file.name else self._own.get(name)
        found = found or self._shipped.get(name)
        if found is None:
            raise FlavourError(file.error("extends", f"there is no flavour {name}"))
        return found


def _merged(files: Sequence[_File]) -> dict[str, Any]:
    """Return the keys of files, of which later ones say more than earlier ones."""
    merged: dict[str, Any] = {}
    for file in files:
        for key in _KEYS & file.data.keys():
            value, known = file.data[key], merged.get(key)
            both = isinstance(value, Mapping) and isinstance(known, Mapping)
            merged[key] = {**known, **value} if both else value  # type: ignore[dict-item]
    return merged


def _flavour(name: str, data: dict[str, Any], files: Sequence[_File]) -> Flavour:
    systems = data.get("coding_systems", {})
    errors: list[str] = []

    def fail(key: str, reason: str) -> None:
        table, _, row = key.partition(".")
        for file in files:
            value = file.data.get(table)
            if value is not None and (not isinstance(value, Mapping) or not row or row in value):
                errors.append(file.error(key, reason))
                return

    def code(key: str, text: object) -> Code | None:
        try:
            return _code(text, systems)
        except ValueError as error:
            fail(key, str(error))
            return None

    for key in _ONE_CODE & data.keys():
        data[key] = code(key, data[key]) if data[key] else None
    for key in _CODES & data.keys():
        data[key] = [code(key, one) for one in data[key]]
    for key in _TABLES_OF_CODES & data.keys():
        data[key] = {row: code(f"{key}.{row}", one) for row, one in data[key].items()}
    if not errors:
        try:
            flavour = _FLAVOUR.validate_python({**data, "name": name})
            for key, reason in _problems(flavour):
                fail(key, reason)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                fail(".".join(map(str, problem["loc"])), str(problem["msg"]))
    if errors:
        raise FlavourError("\n".join(errors))
    return flavour


def _problems(flavour: Flavour) -> Iterator[tuple[str, str]]:
    """Yield keys of which the value has the right type, and is wrong all the same."""
    for table in _TABLES_OF_OIDS:
        for name, oid in getattr(flavour, table).items():
            if not is_oid(oid):
                yield f"{table}.{name}", "it is no OID"
    for key in ("source_id", "authority_oid"):
        if getattr(flavour, key) and not is_oid(getattr(flavour, key)):
            yield key, "it is no OID"
    for key in _LISTS_OF_FIELDS:
        if not all(map(_FIELD.fullmatch, getattr(flavour, key))):
            yield key, "a field is written as OBR-3"
    if flavour.charset != "auto" and named_codec(flavour.charset) is None:
        yield "charset", "there is no such character set"
    if flavour.acknowledge_to and not _ADDRESS.fullmatch(flavour.acknowledge_to):
        yield "acknowledge_to", "it is mllp://host:port, mllps://host:port, or an http(s) URL"
    if flavour.zone not in _zones():
        yield "zone", "there is no such time zone"


@cache
def _zones() -> frozenset[str]:
    """The names of all time zones; to find them is to read a folder of some hundred files."""
    return frozenset(available_timezones())


def _code(text: object, systems: Mapping[str, str]) -> Code:
    parts = text.split("^") if isinstance(text, str) else []
    if len(parts) != 3 or not (parts[0] and parts[2]):
        raise ValueError("a code is written code^display^system")
    system = systems.get(parts[2], parts[2])
    if not (is_oid(system) or ":" in system):
        raise ValueError(f"the coding system {system} is neither an OID nor in coding_systems")
    return Code(parts[0], system, parts[1])


def _matches(file: _File) -> Iterator[FlavourMatch]:
    for match in file.data.get("match", ()):
        unknown = set(match) - {"application", "facility", "message"}
        if unknown:
            raise FlavourError(file.error(f"match.{min(unknown)}", "no such key"))
        try:
            yield _MATCH.validate_python(match)
        except ValidationError as error:
            raise FlavourError(file.error("match", str(error.errors()[0]["msg"]))) from None
