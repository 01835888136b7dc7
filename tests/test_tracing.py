"""Traces: a traceparent is taken and passed on, and spans reach a collector by OTLP over HTTP."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("opentelemetry.sdk", reason="pip install 'xds[telemetry]'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.databases import Databases
from tests.fhir.asked import ask, new_patient
from tests.serving import Server, serving
from tests.soap.messages import FIXTURES, http_request
from tests.soap.receiver import Receiver, receiving
from tests.soap.wire import connected
from tests.test_outcomes import provided, retrieve
from tests.waiting import until
from xds import tracing
from xds.client import ClientError, DocumentConsumer
from xds.config import ConfigError, load
from xds.metadata import vocabulary as v
from xds.options import values
from xds.outgoing.fetching import Fetching
from xds.trace_context import TraceParent
from xds.url_allowlist import prefixes

SPANS = "/v1/traces"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, databases: Databases
) -> Iterator[Server]:
    """A server whose spans and asynchronous answers go to the receiver."""
    data = tmp_path_factory.mktemp("traced")
    options = {
        "telemetry_url": receiver.url,
        "async_reply_to": f"{receiver.url}/async",
        "database": databases.url(data),
        "workers": "1",
    }
    with serving(data, options, processes=1) as running:
        yield running


def parent(*, sampled: bool = True) -> TraceParent:
    return TraceParent(uuid4().hex, uuid4().hex[:16], sampled)


def spans(receiver: Receiver) -> list[Span]:
    """Return the spans that have come."""
    found = []
    for raw in receiver.came(SPANS):
        request = ExportTraceServiceRequest.FromString(raw.body)
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            assert names["service.name"] == "xds"
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def of_trace(receiver: Receiver, trace_id: str, name: str) -> list[Span]:
    """Wait for a span of a trace, and return all that have come with it, that one first."""

    def came() -> list[Span]:
        return [one for one in spans(receiver) if one.trace_id.hex() == trace_id]

    until(lambda: any(one.name == name for one in came()))
    return sorted(came(), key=lambda one: one.name != name)


def query(server: Server, trace: TraceParent, reply_to: str = v.WSA_ANONYMOUS) -> int:
    """Send a stored query that belongs to a trace; its answer goes to an address."""
    text = (FIXTURES / "iti18" / "find_documents.xml").read_text()
    text = text.replace(v.WSA_ANONYMOUS, reply_to)
    header = f"traceparent: {trace.render()}"
    with connected(server) as connection:
        content_type = "Content-Type: application/soap+xml; charset=UTF-8"
        connection.send(http_request("/registry", text.encode(), content_type, header))
        return connection.receive().status


def test_a_transaction_is_a_span_of_its_senders_trace_with_its_parts(
    traced: Server, receiver: Receiver
) -> None:
    trace = parent()
    assert query(traced, trace) == 200
    first, *parts = of_trace(receiver, trace.trace_id, "ITI-18")
    assert first.parent_span_id.hex() == trace.parent_id
    assert first.kind == Span.SPAN_KIND_SERVER
    assert {one.parent_span_id for one in parts} == {first.span_id}
    assert "database read" in {one.name for one in parts}
    told = {one.key: one.value for one in first.attributes}
    assert told["xds.outcome"].string_value == "success"
    assert told["xds.results"].int_value == 0


def test_documents_have_parts_of_the_store_and_no_data(traced: Server, receiver: Receiver) -> None:
    patient_id = new_patient()
    (entry,) = provided(traced, patient_id, b"traced")
    assert retrieve(traced, entry) == [b"traced"]
    until(lambda: "ITI-43" in {one.name for one in spans(receiver)})
    names = {one.name for one in spans(receiver)}
    assert {"ITI-41", "store stage", "store publish", "database write", "store read"} <= names
    bodies = b"".join(one.body for one in receiver.came(SPANS))
    for secret in (patient_id.partition("^")[0], entry.unique_id, entry.entry_uuid):
        assert secret
        assert secret.encode() not in bodies


def test_what_fails_in_a_trace_is_told_by_its_outcome(traced: Server, receiver: Receiver) -> None:
    trace = parent()
    headers = {"traceparent": trace.render()}
    assert ask(traced, "GET", f"/document/{uuid4()}", headers).status == 404
    (first, *_) = of_trace(receiver, trace.trace_id, "ITI-68")
    told = {one.key: one.value.string_value for one in first.attributes}
    assert told["xds.outcome"] == "failure"


def test_an_asynchronous_answer_belongs_to_the_trace(traced: Server, receiver: Receiver) -> None:
    trace, path = parent(), f"/async/{uuid4()}"
    assert query(traced, trace, f"{receiver.url}{path}") == 202
    (answer,) = receiver.wait_for(path)
    (first, *_) = of_trace(receiver, trace.trace_id, "ITI-18")
    expected = TraceParent(trace.trace_id, first.span_id.hex(), sampled=True)
    assert answer.headers["traceparent"] == expected.render()


def test_a_trace_that_is_not_recorded_is_passed_on_all_the_same(
    traced: Server, receiver: Receiver
) -> None:
    trace, path = parent(sampled=False), f"/async/{uuid4()}"
    assert query(traced, trace, f"{receiver.url}{path}") == 202
    (answer,) = receiver.wait_for(path)
    passed = TraceParent.parse(answer.headers["traceparent"])
    assert passed
    assert (passed.trace_id, passed.sampled) == (trace.trace_id, False)
    assert trace.trace_id not in {one.trace_id.hex() for one in spans(receiver)}


def test_a_client_passes_the_trace_on(receiver: Receiver) -> None:
    """By it a repository registers with a registry elsewhere."""
    trace = parent()
    with DocumentConsumer(f"{receiver.url}/elsewhere") as consumer:
        with tracing.within(trace), pytest.raises(ClientError):
            consumer.find_documents("A^^^&2.999&ISO")
        with pytest.raises(ClientError):
            consumer.find_documents("A^^^&2.999&ISO")
    with_trace, without = receiver.came("/elsewhere")
    assert with_trace.headers["traceparent"] == trace.render()
    assert "traceparent" not in without.headers


def test_what_is_fetched_is_fetched_in_the_trace() -> None:
    came: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server looks for
            came.append(self.headers["traceparent"])
            self.send_response(200)
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as there:
        threading.Thread(target=there.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{there.server_address[1]}/"
        trace = parent()
        with tracing.within(trace):
            assert b"".join(Fetching(prefixes(url)).fetch(f"{url}x")) == b"x"
    assert came == [trace.render()]


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    said = (
        "import sys, xds.app, xds.messaging.doors.listener, xds.server.supervisor;"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    told = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_the_option_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(values, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"xds\[telemetry\]"):
        load({"data": tmp_path, "telemetry_url": "http://127.0.0.1:4318"})
