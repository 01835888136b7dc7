r"""How a message writes text: delimiters, escape sequences, character set (HL7 v2.8.2 2.5.4, 2.7).

Of the escape sequences, a value has these decoded, once, from left to right:

``\F\ \S\ \T\ \R\ \E\``
    The delimiters of this message; ``\P\`` the truncation character, where MSH-2 has one.
``\Xdd..\``
    Bytes of the message's character set. A zero byte before a single other one is left out, as
    some toolkits write a line end ``\X000D\``. It stays as written where the bytes are no text.

All else stays as written: highlighting and formatting (``\H\``, ``\.br\``), which are for text that
is shown (:meth:`Encoding.formatted`), the switches of character sets (``\C..\``, ``\M..\``), local
sequences (``\Z..\``), and what is no sequence at all.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_CHARSETS: Final = {
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
"""HL7 table 0211 as far as MLLP can carry it, and the other names that senders use for these. In
all of them a byte below 0x80 is the character of ASCII, wherever it stands."""
CHARSETS_TOLD: Final = (
    "ASCII, 8859/1 to 8859/9, 8859/15 (also ISO-8859-1 ...), WINDOWS-1250 to WINDOWS-1258, "
    "UNICODE UTF-8 (also UTF-8)"
)
"""The names of character sets for a sender who uses another one."""

_SWITCH: Final = b"\x1b"
_SWITCHED: Final = ("ISO IR87", "ISO IR159", "ISO IR14")
"""Character sets of two bytes below 0x80, which an escape character switches to."""
_CONTROLS: Final = re.compile(rb"[\x80-\x9f]")

_BREAKS: Final = {"br": "\n", "sp": "\n", "ce": "\n", "sk": " "}
"""What formatting commands write, as often as their number says. The others only indent or fill."""


def named_codec(name: str) -> str | None:
    """Return the codec of a character set by its name in MSH-18; None for what is not known."""
    return _CHARSETS.get(" ".join(name.upper().replace("_", "-").split()))


def codec(data: bytes, declared: str, *, is_ascii: bool, is_utf8: bool) -> str | None:
    """Return the codec of a message; None where MSH-18 names a character set that is not known.

    What is UTF-8 beyond ASCII is UTF-8 whatever is declared: text in another charset is so by
    chance hardly ever. Where MSH-18 is empty or ASCII it is Windows-1252 else, which is also what
    is meant by 8859/1 with bytes from 0x80 to 0x9F.
    """
    if is_ascii:
        return None if _SWITCH in data and declared.upper() in _SWITCHED else "ascii"
    if is_utf8:
        return "utf-8"
    found = named_codec(declared or "ASCII")
    if found == "ascii" or (found == "iso-8859-1" and _CONTROLS.search(data)):
        return "cp1252"
    return found


@dataclass(frozen=True, slots=True)
class Encoding:
    """The codec of a message, and the delimiters of its MSH-1 and MSH-2 in their order."""

    charset: str
    field: str
    component: str
    repetition: str
    escape: str = ""
    """Empty where MSH-2 is shorter; there are no escape sequences then."""
    subcomponent: str = ""
    truncation: str = ""
    """Empty before HL7 v2.7."""

    @property
    def characters(self) -> str:
        """MSH-2."""
        parts = self.component, self.repetition, self.escape, self.subcomponent, self.truncation
        return "".join(parts)

    def decoded(self, data: bytes) -> str:
        """Read bytes; those that are not of the character set, and NUL, become U+FFFD."""
        return data.decode(self.charset, "replace").replace("\0", "\ufffd")

    def escaped(self, text: str) -> str:
        """Write a text so that it holds no delimiter of this message and no control character."""
        return text.translate(_escapes(self))

    def unescaped(self, text: str) -> str:
        """Decode the escape sequences for delimiters and bytes; any other stays as it is."""
        if not self.escape or self.escape not in text:
            return text
        return _sequences(self.escape).sub(self._character, text)

    def formatted(self, text: str) -> str:
        """Decode a text of type FT or TX: line ends and skips are written, other commands drop.

        Highlighting drops too. A command writes 99 characters at most.
        """
        if not self.escape or self.escape not in text:
            return text
        return _sequences(self.escape).sub(self._shown, text)

    def _shown(self, found: re.Match[str]) -> str:
        letter, _, command, number = found.groups()
        if command:
            return _BREAKS.get(command.lower(), "") * max(int(number or 1), 0)
        return "" if letter in ("H", "N") else self._character(found)

    def _character(self, found: re.Match[str]) -> str:
        letter, digits = found[1], found[2]
        if digits:
            return self._of_bytes(bytes.fromhex(digits)) or found[0]
        return _delimiters(self).get(letter) or found[0]

    def _of_bytes(self, data: bytes) -> str | None:
        if len(data) == 2:
            data = data.removeprefix(b"\0")
        try:
            text = data.decode(self.charset)
        except UnicodeDecodeError:
            return None
        return None if "\0" in text else text


@cache
def _sequences(mark: str) -> re.Pattern[str]:
    """Return what finds escape sequences: letter, hex digits, formatting command and its number.

    Sequences that stay as written are found too: what ends one does not begin another.
    """
    end = re.escape(mark)
    forms = (
        r"([FSRETPHN])",
        r"X((?:[0-9A-Fa-f]{2})+)",
        r"\.([A-Za-z]{2})((?:[+-]?[0-9]{1,2})?)",
        r"C[0-9A-Fa-f]{4}",
        r"M[0-9A-Fa-f]{4,6}",
        rf"[XZ.][^{end}]*",
    )
    return re.compile(f"{end}(?:{'|'.join(forms)}){end}")


def _delimiters(encoding: Encoding) -> dict[str, str]:
    e = encoding
    marks = (e.field, e.component, e.repetition, e.escape, e.subcomponent, e.truncation)
    return dict(zip("FSRETP", marks, strict=True))


def _escapes(encoding: Encoding) -> dict[int, str]:
    mark = encoding.escape
    if not mark:  # what cannot be written is a blank
        marks = (*range(0x20), *map(ord, encoding.field + encoding.characters))
        return dict.fromkeys(marks, " ")
    written = {code: f"{mark}X{code:02X}{mark}" for code in range(0x20)}
    named = _delimiters(encoding).items()
    return written | {ord(c): f"{mark}{letter}{mark}" for letter, c in named if c}
