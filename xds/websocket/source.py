"""What a websocket is told of a subscription, read from the database and noted there.

Notifications are numbered and kept as those of every subscription, and are fetched from here: each
connection has a place of its own in them, and what one has taken is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from xds.affinity_domain import AffinityDomain
from xds.audit import table
from xds.audit.record import RecordJson
from xds.config import Config
from xds.dsubm import rendering
from xds.dsubm.subscriptions import PROTOCOL, FhirSubscription
from xds.fhir.r4 import rendering as r4
from xds.notification import rows, told
from xds.notification.binding import BindingTokens
from xds.notification.model import (
    NotificationKind,
    Subscription,
    SubscriptionState,
    UnknownSubscription,
)
from xds.notification.recorder import recorder
from xds.notification.sender import Recorder
from xds.notification.subscriptions import Subscriptions
from xds.notification.tables import subscription
from xds.notification.told import Notification
from xds.registry.queries.views import RegistryView
from xds.security.caller import Caller

MOST_AT_ONCE: Final = 16
"""Notifications that are under way to a client, which has not taken them yet."""
_ASKED: Final = 500
_C: Final = subscription.c
_POSITIONS: Final = select(_C.pk, _C.numbered, _C.round, _C.state).where(
    _C.pk.in_(bindparam("keys", expanding=True))
)
_OVER: Final = frozenset({SubscriptionState.OFF, SubscriptionState.ENDED})


class Place(NamedTuple):
    """How far a connection is told of a subscription."""

    number: int
    round: int


class SocketMessage(NamedTuple):
    """A notification as it is sent."""

    number: int
    text: str | None
    """None: it is not told, and counts as taken."""
    told: Notification

    @property
    def tells(self) -> bool:
        """Whether it tells of an object."""
        return self.text is not None and bool(self.told.objects)


@dataclass(frozen=True, slots=True)
class NextMessages:
    """What is to be sent next."""

    place: Place
    """The one that its messages follow."""
    messages: Sequence[SocketMessage] = ()
    last_word: str | None = None
    """What is sent last, where nothing more will be told."""
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class BoundSubscription:
    """A subscription that a connection is to be bound to."""

    key: int
    place: Place
    greeting: str
    heartbeat: int | None
    """Seconds; None: none is wanted."""


@dataclass(frozen=True, slots=True)
class NotificationSource:
    """The subscriptions of one database; safe to use from many threads.

    Whatever it does raises DatabaseUnavailable.
    """

    subscriptions: Subscriptions
    tokens: BindingTokens
    render: rendering.NotificationRenderer
    record: Recorder | None

    @classmethod
    def open(cls, config: Config, domain: AffinityDomain) -> "NotificationSource":
        """Return that of an affinity domain."""
        assert domain.subscriptions is not None, "the registry is here"
        return cls(
            domain.subscriptions,
            BindingTokens(domain.database, config.websocket_token_seconds),
            rendering.renderer(config),
            recorder("ITI-112")(config),
        )

    def by_token(self, token: str) -> Sequence[BoundSubscription]:
        """Return what a token binds to; nothing where it binds to nothing by now."""
        keys = self.tokens.bound_by(token)
        with self.subscriptions.database.read() as connection:
            found = [self._living(connection, key) for key in keys]
            return [self._bound(connection, one) for one in found if one is not None]

    def by_id(self, subscription_id: str, caller: Caller) -> BoundSubscription | None:
        """Return what an id binds to (R4, Subscription); None where the caller may not have it.

        That is a search, of which nothing is told but that something was found.
        """
        one = self.subscriptions.get(subscription_id)
        if one is None or not _is_bindable(one) or FhirSubscription(one).content:
            return None
        if not self.subscriptions.may_manage(one, caller):
            return None
        with self.subscriptions.database.read() as connection:
            return self._bound(connection, one)

    def _living(self, connection: Connection, key: int) -> Subscription | None:
        row = rows.row_of_key(connection, key)
        one = None if row is None else rows.subscription_of(row)
        return one if one is not None and _is_bindable(one) else None

    def _bound(self, connection: Connection, one: Subscription) -> BoundSubscription:
        known = FhirSubscription(one)
        greeting = self._other(connection, one, NotificationKind.HANDSHAKE)
        return BoundSubscription(
            one.key,
            Place(one.delivered, one.round),
            f"bound {one.id}" if greeting is None else greeting,
            known.heartbeat if known.content else None,
        )

    def next(self, key: int, place: Place) -> NextMessages:
        """Return what follows a place."""
        with self.subscriptions.database.read() as connection:
            row = rows.row_of_key(connection, key)
            if row is None:
                return NextMessages(place, is_over=True)
            one = rows.subscription_of(row)
            if one.round != place.round:  # it was replayed, paused or requested again
                place = Place(one.delivered, one.round)
            if one.state in _OVER:
                word = self._other(connection, one, NotificationKind.DEACTIVATION)
                return NextMessages(place, last_word=word, is_over=True)
            if one.state is SubscriptionState.PAUSED:
                return NextMessages(place)
            rights = self.subscriptions.rights
            found = told.after(connection, one, rights, place.number, None, MOST_AT_ONCE)
            view = told.view_of(connection, one, rights)
            return NextMessages(
                place, [SocketMessage(n.number, self._text(n, view), n) for n in found]
            )

    def _text(self, notification: Notification, view: RegistryView) -> str | None:
        one = FhirSubscription(notification.subscription)
        if one.content:
            return self._bundle(notification, view)
        return f"ping {one.own.id}" if notification.objects else None

    def _bundle(self, notification: Notification, view: RegistryView) -> str:
        form = FhirSubscription(notification.subscription).form
        return r4.render(self.render.bundle(notification, view), form).decode()

    def heartbeat(self, key: int) -> str | None:
        """Return what says that nothing has happened; None where nothing is to be said."""
        with self.subscriptions.database.read() as connection:
            one = self._living(connection, key)
            if one is None or one.state is SubscriptionState.PAUSED:
                return None
            return self._other(connection, one, NotificationKind.HEARTBEAT)

    def _other(
        self, connection: Connection, one: Subscription, kind: NotificationKind
    ) -> str | None:
        """Return what is no event; None for subscriptions without a topic."""
        if not FhirSubscription(one).content:
            return None
        identifier = told.notification_id(f"{one.id} {kind.value}", one.numbered)
        other = Notification(subscription=one, kind=kind, id=identifier, number=one.numbered)
        view = told.view_of(connection, one, self.subscriptions.rights)
        return self._bundle(other, view)

    def taken(self, part: Sequence[SocketMessage], place: Place, client: str) -> None:
        """Note that a client, by its address, has taken messages that followed a place."""
        one = part[-1].told.subscription

        made: list[RecordJson] = []
        if self.record is not None:
            made = [
                one
                for each in part
                if each.tells
                for one in self.record(_told_to(client, each.told))
            ]

        def record(connection: Connection) -> None:
            table.insert(connection, made)

        try:
            self.subscriptions.pulled(
                one.id, part[-1].number, in_commit=record, of_round=place.round
            )
        except UnknownSubscription:  # it has ended meanwhile: what was told was told
            with self.subscriptions.database.write() as connection:
                record(connection)

    def positions(self, keys: Sequence[int]) -> Mapping[int, object]:
        """Return of subscriptions what changes when there is something to be told."""
        found: dict[int, object] = {}
        with self.subscriptions.database.read() as connection:
            for start in range(0, len(keys), _ASKED):
                asked = {"keys": list(keys[start : start + _ASKED])}
                found |= {row[0]: row[1:] for row in connection.execute(_POSITIONS, asked).all()}
        return found


def _told_to(client: str, told: Notification) -> Notification:
    """Return a notification with the address of a client as that of its target."""
    return replace(told, subscription=replace(told.subscription, address=client))


def _is_bindable(one: Subscription) -> bool:
    return (
        one.protocol == PROTOCOL and FhirSubscription(one).is_websocket and one.state not in _OVER
    )
