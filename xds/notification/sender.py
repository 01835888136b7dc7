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

from xds.audit import table
from xds.audit.record import RecordJson
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
from xds.url_allowlist import Target

_AHEAD: Final = 16
"""Notifications that are read and rendered together."""
_AHEAD_SECONDS: Final = 0.2
"""For which they are used: a subscription that ends meanwhile may still be told one."""
_MOST_AHEAD: Final = 256
"""Subscriptions of which some are kept."""
_CONNECT_SECONDS: Final = 5.0
_SILENCE_SECONDS: Final = 20.0

Renderer = Callable[[Notification, RegistryView], RenderedNotification | None]
"""Makes of a notification what goes on the wire. It is handed the registry as the subscriber may
see it. None: it is not told, and counts as taken."""

Recorder = Callable[[Notification], Sequence[RecordJson]]
"""Makes the audit records of a notification of an event that a target has taken."""


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
        send=NotificationSender(
            subscriptions, protocol.renderer(config), protocol.recorder(config), config
        ),
        schedule=_schedule(config),
        note=_Notes(subscriptions).note,
    )


def _schedule(config: Config) -> RetrySchedule:
    pauses = tuple(map(float, config.notification_retries.split()))
    return RetrySchedule(pauses, config.notification_retry_jitter / 100)


class _Notes:
    """Notes what has become of notifications, with the audit records of what was taken."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._outcomes = Outcomes(subscriptions.database, subscriptions.patience)

    def note(self, connection: Connection, now: int, outcomes: Sequence[TargetOutcome]) -> None:
        """Note outcomes: see :class:`xds.outgoing.delivery.Channel`."""
        table.insert(
            connection,
            [one for each in outcomes for records in each.receipts for one in records],
        )
        self._outcomes.note(connection, now, outcomes)


@dataclass(frozen=True, slots=True)
class _ReadyPost:
    """A notification that only has to be posted."""

    target: Target
    message: HttpRequest
    notification: Notification


_NextPosts = Mapping[int, _ReadyPost | None]
"""Notifications by their numbers. None: nothing is sent, and it counts as taken."""


@dataclass(slots=True)
class _NextOnes:
    """Notifications of a subscription that were read together."""

    round: int
    """That of the subscription."""
    until: float
    """By ``time.monotonic()``."""
    next: int
    """The number of the one that follows what was last asked for."""
    prepared: dict[int, _ReadyPost | None]


class _ReadAhead:
    """Has a subscription and its notifications read together while they go out one by one.

    Nothing is read ahead before a second one is asked for, and what was is used for no longer than
    a message might be under way. A subscription is one thread's at a time.
    """

    def __init__(self) -> None:
        self._of: dict[int, _NextOnes] = {}

    def taken(
        self, what: QueuedNotification, read: Callable[[int], _NextPosts]
    ) -> _ReadyPost | None:
        """Return an event as it is sent; ``read`` returns so many from it on."""
        now, number = time.monotonic(), what.number
        known = self._of.pop(what.subscription, None)
        is_next = known is not None and (known.round, known.next) == (what.round, number)
        if known is None or not is_next or known.until < now or number not in known.prepared:
            prepared = dict(read(_AHEAD if is_next else 1))
            known = _NextOnes(what.round, now + _AHEAD_SECONDS, number, prepared)
        known.next = number + 1
        while len(self._of) >= _MOST_AHEAD:
            self._of.pop(next(iter(self._of)), None)
        self._of[what.subscription] = known
        return known.prepared.pop(number, None)


class NotificationSender:
    """Sends notifications of one protocol."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        render: Renderer,
        record: Recorder | None,
        config: Config,
    ) -> None:
        self._subscriptions = subscriptions
        self._render = render
        self._record = record
        settings = Settings(
            timeout=min(_SILENCE_SECONDS, config.notification_seconds),
            connect_timeout=min(_CONNECT_SECONDS, config.notification_seconds),
            total=config.notification_seconds,
            tls=contexts.outgoing(config),
        )
        self._poster = Poster(settings, subscriptions.targets.reaches)
        self._ahead = _ReadAhead()

    def __call__(self, delivery: Delivery) -> Sequence[RecordJson]:
        """Send a notification once, and return its audit records; NotDelivered."""
        what = QueuedNotification.read(delivery.id)
        if what.kind is NotificationKind.EVENT:
            prepared = self._ahead.taken(what, partial(self._read, what))
        else:
            prepared = next(iter(self._read(what, 1).values()), None)
        if prepared is None:
            return ()
        self._poster.post(prepared.target, prepared.message)
        told = prepared.notification
        is_recorded = told.kind is NotificationKind.EVENT and told.objects
        return self._record(told) if self._record is not None and is_recorded else ()

    def _read(self, what: QueuedNotification, most: int) -> _NextPosts:
        """Return what is sent of a notification and, of an event, of those behind it.

        Nothing of one that is not kept, nor in a state in which it is not sent.
        """
        with self._subscriptions.database.read() as connection:
            row = rows.row_of_key(connection, what.subscription)
            if row is None or row.round != what.round or row.state not in _GOES[what.kind]:
                return {}  # a state of before
            one = rows.subscription_of(row)
            rendered = self._rendered(connection, one, what, most)
        return self._prepared(one, rows.secrets_of(row), rendered)

    def _rendered(
        self, connection: Connection, one: Subscription, what: QueuedNotification, most: int
    ) -> Sequence[tuple[Notification, RenderedNotification | None]]:
        rights = self._subscriptions.rights
        view = told.view_of(connection, one, rights)
        if what.kind is NotificationKind.EVENT:
            last = max(one.queued, what.number)
            found = told.after(connection, one, rights, what.number - 1, last, most)
            return [(event, self._render(event, view)) for event in found]
        other = Notification(
            subscription=one,
            kind=what.kind,
            id=told.notification_id(what.id, 0),
            number=one.numbered,
        )
        return [(other, self._render(other, view))]

    def _prepared(
        self,
        one: Subscription,
        secrets: Secrets,
        rendered: Sequence[tuple[Notification, RenderedNotification | None]],
    ) -> Mapping[int, _ReadyPost | None]:
        try:
            target = self._subscriptions.targets.admitted(one.address)
        except TargetNotAllowed:
            raise NotDelivered("the address is not allowed any more", refused=True) from None
        return {
            event.number: None
            if each is None
            else _ReadyPost(target, _message(each, secrets), event)
            for event, each in rendered
        }


def _message(rendered: RenderedNotification, secrets: Secrets) -> HttpRequest:
    return HttpRequest(
        content_type=rendered.content_type,
        length=len(rendered.content),
        blocks=[rendered.content],
        headers={**rendered.headers, **_credentials(rendered.content, secrets)},
        method=rendered.method,
        path=rendered.path,
        repeatable=True,
    )


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
