"""What a deployment says of the documents that are made here, beyond the metadata of their sources.

The option document_forms names a TOML file. Every part of it may be absent, but ``xds-sd`` needs
the organisation and the country of patients::

    [organisation]                  # the custodian of what is made here
    name = "Harbour Hospital"
    id = "2.999.1.7"                # an OID, or OID^extension
    street = "1 Quay Street"
    city = "Harbour"
    postal_code = "HB1 1AA"
    country = "GB"                  # ISO 3166-1

    [xds_sd]
    patient_country = "GB"          # where their addresses name none
    model = "Document server 7"     # of the device that made the document
    operator_family = "Records"     # who answers for the conversion
    operator_given = "Office"

    [[on_demand]]                   # which documents are had in which form: xds.on_demand.rules
    form = "pdf"
    rule = [{ mime_type = ["text/xml"] }]
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from xds import PRODUCT
from xds.metadata.datatypes import is_oid
from xds.on_demand.rules import BadRule, OnDemandRule, rule_of

OPTION: Final = "document_forms"


class FormSettingsError(ValueError):
    """A file of forms cannot be used; the text has a line for each thing that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakingOrganisation:
    """Who keeps what is made here."""

    name: str = ""
    id: str = ""
    """An OID, or OID^extension."""
    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it says what a custodian has to (ITI TF-3 5.2.3)."""
        return bool(self.name and self.country and is_oid(self.id.partition("^")[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedDocumentSettings:
    """What XDS-SD wants to know (ITI TF-3 5.2.3)."""

    patient_country: str = ""
    model: str = PRODUCT
    operator_family: str = ""
    operator_given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSettings:
    """All that the file says."""

    organisation: MakingOrganisation = MakingOrganisation()
    xds_sd: ScannedDocumentSettings = ScannedDocumentSettings()
    rules: tuple[OnDemandRule, ...] = ()
    digest: str = ""
    """What tells one file from another."""


S = TypeVar("S")
_TABLES: Final[Mapping[str, Callable[..., Any]]] = {
    "organisation": MakingOrganisation,
    "xds_sd": ScannedDocumentSettings,
}
_COUNTRY: Final = ("country", "patient_country")


def read(path: Path | None, forms: Mapping[str, object]) -> FormSettings:
    """Read the file, whose rules name ``forms``; FormSettingsError with all that is wrong."""
    if path is None:
        return FormSettings()
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FormSettingsError(f"{path.name}: {why}") from None
    wrong: list[str] = []
    found: dict[str, Any] = {}
    for name, content in table.items():
        if name in _TABLES:
            found[name] = _part(name, content, wrong)
        elif name != "on_demand":
            known = ", ".join((*_TABLES, "on_demand"))
            wrong.append(f"there is no table {name}; known are {known}")
    rules = _rules(table.get("on_demand", []), forms, wrong)
    if wrong:
        raise FormSettingsError("\n".join(f"{path.name}: {line}" for line in wrong))
    return FormSettings(**found, rules=rules, digest=sha256(data).hexdigest())


def _part(name: str, content: object, wrong: list[str]) -> Any:
    make = _TABLES[name]
    keys = make.__dataclass_fields__  # type: ignore[attr-defined]
    if not isinstance(content, dict):
        wrong.append(f"{name} is a table")
        return make()
    for key, value in content.items():
        if key not in keys:
            wrong.append(f"{name}: there is no key {key}; known are {', '.join(keys)}")
        elif not isinstance(value, str) or not value.strip():
            wrong.append(f"{name}: {key} is a text")
        elif key in _COUNTRY and not (len(value) == 2 and value.isalpha() and value.isupper()):
            wrong.append(f"{name}: {key} is a code of ISO 3166-1, of two letters")
        elif key == "id" and not is_oid(value.partition("^")[0]):
            wrong.append(f"{name}: {key} is an OID, or OID^extension")
    return make(**{key: one for key, one in content.items() if key in keys}) if not wrong else None


def _rules(
    content: object, forms: Mapping[str, object], wrong: list[str]
) -> tuple[OnDemandRule, ...]:
    if not isinstance(content, list):
        wrong.append("on_demand: each rule is a table [[on_demand]]")
        return ()
    found = []
    for place, one in enumerate(content, 1):
        try:
            found.append(rule_of(one, forms))
        except BadRule as error:
            wrong.append(f"on_demand {place}: {error}")
    return tuple(found)
