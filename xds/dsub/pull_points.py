"""Pull points: where notifications wait to be fetched (DSUB Extensions 3.69, 3.70).

The notifications of a pull point are those of the subscriptions that name it as their consumer. A
message that was given out comes no more once the next request is there, since its answer may have
been lost; a request with the wsa:MessageID of the one before is answered as that was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Final
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from xds.database.access import Database, InCommit, retried
from xds.database.statements import METADATA
from xds.notification.model import Subscription, SubscriptionState, UnknownSubscription
from xds.notification.rights import may_manage, owner_of
from xds.notification.subscriptions import Subscriptions
from xds.notification.told import Notification
from xds.security.caller import Caller

pull_point = Table(
    "pull_point",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("message_id", Text),
    Column("offered", Text, nullable=False),
)
"""A row for each pull point. ``created`` is in milliseconds since 1970.

``offered`` is what the last request was answered with, JSON: the last number by the id of each
subscription; ``message_id`` is the wsa:MessageID of that request.
"""
pull_point_subscription = Table(
    "pull_point_subscription",
    METADATA,
    Column("pull_point", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    PrimaryKeyConstraint("pull_point", "subscription"),
)
"""The ids of the subscriptions of a pull point."""
Index("ix_pull_point_owner", pull_point.c.owner)

MOST: Final = 100
"""Messages that are given out at once, at most."""
_OF_CLIENT: Final = 1_000
_P: Final = pull_point.c
_S: Final = pull_point_subscription.c


class TooManyPullPoints(Exception):
    """The client has as many pull points as it may have."""


@dataclass(frozen=True, slots=True)
class PullPoint:
    """A pull point as it is stored."""

    id: str
    owner: str
    message_id: str | None
    offered: Mapping[str, int]

    def may_be_used_by(self, caller: Caller) -> bool:
        """Tell whether it is a caller's, as of subscriptions."""
        return may_manage(self.owner, caller)


@dataclass(frozen=True, slots=True)
class PullPoints:
    """The pull points of one database; safe to use from many threads and processes."""

    database: Database
    subscriptions: Subscriptions

    def create(self, key: str, caller: Caller, in_commit: InCommit) -> None:
        """Make a pull point of that id; TooManyPullPoints."""
        retried(lambda: self._create(key, owner_of(caller), in_commit))

    def _create(self, key: str, owner: str, in_commit: InCommit) -> None:
        with self.database.write() as connection:
            owned = select(_P.id).where(_P.owner == owner).limit(_OF_CLIENT)
            if len(connection.execute(owned).all()) >= _OF_CLIENT:
                raise TooManyPullPoints
            created = self.database.milliseconds(connection)
            row = {"id": key, "owner": owner, "created": created, "offered": "{}"}
            connection.execute(insert(pull_point), row)
            in_commit(connection)

    def get(self, key: str) -> PullPoint | None:
        """Return a pull point."""
        with self.database.read() as connection:
            row = connection.execute(select(pull_point).where(_P.id == key)).one_or_none()
        if row is None:
            return None
        return PullPoint(row.id, row.owner, row.message_id, json.loads(row.offered))

    def subscribed(self, key: str) -> Sequence[str]:
        """Return the ids of the subscriptions of a pull point."""
        with self.database.read() as connection:
            query = select(_S.subscription).where(_S.pull_point == key)
            return list(connection.scalars(query.order_by(_S.subscription)))

    @staticmethod
    def link(connection: Connection, key: str, subscription_id: str) -> None:
        """Add a subscription to a pull point, in the commit that makes it."""
        row = {"pull_point": key, "subscription": subscription_id}
        connection.execute(insert(pull_point_subscription), row)

    def destroy(self, one: PullPoint, in_commit: InCommit) -> None:
        """Remove a pull point; what waits there is discarded and its subscriptions end."""
        for subscription_id in self.subscribed(one.id):
            try:
                self.subscriptions.end(subscription_id, "its pull point was destroyed")
            except UnknownSubscription:
                continue
        retried(lambda: self._destroy(one.id, in_commit))

    def _destroy(self, key: str, in_commit: InCommit) -> None:
        with self.database.write() as connection:
            connection.execute(delete(pull_point_subscription).where(_S.pull_point == key))
            connection.execute(delete(pull_point).where(_P.id == key))
            in_commit(connection)

    def messages(self, one: PullPoint, at_most: int, message_id: str | None) -> list[Notification]:
        """Return what waits at a pull point, the oldest first, and note that it is given out."""
        is_repeated = message_id is not None and message_id == one.message_id
        if is_repeated:
            return self._oldest(one, one.offered)
        for subscription_id, number in one.offered.items():
            self._confirm(subscription_id, number)
        found = self._oldest(one, None)[: min(at_most, MOST)]
        offered = {told.subscription.id: told.number for told in found}
        if offered or one.offered or message_id:
            retried(lambda: self._note(one.id, offered, message_id))
        return found

    def _confirm(self, subscription_id: str, number: int) -> None:
        try:
            self.subscriptions.pulled(subscription_id, number)
        except UnknownSubscription:
            return

    def _oldest(self, one: PullPoint, until: Mapping[str, int] | None) -> list[Notification]:
        """Return what waits of each subscription, up to some numbers if they are given."""
        found = []
        for subscription_id in self.subscribed(one.id) if until is None else until:
            subscription = self.subscriptions.get(subscription_id)
            if subscription is None or subscription.state is SubscriptionState.ENDED:
                continue
            waiting = self._waiting(subscription)
            last = None if until is None else until[subscription_id]
            found.append([told for told in waiting if last is None or told.number <= last])
        return list(merge(*found, key=lambda told: told.at))

    def _waiting(self, one: Subscription) -> list[Notification]:
        """Return what waits of a subscription, without what its subscriber may not see by now."""
        while waiting := self.subscriptions.pull(one, MOST):
            if seen := [told for told in waiting if told.objects]:
                return seen
            one = self.subscriptions.pulled(one.id, waiting[-1].number)
        return []

    def _note(self, key: str, offered: Mapping[str, int], message_id: str | None) -> None:
        values = {"offered": json.dumps(offered), "message_id": message_id}
        with self.database.write() as connection:
            connection.execute(update(pull_point).where(_P.id == key).values(values))


def new_id() -> str:
    """Return an id that cannot be guessed."""
    return str(uuid4())
