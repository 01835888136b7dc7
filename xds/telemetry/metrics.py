"""Metrics for Prometheus: what the processes of one server count, added up, without patient data.

Each process writes to files of its own in a folder that their supervisor makes; whichever is asked
adds them up. Where there is no such folder, a process counts for itself.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, Literal, TypeVar

from xds import __version__
from xds.private_folder import private_folder
from xds.security.interceptors import Outcome, Result
from xds.telemetry.shared_values import FOLDER, Durations, adder, forget_ended

T = TypeVar("T")

Values = Mapping[tuple[str, ...], float]
"""Values by the values of their labels."""

Backlog = tuple[int, float]
"""How many audit records no database took, and since when one waits (seconds since 1970)."""

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_PLACES: Final = ("registry", "repository", "notification", "fhir")


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One row of what is counted or measured."""

    kind: Literal["Counter", "Gauge", "Histogram"]
    name: str
    """Of a counter, without ``_total``."""
    help: str
    labels: tuple[str, ...] = ()
    mode: str = ""
    """How a gauge of several processes is told: ``multiprocess_mode`` of the library."""
    buckets: tuple[float, ...] = ()

    def made(self, registry: Any) -> Any:
        """Make it in a registry of the library."""
        import prometheus_client

        more: dict[str, Any] = {"multiprocess_mode": self.mode} if self.mode else {}
        if self.buckets:
            more["buckets"] = self.buckets
        make = getattr(prometheus_client, self.kind)
        return make(self.name, self.help, self.labels, registry=registry, **more)


