"""HTTP below /fhir: what is taken, what is answered, and what is refused in which words."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree
from pydantic import ValidationError

from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.app import INTERACTIONS
from xds.config import Config
from xds.fhir.http import requests
from xds.fhir.interactions import OWN, Interaction, answered
from xds.fhir.r4.outcome import Refused

FORM = "application/x-www-form-urlencoded"
LIMIT = 100_000

Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with narrow limits, CORS for two origins, and an address of its own."""
    options = {
        "max_fhir_bytes": str(LIMIT),
        "fhir_cors_origins": "https://viewer.example http://localhost:3000",
        "public_url": "https://share.example/xds/",
        "workers": "1",
    }
    with serving(tmp_path_factory.mktemp("small"), options) as running:
        yield running


def implementation_url(reply: Reply) -> str:
    url: str = reply.json()["implementation"]["url"]
    return url


# --- paths and methods ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/Foo", "/Observation/1", "/DocumentReference/1/_history", "//"])
def test_what_is_not_there_is_told_in_fhir(server: Server, path: str) -> None:
    reply = ask(server, "GET", path)
    assert reply.status == 404
    assert reply.codes() == ["not-found"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/$export", "/DocumentReference/$docref", "/Patient/1/$everything"]
)
def test_an_operation_that_there_is_not_is_named(server: Server, method: str, path: str) -> None:
    reply = ask(server, method, path)
    assert (reply.status, reply.codes()) == (404, ["not-supported"])
    told = reply.json()["issue"][0]["diagnostics"]
    assert path.rpartition("/")[2] in told
    assert "$generate-metadata" in told


def test_the_base_leads_to_what_describes_it(server: Server) -> None:
    told = ask(server, "GET", "").json()["issue"][0]["diagnostics"]
    assert "/metadata" in told
    assert "/openapi.json" in told


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("PUT", "/DocumentReference/1", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/List", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/DocumentReference", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("FOO", "/Patient", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/List/_search", {"POST", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_taken(
    server: Server, method: str, path: str, allowed: set[str]
) -> None:
    if path.endswith("_search"):
        # by GET it is the id of a resource that nobody has
        assert ask(server, method, path).status in (404, 405)
        return
    reply = ask(server, method, path)
    assert reply.status == 405
    assert set(reply.headers["allow"].split(", ")) == allowed
    assert reply.codes() == ["not-supported"]
    assert allowed <= set(re.split(r"\W+", reply.json()["issue"][0]["diagnostics"]))


@pytest.mark.parametrize(
    "row",
    [*answered(INTERACTIONS, Config()), *OWN],
    ids=lambda row: f"{row.method} {row.path or '/'}",
)
def test_every_row_is_answered_with_and_without_a_slash(server: Server, row: Interaction) -> None:
    path = row.path.replace("{id}", "1")
    for one in (path, f"{path}/"):
        allowed = ask(server, "OPTIONS", one).headers["allow"].split(", ")
        assert row.method in allowed
        reply = ask(server, row.method, one, body=b"" if row.method == "POST" else None)
        assert reply.status in (200, 400, 404, 422)
        head = ask(server, "HEAD", one) if row.method == "GET" else None
        if head:
            assert (head.status, head.body) == (reply.status, b"")
            assert head.headers["content-length"] == reply.headers["content-length"]


def test_errors_are_in_the_form_that_the_client_takes(server: Server) -> None:
    for headers, path in (
        ({"Accept": FHIR_XML}, "/Foo"),
        ({"Accept": FHIR_XML}, "/DocumentReference"),
        ({}, "/DocumentReference?_format=xml"),
    ):
        reply = ask(server, "GET", path, headers)
        assert reply.status in (400, 404)
        assert reply.headers["content-type"] == f"{FHIR_XML}; charset=utf-8"
        assert reply.headers["vary"] == "Accept"
        assert etree.fromstring(reply.body).tag == "{http://hl7.org/fhir}OperationOutcome"


# --- what the answer is to be --------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["text/html", "application/fhir+json;q=0", "x", "*/*;q=0"])
def test_no_form_that_there_is(server: Server, accept: str) -> None:
    reply = ask(server, "GET", "/metadata", {"Accept": accept})
    assert reply.status == 406
    assert reply.codes() == ["not-supported"]


def test_html_is_not_made(server: Server) -> None:
    assert ask(server, "GET", "/metadata?_format=html").status == 406
    assert ask(server, "GET", "/metadata?_format=application/fhir+json").status == 200


def test_pretty_is_indented(server: Server) -> None:
    plain = ask(server, "GET", "/metadata")
    pretty = ask(server, "GET", "/metadata?_pretty=true")
    assert len(plain.body.splitlines()) == 1
    assert len(pretty.body.splitlines()) > 100
    assert plain.json() == pretty.json()


# --- what the request is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        FHIR_JSON,
        "application/json",
        "text/json",
        "application/json+fhir",
        "Application/FHIR+json; charset=UTF-8; fhirVersion=4.0",
        'application/fhir+json; charset="utf-8"',
        "",
    ],
)
def test_types_of_json(server: Server, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = ask(server, "POST", "", headers, b'{"resourceType": "Patient"}')
    assert reply.status == 400
    assert "Bundle" in reply.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "content_type", [FHIR_XML, "application/xml", "text/xml", "application/xml+fhir", ""]
)
def test_types_of_xml(server: Server, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = ask(server, "POST", "", headers, b'\n<Patient xmlns="http://hl7.org/fhir"/>')
    assert reply.status == 400
    assert "Bundle" in reply.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/fhir+json; charset=iso-8859-1",
        "application/fhir+json; fhirVersion=5.0",
        "multipart/form-data; boundary=x",
        FORM,
    ],
)
def test_types_that_are_none_of_fhir(server: Server, content_type: str) -> None:
    reply = ask(server, "POST", "/", {"Content-Type": content_type}, b"{}")
    assert reply.status == 415
    assert reply.codes() == ["not-supported"]


