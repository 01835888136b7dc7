"""How subscriptions fare, for metrics and for those who operate the server."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Text, and_, cast, func, or_, select

from xds.metadata.criteria import Criterion
from xds.notification import rows
from xds.notification.model import SubscriptionState
from xds.notification.tables import notification, subscription
from xds.outgoing.tables import delivery_target
from xds.url_allowlist import BadTarget, Target

MOST_COUNTED: Final = 1_000
_C: Final = subscription.c
_N: Final = notification.c
_T: Final = delivery_target.c
_SENT_TO: Final = and_(_T.channel == _C.protocol, _T.target == cast(_C.pk, Text))
_HEALTH: Final = (
    select(
        *(_C.pk, _C.id, _C.protocol, _C.topic, _C.state, _C.reason, _C.address, _C.numbered),
        *(_C.delivered, _N.at, func.coalesce(_T.attempts, 0), _T.error, _T.due),
    )
    .select_from(
        subscription.outerjoin(
            notification, and_(_N.subscription == _C.pk, _N.number == _C.delivered + 1)
        ).outerjoin(delivery_target, _SENT_TO)
    )
    .order_by(_N.at.is_(None), _N.at, _C.pk)
)
_AMISS: Final = or_(
    _C.numbered > _C.delivered, _C.state == SubscriptionState.ERROR, _T.attempts > 0
)


@dataclass(frozen=True, slots=True)
class SubscriptionHealth:
    """How one subscription fares. Times are milliseconds since 1970."""

    key: int
    """Its number, which grants nothing, unlike its id."""
    id: str
    protocol: str
    topic: str
    state: str
    reason: str
    address: str
    numbered: int
    """How many notifications there have been."""
    delivered: int
    """The number up to which they were taken."""
    oldest: int | None
    """When the first happened that was not taken; None where all were."""
    attempts: int
    """Failures since something was taken."""
    error: str | None
    """Why the last attempt failed, where it did."""
    due: int | None
    """When it is tried again."""

    @property
    def waiting(self) -> int:
        """How many notifications were not taken yet."""
        return self.numbered - self.delivered

    @property
    def origin(self) -> str:
        """Scheme, host and port of its target: what may stand in logs."""
        try:
            return Target.parse(self.address).origin
        except BadTarget:
            return ""


def health(
    connection: Connection,
    *,
    states: Sequence[str] | None = None,
    most: int = 1_000,
    start: int = 0,
) -> list[SubscriptionHealth]:
    """Return how subscriptions fare, those first whose notifications wait longest."""
    query = _HEALTH if states is None else _HEALTH.where(_C.state.in_(list(states)))
    return _read(connection, query.limit(most).offset(start))


def amiss(connection: Connection, most: int) -> list[SubscriptionHealth]:
    """Return the subscriptions whose notifications wait, or whose targets fail."""
    return _read(connection, _HEALTH.where(_AMISS).limit(most))


def of_key(connection: Connection, name: str) -> SubscriptionHealth | None:
    """Return the subscription of an id, or of a number."""
    wanted = _C.pk == int(name) if name.isdecimal() else _C.id == name
    return next(iter(_read(connection, _HEALTH.where(wanted))), None)


def filters(connection: Connection, keys: Collection[int]) -> Mapping[int, Criterion]:
    """Return what some subscriptions ask for, by their numbers."""
    query = select(_C.pk, _C.filter).where(_C.pk.in_(list(keys)))
    return {row.pk: rows.filter_of(row) for row in connection.execute(query)}


def happened(connection: Connection, key: int, since: int) -> int:
    """Return how many notifications of a subscription are of a time or after it, in milliseconds.

    Of the last :data:`MOST_COUNTED` alone, so that it is cheap.
    """
    numbers = select(_N.at).where(_N.subscription == key)
    last = numbers.order_by(_N.number.desc()).limit(MOST_COUNTED).subquery()
    return connection.scalar(select(func.count()).where(last.c.at >= since)) or 0


def _read(connection: Connection, query: Any) -> list[SubscriptionHealth]:
    return [SubscriptionHealth(*row) for row in connection.execute(query)]


def counts(connection: Connection) -> Mapping[tuple[str, ...], int]:
    """Return how many subscriptions there are, by protocol and state."""
    query = select(_C.protocol, _C.state, func.count()).group_by(_C.protocol, _C.state)
    found: Any = connection.execute(query)
    return {(protocol, state): number for protocol, state, number in found}
