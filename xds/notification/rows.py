"""Subscriptions from and to their rows."""

import json
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, text, update

from xds.database.lists import one_of
from xds.database.reading import change, fetch
from xds.metadata.criteria import Criterion
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.notification import filters, rights
from xds.notification.model import (
    NewSubscription,
    Secrets,
    SubscribedTopic,
    Subscription,
    SubscriptionState,
)
from xds.notification.tables import subscription

_KEPT: Final = 16_384
_KINDS: Final[dict[str, type[MetadataObject]]] = {
    one.KIND: one for one in (DocumentEntry, SubmissionSet, Folder)
}
_C: Final = subscription.c
_Columns = namedtuple("_Columns", subscription.c.keys())  # type: ignore[misc]
_BY_ID: Final = select(subscription).where(_C.id == bindparam("wanted"))
_BY_KEY: Final = select(subscription).where(_C.pk == bindparam("wanted"))
_LOCKED: Final = (
    select(subscription).where(one_of.named(_C.pk, "keys")).order_by(_C.pk).with_for_update()
)
_ADVANCED: Final = (
    update(subscription)
    .where(_C.pk == bindparam("key"))
    .values(delivered=bindparam("told"), queued=bindparam("waiting"))
)
_REVISION: Final = text(
    "INSERT INTO subscription_revision (pk, last) VALUES (1, 1) ON CONFLICT (pk) "
    "DO UPDATE SET last = subscription_revision.last + 1 RETURNING last"
)


def subscription_of(row: Any) -> Subscription:
    """Return what a row says, but not its secrets."""
    secrets = json.loads(row.secrets)
    headers = tuple(secrets.get("headers", ()))
    return Subscription(
        key=row.pk,
        id=row.id,
        protocol=row.protocol,
        topic=topic_of(row),
        filter=filter_of(row),
        transaction=row.transaction_name,
        owner=row.owner,
        caller=rights.loaded_caller(row.caller),
        address=row.address,
        details=json.loads(row.details),
        header_names=headers,
        has_secrets=bool(secrets),
        state=SubscriptionState(row.state),
        reason=row.reason,
        created=row.created,
        ends=row.ends,
        heartbeat=row.heartbeat,
        numbered=row.numbered,
        queued=row.queued,
        delivered=row.delivered,
        round=row.round,
        recovers=bool(row.recovers),
        tells_end=bool(row.tells_end),
        failed_since=row.failed_since,
    )


def topic_of(row: Any) -> SubscribedTopic:
    """Return the topic of a row."""
    return _topic(row.topic, row.object_kind, row.changes, row.is_grouped)


def filter_of(row: Any) -> Criterion:
    """Return the filter of a row; one object for equal texts."""
    return _filter(row.filter)


@lru_cache(_KEPT)
def _topic(name: str, kind: str, changes: str, is_grouped: int) -> SubscribedTopic:
    return SubscribedTopic(name, _KINDS[kind], frozenset(json.loads(changes)), bool(is_grouped))


_filter = lru_cache(_KEPT)(filters.loaded)


def added(connection: Connection, new: NewSubscription, **values: Any) -> str:
    """Write a new subscription, with the columns that follow from the moment; return its id."""
    row = {
        "id": new.id,
        "protocol": new.protocol,
        "topic": new.topic.name,
        "object_kind": new.topic.kind.KIND,
        "changes": json.dumps(sorted(new.topic.changes)),
        "is_grouped": int(new.topic.is_grouped),
        "recovers": int(new.recovers),
        "tells_end": int(new.tells_end),
        "filter": filters.dumped(new.filter),
        "transaction_name": new.transaction,
        "owner": rights.owner_of(new.caller),
        "caller": rights.dumped_caller(new.caller),
        "address": new.address,
        "details": json.dumps(dict(new.details)),
        "secrets": _dumped(new.secrets),
        "reason": "",
        "ends": new.ends,
        "heartbeat": new.heartbeat,
        "numbered": 0,
        "queued": 0,
        "delivered": 0,
        "round": 0,
    }
    row["revision"] = next_revision(connection)
    connection.execute(insert(subscription), row | values)
    return new.id


def _dumped(secrets: Secrets) -> str:
    parts = {
        "headers": dict(secrets.headers),
        "hmac_key": secrets.hmac_key,
        "bearer": secrets.bearer,
    }
    return json.dumps({name: value for name, value in parts.items() if value})


def secrets_of(row: Any) -> Secrets:
    """Return the secrets of a subscription: for the sender alone."""
    return Secrets(**json.loads(row.secrets))


def row_of(connection: Connection, subscription_id: str) -> Any | None:
    """Return the row of an id, if there is one."""
    return connection.execute(_BY_ID, {"wanted": subscription_id}).one_or_none()


def row_of_key(connection: Connection, key: int) -> Any:
    """Return what stands in the row of a key, by its columns; None where there is none."""
    return next((_Columns(*row) for row in fetch(connection, _BY_KEY, {"wanted": key})), None)


def locked(connection: Connection, keys: Iterable[int]) -> Sequence[Any]:
    """Return rows by their keys and keep others from them: in one order, so without deadlock."""
    wanted = sorted(set(keys))
    found = fetch(connection, _LOCKED, {"keys": wanted}) if wanted else []
    return [_Columns(*row) for row in found]


def next_revision(connection: Connection) -> int:
    """Return a revision that is in the order of commits: others wait for the end of this one.

    Whoever asks for one has locked the rows of subscriptions that it locks.
    """
    return int(connection.execute(_REVISION).scalar_one())


def changed(connection: Connection, key: int, **values: Any) -> None:
    """Write columns of a subscription."""
    connection.execute(update(subscription).where(_C.pk == key).values(**values))


def advanced(connection: Connection, told: Mapping[int, Mapping[str, Any]]) -> None:
    """Write ``delivered`` and ``queued`` of subscriptions by their keys, where there are any."""
    values = [
        {"key": key, "told": columns["delivered"], "waiting": columns["queued"]}
        for key, columns in told.items()
        if columns
    ]
    change(connection, _ADVANCED, values)
