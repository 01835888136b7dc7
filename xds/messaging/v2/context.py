"""What the readers of one message share: its flavour, and what was found in it."""

from dataclasses import dataclass, field

from xds.hl7v2.message import Message, Segment
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessageEnvelope
from xds.messaging.v2 import times
from xds.messaging.verdicts import DATA_TYPE, MessageFinding, MessageVerdict


@dataclass(slots=True, kw_only=True)
class MessageReading:
    """One message while it is read. Errors and warnings are collected, none is raised."""

    message: Message
    envelope: MessageEnvelope
    flavour: Flavour
    offset: str = ""
    """That of MSH-7, for times that have none: ``+0100``."""
    errors: list[MessageFinding] = field(default_factory=list)
    warnings: list[MessageFinding] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)

    def fail(self, verdict: MessageVerdict, location: str, reason: str) -> None:
        """Add an error, which refuses the message."""
        self.errors.append(MessageFinding(verdict=verdict, location=location, reason=reason))

    def warn(self, verdict: MessageVerdict, location: str, reason: str) -> None:
        """Add a warning."""
        finding = MessageFinding(verdict=verdict, location=location, reason=reason, is_warning=True)
        if finding not in self.warnings:
            self.warnings.append(finding)

    def decide(self, text: str) -> None:
        """Add what the flavour decided; it names no value of a patient."""
        decision = f"{text}, by flavour {self.flavour.name}"
        if decision not in self.decisions:
            self.decisions.append(decision)

    def time(self, segment: Segment | None, number: int, component: int = 1) -> str:
        """Return a time of a field as a DTM; empty, and a warning, where it is none."""
        if segment is None:
            return ""
        return self.time_of(segment.value(number, 1, component, 1), location(segment, number))

    def time_of(self, text: str, where: str) -> str:
        """Return a time as a DTM; empty, and a warning, where it is none."""
        if not text:
            return ""
        try:
            return times.dtm(text, self.offset, self.flavour.zone)
        except ValueError:
            self.warn(DATA_TYPE, where, "this is no time: it is not used")
            return ""

    def first_time(self, *places: tuple[Segment | None, int]) -> str:
        """Return the first time that one of several fields has."""
        return next((time for place in places if (time := self.time(*place))), "")


def location(segment: Segment, *parts: int) -> str:
    """Return where something is wrong, as ERR-2 has it: ``OBX^3^5``."""
    return "^".join([segment.name, str(segment.sequence), *map(str, parts)])
