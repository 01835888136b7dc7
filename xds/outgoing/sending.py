"""What a dispatcher keeps in memory: targets that are sent to, room for more, and the time."""

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from xds.outgoing.delivery import Delivery
from xds.outgoing.leases import Failure, Taken

LOADED: Final = 50
"""Messages of a target that are loaded at a time."""
_LOW: Final = LOADED // 2
"""Messages in hand at which more are loaded."""
_SET_BACK: Final = 5_000
"""Milliseconds by which the database's clock must fall behind to count as set back."""


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """How much is done at once in one process."""

    senders: int = 48
    """Threads, and so messages that are under way."""
    taken: int = 256
    """Targets, those included that wait for a sender here: so a sender need not wait."""
    of_host: int = 4
    """Senders for one host."""
    taken_of_host: int = 32
    messages_of_host: int = 6 * LOADED
    """Messages of one host in hand beyond which no target of it is taken: so that processes share
    the targets of a host that have many messages."""
    of_failing_host: int = 1
    failing: int = 24
    """Targets of all hosts that do not answer, so that they leave senders to the others."""
    poll_seconds: float = 1.0
    """How often the queue is looked at for what other processes have put into it."""


@dataclass(frozen=True, slots=True)
class News:
    """What has become of messages of a target since it was last noted."""

    sending: "Sending"
    done: Sequence[Delivery]
    receipts: Sequence[Any]
    """What was returned of each of them."""
    failure: Failure | None
    ended: bool
    had_failed: bool
    """Whether the database has failures of the target."""


class Sending:
    """A target that a sender is at work on, between its thread and the dispatcher's."""

    def __init__(self, taken: Taken, first: Sequence[Delivery], wake: Callable[[], None]) -> None:
        self.taken = taken
        self.attempts = taken.attempts
        """Failures since a message was delivered."""
        self._had_failed = taken.attempts > 0
        self._waiting = deque(first)
        self._done: list[tuple[Delivery, Any]] = []
        self._failure: Failure | None = None
        self._lock = threading.Lock()
        self._wake = wake
        self._has_more = len(first) == LOADED
        self._takes_more = True
        self._ended = False
        self._since = math.inf
        self.last = first[-1].pk if first else 0
        """The key of the last message that was loaded."""

    # --- for the sender's thread

    def next(self) -> Delivery | None:
        """Return the next message; None where there is none in hand, and then none will come."""
        with self._lock:
            if self._waiting:
                self._since = time.monotonic()
                return self._waiting.popleft()
            self._takes_more = False
            return None

    def delivered(self, delivery: Delivery, receipt: Any) -> None:
        """Note that a message was taken."""
        with self._lock:
            self._done.append((delivery, receipt))
            self.attempts = 0
            is_low = self._has_more and len(self._waiting) == _LOW
        if is_low:
            self._wake()

    def end(self, failure: Failure | None) -> None:
        """Stop work on the target, after a failure or where there is nothing in hand."""
        with self._lock:
            self._failure = failure
            self._takes_more = False
            self._ended = True
        self._wake()

    # --- for the dispatcher's thread

    @property
    def seconds(self) -> float:
        """How long the message under way has been; not above 0 where none is."""
        return time.monotonic() - self._since

    @property
    def in_hand(self) -> int:
        """How many messages are in hand or will be before the target is given back; one at least.

        Of those that are not loaded yet, no more count than are loaded at a time.
        """
        return LOADED if self._has_more else len(self._waiting) + 1

    @property
    def has_ended(self) -> bool:
        """Whether the sender has stopped."""
        return self._ended

    @property
    def has_done(self) -> bool:
        """Whether messages were delivered that are not noted yet."""
        return bool(self._done)

    @property
    def wants_more(self) -> bool:
        """Whether more messages are to be loaded."""
        return self._takes_more and self._has_more and len(self._waiting) <= _LOW

    def news(self) -> News:
        """Return what is to be noted."""
        with self._lock:
            done = [delivery for delivery, _ in self._done]
            receipts = [receipt for _, receipt in self._done]
            return News(self, done, receipts, self._failure, self._ended, self._had_failed)

    def noted(self, news: News) -> None:
        """Forget what has been noted."""
        with self._lock:
            del self._done[: len(news.done)]
            self._had_failed = self._had_failed and not news.done

    def add(self, more: Sequence[Delivery]) -> None:
        """Hand over more messages, unless the sender has stopped meanwhile."""
        with self._lock:
            self._has_more = len(more) == LOADED
            if self._takes_more:
                self._waiting.extend(more)
                self.last = more[-1].pk if more else self.last

    def stop(self) -> None:
        """Send nothing after the message under way."""
        with self._lock:
            self._waiting.clear()
            self._takes_more = False


