"""Sending what is in the delivery queue. Every process that serves does so, on the same queue.

One thread works on the database: in one transaction it notes what became of messages, takes
targets that are due, and loads their messages. Other threads send, one target each, so that order
is kept and a target that hangs costs one thread. What a thread has sent is noted while it goes on,
and more is handed to it, so a target with many messages is sent to without a break.

A message goes out at least once: it is sent again, with the same id, when a crash falls between its
delivery and the commit that removes it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import Connection

from xds import logs, tracing
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.outgoing import leases, queue
from xds.outgoing.delivery import (
    Channel,
    Delivery,
    FailedAttempt,
    NotDelivered,
    TargetOutcome,
    Undeliverable,
)
from xds.outgoing.leases import Failure, Taken
from xds.outgoing.sending import (
    LOADED,
    DatabaseClock,
    DispatchLimits,
    News,
    SenderQueue,
    SenderRoom,
    Sending,
)
from xds.trace_context import TraceParent

_GATHER_SECONDS: Final = 0.005
"""How long news of several senders are gathered for one commit."""
_NOTE_SECONDS: Final = 1.0
"""After which it is noted what a sender has delivered that goes on."""
_RENEW_SECONDS: Final = 5.0
_CLEAN_SECONDS: Final = 3600.0
_SLOW_SECONDS: Final = 2.0
"""After which a message under way counts its host among those that fail."""
_MOST_TAKEN: Final = 64
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 10.0
"""Seconds between attempts at a database that is away."""

_log = logs.get_logger(__name__)

Count = Callable[[str, str], None]
"""Told the channel and the outcome of each attempt: delivered, failed or dead."""


def uncounted(channel: str, outcome: str) -> None:
    """Count nothing."""


class Dispatcher:
    """Sends for one process, from :meth:`start` to :meth:`close` or the interpreter's end."""

    def __init__(
        self,
        database: Database,
        channels: Iterable[Channel],
        *,
        limits: DispatchLimits | None = None,
        count: Count = uncounted,
    ) -> None:
        self._database = database
        self._channels: Mapping[str, Channel] = {one.name: one for one in channels}
        self._limits = limits or DispatchLimits()
        self._count = count
        self._holder = uuid4().hex
        self._wake = threading.Event()
        self._ends = threading.Event()
        self._under_way: dict[tuple[str, str], Sending] = {}
        self._failing_hosts: set[str] = set()
        self._clock = DatabaseClock()
        self._heeded = self._renewed = self._noted = 0.0
        self._cleaned = time.monotonic()
        self._queue = SenderQueue(self._limits.of_host)
        self._senders = ThreadPoolExecutor(self._limits.senders, "delivery")
        self._thread = threading.Thread(target=self._run, name="deliveries")
        database.listen(queue.TOPIC, self.wake)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        threading.Thread(target=self._end_with_interpreter, daemon=True).start()

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._wake.set()

    def close(self) -> None:
        """Stop after the messages that are under way, and note what became of them."""
        self._ends.set()
        self.wake()
        self._thread.join()

    def _end_with_interpreter(self) -> None:
        threading.main_thread().join()
        self._ends.set()
        self.wake()

    def _run(self) -> None:
        pause, outage = 0.0, _FIRST_PAUSE
        while not self._ends.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            try:
                pause, outage = self._round(), _FIRST_PAUSE
                continue
            except DatabaseUnavailable as error:
                _log.error("the delivery queue cannot be used", reason=str(error))
            except Exception as error:
                _log.error("the delivery queue has failed", exc_info=error)
            # not woken meanwhile: it would fail again at once
            self._ends.wait(outage)
            pause, outage = 0.0, min(outage * 2, _LONGEST_PAUSE)
        self._finish()

    def _finish(self) -> None:
        for sending in self._sendings():
            sending.stop()
        self._senders.shutdown()
        try:
            with self._database.write() as connection:
                now = self._database.milliseconds(connection)
                self._note(connection, now)
                leases.release_all(connection, now, self._holder)
        except DatabaseUnavailable as error:
            _log.error("deliveries may be sent again: they were not noted", reason=str(error))

    def _sendings(self) -> list[Sending]:
        return list(self._under_way.values())

    def _round(self) -> float:
        """Do what is to be done; return the seconds until there may be more."""
        if not self._has_to_note() and (pause := self._idle_for()) > 0:
            return pause
        if self._under_way:
            self._ends.wait(_GATHER_SECONDS)
        with self._database.write() as connection:
            now = self._database.milliseconds(connection)
            noted = self._note(connection, now)
            self._keep_house(connection, now)
            refilled = self._refill(connection)
            leases.arrive(connection, now, {n: c.delay for n, c in self._channels.items()})
            new = self._take(connection, now, noted)
            pause = self._pause(connection, now, is_stuck=not new)
        self._take_over(noted, refilled, new)
        self._clean()
        return pause

    def _has_to_note(self) -> bool:
        """Tell whether there is something to write whatever is in the queue."""
        sendings, now = self._sendings(), time.monotonic()
        if not sendings:
            return False
        if now - self._renewed > _RENEW_SECONDS:
            return True
        if any(one.has_ended or one.wants_more for one in sendings):
            return True
        return now - self._noted > _NOTE_SECONDS and any(one.has_done for one in sendings)

    def _idle_for(self) -> float:
        """Return the seconds until something is due; 0 where something is to be done now."""
        with self._database.read() as connection:
            now = self._database.milliseconds(connection)
            self._clock.saw(now)
            if self._clock.was_set_back or not self._heeded:
                return 0.0
            return self._pause(connection, now, is_stuck=len(self._under_way) >= self._limits.taken)

    def _pause(self, connection: Connection, now: int, *, is_stuck: bool) -> float:
        """Return the seconds until something is due; ``is_stuck``: that what is cannot be taken."""
        due = leases.next_due(connection, list(self._channels))
        poll = self._limits.poll_seconds
        if due is None or (is_stuck and 0 < due <= now):
            return poll
        return min(max(due - now, 0) / 1000, poll)

    # --- within the transaction

    def _note(self, connection: Connection, now: int) -> Sequence[News]:
        """Write down what became of messages."""
        noted = [one.news() for one in self._sendings()]
        leases.delivered(connection, [one for news in noted for one in news.done])
        recovered = [one.sending.taken for one in noted if one.done and one.had_failed]
        leases.succeeded(connection, self._holder, recovered)
        for news in noted:
            if news.failure is not None:
                leases.failed(connection, now, self._holder, news.sending.taken, news.failure)
        ended = [one.sending.taken for one in noted if one.ended and one.failure is None]
        leases.let_go(connection, now, self._holder, ended)
        for channel in self._channels.values():
            outcomes = [_outcome(one) for one in noted if one.sending.taken.channel == channel.name]
            if told := [one for one in outcomes if one.delivered or one.failed]:
                channel.note(connection, now, told)
        return noted

    def _keep_house(self, connection: Connection, now: int) -> None:
        self._clock.saw(now)
        if self._clock.was_set_back or not self._heeded:
            ahead = 0 if self._clock.was_set_back else 1000
            pauses = {n: round(c.schedule.longest * ahead) for n, c in self._channels.items()}
            leases.heed_clock(connection, now, pauses)
        if self._under_way and time.monotonic() - self._renewed > _RENEW_SECONDS:
            leases.renew(connection, now, self._holder, [one.taken for one in self._sendings()])

    def _refill(self, connection: Connection) -> list[tuple[Sending, Sequence[Delivery]]]:
        wanting = [one for one in self._sendings() if one.wants_more]
        return [(one, self._load(connection, one.taken, one.last)) for one in wanting]

    def _take(self, connection: Connection, now: int, noted: Iterable[News]) -> Sequence[Sending]:
        """Take what is due, as far as there are senders for it."""
        ended = {news.sending.taken.key for news in noted if news.ended}
        held = [one for one in self._sendings() if one.taken.key not in ended]
        room = SenderRoom(self._limits, self._failing_now(held), held)
        own = {one.taken.key for one in held}
        chosen: list[Sending] = []
        while room.total > 0 and not self._ends.is_set():
            most = min(room.total, _MOST_TAKEN)
            found = leases.due(connection, now, list(self._channels), room.busy, most)
            fitting = []
            for one in found:
                if one.key not in own and room.admits(one.host):
                    fitting.append(Sending(one, self._load(connection, one, 0), self.wake))
                    room.count(fitting[-1])
            leases.take(connection, now, self._holder, [one.taken for one in fitting])
            chosen += fitting
            if not fitting or len(found) < most:
                break
        return chosen

    def _failing_now(self, held: Iterable[Sending]) -> set[str]:
        slow = {one.taken.host for one in held if one.seconds > _SLOW_SECONDS}
        return self._failing_hosts | slow

    def _load(self, connection: Connection, taken: Taken, after: int) -> list[Delivery]:
        return leases.load(self._database, connection, taken, after, LOADED)

    # --- after the transaction

    def _take_over(
        self,
        noted: Iterable[News],
        refilled: Iterable[tuple[Sending, Sequence[Delivery]]],
        new: Iterable[Sending],
    ) -> None:
        """Have memory say what the database says."""
        self._noted = self._heeded = time.monotonic()
        self._clock.was_set_back = False
        if not self._under_way or self._noted - self._renewed > _RENEW_SECONDS:
            self._renewed = self._noted
        for news in noted:
            news.sending.noted(news)
            if news.ended:
                del self._under_way[news.sending.taken.key]
        for sending, more in refilled:
            sending.add(more)
        for sending in new:
            self._under_way[sending.taken.key] = sending
            self._begin(sending)

    def _begin(self, sending: Sending) -> None:
        if not self._queue.begins(sending):
            return
        try:
            self._senders.submit(self._send, sending)
        except RuntimeError:  # the interpreter is ending, and lets nothing begin
            self._ends.set()
            sending.end(None)

    def _clean(self) -> None:
        if time.monotonic() - self._cleaned > _CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            queue.remove_abandoned(self._database)

    # --- in the threads of senders

    def _send(self, first: Sending) -> None:
        """Send to one target of a host after the other."""
        host = first.taken.host
        sending: Sending | None = first
        while sending is not None:
            self._send_to(sending)
            gives_up = host in self._failing_hosts or self._ends.is_set()
            sending = self._queue.next(host, gives_up=gives_up)

    def _send_to(self, sending: Sending) -> None:
        channel = self._channels[sending.taken.channel]
        failure: Failure | None = None
        while failure is None and (delivery := sending.next()) is not None:
            correlation = delivery.attributes.get(queue.CORRELATION)
            trace = TraceParent.parse(delivery.attributes.get(tracing.HEADER))
            with logs.correlation(correlation), tracing.within(trace):
                failure = self._attempt(channel, sending, delivery)
        sending.end(failure)

    def _attempt(self, channel: Channel, sending: Sending, delivery: Delivery) -> Failure | None:
        """Offer a message once."""
        host, attempt = sending.taken.host, sending.attempts + 1
        log = _log.bind(channel=channel.name, delivery=delivery.id, host=host, attempt=attempt)
        try:
            receipt = channel.send(delivery)
        except Exception as error:
            failure = self._failure(channel, delivery, attempt, error)
            if _is_of_host(error):
                self._failing_hosts.add(host)
            self._count(channel.name, "dead" if failure.becomes == "dead" else "failed")
            _tell(log, failure, error)
            return failure
        self._failing_hosts.discard(host)
        sending.delivered(delivery, receipt)
        self._count(channel.name, "delivered")
        log.info("a message was delivered")
        return None

    def _failure(
        self, channel: Channel, delivery: Delivery, attempts: int, error: Exception
    ) -> Failure:
        """Decide what becomes of a message that was not delivered."""
        if isinstance(error, DatabaseUnavailable):  # the target has not been tried
            later = round(_LONGEST_PAUSE * 1000)
            return Failure(delivery.id, attempts - 1, type(error).__name__, later, "waiting", error)
        is_known = isinstance(error, NotDelivered | Undeliverable)
        reason = str(error) if is_known else type(error).__name__
        asked = error.retry_after if isinstance(error, NotDelivered) else None
        pause = channel.schedule.pause(attempts, asked)
        becomes: Literal["waiting", "aside", "dead"] = "waiting"
        if channel.order == "reachable" and _is_refused(error) and not leases.is_aside(delivery):
            becomes = "aside"
        if channel.limit is not None:
            left = channel.limit.seconds - (self._clock.now() - delivery.accepted) / 1000
            pause = min(pause, left)
            if attempts >= channel.limit.attempts or left <= 0:
                becomes = "dead"
        if isinstance(error, Undeliverable):
            becomes = "dead"
        return Failure(delivery.id, attempts, reason, round(pause * 1000), becomes, error)


def _outcome(news: News) -> TargetOutcome:
    failure = news.failure
    failed = None
    if failure is not None:
        failed = FailedAttempt(failure.id, failure.attempts, failure.reason, failure.error)
    return TargetOutcome(news.sending.taken.target, news.done, news.receipts, failed)


def _is_of_host(error: Exception) -> bool:
    """Tell whether other messages for the host will fare no better."""
    return not (_is_refused(error) or isinstance(error, Undeliverable | DatabaseUnavailable))


def _is_refused(error: Exception) -> bool:
    return isinstance(error, NotDelivered) and error.refused


def _tell(log: Any, failure: Failure, error: Exception) -> None:
    """Log an attempt that failed."""
    log = log.bind(outcome=failure.reason)
    if failure.becomes == "dead":
        log.error("a message was given up")
    elif isinstance(error, NotDelivered | DatabaseUnavailable):
        log.warning("a message was not taken", retry_in=failure.pause / 1000)
    else:
        log.error("a message cannot be sent", retry_in=failure.pause / 1000, exc_info=error)
