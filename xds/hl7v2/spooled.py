"""A message as it arrives: in memory while it is small, in a file without a name beyond that.

What is read of a message is its *skeleton*: the bytes that came, in which of each field of more
than LARGE_FIELD_BYTES the first HEAD_BYTES stand and no more. A LargePiece says where in the raw
bytes the rest is, so that a document of 100 MB in OBX-5 costs a kilobyte of memory, and one in
memory is not looked through for each segment. A message of small fields is its own skeleton.
"""

import codecs
import hashlib
import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

IN_MEMORY_BYTES: Final = 1 << 20
"""Of a message; a larger one goes to a file."""
LARGE_FIELD_BYTES: Final = 64 * 1024
HEAD_BYTES: Final = 1024
"""What the skeleton keeps of a large field."""
MAX_SKELETON_BYTES: Final = 16 << 20
"""Of all fields that are not large."""
BLOCK_BYTES: Final = 64 * 1024

_HEAD_OF_MESSAGE: Final = 4 * 1024
"""Enough to know of which family a message is."""
BYTE_ORDER_MARK: Final = codecs.BOM_UTF8
_HEADERS: Final = (b"MSH", b"BHS", b"FHS")

LimitOf = Callable[[bytes], int]
"""Takes the first bytes of a message, and returns how many it may have."""


class LargePiece(NamedTuple):
    """What the skeleton leaves out."""

    at: int
    """Where in the skeleton it belongs."""
    start: int
    """Where it begins in the raw bytes."""
    end: int


