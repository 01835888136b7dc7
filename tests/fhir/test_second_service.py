"""A FHIR service beside MHD is rows, and has everything around it that MHD has."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from tests.fhir import observations
from tests.fhir.asked import Reply
from tests.ports import free_port
from tests.serving import START_SECONDS
from tests.vouching import claims, token, vouching
from tests.waiting import PATIENCE, until
from xds.__main__ import main
from xds.metadata import catalogue

POLICY: Final = """
[[rule]]
name = "doctors find observations"
decision = "permit"
transactions = ["PCC-44"]
roles = ["doctor^^2.999.10"]
"""
SCOPE: Final = "PCC-44"
ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """The server with both services."""

    port: int
    data: Path

    def get(self, path: str, scope: str | None = SCOPE, **stated: Any) -> Reply:
        """Send a GET, with a token of a doctor unless there is no scope."""
        return self.ask("GET", path, scope, **stated)

    def ask(
        self, method: str, path: str, scope: str | None = SCOPE, body: bytes = b"", **stated: Any
    ) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        if scope is not None:
            headers["Authorization"] = f"Bearer {token(claims(scope=scope, **stated))}"
        return self.send(method, f"/fhir{path}", headers, body)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as sent:
            sent.request(method, path, body or None, headers)
            answer = sent.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, received, answer.read())

    def records(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """Return the audit records of Observations, once there are any."""
        more = ["--failed"] if outcome == "failed" else []
        command = ["audit", "--data", str(self.data), "--format", "json", *more]
        command += ["--patient", observations.PATIENT]
        told = until(lambda: CliRunner().invoke(main, command).stdout)
        return [json.loads(line) for line in told.splitlines()]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("observations")
    (data / "policy.toml").write_text(POLICY)
    options = vouching().options(data / "issuers", token_scopes="require", user_assertions="off")
    options |= {
        "data": str(data),
        "policy": str(data / "policy.toml"),
        "audit": "on",
        "metrics": "yes",
        "user_assertions_of": "PCC-44=required",
    }
    environment = {f"XDS_{name.upper()}": value for name, value in options.items()}
    port = free_port()
    command = [sys.executable, "-m", "tests.fhir.observations", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment) as process:
        try:
            _wait(process, port)
            yield Served(port, data)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def test_it_is_no_transaction_of_the_program_itself() -> None:
    assert "PCC-44" not in [row.name for row in catalogue.CATALOGUE]


def test_it_searches_and_reads(served: Served) -> None:
    found = served.get("/Observation?status=final&_count=1").json()
    assert (found["type"], found["total"], len(found["entry"])) == ("searchset", 2, 1)
    assert found["entry"][0]["fullUrl"].endswith("/fhir/Observation/pulse")
    assert {one["relation"] for one in found["link"]} == {"self", "first", "next"}
    by_form = served.ask("POST", "/Observation/_search", body=b"status=preliminary").json()
    assert [one["resource"]["id"] for one in by_form["entry"]] == ["height"]
    read = served.get("/Observation/weight")
    assert (read.status, read.headers["etag"]) == (200, 'W/"1"')
    assert read.json()["code"] == {"text": "Body weight"}
    assert served.get("/Observation/none").status == 404
    as_xml = served.get("/Observation/weight?_format=xml")
    assert b'<Observation xmlns="http://hl7.org/fhir"><id value="weight"/>' in as_xml.body


def test_it_is_stated_and_described_by_its_rows(served: Served) -> None:
    stated = served.get("/metadata", None).json()
    (rest,) = stated["rest"]
    found = {one["type"]: one for one in rest["resource"]}
    assert {"DocumentReference", "List", "Patient", "Observation"} <= found.keys()
    assert found["Observation"]["interaction"] == [{"code": "read"}, {"code": "search-type"}]
    assert [one["name"] for one in found["Observation"]["searchParam"]] == ["status"]
    assert stated["title"].endswith("; QEDm Clinical Data Source")
    assert len(stated["implementationGuide"]) == 2
    assert "Required by PCC-44." in rest["security"]["description"]
    paths = json.loads(served.get("/openapi.json", None).body)["paths"]
    assert paths["/Observation"]["get"]["security"] == [{"token": []}]
    assert "status" in {one.get("name") for one in paths["/Observation"]["get"]["parameters"]}
    assert {"/Observation/{id}", "/Observation/_search"} <= paths.keys()
    smart = json.loads(served.get("/.well-known/smart-configuration", None).body)
    assert {"PCC-44", "system/Observation.rs"} <= set(smart["scopes_supported"])


def test_it_is_guarded(served: Served) -> None:
    path = "/Observation?status=final"
    assert served.get(path, None).status == 401
    denied = served.get(path, "system/DocumentReference.rs")
    assert (denied.status, 'error="insufficient_scope"' in denied.headers["www-authenticate"]) == (
        403,
        True,
    )
    assert served.get(path, "system/Observation.s").status == 200
    nurse = {"ihe_iua": {"subject_role": [{"system": "urn:oid:2.999.10", "code": "nurse"}]}}
    assert served.get(path, extensions=nurse).status == 403
    # whom the policy permits Observations, it permits nothing else
    assert served.get("/DocumentReference?patient=1", "ITI-67").status == 403


def test_it_is_audited(served: Served) -> None:
    served.get("/Observation?status=final")
    served.get("/Observation?status=final", "system/List.s")
    (record, *_) = [one for one in served.records() if one["outcome"] == 0]
    assert record["event_type"][0] == "PCC-44"
    (record, *_) = served.records("failed")
    assert record["event_type"][0] == "PCC-44"


def test_it_is_counted(served: Served) -> None:
    served.get("/Observation?status=final")
    told = served.send("GET", "/metrics", {}).body.decode()
    assert 'xds_transactions_total{outcome="success",transaction="PCC-44"}' in told
