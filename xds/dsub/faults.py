"""The faults of WS-BaseNotification and WS-Resource: a class for each, named as its element.

(OASIS WS-BaseNotification 1.3; WS-Resource 1.2; WS-BaseFaults 1.2.) Handlers raise them, and only
the binding renders them. The text of the exception is its name alone, since a description may
quote a filter, and a filter names a patient.
"""

from collections.abc import Sequence
from typing import Final

from xds.dsub import times
from xds.errors import FailureKind, Violation
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape

_QNAME: Final = f'<wsnt:UnknownFilter xmlns:f="{v.NS_RIM}">f:AdhocQuery</wsnt:UnknownFilter>'


class NotificationFault(Exception):
    """A request about subscriptions is refused; the description is a sentence for its sender."""

    namespace = v.NS_WSNT
    failure_kind = FailureKind.REFUSED

    def __init__(self, description: str, *, failure_kind: FailureKind | None = None) -> None:
        """``failure_kind`` is given where the sender is not at fault."""
        super().__init__(type(self).__name__)
        self.description = description
        if failure_kind is not None:
            self.failure_kind = failure_kind

    @property
    def violations(self) -> Sequence[Violation]:
        """What of it may stand in a log."""
        return (Violation(type(self).__name__),)

    @property
    def is_of_sender(self) -> bool:
        """Whether the sender has to change something."""
        return self.failure_kind in (FailureKind.REFUSED, FailureKind.DENIED)

    def detail(self, now: int) -> str:
        """Return the fault as XML text; ``now`` is in milliseconds since 1970."""
        name = type(self).__name__
        described = escape(self.description)
        return (
            f'<f:{name} xmlns:f="{self.namespace}" xmlns:wsnt="{v.NS_WSNT}" '
            f'xmlns:bf="{v.NS_WSRF_BF}"><bf:Timestamp>{times.date_time(now)}</bf:Timestamp>'
            f'<bf:Description xml:lang="en">{described}</bf:Description>{self.more()}</f:{name}>'
        )

    def more(self) -> str:
        """Return what the fault has besides: XML text with the prefix wsnt bound."""
        return ""


# Subscribe


class SubscribeCreationFailedFault(NotificationFault):
    """The subscription cannot be made, and no other fault says why."""


class TopicExpressionDialectUnknownFault(NotificationFault):
    """A topic is given in another dialect than the simple one."""


class InvalidTopicExpressionFault(NotificationFault):
    """There is not one topic, or it is none."""


class TopicNotSupportedFault(NotificationFault):
    """The topic is none of those that are told of."""


class InvalidFilterFault(NotificationFault):
    """The filter is not one stored query whose parameters are those of a subscription."""

    def more(self) -> str:
        """Name the filter by its element, as the schema wants."""
        return _QNAME


class UnrecognizedPolicyRequestFault(NotificationFault):
    """The subscription asks for a policy that is not known."""


class _UnacceptableTime(NotificationFault):
    """A subscription cannot end at that time."""

    def __init__(self, description: str, minimum: int) -> None:
        """``minimum`` is the earliest acceptable time in milliseconds since 1970."""
        super().__init__(description)
        self.minimum = minimum

    def more(self) -> str:
        """Tell the earliest time; there is no latest, since a later one is shortened."""
        return f"<wsnt:MinimumTime>{times.date_time(self.minimum)}</wsnt:MinimumTime>"


class UnacceptableInitialTerminationTimeFault(_UnacceptableTime):
    """A new subscription would end before it begins, or at no time that can be read."""


# Renew and Unsubscribe


class UnacceptableTerminationTimeFault(_UnacceptableTime):
    """A subscription would end in the past, or at no time that can be read."""


class ResourceUnknownFault(NotificationFault):
    """There is no such subscription or pull point, or it has ended (WS-Resource 1.2, 4)."""

    namespace = v.NS_WSRF_R


class UnableToDestroySubscriptionFault(NotificationFault):
    """The subscription cannot be ended."""


# Notify


class NotifyMessageNotSupportedFault(NotificationFault):
    """What is published cannot be taken in."""


# Pull points


class UnableToCreatePullPointFault(NotificationFault):
    """The pull point cannot be made."""


class UnableToGetMessagesFault(NotificationFault):
    """Messages cannot be read."""


class UnableToDestroyPullPointFault(NotificationFault):
    """The pull point cannot be removed."""
