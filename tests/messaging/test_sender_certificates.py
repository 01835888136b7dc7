"""Who may send as whom: the certificates of a flavour, by MLLP, HTTP, FHIR and of the feed."""

import http.client
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import certificates
from tests.certificates import Files
from tests.databases import Databases
from tests.hl7v2.wire import adt
from tests.messaging.senders import mdm, nhs_number, oru, report_number
from tests.messaging.test_constructions import told
from tests.ports import free_port
from tests.serving import Server, serving
from tests.test_tls import connected, sent
from tests.waiting import until
from xds.__main__ import main

FHIR = Path("fixtures/fhir-messages/r01.json")
REFUSED = ["AR", "E 204 MSH^1^3 sender"]


@dataclass(frozen=True)
class Engines:
    """A server that engines reach with certificates."""

    server: Server
    files: Files

    def mllp(self, certificate: str, message: bytes) -> list[str]:
        """Send a message with a certificate, and return what is said of it."""
        with connected(self.files, int(self.server.options["mllp_port"]), certificate) as engine:
            return told(sent(engine, message))

    def audited(self, transaction: str) -> list[str]:
        """Return the records of a transaction, once there is one: servers write them by and by."""
        of = ["--data", str(self.server.data), "--database", self.server.database]
        asked = ["audit", *of, "--transaction", transaction, "--format", "xml"]
        return until(lambda: CliRunner().invoke(main, asked).output.splitlines())

    def http(self, certificate: str, path: str, body: bytes, media_type: str) -> tuple[int, str]:
        """Post a message as a proxy that has verified a certificate; return status and answer."""
        context = ssl.create_default_context(cafile=self.files.authority)
        pem = (self.files.folder / f"{certificate}.pem").read_text()
        shown = "".join(pem.partition("-----END")[0].splitlines()[1:])
        there = http.client.HTTPSConnection("localhost", self.server.port, context=context)
        try:
            headers = {"Content-Type": media_type, "ClientCertificate": shown}
            there.request("POST", path, body, headers)
            answer = there.getresponse()
            return answer.status, answer.read().decode()
        finally:
            there.close()


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Engines]:
    files = certificates.make(tmp_path_factory.mktemp("certificates"))
    flavours = tmp_path_factory.mktemp("flavours")
    for name, wanted in (("lab", "cn=client"), ("pas", "DNS:local*")):
        match = f'[[match]]\napplication = "{name}"\n'
        (flavours / f"{name}.toml").write_text(f'certificates = ["{wanted}"]\n{match}')
    data = tmp_path_factory.mktemp("engines")
    options = {
        "database": databases.url(data),
        "mllp_port": str(free_port()),
        "flavours": str(flavours),
        "audit": "on",
        "mllp_client_certificates": "required",
        "tls_client_certificates": "optional",
        "trusted_proxies": "127.0.0.1",
        "workers": "1",
    }
    with serving(data, files.options("optional", **options)) as server:
        yield Engines(server, files)


def test_a_report_comes_with_a_certificate_of_its_sender(engines: Engines) -> None:
    patient = nhs_number()
    report = oru(patient, (report_number(), "F"))
    assert engines.mllp("server", report) == REFUSED
    refusal = "<EventOutcomeDescription>sender at MSH^1^3<"
    assert any(refusal in one for one in engines.audited("LAB-3"))
    assert engines.mllp("client", report) == ["AA"]
    # who is no one that a flavour knows needs none of their certificates
    other = mdm("T02", patient, report_number(), sender="OTHER|T25")
    assert engines.mllp("server", other) == ["AA"]


def test_by_http_it_is_the_same(engines: Engines) -> None:
    report = oru(nhs_number(), (report_number(), "F"))
    er7 = "application/hl7-v2+er7"
    status, answer = engines.http("server", "/hl7v2", report, er7)
    assert (status, told(answer.encode())) == (200, REFUSED)
    status, answer = engines.http("client", "/hl7v2", report, er7)
    assert (status, told(answer.encode())) == (200, ["AA"])


def test_by_fhir_it_is_the_same(engines: Engines) -> None:
    body = FHIR.read_bytes()
    path, media_type = "/fhir/$process-message", "application/fhir+json"
    status, answer = engines.http("server", path, body, media_type)
    assert (status, "no certificate of this sender" in answer) == (200, True)
    status, answer = engines.http("client", path, body, media_type)
    assert (status, "no certificate of this sender" in answer) == (200, False)


def test_so_is_a_change_of_a_patient(engines: Engines) -> None:
    change = adt("A04", "PID|1||P9^^^&2.999.1.1&ISO||Doe^Jane").replace(b"|ADT|", b"|PAS|", 1)
    assert engines.mllp("client", change)[0] == "AR"
    assert engines.mllp("server", change) == ["AA"]
