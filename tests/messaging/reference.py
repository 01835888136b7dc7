"""The configuration under which the samples of messages are expected to end as they do.

The samples and what is expected of them are not part of this repository; a test that needs them is
skipped without them.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

from tests.reference import SHARED
from xds.messaging.flavours.reading import GENERIC, read_flavours
from xds.messaging.model import MessageEnvelope
from xds.metadata.systems import Systems

SAMPLES: Final = SHARED / "samples" / "messaging"

_SNOMED: Final = "2.16.840.1.113883.6.96"
_LOINC: Final = "2.16.840.1.113883.6.1"
_HSC: Final = "HSC"


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample and what is expected of it."""

    row: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its path below the samples."""
        return self.row["file"]

    @property
    def path(self) -> Path:
        """Where it is."""
        return SAMPLES / self.name

    def values(self, column: str) -> list[str]:
        """Return a value of each document."""
        return [value for value in self.row[column].split(",") if value]


@cache
def samples(*kinds: str) -> tuple[Sample, ...]:
    """Return the samples of some kinds (``oru``, ``mdm``, ``order``, ``adt``, ``fhir``).

    There are none where they are absent.
    """
    table = SAMPLES / "expected.tsv"
    if not table.exists():
        return ()
    rows = map(Sample, _table(table))
    return tuple(one for one in rows if not kinds or one.row["kind"] in kinds)


def write_flavours(folder: Path) -> Path:
    """Write the flavours of the reference configuration into a folder, for option ``flavours``."""
    rows = _table(SAMPLES / "REFERENCE.tsv")
    common = dict(_common(rows))
    (folder / "common.toml").write_text(_toml(common))
    for number, sender in enumerate(_senders(rows)):
        flavour = dict(_flavour(rows, sender))
        application, facility = sender.split("|")
        match = f"\n[[match]]\napplication = {_text(application)}\nfacility = {_text(facility)}\n"
        (folder / f"sender-{number}.toml").write_text(_toml(flavour) + match)
    return folder


def write_systems(folder: Path) -> Path:
    """Write the domains of patient ids into a file, for ``identifier_systems``: one name each."""
    known = {row.oid for row in Systems.read().rows}
    names = {
        row["value"]: row["key"]
        for row in _table(SAMPLES / "REFERENCE.tsv")
        if row["table"] == "authority"
    }
    path = folder / "systems.toml"
    rows = [
        f"[[system]]\nname = {_text(name)}\noid = {_text(oid)}\nnamespace = {_text(name)}\n"
        for oid, name in names.items()
        if oid not in known
    ]
    path.write_text("\n".join(rows))
    return path


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _common(rows: list[dict[str, str]]) -> Iterator[tuple[str, object]]:
    domains = {row["key"]: row["value"] for row in rows if row["table"] == "authority"}
    nhs, chi, hsc = domains["NHS"], domains["CHI"], domains[_HSC]
    yield "national_domains", [nhs, chi, hsc]
    for row in rows:
        if row["table"] == "type_default":
            key = "default_type_code" if row["key"] == "ORU" else "order_type_code"
            yield key, _type(row["value"])
        elif row["table"] == "policy":
            yield from _policy(row["key"], row["value"])
    yield "domains", domains
    types = {row["key"]: row["value"] for row in rows if row["table"] == "txa2"}
    yield "document_types", {key: f"{code}^{key}^{_LOINC}" for key, code in types.items()}


def _type(code: str) -> str:
    """Return a type of document as the shipped flavours name it."""
    known = read_flavours().row(GENERIC).flavour.known_types
    (display,) = (one.display_name for one in known if one.code == code)
    return f"{code}^{display}^{_SNOMED}"


def _policy(key: str, value: str) -> Iterator[tuple[str, object]]:
    match key:
        case "processing_ids":
            yield key, ["" if one == "empty" else one for one in value.split(",")]
        case "unknown_parent":
            yield key, value.partition(" ")[0]
        case "unknown_patients":
            pass  # an option of the registry, which takes any patient unless it says otherwise
        case _:
            yield key, value


def _senders(rows: list[dict[str, str]]) -> list[str]:
    """Return the senders of which the table says something, exact ones first."""
    named = {row["sender"] for row in rows if "|" in row["sender"]}
    return sorted(named, key=lambda sender: ("*" in sender, sender))


def _flavour(rows: list[dict[str, str]], sender: str) -> Iterator[tuple[str, object]]:
    application, facility = sender.replace("*", "MFT").split("|")
    envelope = MessageEnvelope(
        code="ORU",
        trigger="R01",
        control_id="",
        sending_application=application,
        sending_facility=facility,
    )
    yield "extends", read_flavours().flavour_of(envelope).name
    mine = [row for row in rows if "|" in row["sender"] and fnmatchcase(sender, row["sender"])]
    id_types = {row["key"]: row["value"] for row in mine if row["table"] == "id_type"}
    for row in mine:
        match row["table"]:
            case "default_authority":
                yield "default_domain", row["value"]
            case "type":
                yield "type_code", _type(row["value"])
            case "report_number":
                yield "report_number", ["OBR-3", "ORC-3", row["key"]]
            case "acknowledge":
                yield "acknowledge", row["value"] or row["key"]
    if id_types:
        yield "id_types", id_types


def _toml(data: Mapping[str, object]) -> str:
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_text(value)}" for key, value in plain.items()]
    for key, value in data.items():
        if isinstance(value, dict):
            lines += [f"\n[{key}]", *(f"{_text(k)} = {_text(v)}" for k, v in value.items())]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    """Return a text or a list of texts as TOML writes it, which is as JSON does."""
    return json.dumps(value, ensure_ascii=False)
