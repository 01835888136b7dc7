"""What the application hands to an interaction, and what becomes of what that does."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.databases import prepared
from tests.fhir.asked import FHIR_XML, Reply
from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.database.errors import DatabaseUnavailable
from xds.errors import TransactionFailure, XDSDuplicateUniqueIdInRegistry, XDSRegistryError
from xds.fhir import application
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.interactions import Handler, Interaction
from xds.fhir.r4.outcome import Issue, Refused
from xds.repository.store import StoreFull, StoreUnavailable

Serve = Callable[..., Any]

THING = {"resourceType": "Basic", "id": "1"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Serve]:
    """Make the application with one interaction, whose handler is given."""
    opened: list[AffinityDomain] = []

    def serve(handler: Handler, config: Config | None = None, **changes: Any) -> Any:
        config = config or Config(data=prepared(tmp_path))
        opened.append(AffinityDomain.open(config, serves=True))
        return application_of(opened[-1], config, handler, **changes)

    yield serve
    for domain in opened:
        domain.database.close()


def application_of(domain: AffinityDomain, config: Config, handler: Handler, **changes: Any) -> Any:
    """Return the application with one interaction, whose handler is given."""
    row = Interaction(
        **{
            "name": "TEST",
            "code": "read",
            "method": "GET",
            "path": "/Thing/{id}",
            "summary": "",
            "handler": handler,
            **changes,
        }
    )
    return application.create(domain, config, [row])


def called(app: Any, body: bytes = b"", **environ: str) -> Reply:
    """Call a WSGI application."""
    got: list[Any] = []
    given = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/fhir/Thing/7",
        "QUERY_STRING": "",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "x",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "CONTENT_LENGTH": str(len(body)),
        **environ,
    }
    result = app(given, lambda status, headers, *_: got.extend([status, headers]))
    data = b"".join(result)
    headers = {name.lower(): value for name, value in got[1]}
    return Reply(int(got[0][:3]), headers, data)


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What is logged; everything is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure("info", "json")
    yield lambda: capsys.readouterr().err
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_a_handler_is_handed_the_request(served: Serve) -> None:
    calls: list[Call] = []

    def handler(facade: Facade, call: Call) -> Answer:
        assert facade.config.host == "127.0.0.1"
        calls.append(call)
        return Answer(resource=THING, status=201, headers={"Location": "here"})

    app = served(handler, method="POST", body="Basic")
    prefer = 'return=minimal, handling="strict"; return=representation'
    reply = called(
        app,
        b'<Basic xmlns="http://hl7.org/fhir"><code><text value="c"/></code></Basic>',
        REQUEST_METHOD="POST",
        CONTENT_TYPE="application/fhir+xml",
        QUERY_STRING="a=1&b=2&a=3",
        HTTP_PREFER=prefer,
        HTTP_X_REQUEST_ID="mine",
    )
    assert (reply.status, reply.json()) == (201, THING)
    assert (reply.headers["location"], reply.headers["x-request-id"]) == ("here", "mine")
    (call,) = calls
    assert call.base == "http://x/fhir"
    assert call.identifier == "7"
    assert call.parameters == (("a", "1"), ("b", "2"), ("a", "3"))
    assert call.resource == {"resourceType": "Basic", "code": {"text": "c"}}
    assert call.media_type == FHIR_XML
    assert call.prefer == {"return": "minimal", "handling": "strict"}


@pytest.mark.parametrize(
    ("error", "status", "codes"),
    [
        (Refused.because(422, "business-rule", "no"), 422, ["business-rule"]),
        (
            TransactionFailure([XDSDuplicateUniqueIdInRegistry("c", "e")]),
            409,
            ["duplicate"],
        ),
        (TransactionFailure([XDSRegistryError("c")]), 500, ["exception"]),
        (DatabaseUnavailable("secret"), 503, ["transient"]),
        (StoreUnavailable("secret"), 503, ["transient"]),
        (StoreFull("secret"), 507, ["no-store"]),
        (ZeroDivisionError("secret"), 500, ["exception"]),
    ],
)
def test_whatever_fails_is_told_and_logged_without_data(
    served: Serve, log: Callable[[], str], error: Exception, status: int, codes: Any
) -> None:
    def handler(facade: Facade, call: Call) -> Answer:
        raise error

    reply = called(served(handler), HTTP_X_REQUEST_ID="mine-7")
    assert (reply.status, reply.codes()) == (status, codes)
    assert ("retry-after" in reply.headers) == (status == 503)
    assert reply.headers["x-request-id"] == "mine-7"
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    transaction, *errors = (json.loads(line) for line in log().splitlines())
    assert transaction["event"] == "transaction"
    assert len(errors) == (not isinstance(error, Refused | TransactionFailure))
    assert {line["correlation"] for line in (transaction, *errors)} == {"mine-7"}
    assert "secret" not in str([transaction, *errors])


def test_a_version_that_the_client_has_is_not_sent(served: Serve) -> None:
    headers = {"ETag": 'W/"3"', "Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}
    app = served(lambda facade, call: Answer(resource=THING, headers=headers))
    whole = called(app)
    assert (whole.status, whole.headers["etag"]) == (200, 'W/"3"')
    for name, value, status in (
        ("HTTP_IF_NONE_MATCH", 'W/"3"', 304),
        ("HTTP_IF_NONE_MATCH", '"3"', 304),
        ("HTTP_IF_NONE_MATCH", 'W/"2"', 200),
        ("HTTP_IF_MODIFIED_SINCE", "Sun, 22 Nov 2026 10:00:00 GMT", 304),
        ("HTTP_IF_MODIFIED_SINCE", "Sun, 22 Nov 2026 09:59:59 GMT", 200),
    ):
        reply = called(app, b"", **{name: value})
        assert reply.status == status, value
        assert reply.headers["etag"] == 'W/"3"'
        assert (reply.body == b"") == (status == 304)


def test_warnings_travel_with_the_entry_that_they_are_about() -> None:
    warnings = (
        Issue(
            code="structure",
            diagnostics="one",
            expression=("Bundle.entry[1].resource",),
            severity="warning",
        ),
        Issue(code="structure", diagnostics="two", severity="warning"),
    )
    entries = [{"response": {"status": "201"}}, {"response": {"status": "201"}}]
    bundle = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
    told = application._with_warnings(Answer(resource=bundle), warnings).resource
    assert told is not None
    said = [
        [issue["diagnostics"] for issue in entry["response"]["outcome"]["issue"]]
        for entry in told["entry"]
    ]
    assert said == [["two"], ["one"]]
    assert entries[0] == {"response": {"status": "201"}}
    other = Answer(resource=THING)
    assert application._with_warnings(other, warnings) is other


def test_warnings_of_a_request_that_is_refused_are_told_as_well(served: Serve) -> None:
    def handler(facade: Facade, call: Call) -> Answer:
        raise Refused.because(400, "invalid", "no")

    twice = (
        b'<Basic xmlns="http://hl7.org/fhir"><code><text value="c"/></code>'
        b'<created value="2020"/><created value="2021"/></Basic>'
    )
    app = served(handler, method="POST", body="Basic")
    reply = called(app, twice, REQUEST_METHOD="POST", CONTENT_TYPE=FHIR_XML)
    severities = [issue["severity"] for issue in reply.json()["issue"]]
    assert severities[0] == "error"
    assert "warning" in severities[1:]


def test_everybody_may_ask_where_that_is_the_option(served: Serve, tmp_path: Path) -> None:
    config = Config(data=tmp_path, fhir_cors_origins="*")
    app = served(lambda facade, call: Answer(resource=None), config)
    reply = called(app, HTTP_ORIGIN="null")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in reply.headers
