"""The Document Metadata Notification Broker: what its transactions work with (ITI TF-1 26.1)."""

from dataclasses import dataclass

from xds.database.access import Database
from xds.dsub.pull_points import PullPoints
from xds.dsub.rules import BrokerRules
from xds.notification.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The broker of one deployment, on the registry's database."""

    database: Database
    subscriptions: Subscriptions
    rules: BrokerRules

    @property
    def pull_points(self) -> PullPoints:
        """The pull points of its subscriptions."""
        return PullPoints(self.database, self.subscriptions)

    def now(self) -> int:
        """Return the present in milliseconds since 1970, by the clock that subscriptions end by."""
        with self.database.read() as connection:
            return self.database.milliseconds(connection)
