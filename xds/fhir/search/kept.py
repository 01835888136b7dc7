"""Resources that were written lately, so that a search need not write each match anew.

A registered object changes in few respects only: its status, its patient, what relates to it and
what it holds. Whoever keeps a resource names all of these, so nothing kept can be out of date; what
has changed is written under another key, and the old one is forgotten in its turn.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from xds.fhir.r4 import json
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.resource import Resource

_MOST_BYTES: Final = 32 << 20
_OF_KEY: Final = 1_000
"""Bytes that a key takes, about."""


class Kept:
    """The JSON of resources by all that they are made of; safe to use from many threads."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._room = most_bytes
        self._lock = threading.Lock()
        self._rendered: OrderedDict[Hashable, Rendered] = OrderedDict()

    def rendered(self, key: Hashable, write: Callable[[], Resource]) -> Rendered:
        """Return a resource, written if it is not kept."""
        with self._lock:
            known = self._rendered.get(key)
            if known is not None:
                self._rendered.move_to_end(key)
                return known
        made = write()
        rendered = Rendered(made["id"], json.render(made))
        with self._lock:
            self._keep(key, rendered)
        return rendered

    def _keep(self, key: Hashable, rendered: Rendered) -> None:
        if key not in self._rendered:
            self._rendered[key] = rendered
            self._room -= len(rendered.content) + _OF_KEY
        while self._room < 0:
            _, oldest = self._rendered.popitem(last=False)
            self._room += len(oldest.content) + _OF_KEY
