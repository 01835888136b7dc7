"""Resources that were written lately, so that a search need not write each match anew.

A registered object changes in few respects only: its status, its patient, what relates to it and
what it holds. A key names all of these, so nothing kept can be out of date; what has changed is
written under another key, and the old one is forgotten in its turn.
"""

from collections.abc import Callable, Hashable
from typing import Final

from xds.cache import Cache
from xds.fhir.r4.json import Rendered

_MOST_BYTES: Final = 32 << 20
_OF_KEY: Final = 1_000
"""Bytes that a key takes, about."""


def _size(rendered: Rendered) -> int:
    return len(rendered.content) + _OF_KEY


class RenderedResources:
    """The JSON of resources by all that they are made of; safe to use from many threads."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._cache: Cache[Hashable, Rendered] = Cache(most_bytes, size=_size)

    def known(self, key: Hashable) -> Rendered | None:
        """Return a resource that is kept."""
        return self._cache.get(key)

    def keep(self, key: Hashable, rendered: Rendered) -> None:
        """Keep a resource."""
        self._cache.put(key, rendered)

    def rendered(self, key: Hashable, write: Callable[[], Rendered]) -> Rendered:
        """Return a resource, written if it is not kept."""
        known = self.known(key)
        if known is None:
            known = write()
            self.keep(key, known)
        return known
