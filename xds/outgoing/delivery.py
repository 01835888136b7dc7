"""What is delivered and how: a message, the channel it goes by, and when it is tried again."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from uuid import uuid4

Order = Literal["strict", "reachable"]
"""What waits for the delivery at the head of a target.

``strict``: all others of the target wait until it is delivered. ``reachable``: one that the target
has refused steps aside and is tried again by itself; while the target cannot be reached, all wait.
"""


class NotDelivered(Exception):
    """The target did not take a message; it will be offered again.

    The text says why, for logs and metrics: a status or the kind of an error, never an address or
    anything of a message.
    """

    def __init__(
        self, reason: str, *, refused: bool = False, retry_after: float | None = None
    ) -> None:
        """``refused`` says that the target was reached, and does not want this message.

        ``retry_after`` are the seconds for which it wants to be left alone: it is, but not for
        longer than the longest pause of the channel.
        """
        super().__init__(reason)
        self.refused = refused
        self.retry_after = retry_after


class Undeliverable(Exception):
    """A message cannot be sent at all, such as one whose body is gone. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A message about to be put into the queue."""

    channel: str
    target: str
    """What order is kept for: a URL, or the id of a subscription."""
    address: str = ""
    """Where it goes; empty where the channel knows."""
    content: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the channel's sender needs to know besides the body."""
    id: str = field(default_factory=lambda: uuid4().hex)
    """Whatever is put with an id that is in the queue changes nothing."""

    @property
    def host(self) -> str:
        """What senders are limited by: see :func:`host_of`."""
        return host_of(self.channel, self.target, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message of the queue that is to be sent."""

    pk: int
    id: str
    """The same at each attempt, so that a receiver can tell a repetition."""
    channel: str
    target: str
    address: str
    accepted: int
    """When it was put into the queue, in milliseconds since 1970."""
    attributes: Mapping[str, str]
    size: int
    """The number of bytes of the body."""
    parts: int
    read: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    """Yields the body from its beginning. Undeliverable where it is gone."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How long a target is left alone after a failure."""

    pauses: tuple[float, ...]
    """Seconds after the first failure, the second and so on; the last one from then on."""
    jitter: float = 0.5
    """The share of a pause that is left to chance, so that targets do not come back together."""

    def pause(self, failures: int, asked: float | None = None) -> float:
        """Return the seconds to wait after so many failures in a row, one at least.

        ``asked`` are the seconds that the target has asked for.
        """
        longest = self.pauses[min(failures, len(self.pauses)) - 1]
        pause = longest * random.uniform(1 - self.jitter, 1)
        return pause if asked is None else max(pause, min(asked, self.longest))

    @property
    def longest(self) -> float:
        """The longest pause in seconds."""
        return max(self.pauses)


STANDARD_SCHEDULE: Final = RetrySchedule((1, 5, 30, 120, 600, 3600))
"""For targets that may be away for days."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When a delivery is given up. It stays in the queue as a dead one."""

    attempts: int
    seconds: float
    """Since it was accepted."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A message that its target did not take."""

    id: str
    """Of the delivery."""
    attempts: int
    """How often it has been offered since one was taken."""
    reason: str
    error: Exception
    """What the channel's sender has raised."""


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What has become of messages of a target since it was last noted."""

    target: str
    delivered: Sequence[Delivery]
    """In their order."""
    receipts: Sequence[Any]
    """What the channel's sender has returned for each of them."""
    failed: FailedAttempt | None
    """The one that came after them."""


def _note_nothing(_connection: Any, _now: int, _outcomes: Sequence[TargetOutcome]) -> None:
    """Note nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way out: what kind of message, who sends it, and what becomes of it on failure."""

    name: str
    send: Callable[[Delivery], Any]
    """Returns when the target has taken the message, with what ``note`` is to be told of it beside
    that. NotDelivered, Undeliverable; called by several threads at once, for one target by one at
    a time."""
    schedule: RetrySchedule = STANDARD_SCHEDULE
    order: Order = "strict"
    limit: Limit | None = None
    """None: it is tried for good."""
    delay: float = 0.0
    """Seconds that the first delivery of a target is kept back."""
    note: Callable[[Any, int, Sequence[TargetOutcome]], None] = _note_nothing
    """Writes, by a connection, what has become of messages, in the commit that notes it for the
    queue; told the time in milliseconds. It must not raise but where the database fails."""


def host_of(channel: str, target: str, address: str) -> str:
    """Return scheme, host and port of an address; where there is none a target is its own host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else f"{channel} {target}"
