"""What an acknowledgement says of a message that was sent (HL7 v2.8.2 2.9; table 0008)."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.problems import MessageRefused
from xds.messaging.verdicts import AcknowledgementReading

_TAKEN: Final = frozenset({"AA", "CA"})
_CODES: Final = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})
_MOST_TEXT: Final = 2_000
_TRY_AGAIN: Final = frozenset({"206", "207"})
"""Of HL7 table 0357: what another attempt may mend."""


class AnswerVerdict(Enum):
    """What is to be done after an answer."""

    DELIVERED = auto()
    TRY_AGAIN = auto()
    GIVE_UP = auto()
    NOT_OURS = auto()
    """It answers another message, or is no acknowledgement."""


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An acknowledgement, and what follows from it."""

    verdict: AnswerVerdict
    code: str = ""
    """MSA-1."""
    errors: tuple[str, ...] = ()
    """Codes of HL7 table 0357."""
    retry_after: float | None = None
    """Seconds for which the receiver wants to be left alone, where it says so."""
    text: str = ""
    """What it wrote beside the codes, for operators alone: it may tell of a patient."""

    @property
    def reason(self) -> str:
        """What logs and operators are told: codes, and nothing that the receiver wrote."""
        return " ".join([self.code, *self.errors]).strip() or "the answer is no acknowledgement"


def judged(answer: bytes, message_id: str, reading: AcknowledgementReading) -> JudgedAnswer:
    """Judge an acknowledgement of a message.

    The error codes decide where there are any; else whoever reads AE and AR as HL7 does wants to
    see another attempt after AR, and in the NHS reading after AE.
    """
    try:
        message = Message.read(answer)
        code = message.value("MSA", 1)
        is_ours = message.value("MSA", 2) == message_id
    except (Unreadable, MessageRefused):
        return JudgedAnswer(AnswerVerdict.NOT_OURS)
    if code not in _CODES or not is_ours:
        return JudgedAnswer(AnswerVerdict.NOT_OURS)
    if code in _TAKEN:
        return JudgedAnswer(AnswerVerdict.DELIVERED, code)
    errors = tuple(_errors(message))
    again = any(one in _TRY_AGAIN for one in errors)
    if not errors:
        again = code == ("AR" if reading == "hl7" else "AE") or code == "CE"
    verdict = AnswerVerdict.TRY_AGAIN if again else AnswerVerdict.GIVE_UP
    return JudgedAnswer(verdict, code, errors, text=_text(message))


def _text(message: Message) -> str:
    """Return what an acknowledgement says in words: MSA-3, and of each error place and texts."""
    found = [message.value("MSA", 3)]
    for segment in message.segments("ERR"):
        parts = [segment.raw(2), *(segment.value(number) for number in (7, 8))]
        found.append(" ".join(filter(None, parts)) or segment.value(1))
    return "; ".join(filter(None, found))[:_MOST_TEXT]


def _errors(message: Message) -> list[str]:
    """Return the codes of ERR-3, or of ERR-1 component 4 as versions before 2.5 have it."""
    found = []
    for segment in message.segments("ERR"):
        if segment.value(4) in ("W", "I"):
            continue
        code = segment.value(3, 1, 1) or segment.value(1, 1, 4, 1)
        if code.isdecimal() and len(code) == 3:
            found.append(code)
    return found
