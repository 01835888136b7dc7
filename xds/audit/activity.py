"""How much happens, by hour and transaction, and what came last of each.

Who makes the chain of records longer counts them in the same commit, so an hour of a million
records is a few rows of ``audit_hour``. Up to which record of the chain they are counted is written
down beside them: what a program of before chains, which does not count, is counted by the next one
that does. A look adds what is not counted yet, so nothing is missing, and nothing is there twice.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, delete, select, text

from xds.audit.table import audit_chain, audit_hour, audit_record

HOUR: Final = 3_600_000
"""Milliseconds."""
MOST_COUNTED: Final = 1_000
"""Records of one transaction that are looked at to say what came lately."""
_C: Final = audit_record.c
_H: Final = audit_hour.c
_COUNTED: Final = select(audit_chain.c.sequence).where(audit_chain.c.name == "counted")
_BEFORE: Final = select(audit_chain.c.sequence).where(audit_chain.c.name == "before")
_LAST: Final = (
    select(_C.sequence).where(_C.sequence.is_not(None)).order_by(_C.sequence.desc()).limit(1)
)
_NUMBERS: Final = f"""
    at - at % {HOUR} AS hour, "transaction", count(*) AS number,
    sum(CASE WHEN outcome > 0 THEN 1 ELSE 0 END) AS failed
    FROM audit_record
"""
_ADD: Final = text(
    f"""
    INSERT INTO audit_hour (hour, "transaction", number, failed)
    SELECT {_NUMBERS} WHERE sequence > :counted AND sequence <= :last GROUP BY 1, 2
    ON CONFLICT (hour, "transaction") DO UPDATE SET
        number = audit_hour.number + excluded.number, failed = audit_hour.failed + excluded.failed
    """
)
_NOTE: Final = text(
    """
    INSERT INTO audit_chain (name, sequence, hash) VALUES ('counted', :last, '')
    ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence
    """
)
_BY_HOUR: Final = select(_H.hour, _H.transaction, _H.number, _H.failed).where(
    _H.hour >= bindparam("since", type_=BigInteger), _H.hour < bindparam("until", type_=BigInteger)
)
_NOT_COUNTED: Final = (
    text(f"SELECT {_NUMBERS} WHERE sequence > :counted GROUP BY 1, 2"),
    text(f"SELECT {_NUMBERS} WHERE sequence IS NULL AND pk > :before GROUP BY 1, 2"),
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
    all: Counter[str]
    failed: Counter[str]

    def number(self, transactions: Collection[str]) -> int:
        """Return how many accesses by some transactions there were."""
        return sum(self.all[one] for one in transactions)

    def refused(self, transactions: Collection[str]) -> int:
        """Return how many of those were refused or failed."""
        return sum(self.failed[one] for one in transactions)


def count(connection: Connection) -> None:
    """Count what was chained since the last time: for who holds the chain, in the same commit."""
    counted, last = connection.scalar(_COUNTED) or 0, connection.scalar(_LAST) or 0
    if last > counted:
        connection.execute(_ADD, {"counted": counted, "last": last})
        connection.execute(_NOTE, {"last": last})


def forget(connection: Connection, before: int) -> None:
    """Remove the counts of hours that had ended by a time, in milliseconds since 1970."""
    connection.execute(delete(audit_hour).where(_H.hour <= before - HOUR))


def by_hour(connection: Connection, since: int, until: int) -> list[HourCount]:
    """Return the counts of each hour from a time on until before another, both of full hours.

    The records of those hours may have been removed since; they are counted all the same.
    """
    places = {
        "counted": connection.scalar(_COUNTED) or 0,
        "before": connection.scalar(_BEFORE) or 0,
    }
    rows = [*connection.execute(_BY_HOUR, {"since": since, "until": until})]
    for query in _NOT_COUNTED:
        rows += connection.execute(query, places)
    found = {start: HourCount(start, Counter(), Counter()) for start in range(since, until, HOUR)}
    for hour, transaction, number, failed in rows:
        if hour in found:
            found[hour].all[transaction] += number
            found[hour].failed[transaction] += failed
    return list(found.values())


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
