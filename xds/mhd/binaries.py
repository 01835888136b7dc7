"""A document as a Binary resource: base64 within JSON or XML, encoded as it is read (FHIR R4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from xds import base64_blocks
from xds.fhir.r4 import rendering
from xds.fhir.r4.resource import Resource
from xds.repository.store import DocumentReader

_PLACE: Final = "@"
"""Stands for the base64 where the resource is rendered around it."""


@dataclass(frozen=True, slots=True)
class BinaryResource:
    """What comes before the base64 of a document, and what after it."""

    head: bytes
    tail: bytes

    @classmethod
    def around(
        cls, identifier: str, mime_type: str, registered: int, size: int, form: str, *, pretty: bool
    ) -> Self:
        """Render the resource without its data, which is its last element."""
        last_updated = datetime.fromtimestamp(registered, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        resource: Resource = {
            "resourceType": "Binary",
            "id": identifier,
            "meta": {"versionId": "1", "lastUpdated": last_updated},
            "contentType": mime_type,
            "securityContext": {"reference": f"DocumentReference/{identifier}"},
        }
        if not size:  # an element of FHIR is never empty
            return cls(rendering.render(resource, form, pretty=pretty), b"")
        rendered = rendering.render({**resource, "data": _PLACE}, form, pretty=pretty)
        head, _, tail = rendered.rpartition(_PLACE.encode())
        return cls(head, tail)

    def length(self, size: int) -> int:
        """Return the length of the whole, for a document of that size."""
        return len(self.head) + (size + 2) // 3 * 4 + len(self.tail)

    def blocks(self, reader: DocumentReader) -> Iterable[bytes]:
        """Yield the whole; closing it closes the document."""
        return _EncodedBinary(self, reader)


class _EncodedBinary:
    """The blocks of a Binary. No generator: one that was never begun would not close."""

    def __init__(self, resource: BinaryResource, reader: DocumentReader) -> None:
        self._resource = resource
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        yield self._resource.head
        yield from base64_blocks.encode(self._reader)
        yield self._resource.tail

    def close(self) -> None:
        """Close the document."""
        self._reader.close()
