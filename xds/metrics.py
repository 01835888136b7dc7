"""Metrics for Prometheus: what the processes of one server count, added up, without patient data.

Each process writes to files of its own in a folder that their supervisor makes; whichever is asked
adds them up. Where there is no such folder, a process counts for itself.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from xds import __version__
from xds.folders import private_folder
from xds.security.gates import Outcome, Result

PATH: Final = "/metrics"

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

Backlog = tuple[int, float]
"""How many audit records wait to be shipped, and since when (seconds since 1970)."""

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Read by the library when it is first imported, which is therefore done late."""
_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_OF_AUDIT: Final = (
    ("xds_audit_waiting_records", "Audit records that their repository has not taken yet"),
    (
        "xds_audit_oldest_waiting_timestamp_seconds",
        "When the oldest of them was written; 0 where there is none",
    ),
)
_PLACES: Final = ("registry", "repository", "fhir")


@contextmanager
def shared_folder() -> Iterator[None]:
    """Have the processes that are started within a block count together."""
    with private_folder("metrics") as folder:
        os.environ[_FOLDER] = str(folder)
        try:
            yield
        finally:
            del os.environ[_FOLDER]


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._responses = Counter(
            "xds_http_responses",
            "Answers by HTTP, by the first part of the path and the status",
            ("place", "status"),
            registry=self._registry,
        )
        self._transactions = Counter(
            "xds_transactions",
            "Transactions by what their answers say: " + ", ".join(Result),
            ("transaction", "outcome"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "xds_transaction_duration_seconds",
            "Time from a transaction's start to its answer, documents not yet sent",
            ("transaction",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._missing = Counter(
            "xds_documents_missing",
            "Registered documents that could not be given out: gone, damaged, unreadable, unknown",
            ("reason",),
            registry=self._registry,
        )
        self._expiries = Gauge(
            "xds_certificate_expiry_timestamp_seconds",
            "When the first certificate or revocation list in the file of an option runs out",
            ("option",),
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self._certificates_read = Counter(
            "xds_certificates_read",
            "How often the files of certificates were taken, or refused as they did not fit",
            ("outcome",),
            registry=self._registry,
        )
        self._looks: list[Callable[[], None]] = []
        self._build = Gauge(
            "xds_build_info",
            "1, with the version of this server",
            ("version",),
            registry=self._registry,
            multiprocess_mode="max",
        )
        self._build.labels(__version__).set(1)
        # looked up once for each: their labels are few, and checked at every look
        self._response = cache(self._responses.labels)
        self._transaction = cache(self._transactions.labels)
        self._duration = cache(self._durations.labels)

    def watch_audit(self, backlog: Callable[[], Backlog | None]) -> None:
        """Tell what waits to be shipped, looking whenever the metrics are asked for.

        What cannot be known now, None, stays as it was.
        """
        from prometheus_client import Gauge

        waiting, oldest = (
            Gauge(name, told, registry=self._registry, multiprocess_mode="mostrecent")
            for name, told in _OF_AUDIT
        )

        def look() -> None:
            if found := backlog():
                waiting.set(found[0])
                oldest.set(found[1])

        self._looks.append(look)

    def watch_wal(self, size: Callable[[], int | None]) -> None:
        """Tell how large the write-ahead log of an embedded database is, whenever asked."""
        from prometheus_client import Gauge

        gauge = Gauge(
            "xds_database_wal_bytes",
            "Size of the write-ahead log of the embedded database",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self._looks.append(lambda: gauge.set(size() or 0))

    def answered(self, path: str, status: str) -> None:
        """Count an answer by HTTP."""
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        self._response(first if first in _PLACES else "other", status[:3]).inc()

    def transacted(self, transaction: str, outcome: Outcome, seconds: float | None) -> None:
        """Count a transaction; it has no length where nobody was let in."""
        self._transaction(transaction, outcome.result).inc()
        if seconds is not None:
            self._duration(transaction).observe(seconds)

    def missing(self, reason: str) -> None:
        """Count a registered document that cannot be given out."""
        self._missing.labels(reason).inc()

    def expires(self, option: str, timestamp: float) -> None:
        """Tell when the file of an option runs out."""
        self._expiries.labels(option).set(timestamp)

    def certificates_read(self, outcome: str) -> None:
        """Count a reading of the files of certificates."""
        self._certificates_read.labels(outcome).inc()

    def render(self) -> tuple[str, bytes]:
        """Return what all processes have counted, after its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        for look in self._looks:
            look()
        registry = self._registry
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return CONTENT_TYPE_LATEST, generate_latest(registry)


class Counted:
    """An application whose answers are counted, and which tells the metrics at ``/metrics``."""

    def __init__(self, application: WSGIApplication, metrics: Metrics) -> None:
        self._application = application
        self._metrics = metrics

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        path: str = environ["PATH_INFO"]
        if path == PATH and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._told(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._metrics.answered(path, status)
            return start_response(status, headers, *more)

        return self._application(environ, start)

    def _told(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        content_type, text = self._metrics.render()
        headers = [("Content-Type", content_type), ("Content-Length", str(len(text)))]
        start_response("200 OK", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else text]