def test_a_compressed_body_is_not_taken(server: Server) -> None:
    reply = ask(server, "POST", "", {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    assert reply.status == 415


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<Bundle", b'{"a":1,"a":2}'])
def test_a_body_that_is_no_resource(server: Server, body: bytes) -> None:
    reply = ask(server, "POST", "/DocumentReference", body=body)
    assert reply.status == 400
    assert set(reply.codes()) <= {"structure", "invalid", "required"}


def test_every_problem_of_the_structure_is_told_with_its_place(server: Server) -> None:
    body = {"resourceType": "Bundle", "type": "party", "entry": [{"fullUrl": 5}], "nonsense": 1}
    reply = ask(server, "POST", "", body=json.dumps(body).encode())
    assert reply.status == 400
    places = {place for issue in reply.json()["issue"] for place in issue.get("expression", ())}
    assert {"Bundle.type", "Bundle.entry[0].fullUrl"} <= places


def test_nothing_is_done_for_a_client_that_takes_no_answer(server: Server) -> None:
    reply = ask(server, "POST", "", {"Accept": "text/html"}, b"no resource at all")
    assert reply.status == 406


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "%=1", "&".join(["a"] * 1001)]
)
def test_parameters_that_cannot_be_read(server: Server, query: str) -> None:
    for reply in (
        ask(server, "GET", f"/DocumentReference?{query}"),
        ask(
            server,
            "POST",
            "/DocumentReference/_search",
            {"Content-Type": FORM},
            query.encode(),
        ),
    ):
        assert reply.status == 400
        assert reply.codes() in (["invalid"], ["too-costly"])


def test_a_search_by_post_has_the_parameters_of_both_places(server: Server) -> None:
    posted = ask(
        server,
        "POST",
        "/DocumentReference/_search?status=current",
        {"Content-Type": f"{FORM}; charset=UTF-8"},
        b"patient.identifier=urn%3Aoid%3A2.999.1.1%7Cnobody&_format=xml",
    )
    assert posted.status == 200
    assert posted.headers["content-type"] == f"{FHIR_XML}; charset=utf-8"
    link = etree.fromstring(posted.body).find("{*}link/{*}url").get("value")
    assert "status=current" in link
    assert "nobody" in link


def test_a_search_by_post_needs_no_body_and_takes_no_json(server: Server) -> None:
    path = "/List/_search?patient.identifier=urn:oid:2.999.1.1|nobody"
    assert ask(server, "POST", path, body=b"").status == 200
    reply = ask(server, "POST", path, {"Content-Type": "application/json"}, b"{}")
    assert reply.status == 415


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "required"),
        ("_id=1", "required"),
        ("_type=List,Patient", "required"),
        ("_type=Observation", "not-supported"),
    ],
)
def test_a_search_of_the_system_needs_one_type(server: Server, query: str, code: str) -> None:
    reply = ask(server, "GET", f"?{query}")
    assert (reply.status, reply.codes()) == (400, [code])