class SenderRoom:
    """For which hosts targets may be taken."""

    def __init__(self, limits: DispatchLimits, failing: Set[str], held: Iterable[Sending]) -> None:
        self._limits = limits
        self._failing = failing
        self._of_host: Counter[str] = Counter()
        self._messages: Counter[str] = Counter()
        self.total = limits.taken
        """Targets that may be taken."""
        for one in held:
            self.count(one)

    @property
    def busy(self) -> list[str]:
        """The hosts for which none may be."""
        return [host for host in {*self._of_host, *self._failing} if not self._has_for(host)]

    def admits(self, host: str) -> bool:
        """Tell whether a target of a host may be taken."""
        return self.total > 0 and self._has_for(host)

    def count(self, sending: Sending) -> None:
        """Count a target that is taken."""
        host = sending.taken.host
        self.total -= 1
        self._of_host[host] += 1
        self._messages[host] += sending.in_hand

    def _has_for(self, host: str) -> bool:
        if host not in self._failing:
            has_own = self._of_host[host] < self._limits.taken_of_host
            return has_own and self._messages[host] < self._limits.messages_of_host
        has_own = self._of_host[host] < self._limits.of_failing_host
        of_failing = sum(self._of_host[host] for host in self._failing)
        return has_own and of_failing < self._limits.failing


class SenderQueue:
    """Targets that were taken and wait for one of the senders of their host."""

    def __init__(self, of_host: int) -> None:
        self._of_host = of_host
        self._senders: Counter[str] = Counter()
        self._waiting: dict[str, deque[Sending]] = {}
        self._lock = threading.Lock()

    def begins(self, sending: Sending) -> bool:
        """Tell whether a target gets a sender; else it waits for one."""
        host = sending.taken.host
        with self._lock:
            if self._senders[host] < self._of_host:
                self._senders[host] += 1
                return True
            self._waiting.setdefault(host, deque()).append(sending)
            return False

    def next(self, host: str, *, gives_up: bool) -> Sending | None:
        """Return the next target of a host; None where its sender ends.

        ``gives_up`` gives back all that wait: the host does not answer, or the process ends.
        """
        with self._lock:
            waiting = self._waiting.get(host)
            if waiting and not gives_up:
                return waiting.popleft()
            self._senders[host] -= 1
            if not self._senders[host]:
                del self._senders[host]
            left = self._waiting.pop(host, ())
        for one in left:
            one.stop()
            one.end(None)
        return None


class DatabaseClock:
    """The database's time between two looks at it, and whether it was set back meanwhile."""

    def __init__(self) -> None:
        self._seen: tuple[int, float] | None = None
        self.was_set_back = False
        """Until it is heeded."""

    def saw(self, now: int) -> None:
        """Note what the database has told."""
        if self._seen is not None and now < self.now() - _SET_BACK:
            self.was_set_back = True
        self._seen = (now, time.monotonic())

    def now(self) -> int:
        """Return its time as far as is known, in milliseconds since 1970."""
        if self._seen is None:
            return time.time_ns() // 1_000_000
        told, at = self._seen
        return told + round((time.monotonic() - at) * 1000)
