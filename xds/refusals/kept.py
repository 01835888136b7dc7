"""What is kept of refused submissions, read: the latest first, and unknown codes by number."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from xds.errors import Explanation, Violation
from xds.refusals.tables import refusal, unknown_code

_R: Final = refusal.c
_SAME: Final = (
    "at",
    "transaction",
    "is_failure",
    "who",
    "address",
    "message",
    "reason",
    "number",
)
"""Columns that are called as what a refusal has."""
_U: Final = unknown_code.c


@dataclass(frozen=True, slots=True)
class KeptRefusal:
    """A submission that was refused."""

    key: int
    at: int
    """Milliseconds since 1970."""
    transaction: str
    is_failure: bool
    """Whether it was the server that could not, not the request that was wrong."""
    who: str
    address: str
    message: str
    """The id in the header of the message; empty where there is none."""
    reason: str
    """Why it was denied; empty where it was not."""
    number: int
    """How many errors it told."""
    errors: Sequence[Explanation]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that was met and is none of the affinity domain."""

    attribute: str
    code: str
    scheme: str
    number: int
    """Of submissions that were refused for it."""
    first: int
    """Milliseconds since 1970, as the last."""
    last: int
    refusal: int
    """The key of the last of them."""


def refusals(
    connection: Connection, since: int, most: int, before: int = 0
) -> Sequence[KeptRefusal]:
    """Return refusals since a time, newest first; ``before`` is the key behind which they begin."""
    query = select(refusal).where(_R.at >= since)
    if before:
        query = query.where(_R.pk < before)
    return [_read(row) for row in connection.execute(query.order_by(_R.pk.desc()).limit(most))]


def one(connection: Connection, since: int, key: int) -> KeptRefusal | None:
    """Return a refusal since a time by its key."""
    found = connection.execute(select(refusal).where(_R.pk == key, _R.at >= since))
    row = found.one_or_none()
    return None if row is None else _read(row)


def unknown_codes(connection: Connection, since: int, most: int) -> Sequence[UnknownCode]:
    """Return unknown codes that were met since a time, those first that were met most often."""
    query = select(unknown_code).where(_U.last >= since)
    ordered = query.order_by(_U.number.desc(), _U.last.desc(), _U.attribute, _U.code, _U.scheme)
    return [UnknownCode(*row) for row in connection.execute(ordered.limit(most))]


def _read(row: Row[Any]) -> KeptRefusal:
    explained = [
        Explanation(Violation(code, attribute, rule), context, location, value)
        for code, attribute, rule, context, location, value in json.loads(row.errors)
    ]
    told = row._mapping
    return KeptRefusal(key=told["pk"], **{n: told[n] for n in _SAME}, errors=explained)
