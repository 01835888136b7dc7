"""TLS, assertions that xmlsec signs, a policy and audit at once, as a deployment has them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests import vouching
from tests.databases import Databases
from tests.serving import Server, serving
from tests.vouching import Asserted, attribute, coded
from xds.__main__ import main
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    Settings,
    SoapFaultReceived,
    TransactionRefused,
    entry_of,
    submission_of,
    tls_context,
)
from xds.metadata.objects import Code, DocumentEntry
from xds.security.policy import READS, SUBMISSIONS
from xds.tls.authority import Authority

PATIENT = "ALL1^^^&2.999.1.1&ISO"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"
POLICY = f"""
[[rule]]
name = "the laboratory submits"
decision = "permit"
transactions = {list(SUBMISSIONS)}
roles = ["laboratory^^2.999.10"]

[[rule]]
name = "doctors read what is normal"
decision = "permit"
transactions = {list(READS)}
roles = ["doctor^^2.999.10"]
confidentialityCode = ["N^^{CONFIDENTIALITY}"]

[[rule]]
name = "doctors read all in an emergency"
decision = "permit"
transactions = {list(READS)}
roles = ["doctor^^2.999.10"]
purposes = ["ETREAT^^2.16.840.1.113883.5.8"]
break_glass = true
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server that trusts nobody, and what its clients need."""

    server: Server
    authority: Path

    def settings(self, role: str = "", purpose: str = "TREAT") -> Settings:
        """Come as a user of a role; as nobody without one."""
        tls = tls_context(str(self.authority))
        return Settings(tls=tls, assertion=_assertion(role, purpose) if role else b"")

    def consumer(self, *user: str) -> DocumentConsumer:
        return DocumentConsumer(
            self.server.registry_url, self.server.repository_url, settings=self.settings(*user)
        )

    def source(self, *user: str) -> DocumentSource:
        return DocumentSource(
            self.server.repository_url, self.server.registry_url, settings=self.settings(*user)
        )

    def records(self, *arguments: str) -> list[dict[str, Any]]:
        """Search with `xds audit`; the newest comes first."""
        where = ["--data", str(self.server.data), "--database", self.server.database]
        done = CliRunner().invoke(main, ["audit", *where, "--format", "json", *arguments])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]


def _assertion(role: str, purpose: str) -> bytes:
    attributes = (
        "<saml2:AttributeStatement>"
        + attribute(
            "urn:oasis:names:tc:xacml:2.0:subject:role", coded("Role", role, "2.999.10", role)
        )
        + attribute(
            "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
            coded("PurposeOfUse", purpose, "2.16.840.1.113883.5.8", purpose),
        )
        + "</saml2:AttributeStatement>"
    )
    signed = vouching.signed(Asserted(name_id=f"{role}@example", attributes=attributes))
    return vouching.as_text(signed).encode()


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[Deployment]:
    data = tmp_path_factory.mktemp("together")
    authority = Authority.make("tests", 1)
    node = authority.issue("127.0.0.1", ["127.0.0.1"])
    (data / "authority.pem").write_bytes(authority.own.certificate_pem)
    (data / "node.pem").write_bytes(node.certificate_pem + node.key_pem)
    (data / "policy.toml").write_text(POLICY)
    options = vouching.vouching().options(data / "issuers")
    options |= {
        "database": databases.url(data),
        "tls_certificate": str(data / "node.pem"),
        "policy": str(data / "policy.toml"),
        "audit": "on",
    }
    with serving(data, options) as server:
        yield Deployment(server, data / "authority.pem")


def submitted(deployed: Deployment, confidentiality: str) -> DocumentEntry:
    code = Code(confidentiality, CONFIDENTIALITY, confidentiality)
    entry = entry_of(PATIENT, "text/plain", confidentiality_code=(code,))
    with deployed.source("laboratory") as source:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: Content((b"x",), 1)})
    return entry


@pytest.mark.slow
def test_each_sees_what_the_policy_gives_and_all_of_it_is_recorded(deployed: Deployment) -> None:
    normal, restricted = (submitted(deployed, code) for code in "NR")

    with deployed.consumer("doctor") as doctor:
        (found,) = doctor.find_documents(PATIENT).document_entries
        assert found.unique_id == normal.unique_id
        with doctor.retrieve([found]) as retrieval:
            assert [b"".join(one.chunks()) for one in retrieval] == [b"x"]
    with deployed.consumer("doctor", "ETREAT") as in_emergency:
        seen = in_emergency.find_documents(PATIENT).document_entries
        assert {one.unique_id for one in seen} == {normal.unique_id, restricted.unique_id}
    with deployed.consumer("porter") as porter, pytest.raises(TransactionRefused):
        porter.find_documents(PATIENT)
    with deployed.consumer() as nobody, pytest.raises(SoapFaultReceived):
        nobody.find_documents(PATIENT)

    deployed.server.stop()  # which leaves no record behind
    emergency, retrieved, usual = deployed.records("--patient", PATIENT, "--user", "doctor@example")
    assert [one["transaction"] for one in (usual, retrieved, emergency)] == [
        "ITI-18",
        "ITI-43",
        "ITI-18",
    ]
    assert emergency["description"] == (
        "emergency access, permitted by: doctors read what is normal, "
        "doctors read all in an emergency"
    )
    assert emergency["purposes"][0][0] == "ETREAT"
    assert usual["actor"]["roles"][0][:2] == ["doctor", "2.999.10"]
    (denied,) = deployed.records("--user", "porter@example")
    assert (denied["outcome"], denied["description"]) == (4, "denied: no rule permits it")
    submissions = deployed.records("--user", "laboratory@example")
    assert [one["transaction"] for one in submissions] == ["ITI-41", "ITI-41"]
    unknown = [one for one in deployed.records("--failed") if one["actor"] is None]
    assert [one["description"] for one in unknown] == ["there is no assertion"]
