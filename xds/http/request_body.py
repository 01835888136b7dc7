"""The body of a request as a WSGI application reads it: no further than its length (PEP 3333)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

_BLOCK: Final = 256 * 1024


class RequestBody:
    """The body of one request; belongs to one thread."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        # not the environment, which may hold this
        self._stream = environ["wsgi.input"]
        self._is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        self._awaits_word = environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        self.coding = (environ.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower()
        """Its Content-Encoding, in lower case."""
        length = environ.get("CONTENT_LENGTH") or ""
        self.declared = int(length) if length.isdigit() else None
        """Its Content-Length in bytes; None where there is none."""
        self.count = 0
        """How many bytes of it were read."""

    def read_on(self, size: int = _BLOCK) -> bytes:
        """Read some bytes, none at the end; may raise TooSlow, TooMany or another OSError."""
        if self.declared is not None:
            size = min(size, self.declared - self.count)
        data: bytes = self._stream.read(size) if size else b""
        self.count += len(data)
        return data

    def drain(self, most: int) -> None:
        """Read on for at most so many bytes, so that a sender in full flow hears the answer."""
        if self.count == self.declared or not (self.declared or self._is_chunked):
            return
        # to read would be the word that such a client waits for before it sends
        if self.count == 0 and self._awaits_word:
            return
        end = self.count + most
        with suppress(OSError):
            while self.count < end and self.read_on():
                pass
