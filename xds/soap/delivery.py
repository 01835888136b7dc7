"""Delivery: the answers of the outbox are sent to where they are wanted, until they are taken.

One thread looks for answers that are due, a few others send them. Every worker does so, on the same
outbox. An answer goes out at least once: it is sent again, with the same MessageID, when a crash
falls between its delivery and its removal.
"""

import http.client
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from xds import logs, tracing
from xds.soap.outbox import Letter, Outbox, Slip, milliseconds
from xds.targets import Target, admitted

_POLL_SECONDS: Final = 2.0
_SWEEP_SECONDS: Final = 3600.0
_CONNECT_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 60.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 600.0
_SENDERS: Final = 8
_SENDERS_A_TARGET: Final = 3
"""A target that hangs must not hold up the answers for the others."""
_BLOCK: Final = 256 * 1024

_log = logs.get_logger(__name__)


class _Stopping(Exception):
    """The process is ending."""


class Deliverer:
    """Sends what is in the outbox. A redirection is not followed, and no proxy is used."""

    def __init__(
        self,
        outbox: Outbox,
        allowed: Sequence[Target],
        *,
        attempts: int,
        seconds: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._outbox = outbox
        self._allowed = allowed
        self._tls = tls
        self._attempts = attempts
        self._seconds = seconds
        self._wake = threading.Event()
        self._under_way: Counter[str] = Counter()
        self._counting = threading.Lock()
        # the interpreter waits for these threads at its end, and lets no new delivery begin
        self._senders = ThreadPoolExecutor(_SENDERS, "delivery")

    def start(self) -> None:
        """Begin to send, until the process ends."""
        threading.Thread(target=self._run, name="deliveries", daemon=True).start()

    def wake(self) -> None:
        """Say that there is something new in the outbox."""
        self._wake.set()

    def _run(self) -> None:
        sweep_at = 0.0
        while True:
            pause = _POLL_SECONDS
            try:
                if time.monotonic() >= sweep_at:
                    sweep_at = time.monotonic() + _SWEEP_SECONDS
                    self._outbox.sweep()
                pause = self._send_what_is_due()
            except _Stopping:
                return
            except Exception as error:
                _log.error("the outbox cannot be read", exc_info=error)
            self._wake.wait(pause)
            self._wake.clear()

    def _send_what_is_due(self) -> float:
        """Hand answers to the senders, and return the seconds until there may be more to do."""
        for slip in self._outbox.waiting():
            seconds = (slip.due - milliseconds()) / 1000
            if seconds > 0:
                return min(seconds, _POLL_SECONDS)
            if not self._has_sender_for(slip):
                continue
            if letter := self._outbox.claim(slip):
                self._hand_over(letter)
        return _POLL_SECONDS

    def _has_sender_for(self, slip: Slip) -> bool:
        with self._counting:
            to_target = self._under_way[slip.target]
            return self._under_way.total() < _SENDERS and to_target < _SENDERS_A_TARGET

    def _count(self, slip: Slip, change: int) -> None:
        with self._counting:
            self._under_way[slip.target] += change
            self._under_way += Counter()  # forgets targets without any

    def _hand_over(self, letter: Letter) -> None:
        self._count(letter.slip, 1)
        try:
            self._senders.submit(self._send, letter)
        except RuntimeError as error:
            letter.close()
            raise _Stopping from error

    def _send(self, letter: Letter) -> None:
        try:
            with letter, logs.correlation(letter.label.correlation):
                self._settle(letter, self._offer(letter))
        except Exception as error:
            # not woken: it would be tried again at once, and fail again
            _log.error("an answer cannot be sent", exc_info=error)
            self._count(letter.slip, -1)
        else:
            self._count(letter.slip, -1)
            self.wake()

    def _offer(self, letter: Letter) -> str | None:
        """Send an answer; return nothing if it was taken, else why it was not."""
        target = admitted(letter.label.url, self._allowed)
        if target is None:
            return "no longer allowed"
        try:
            status = self._post(target, letter)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        return None if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else str(status)

    def _post(self, target: Target, letter: Letter) -> int:
        connection = self._connection(target)
        try:
            connection.connect()
            connection.sock.settimeout(_SILENCE_SECONDS)
            headers = {"Content-Type": letter.label.content_type, "Connection": "close"}
            headers["Content-Length"] = str(letter.size)
            if letter.label.traceparent:
                headers[tracing.HEADER] = letter.label.traceparent
            connection.request("POST", target.resource, letter.body, headers)
            response = connection.getresponse()
            with suppress(OSError, http.client.HTTPException):
                response.read(_BLOCK)  # the status says it all, but let the other side say its say
            return response.status
        finally:
            connection.close()

    def _connection(self, target: Target) -> http.client.HTTPConnection:
        if target.scheme == "https":
            return http.client.HTTPSConnection(
                target.host,
                target.port,
                timeout=_CONNECT_SECONDS,
                blocksize=_BLOCK,
                context=self._tls,
            )
        return http.client.HTTPConnection(
            target.host, target.port, timeout=_CONNECT_SECONDS, blocksize=_BLOCK
        )

    def _settle(self, letter: Letter, outcome: str | None) -> None:
        """Decide what becomes of an answer after an attempt."""
        slip = letter.slip
        attempt = slip.attempts + 1
        log = _log.bind(key=slip.key, target=_origin(letter), attempt=attempt)
        now = milliseconds()
        until = slip.accepted + self._seconds * 1000
        if outcome is None:
            letter.remove()
            log.info("an answer was delivered")
        elif attempt >= self._attempts or now >= until:
            letter.remove()
            log.error("an answer was given up", outcome=outcome)
        else:
            due = min(now + round(pause_after(attempt) * 1000), until)
            letter.postpone(due)
            log.warning("an answer was not taken", outcome=outcome, retry_in=(due - now) / 1000)


def pause_after(attempt: int) -> float:
    """Return the seconds between an attempt, the first being 1, and the next: longer each time.

    Chance keeps answers that failed together from coming back together.
    """
    longest = _LONGEST_PAUSE if attempt > 32 else min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
    return random.uniform(longest / 2, longest)


def _origin(letter: Letter) -> str:
    return Target.parse(letter.label.url).origin
