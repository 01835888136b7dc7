"""Destinations as a file: TOML with a table ``[[destination]]`` for each (docs/messaging.md).

Whatever is wrong with a file is said at once, a line for each thing.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xds.messaging.outbound.destination import (
    CHANGES,
    ChangeToTell,
    Destination,
    LaneOrder,
    MessageForm,
    SendingRule,
)
from xds.messaging.outbound.rules import criterion_of
from xds.messaging.verdicts import AcknowledgementReading
from xds.metadata.entry_rules import BadRule

_ADDRESS: Final = r"^(mllps?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}|https?://\S+)$"
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_WANTED: Final = {
    "name": "letters, digits, dots, hyphens and underscores, 64 at most",
    "address": "mllp://host:port, mllps://host:port, or a URL of http or https",
    "version": "a version of HL7 such as 2.4",
    "processing_id": "P, T or D",
}
"""What the values of keys look like."""
Wish = Literal["", "AL", "NE", "SU", "ER"]
_ON_SUCCESS: Final = frozenset({"AL", "SU"})


class DestinationsError(ValueError):
    """A file of destinations cannot be used; the text has a line for each thing that is wrong."""


class _StrictTable(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _FormTable(_StrictTable):
    message: Literal["MDM", "ORU", "FHIR"] = "MDM"
    version: Annotated[str, Field(pattern=r"^2\.[0-9.]{1,4}$")] = "2.4"
    replaced: Literal["T10", "T08", "T02"] = "T10"
    updated: Literal["T04", "T03"] = "T04"
    number: Literal["source", "unique-id"] = "source"
    embedded: tuple[str, str, str] = ("", "application", "pdf")
    chunk_characters: Annotated[int, Field(ge=0)] = 0
    processing_id: Annotated[str, Field(pattern=r"^[PTD]$")] = "P"
    accept_acknowledgement: Wish = ""
    application_acknowledgement: Wish = ""
    domains: dict[str, tuple[str, str]] = {}
    coding_systems: dict[str, str] = {}

    @model_validator(mode="after")
    def _check_chunks(self) -> Self:
        if self.chunk_characters % 4:
            raise ValueError("chunk_characters: base64 is cut at multiples of 4")
        wishes = {self.accept_acknowledgement, self.application_acknowledgement}
        if wishes != {""} and wishes.isdisjoint(_ON_SUCCESS):
            raise ValueError("a message that is not answered when it is taken cannot be delivered")
        return self

    def form(self) -> MessageForm:
        return MessageForm(**{name: getattr(self, name) for name in type(self).model_fields})


class _DestinationTable(_StrictTable):
    name: Annotated[str, Field(pattern=_NAME)]
    address: Annotated[str, Field(pattern=_ADDRESS)]
    sending_application: str = "XDS"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    rule: list[dict[str, Any]] = []
    changes: list[ChangeToTell] = [one for one in CHANGES if one != "updated"]
    preliminary: bool = False
    order: LaneOrder = "patient"
    lanes: Annotated[int, Field(ge=1, le=64)] = 4
    merges: Literal["nothing", "documents", "A40"] = "nothing"
    reading: AcknowledgementReading = "hl7"
    refusals: Annotated[int, Field(ge=1)] = 10
    answer_seconds: Annotated[float, Field(gt=0)] = 30.0
    form: _FormTable = _FormTable()

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if self.form.message == "FHIR" and not self.address.startswith("http"):
            raise ValueError(
                "a FHIR message goes by http or https, to an address that ends in $process-message"
            )
        if self.form.message == "FHIR" and self.merges == "A40":
            raise ValueError("merges: a FHIR message has no A40; it may be documents")
        return self

    def destination(self) -> Destination:
        plain = {"name", "changes", "rule", "form"}
        values = {one: getattr(self, one) for one in type(self).model_fields if one not in plain}
        return Destination(
            name=self.name,
            changes=frozenset(self.changes),
            rules=tuple(self._rules()),
            form=self.form.form(),
            **values,
        )

    def _rules(self) -> Iterator[SendingRule]:
        """Yield the rules; without any, all documents are told."""
        for place, table in enumerate(self.rule or [{}], 1):
            content = dict(table)
            name = content.pop("name", None) or (f"rule {place}" if table else "every document")
            yield SendingRule(name, criterion_of(content))


def read(path: Path) -> Sequence[Destination]:
    """Read a file of destinations; DestinationsError with all that is wrong."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DestinationsError(f"{path.name}: {why}") from None
    if unknown := table.keys() - {"destination"}:
        known = "a table [[destination]] for each destination"
        raise DestinationsError(f"{path.name}: unknown key {min(unknown)}; there is {known}")
    found: list[Destination] = []
    wrong: list[str] = []
    for place, one in enumerate(table.get("destination", []), 1):
        try:
            found.append(_destination(one))
        except DestinationsError as error:
            name = one.get("name", place) if isinstance(one, Mapping) else place
            wrong += [f"{path.name}: destination {name}: {line}" for line in str(error).split("\n")]
    twice = [name for name, times in Counter(one.name for one in found).items() if times > 1]
    wrong += [f"{path.name}: several destinations have the name {name}" for name in twice]
    if wrong:
        raise DestinationsError("\n".join(wrong))
    return found


def _destination(table: Any) -> Destination:
    try:
        return _DestinationTable.model_validate(table).destination()
    except ValidationError as error:
        raise DestinationsError("\n".join(map(_line, error.errors()))) from None
    except BadRule as error:
        raise DestinationsError(str(error)) from None


def _line(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        table = _FormTable if error["loc"][0] == "form" else _DestinationTable
        return f"{place}: there is no such key; known are {', '.join(table.model_fields)}"
    if error["type"] == "string_pattern_mismatch" and error["loc"][-1] in _WANTED:
        return f"{place}: it is {_WANTED[error['loc'][-1]]}"
    reason = re.sub("^Value error, ", "", error["msg"])
    return f"{place}: {reason}" if place else reason
