"""The certificates of a running server: taken anew when files change, warned of before they end."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography import x509

from xds import logs
from xds.config import Config
from xds.telemetry.metrics import Metrics
from xds.tls import expiry, material
from xds.tls.material import Copies

_POLL_SECONDS: Final = 1.0
_WARN_SECONDS: Final = 24 * 3600

_log = logs.get_logger(__name__)

Signature = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """What the options name, as it was when all of it last fitted together."""

    def __init__(self, config: Config, folder: Path, metrics: Metrics | None) -> None:
        """Read the files, and copy them to a folder; BadMaterial where one is wrong."""
        self._config = config
        self._metrics = metrics
        self._copies = Copies(folder)
        self._expiries: Sequence[expiry.Expiry] = ()
        self.renew()

    @property
    def folder(self) -> Path:
        """Where the newest copy lies."""
        return self._copies.current

    def renew(self) -> Path:
        """Read the files again, and return the folder of a copy; BadMaterial keeps the last one."""
        try:
            found = material.read(self._config)
            outgoing = self._outgoing()
        except material.BadMaterial:
            self._count("refused")
            raise
        folder = self._copies.take(found)
        self._expiries = tuple(expiry.expiries(found, outgoing))
        self._count("taken")
        if self._metrics:
            for one in self._expiries:
                self._metrics.expires(one.option, one.at.timestamp())
        self.warn()
        return folder

    def _outgoing(self) -> Sequence[x509.Certificate]:
        path = self._config.tls_outgoing_certificate
        return material.certificates("tls_outgoing_certificate", path) if path else ()

    def _count(self, outcome: str) -> None:
        if self._metrics:
            self._metrics.certificates_read(outcome)

    def warn(self) -> None:
        """Log what runs out soon, or has."""
        now = expiry.now()
        for one in self._expiries:
            if one.is_near(now):
                event = "has run out" if now >= one.at else "is about to run out"
                _log.warning(
                    f"a certificate or revocation list {event}",
                    option=one.option,
                    at=one.at.isoformat(),
                    days_left=(one.at - now).days,
                )

    @contextmanager
    def watched(self, changed: Callable[[], None]) -> Iterator[None]:
        """For a block, call when the files have changed and are at rest, and warn every day."""
        ending = threading.Event()

        def watch() -> None:
            seconds = 0.0
            known = before = self._signature()
            while not ending.wait(_POLL_SECONDS):
                seconds += _POLL_SECONDS
                if seconds >= _WARN_SECONDS:
                    seconds = 0.0
                    self.warn()
                present = self._signature()
                if present == before != known:
                    known = present
                    changed()
                before = present

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            ending.set()

    def _signature(self) -> Signature:
        config = self._config
        paths = (config.tls_certificate, config.tls_key, config.tls_trust, config.tls_crl)
        outgoing = (config.tls_outgoing_certificate,)
        return tuple(_state(path) for path in (*paths, *outgoing) if path)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