_STARTS: Final = Metric(
    "Counter",
    "xds_process_starts",
    "How often processes of the server were started: more than there are means restarts",
    ("process",),
)
_STARTED: Final = Metric(
    "Gauge",
    "xds_process_start_time_seconds",
    "When each process of the server was started",
    ("process",),
    mode="liveall",
)
_BUSY: Final = Metric(
    "Gauge",
    "xds_http_requests_in_progress",
    "Requests that a thread is answering",
    mode="livesum",
)
_WAITING: Final = Metric(
    "Gauge",
    "xds_http_requests_waiting",
    "Requests and answers that wait for their client to send or take bytes; no thread does",
    mode="livesum",
)
_RESPONSES: Final = Metric(
    "Counter",
    "xds_http_responses",
    "Answers by HTTP, by the first part of the path and the status",
    ("place", "status"),
)
_TRANSACTIONS: Final = Metric(
    "Counter",
    "xds_transactions",
    "Transactions by what their answers say: " + ", ".join(Result),
    ("transaction", "outcome"),
)
_DURATIONS: Final = Metric(
    "Histogram",
    "xds_transaction_duration_seconds",
    "Time from a transaction's start to its answer, documents not yet sent",
    ("transaction",),
    buckets=_SECONDS,
)
_MISSING: Final = Metric(
    "Counter",
    "xds_documents_missing",
    "Registered documents that could not be given out: gone, damaged, unreadable, unknown",
    ("reason",),
)
_EXPIRIES: Final = Metric(
    "Gauge",
    "xds_certificate_expiry_timestamp_seconds",
    "When the first certificate or revocation list in the file of an option runs out",
    ("option",),
    mode="mostrecent",
)
_CERTIFICATES_READ: Final = Metric(
    "Counter",
    "xds_certificates_read",
    "How often the files of certificates were taken, or refused as they did not fit",
    ("outcome",),
)
_REFUSED_HANDSHAKES: Final = Metric(
    "Counter",
    "xds_tls_handshakes_refused",
    "TLS handshakes of the patient feed that failed: no certificate, or one not trusted",
    ("listener",),
)
_MESSAGES: Final = Metric(
    "Counter",
    "xds_feed_messages",
    "Messages of the patient feed by trigger event and acknowledgement: AA, AE or AR",
    ("event", "acknowledgement"),
)
_TAKEN_IN: Final = Metric(
    "Counter",
    "xds_messages",
    "Reports, documents and orders that came as messages, by what became of them",
    ("door", "flavour", "verdict"),
)
_LAST_TAKEN_IN: Final = Metric(
    "Gauge",
    "xds_messages_last_timestamp_seconds",
    "When the last message of each flavour was answered",
    ("flavour",),
    mode="mostrecent",
)
_LAST_MESSAGE: Final = Metric(
    "Gauge",
    "xds_feed_last_message_timestamp_seconds",
    "When the last message of the patient feed was answered",
    mode="mostrecent",
)
_FEED_CONNECTIONS: Final = Metric(
    "Gauge",
    "xds_feed_connections",
    "Open connections of the patient feed",
    mode="livesum",
)
_WEBSOCKETS: Final = Metric(
    "Gauge",
    "xds_websocket_connections",
    "Open connections of websockets",
    mode="livesum",
)
_BINDINGS: Final = Metric(
    "Counter",
    "xds_websocket_bindings",
    "Attempts of clients to bind a websocket to subscriptions: bound or refused",
    ("outcome",),
)
_RESTARTS: Final = Metric(
    "Counter",
    "xds_worker_restarts",
    "Workers that another has taken the place of: died, or memory (max_worker_bytes)",
    ("reason",),
)
_ATTEMPTS: Final = Metric(
    "Counter",
    "xds_outgoing_attempts",
    "Attempts to send a message of the delivery queue: delivered, failed or dead",
    ("channel", "outcome"),
)
_EVENTS: Final = Metric(
    "Counter",
    "xds_registry_events",
    "What has happened to objects of the registry, and to patients",
    ("event", "object"),
)
_BUILD: Final = Metric(
    "Gauge",
    "xds_build_info",
    "1, with the version of this server",
    ("version",),
    mode="max",
)
_METRICS: Final = (
    _STARTS,
    _STARTED,
    _BUSY,
    _WAITING,
    _RESPONSES,
    _TRANSACTIONS,
    _DURATIONS,
    _MISSING,
    _EXPIRIES,
    _CERTIFICATES_READ,
    _REFUSED_HANDSHAKES,
    _MESSAGES,
    _TAKEN_IN,
    _LAST_TAKEN_IN,
    _LAST_MESSAGE,
    _FEED_CONNECTIONS,
    _WEBSOCKETS,
    _BINDINGS,
    _RESTARTS,
    _ATTEMPTS,
    _EVENTS,
    _BUILD,
)
_WAL: Final = Metric(
    "Gauge",
    "xds_database_wal_bytes",
    "Size of the write-ahead log of the embedded database",
    mode="mostrecent",
)
_OF_SPOOL: Final = (
    Metric(
        "Gauge",
        "xds_audit_set_aside_records",
        "Audit records that no database took: see data/audit",
        mode="mostrecent",
    ),
    Metric(
        "Gauge",
        "xds_audit_spool_oldest_timestamp_seconds",
        "When the oldest audit record was written that is not in the database; 0 where all are",
        mode="mostrecent",
    ),
)


@contextmanager
def shared_folder() -> Iterator[None]:
    """Have the processes that are started within a block count together."""
    with private_folder("metrics") as folder:
        os.environ[FOLDER] = str(folder)
        try:
            yield
        finally:
            del os.environ[FOLDER]


