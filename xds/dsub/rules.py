"""What the options say of the Document Metadata Notification Broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds.config import Config
from xds.url_allowlist import Target, admitted, prefixes

_DAY: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRules:
    """How long subscriptions may last, and who is told of their end."""

    longest: int | None = None
    """Milliseconds after which a subscription ends at the latest."""
    told_of_end: Sequence[Target] = ()
    """Consumers below these URLs are told when a subscription of theirs has ended."""

    @classmethod
    def read(cls, config: Config) -> "BrokerRules | None":
        """Return what the options say; None where they have no broker."""
        if config.dsub == "no":
            return None
        return cls(
            longest=None if config.subscription_days is None else config.subscription_days * _DAY,
            told_of_end=prefixes(config.deactivation_targets or ""),
        )

    def ends(self, asked: int | None, now: int) -> int | None:
        """Return when a subscription ends, in milliseconds since 1970, of which that is asked."""
        latest = None if self.longest is None else now + self.longest
        return min((one for one in (asked, latest) if one is not None), default=None)

    def tells_end(self, address: str) -> bool:
        """Tell whether a consumer is told of the end of its subscription."""
        return admitted(address, self.told_of_end) is not None
