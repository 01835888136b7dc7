"""Messages as they arrive: small ones in memory, large ones in a file, read alike."""

import random
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256

import pytest

from xds.hl7v2 import spooled as spooled_messages
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused
from xds.hl7v2.spooled import IN_MEMORY_BYTES, MAX_SKELETON_BYTES, SpooledMessage

HEADER = b"MSH|^~\\&|A|B|C|D|20260102030405||ORU^R01|MSG1|P|2.5"
LIMIT = 256 << 20
ADDRESSES = ((), (1,), (2,), (1, 2), (1, 4), (1, 5), (2, 4), (2, 5), (1, 9), (1, 1, 2))


def arrived(*pieces: bytes, limit: int = LIMIT) -> SpooledMessage:
    """Make a message of the pieces in which it came."""
    spooled = SpooledMessage(lambda head: limit)
    for piece in pieces:
        spooled.write(piece)
    spooled.finish()
    return spooled


def in_pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut bytes at random."""
    chance = random.Random(seed)
    while data:
        size = chance.choice((1, 100, 5_000, 70_000, 300_000))
        yield data[:size]
        data = data[size:]


def large_message(end: bytes = b"\r") -> bytes:
    """Write a message with large fields, of which the parts have their own lengths."""
    chance = random.Random(1)
    text = bytes(chance.choices(b"abc&^", k=150_000))
    parts = [b"", b"application", b"pdf", b"Base64", b"x" * 900_000]
    fields = [
        b"OBX|1|ED|A^B||" + b"^".join(parts) + b"~^^^second^" + b"y" * 99_000 + b"||||||F",
        b"OBX|2|FT|||" + text + b"|" + "é".encode() * 40_000 + b"|z",
        b"OBX|3|TX|||short",
    ]
    return end.join([HEADER, b"PID|1||7", *fields, b""])


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("seed", range(3))
def test_large_fields_read_as_small_ones(
    end: bytes, seed: int, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = large_message(end)
    monkeypatch.setattr(spooled_messages, "IN_MEMORY_BYTES", in_memory)
    spooled = arrived(*in_pieces(data, seed))
    assert len(spooled.skeleton) < 10_000
    monkeypatch.setattr(spooled_messages, "LARGE_FIELD_BYTES", 1 << 30)
    large, whole = Message.read(spooled), Message.read(data)
    assert whole.source.skeleton == data
    assert (large.size, large.digest) == (whole.size, whole.digest) == (len(data), large.digest)
    assert b"".join(large.blocks()) == data
    assert large.encoding.charset == "utf-8"
    for one, other in zip(large.segments(), whole.segments(), strict=True):
        assert (one.name, one.sequence, one.last_field) == (
            other.name,
            other.sequence,
            other.last_field,
        )
        for number in range(1, one.last_field + 1):
            assert one.repetitions(number) == other.repetitions(number)
            for address in (
                (),
                (1,),
                (2,),
                (1, 2),
                (1, 4),
                (1, 5),
                (2, 4),
                (2, 5),
                (1, 9),
                (1, 1, 2),
            ):
                assert one.raw(number, *address) == other.raw(number, *address)
                found = b"".join(one.blocks(number, *address)) if one.name != "MSH" else b""
                assert found.decode() == (one.raw(number, *address) if found else "")
    spooled.close()


def test_a_large_field_is_not_taken_apart_as_a_whole() -> None:
    with arrived(large_message()) as spooled:
        segment = Message.read(spooled).segment("OBX")
        assert segment is not None
        with pytest.raises(MessageRefused, match="207 at OBX"):
            segment.field(5)


def test_a_document_of_many_megabytes_takes_no_memory() -> None:
    block = b"JVBERi0x" * 8_192
    tracemalloc.start()
    spooled = arrived(HEADER + b"\rOBX|1|ED|||^^^Base64^", *(block for _ in range(480)), b"|F\r")
    segment = Message.read(spooled).segment("OBX")
    assert segment is not None
    assert sum(map(len, segment.blocks(5, 1, 5))) == 480 * len(block)
    assert segment.raw(6) == "F"
    with pytest.raises(MessageRefused, match="207"):
        segment.raw(5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    spooled.close()
    assert most < 6 << 20


@pytest.mark.parametrize("size", [99, 5_000, IN_MEMORY_BYTES + 9, 3 * IN_MEMORY_BYTES])
def test_a_message_beyond_its_limit_keeps_its_beginning(size: int) -> None:
    data = HEADER + b"\rOBX|1|TX|||" + b"x" * size
    spooled = arrived(*in_pieces(data, 1), limit=len(data) - 1)
    assert str(len(data) - 1) in spooled.exceeded
    assert spooled.size == len(data)
    assert Message.read(spooled).value("MSH", 10) == "MSG1"
    with arrived(data, limit=len(data)) as taken:
        assert not taken.exceeded


def test_fields_that_are_not_large_have_a_limit_together() -> None:
    row = b"NTE|1||" + b"x" * 60_000 + b"\r"
    spooled = arrived(HEADER + b"\r", *(row for _ in range(MAX_SKELETON_BYTES // len(row) + 9)))
    assert str(MAX_SKELETON_BYTES) in spooled.exceeded


def test_a_digest_leaves_out_what_a_repetition_changes() -> None:
    one = Message.read(b"\r\n" + HEADER + b"\rPID|1\r")
    again = HEADER.replace(b"20260102030405|", b"2027|SECURITY")
    assert one.digest == Message.read(b"\r\n" + again + b"\rPID|1\r").digest
    assert one.digest != Message.read(HEADER + b"\rPID|2\r").digest
    assert Message.read(b"MSH|^~\\&|A").digest == sha256(b"MSH|^~\\&|A").hexdigest()
