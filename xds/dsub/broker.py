"""The Document Metadata Notification Broker: what its transactions work with (ITI TF-1 26.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds.config import Config
from xds.database.access import Database
from xds.dsub.pull_points import PullPoints
from xds.notification.subscriptions import Subscriptions
from xds.url_allowlist import Target, admitted, prefixes

_DAY: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The broker of one deployment, on the registry's database."""

    database: Database
    subscriptions: Subscriptions
    pull_points: PullPoints
    longest: int | None = None
    """Milliseconds after which a subscription ends at the latest."""
    told_of_end: Sequence[Target] = ()
    """Consumers below these URLs are told when a subscription of theirs has ended."""

    @classmethod
    def open(
        cls, config: Config, database: Database, subscriptions: Subscriptions | None
    ) -> "Broker | None":
        """Return the broker of a database; None where there is none, or the options have none."""
        if subscriptions is None or config.dsub == "no":
            return None
        return cls(
            database=database,
            subscriptions=subscriptions,
            pull_points=PullPoints(database, subscriptions),
            longest=None if config.subscription_days is None else config.subscription_days * _DAY,
            told_of_end=prefixes(config.deactivation_targets or ""),
        )

    def now(self) -> int:
        """Return the present in milliseconds since 1970, by the clock that subscriptions end by."""
        with self.database.read() as connection:
            return self.database.milliseconds(connection)

    def ends(self, asked: int | None, now: int) -> int | None:
        """Return when a subscription ends, in milliseconds since 1970, of which that is asked."""
        latest = None if self.longest is None else now + self.longest
        return min((one for one in (asked, latest) if one is not None), default=None)

    def tells_end(self, address: str) -> bool:
        """Tell whether a consumer is told of the end of its subscription."""
        return admitted(address, self.told_of_end) is not None
