"""What an affinity domain says where a document does not (PCC TF-2 4.1.1).

The option generate_defaults names a TOML file. It goes by the TF names of attributes, and every
part of it may be absent::

    languageCode = "en-GB"
    timeZone = "Europe/London"      # of times that state no zone; else UTC

    [codes.classCode]               # of every document
    code = "371525003"
    codingScheme = "2.16.840.1.113883.6.96"
    displayName = "Clinical procedure report"

    [types."51969-4^^2.16.840.1.113883.6.1".classCode]      # of documents of this typeCode
    code = "4241000179101"
    codingScheme = "2.16.840.1.113883.6.96"
    displayName = "Laboratory report"

    [[formats]]                     # as in xds/content/formats.toml, and taken before its rows
    code = "urn:example:genomics-report:1"
    display = "Genomics report"
    scheme = "2.999.9"
    templates = ["2.999.8.1"]
    profiles = ["https://genomics.example/StructureDefinition/report"]
"""

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from xds.metadata import datatypes
from xds.metadata.objects import Code, DocumentEntry

OPTION: Final = "generate_defaults"
FORMAT_CODES: Final = "1.3.6.1.4.1.19376.1.2.3"
MIME_TYPE_SUFFICIENT: Final = Code(
    "urn:ihe:iti:xds:2017:mimeTypeSufficient", FORMAT_CODES, "mimeType Sufficient"
)
"""The formatCode where the media type says all (IHE format codes)."""

CONFIGURED: Final[Mapping[str, str]] = {
    DocumentEntry.attributes()[name].tf_name: name
    for name in (
        "class_code",
        "confidentiality_code",
        "healthcare_facility_type_code",
        "practice_setting_code",
        "type_code",
    )
}
"""The codes that may be configured, by their TF names."""


class DefaultsError(ValueError):
    """The file cannot be read; the sentence names the place."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the table of formatCodes."""

    code: Code
    templates: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()
    body: str = ""

    def fits(self, declared: Collection[str], bodies: Collection[str]) -> bool:
        """Tell whether a document declares one of the templates or profiles, and has that body."""
        if self.body and self.body not in bodies:
            return False
        return not (self.templates | self.profiles).isdisjoint(declared)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is known of documents from outside of them."""

    language_code: str | None = None
    time_zone: tzinfo = UTC
    codes: Mapping[str, Code] = field(default_factory=dict)
    """By the name of the attribute."""
    types: Mapping[str, Mapping[str, Code]] = field(default_factory=dict)
    """The same by typeCode, as ``code^^codingScheme``."""
    formats: tuple[Format, ...] = ()

    def of_type(self, type_code: Code | None) -> Mapping[str, Code]:
        """Return the codes of documents of this type."""
        return self.types.get(str(type_code), {}) if type_code else {}

    def format_code(self, declared: Collection[str], bodies: Collection[str] = ()) -> Code | None:
        """Return the formatCode by declared templates or profiles, None where no row fits."""
        fitting = (row.code for row in self.formats if row.fits(declared, bodies))
        return next(fitting, None)


@cache
def read(path: Path | None) -> Defaults:
    """Read the deployment's file, if there is one, on top of the formats that are shipped."""
    shipped = tomllib.loads((resources.files(__package__) / "formats.toml").read_text("utf-8"))
    formats = _formats(shipped)
    if path is None:
        return Defaults(formats=formats)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return _defaults(table, formats)
    except OSError as error:
        raise DefaultsError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DefaultsError(f"{path.name}: {error}") from error


_KEYS: Final = frozenset({"languageCode", "timeZone", "codes", "types", "formats", "scheme"})


def _defaults(table: Mapping[str, Any], shipped: tuple[Format, ...]) -> Defaults:
    _only(table, _KEYS, "the file")
    language = table.get("languageCode")
    if language is not None:
        datatypes.check_language(language)
    return Defaults(
        language_code=language,
        time_zone=_zone(table["timeZone"]) if "timeZone" in table else UTC,
        codes=_codes(table.get("codes", {}), "codes"),
        types={
            type_code: _codes(codes, f'types."{type_code}"')
            for type_code, codes in table.get("types", {}).items()
        },
        formats=(*_formats(table), *shipped),
    )


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        raise DefaultsError(f"timeZone: {name} is no time zone known here") from None


def _codes(table: Mapping[str, Any], where: str) -> Mapping[str, Code]:
    _only(table, CONFIGURED, where)
    return {CONFIGURED[name]: _code(row, f"{where}.{name}") for name, row in table.items()}


def _code(row: Mapping[str, str], where: str) -> Code:
    _only(row, ("code", "codingScheme", "displayName"), where)
    values = [_text(row, key, where) for key in ("code", "codingScheme", "displayName")]
    return Code(*values)


def _formats(table: Mapping[str, Any]) -> tuple[Format, ...]:
    scheme = table.get("scheme", FORMAT_CODES)
    return tuple(
        _format(row, scheme, f"formats[{i}]") for i, row in enumerate(table.get("formats", ()))
    )


def _format(row: Mapping[str, Any], scheme: str, where: str) -> Format:
    _only(row, ("code", "display", "scheme", "templates", "profiles", "body"), where)
    code = Code(_text(row, "code", where), row.get("scheme", scheme), _text(row, "display", where))
    templates, profiles = frozenset(row.get("templates", ())), frozenset(row.get("profiles", ()))
    return Format(code, templates, profiles, row.get("body", ""))


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DefaultsError(f"{where}: {key} is required")
    return value


def _only(table: object, known: Iterable[str], where: str) -> None:
    """Refuse what is no table, and keys that would be overlooked in silence."""
    if not isinstance(table, Mapping):
        raise DefaultsError(f"{where} is not a table")
    names = sorted(known)
    if unknown := sorted(set(table) - set(names)):
        raise DefaultsError(f"{where}: unknown key {unknown[0]}; known are {', '.join(names)}")
