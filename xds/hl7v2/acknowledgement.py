"""Acknowledgements, in the version, encoding and charset of their message (ITI TF-2x C.2).

MSH-15 and MSH-16 say which are due (HL7 v2.8.2 2.9.2, 2.9.3): without either it is one, of original
mode; else an accept acknowledgement (CA, CE, CR) by MSH-15 and an application acknowledgement (AA,
AE, AR) by MSH-16, which follows on the same connection. An acknowledgement is never acknowledged.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self
from uuid import uuid4

from xds.hl7v2.encoding import Encoding
from xds.hl7v2.message import MAX_HEADER_BYTES, Message, Segment
from xds.hl7v2.problems import ERROR_TEXTS, Problem, Severity
from xds.metadata import datatypes

ACCEPTED: Final = "AA"
ERROR: Final = "AE"
"""The message is understood, and its content refused."""
REJECTED: Final = "AR"
"""The message is not one that is answered here, or not now."""

CONTROL_ID: Final = 20
"""Characters of MSH-10 (HL7 v2.3.1)."""

_OF_FRAMES: Final = re.compile("[\x0b\x1c\r\n]")
"""What would begin or end a frame or a segment, if an acknowledgement repeated it."""
_SEGMENT_END: Final = re.compile(r"[\r\n]+")
_ACKNOWLEDGEMENTS: Final = ("ACK", "MCF")
_BEFORE_ERL: Final = ("2.1", "2.2", "2.3", "2.4")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgementHabits:
    """What a sender wants of acknowledgements beyond what its messages say."""

    mode: Literal["auto", "original", "enhanced"] = "auto"
    """``auto``: MSH-15 and MSH-16 decide. ``enhanced``: where both are empty, as AL and NE."""
    error_segment: Literal["v25", "version", "none"] = "v25"
    """``v25``: ERR of HL7 v2.5 in all versions, as IHE wants it (ITI TF-2x C.2.3)."""
    warnings: Literal["err", "none"] = "err"
    parts_application: bool = False
    """Whether application acknowledgements of enhanced mode go another way than the accept ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What became of a message, as its acknowledgements tell it."""

    original: str
    """MSA-1 of original mode and of an application acknowledgement: AA, AE, AR."""
    commit: str
    """MSA-1 of an accept acknowledgement: CA, CE, CR."""
    problems: Sequence[Problem] = ()
    is_transient: bool = False
    """Whether the same message may be taken later."""

    @classmethod
    def of(cls, code: str, problems: Sequence[Problem] = ()) -> Self:
        """Make one of a code of original mode, in which AR says that a header is not taken."""
        commit = {ACCEPTED: "CA", ERROR: "CE", REJECTED: "CR"}[code]
        is_transient = code == REJECTED and any(one.code == "207" for one in problems)
        if is_transient:
            commit = "CE"
        return cls(original=code, commit=commit, problems=problems, is_transient=is_transient)

    @property
    def is_accepted(self) -> bool:
        """Whether the message was taken."""
        return self.original == ACCEPTED


def acknowledgements(
    message: Message,
    judgement: Judgement,
    control_id: str,
    habits: AcknowledgementHabits = AcknowledgementHabits(),
) -> Iterator[bytes]:
    """Yield those that are due on the connection of a message, an accept one first; maybe none.

    ``control_id`` is MSH-10 of the first.
    """
    apart = code_apart(message, judgement, habits)
    for code in codes_due(message, judgement, habits.mode):
        if code == apart:
            continue
        yield acknowledgement(
            message, code, judgement.problems, control_id=control_id, habits=habits
        )
        control_id = uuid4().hex[:CONTROL_ID]


def codes_due(message: Message, judgement: Judgement, mode: str = "auto") -> list[str]:
    """Return MSA-1 of each acknowledgement that is due."""
    if message.message_code in _ACKNOWLEDGEMENTS:
        return []
    accept, application = (message.header.value(number).upper() for number in (15, 16))
    if mode == "original" or (mode == "auto" and not accept and not application):
        return [judgement.original]
    if not accept and not application:
        accept = "AL"
    due = ((accept, judgement.commit), (application, judgement.original))
    return [code for condition, code in due if _is_due(condition, judgement)]


def code_apart(message: Message, judgement: Judgement, habits: AcknowledgementHabits) -> str | None:
    """Return MSA-1 of the acknowledgement that is due on another connection; None for none."""
    is_enhanced = any(message.header.value(number) for number in (15, 16))
    if not habits.parts_application or not is_enhanced or habits.mode == "original":
        return None
    due = codes_due(message, judgement, habits.mode)
    return judgement.original if judgement.original in due else None


def _is_due(condition: str, judgement: Judgement) -> bool:
    """Tell whether a condition of HL7 table 0155 holds; what is none of the table is ``AL``."""
    if condition in ("SU", "ER"):
        return judgement.is_accepted == (condition == "SU")
    return condition not in ("", "NE")


def acknowledgement(
    message: Message,
    code: str,
    problems: Iterable[Problem] = (),
    *,
    control_id: str,
    habits: AcknowledgementHabits = AcknowledgementHabits(),
    asks: tuple[str, str] = ("", ""),
) -> bytes:
    """Write one acknowledgement of a message: MSH with the parties exchanged, MSA, ERR.

    ``asks`` are its own MSH-15 and 16.
    """
    encoding, answered = message.encoding, message.header
    header = [
        "MSH",
        encoding.characters,
        *(answered.raw(number) for number in (5, 6, 3, 4)),
        f"{datatypes.now()}+0000",
        "",
        _message_type(message),
        control_id,
        answered.raw(11) or "P",
        answered.raw(12) or "2.3.1",
    ]
    header += ["", "", *asks, "", answered.raw(18)]
    while not header[-1]:
        header.pop()
    told = [one for one in problems if habits.warnings == "err" or one.severity != "W"]
    answer = ["MSA", code, answered.raw(10)]
    lines = [header, answer, *_errors(message, told, answer, habits)]
    joined = (encoding.field.join(line) for line in lines)
    text = "".join(_OF_FRAMES.sub("?", line) + "\r" for line in joined)
    return text.encode(encoding.charset, "replace")


def _message_type(message: Message) -> str:
    trigger = message.encoding.escaped(message.trigger_event)
    parts = ["ACK", trigger] if trigger else ["ACK"]
    if trigger and message.version[:3] not in ("2.1", "2.2", "2.3"):
        parts.append("ACK")  # 2.3.1 too knows no third component
    return message.encoding.component.join(parts)


def _errors(
    message: Message, problems: Sequence[Problem], answer: list[str], habits: AcknowledgementHabits
) -> list[list[str]]:
    """Return the lines of ERR; what they have no place for goes to MSA-3."""
    if not problems or habits.error_segment == "none":
        return []
    encoding = message.encoding
    if habits.error_segment == "version" and message.version[:3] in _BEFORE_ERL:
        answer.append(encoding.escaped(problems[0].reason or ERROR_TEXTS[problems[0].code]))
        return [["ERR", encoding.repetition.join(_old(encoding, one) for one in problems)]]
    return [_error(encoding, problem) for problem in problems]


def _error(encoding: Encoding, problem: Problem) -> list[str]:
    location = problem.location.replace("^", encoding.component)
    coded = encoding.component.join((problem.code, ERROR_TEXTS[problem.code], "HL70357"))
    line = ["ERR", "", location, coded, problem.severity]
    if problem.verdict or problem.reason:
        line.append(encoding.escaped(problem.verdict))
    return [*line, "", "", encoding.escaped(problem.reason)] if problem.reason else line


def _old(encoding: Encoding, problem: Problem) -> str:
    """Write ELD: segment, sequence, field, code (HL7 v2.3.1 2.24.6)."""
    place = [*problem.location.split("^")[:3], "", "", ""][:3]
    code = (problem.code, ERROR_TEXTS[problem.code], "HL70357")
    mark = encoding.subcomponent or " "
    return encoding.component.join([*place, mark.join(code)])


def rejection_of_noise(
    control_id: str, payload: bytes = b"", reason: str = "", code: str = REJECTED
) -> bytes:
    """Write the rejection of something that has no header to answer to; ``reason`` for people.

    The parties are those of the first header segment, such as a batch's, that can be read.
    """
    parties = "|".join(_parties(payload))
    header = f"MSH|^~\\&|{parties}|{datatypes.now()}+0000||ACK|{control_id}|P|2.3.1\r"
    error = f"ERR||MSH^1|100^{ERROR_TEXTS['100']}^HL70357|E||||{reason}\r"
    return (header + f"MSA|{code}|\r" + error).encode("ascii", "replace")


_HEADERS: Final = ("FHS|^~\\&|", "BHS|^~\\&|", "MSH|^~\\&|")
_LONGEST_PARTY: Final = 180
"""Characters of MSH-3 to 6 (HL7 v2.3.1)."""


def _parties(payload: bytes) -> tuple[str, str, str, str]:
    """Return receiver and sender, exchanged, of the first header that names any."""
    start = payload[:MAX_HEADER_BYTES].decode("ascii", "replace")
    for segment in _SEGMENT_END.split(start)[:5]:
        if segment.startswith(_HEADERS):
            named = (_OF_FRAMES.sub("?", one)[:_LONGEST_PARTY] for one in segment.split("|")[2:6])
            sender, office, receiver, theirs, *_ = (*named, "", "", "", "")
            if sender or office or receiver or theirs:
                return receiver, theirs, sender, office
    return "", "", "", ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAcknowledgement:
    """An acknowledgement that came back for a message of ours."""

    code: str
    """MSA-1; empty where there is no MSA."""
    control_id: str
    """MSA-2: MSH-10 of the message that is acknowledged."""
    own_control_id: str
    text: str
    """MSA-3."""
    problems: Sequence[Problem] = ()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read one, of any version; Unreadable where it is no message."""
        message = Message.read(data)
        errors = (error for segment in message.segments("ERR") for error in _problems(segment))
        return cls(
            code=message.value("MSA", 1).upper(),
            control_id=message.value("MSA", 2),
            own_control_id=message.header.value(10),
            text=message.value("MSA", 3),
            problems=tuple(errors),
        )


def _problems(segment: Segment) -> Iterator[Problem]:
    if code := segment.value(3, 1, 1):
        severity: Severity = "W" if segment.value(4).upper() in ("W", "I") else "E"
        place = segment.value(2).replace(segment.encoding.component, "^")
        reason = segment.value(8) or segment.value(7) or segment.value(3, 1, 2)
        yield Problem(code, place, reason, severity, segment.value(5, 1, 1))
        return
    for number in range(1, segment.repetitions(1) + 1):
        if code := segment.value(1, number, 4, 1):
            place = "^".join(segment.value(1, number, part) for part in (1, 2, 3))
            yield Problem(code, place, segment.value(1, number, 4, 2))
