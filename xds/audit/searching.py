"""Search of the audit records, newest first: all at once, or page by page with bounded work.

A page is found by one index, that of the condition which fits the fewest records as a rule; the
other conditions are held against a number of these records. Where it ends before the page is full,
the next page goes on from there: so no search reads a million records for one answer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, literal_column, or_, select

from xds.audit.record import AuditRecord, milliseconds
from xds.audit.table import audit_record, searchable_text
from xds.metadata.searched import searchable

LOOKED_AT: Final = 5_000
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
    conditions = [*_indexed(wanted), *_others(wanted, _C)]
    for row in connection.execute(_ordered(_C, conditions).limit(most)):
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
    indexed = list(_indexed(wanted))
    if after is not None:
        indexed.append(and_(_C.at <= after.at, or_(_C.at < after.at, _C.pk < after.key)))
    inner = _ordered(_C, indexed).limit(looked_at)
    query = inner.limit(most + 1)
    has_others = bool(_others(wanted, _C))
    if has_others:
        some = inner.add_columns(_C.transaction, _C.outcome, _C.patient_id, _C.user_id).subquery().c
        query = _ordered(some, _others(wanted, some)).limit(most + 1)
    rows = connection.execute(query).all()
    records = [AuditRecord.load(row.record) for row in rows[:most]]
    fitting = [one for one in records if wanted.fits(one)]
    if len(rows) > most:
        last = rows[most - 1]
        return RecordPage(fitting, RecordPosition(last.at, last.pk), is_full=True)
    end = select(_C.at, _C.pk).where(*indexed).order_by(*_NEWEST).offset(looked_at - 1).limit(1)
    found = connection.execute(end).one_or_none() if has_others else None
    return RecordPage(fitting, found and RecordPosition(*found))


def _ordered(columns: Any, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    query = select(columns.record, columns.at, columns.pk).where(*conditions)
    return query.order_by(columns.at.desc(), columns.pk.desc())


def _indexed(wanted: RecordFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions that one index answers together."""
    yield from _on_values(wanted, _C)[:1]
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
    for name in ("user_id", "transaction"):
        if (value := getattr(wanted, name)) is not None:
            found.append(columns[name] == searchable_text(value))
    if wanted.failed is True:
        # a literal, as the index has it: of a bound value, a database would not know that it fits
        found.append(columns.outcome > literal_column("0"))
    return found


def _names(columns: Any, document: str) -> ColumnElement[bool]:
    """Return the condition that the text of a record has an object of this id."""
    text = json.dumps(searchable(document), ensure_ascii=False)
    named: ColumnElement[bool] = columns.record.contains(f'"id":{text}', autoescape=True)
    return named