class SpooledMessage:
    """The bytes of one frame, body or file; made by ``write`` and ``finish``, then read.

    It never raises for what comes: a message that is too large, or that the disk does not take, is
    counted and no longer kept, except its beginning, which an acknowledgement needs.
    """

    def __init__(self, limit_of: LimitOf | int, folder: Path | None = None) -> None:
        self._limit_of = limit_of
        self._limit = limit_of if isinstance(limit_of, int) else None
        self._folder = folder
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._builder: _SkeletonBuilder | None = None
        self.size = 0
        """Bytes that came."""
        self.exceeded: str = ""
        """Which limit the message is beyond; it is not kept then."""
        self.error: OSError | None = None
        """Why the disk did not take it; it is not kept then."""
        self._raw = b""
        """Of one in memory, once nothing more comes."""
        self.skeleton = b""
        self.pieces: tuple[LargePiece, ...] = ()
        self.is_ascii = True
        self.is_utf8 = True
        self.charset = ""
        """What says of it beside the message that counts more than MSH-18; empty where nothing."""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Make one of bytes that are there."""
        made = cls(len(data))
        made.size = len(data)
        made._settle(data)
        return made

    def write(self, data: bytes) -> None:
        """Take in some bytes."""
        self.size += len(data)
        if self.exceeded or self.error:
            return
        if self._file is None:
            self._memory += data
            if self.size > IN_MEMORY_BYTES and not self._is_too_large():
                self._guarded(self._spill)
        else:
            self._guarded(self._keep, data)
        if self.size > _HEAD_OF_MESSAGE:
            self._is_too_large()

    def finish(self) -> None:
        """Note that nothing more comes."""
        if self._is_too_large() or self.error:
            self._raw = self.skeleton = bytes(self._memory)
        elif self._builder is None:
            self._settle(bytes(self._memory))
        else:
            self.skeleton, self.pieces = self._builder.finish()
            self.is_ascii, self.is_utf8 = self._builder.is_ascii, self._builder.is_utf8()
        self._memory = bytearray()
        self._builder = None

    def _settle(self, data: bytes) -> None:
        self._raw = self.skeleton = data
        self.is_ascii = data.isascii()
        self.is_utf8 = self.is_ascii or _is_utf8(data)
        if len(data) > LARGE_FIELD_BYTES:
            self.skeleton, self.pieces = _skeleton_of(data)

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            with suppress(OSError):
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield raw bytes from one place to another; OSError where the file cannot be read."""
        end = self.size if end is None else end
        if self._file is None:
            end = min(end, len(self._raw))
            for place in range(start, end, BLOCK_BYTES):
                yield self._raw[place : min(place + BLOCK_BYTES, end)]
            return
        descriptor = self._file.fileno()
        while start < end:
            block = os.pread(descriptor, min(BLOCK_BYTES, end - start), start)
            if not block:
                raise OSError("the file of a message is shorter than the message")
            start += len(block)
            yield block

    def stretched(self, skeleton: bytes, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a stretch of the skeleton, with what it leaves out.

        ``skeleton`` is that of this message, with other line ends perhaps.
        """
        for piece in self.pieces[self._first_piece(start) :]:
            if piece.at > end:
                break
            yield skeleton[start : piece.at]
            yield from self.blocks(piece.start, piece.end)
            start = piece.at
        for place in range(start, end, BLOCK_BYTES):
            yield skeleton[place : min(place + BLOCK_BYTES, end)]

    def is_stretched(self, start: int, end: int) -> bool:
        """Tell whether the skeleton leaves something out within a stretch."""
        if not self.pieces:
            return False
        first = self._first_piece(start)
        return first < len(self.pieces) and self.pieces[first].at <= end

    def raw_place(self, place: int) -> int:
        """Return where in the raw bytes a place of the skeleton is that is within no piece."""
        before = self.pieces[: bisect_right(self.pieces, place, key=lambda piece: piece.at)]
        return place + sum(piece.end - piece.start for piece in before)

    def _first_piece(self, start: int) -> int:
        return bisect_right(self.pieces, start, key=lambda piece: piece.at)

    def _is_too_large(self) -> bool:
        if self._limit is None:
            assert not isinstance(self._limit_of, int)
            self._limit = self._limit_of(bytes(self._memory[:_HEAD_OF_MESSAGE]))
        if self.size > self._limit:
            self._drop(f"a message of this kind has {self._limit} bytes at most")
        elif self._builder and len(self._builder.data) > MAX_SKELETON_BYTES:
            limit = f"the fields of up to {LARGE_FIELD_BYTES} bytes have"
            self._drop(f"{limit} {MAX_SKELETON_BYTES} bytes together at most")
        return bool(self.exceeded)

    def _drop(self, reason: str) -> None:
        if not self.exceeded:
            self.exceeded = reason
            self._keep_beginning()

    def _keep_beginning(self) -> None:
        kept = self._builder.data if self._builder else self._memory
        self._memory = kept[:LARGE_FIELD_BYTES]
        self._builder = None
        self.close()
        self._file = None

    def _guarded(self, step: Callable[..., None], *data: bytes) -> None:
        try:
            step(*data)
        except OSError as error:
            self.error = error
            self._keep_beginning()

    def _spill(self) -> None:
        self._builder = _SkeletonBuilder(separator_of(self._memory))
        self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        data, self._memory = bytes(self._memory), self._memory[:_HEAD_OF_MESSAGE]
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        assert self._file
        assert self._builder
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        for place in range(0, len(data), BLOCK_BYTES):
            self._builder.add(data[place : place + BLOCK_BYTES])


class _SkeletonBuilder:
    """Makes a skeleton of blocks, each of which is shorter than a large field.

    So only the fields at both ends of a block can be large, and the rest of it is taken over.
    """

    def __init__(self, separator: bytes) -> None:
        self._marks = (b"\r", b"\n", separator)
        self.data = bytearray()
        self.is_ascii = True
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._pieces: list[LargePiece] = []
        self._field = 0
        """Where in the skeleton the last field begins."""
        self._cut = 0
        """Bytes that are left out of it."""
        self._lost = 0
        """Bytes that are left out of those before it."""

    def add(self, block: bytes) -> None:
        """Take in a block."""
        self._look_at_charset(block)
        first = min((at for mark in self._marks if (at := block.find(mark)) >= 0), default=-1)
        if first < 0:
            self._extend(block)
            return
        last = max(block.rfind(mark) for mark in self._marks) + 1
        self._extend(block[:first])
        self._close()
        self.data += block[first:last]
        self._field = len(self.data)
        self._extend(block[last:])

    def finish(self) -> tuple[bytes, tuple[LargePiece, ...]]:
        """Return the skeleton, and what it leaves out."""
        self._close()
        return bytes(self.data), tuple(self._pieces)

    def is_utf8(self) -> bool:
        """Tell whether all of it is UTF-8."""
        if self._decoder is None:
            return False
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True

    def _look_at_charset(self, block: bytes) -> None:
        if self._decoder is None or (self.is_ascii and block.isascii()):
            return
        self.is_ascii = False
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError:
            self._decoder = None

    def _extend(self, part: bytes) -> None:
        if self._cut:
            self._cut += len(part)
            return
        self.data += part
        if (length := len(self.data) - self._field) > LARGE_FIELD_BYTES:
            self._cut = length - HEAD_BYTES
            del self.data[self._field + HEAD_BYTES :]

    def _close(self) -> None:
        if self._cut:
            at = self._field + HEAD_BYTES
            start = at + self._lost
            self._pieces.append(LargePiece(at, start, start + self._cut))
            self._lost += self._cut
            self._cut = 0


def _skeleton_of(data: bytes) -> tuple[bytes, tuple[LargePiece, ...]]:
    builder = _SkeletonBuilder(separator_of(data))
    for place in range(0, len(data), BLOCK_BYTES):
        builder.add(data[place : place + BLOCK_BYTES])
    return builder.finish()


def separator_of(data: bytes | bytearray) -> bytes:
    """Return the field separator of the first header; that of most messages where there is none."""
    start = bytes(data[:_HEAD_OF_MESSAGE]).removeprefix(BYTE_ORDER_MARK).lstrip()
    return start[3:4] if start.startswith(_HEADERS) and len(start) > 3 else b"|"


def part_of(blocks: Iterator[bytes], mark: bytes, number: int) -> Iterator[bytes]:
    """Yield of a stream the part at a place, counted from 1; nothing where there are fewer."""
    left = number - 1
    for block in blocks:
        start = 0
        while left:
            if (found := block.find(mark, start)) < 0:
                break
            start, left = found + 1, left - 1
        if left:
            continue
        end = block.find(mark, start)
        if end >= 0:
            yield block[start:end]
            return
        yield block[start:]


def place_of_part(blocks: Iterator[bytes], mark: bytes, number: int) -> int:
    """Return where in a stream the part at a place begins; its end where there are fewer."""
    left, passed = number - 1, 0
    for block in blocks:
        start = 0
        while left and (found := block.find(mark, start)) >= 0:
            start, left = found + 1, left - 1
        if not left:
            return passed + start
        passed += len(block)
    return passed


def digest_of(blocks: Iterator[bytes], blanked: tuple[int, int]) -> str:
    """Return the SHA-256 of a stream, in hex, without a stretch that lies in its first block."""
    digest = hashlib.sha256()
    first = next(blocks, b"")
    digest.update(first[: blanked[0]] + first[blanked[1] :])
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
