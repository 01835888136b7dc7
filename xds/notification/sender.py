"""Sending notifications: a channel of the delivery queue for each protocol.

A delivery says no more than which notification it is. What is sent is read and rendered at each
attempt, as the subscriber may see it then; of many that go out in a row, some together.
"""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from xds.config import Config
from xds.database.access import Database
from xds.notification import rows, told
from xds.notification.model import (
    NotificationKind,
    Secrets,
    Subscription,
    SubscriptionState,
    TargetNotAllowed,
)
from xds.notification.numbers import QueuedNotification
from xds.notification.outcomes import Outcomes
from xds.notification.subscriptions import Subscriptions
from xds.notification.told import Notification, RenderedNotification
from xds.outgoing.delivery import (
    Channel,
    Delivery,
    NotDelivered,
    RetrySchedule,
    TargetOutcome,
)
from xds.outgoing.http_sender import Poster
from xds.outgoing.transport import HttpRequest, Settings
from xds.registry.queries.views import RegistryView
from xds.tls import contexts

_AHEAD: Final = 16
"""Notifications that are rendered together."""
_AHEAD_SECONDS: Final = 1.0
_MOST_AHEAD: Final = 256
"""Subscriptions of which some are kept."""
_CONNECT_SECONDS: Final = 5.0
_SILENCE_SECONDS: Final = 20.0

Renderer = Callable[[Notification, RegistryView], RenderedNotification | None]
"""Makes of a notification what goes on the wire. It is handed the registry as the subscriber may
see it. None: it is not told, and counts as taken."""

Recorder = Callable[[Connection, Notification], None]
"""Writes that a target has taken a notification of events, in the commit that notes it."""


def _no_recorder(_config: Config) -> None:
    """Return that nothing is recorded."""


_S: Final = SubscriptionState
_EVENTS_GO: Final = frozenset({_S.ACTIVE, _S.ERROR})
_GOES: Final[Mapping[NotificationKind, frozenset[SubscriptionState]]] = {
    NotificationKind.EVENT: _EVENTS_GO,
    NotificationKind.HEARTBEAT: _EVENTS_GO,
    NotificationKind.HANDSHAKE: frozenset({_S.REQUESTED}),
    NotificationKind.DEACTIVATION: frozenset({_S.OFF, _S.ENDED}),
}
"""In which states of a subscription what is sent."""


@dataclass(frozen=True, slots=True)
class NotificationProtocol:
    """One way of telling: a row of PROTOCOLS in :mod:`xds.channels`."""

    name: str
    """What subscriptions name it by, and the name of its channel of the delivery queue."""
    renderer: Callable[[Config], Renderer]
    recorder: Callable[[Config], Recorder | None] = _no_recorder
    """What records what was taken, where the options want that."""


def channel(protocol: NotificationProtocol, config: Config, database: Database) -> Channel | None:
    """Return the channel of a protocol; None where the options allow no target."""
    if not config.notification_targets or config.registry_url:
        return None
    subscriptions = Subscriptions.open(config, database)
    return Channel(
        name=protocol.name,
        send=NotificationSender(subscriptions, protocol.renderer(config), config),
        schedule=_schedule(config),
        note=_Notes(subscriptions, protocol.recorder(config)).note,
    )


def _schedule(config: Config) -> RetrySchedule:
    pauses = tuple(map(float, config.notification_retries.split()))
    return RetrySchedule(pauses, config.notification_retry_jitter / 100)


