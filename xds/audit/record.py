"""One audit record as a value: what DICOM PS3.15 A.5 calls an audit message, before it is XML."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

SUCCESS: Final = 0
"""EventOutcomeIndicator: the three that are used here."""
MINOR_FAILURE: Final = 4
"""The request was refused."""
SERIOUS_FAILURE: Final = 8
"""The server could not answer, or someone was not let in."""


SECURITY_RESOURCE: Final = 13
"""ParticipantObjectTypeCodeRole of the records themselves."""

RecordJson = dict[str, Any]
"""A record as its JSON has it."""


def read_json(line: bytes) -> RecordJson:
    """Read a line that dump has written; ValueError where it is not whole."""
    fields: RecordJson = orjson.loads(line)
    return fields


def line_of(fields: RecordJson) -> str:
    """Return the line of JSON again."""
    return orjson.dumps(fields).decode()


class Coded(NamedTuple):
    """A coded value as audit messages have it."""

    code: str
    system: str
    text: str


class ParticipantObjectDetail(NamedTuple):
    """One ParticipantObjectDetail."""

    type: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantObject:
    """What was acted on: one ParticipantObjectIdentification."""

    type_code: int
    role: int
    id: str
    id_type: Coded
    query: str | None = None
    """The text of a query."""
    details: tuple[ParticipantObjectDetail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveParticipant:
    """The user of a request, as an assertion or a token names it."""

    user_id: str
    user_name: str
    roles: tuple[Coded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One record; ``id`` makes it the same wherever it has got to."""

    id: str
    at: str
    """When it happened: ISO 8601, UTC, to the millisecond."""
    transaction: str
    event: Coded
    event_type: Coded
    action: str
    """EventActionCode: C, R, U, D or E."""
    outcome: int
    description: str = ""
    """Of a failure; it names no patient."""
    serves_as_source: bool = False
    """Whether this server is the source of what went over the wire, as in a retrieval."""
    subtype: Coded | None = None
    """What FHIR calls the event type."""
    path: str = ""
    """Where it was asked at this server."""
    server: str = ""
    """What this server is called in the message, where that says so."""
    initiates: bool = False
    """Whether this server asked the other node, and not the other way round."""
    address: str = ""
    """Of the node that asked."""
    node: str = ""
    """What that node is called, where its certificate or its message says so."""
    process: int = 0
    actor: ActiveParticipant | None = None
    purposes: tuple[Coded, ...] = ()
    patient_id: str | None = None
    """CX."""
    things: tuple[ParticipantObject, ...] = ()
    """What was acted on besides the patient; called so in the stored JSON, which is chained."""

    def dump(self) -> bytes:
        """Return the record as one line of JSON; half of a surrogate pair becomes U+FFFD."""
        # Coded and ParticipantObjectDetail, which orjson would not take for lists
        try:
            return orjson.dumps(self, default=tuple, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
        except orjson.JSONEncodeError:
            return orjson.dumps(_in_utf8(asdict(self)))

    def json(self) -> RecordJson:
        """Return the record as its JSON has it."""
        return read_json(self.dump())

    @classmethod
    def load(cls, text: bytes | str) -> "AuditRecord":
        """Read what dump has written."""
        fields: RecordJson = orjson.loads(text)
        for name in ("event", "event_type"):
            fields[name] = Coded(*fields[name])
        if subtype := fields.get("subtype"):
            fields["subtype"] = Coded(*subtype)
        fields["purposes"] = _coded(fields, "purposes")
        fields["things"] = tuple(_thing(one) for one in fields.get("things", ()))
        if actor := fields.get("actor"):
            fields["actor"] = ActiveParticipant(**{**actor, "roles": _coded(actor, "roles")})
        return cls(**fields)


def _in_utf8(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {name: _in_utf8(one) for name, one in value.items()}
    return list(map(_in_utf8, value)) if isinstance(value, list | tuple) else value


def _coded(fields: Mapping[str, Any], name: str) -> tuple[Coded, ...]:
    return tuple(Coded(*one) for one in fields.get(name, ()))


def _thing(fields: Mapping[str, Any]) -> ParticipantObject:
    details = tuple(ParticipantObjectDetail(*one) for one in fields.get("details", ()))
    return ParticipantObject(**{**fields, "id_type": Coded(*fields["id_type"]), "details": details})


def now() -> str:
    """Return this moment as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(at: str) -> int:
    """Return a time in ISO 8601 as milliseconds since 1970; ValueError for what is none."""
    moment = datetime.fromisoformat(at)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