class Metrics:
    """What one process counts; ``process`` is worker, feed, websockets or supervisor."""

    def __init__(self, process: str = "worker") -> None:
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry()
        self._asked: list[_Asked[Any]] = []
        self._looks: list[Callable[[], None]] = []
        self._of = {one: one.made(self._registry) for one in _METRICS}
        self._of[_STARTS].labels(process).inc()
        self._of[_STARTED].labels(process).set(time.time())
        self._of[_BUILD].labels(__version__).set(1)
        self._begin_at_zero()
        # looked up once for each: their labels are few, and checked at every look
        self._response = cache(lambda *labels: adder(self._of[_RESPONSES].labels(*labels)))
        self._transaction = cache(lambda *labels: adder(self._of[_TRANSACTIONS].labels(*labels)))
        self._duration = cache(lambda name: Durations(self._of[_DURATIONS].labels(name)))
        self._busy = self._told_busy = self._told_waiting = 0
        self._counting = threading.Lock()

    def ask(
        self, name: str, told: str, labels: Sequence[str], values: Callable[[], Values]
    ) -> None:
        """Have values looked up whenever the metrics are asked for; without any there are none."""
        self.ask_together(values, [AskedGauge(name, told, labels, lambda found: found)])

    def ask_together(self, look: Callable[[], T | None], gauges: Sequence["AskedGauge[T]"]) -> None:
        """Have the values of several gauges looked up at once whenever the metrics are asked for.

        ``look`` returns what all of them tell of; None where it cannot be known now.
        """
        self._asked.append(_Asked(look, gauges))

    @property
    def supervisor(self) -> int | None:
        """The number of the process that has started the others, where there is one."""
        if FOLDER not in os.environ:
            return None
        parent = multiprocessing.parent_process()
        return parent.pid if parent else None

    def processes(self) -> Iterator[tuple[str, str]]:
        """Yield what each process is that counts, and its number."""
        if FOLDER not in os.environ:
            yield "worker", str(os.getpid())
            return
        from prometheus_client.multiprocess import MultiProcessCollector

        for metric in MultiProcessCollector(None).collect():
            if metric.name == "xds_process_start_time_seconds":
                for sample in metric.samples:
                    yield sample.labels["process"], sample.labels["pid"]

    def begin_request(self) -> None:
        """Note that a thread begins to answer a request."""
        with self._counting:
            self._busy += 1

    def end_request(self) -> None:
        """Note that its answer has gone."""
        with self._counting:
            self._busy -= 1

    def look(self, waiting: int) -> None:
        """Tell how many requests are answered now, and how often this process waits for a client.

        To be called some times a second: to tell it with each request would take longer.
        """
        self._tell_busy()
        if waiting != self._told_waiting:
            self._told_waiting = waiting
            self._of[_WAITING].set(waiting)

    def _tell_busy(self) -> None:
        if (busy := self._busy) != self._told_busy:
            self._told_busy = busy
            self._of[_BUSY].set(busy)

    def fed(self, event: str, acknowledgement: str) -> None:
        """Count a message of the patient feed."""
        self._of[_MESSAGES].labels(event, acknowledgement).inc()
        self._of[_LAST_MESSAGE].set(time.time())

    def taken_in(self, door: str, flavour: str, verdict: str) -> None:
        """Count a message that brought reports, documents or orders, or was to."""
        self._of[_TAKEN_IN].labels(door, flavour, verdict).inc()
        self._of[_LAST_TAKEN_IN].labels(flavour).set(time.time())

    def feed_connected(self, change: int) -> None:
        """Note that a connection of the patient feed has come, 1, or gone, -1."""
        self._of[_FEED_CONNECTIONS].inc(change)

    def websocket_connected(self, change: int) -> None:
        """Note that a connection of websockets has come, 1, or gone, -1."""
        self._of[_WEBSOCKETS].inc(change)

    def websocket_bound(self, outcome: str) -> None:
        """Count an attempt to bind a websocket: bound or refused."""
        self._of[_BINDINGS].labels(outcome).inc()

    def handshake_refused(self, listener: str) -> None:
        """Count a TLS handshake that failed."""
        self._of[_REFUSED_HANDSHAKES].labels(listener).inc()

    def watch_spool(self, spool: Callable[[], Backlog]) -> None:
        """Tell what of audit waits on the disk and what was set aside, whenever asked."""
        aside, oldest = (one.made(self._registry) for one in _OF_SPOOL)

        def look() -> None:
            count, since = spool()
            aside.set(count)
            oldest.set(since)

        self._looks.append(look)

    def watch_wal(self, size: Callable[[], int | None]) -> None:
        """Tell how large the write-ahead log of an embedded database is, whenever asked."""
        gauge = _WAL.made(self._registry)
        self._looks.append(lambda: gauge.set(size() or 0))

    def answered(self, path: str, status: str) -> None:
        """Count an answer by HTTP."""
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        self._response(first if first in _PLACES else "other", status[:3])(1)

    def transacted(self, transaction: str, outcome: Outcome, seconds: float | None) -> None:
        """Count a transaction; it has no length where nobody was let in."""
        self._transaction(transaction, outcome.result)(1)
        if seconds is not None:
            self._duration(transaction).add(seconds)

    def _begin_at_zero(self) -> None:
        """Show counters that alerts stand on from the start: else their first is no increase."""
        for counter, labels in (
            (self._of[_MISSING], ("gone", "damaged", "unreadable", "unknown")),
            (self._of[_CERTIFICATES_READ], ("taken", "refused")),
            (self._of[_REFUSED_HANDSHAKES], ("feed",)),
            (self._of[_RESTARTS], ("died", "memory")),
        ):
            for label in labels:
                counter.labels(label)

    def missing(self, reason: str) -> None:
        """Count a registered document that cannot be given out."""
        self._of[_MISSING].labels(reason).inc()

    def expires(self, option: str, timestamp: float) -> None:
        """Tell when the file of an option runs out."""
        self._of[_EXPIRIES].labels(option).set(timestamp)

    def attempted(self, channel: str, outcome: str) -> None:
        """Count an attempt to send a message: delivered, failed or dead."""
        self._of[_ATTEMPTS].labels(channel, outcome).inc()

    def happened(self, event: str, kind: str) -> None:
        """Count an event of the registry, of an object of a kind."""
        self._of[_EVENTS].labels(event, kind).inc()

    def certificates_read(self, outcome: str) -> None:
        """Count a reading of the files of certificates."""
        self._of[_CERTIFICATES_READ].labels(outcome).inc()

    def restarted(self, reason: str) -> None:
        """Count a worker that another has taken the place of."""
        self._of[_RESTARTS].labels(reason).inc()

    def durations(self) -> Mapping[str, Sequence[tuple[float, int]]]:
        """Return how many transactions took how long: of each, seconds with how many at most."""
        from prometheus_client.multiprocess import MultiProcessCollector

        collector: Any = self._registry
        if FOLDER in os.environ:
            collector = MultiProcessCollector(None)
        found: dict[str, list[tuple[float, int]]] = {}
        for metric in collector.collect():
            if metric.name == _DURATIONS.name:
                for one in metric.samples:
                    if one.name.endswith("_bucket"):
                        bucket = (float(one.labels["le"]), int(one.value))
                        found.setdefault(one.labels["transaction"], []).append(bucket)
        return {name: sorted(buckets) for name, buckets in found.items()}

    def render(self) -> tuple[str, bytes]:
        """Return what all processes have counted, after its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        forget_ended()
        self._tell_busy()
        for look in self._looks:
            look()
        of_all, of_any = self._registry, CollectorRegistry()
        if FOLDER in os.environ:
            of_all = CollectorRegistry()
            MultiProcessCollector(of_all)
        for one in self._asked:
            of_any.register(one)
        return CONTENT_TYPE_LATEST, generate_latest(of_all) + generate_latest(of_any)


@dataclass(frozen=True)  # slots and a frozen generic class do not go together
class AskedGauge(Generic[T]):
    """A gauge whose values are told of what is looked up when it is collected."""

    name: str
    help: str
    labels: Sequence[str]
    values: Callable[[T], Values]


class _Asked(Generic[T]):
    """Gauges that are looked up together when they are collected."""

    def __init__(self, look: Callable[[], T | None], gauges: Sequence[AskedGauge[T]]) -> None:
        self._look = look
        self._gauges = gauges

    def describe(self) -> Iterable[Any]:
        """Return nothing: values are not looked up to register them."""
        return ()

    def collect(self) -> Iterator[Any]:
        """Yield the gauges as they are now; without values where they cannot be known now."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        looked: T | None = None
        with suppress(OSError):
            looked = self._look()
        for one in self._gauges:
            family = GaugeMetricFamily(one.name, one.help, labels=one.labels)
            if looked is not None:
                with suppress(OSError):
                    for labels, value in one.values(looked).items():
                        family.add_metric(labels, value)
            yield family