class _Notes:
    """Notes what has become of notifications, and has what was taken recorded."""

    def __init__(self, subscriptions: Subscriptions, recorder: Recorder | None) -> None:
        self._rights = subscriptions.rights
        self._outcomes = Outcomes(subscriptions.database, subscriptions.patience)
        self._recorder = recorder

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Note outcomes: see :class:`xds.outgoing.delivery.Channel`."""
        if self._recorder is not None:
            for outcome in outcomes:
                for delivery in outcome.delivered:
                    self._record(connection, QueuedNotification.read(delivery.id), self._recorder)
        self._outcomes.note(connection, now, outcomes)

    def _record(self, connection: Connection, what: QueuedNotification, recorder: Recorder) -> None:
        row = rows.row_of_key(connection, what.subscription)
        if row is None or row.round != what.round or what.kind is not NotificationKind.EVENT:
            return  # it was not sent, or told nothing of a patient
        one = rows.subscription_of(row)
        for taken in told.after(connection, one, self._rights, what.number - 1, what.number, 1):
            if taken.objects:
                recorder(connection, taken)


@dataclass(slots=True)
class _NextOnes:
    """Notifications of a subscription, rendered together."""

    state: tuple[object, ...]
    """What they tell of the subscription."""
    until: float
    """By ``time.monotonic()``."""
    next: int
    """The number of the one that follows what was last asked for."""
    rendered: dict[int, RenderedNotification | None]


class _ReadAhead:
    """Has notifications of a subscription rendered together while they go out one by one.

    Nothing is read ahead before a second one is asked for, and what was is used for a second.
    A subscription is one thread's at a time.
    """

    def __init__(self) -> None:
        self._of: dict[int, _NextOnes] = {}

    def taken(
        self,
        one: Subscription,
        number: int,
        read: Callable[[int], Mapping[int, RenderedNotification | None]],
    ) -> RenderedNotification | None:
        """Return the notification of a number; ``read`` returns so many from it on."""
        now, state = time.monotonic(), (one.round, one.state, one.reason)
        known = self._of.pop(one.key, None)
        is_next = known is not None and (known.state, known.next) == (state, number)
        if known is None or not is_next or known.until < now:
            rendered = read(_AHEAD if is_next else 1)
            known = _NextOnes(state, now + _AHEAD_SECONDS, number, dict(rendered))
        elif number not in known.rendered:
            known.rendered.update(read(_AHEAD))
            known.until = now + _AHEAD_SECONDS
        known.next = number + 1
        while len(self._of) >= _MOST_AHEAD:
            self._of.pop(next(iter(self._of)), None)
        self._of[one.key] = known
        return known.rendered.pop(number, None)


class NotificationSender:
    """Sends notifications of one protocol."""

    def __init__(self, subscriptions: Subscriptions, render: Renderer, config: Config) -> None:
        self._subscriptions = subscriptions
        self._render = render
        settings = Settings(
            timeout=min(_SILENCE_SECONDS, config.notification_seconds),
            connect_timeout=min(_CONNECT_SECONDS, config.notification_seconds),
            total=config.notification_seconds,
            tls=contexts.outgoing(config),
        )
        self._poster = Poster(settings, subscriptions.targets.reaches)
        self._ahead = _ReadAhead()

    def __call__(self, delivery: Delivery) -> None:
        """Send a notification once; NotDelivered where it was not taken."""
        what = QueuedNotification.read(delivery.id)
        with self._subscriptions.database.read() as connection:
            row = rows.row_of_key(connection, what.subscription)
            if row is None or row.round != what.round or row.state not in _GOES[what.kind]:
                return  # a state of before
            one = rows.subscription_of(row)
            rendered = self._rendered(connection, one, what)
            secrets = rows.secrets_of(row)
        if rendered is not None:
            self._post(one, rendered, secrets)

    def _rendered(
        self, connection: Connection, one: Subscription, what: QueuedNotification
    ) -> RenderedNotification | None:
        rights = self._subscriptions.rights
        if what.kind is not NotificationKind.EVENT:
            other = Notification(
                subscription=one,
                kind=what.kind,
                id=told.notification_id(what.id, 0),
                number=one.numbered,
            )
            return self._render(other, told.view_of(connection, one, rights))
        return self._ahead.taken(one, what.number, partial(self._read, connection, one, what))

    def _read(
        self, connection: Connection, one: Subscription, what: QueuedNotification, most: int
    ) -> Mapping[int, RenderedNotification | None]:
        """Return what is sent of an event and of those behind it; of none that is not kept."""
        rights = self._subscriptions.rights
        last = max(one.queued, what.number)
        found = told.after(connection, one, rights, what.number - 1, last, most)
        view = told.view_of(connection, one, rights)
        return {event.number: self._render(event, view) for event in found}

    def _post(self, one: Subscription, rendered: RenderedNotification, secrets: Secrets) -> None:
        try:
            target = self._subscriptions.targets.admitted(one.address)
        except TargetNotAllowed:
            raise NotDelivered("the address is not allowed any more", refused=True) from None
        message = HttpRequest(
            content_type=rendered.content_type,
            length=len(rendered.content),
            blocks=[rendered.content],
            headers={**rendered.headers, **_credentials(rendered.content, secrets)},
            method=rendered.method,
            path=rendered.path,
            repeatable=True,
        )
        self._poster.post(target, message)


def _credentials(content: bytes, secrets: Secrets) -> Mapping[str, str]:
    """Return the headers of a subscription's secrets, with the signature of the body."""
    headers = dict(secrets.headers)
    if secrets.bearer:
        headers["Authorization"] = f"Bearer {secrets.bearer}"
    if secrets.hmac_key:
        signature = hmac.digest(secrets.hmac_key.encode(), content, "sha256").hex()
        headers["X-Hub-Signature"] = f"sha256={signature}"
    return headers


def channels(
    protocols: Sequence[NotificationProtocol],
) -> Sequence[Callable[[Config, Database], Channel | None]]:
    """Return what makes the channel of each protocol."""

    def made(one: NotificationProtocol) -> Callable[[Config, Database], Channel | None]:
        return lambda config, database: channel(one, config, database)

    return [made(one) for one in protocols]
