"""Bearer tokens through the wire: what is accepted, and every way in which one fails."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fhir.asked import Reply, ask
from tests.serving import Server
from tests.vouching import AUDIENCE, HOSTED_ISSUER, TOKEN_ISSUER, claims, token, vouching
from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.security.issuers import Issuers, TokenIssuer
from xds.security.key_sets import KeySet
from xds.security.tokens import TokenRefused, verify

SEARCH: Final = "/DocumentReference?patient.identifier=urn:oid:2.999.1.1|T1&status=current"
INVALID: Final = 'Bearer realm="xds", error="invalid_token", error_description='
NOT_ACCEPTED: Final = "the token is not accepted"


def get(server: Server, path: str, stated: str | None) -> Reply:
    return ask(server, "GET", path, {"Authorization": stated} if stated else {})


def bearer(**others: Any) -> str:
    return f"Bearer {token(claims(**others))}"


@pytest.mark.parametrize(
    "stated",
    [
        lambda: bearer(),
        lambda: bearer(aud=["https://elsewhere.example", AUDIENCE]),
        lambda: bearer(exp=claims()["exp"] - 330),
        lambda: (
            f"bearer {token(key=vouching().ec_token_key, algorithm='ES256', headers={'kid': 'ec'})}"
        ),
        lambda: f"Bearer {token(algorithm='PS256', headers={'kid': None})}",
        lambda: bearer(iss=HOSTED_ISSUER),
        lambda: (
            "Bearer "
            + token(
                claims(iss=HOSTED_ISSUER),
                vouching().ec_token_key,
                "ES256",
                {"kid": "ec"},
            )
        ),
    ],
    ids=[
        "RS256",
        "several audiences",
        "expired within the skew",
        "ES256",
        "PS256, no kid",
        "RS256, keys by URL",
        "ES256, keys by URL",
    ],
)
def test_accepted(guarded: Server, stated: Callable[[], str]) -> None:
    assert get(guarded, SEARCH, stated()).status == 200


def unsigned() -> str:
    return jwt.encode(claims(), "", "none", {"kid": "rsa"})


def by_public_key() -> str:
    """Sign by HMAC, with the public key as the secret (RFC 8725, 2.1)."""
    pem = (
        vouching()
        .token_key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )

    def part(told: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "kid": "rsa"}) + b"." + part(claims())
    mac = hmac.new(pem, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def tampered() -> str:
    head, _, signature = token().split(".")
    changed = json.dumps(claims(sub="admin")).encode()
    return ".".join([head, base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), signature])


REFUSED: Final[dict[str, Callable[[], str]]] = {
    "no algorithm": unsigned,
    "HMAC by the public key": by_public_key,
    "tampered": tampered,
    "another key": lambda: token(key=rsa.generate_private_key(65537, 2048)),
    "a key that nobody knows": lambda: token(headers={"kid": "other"}),
    "an algorithm that the key is not for": lambda: token(
        key=vouching().token_key, headers={"kid": "ec"}
    ),
    "an extension that must be understood": lambda: token(headers={"crit": ["x"], "x": 1}),
    "an unknown issuer": lambda: token(claims(iss="https://other.example")),
    "a wrong audience": lambda: token(claims(aud="https://other.example")),
    "no audience": lambda: token(claims(aud=None)),
    "a NUL in the subject": lambda: token(claims(sub="jo\0")),
    "half of a surrogate pair in the subject": lambda: token(claims(sub="jo\ud800")),
    "a subject without end": lambda: token(claims(sub="jo" * 600)),
    "a control character in a role": lambda: token(
        claims(extensions={"ihe_iua": {"subject_role": [{"system": "2.999", "code": "a\x1bb"}]}})
    ),
    "half of a surrogate pair in a name": lambda: token(
        claims(extensions={"ihe_iua": {"subject_name": "\udc00"}})
    ),
    "a NUL in a patient": lambda: token(claims(extensions={"ihe_iua": {"person_id": "\0"}})),
    "expired": lambda: token(claims(exp=claims()["iat"] - 120)),
    "no end": lambda: token(claims(exp=None)),
    "not yet valid": lambda: token(claims(nbf=claims()["iat"] + 120)),
    "issued in the future": lambda: token(claims(iat=claims()["iat"] + 120)),
    "an end beyond all time": lambda: token(claims(exp=10**30)),
    "no subject": lambda: token(claims(sub=None)),
    "no token": lambda: "x.y.z",
}


TOLD: Final = {
    "expired": "the token has expired",
    "not yet valid": "the token is not valid yet",
    "issued in the future": "the token is not valid yet",
    "a wrong audience": "the token is for another audience than this server",
}
"""What is told of tokens that their issuer has signed; of all others the same."""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(guarded: Server, name: str) -> None:
    told = REFUSED[name]()
    reply = get(guarded, SEARCH, f"Bearer {told}")
    assert reply.status == 401
    described = TOLD.get(name, NOT_ACCEPTED)
    assert reply.headers["www-authenticate"] == f'{INVALID}"{described}"'
    assert reply.json()["issue"][0]["diagnostics"] == described
    assert told not in guarded.log.read_text()


def test_without_a_token_a_client_is_told_what_it_needs(guarded: Server) -> None:
    reply = get(guarded, SEARCH, None)
    assert (reply.status, reply.codes()) == (401, ["login"])
    assert reply.headers["www-authenticate"] == 'Bearer realm="xds", scope="ITI-67"'


def test_an_expired_token_that_is_forged_is_not_told_as_expired(guarded: Server) -> None:
    key = rsa.generate_private_key(65537, 2048)
    reply = get(guarded, SEARCH, f"Bearer {token(claims(exp=claims()['iat'] - 120), key)}")
    assert reply.headers["www-authenticate"] == f'{INVALID}"{NOT_ACCEPTED}"'


@pytest.mark.parametrize("stated", ["Basic am86am8=", "Negotiate x", "Bearerx y"])
def test_another_scheme_is_no_invalid_token(guarded: Server, stated: str) -> None:
    reply = get(guarded, SEARCH, stated)
    assert (reply.status, reply.codes()) == (401, ["login"])
    assert reply.headers["www-authenticate"] == 'Bearer realm="xds", scope="ITI-67"'
    assert "another scheme" in reply.json()["issue"][0]["diagnostics"]


def test_a_scope_is_the_name_of_the_transaction(guarded: Server) -> None:
    reply = get(guarded, SEARCH, bearer(scope="ITI-66 openid"))
    assert (reply.status, reply.codes()) == (403, ["forbidden"])
    assert 'error="insufficient_scope", scope="ITI-67"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/document/", "/Binary/"])
def test_documents_are_covered(guarded: Server, path: str) -> None:
    where = f"{path}4d48a000-0000-4000-8000-00000000ffff"
    reply = get(guarded, where, None)
    assert reply.status == 401
    assert "ITI-68" in reply.headers["www-authenticate"]
    assert get(guarded, where, bearer(scope="ITI-67")).status == 403
    assert get(guarded, where, bearer()).status == 404


def test_publishing_is_covered_before_the_body_is_read(guarded: Server) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    assert ask(guarded, "POST", "", headers, b"{").status == 401
    assert ask(guarded, "POST", "", {**headers, "Authorization": bearer()}, b"{").status == 400


def test_a_transaction_may_be_left_out_or_optional(guarded: Server) -> None:
    assert get(guarded, "/List?patient.identifier=urn:oid:2.999.1.1|T1", None).status == 200
    assert get(guarded, "/Patient?identifier=urn:oid:2.999.1.1|T1", None).status == 200
    assert get(guarded, "/Patient?identifier=urn:oid:2.999.1.1|T1", "Bearer x").status == 401
    both = get(guarded, "?_type=List&patient.identifier=urn:oid:2.999.1.1|T1", None)
    assert both.status == 401  # ITI-66, ITI-67: the stricter counts


def test_what_is_asked_is_stated_to_anyone(guarded: Server) -> None:
    security = get(guarded, "/metadata", None).json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "OAuth"
    assert "Required by ITI-65, ITI-67, ITI-68, ITI-105, ITI-106" in security["description"]
    assert "Taken by ITI-78." in security["description"]
    described = json.loads(ask(guarded, "GET", "/openapi.json").body)
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["paths"]["/DocumentReference"]["get"]["security"] == [{"token": []}]
    assert "security" not in described["paths"]["/metadata"]["get"]


# --- keys and claims -----------------------------------------------------------------------------


@pytest.fixture
def key_set(tmp_path: Path) -> KeySet:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": vouching().jwks()}))
    return KeySet(TokenIssuer(TOKEN_ISSUER, file=file))


def test_claims_become_a_user(key_set: KeySet) -> None:
    found = verify(token(), {TOKEN_ISSUER: key_set}, [AUDIENCE], 0, Systems.read()).user
    assert (found.name_id, found.issuer, found.subject_id) == ("jo", TOKEN_ISSUER, "Dr. Jo Smith")
    assert found.roles == (Code("doctor", "2.999.10", "Doctor"),)
    assert found.purposes_of_use == (Code("TREATMENT", "2.16.840.1.113883.3.18.7.1"),)
    assert found.resource_ids == ("P1^^^&2.999.1.1&ISO",)
    assert found.provider_identifiers == ("1234567",)
    assert (found.consent_documents, found.access_policies) == (
        ("urn:oid:2.999.11.1",),
        ("urn:oid:2.999.11.2",),
    )
    assert "ITI-67" in found.scopes


def test_an_unknown_key_has_the_set_read_again_but_not_at_once(
    key_set: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    sets, file = {TOKEN_ISSUER: key_set}, key_set.issuer.file
    assert file
    file.write_text('{"keys": []}')
    with pytest.raises(TokenRefused):
        verify(token(), sets, [AUDIENCE], 0, Systems.read())
    file.write_text(json.dumps({"keys": vouching().jwks()}))
    with pytest.raises(TokenRefused):  # too early to ask again
        verify(token(), sets, [AUDIENCE], 0, Systems.read())
    now[0] += 31
    verify(token(), sets, [AUDIENCE], 0, Systems.read())


def test_keys_are_used_for_a_while_when_their_set_cannot_be_read(
    key_set: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    sets, file = {TOKEN_ISSUER: key_set}, key_set.issuer.file
    assert file
    verify(token(), sets, [AUDIENCE], 0, Systems.read())
    file.unlink()
    now[0] += 3600
    verify(token(), sets, [AUDIENCE], 0, Systems.read())
    now[0] += 25 * 3600
    with pytest.raises(TokenRefused):
        verify(token(), sets, [AUDIENCE], 0, Systems.read())


def test_keys_by_plain_http_from_another_machine_are_told(tmp_path: Path) -> None:
    urls = {
        "plain": "http://keys.example/jwks",
        "tls": "https://keys.example/jwks",
        "here": "http://127.0.0.1:1/jwks",
        "local": "http://localhost/jwks",
        "file": "jwks.json",
    }
    file = tmp_path / "issuers.toml"
    file.write_text("".join(f'[tokens."{name}"]\nkeys = "{url}"\n' for name, url in urls.items()))
    assert Issuers.read(file).unprotected == ["plain"]
