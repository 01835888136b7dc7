"""An identity provider: its endpoints by discovery, and what it says of a person who logs in.

The authorization code flow of OpenID Connect Core 3.1, with PKCE (RFC 7636) in any case.
"""

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from xds import logs
from xds.accounts import id_tokens
from xds.accounts.openid_login import LoginUnderWay
from xds.errors import FailureKind
from xds.outgoing.fetching import CannotFetch, Fetching
from xds.outgoing.transport import HttpRequest
from xds.security.issuers import TokenIssuer
from xds.security.key_sets import KeySet
from xds.security.tokens import TokenRefused
from xds.url_allowlist import Target

_FRESH_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 5.0
"""Between two attempts to read what cannot be read."""
_FETCH_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1024 * 1024
_LONGEST_HINT: Final = 4_096
"""Characters of an ID token that goes along when somebody logs out."""
_FORM: Final = "application/x-www-form-urlencoded"
_CODE: Final = re.compile(r"[a-z_]{1,60}")
"""An error code, of RFC 6749 and its extensions."""
_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "end_session_endpoint",
)
_NEEDED: Final = _ENDPOINTS[:3]

_log = logs.get_logger(__name__)


class LoginRefused(Exception):
    """Somebody is not let in; the text says why, and quotes nothing of what came."""

    failure_kind = FailureKind.REFUSED


