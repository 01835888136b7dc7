"""How much happens, counted of the audit records by their indexes: by hour, and what came last."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, literal_column, select

from xds.audit.table import audit_record

HOUR: Final = 3_600_000
"""Milliseconds."""
MOST_COUNTED: Final = 1_000
"""Records of one transaction that are looked at to say what came lately."""
_C: Final = audit_record.c
_BETWEEN: Final = (_C.at >= bindparam("since"), _C.at < bindparam("until"))
# of the columns of one index each, for there may be a million in an hour
_NUMBER: Final = select(func.count()).where(_C.transaction == bindparam("transaction"), *_BETWEEN)
_FAILED: Final = (
    select(_C.transaction, func.count())
    .where(_C.outcome > literal_column("0"), *_BETWEEN)
    .group_by(_C.transaction)
)
_LATEST: Final = (
    select(_C.at, _C.outcome)
    .where(_C.transaction == bindparam("transaction"))
    .order_by(_C.at.desc())
    .limit(MOST_COUNTED)
)


@dataclass(frozen=True, slots=True)
class HourCount:
    """What was recorded within an hour, by transaction."""

    start: int
    """Milliseconds since 1970."""
    all: Mapping[str, int]
    failed: Mapping[str, int]

    def number(self, transactions: Collection[str]) -> int:
        """Return how many accesses by some transactions there were."""
        return sum(self.all.get(one, 0) for one in transactions)

    def refused(self, transactions: Collection[str]) -> int:
        """Return how many of those were refused or failed."""
        return sum(self.failed.get(one, 0) for one in transactions)


def hour(connection: Connection, start: int, transactions: Collection[str]) -> HourCount:
    """Count the records of an hour that begins at a time, by transactions."""
    between = {"since": start, "until": start + HOUR}
    found: Counter[str] = Counter()
    for one in transactions:
        found[one] = connection.scalar(_NUMBER, {"transaction": one, **between}) or 0
    failed = {row[0]: row[1] for row in connection.execute(_FAILED, between)}
    return HourCount(start, found, failed)


@dataclass(frozen=True, slots=True)
class Latest:
    """What came lately by a transaction: of the last :data:`MOST_COUNTED` records alone."""

    last: int
    """When the last one came, in milliseconds since 1970; 0 for never."""
    number: int
    failed: int


def latest(connection: Connection, transaction: str, since: int) -> Latest:
    """Return what came by a transaction since a time."""
    rows = connection.execute(_LATEST, {"transaction": transaction}).all()
    counted = [row.outcome for row in rows if row.at >= since]
    last = rows[0].at if rows else 0
    return Latest(last, len(counted), sum(outcome > 0 for outcome in counted))
