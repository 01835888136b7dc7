"""ID tokens: what a provider has signed of somebody who has just logged in (OIDC Core 3.1.3.7)."""

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha256, sha384, sha512
from typing import Any, Final

import jwt

from xds.security.key_sets import KeySet
from xds.security.tokens import TokenRefused, verified_claims

_HASHES: Final = {"256": sha256, "384": sha384, "512": sha512}


def verified(
    token: str,
    keys: KeySet,
    *,
    client: str,
    nonce: str,
    access_token: str,
    skew: int,
) -> Mapping[str, Any]:
    """Return the claims of an ID token of a login, TokenRefused where it is not right.

    Signature, algorithm, issuer, audience and times are those of :mod:`xds.security.tokens`;
    ``nonce`` is that of the login, ``skew`` seconds.
    """
    claims = verified_claims(token, {keys.issuer.name: keys}, [client], skew)
    if not _is_for(claims, client):
        raise TokenRefused("the token was issued to another client")
    if not isinstance(claims.get("iat"), int | float):
        raise TokenRefused("the token does not say when it was issued")
    if not isinstance(claims["sub"], str) or not claims["sub"].strip():
        raise TokenRefused("the token names no subject")
    if not _is_equal(claims.get("nonce"), nonce):
        raise TokenRefused("the nonce of the token is not that of the login")
    told = claims.get("at_hash")
    if told is not None and not _is_equal(told, _hash(token, access_token)):
        raise TokenRefused("the token is not for the access token that came with it")
    return claims


def _is_for(claims: Mapping[str, Any], client: str) -> bool:
    """Tell whether a client is the authorized party, which has to be named among several."""
    audience, party = claims["aud"], claims.get("azp")
    is_one_of_several = isinstance(audience, list) and len(audience) > 1
    return party == client or (party is None and not is_one_of_several)


def _is_equal(told: object, expected: str) -> bool:
    return isinstance(told, str) and hmac.compare_digest(
        told.encode("utf-8", "replace"), expected.encode()
    )


def _hash(token: str, access_token: str) -> str:
    """Return the left half of the access token's hash, by that of the algorithm (3.1.3.6)."""
    # EdDSA with Ed25519 hashes by SHA-512
    algorithm = _HASHES.get(jwt.get_unverified_header(token)["alg"][-3:], sha512)
    digest = algorithm(access_token.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
