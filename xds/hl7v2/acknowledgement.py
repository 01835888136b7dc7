"""Acknowledgements, in the version, encoding and charset of their message (ITI TF-2x C.2)."""

import re
from collections.abc import Iterable
from typing import Final

from xds.hl7v2.encoding import Encoding
from xds.hl7v2.message import MAX_HEADER_BYTES, Message
from xds.hl7v2.problems import ERROR_TEXTS, Problem
from xds.metadata import datatypes

ACCEPTED: Final = "AA"
ERROR: Final = "AE"
"""The message is understood, and its content refused."""
REJECTED: Final = "AR"
"""The message is not one that is answered here, or not now."""

_OF_FRAMES: Final = re.compile("[\x0b\x1c]")
"""What would begin or end a frame, if an acknowledgement repeated it."""
_SEGMENT_END: Final = re.compile(r"[\r\n]+")


def acknowledgement(
    message: Message, code: str, problems: Iterable[Problem] = (), *, control_id: str
) -> bytes:
    """Write the acknowledgement of a message: MSH with the parties exchanged, MSA, ERR."""
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
    if charset := answered.raw(18):
        header += ["", "", "", "", "", charset]
    lines = [header, ["MSA", code, answered.raw(10)]]
    lines += [_error(encoding, problem) for problem in problems]
    joined = (encoding.field.join(line) for line in lines)
    text = "".join(_OF_FRAMES.sub("?", line) + "\r" for line in joined)
    return text.encode(encoding.charset, "replace")


def _message_type(message: Message) -> str:
    trigger = message.encoding.escaped(message.trigger_event)
    parts = ["ACK", trigger] if trigger else ["ACK"]
    if trigger and message.version[:3] not in ("2.1", "2.2", "2.3"):
        parts.append("ACK")  # 2.3.1 too knows no third component
    return message.encoding.component.join(parts)


def _error(encoding: Encoding, problem: Problem) -> list[str]:
    location = problem.location.replace("^", encoding.component)
    coded = encoding.component.join((problem.code, ERROR_TEXTS[problem.code], "HL70357"))
    line = ["ERR", "", location, coded, "E"]
    return [*line, "", "", "", encoding.escaped(problem.reason)] if problem.reason else line


def rejection_of_noise(control_id: str, payload: bytes = b"", reason: str = "") -> bytes:
    """Write the rejection of something that has no header to answer to; ``reason`` for people.

    The parties are those of the first header segment, such as a batch's, that can be read.
    """
    parties = "|".join(_parties(payload))
    header = f"MSH|^~\\&|{parties}|{datatypes.now()}+0000||ACK|{control_id}|P|2.3.1\r"
    error = f"ERR||MSH^1|100^{ERROR_TEXTS['100']}^HL70357|E||||{reason}\r"
    return (header + f"MSA|{REJECTED}|\r" + error).encode("ascii", "replace")


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
