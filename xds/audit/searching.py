"""Search of the audit records, newest first: all at once, or page by page with bounded work.

A page is found by one index, that of the condition which fits the fewest records as a rule, and in
its order; the other conditions are held against a number of these records. Where it ends before the
page is full, the next page goes on from there: so no search reads a million records for one answer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    literal_column,
    or_,
    select,
    union_all,
)

from xds.audit.record import AuditRecord, milliseconds
from xds.audit.table import audit_record, searchable_text
from xds.database.index_order import keep_to_index_order
from xds.metadata.searched import searchable

LOOKED_AT: Final = 2_000
"""Records of one index that one page looks at."""
_C: Final = audit_record.c
_NEWEST: Final = (_C.at.desc(), _C.pk.desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """What is searched for; what is None or empty is not looked at."""

    patient_ids: tuple[str, ...] = ()
    """Of one of these patients, CX."""
    documents: tuple[str, ...] = ()
    """About a document or another object that has one of these ids: uniqueId, entryUUID."""
    user_id: str | None = None
    since: str | None = None
    """ISO 8601; the time itself counts."""
    until: str | None = None
    """ISO 8601; the time itself does not count."""
    transaction: str | None = None
    failed: bool | None = None

    def told(self) -> str:
        """Return what is searched for as the record of the search has it."""
        told = [
            *(f"patient_id {one}" for one in self.patient_ids),
            *(f"document {one}" for one in self.documents),
        ]
        for name in ("user_id", "since", "until", "transaction", "failed"):
            if (value := getattr(self, name)) is not None:
                told.append(f"{name} {value}")
        return ", ".join(told)

    def fits(self, record: AuditRecord) -> bool:
        """Tell whether a record that the database has found is about the documents."""
        return not self.documents or any(one.id in self.documents for one in record.things)


class RecordPosition(NamedTuple):
    """A record in the order of a search, as the columns ``at`` and ``pk`` have it."""

    at: int
    key: int


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, newest first."""

    records: Sequence[AuditRecord]
    next: RecordPosition | None = None
    """Behind which the next page begins; None where this is the last."""
    is_full: bool = False
    """Whether it ends for its length, and not for the number of records that were looked at."""


def search(connection: Connection, wanted: RecordFilter, most: int) -> Iterator[AuditRecord]:
    """Yield the newest records that fit, newest first, however many have to be looked at."""
    query = select(_C.record).where(*_on_values(wanted, _C), *_at(wanted), *_others(wanted, _C))
    for row in connection.execute(query.order_by(*_NEWEST).limit(most)):
        record = AuditRecord.load(row.record)
        if wanted.fits(record):
            yield record


def page(
    connection: Connection,
    wanted: RecordFilter,
    most: int,
    after: RecordPosition | None = None,
    *,
    looked_at: int = LOOKED_AT,
) -> RecordPage:
    """Return the newest records that fit, or those after a position."""
    if _on_values(wanted, _C):
        keep_to_index_order(connection)
    query = _indexed(wanted, after, most + 1, *_SHOWN)
    if has_others := bool(_others(wanted, _C)):
        some = _indexed(wanted, after, looked_at, *_SHOWN, *_HELD_AGAINST).subquery().c
        fitting = select(some.record, some.at, some.pk).where(*_others(wanted, some))
        query = fitting.order_by(some.at.desc(), some.pk.desc()).limit(most + 1)
    rows = connection.execute(query).all()
    records = [AuditRecord.load(row.record) for row in rows[:most]]
    found = [one for one in records if wanted.fits(one)]
    if len(rows) > most:
        last = rows[most - 1]
        return RecordPage(found, RecordPosition(last.at, last.pk), is_full=True)
    if not has_others:
        return RecordPage(found)
    end = _indexed(wanted, after, looked_at, _C.at, _C.pk).limit(1).offset(looked_at - 1)
    position = connection.execute(end).one_or_none()
    return RecordPage(found, RecordPosition(*position) if position else None)


_SHOWN: Final = (_C.record, _C.at, _C.pk)
_HELD_AGAINST: Final = (_C.transaction, _C.outcome, _C.patient_id, _C.user_id)


def _indexed(wanted: RecordFilter, after: RecordPosition | None, most: int, *columns: Any) -> Any:
    """Select the newest records that one index finds: of several patients, those of each first."""
    conditions = list(_at(wanted))
    if after is not None:
        conditions.append(and_(_C.at <= after.at, or_(_C.at < after.at, _C.pk < after.key)))
    parts = [
        select(*columns).where(*value, *conditions).order_by(*_NEWEST).limit(most)
        for value in _values(wanted)
    ]
    if len(parts) == 1:
        return parts[0]
    every = union_all(*(select(one.subquery()) for one in parts)).subquery()
    return select(*every.c).order_by(every.c.at.desc(), every.c.pk.desc()).limit(most)


def _values(wanted: RecordFilter) -> list[list[ColumnElement[bool]]]:
    """Return the conditions on the first column of an index: one, or one for each patient."""
    if len(wanted.patient_ids) > 1:
        return [
            [_C.patient_id == searchable_text(one)] for one in dict.fromkeys(wanted.patient_ids)
        ]
    return [_on_values(wanted, _C)[:1]]


def _at(wanted: RecordFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.since is not None:
        yield _C.at >= milliseconds(wanted.since)
    if wanted.until is not None:
        yield _C.at < milliseconds(wanted.until)


def _others(wanted: RecordFilter, columns: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that are held against each record."""
    others = _on_values(wanted, columns)[1:]
    if wanted.failed is False:
        others.append(columns.outcome <= literal_column("0"))
    if wanted.documents:
        others.append(or_(*(_names(columns, one) for one in wanted.documents)))
    return others


def _on_values(wanted: RecordFilter, columns: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that have indexes, that with the fewest records first."""
    found = []
    if wanted.patient_ids:
        ids = list(map(searchable_text, wanted.patient_ids))
        found.append(columns.patient_id == ids[0] if len(ids) == 1 else columns.patient_id.in_(ids))
    if wanted.user_id is not None:
        found.append(columns.user_id == searchable_text(wanted.user_id))
    if wanted.failed is True:
        # a literal, as the index has it: of a bound value, a database would not know that it fits
        found.append(columns.outcome > literal_column("0"))
    if wanted.transaction is not None:
        found.append(columns.transaction == searchable_text(wanted.transaction))
    return found


def _names(columns: Any, document: str) -> ColumnElement[bool]:
    """Return the condition that the text of a record has an object of this id."""
    text = json.dumps(searchable(document), ensure_ascii=False)
    named: ColumnElement[bool] = columns.record.contains(f'"id":{text}', autoescape=True)
    return named
