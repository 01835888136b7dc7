"""How much happens, counted of the audit records by their indexes: by hour, and what came last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, func, literal_column, select

from xds.audit.table import audit_record

HOUR: Final = 3_600_000
"""Milliseconds."""
MOST_COUNTED: Final = 1_000
"""Records of one transaction that are looked at to say what came lately."""
_C: Final = audit_record.c
_SINCE: Final = bindparam("since", type_=BigInteger)
_PLACE: Final = ((_C.at - _SINCE) // literal_column("3600000", BigInteger)).label("place")
_BETWEEN: Final = (_C.at >= _SINCE, _C.at < bindparam("until", type_=BigInteger))
# of the columns of one index, for there may be a million of them
_NUMBERS: Final = (
    select(_C.transaction, _PLACE, func.count())
    .where(_C.transaction.in_(bindparam("transactions", expanding=True)), *_BETWEEN)
    .group_by(_C.transaction, _PLACE)
)
_FAILED: Final = (
    select(_C.transaction, _PLACE, func.count())
    .where(_C.outcome > literal_column("0"), *_BETWEEN)
    .group_by(_C.transaction, _PLACE)
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


def by_hour(
    connection: Connection, since: int, until: int, transactions: Collection[str]
) -> list[HourCount]:
    """Count the records of each hour from a time on until before another, by transactions."""
    between = {"since": since, "until": until}
    numbers = connection.execute(_NUMBERS, {**between, "transactions": list(transactions)})
    found = {(name, place): number for name, place, number in numbers}
    failures = connection.execute(_FAILED, between)
    failed = {(name, place): number for name, place, number in failures}
    return [
        HourCount(
            since + place * HOUR,
            {one: number for one in transactions if (number := found.get((one, place)))},
            {one: number for one in transactions if (number := failed.get((one, place)))},
        )
        for place in range(-(-(until - since) // HOUR))
    ]


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
