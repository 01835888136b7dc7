"""Traces: where in one a thread is, what is passed on of it, and the spans that are sent (OTLP).

A ``traceparent`` that comes with a request goes on with all that is sent because of it (W3C Trace
Context). Where the option ``telemetry_url`` is set, each transaction is a span as well, with its
work on the database and the document store below it, and is sent to a collector by OpenTelemetry,
which is imported then alone. Spans have the names of transactions, outcomes and numbers, and no
data of any message.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self

from xds import __version__
from xds.trace_context import TraceParent

HEADER: Final = "traceparent"

_PATH: Final = "/v1/traces"
"""Where a collector takes spans (OTLP 1.x, OTLP/HTTP Request)."""
_MILLISECONDS: Final = 1000
"""After which spans are sent together."""
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class _SpanPosition:
    """Where in a trace a thread is."""

    parent: TraceParent
    tracer: Any = None
    context: Any = None
    """OpenTelemetry's, of the span that is under way; None where none is recorded here."""


_position: ContextVar[_SpanPosition | None] = ContextVar("xds_trace", default=None)


class within:  # noqa: N801 - read as a function, and entered once for every request
    """Be in the trace that a request belongs to, or in none, for the length of a block."""

    __slots__ = ("_before", "_parent")

    def __init__(self, parent: TraceParent | None) -> None:
        self._parent = parent

    def __enter__(self) -> None:
        self._before = _position.get()
        _position.set(_SpanPosition(self._parent) if self._parent else None)

    def __exit__(self, *_: object) -> None:
        # not by a token: a generator may be closed in another context than it was begun in
        _position.set(self._before)


def passed_on() -> str:
    """Return the ``traceparent`` of what is sent now; empty where there is no trace."""
    position = _position.get()
    return position.parent.render() if position else ""


class part:  # noqa: N801 - read as a function
    """Have a block be a span below that of the transaction, where one is recorded."""

    __slots__ = ("_name", "_span")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        position = _position.get()
        self._span = None
        if position is not None and position.context is not None:
            self._span = position.tracer.start_span(self._name, context=position.context)

    def __exit__(self, *_: object) -> None:
        if self._span is not None:
            self._span.end()


class Tracer:
    """Makes the spans of transactions and sends them; safe to use from many threads."""

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer("xds", __version__)

    @classmethod
    def open(cls, url: str, ratio: float) -> Self:
        """Send to a collector at a URL; ``ratio`` is the share of traces begun here.

        Of a trace that was begun elsewhere, that is recorded which its ``traceparent`` wants.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        service = os.environ.get("OTEL_SERVICE_NAME", "xds")
        resource = {"service.name": service, "service.version": __version__}
        provider = TracerProvider(
            ParentBased(TraceIdRatioBased(ratio)),
            Resource.create({**resource, "process.pid": os.getpid()}),
        )
        exporter = OTLPSpanExporter(endpoint=url.rstrip("/") + _PATH)
        provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=_MILLISECONDS)
        )
        return cls(provider)

    def begin(self, name: str) -> Any:
        """Begin the span of a transaction, which what follows in this thread belongs to."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        position = _position.get()
        above = _remote(position.parent) if position else None
        span = self._tracer.start_span(name, context=above, kind=SpanKind.SERVER)
        _position.set(_SpanPosition(_parent_of(span), self._tracer, set_span_in_context(span)))
        return span

    def end(self, span: Any, told: Mapping[str, str | int], *, failed: bool) -> None:
        """End it; what is sent because of the transaction still names it."""
        from opentelemetry.trace import StatusCode

        span.set_attributes(told)
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end()
        _position.set(_SpanPosition(_parent_of(span)))


def trace_id_of(span: Any) -> str:
    """Return the id of a span's trace, as it stands in a ``traceparent``."""
    return _parent_of(span).trace_id


def _parent_of(span: Any) -> TraceParent:
    found = span.get_span_context()
    return TraceParent(
        f"{found.trace_id:032x}", f"{found.span_id:016x}", bool(found.trace_flags & _SAMPLED)
    )


def _remote(parent: TraceParent) -> Any:
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    return set_span_in_context(
        NonRecordingSpan(
            SpanContext(
                int(parent.trace_id, 16),
                int(parent.parent_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(_SAMPLED if parent.sampled else 0),
            )
        )
    )
