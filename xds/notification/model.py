"""What subscriptions and notifications are, whatever protocol they come and go by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final
from uuid import uuid4

from xds.metadata.criteria import Criterion
from xds.metadata.objects import MetadataObject
from xds.security.caller import Caller


class SubscriptionState(StrEnum):
    """In what state a subscription is."""

    REQUESTED = "requested"
    """Its target is being asked whether it answers (handshake)."""
    ACTIVE = "active"
    PAUSED = "paused"
    """By an operator: what happens is numbered and kept, and nothing is sent."""
    ERROR = "error"
    """Its target does not take what is sent. What happens is numbered, kept and tried again."""
    OFF = "off"
    """Nothing that happens is noted; it can be requested again (FHIR R4, Subscription.status)."""
    ENDED = "ended"
    """For good."""


LIVING: Final = frozenset(SubscriptionState) - {SubscriptionState.ENDED}
SENDING: Final = frozenset(
    {SubscriptionState.REQUESTED, SubscriptionState.ACTIVE, SubscriptionState.ERROR}
)
"""The states in which something is sent."""


class SubscriptionRefused(Exception):
    """A subscription cannot be made; the sentence is for who has asked for it."""


class TooManySubscriptions(SubscriptionRefused):
    """The server, or the client, has as many as the options let it have."""


class TargetNotAllowed(SubscriptionRefused):
    """The options do not let notifications be sent there."""


class UnknownSubscription(Exception):
    """There is no such subscription, or it has ended."""


class WrongState(Exception):
    """A subscription is in a state in which this cannot be done; the text names the state."""


@dataclass(frozen=True, slots=True)
class SubscribedTopic:
    """What kind of thing happens to what kind of object."""

    name: str
    """As the protocol names it; to the engine it is a text."""
    kind: type[MetadataObject]
    """DocumentEntry, SubmissionSet or Folder."""
    changes: frozenset[str]
    """The kinds of events (:mod:`xds.registry.events`)."""
    is_grouped: bool = False
    """Whether objects of one submission to which the same happens are one notification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the sender needs to be let in at a target. Nothing but the sender reads it back."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of each request, of which the values may be secret."""
    hmac_key: str = field(default="", repr=False)
    """With it, the body is signed: ``X-Hub-Signature`` (W3C WebSub 7.1)."""
    bearer: str = field(default="", repr=False)
    """A token for ``Authorization: Bearer`` (RFC 6750)."""


NO_SECRETS: Final = Secrets()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription about to be made."""

    id: str = field(default_factory=lambda: str(uuid4()))
    """It cannot be guessed, and may stand in URLs."""
    protocol: str
    topic: SubscribedTopic
    filter: Criterion
    """On attributes of the topic's kind of object."""
    transaction: str
    """The name of the transaction that asks for it; the policy decides by it what is seen."""
    caller: Caller
    address: str = ""
    """The URL of its target. Without one nothing is sent: notifications are fetched."""
    ends: int | None = None
    """In milliseconds since 1970; None: it does not end by itself."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the protocol has to know of it besides: a JSON object without secrets."""
    secrets: Secrets = field(default=NO_SECRETS, repr=False)
    handshake: bool = False
    """Whether its target has to take a handshake before it is active."""
    heartbeat: int | None = None
    """Seconds without a notification after which a heartbeat is sent; None: none is."""
    recovers: bool = True
    """Whether it is ACTIVE again when its target takes something after an ERROR. Where not, its
    client has to request it again; it is OFF, not ENDED, where its target fails for too long."""
    tells_end: bool = False
    """Whether its target is told (DEACTIVATION) that it has ended or is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as it is stored. Times are in milliseconds since 1970."""

    key: int
    id: str
    """It cannot be guessed, and may stand in URLs."""
    protocol: str
    topic: SubscribedTopic
    filter: Criterion
    transaction: str
    owner: str
    """Whom it belongs to (:func:`xds.notification.rights.owner_of`)."""
    caller: Caller
    """Whom the policy is asked about."""
    address: str
    details: Mapping[str, Any]
    header_names: tuple[str, ...]
    """The names of the headers among its secrets."""
    has_secrets: bool
    state: SubscriptionState
    reason: str
    """Why it is in that state; never anything of a target's answer but its status."""
    created: int
    ends: int | None
    heartbeat: int | None
    numbered: int
    """The number of its last notification: how many there have been."""
    queued: int
    """The number up to which they were put into the delivery queue."""
    delivered: int
    """The number up to which they were taken."""
    round: int
    """What is in the queue of an earlier round is not sent any more."""
    recovers: bool
    tells_end: bool
    failed_since: int | None
    """Since when its target has been failing, where it is in ERROR."""


class NotificationKind(Enum):
    """What is told."""

    EVENT = "event"
    HANDSHAKE = "handshake"
    """Whether the target answers."""
    HEARTBEAT = "heartbeat"
    """That nothing has happened for a while."""
    DEACTIVATION = "deactivation"
    """That nothing will be told any more."""
