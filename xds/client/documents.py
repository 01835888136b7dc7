"""Documents on their way: sent, received, and found to be the same."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Self

from xds.client.errors import DocumentDiffers
from xds.metadata.objects import DocumentEntry

_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a document from another: its size and its SHA-1 (ITI TF-3 4.2.3.2)."""

    size: int
    hash: str

    @classmethod
    def of(cls, chunks: Iterable[bytes]) -> "Fingerprint":
        """Read a document to its end."""
        tally = _HashAndSize()
        for _ in tally.counting(chunks):
            pass
        return tally.fingerprint()

    def differences(self, entry: DocumentEntry) -> list[str]:
        """Say in what this document is not the one registered; of an On-Demand one, nothing is."""
        found = []
        if entry.size and entry.size != str(self.size):
            found.append(f"size is {self.size} bytes, registered are {entry.size}")
        if entry.hash and entry.hash.lower() != self.hash:
            found.append(f"hash is {self.hash}, registered is {entry.hash.lower()}")
        return found


class _HashAndSize:
    def __init__(self) -> None:
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._size = 0

    def counting(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(self._size, self._digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Content:
    """A document to be sent: its blocks, or a function that gives them when their turn comes.

    With a size for every document the length of the message is known to the server beforehand.
    """

    chunks: Callable[[], Iterable[bytes]] | Iterable[bytes]
    size: int | None = None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Send a file, which is opened when its turn comes."""
        return cls(partial(_blocks_of, path), path.stat().st_size)

    @classmethod
    def of_stream(cls, stream: BinaryIO, size: int | None = None) -> Self:
        """Send an open file from where it stands to its end."""
        return cls(iter(partial(stream.read, _BLOCK), b""), size)

    def watched(self, tell: Callable[[int], object]) -> "Content":
        """Return the same document, which tells the number of bytes of each block that has left."""
        return Content(lambda: _told(self.blocks(), tell), self.size)

    def blocks(self) -> Iterable[bytes]:
        """Give the blocks; they can be read again only if ``chunks`` is a function."""
        return self.chunks() if callable(self.chunks) else self.chunks

    def fingerprint(self) -> Fingerprint:
        """Read the document for its size and hash."""
        return Fingerprint.of(self.blocks())


def _blocks_of(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            yield block


def _told(blocks: Iterable[bytes], tell: Callable[[int], object]) -> Iterator[bytes]:
    for block in blocks:
        yield block
        tell(len(block))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedDocument:
    """A document that is arriving: its bytes can be taken once, before the next document's."""

    repository_unique_id: str
    document_unique_id: str
    mime_type: str
    home_community_id: str | None = None
    new_repository_unique_id: str | None = None
    """Where an On-Demand document was kept as a new one (ITI TF-2 3.43.4.2.2)."""
    new_document_unique_id: str | None = None
    blocks: Iterator[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in blocks as they arrive."""
        return self.blocks

    def fingerprint(self) -> Fingerprint:
        """Read the document for its size and hash alone."""
        return Fingerprint.of(self.blocks)

    def watched(self, tell: Callable[[int], object]) -> "RetrievedDocument":
        """Return the same document, which tells the number of bytes of each block taken."""
        return replace(self, blocks=_told(self.blocks, tell))

    def save(self, target: Path | BinaryIO, entry: DocumentEntry | None = None) -> Fingerprint:
        """Write the document to a file and return its size and hash.

        Raises DocumentDiffers where these are not what the entry says. A file given by its path
        appears under that name only when the document is whole, and the one registered.
        """
        if not isinstance(target, Path):
            return self._copied(target, entry)
        unfinished = target.with_name(f"{target.name}.part")
        try:
            with unfinished.open("wb") as file:
                written = self._copied(file, entry)
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return written

    def _copied(self, file: BinaryIO, entry: DocumentEntry | None) -> Fingerprint:
        tally = _HashAndSize()
        for chunk in tally.counting(self.blocks):
            file.write(chunk)
        written = tally.fingerprint()
        if entry is not None and (differences := written.differences(entry)):
            raise DocumentDiffers(differences)
        return written
