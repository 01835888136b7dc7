"""The audit records: searched, shown, exported; that somebody reads them is recorded as well."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from xds.audit import audit_log, searching, table, trail
from xds.audit import vocabulary as av
from xds.audit.message import render
from xds.audit.record import SECURITY_RESOURCE, AuditRecord, ParticipantObject, milliseconds
from xds.audit.searching import RecordFilter, RecordPosition
from xds.console.views import shown
from xds.console.visits import (
    Answer,
    Bytes,
    PageContent,
    PageNotFound,
    SeeOther,
    Visit,
    require_whole,
)
from xds.metadata.catalogue import ITI_67, ITI_78
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry

SHARED: Final = ("transaction", "outcome", "since", "until", "number", "uuid", "after")
"""What a URL may have: a patient by the registry's own number, a document by its entryUUID."""
PERSONAL: Final = ("user", "patient", "document")
"""What only forms have."""
CHOICES: Final = (*PERSONAL, *SHARED)
KINDS: Final[Sequence[str]] = sorted(
    {*av.EVENTS, *av.NOTIFYING, *av.SENDING, av.CONSOLE, av.AUTHENTICATE_NODE}
    | {"application", "audit log", "configuration"}
)
OUTCOMES: Final = {"done": False, "failed": True}
FORMS: Final = {"json": "application/x-ndjson", "xml": "text/plain; charset=utf-8"}
_ACTIONS: Final = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete", "E": "Execute"}
_SHOWN: Final = 50
_EXPORTED: Final = 10_000
_A_READ: Final = 500
_POSITION: Final = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?", re.ASCII)
_UUID: Final = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_UUID_URN: Final = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A record as a line of a list."""

    id: str
    at: str
    who: str
    address: str
    what: str
    outcome: str
    patient: str
    objects: tuple[str, ...]


# --- what is searched for ------------------------------------------------------------------------


class _NotSearchable(ValueError):
    """What a form has cannot be searched for; the text says why, and of which field."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def _given(visit: Visit, name: str) -> str:
    return visit.given.get(name, "").strip()


def _wanted(visit: Visit) -> RecordFilter:
    """Return what is searched for; _NotSearchable, or PageNotFound where there is no such thing."""
    require_whole(visit)
    documents, patient_ids = _documents(visit)
    return RecordFilter(
        patient_ids=_patients(visit) or patient_ids,
        documents=documents,
        user_id=_given(visit, "user") or None,
        since=_time(visit, "since"),
        until=_time(visit, "until"),
        transaction=_given(visit, "transaction") or None,
        failed=OUTCOMES.get(_given(visit, "outcome")),
    )


def _time(visit: Visit, name: str) -> str | None:
    text = _given(visit, name)
    if not text:
        return None
    try:
        if _TIME.fullmatch(text):
            milliseconds(text)
            return text
    except ValueError:
        pass
    raise _NotSearchable(name, "Write a time as 2026-11-25 or 2026-11-25T09:30")


def _patients(visit: Visit) -> tuple[str, ...]:
    """Return the ids (CX) of the patient that is searched for, with those merged into them."""
    text, number = _given(visit, "patient"), _given(visit, "number")
    if not (text or number):
        return ()
    if visit.domain.registry_here is None:
        return (text,)
    with visit.domain.registry_here.view(visit.would_see(ITI_78.name, is_emergency=False)) as view:
        if "^" in text:
            return _with_merged(visit, [text])
        known = (
            view.patients_by_id_number(text)
            if text
            else view.patients_by_number([int(number)] if _NUMBER.fullmatch(number) else [])
        )
    if not known:
        raise _NotSearchable(
            "patient", "No such patient is known; write who assigned the id as well: P1^^^&OID&ISO"
        )
    return _with_merged(visit, [one.patient_id for one in known])


def _with_merged(visit: Visit, patient_ids: Sequence[str]) -> tuple[str, ...]:
    """Return ids with those that were merged into them, under which earlier records are."""
    if visit.domain.registry_here is None or not patient_ids:
        return tuple(patient_ids)
    everything = visit.would_see(ITI_78.name, is_emergency=False)
    with visit.domain.registry_here.view(everything) as view:
        merged = [
            old.patient_id
            for one in view.whole.patients(patient_ids)
            for old in view.whole.subsumed_by(one.number)
        ]
    return tuple(dict.fromkeys([*patient_ids, *merged]))


