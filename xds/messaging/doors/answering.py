"""What comes in is read, each message of it judged, and acknowledged as its sender asks.

It is the same for all doors: a frame of MLLP, the body of a request, and a file are one message or
a batch of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import uuid4

from xds import logs, tracing
from xds.database.errors import DatabaseUnavailable
from xds.hl7v2 import feed
from xds.hl7v2.acknowledgement import (
    CONTROL_ID,
    AcknowledgementHabits,
    Judgement,
    acknowledgements,
    code_apart,
    rejection_of_noise,
)
from xds.hl7v2.batch import Batch, batches_in
from xds.hl7v2.event import Feed
from xds.hl7v2.message import MAX_HEADER_BYTES, Message, Unreadable, beginning
from xds.hl7v2.problems import Problem
from xds.hl7v2.spooled import LimitOf, SpooledMessage, separator_of
from xds.messaging.filing import Door
from xds.messaging.flavours.flavour import IMPOSTOR
from xds.security.caller import Caller

_FEED_CODE: Final = b"ADT"
_MOST_OF_HEADER: Final = 9
_IHE: Final = AcknowledgementHabits()

_log = logs.get_logger(__name__)


def ignored(_: Judgement | None) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageArrival:
    """How something came in."""

    door: Door
    caller: Caller
    feed: str = ""
    """What the door calls the path that it came by."""
    judged: Callable[[Judgement | None], None] = ignored
    """Is told what became of each message; None is one that has no header."""


class DocumentJudge(Protocol):
    """Handles the messages that are not of the patient feed."""

    def takes(self, message: Message) -> bool:
        """Tell whether a message is of the families that are handled."""

    def judge(
        self, message: Message, arrival: MessageArrival
    ) -> tuple[Judgement, AcknowledgementHabits]:
        """Handle a message, and return what became of it; never raises."""

    def is_impostor(self, message: Message, arrival: MessageArrival) -> bool:
        """Tell whether the connection of a message, of the feed too, is not one of its sender."""

    def send_later(self, message: Message, judgement: Judgement, code: str) -> None:
        """Have an application acknowledgement go another way, durably; DatabaseUnavailable."""

    def unreadable(self, source: SpooledMessage, reason: str, arrival: MessageArrival) -> str:
        """Keep what has no header; return MSA-1 for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Answers whatever comes in; safe to use from many threads."""

    feed: Feed
    documents: DocumentJudge | None = None
    """None where there is only the patient feed."""

    def answers(self, source: SpooledMessage, arrival: MessageArrival) -> Iterator[bytes]:
        """Handle what came, and yield what is sent back for it, which may be nothing.

        It never raises.
        """
        with tracing.within(None):
            try:
                yield from self._answers(source, arrival)
            except Unreadable as error:
                yield self._refused(source, error.reason, arrival)

    def _answers(self, source: SpooledMessage, arrival: MessageArrival) -> Iterator[bytes]:
        if source.exceeded or source.error:
            yield from self._acknowledged(_first_message(source), arrival)
            return
        for batch in batches_in(source):
            answers = (
                answer for one in batch.messages for answer in self._one(source, one, arrival)
            )
            if batch.header:
                _look_at(batch)
                yield from batch.answer(list(answers))
            else:
                yield from answers

    def _one(
        self, source: SpooledMessage, message: Message | Unreadable, arrival: MessageArrival
    ) -> Iterator[bytes]:
        if isinstance(message, Unreadable):
            yield self._refused(source, message.reason, arrival)
        else:
            yield from self._acknowledged(message, arrival)

    def _acknowledged(self, message: Message, arrival: MessageArrival) -> Iterator[bytes]:
        """Handle a message; the control id of its acknowledgement is that of the log lines."""
        with logs.correlation(uuid4().hex[:CONTROL_ID]):
            judgement, habits = self._judged(message, arrival)
            judgement = self._parted(message, judgement, habits)
            arrival.judged(judgement)
            yield from acknowledgements(message, judgement, logs.current_correlation(), habits)

    def _parted(
        self, message: Message, judgement: Judgement, habits: AcknowledgementHabits
    ) -> Judgement:
        """Have an acknowledgement that is due on another connection sent there.

        Where it cannot be kept, the message has to come again: it is found on record then.
        """
        code = code_apart(message, judgement, habits)
        if code is None or self.documents is None:
            return judgement
        try:
            self.documents.send_later(message, judgement, code)
        except DatabaseUnavailable as error:
            _log.error("an acknowledgement could not be kept", exc_info=error)
            return replace(judgement, commit="CE", is_transient=True)
        return judgement

    def _judged(
        self, message: Message, arrival: MessageArrival
    ) -> tuple[Judgement, AcknowledgementHabits]:
        if self.documents and self.documents.takes(message):
            return self.documents.judge(message, arrival)
        refusal = None
        if self.documents and self.documents.is_impostor(message, arrival):
            refusal = Problem("204", "MSH^1^3", IMPOSTOR)
        return feed.judge(self.feed, message, arrival.caller, refusal), _IHE

    def _refused(self, source: SpooledMessage, reason: str, arrival: MessageArrival) -> bytes:
        with logs.correlation(uuid4().hex[:CONTROL_ID]):
            _log.warning("a message cannot be read", reason=reason, door=arrival.door)
            feed.count_unreadable(self.feed)
            arrival.judged(None)
            code = "AR"
            if self.documents:
                code = self.documents.unreadable(source, reason, arrival)
            start = source.skeleton[:MAX_HEADER_BYTES].lstrip()
            return rejection_of_noise(logs.current_correlation(), start, reason, code)


def _first_message(source: SpooledMessage) -> Message:
    """Read of something that was not kept what there is, for an acknowledgement."""
    try:
        return Message.read(source)
    except Unreadable as error:
        told = filter(None, (error.reason, source.exceeded))
        raise Unreadable("; ".join(told)) from None


def _look_at(batch: Batch) -> None:
    count = str(len(batch.messages))
    if batch.announced.strip() not in ("", count):
        _log.warning("a batch has not as many messages as it says", count=count)


def limit_of(feed_bytes: int, message_bytes: int) -> LimitOf:
    """Return what tells how large a message may be: one of the feed, or another one."""

    def limit(head: bytes) -> int:
        fields = head[beginning(head) :].split(separator_of(head), _MOST_OF_HEADER)
        is_batch = fields[0] in (b"BHS", b"FHS")
        code = b"".join(fields[8:9])[:3]
        is_other = is_batch or (fields[0] == b"MSH" and code not in (b"", _FEED_CODE))
        return message_bytes if is_other else feed_bytes

    return limit
