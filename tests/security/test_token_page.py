"""docs/tokens.md as printed: its files, its lines of PyJWT, and what the server makes of them."""

import contextlib
import io
import json
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from tests import vouching
from tests.databases import Databases
from tests.fhir.asked import Reply, ask
from tests.serving import Server, serving
from tests.vouching import Asserted, attribute, coded
from xds.client import DocumentConsumer, Settings, SoapFaultReceived, TransactionRefused
from xds.metadata.systems import Systems
from xds.security.tokens import user_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text()
SEARCH: Final = "/DocumentReference?patient.identifier=urn:oid:2.999.1.1%7CP1&status=current"
SNOMED, REASONS = "2.16.840.1.113883.6.96", "2.16.840.1.113883.5.8"
SNOMED_URI: Final = "http://snomed.info/sct"
REASONS_URI: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PURPOSES_OF_USE: Final = "2.16.840.1.113883.1.11.20448"
"""A value set of ActReason, which assertions name as if it were the code system."""
OWN_ROLES: Final = """
[[rule]]
name = "who is chief in our trust"
decision = "permit"
transactions = ["ITI-18", "ITI-67"]
roles = ["chief^^urn:oid:2.999.10"]
"""


def block(start: str) -> str:
    """Return a block of code of the page, by how its fence begins."""
    found = re.search(rf"^```{re.escape(start)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, start
    return found[1]


def claims_of(heading: str) -> list[str]:
    """Return the first cells of the table below a line of the page."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[1]
    return re.findall(r"^\| `([a-z_.]+)`", table, re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Deployed:
    """The server of the page, and what its lines of Python have made."""

    server: Server
    printed: str
    made: dict[str, Any]

    def ask(self, token: str) -> Reply:
        return ask(self.server, "GET", SEARCH, {"Authorization": f"Bearer {token}"})

    def token(self, role: object, purpose: object) -> str:
        """Return a token as the page makes it, of another role and purpose."""
        iua = {"subject_role": role, "purpose_of_use": purpose}
        claims = {**self.made["claims"], "extensions": {"ihe_iua": iua}}
        return jwt.encode(claims, self.made["key"], "ES256", {"kid": "1"})


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("tokens")
    idp = f'\n[assertions."{vouching.ISSUER}"]\ncertificates = "idp.pem"\n'
    more = {"issuers.toml": idp, "policy.toml": OWN_ROLES}
    for name in ("xds.toml", "issuers.toml", "policy.toml", "systems.toml"):
        (folder / name).write_text(block(f"toml title={name}") + more.get(name, ""))
    (folder / "claims.json").write_text(block("json title=claims.json"))
    (folder / "idp.pem").write_bytes(vouching.vouching().idp.pem)
    script = folder / "make_token.py"
    script.write_text(block("python"))
    options = {"config": "xds.toml", "identifier_systems": "systems.toml"}
    with contextlib.chdir(folder):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            made = runpy.run_path(str(script), run_name="__main__")
        with serving(folder / "data", {"database": databases.url(folder), **options}) as server:
            yield Deployed(server, printed.getvalue().strip(), made)


def test_the_lines_of_python_make_a_token_that_is_taken(deployed: Deployed) -> None:
    assert "status=current" in block("sh")
    reply = deployed.ask(deployed.printed)
    assert reply.status == 200
    assert reply.json()["type"] == "searchset"


def test_the_sample_key_set_has_the_form_of_the_one_that_is_made(deployed: Deployed) -> None:
    (sample,) = json.loads(block("json title=jwks.json"))["keys"]
    (made,) = json.loads((deployed.server.data.parent / "jwks.json").read_text())["keys"]
    assert sample.keys() == made.keys()
    jwt.PyJWK(sample)


@pytest.mark.parametrize(
    ("role", "purpose", "status"),
    [
        ((SNOMED_URI, "62247001"), (REASONS_URI, "TREAT"), 200),
        ((f"urn:oid:{SNOMED}", "62247001"), (f"urn:oid:{REASONS}", "TREAT"), 200),
        ((SNOMED, "62247001"), (REASONS, "TREAT"), 200),
        ((SNOMED_URI, "62247001"), (PURPOSES_OF_USE, "TREAT"), 200),
        ((SNOMED_URI, "62247001"), (REASONS_URI, "HRESCH"), 403),
        (("http://snomed.info/other", "62247001"), (REASONS_URI, "TREAT"), 403),
        (("https://trust.example/roles", "chief"), (REASONS_URI, "TREAT"), 200),
        (("2.999.10", "chief"), (REASONS_URI, "TREAT"), 200),
        (("https://trust.example/other", "chief"), (REASONS_URI, "TREAT"), 403),
    ],
)
def test_systems_are_translated_in_tokens_and_in_assertions(
    deployed: Deployed, role: tuple[str, str], purpose: tuple[str, str], status: int
) -> None:
    stated = [{"system": system, "code": code} for system, code in (role, purpose)]
    assert deployed.ask(deployed.token([stated[0]], stated[1])).status == status
    if status == 200:
        assert query(deployed, role, purpose) == 0
    else:
        with pytest.raises(TransactionRefused, match="XDSRegistryError"):
            query(deployed, role, purpose)


def query(deployed: Deployed, role: tuple[str, str], purpose: tuple[str, str]) -> int:
    """Ask by ITI-18 with an assertion that states a role and a purpose; count what is found."""
    attributes = "".join(
        attribute(name, coded(element, code, system, code))
        for name, element, (system, code) in (
            ("urn:oasis:names:tc:xacml:2.0:subject:role", "Role", role),
            ("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", "PurposeOfUse", purpose),
        )
    )
    statement = f"<saml2:AttributeStatement>{attributes}</saml2:AttributeStatement>"
    assertion = vouching.signed(Asserted(attributes=statement))
    settings = Settings(assertion=vouching.as_text(assertion).encode())
    server = deployed.server
    with DocumentConsumer(server.registry_url, server.repository_url, settings=settings) as one:
        return len(one.find_documents("P1^^^&2.999.1.1&ISO").document_entries)


def test_what_a_client_sees_is_as_the_page_says(deployed: Deployed) -> None:
    assert ask(deployed.server, "GET", SEARCH).status == 401
    unscoped = {**deployed.made["claims"], "scope": "ITI-66"}
    reply = deployed.ask(jwt.encode(unscoped, deployed.made["key"], "ES256", {"kid": "1"}))
    assert reply.status == 403
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    ended = {**deployed.made["claims"], "exp": 1}
    reply = deployed.ask(jwt.encode(ended, deployed.made["key"], "ES256", {"kid": "1"}))
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    server = deployed.server
    nobody = DocumentConsumer(server.registry_url, server.repository_url)
    with nobody, pytest.raises(SoapFaultReceived):
        nobody.find_documents("P1^^^&2.999.1.1&ISO")


def test_every_claim_of_the_page_tells_something_of_the_user() -> None:
    systems = Systems.read()
    required = {"iss": "i", "sub": "s"}
    nobody = user_of(required, systems)
    iua = claims_of("Claims of `ihe_iua`")
    assert len(iua) == 8
    for name in iua:
        told = {"extensions": {"ihe_iua": {name: "1.2.3"}}}
        assert user_of({**required, **told}, systems) != nobody, name
    claims = claims_of("Signed by RS, PS or ES")
    for name in {*claims} - {"aud", "exp", "extensions.ihe_iua", "extensions.ihe_bppc"}:
        assert user_of({**required, name: "x"}, systems) != nobody, name
