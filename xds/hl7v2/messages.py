"""HL7 v2 messages: read by python-hl7, acknowledged in their own version, encoding and charset.

Only the fields that an identity feed is about are parsed: what else a message brings (names,
insurance, observations) is neither needed nor looked at. The library's ``unescape`` is not used:
it logs the values that it cannot read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import hl7

from xds.errors import Breach, RequestRefused
from xds.metadata import datatypes
from xds.metadata.white_space import trimmed

Component = tuple[str, ...]
Repetition = tuple[Component, ...]
"""Components, each of subcomponents; what is absent is missing from the end."""

_LAST_FIELDS: Final = {"MSH": 18, "PID": 3, "MRG": 1}
"""The segments that are parsed, and how far."""
_MOST_CHARACTERS: Final = 32 * 1024
"""Of what is parsed, as the tree takes some hundred times the room."""
_OF_FRAMES: Final = re.compile("[\x0b\x1c]")
"""What would begin or end a frame, if an acknowledgement repeated it."""
_SEGMENT_END: Final = re.compile(r"[\r\n]+")
_HEADER: Final = re.compile(r"MSH([^\w\s\x80-\xff])([^\w\s\x80-\xff]{4,5})\1")
"""The separators are ASCII: any other may be another character once the charset is known."""
_HEADER_BYTES: Final = 10

_CHARSETS: Final = {
    "": "ascii",
    "ASCII": "ascii",
    "US-ASCII": "ascii",
    "ANSI X3.4": "ascii",
    **{
        f"{prefix}8859{sign}{part}": f"iso-8859-{part}"
        for part in (*range(1, 10), 15)
        for prefix, sign in (("", "/"), ("", "-"), ("ISO-", "-"), ("ISO ", "/"), ("ISO", "-"))
    },
    "LATIN1": "iso-8859-1",
    "LATIN-1": "iso-8859-1",
    **{
        f"{prefix}{number}": f"cp{number}"
        for number in range(1250, 1259)
        for prefix in ("WINDOWS-", "WINDOWS", "CP", "CP-", "WIN")
    },
    "ANSI": "cp1252",
    **dict.fromkeys(("UNICODE", "UNICODE UTF-8", "UTF-8", "UTF8"), "utf-8"),
}
"""HL7 table 0211 as far as MLLP can carry it, and the other names that senders use for these."""
CHARSETS_TOLD: Final = (
    "ASCII, 8859/1 to 8859/9, 8859/15 (also ISO-8859-1 ...), WINDOWS-1250 to WINDOWS-1258, "
    "UNICODE UTF-8 (also UTF-8)"
)
"""The names of character sets for a sender who uses another one."""

ERROR_TEXTS: Final = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported trigger event",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "207": "Application internal error",
}
"""HL7 table 0357, the codes used here."""

ACCEPTED: Final = "AA"
ERROR: Final = "AE"
"""The message is understood, and its content refused."""
REJECTED: Final = "AR"
"""The message is not one that is answered here, or not now."""


_NO_HEADER: Final = (
    "a frame holds one message, which begins with MSH, a field separator and four encoding "
    "characters, in a charset that has ASCII"
)
_BATCH: Final = (
    "batches (FHS, BHS) are not taken: send each message in a frame of its own, from MSH on, "
    "without FHS, BHS, BTS and FTS"
)
_ENDLESS: Final = (
    f"the segments that are read have more than {_MOST_CHARACTERS} characters: MSH to its field "
    "18, PID to 3, MRG to 1"
)
_STARTS_OF_BATCHES: Final = (b"FHS", b"BHS")


class Unreadable(Exception):
    """What came in a frame does not begin with a message header, or goes on for ever."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """For people; quotes nothing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One ERR segment (HL7 v2.5 2.15.5, as ITI TF-2x C.2.3 wants it for all versions)."""

    code: str
    """Of HL7 table 0357."""
    location: str
    """Segment, sequence, field, repetition, component, subcomponent; as many as are known."""
    reason: str = ""
    """For people; names no patient."""


class Refused(RequestRefused):
    """The content of a message is refused (AE)."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(", ".join(f"{one.code} at {one.location}" for one in problems))
        self.problems = problems

    @property
    def breaches(self) -> Sequence[Breach]:
        """What is wrong, as far as a log may tell."""
        return tuple(Breach(one.code, one.location) for one in self.problems)


