"""A sender of HL7 v2 messages, which shares no code with the server."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.waiting import PATIENCE

START, END = b"\x0b", b"\x1c\x0d"
DOMAIN: Final = "2.999.1.1"

CHARACTERS: Final = "^~\\&"


def cx(number: str, oid: str = DOMAIN, namespace: str = "") -> str:
    """Write an identifier as it stands in PID-3."""
    return f"{number}^^^{namespace}&{oid}&ISO" if oid else f"{number}^^^{namespace}"


def adt(
    trigger: str,
    *segments: str,
    control_id: str = "MSG001",
    version: str = "2.3.1",
    charset: str = "",
) -> bytes:
    """Write a message of some segments after MSH and EVN."""
    parties = "ADT|HOSP|XDSREG|XAD"
    header = f"MSH|{CHARACTERS}|{parties}|2026||ADT^{trigger}|{control_id}|P|{version}"
    if charset:
        header += f"||||||{charset}"
    lines = [header, f"EVN|{trigger}|20260102030405", *segments]
    encoding = {"8859/1": "latin-1", "UNICODE UTF-8": "utf-8"}.get(charset, "utf-8")
    return "".join(f"{line}\r" for line in lines).encode(encoding)


def pid(*identifiers: str) -> str:
    """Write a PID segment."""
    return f"PID|1||{'~'.join(identifiers)}||Doe^Jane||19800229|F"


def mrg(*identifiers: str) -> str:
    """Write an MRG segment."""
    return f"MRG|{'~'.join(identifiers)}"


def merge(subsumed: str, surviving: str, **more: str) -> bytes:
    """Write an A40."""
    return adt("A40^ADT_A39", pid(surviving), mrg(subsumed), **more)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An acknowledgement taken apart by hand; fields are numbered as in HL7."""

    header: Sequence[str]
    code: str
    control_id: str
    errors: Sequence[tuple[str, str]]
    """ERR-2, and the code of ERR-3."""
    raw: bytes

    def msh(self, number: int) -> str:
        """Return a field of MSH; empty where it is absent."""
        return self.header[number - 1] if number <= len(self.header) else ""


ACCEPTED: Final[tuple[str, list[tuple[str, str]]]] = ("AA", [])


def outcome(found: Acknowledgement) -> tuple[str, list[tuple[str, str]]]:
    """Return what an acknowledgement says: its code, and its errors."""
    return found.code, list(found.errors)


def take_apart(raw: bytes) -> Acknowledgement:
    """Take an acknowledgement apart; it must have the form of one."""
    text = raw.decode("latin-1")
    assert text.endswith("\r")
    separator, characters = text[3], text[4 : text.index(text[3], 4)]
    lines = [line.split(separator) for line in text.removesuffix("\r").split("\r")]
    header, answer, *errors = lines
    assert (header[0], answer[0]) == ("MSH", "MSA")
    assert {line[0] for line in errors} <= {"ERR"}
    header[0] = separator
    assert header[1] == characters
    assert re.fullmatch(r"\d{14}\+0000", header[6])
    assert header[8].split(characters[0])[0] == "ACK"
    assert 0 < len(header[9]) <= 20
    listed = [(line[2], line[3].split(characters[0])[0]) for line in errors]
    for line in errors:
        assert line[3].split(characters[0])[2] == "HL70357"
        assert line[4] == "E"
    return Acknowledgement(header, answer[1], answer[2], listed, raw)


class Sender:
    """One MLLP connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send some bytes as they are."""
        self.socket.sendall(data)

    def post(self, *messages: bytes) -> None:
        """Send messages in their frames, all at once."""
        self.send(b"".join(START + message + END for message in messages))

    def read(self) -> bytes:
        """Read the content of one frame; empty where the server has closed the connection."""
        data = b""
        while not data.endswith(END):
            if not (byte := self._reader.read(1)):
                assert data == b""
                return b""
            data += byte
        assert data.startswith(START)
        return data[1:-2]

    def receive(self) -> Acknowledgement:
        """Read one acknowledgement."""
        return take_apart(self.read())

    def ask(self, message: bytes) -> Acknowledgement:
        """Send one message and return its acknowledgement."""
        self.post(message)
        return self.receive()


@contextmanager
def connected(port: int) -> Iterator[Sender]:
    """Connect for the length of a block."""
    sender = Sender(port)
    try:
        yield sender
    finally:
        sender._reader.close()
        sender.socket.close()
