"""What is read of an assertion that is accepted, and what the wire cannot show."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from lxml import etree

from tests.security.test_user_assertions import holder_of
from tests.vouching import AUDIENCE, HOLDER_OF_KEY, Asserted, as_text, security, signed, vouching
from xds.config import Config, ConfigError, load
from xds.database.access import Database
from xds.database.used_once import UsedOnce
from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.parsing import parse
from xds.registry import schema
from xds.security import node
from xds.security.access import Access
from xds.security.caller import User
from xds.security.interceptors import InterceptorChain, Outcome
from xds.security.issuers import BadIssuers, Issuers
from xds.security.requirements import Requirement, UserRequirements
from xds.soap.security import AssertionTerms, UserAssertions
from xds.wire.faults import SoapFault


@dataclass
class Recorder:
    """An interceptor that remembers what it is told."""

    told: list[tuple[Access, Outcome]] = field(default_factory=list)

    def enter(self, access: Access) -> None:
        """Let everyone in."""

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Remember."""
        self.told.append((access, outcome))


@pytest.fixture
def used(tmp_path: Path) -> Iterator[UsedOnce]:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    schema.prepare(database)
    yield UsedOnce(database)
    database.close()


@pytest.fixture
def terms(tmp_path: Path) -> AssertionTerms:
    return AssertionTerms(
        issuers=Issuers.read(vouching().write(tmp_path)).assertions,
        audiences=frozenset({AUDIENCE}),
        skew_seconds=60,
        reusable=True,
        systems=Systems.read(),
    )


def header(*tokens: etree._Element | str) -> etree._Element:
    text = f'<h xmlns:s="http://www.w3.org/2003/05/soap-envelope">{security(*tokens)}</h>'
    return etree.fromstring(text)


def user(terms: AssertionTerms, used: UsedOnce, token: etree._Element | str) -> User | None:
    users = UserAssertions(UserRequirements(Requirement.REQUIRED), terms, used, InterceptorChain())
    return users.caller(header(token), "ITI-18", {}).user


def test_all_that_an_assertion_says_is_read(terms: AssertionTerms, used: UsedOnce) -> None:
    found = user(terms, used, signed(Asserted(identifier="_1")))
    assert found == User(
        name_id="jo@example",
        issuer="https://idp.example",
        alias="js",
        subject_id="Dr. Jo Smith",
        organization="Example Trust",
        organization_id="urn:oid:2.999.7.1",
        organization_ids=("urn:oid:2.999.7.1", "urn:oid:2.999.7.2"),
        home_community_id="urn:oid:2.999.8",
        provider_identifiers=("G42^^^&2.999.9&ISO", "1234567"),
        roles=(
            Code("doctor", "2.999.10", "Doctor"),
            Code("researcher", "2.999.10", "Researcher"),
            Code("nurse", "2.999.10", "Nurse"),
        ),
        purposes_of_use=(Code("TREATMENT", "2.16.840.1.113883.3.18.7.1", "Treatment"),),
        resource_ids=("P1^^^&2.999.1.1&ISO",),
        consent_documents=("urn:oid:2.999.11.1",),
        access_policies=("urn:oid:2.999.11.2",),
        assertion_id="_1",
    )
    assert found.audit_name == "js<jo@example@https://idp.example>"


def test_a_comment_in_a_name_does_not_cut_it(terms: AssertionTerms, used: UsedOnce) -> None:
    text = as_text(signed(Asserted(name_id="admin@example.other.example")))
    commented = text.replace("admin@example.other", "admin@example<!-- -->.other")
    found = user(terms, used, parse(commented.encode()))
    assert found
    assert found.name_id == "admin@example.other.example"


def test_a_holder_of_key_shows_its_certificate(
    terms: AssertionTerms, used: UsedOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [vouching().stranger.der]
    monkeypatch.setattr(node, "of_environment", lambda _: node.Node(certificate=shown[0]))
    token = signed(Asserted(confirmation=holder_of(vouching().stranger.der)))
    assert HOLDER_OF_KEY in as_text(token)
    assert user(terms, used, token)
    shown[0] = vouching().idp.der
    with pytest.raises(SoapFault):
        user(terms, used, token)


def test_times_are_asked_of_what_is_remembered(
    terms: AssertionTerms, used: UsedOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = UserAssertions(UserRequirements(Requirement.REQUIRED), terms, used, InterceptorChain())
    block = header(signed(Asserted()))
    assert users.caller(block, "ITI-18", {}).user
    later = time.time() + 400
    monkeypatch.setattr("time.time", lambda: later)
    with pytest.raises(SoapFault):
        users.caller(block, "ITI-18", {})


def test_with_reuse_refused_each_counts_once(terms: AssertionTerms, used: UsedOnce) -> None:
    once = replace(terms, reusable=False)
    token = signed(Asserted())
    assert user(once, used, token)
    with pytest.raises(SoapFault):
        user(once, used, token)


def test_every_gate_is_told_of_a_failure(terms: AssertionTerms, used: UsedOnce) -> None:
    interceptor = Recorder()
    users = UserAssertions(
        UserRequirements(Requirement.REQUIRED), terms, used, InterceptorChain([interceptor])
    )
    with pytest.raises(SoapFault):
        users.caller(None, "ITI-18", {"REMOTE_ADDR": "192.0.2.1"})
    ((access, outcome),) = interceptor.told
    assert (access.transaction, access.caller.node.address) == ("ITI-18", "192.0.2.1")
    assert str(outcome.unauthenticated) == "there is no assertion"
    assert not outcome.is_success


@pytest.mark.parametrize(
    ("given", "told"),
    [("ITI-99=off", "ITI-99: no transaction"), ("ITI-18=perhaps", "perhaps: there are off")],
)
def test_what_is_no_transaction_or_no_requirement_is_told_at_once(given: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config.model_validate({"user_assertions_of": given})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[assertions.x]", "neither certificates nor authorities"),
        ('[assertions.x]\ncertificates = "none.pem"', "none.pem: No such file"),
        ('[assertions.x]\ncertificates = "issuers.toml"', "not a PEM file"),
        ('[tokens.x]\nkeys = "ftp://x/jwks"', "not a URL of the form http"),
        ("[others.x]", "the tables are assertions and tokens"),
    ],
)
def test_a_wrong_file_of_issuers_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "issuers.toml"
    path.write_text(text)
    with pytest.raises(BadIssuers, match=told):
        Issuers.read(path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"user_assertions": "required"}, "needs user_issuers and user_audiences"),
        ({"user_assertions_of": "ITI-18=required"}, "needs user_issuers and user_audiences"),
        ({"user_assertions_of": "ITI-18=always"}, "ITI-18|always: there are off, optional"),
    ],
)
def test_options_that_would_let_nobody_in_are_refused(
    options: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        load(options)
