"""The interceptor that keeps what senders of refused submissions were told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from xds import logs
from xds.database.access import Database, retried
from xds.database.errors import DatabaseUnavailable
from xds.errors import Explanation
from xds.metadata.catalogue import TransactionKind, names_of
from xds.metadata.searched import searchable
from xds.refusals.tables import refusal, unknown_code
from xds.security.access import Access
from xds.security.interceptors import Outcome, Result

SUBMITTING: Final = frozenset(
    names_of(TransactionKind.SUBMIT, TransactionKind.UPDATE, TransactionKind.REMOVE)
)
"""The transactions whose refusals are kept: those that change what is registered."""
UNKNOWN: Final = "codes_of_the_domain"
"""The rule by which an unknown code is refused (xds.metadata.rules)."""
MOST_REFUSALS: Final = 100_000
"""Of more, the oldest are forgotten, however young they are."""
MOST_ERRORS: Final = 50
"""Of one refusal."""
MOST_CODES: Final = 10_000
"""Unknown codes that are counted; of more, those met last longest ago are forgotten."""
_LONGEST: Final = 1_000
"""Characters of a text."""
_LONGEST_CODE: Final = 250
"""An index of PostgreSQL takes 2,704 bytes."""
_FORGOTTEN: Final = 500
"""Rows that one refusal forgets at most."""
DAY: Final = 86_400_000
_R: Final = refusal.c
_U: Final = unknown_code.c
_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefusalKeeper:
    """Keeps refusals of submissions, and counts the unknown codes among them, for some days.

    Where that fails, the answer goes all the same: the audit record is the one that is owed.
    """

    database: Database
    days: int

    def enter(self, access: Access) -> None:
        """Nothing is to be done before."""

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Keep what was refused."""
        if outcome.is_success or outcome.result is Result.PARTIAL:
            return
        if access.transaction not in SUBMITTING:
            return
        try:
            retried(lambda: self._keep(access, outcome))
        except DatabaseUnavailable as error:
            _log.warning("a refusal was not kept", reason=str(error))

    def _keep(self, access: Access, outcome: Outcome) -> None:
        with self.database.write() as connection:
            now = self.database.milliseconds(connection)
            row = {"at": now, **_row(access, outcome)}
            key = connection.scalar(insert(refusal).returning(_R.pk), row) or 0
            for attribute, code, scheme in dict.fromkeys(_unknown(outcome)):
                _count(connection, (attribute, code, scheme), now, key)
            _forget(connection, now - self.days * DAY, key - MOST_REFUSALS)


def _row(access: Access, outcome: Outcome) -> dict[str, object]:
    caller, message = access.caller, access.message
    user = caller.user.audit_name if caller.user else ""
    denied = outcome.denied or outcome.unauthenticated
    rule = outcome.denied.rule if outcome.denied else ""
    told = outcome.explanations or [Explanation(one, "") for one in outcome.violations]
    return {
        "transaction": access.transaction,
        "is_failure": outcome.result is Result.ERROR,
        "who": _text(user or message.sender or caller.node.certificate_subject or ""),
        "address": _text(caller.node.address),
        "message": _text(message.message_id),
        "reason": _text(rule or (str(denied) if denied else "")),
        "number": len(told),
        "errors": json.dumps([_error(one) for one in told[:MOST_ERRORS]]),
    }


def _error(told: Explanation) -> list[str]:
    return [*told.violation, *(_text(one) for one in told[1:])]


def _text(text: str) -> str:
    cut = searchable(text[:_LONGEST])
    return cut.encode("utf-8", "replace").decode()


def _unknown(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    for one in outcome.explanations:
        if one.violation.rule == UNKNOWN and one.value:
            code, _, scheme = _text(one.value).partition("^^")
            yield one.violation.attribute, code[:_LONGEST_CODE], scheme[:_LONGEST_CODE]


def _count(connection: Connection, named: tuple[str, str, str], now: int, key: int) -> None:
    attribute, code, scheme = named
    where = (_U.attribute == attribute, _U.code == code, _U.scheme == scheme)
    more = update(unknown_code).where(*where)
    found = connection.execute(more.values(number=_U.number + 1, last=now, refusal=key))
    if found.rowcount:
        return
    if (connection.scalar(select(func.count()).select_from(unknown_code)) or 0) >= MOST_CODES:
        oldest = select(_U.last).order_by(_U.last).limit(1).scalar_subquery()
        connection.execute(delete(unknown_code).where(_U.last == oldest))
    row = {"attribute": attribute, "code": code, "scheme": scheme, "number": 1}
    connection.execute(insert(unknown_code), {**row, "first": now, "last": now, "refusal": key})


def _forget(connection: Connection, before: int, last: int) -> None:
    """Forget what is older than a time, and keys up to the last that are too many."""
    old = select(_R.pk).where(_R.at < before).order_by(_R.at).limit(_FORGOTTEN)
    many = select(_R.pk).where(_R.pk <= last).order_by(_R.pk).limit(_FORGOTTEN)
    for gone in (old, many):
        connection.execute(delete(refusal).where(_R.pk.in_(gone)))
    connection.execute(delete(unknown_code).where(_U.last < before))
