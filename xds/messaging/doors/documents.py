"""Messages that bring reports, documents and orders: read by the flavour of their sender, filed."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import uuid4

from xds import logs
from xds.hl7v2.acknowledgement import (
    CONTROL_ID,
    REJECTED,
    AcknowledgementHabits,
    Judgement,
    acknowledgement,
)
from xds.hl7v2.continuation import place_of
from xds.hl7v2.message import Message
from xds.hl7v2.spooled import LimitOf, SpooledMessage, digest_of
from xds.messaging.doors.answering import MessageArrival
from xds.messaging.doors.judging import habits_of, judgement_of
from xds.messaging.doors.parts import PartsOfMessages
from xds.messaging.filing import Door, FilingOutcome, IncomingMessage, MessageFiler
from xds.messaging.flavours.flavour import IMPOSTOR, Flavour
from xds.messaging.flavours.reading import GENERIC
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.outbound.acknowledging import send_later
from xds.messaging.v2.reading import TRIGGERS, envelope_of, read, whole_of
from xds.messaging.verdicts import (
    INTERNAL,
    SENDER,
    TOO_LARGE,
    UNREADABLE,
    ContentRefused,
    MessageFinding,
    refused,
)
from xds.security.caller import Caller

_OF_THE_SERVER: Final[Collection[Door]] = ("folder", "command")
_NOT_KEPT: Final = "the message could not be kept"
_FAILED: Final = "an error in the server, which its log tells of"

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledMessages:
    """Judges messages by filing them; safe to use from many threads."""

    filer: MessageFiler
    flavours: FlavourTable
    senders: Literal["any", "known"] = "any"
    """``known``: those for whom there is no flavour are refused."""
    limit: LimitOf | int = 1 << 31
    """Bytes of a message, also of one that comes in parts."""

    def takes(self, message: Message) -> bool:
        """Tell whether a message is of the families that are read: ORU, MDM, orders."""
        return message.message_code in TRIGGERS

    def judge(
        self, message: Message, arrival: MessageArrival
    ) -> tuple[Judgement, AcknowledgementHabits]:
        """File a message, and return what became of it, as its sender is told."""
        envelope = envelope_of(message)
        flavour = self.flavours.flavour_of(envelope)
        incoming = IncomingMessage(
            door=arrival.door,
            caller=arrival.caller,
            media="hl7v2",
            digest=message.digest,
            size=message.size,
            raw=message.blocks,
            envelope=envelope,
            flavour=flavour,
            content=None,
            feed=arrival.feed,
        )
        outcome = self._outcome(message, incoming)
        return judgement_of(outcome.findings, flavour.reading), habits_of(flavour)

    def send_later(self, message: Message, judgement: Judgement, code: str) -> None:
        """Put an application acknowledgement into the queue; DatabaseUnavailable."""
        flavour = self.flavours.flavour_of(envelope_of(message))
        control_id = uuid4().hex[:CONTROL_ID]
        written = acknowledgement(
            message,
            code,
            judgement.problems,
            control_id=control_id,
            habits=habits_of(flavour),
            asks=(flavour.acknowledge_to_asks, "NE"),
        )
        send_later(self.filer.domain.database, flavour, control_id, written)

    def unreadable(self, source: SpooledMessage, reason: str, arrival: MessageArrival) -> str:
        """Keep what has no header as a message that is refused; return MSA-1 for it."""
        flavour = self.flavours.row(GENERIC).flavour
        incoming = IncomingMessage(
            door=arrival.door,
            caller=arrival.caller,
            media="hl7v2",
            digest=digest_of(source.blocks(), (0, 0)),
            size=source.size,
            raw=source.blocks,
            envelope=None,
            flavour=flavour,
            content=None,
            feed=arrival.feed,
        )
        finding = MessageFinding(verdict=UNREADABLE, location="MSH^1", reason=reason)
        self.filer.refuse(incoming, [finding])
        return REJECTED

    def _outcome(self, message: Message, incoming: IncomingMessage) -> FilingOutcome:
        if message.source.error:
            _log.error(_NOT_KEPT, exc_info=message.source.error)
            return self._failed(incoming, _NOT_KEPT)
        try:
            self._require_taken(message, incoming)
            if (place := place_of(message)).is_part:
                return self._parts.take(message, incoming, place)
            with whole_of(message) as whole:
                content = read(whole, self.flavours)
                return self.filer.file(replace(incoming, content=content))
        except ContentRefused as refusal:
            return self.filer.refuse(incoming, refusal.findings)
        except Exception as error:
            _log.error("a message could not be read", exc_info=error)
            return self._failed(incoming, _FAILED)

    @property
    def _parts(self) -> PartsOfMessages:
        return PartsOfMessages(filer=self.filer, flavours=self.flavours, limit=self.limit)

    def _failed(self, incoming: IncomingMessage, reason: str) -> FilingOutcome:
        finding = MessageFinding(verdict=INTERNAL, reason=reason)
        outcome = FilingOutcome(state="failed", findings=[finding])
        self.filer.count(incoming, outcome)
        return outcome

    def is_impostor(self, message: Message, arrival: MessageArrival) -> bool:
        """Tell whether the connection of a message is not one of its sender."""
        if not any(row.flavour.certificates for row in self.flavours.rows):
            return False
        flavour = self.flavours.flavour_of(envelope_of(message))
        return not may_send(flavour, arrival.door, arrival.caller)

    def _require_taken(self, message: Message, incoming: IncomingMessage) -> None:
        flavour = incoming.flavour
        if self.senders == "known" and flavour.name == GENERIC:
            raise refused(SENDER, "MSH^1^3", "there is no flavour of this sender")
        if not may_send(flavour, incoming.door, incoming.caller):
            raise refused(SENDER, "MSH^1^3", IMPOSTOR)
        if limit := message.source.exceeded:
            raise refused(TOO_LARGE, _last_place(message), limit)


def may_send(flavour: Flavour, door: Door, caller: Caller) -> bool:
    """Tell whether a caller may send messages of a flavour; a person of the server may."""
    return door in _OF_THE_SERVER or flavour.may_come_from(caller.node)


def _last_place(message: Message) -> str:
    """Return where that ends which was kept of a message: likely within what makes it large."""
    *_, last = message.segments()
    return f"{last.name}^{last.sequence}^{last.last_field}"