def _documents(visit: Visit) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of the document that is searched for, and its patients as far as known.

    These make the search quick; of what the registry does not have any more they are unknown.
    """
    text = _given(visit, "document") or _given(visit, "uuid")
    if not text:
        return (), ()
    found = _UUID.fullmatch(text.lower())
    registry = visit.domain.registry_here
    if registry is None:
        return (text,), ()
    if found is None:
        patient_ids = registry.patients_of_documents([text]).get(text, ())
        return (text,), _with_merged(visit, patient_ids)
    urn = _UUID_URN + found[1]
    with registry.view(visit.would_see(ITI_67.name, is_emergency=False)) as view:
        entries = view.every_version.find(DocumentEntry, [equal("entry_uuid", [urn])])
    ids = dict.fromkeys([urn, *(one.content.unique_id or urn for one in entries)])
    return tuple(ids), _with_merged(visit, [one.found.patient_id or "" for one in entries])


# --- lists ---------------------------------------------------------------------------------------


def show_list(visit: Visit) -> Answer:
    """List records, newest first."""
    try:
        wanted = _wanted(visit)
    except _NotSearchable as error:
        return _listed(visit, [], None, problem=(error.field, str(error)))
    record_use(visit, ", ".join(filter(None, (wanted.told(), f"most {_SHOWN}"))))
    with visit.domain.database.read() as connection:
        found = searching.page(connection, wanted, _SHOWN, _after(visit))
    return _listed(visit, [_line(one) for one in found.records], found)


def search(visit: Visit) -> Answer:
    """Search by a form; where nothing in it is of a person, its URL can be sent to a colleague."""
    if any(_given(visit, name) for name in PERSONAL):
        return show_list(visit)
    chosen = {name: text for name in SHARED if (text := _given(visit, name))}
    return SeeOther(f"/audit?{urlencode(chosen)}" if chosen else "/audit")


def _listed(
    visit: Visit,
    records: Sequence[ShownRecord],
    found: searching.RecordPage | None,
    problem: tuple[str, str] | None = None,
) -> Answer:
    chosen = {name: _given(visit, name) for name in CHOICES}
    following = found.next if found else None
    return PageContent(
        {
            "records": records,
            "chosen": chosen,
            "kinds": KINDS,
            "problem": problem,
            "following": "{}.{}".format(*following) if following else "",
            "is_full": found is None or found.is_full,
            "looked_at": searching.LOOKED_AT,
            "exported": _EXPORTED,
            "is_on": visit.domain.audit_log is not None,
        },
        status=400 if problem else 200,
        title="Error: Audit" if problem else "Audit",
    )


def _after(visit: Visit) -> RecordPosition | None:
    found = _POSITION.fullmatch(_given(visit, "after"))
    return RecordPosition(int(found[1]), int(found[2])) if found else None


def _line(record: AuditRecord) -> ShownRecord:
    identifier = shown.identifier(record.patient_id) if record.patient_id else None
    return ShownRecord(
        id=record.id,
        at=record.at,
        who=record.actor.user_id if record.actor else record.node or record.address,
        address=record.address,
        what=record.event_type.text or record.event_type.code,
        outcome="done" if record.outcome == 0 else "not done",
        patient=f"{identifier.domain} {identifier.text}" if identifier else "",
        objects=tuple(map(_named, record.things[:3])),
    )


def _named(thing: ParticipantObject) -> str:
    """Return the id of an object; of the records themselves, what was asked of them."""
    is_of_records = thing.role == SECURITY_RESOURCE and thing.details
    return thing.details[0].value if is_of_records else thing.id


def _who(record: AuditRecord) -> str:
    return record.actor.user_name if record.actor else record.node or record.address


def record_use(visit: Visit, asked: str) -> None:
    """Record that somebody reads records, before any is shown."""
    visit.record(trail.of_reading(visit.caller, asked))


# --- one record ----------------------------------------------------------------------------------


def show(visit: Visit) -> Answer:
    """Show a record: readable, as the audit message that is sent, and as it is kept."""
    require_whole(visit)
    identifier: UUID = visit.path["id"]
    record_use(visit, f"record {identifier}")
    with visit.domain.database.read() as connection:
        found = table.one(connection, str(identifier))
    if found is None:
        raise PageNotFound
    record = found.record
    message = render(record, audit_log.source_of(visit.console.config)).decode()
    return PageContent(
        {
            "record": record,
            "who": _who(record),
            "patient": shown.identifier(record.patient_id) if record.patient_id else None,
            "action": _ACTIONS.get(record.action, record.action),
            "sequence": found.sequence,
            "hash": found.hash,
            "message": message.replace("><", ">\n<"),
            "kept": json.dumps(record.json(), indent=2, ensure_ascii=False),
        },
        title=f"Audit record of {record.at}",
    )


# --- export --------------------------------------------------------------------------------------


def export(visit: Visit) -> Answer:
    """Give the newest records that fit as a file, as `xds audit` prints them."""
    try:
        wanted = _wanted(visit)
    except _NotSearchable as error:
        return _listed(visit, [], None, problem=(error.field, str(error)))
    form = "xml" if _given(visit, "form") == "xml" else "json"
    told = (wanted.told(), f"most {_EXPORTED}", f"exported as {form}")
    record_use(visit, ", ".join(filter(None, told)))
    source = audit_log.source_of(visit.console.config)
    line = AuditRecord.dump if form == "json" else partial(render, source=source)
    lines = (line(one) + b"\n" for one in _newest(visit, wanted))
    name = f"audit-records.{'jsonl' if form == 'json' else 'xml.txt'}"
    return Bytes(FORMS[form], _blocks(lines), None, name, is_download=True)


def _newest(visit: Visit, wanted: RecordFilter) -> Iterator[AuditRecord]:
    """Yield records newest first, read in short transactions however slow their reader is."""
    left, after = _EXPORTED, None
    while left:
        with visit.domain.database.read() as connection:
            found = searching.page(connection, wanted, min(left, _A_READ), after)
        yield from found.records
        left, after = left - len(found.records), found.next
        if after is None:
            return


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines in blocks that are worth sending."""
    block = b""
    for line in lines:
        block += line
        if len(block) > 1 << 16:
            yield block
            block = b""
    if block:
        yield block