class ProviderFailed(Exception):
    """The provider cannot be asked, or does not answer as it should; the text says why."""

    failure_kind = FailureKind.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIDClient:
    """What this server is to its provider."""

    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    """Empty for a public client."""
    scopes: str = "openid profile"
    redirect_uri: str
    after_logout: str
    """URL to come back to from logging out at the provider."""
    allowed: Sequence[Target]
    """Below which the provider's endpoints lie."""
    skew: int = 60
    """Seconds by which its clock may be off."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What the provider says of itself (OpenID Connect Discovery 3)."""

    endpoints: Mapping[str, str]
    authentication: tuple[str, ...]
    """By which methods clients may say who they are at the token endpoint."""
    names_issuer: bool
    """Whether its answers say who it is (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class VouchedLogin:
    """What the provider says of somebody who has logged in there."""

    claims: Mapping[str, Any]
    id_token: str = field(repr=False)


@dataclass(slots=True)
class OpenIDProvider:
    """The provider of a deployment, read when it is first needed; for many threads at once."""

    client: OpenIDClient
    tls: ssl.SSLContext | None = None
    """For https; without one, the authorities that the system trusts."""
    _known: ProviderMetadata | None = None
    _keys: KeySet | None = None
    _read_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def login_url(self, login: LoginUnderWay) -> str:
        """Return where somebody logs in; ProviderFailed."""
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": self.client.scopes,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(self._metadata().endpoints["authorization_endpoint"], asked)

    def logout_url(self, id_token: str) -> str:
        """Return where somebody logs out at the provider (RP-Initiated Logout 2); ProviderFailed.

        Empty where it has no such place.
        """
        endpoint = self._metadata().endpoints.get("end_session_endpoint", "")
        told = {
            "client_id": self.client.client_id,
            "post_logout_redirect_uri": self.client.after_logout,
        }
        if id_token and len(id_token) <= _LONGEST_HINT:
            told["id_token_hint"] = id_token
        return endpoint and _with_query(endpoint, told)

    def redeem(
        self, login: LoginUnderWay, answer: Mapping[str, str], wanted: Sequence[str]
    ) -> VouchedLogin:
        """Redeem the code of the provider's answer; LoginRefused, ProviderFailed.

        ``wanted`` names claims for which the provider is asked where the ID token has them not.
        """
        metadata = self._metadata()
        self._check_answer(login, answer, names_issuer=metadata.names_issuer)
        tokens = self._tokens(metadata, login, answer["code"])
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise ProviderFailed("the provider has answered without an ID token")
        claims = self._verified(metadata, login, id_token, access_token)
        if any(name not in claims for name in wanted):
            claims = {**self._told_of_user(metadata, access_token, claims["sub"]), **claims}
        return VouchedLogin(claims, id_token)

    def _check_answer(
        self, login: LoginUnderWay, answer: Mapping[str, str], *, names_issuer: bool
    ) -> None:
        if not login.is_answered_by(answer["state"]):
            raise LoginRefused("the state of the answer is not that of the login")
        if answer["iss"] not in (self.client.issuer, *([] if names_issuer else [""])):
            raise LoginRefused("the answer is of another provider")
        if error := answer["error"]:
            raise LoginRefused(f"the provider has refused the login ({_code(error)})")
        if not answer["code"]:
            raise LoginRefused("the answer of the provider has no code")

    def _verified(
        self, metadata: ProviderMetadata, login: LoginUnderWay, id_token: str, access_token: str
    ) -> Mapping[str, Any]:
        try:
            return id_tokens.verified(
                id_token,
                self._key_set(metadata),
                client=self.client.client_id,
                nonce=login.nonce,
                access_token=access_token,
                skew=self.client.skew,
            )
        except TokenRefused as error:
            raise LoginRefused(f"the provider's ID token is not accepted: {error}") from None

    # --- what is asked of the provider -----------------------------------------------------------

    @property
    def _fetching(self) -> Fetching:
        client = self.client
        return Fetching(
            client.allowed, _MOST_BYTES, _FETCH_SECONDS, self.tls, option="openid_endpoints"
        )

    def _metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself; what it said last where it says nothing now."""
        with self._lock:
            now = time.monotonic()
            is_fresh = now - self._read_at <= _FRESH_SECONDS
            if not is_fresh and now - self._tried_at > _PAUSE_SECONDS:
                self._tried_at = now
                self._read_again()
            if self._known is None:
                raise ProviderFailed("the provider's metadata cannot be read")
            return self._known

    def _read_again(self) -> None:
        try:
            url = f"{self.client.issuer.removesuffix('/')}/.well-known/openid-configuration"
            found = b"".join(self._fetching.fetch(url, accept="application/json"))
            self._known = self._read(_object(found))
            self._read_at = time.monotonic()
        except (CannotFetch, ValueError) as error:
            _log.error("the identity provider's metadata cannot be read", reason=str(error))

    def _read(self, found: Mapping[str, Any]) -> ProviderMetadata:
        if found.get("issuer") != self.client.issuer:
            raise ValueError("the metadata are of another issuer")
        endpoints = {name: found[name] for name in _ENDPOINTS if found.get(name)}
        for name in _NEEDED:
            if name not in endpoints:
                raise ValueError(f"the metadata have no {name}")
        for name, url in endpoints.items():
            if not isinstance(url, str) or not self._fetching.admits(url):
                raise ValueError(f"{name} does not lie below one of the option openid_endpoints")
        stated = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return ProviderMetadata(
            endpoints,
            tuple(stated),
            found.get("authorization_response_iss_parameter_supported") is True,
        )

    def _key_set(self, metadata: ProviderMetadata) -> KeySet:
        """Return the provider's keys, which are kept as long as they have one address."""
        url = metadata.endpoints["jwks_uri"]
        with self._lock:
            if self._keys is None or self._keys.issuer.url != url:
                self._keys = KeySet(TokenIssuer(self.client.issuer, url=url), self.tls)
            return self._keys

    def _tokens(
        self, metadata: ProviderMetadata, login: LoginUnderWay, code: str
    ) -> Mapping[str, Any]:
        told = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": login.verifier,
        }
        headers = {"Accept": "application/json"}
        client = self.client
        if client.secret and "client_secret_basic" in metadata.authentication:
            pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            told["client_id"] = client.client_id
            if client.secret:
                told["client_secret"] = client.secret
        body = urlencode(told).encode()
        message = HttpRequest(content_type=_FORM, length=len(body), blocks=(body,), headers=headers)
        status, answer = self._ask(metadata.endpoints["token_endpoint"], message)
        if status == 200:
            return answer
        error = _code(answer.get("error"))
        if error == "invalid_grant":
            raise LoginRefused("the provider does not accept the code (invalid_grant)")
        raise ProviderFailed(f"the provider gives no token: {status} ({error})")

    def _told_of_user(
        self, metadata: ProviderMetadata, access_token: str, subject: str
    ) -> Mapping[str, Any]:
        """Return the claims of the UserInfo endpoint, none where there is no such place."""
        url = metadata.endpoints.get("userinfo_endpoint")
        if url is None or not access_token.isascii() or not access_token.isprintable():
            return {}
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
        message = HttpRequest(content_type="", length=0, blocks=(), headers=headers, method="GET")
        status, answer = self._ask(url, message)
        if status != 200:
            raise ProviderFailed(f"the provider tells nothing of the person: {status}")
        if answer.get("sub") != subject:
            raise LoginRefused("what the provider tells is of another person")
        return answer

    def _ask(self, url: str, message: HttpRequest) -> tuple[int, Mapping[str, Any]]:
        try:
            status, body = self._fetching.exchange(url, message)
        except CannotFetch as error:
            raise ProviderFailed(f"the provider cannot be asked: {error}") from error
        try:
            return status, _object(body)
        except ValueError:
            if status != 200:
                return status, {}
            raise ProviderFailed("the provider does not answer in JSON") from None


def _object(data: bytes) -> Mapping[str, Any]:
    """Read a JSON object; ValueError where it is none."""
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _code(error: object) -> str:
    """Return an error code of the provider, as far as it is one."""
    return error if isinstance(error, str) and _CODE.fullmatch(error) else "no error code"


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