class Message:
    """One message, taken apart by the separators that it declares."""

    def __init__(
        self, text: str, separators: str, charset: str, *, is_charset_known: bool = True
    ) -> None:
        self._tree = hl7.parse(text)
        self.field_separator, self.component_separator = separators[0], separators[1]
        self._escape_character = separators[3]
        self._sequences = dict(zip("FSRET", separators, strict=False))
        self.encoding_characters = separators[1:]
        self.charset = charset
        self.is_charset_known = is_charset_known
        """False where MSH-18 names none of the table, and characters beyond ASCII are there."""

    @classmethod
    def read(cls, payload: bytes) -> "Message":
        """Read a message; Unreadable where it has no header.

        A byte that is not of the declared charset becomes U+FFFD, and matters only where it is
        part of an identifier. Without a charset, which IHE forbids beyond ASCII, UTF-8 is tried.
        """
        payload = payload.lstrip()
        if payload.startswith(_STARTS_OF_BATCHES):
            raise Unreadable(_BATCH)
        header = _HEADER.match(payload[:_HEADER_BYTES].decode("latin-1"))
        if header is None or len({*header[1], *header[2]}) != 1 + len(header[2]):
            raise Unreadable(_NO_HEADER)
        separators = header[1] + header[2]
        declared = _charset(payload, header[1], header[2][1])
        charset = declared or "ascii"
        text = "\r".join(_parts(payload.decode(charset, "replace"), header[1]))
        if len(text) > _MOST_CHARACTERS:
            raise Unreadable(_ENDLESS)
        return cls(text, separators, charset, is_charset_known=declared is not None)

    def count(self, segment: str) -> int:
        """Return how often a segment stands in the message."""
        return sum(1 for found in self._tree if str(found[0]) == segment)

    def raw(self, number: int) -> str:
        """Return a field of MSH as it stands there; empty where it is absent."""
        header = self._tree[0]
        return str(header[number]) if number < len(header) else ""

    def field(self, segment: str, number: int) -> tuple[Repetition, ...]:
        """Return the repetitions of a field of the first such segment, unescaped and trimmed."""
        for found in self._tree:
            if str(found[0]) == segment:
                return tuple(self._repetitions(found[number])) if number < len(found) else ()
        return ()

    def _repetitions(self, field: Iterable[Any]) -> Iterator[Repetition]:
        for repetition in field:
            components = repetition if isinstance(repetition, list) else [repetition]
            yield tuple(self._component(component) for component in components)

    def _component(self, component: Any) -> Component:
        parts = component if isinstance(component, list) else [component]
        return tuple(trimmed(self._unescape(part)) for part in parts)

    def _unescape(self, text: str) -> str:
        """Replace the sequences for separators; any other stays as it is."""
        if self._escape_character not in text:
            return text
        return self._pattern.sub(lambda found: self._sequences[found[1]], text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        mark = re.escape(self._escape_character)
        return re.compile(f"{mark}([FSTRE]){mark}")

    def escape(self, text: str) -> str:
        """Write a text so that it holds no separator of this message."""
        sequences = {c: name for name, c in self._sequences.items()}
        mark = self._escape_character
        return "".join(f"{mark}{sequences[c]}{mark}" if c in sequences else c for c in text)

    @cached_property
    def message_type(self) -> str:
        """MSH-9 component 1."""
        return self._header(9, 0)

    @cached_property
    def trigger_event(self) -> str:
        """MSH-9 component 2."""
        return self._header(9, 1)

    @cached_property
    def version(self) -> str:
        """MSH-12."""
        return self._header(12, 0)

    def _header(self, number: int, component: int) -> str:
        for repetition in self.field("MSH", number):
            return repetition[component][0] if component < len(repetition) else ""
        return ""


def _parts(text: str, field_separator: str) -> Iterator[str]:
    """Yield the beginnings of the segments that are wanted."""
    for segment in _SEGMENT_END.split(text):
        if last := _LAST_FIELDS.get(segment[:3]):
            yield field_separator.join(segment.split(field_separator, last + 1)[: last + 1])


def _charset(payload: bytes, field_separator: str, repetition_separator: str) -> str | None:
    """Return the codec of a message; None where it names a character set that is not known."""
    if payload.isascii():
        return "ascii"
    header = re.split(rb"[\r\n]", payload, maxsplit=1)[0].decode("latin-1")
    fields = header.split(field_separator)
    named = fields[17].partition(repetition_separator)[0].strip() if len(fields) > 17 else ""
    if named:
        return _CHARSETS.get(" ".join(named.upper().replace("_", "-").split()))
    try:
        payload.decode()
    except UnicodeDecodeError:
        return "ascii"
    return "utf-8"


def acknowledgement(
    message: Message, code: str, problems: Iterable[Problem] = (), *, control_id: str
) -> bytes:
    """Write the acknowledgement of a message: MSH with the parties exchanged, MSA, ERR."""
    trigger = message.escape(message.trigger_event)
    message_type = f"ACK{message.component_separator}{trigger}" if trigger else "ACK"
    if message.version[:3] not in ("2.1", "2.2", "2.3"):  # 2.3.1 too knows no third component
        message_type += f"{message.component_separator}ACK" if trigger else ""
    header = [
        "MSH",
        message.encoding_characters,
        *(message.raw(number) for number in (5, 6, 3, 4)),
        f"{datatypes.now()}+0000",
        "",
        message_type,
        control_id,
        message.raw(11) or "P",
        message.raw(12) or "2.3.1",
    ]
    if charset := message.raw(18):
        header += ["", "", "", "", "", charset]
    lines = [header, ["MSA", code, message.raw(10)]]
    lines += [_error(message, problem) for problem in problems]
    joined = (message.field_separator.join(line) for line in lines)
    text = "".join(_OF_FRAMES.sub("?", line) + "\r" for line in joined)
    return text.encode(message.charset, "replace")


def _error(message: Message, problem: Problem) -> list[str]:
    location = problem.location.replace("^", message.component_separator)
    coded = message.component_separator.join((problem.code, ERROR_TEXTS[problem.code], "HL70357"))
    line = ["ERR", "", location, coded, "E"]
    return [*line, "", "", "", message.escape(problem.reason)] if problem.reason else line


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
    start = payload[:_MOST_CHARACTERS].decode("ascii", "replace")
    for segment in _SEGMENT_END.split(start)[:5]:
        if segment.startswith(_HEADERS):
            named = (_OF_FRAMES.sub("?", one)[:_LONGEST_PARTY] for one in segment.split("|")[2:6])
            sender, office, receiver, theirs, *_ = (*named, "", "", "", "")
            if sender or office or receiver or theirs:
                return receiver, theirs, sender, office
    return "", "", "", ""