def test_a_search_of_the_system_is_that_of_its_type(server: Server) -> None:
    patient = b"patient.identifier=urn:oid:2.999.1.1|nobody"
    for reply in (
        ask(server, "GET", f"/?_type=List&{patient.decode()}"),
        ask(server, "POST", "/_search?_type=List", {"Content-Type": FORM}, patient),
    ):
        assert reply.json()["type"] == "searchset"
        (link,) = reply.json()["link"]
        assert "/fhir/List?" in link["url"]


def test_a_query_and_a_form_may_not_be_too_long(server: Server) -> None:
    body = b"a=" + b"x" * (2 << 20)
    reply = ask(server, "POST", "/List/_search", {"Content-Type": FORM}, body)
    assert (reply.status, reply.codes()) == (413, ["too-long"])
    with pytest.raises(Refused) as caught:
        requests.of_query({"QUERY_STRING": "a=" + "x" * 70_000})
    assert caught.value.status == 414


# --- limits --------------------------------------------------------------------------------------


def blocks(size: int) -> Iterator[bytes]:
    for _ in range(size // 10_000):
        yield b" " * 10_000


@pytest.mark.parametrize("size", [LIMIT + 1, 20_000_000])
def test_a_body_that_is_too_long_is_refused(small: Server, size: int) -> None:
    reply = ask(small, "POST", "", body=b" " * size)
    assert (reply.status, reply.codes()) == (413, ["too-long"])


@pytest.mark.parametrize("size", [LIMIT + 10_000, 20_000_000])
def test_a_chunked_body_that_is_too_long_is_refused(small: Server, size: int) -> None:
    reply = ask(small, "POST", "/DocumentReference", body=blocks(size))
    assert (reply.status, reply.codes()) == (413, ["too-long"])


@pytest.mark.parametrize("form", [FHIR_JSON, FHIR_XML])
def test_what_cannot_be_read_is_wrong_as_a_whole(server: Server, form: str) -> None:
    for path, expected in (("", "Bundle"), ("/DocumentReference", "DocumentReference")):
        reply = ask(server, "POST", path, {"Content-Type": form}, b"{<")
        (issue,) = reply.json()["issue"]
        assert (reply.status, issue["code"]) == (400, "structure")
        assert issue["expression"] == [expected]


def test_a_conditional_create_is_not_passed_over(server: Server) -> None:
    headers = {"Content-Type": FHIR_JSON, "If-None-Exist": "identifier=urn:oid:2.999.1|1"}
    reply = ask(server, "POST", "/DocumentReference", headers, b"{}")
    assert (reply.status, reply.codes()) == (400, ["not-supported"])
    assert reply.json()["issue"][0]["expression"] == ["http.If-None-Exist"]


def test_a_chunked_body_is_read(small: Server) -> None:
    reply = ask(small, "POST", "", body=iter([b'{"resource', b'Type": "Patient"}']))
    assert reply.status == 400
    assert "Bundle" in reply.json()["issue"][0]["diagnostics"]


def test_a_long_body_is_not_asked_for(small: Server) -> None:
    with socket.create_connection((small.host, small.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert connection.recv(20).startswith(b"HTTP/1.1 413 ")


def test_an_answer_is_heard_by_a_sender_in_full_flow(server: Server) -> None:
    for path in ("/Foo", "/metadata"):
        reply = ask(server, "POST", path, body=b"x" * 5_000_000)
        assert reply.status in (404, 405)
        reply.codes()


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "a.example"}, "http://a.example/fhir"),
        ({"Host": "[::1]:81"}, "http://[::1]:81/fhir"),
        (
            {"X-Forwarded-Host": "b.example", "X-Forwarded-Proto": "https"},
            "https://b.example/fhir",
        ),
        ({"Forwarded": 'host="c.example:444";proto=https'}, "https://c.example:444/fhir"),
        (
            {"X-Forwarded-Host": "b.example, inner", "X-Forwarded-Proto": "https, http"},
            "https://b.example/fhir",
        ),
    ],
)
def test_links_begin_with_the_address_that_the_client_used(
    server: Server, headers: dict[str, str], base: str
) -> None:
    assert implementation_url(ask(server, "GET", "/metadata", headers)) == base


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": 'x"y'},
        {"Host": "user@host"},
        {"X-Forwarded-Host": "a/b"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "<script>"},
    ],
)
def test_an_address_that_is_none_is_refused(server: Server, headers: dict[str, str]) -> None:
    reply = ask(server, "GET", "/metadata", headers)
    assert reply.status == 400
    assert b"script" not in reply.body


