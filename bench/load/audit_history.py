"""Audit records of a day, chained as those of a server are, and what a history is about."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from sqlalchemy import Table

from xds.audit import chain
from xds.audit import vocabulary as av
from xds.audit.record import (
    ActiveParticipant,
    AuditRecord,
    Coded,
    ParticipantObject,
    RecordJson,
)
from xds.audit.table import audit_record, row_of
from xds.metadata import vocabulary as v

USER: Final = "portal@example.org"
"""Who has more records than anybody else."""
DAY: Final = 86_400_000
COPIED: Final = 20_000
"""Rows of one transaction."""
Rows = dict[Table, list[dict[str, Any]]]

_KINDS: Final = (
    ("ITI-18", 50),
    ("ITI-67", 12),
    ("ITI-43", 18),
    ("ITI-68", 5),
    ("ITI-42", 5),
    ("ITI-41", 5),
    ("ITI-8", 5),
)
"""Transactions, and how many of a hundred records are of each."""
_QUERY: Final = (
    f'<query:AdhocQueryRequest><rim:AdhocQuery id="{v.FIND_DOCUMENTS}">'
    '<rim:Slot name="$XDSDocumentEntryPatientId"><rim:ValueList><rim:Value>{patient}</rim:Value>'
    '</rim:ValueList></rim:Slot><rim:Slot name="$XDSDocumentEntryStatus"><rim:ValueList>'
    "<rim:Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</rim:Value>"
    "</rim:ValueList></rim:Slot></rim:AdhocQuery></query:AdhocQueryRequest>"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What happens is about these, and most often about the first."""

    patients: Sequence[tuple[str, str, str]]
    """Of a document each: its patient (CX), its entryUUID and its uniqueId."""

    @property
    def first(self) -> tuple[str, str, str]:
        """What is frequent."""
        return self.patients[0]


def in_batches(rows: Iterable[tuple[Table, dict[str, Any]]]) -> Iterator[Rows]:
    """Yield rows by their tables, as many at once as one transaction writes."""
    batch: Rows = {}
    number = 0
    for table, row in rows:
        batch.setdefault(table, []).append(row)
        number += 1
        if number == COPIED:
            yield batch
            batch, number = {}, 0
    yield batch


def audit_records(number: int, of_one: int, known: Known, now: int, seed: int) -> Iterator[Rows]:
    """Yield the rows of audit records of the day before a time; ``of_one``: of one patient."""
    chance = Random(seed)
    names, weights = zip(*_KINDS, strict=True)
    kinds = chance.choices(names, weights, k=number)
    step = max(number // 2 // of_one, 1)
    end = chain.Link(0, "")
    columns = [column.name for column in audit_record.columns]

    def rows() -> Iterator[tuple[Table, dict[str, Any]]]:
        nonlocal end
        for place, kind in enumerate(kinds):
            is_frequent = place % step == 0 and place < step * of_one
            about = known.first if is_frequent else chance.choice(known.patients)
            at = now - DAY + DAY * place // number
            made = row_of(_record(chance, place, kind, about, at))
            end = end.next(made[-1])
            values = (place + 1, *made[:-1], True, made[-1], *end)
            yield audit_record, dict(zip(columns, values, strict=True))

    return in_batches(rows())


def _record(
    chance: Random, number: int, kind: str, about: tuple[str, str, str], at: int
) -> RecordJson:
    patient_id, _, unique_id = about
    told = _TEMPLATES[kind].copy()
    user = chance.randrange(-500, 1_500)
    name = USER if user < 0 else f"user{user}@example.org"
    drawn = chance.random()
    told["id"] = f"{chance.getrandbits(32):08x}-0000-4000-8000-{number:012x}"
    told["at"] = _iso(at)
    told["outcome"] = 8 if drawn < 0.001 else 4 if drawn < 0.01 else 0
    if told["outcome"]:
        told["description"] = "XDSRegistryMetadataError at DocumentEntry.hash"
    told["patient_id"] = patient_id
    told["actor"] = told["actor"] | {"user_id": name, "user_name": name}
    thing = dict(told["things"][0])
    if thing.get("query"):
        thing["query"] = _QUERY.replace("{patient}", patient_id)
    else:
        thing["id"] = unique_id
    told["things"] = [thing]
    return told


def _iso(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _template(kind: str) -> RecordJson:
    event = av.EVENTS[kind]
    is_query = kind in ("ITI-18", "ITI-67")
    thing = ParticipantObject(
        type_code=2,
        role=24 if is_query else 3,
        id=v.FIND_DOCUMENTS,
        id_type=event.event_type if is_query else av.REPORT_NUMBER,
        query=_QUERY if is_query else None,
    )
    return AuditRecord(
        id="",
        at="",
        transaction=kind,
        event=event.event,
        event_type=event.event_type,
        action=event.action,
        outcome=0,
        path=event.path,
        address="192.0.2.7",
        node="CN=portal.example.org",
        process=4_711,
        actor=ActiveParticipant(user_id="", user_name="", roles=(_ROLE,)),
        purposes=(Coded("TREAT", "2.16.840.1.113883.5.8", "treatment"),),
        things=(thing,),
    ).json()


_ROLE: Final = Coded("112247003", "2.16.840.1.113883.6.96", "Medical doctor")
_TEMPLATES: Final = {kind: _template(kind) for kind, _ in _KINDS}
