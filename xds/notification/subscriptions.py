"""The service of subscriptions: what requests and commands do with them.

Nothing is matched or sent here. Each change is one commit.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from xds.config import Config
from xds.database.access import Database, InCommit, announce, retried
from xds.metadata.criteria import comparisons, evaluate
from xds.metadata.systems import Systems
from xds.notification import numbers, rights, rows, told, transitions
from xds.notification.model import (
    LIVING,
    NewSubscription,
    NotificationKind,
    Subscription,
    SubscriptionState,
    TooManySubscriptions,
    UnknownSubscription,
    WrongState,
)
from xds.notification.rights import Rights
from xds.notification.tables import subscription
from xds.notification.targets import TargetRules, check_headers
from xds.notification.told import Notification
from xds.notification.transitions import Moment, Patience
from xds.registry import subscribers
from xds.security import policy_file
from xds.security.caller import Caller
from xds.tls.options import networks
from xds.url_allowlist import prefixes

TOPIC: Final = "notifications"
"""What a commit announces that has written notifications."""
MATCHER: Final = "notifications"
"""The name of the matcher among the subscribers of events."""
_C: Final = subscription.c
_LIVING: Final = sorted(LIVING)
_MOST: Final = 1_000
_DAY: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """How many subscriptions there may be that have not ended."""

    of_client: int = 1_000
    of_all: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSearch:
    """Which subscriptions are looked for; what is None is not looked at."""

    protocols: Collection[str] | None = None
    id: str | None = None
    states: Collection[SubscriptionState] | None = None
    address: str | None = None
    topic: str | None = None
    owner: str | None = None

    def conditions(self) -> list[Any]:
        """Return the conditions on a row."""
        among = ((_C.protocol, self.protocols), (_C.state, self.states))
        equal = (
            (_C.id, self.id),
            (_C.address, self.address),
            (_C.topic, self.topic),
            (_C.owner, self.owner),
        )
        return [
            *(column.in_(list(values)) for column, values in among if values is not None),
            *(column == value for column, value in equal if value is not None),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """The subscriptions of one database; safe to use from many threads and processes."""

    database: Database
    rights: Rights
    targets: TargetRules
    patience: Patience
    limits: SubscriptionLimits = SubscriptionLimits()

    @classmethod
    def open(cls, config: Config, database: Database) -> "Subscriptions":
        """Return the subscriptions of a database, by the options of a server."""
        policy = None
        if config.policy is not None:
            systems = Systems.read(config.identifier_systems)
            policy = policy_file.read(config.policy.read_bytes(), systems)
        return cls(
            database=database,
            rights=Rights(policy),
            targets=TargetRules(
                prefixes(config.notification_targets or ""),
                networks(config.notification_networks or ""),
            ),
            patience=Patience(
                config.notification_attempts,
                config.notification_days * _DAY,
                config.notification_kept_days * _DAY,
            ),
            limits=SubscriptionLimits(config.subscriptions_of_client, config.max_subscriptions),
        )

    # --- for clients

    def check_target(self, url: str) -> None:
        """Raise TargetNotAllowed where nothing may be sent to a URL."""
        self.targets.admitted(url)

    def may_manage(self, one: Subscription, caller: Caller) -> bool:
        """Tell whether a caller may change or end a subscription."""
        return rights.may_manage(one.owner, caller)

    def create(self, new: NewSubscription, *, in_commit: InCommit | None = None) -> Subscription:
        """Make a subscription; SubscriptionRefused, and then there is none.

        Raises KeyError or ValueError for a filter that compares what there is not.
        What happens from then on is told, once its target has taken the handshake where it has one.
        """
        if new.address:
            self.check_target(new.address)
        check_headers(new.secrets.headers)
        for one in comparisons(new.filter):  # matching must not be the first to find out
            evaluate(one, new.topic.kind.create())
        return retried(lambda: self._create(new, in_commit))

    def _create(self, new: NewSubscription, in_commit: InCommit | None) -> Subscription:
        with self.database.write() as connection:
            moment = self._moment(connection)
            self._require_room(connection, rights.owner_of(new.caller))
            state = transitions.first(new.handshake, moment.now, new.heartbeat)
            last = moment.last_event()
            subscribers.introduce(connection, MATCHER, last)
            begins = None if new.handshake else last
            key = rows.added(connection, new, **state, begins=begins)
            row = self._found(connection, key)
            if new.handshake:
                kind = NotificationKind.HANDSHAKE
                numbers.put_other(self.database, connection, row, kind, row.round)
            moment.written(row, {})
            if in_commit is not None:
                in_commit(connection)
            return rows.subscription_of(row)

    def _require_room(self, connection: Connection, owner: str) -> None:
        living = select(func.count()).select_from(subscription).where(_C.state.in_(_LIVING))
        of_client = connection.execute(living.where(_C.owner == owner)).scalar_one()
        if of_client >= self.limits.of_client:
            raise TooManySubscriptions(
                f"A client may have {self.limits.of_client} subscriptions at most."
            )
        if connection.execute(living).scalar_one() >= self.limits.of_all:
            raise TooManySubscriptions("The server has as many subscriptions as it may have.")

    def get(self, subscription_id: str) -> Subscription | None:
        """Return the subscription of an id, also one that has ended lately."""
        with self.database.read() as connection:
            row = rows.row_of(connection, subscription_id)
        return None if row is None else rows.subscription_of(row)

    def search(self, wanted: SubscriptionSearch, *, at_most: int = _MOST) -> list[Subscription]:
        """Return subscriptions, the oldest first."""
        query = select(subscription).where(*wanted.conditions()).order_by(_C.pk).limit(at_most)
        with self.database.read() as connection:
            return [rows.subscription_of(row) for row in connection.execute(query)]

    def renew(
        self, subscription_id: str, ends: int | None, *, in_commit: InCommit | None = None
    ) -> Subscription:
        """Have a subscription end at another time; UnknownSubscription."""
        return self._change(
            subscription_id, lambda moment, row: transitions.renew(moment, row, ends), in_commit
        )

    def end(
        self, subscription_id: str, reason: str = "", *, in_commit: InCommit | None = None
    ) -> Subscription:
        """End a subscription for good; UnknownSubscription where it has ended already."""
        return self._stop(subscription_id, SubscriptionState.ENDED, reason, in_commit)

    def turn_off(
        self, subscription_id: str, reason: str = "", *, in_commit: InCommit | None = None
    ) -> Subscription:
        """Have a subscription tell nothing until it is requested again; UnknownSubscription."""
        return self._stop(subscription_id, SubscriptionState.OFF, reason, in_commit)

    def request(self, subscription_id: str, *, in_commit: InCommit | None = None) -> Subscription:
        """Ask the target of a subscription in ERROR, or that is OFF, whether it answers now.

        After an ERROR all that it has not been told follows, in order. What happened while it was
        OFF is not told. UnknownSubscription, WrongState.
        """
        return self._change(subscription_id, transitions.request, in_commit)

    # --- for operators

    def pause(self, subscription_id: str) -> Subscription:
        """Send nothing for the time being; UnknownSubscription, WrongState."""
        return self._change(subscription_id, transitions.pause)

    def resume(self, subscription_id: str) -> Subscription:
        """Send what was not sent in a pause, and go on; UnknownSubscription, WrongState."""
        return self._change(subscription_id, transitions.resume)

    def replay(self, subscription_id: str, number: int) -> Subscription:
        """Send all from a number on again, in order and with the same ids, as far as it is kept.

        UnknownSubscription, WrongState.
        """
        return self._change(
            subscription_id, lambda moment, row: transitions.replay(moment, row, number)
        )

    # --- notifications

    def resend(self, subscription_id: str, since: int, until: int | None = None) -> int:
        """Send some notifications once more, after what waits; return how many.

        At most 1,000 at a time. UnknownSubscription, WrongState.
        """
        found: list[int] = []

        def act(moment: Moment, row: Any) -> None:
            if row.state not in (SubscriptionState.ACTIVE, SubscriptionState.ERROR):
                raise WrongState(row.state)
            last = row.numbered if until is None else min(until, row.numbered)
            found[:] = told.numbers_kept(moment.connection, row.pk, since, last, numbers.WINDOW)
            numbers.put_again(self.database, moment.connection, row, found)

        self._change(subscription_id, act)
        return len(found)

    def notifications(
        self, one: Subscription, *, after: int = 0, until: int | None = None, at_most: int = 100
    ) -> list[Notification]:
        """Return what a subscription was told or is to be told, in order, as far as it is kept."""
        with self.database.read() as connection:
            return told.after(connection, one, self.rights, after, until, at_most)

    def pull(self, one: Subscription, at_most: int) -> list[Notification]:
        """Return what was not fetched yet of a subscription without address, the oldest first.

        It is returned again until :meth:`pulled` says that it has been given out.
        """
        return self.notifications(one, after=one.delivered, at_most=at_most)

    def pulled(
        self,
        subscription_id: str,
        number: int,
        *,
        in_commit: InCommit | None = None,
        of_round: int | None = None,
    ) -> Subscription:
        """Note that all up to a number has been fetched; UnknownSubscription.

        Where it was fetched in a round that is over, as by a replay, it counts as not fetched.
        """

        def act(moment: Moment, row: Any) -> None:
            if of_round is not None and row.round != of_round:
                return
            last = max(row.delivered, min(number, row.numbered))
            moment.written(row, {"delivered": last, "queued": last})

        return self._change(subscription_id, act, in_commit)

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called in this process after commits that wrote notifications here."""
        self.database.listen(TOPIC, heard)

    # --- within

    def _stop(
        self,
        subscription_id: str,
        state: SubscriptionState,
        reason: str,
        in_commit: InCommit | None,
    ) -> Subscription:
        return self._change(
            subscription_id,
            lambda moment, row: transitions.stop(moment, row, state, reason),
            in_commit,
        )

    def _change(
        self,
        subscription_id: str,
        act: Callable[[Moment, Any], None],
        in_commit: InCommit | None = None,
    ) -> Subscription:
        """Do something with a subscription that lives; return it as it is then."""

        def once() -> Subscription:
            with self.database.write() as connection:
                act(self._moment(connection), self._living(connection, subscription_id))
                announce(connection, TOPIC)
                if in_commit is not None:
                    in_commit(connection)
                return rows.subscription_of(self._found(connection, subscription_id))

        return retried(once)

    def _living(self, connection: Connection, subscription_id: str) -> Any:
        found = rows.row_of(connection, subscription_id)
        locked = () if found is None else rows.locked(connection, [found.pk])
        if not locked or locked[0].state == SubscriptionState.ENDED:
            raise UnknownSubscription
        return locked[0]

    def _found(self, connection: Connection, subscription_id: str) -> Any:
        row = rows.row_of(connection, subscription_id)
        assert row is not None, "it is locked"
        return row

    def _moment(self, connection: Connection) -> Moment:
        now = self.database.milliseconds(connection)
        return Moment(self.database, connection, now, self.patience)