def test_the_address_may_be_given(small: Server) -> None:
    reply = ask(small, "GET", "/metadata", {"X-Forwarded-Host": "evil.example"})
    assert implementation_url(reply) == "https://share.example/xds/fhir"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("public_url", "share.example"),
        ("public_url", "https://share.example/?a=b"),
        ("public_url", "https://a.example https://b.example"),
        ("fhir_cors_origins", "https://viewer.example/"),
        ("fhir_cors_origins", "viewer.example"),
        ("fhir_cors_origins", "* https://viewer.example/app"),
        ("fhir_fetch_from", "ftp://files.example"),
        ("minimal_metadata", "maybe"),
        ("max_fhir_bytes", 0),
    ],
)
def test_options_that_mean_nothing_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValidationError, match=option):
        Config.model_validate({option: value})


# --- CORS ----------------------------------------------------------------------------------------


def test_pages_of_an_allowed_origin_may_ask(small: Server) -> None:
    for path in ("/metadata", "/document/1", "/Foo"):
        reply = ask(small, "GET", path, {"Origin": "https://viewer.example"})
        assert reply.headers["access-control-allow-origin"] == "https://viewer.example"
        exposed = reply.headers["access-control-expose-headers"].split(", ")
        assert {"Location", "ETag", "Content-Disposition", "X-Request-ID"} <= set(exposed)
        assert "Origin" in reply.headers["vary"]
        assert "access-control-allow-credentials" not in reply.headers


def test_a_preflight_is_answered(small: Server) -> None:
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,prefer",
    }
    reply = ask(small, "OPTIONS", "/DocumentReference", headers)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "POST" in reply.headers["access-control-allow-methods"]
    allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
    assert {"content-type", "prefer", "authorization", "traceparent", "tracestate"} <= set(allowed)


def test_pages_of_other_origins_may_not(small: Server, server: Server) -> None:
    asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    for running, origin in ((small, "https://other.example"), (server, "https://viewer.example")):
        for method in ("GET", "OPTIONS"):
            reply = ask(running, method, "/metadata", {**asked, "Origin": origin})
            assert not [name for name in reply.headers if name.startswith("access-control")]


# --- what is told of a request --------------------------------------------------------------------


def test_an_error_of_the_server_is_found_in_its_log(server: Server) -> None:
    reply = ask(server, "GET", "/DocumentReference", {"X-Request-ID": "look/here:1"})
    assert reply.headers["x-request-id"] == "look/here:1"
    (line,) = [line for line in server.log.read_text().splitlines() if "look/here:1" in line]
    logged = json.loads(line)
    assert logged["correlation"] == "look/here:1"
    assert (logged["transaction"], logged["outcome"]) == ("ITI-67", "failure")
    assert logged["violations"] == [{"code": "required"}]


def test_the_trace_of_a_request_is_in_the_log(server: Server) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "vendor=opaque"}
    assert ask(server, "GET", "/DocumentReference", headers).headers["x-request-id"] == trace
    named = {**headers, "X-Request-ID": "traced-1"}
    assert ask(server, "GET", "/DocumentReference", named).headers["x-request-id"] == "traced-1"
    lines = [line for line in server.log.read_text().splitlines() if trace in line]
    assert [json.loads(line)["correlation"] for line in lines] == [trace, "traced-1"]
    assert {json.loads(line)["trace_id"] for line in lines} == {trace}


@pytest.mark.parametrize("given", ["a b", "é", "x" * 129, "{}"])
def test_an_id_that_may_not_stand_in_a_log_is_replaced(server: Server, given: str) -> None:
    reply = ask(server, "GET", "/Foo", {"X-Request-ID": given.encode().decode("latin-1")})
    assert len(reply.headers["x-request-id"]) == 32


def test_requests_do_not_meet(server: Server) -> None:
    found: list[int] = []

    def work(number: int) -> None:
        reply = ask(server, "GET", "/Foo", {"X-Request-ID": f"r{number}"})
        found.append(number if reply.headers["x-request-id"] == f"r{number}" else -1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(12))
