"""Who may vouch for users: the issuers of assertions and tokens in the file ``user_issuers``.

    [assertions."https://idp.example"]
    certificates = "idp.pem"                  # by which it signs, whoever has issued them
    authorities = "ca.pem"                    # or which theirs chain to
    subjects = ["CN=signing,O=Example Trust"] # then: whose certificates may sign for this issuer

    [tokens."https://authorisation.example"]
    keys = "https://authorisation.example/jwks"   # a URL, or a file
    # and for SMART clients, what their authorization server is (all optional):
    token_endpoint = "https://authorisation.example/token"
    authorization_endpoint = "https://authorisation.example/authorize"
    introspection_endpoint, revocation_endpoint, registration_endpoint, management_endpoint = …
    grant_types = ["authorization_code", "client_credentials"]
    token_endpoint_auth_methods = ["private_key_jwt"]
    capabilities = ["launch-standalone", "client-confidential-asymmetric"]

Files lie beside this one, or where their paths lead from there. So a key vouches for the issuer
that names it, and for no other of the list.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from xds.url_allowlist import Target

Certificates = tuple[x509.Certificate, ...]

_LEAST_RSA_BITS: Final = 2048
_LEAST_EC_BITS: Final = 256
_OF_ASSERTIONS: Final = frozenset({"certificates", "authorities", "subjects"})
ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "management_endpoint",
)
"""URLs of an authorization server, by their names in SMART's configuration."""
_LISTS: Final = ("grant_types", "token_endpoint_auth_methods", "capabilities")
_OF_TOKENS: Final = frozenset({"keys", *ENDPOINTS, *_LISTS})


class BadIssuers(ValueError):
    """The file of the issuers cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class AssertionIssuer:
    """Who issues SAML assertions, and the certificates that it signs by."""

    certificates: Certificates = ()
    """Trusted as they are (ITI TF-2 3.19.6.1.1, direct comparison)."""
    authorities: Certificates = ()
    subjects: frozenset[str] = frozenset()
    """Where not empty: of those, by RFC 4514, that the authorities' certificates must be of."""

    def signers(self, shown: Sequence[x509.Certificate], now: datetime) -> Sequence[Any]:
        """Return the certificates by which it may have signed: that shown first, if it is trusted.

        Without any the issuer's own are to be tried. What is not valid now is not trusted.
        """
        candidates = shown[:1] or self.certificates
        return [one for one in candidates if self._trusts(one, shown[1:], now)]

    def _trusts(
        self, one: x509.Certificate, others: Sequence[x509.Certificate], now: datetime
    ) -> bool:
        if one in self.certificates:
            return one.not_valid_before_utc <= now <= one.not_valid_after_utc
        return bool(self.authorities) and self._chains(one, others, now)

    def _chains(
        self, one: x509.Certificate, others: Sequence[x509.Certificate], now: datetime
    ) -> bool:
        if self.subjects and one.subject.rfc4514_string() not in self.subjects:
            return False
        verifier = (
            PolicyBuilder()
            .store(Store(list(self.authorities)))
            .time(now)
            .extension_policies(ee_policy=_SIGNER, ca_policy=_AUTHORITY)
            .build_client_verifier()
        )
        try:
            verifier.verify(one, list(others))
        except VerificationError:
            return False
        return True


def _may_sign(_: object, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage and not (usage.digital_signature or usage.content_commitment):
        raise ValueError("the certificate is not for signatures")


_SIGNER: Final = ExtensionPolicy.permit_all().may_be_present(
    x509.KeyUsage, Criticality.AGNOSTIC, _may_sign
)
_AUTHORITY: Final = ExtensionPolicy.webpki_defaults_ca()


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Who issues tokens, and where its keys are."""

    name: str
    url: str | None = None
    """Of http or https alone."""
    file: Path | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """By the names of ENDPOINTS, those that the file gives."""
    grant_types: tuple[str, ...] = ()
    token_endpoint_auth_methods: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    """What the authorization server says of itself in SMART's terms, as far as the file has it."""


@dataclass(frozen=True, slots=True)
class Issuers:
    """Everyone who may vouch for users, by name."""

    assertions: Mapping[str, AssertionIssuer] = field(default_factory=dict)
    tokens: Mapping[str, TokenIssuer] = field(default_factory=dict)

    @property
    def unprotected(self) -> Sequence[str]:
        """The issuers of tokens whose keys come by plain HTTP from another machine.

        Whoever is between could put in a key of their own, and be every user.
        """
        return [
            name
            for name, one in self.tokens.items()
            if one.url and (target := Target.parse(one.url)).scheme == "http" and not target.is_here
        ]

    @classmethod
    def read(cls, path: Path | None) -> "Issuers":
        """Read the file; without one nobody may. BadIssuers where something is wrong with it."""
        if path is None:
            return cls()
        try:
            found = tomllib.loads(path.read_text())
            return _IssuerReader(path.parent).issuers(found)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadIssuers(f"user_issuers: {path}: {reason}") from error


@dataclass(frozen=True, slots=True)
class _IssuerReader:
    folder: Path

    def issuers(self, found: Mapping[str, Any]) -> Issuers:
        if others := found.keys() - {"assertions", "tokens"}:
            raise ValueError(f"{min(others)}: the tables are assertions and tokens")
        return Issuers(
            {
                name: self._assertions(name, row)
                for name, row in found.get("assertions", {}).items()
            },
            {name: self._tokens(name, row) for name, row in found.get("tokens", {}).items()},
        )

    def _assertions(self, name: str, row: Mapping[str, Any]) -> AssertionIssuer:
        _check_names(name, row, _OF_ASSERTIONS)
        if not row.keys() & {"certificates", "authorities"}:
            raise ValueError(f"{name}: neither certificates nor authorities are given")
        return AssertionIssuer(
            self._certificates(row.get("certificates")),
            self._certificates(row.get("authorities")),
            frozenset(map(_subject, row.get("subjects", ()))),
        )

    def _tokens(self, name: str, row: Mapping[str, Any]) -> TokenIssuer:
        _check_names(name, row, _OF_TOKENS)
        keys = row.get("keys")
        if not isinstance(keys, str):
            raise ValueError(f"{name}: keys is to be a URL or a file")
        stated: dict[str, Any] = {one: _texts(name, one, row.get(one, [])) for one in _LISTS}
        stated["endpoints"] = {
            one: Target.parse(row[one]).url for one in ENDPOINTS if row.get(one) is not None
        }
        if "://" in keys:
            return TokenIssuer(name, url=Target.parse(keys).url, **stated)
        return TokenIssuer(name, file=self.folder / keys, **stated)

    def _certificates(self, file: str | None) -> Certificates:
        if file is None:
            return ()
        try:
            found = x509.load_pem_x509_certificates((self.folder / file).read_bytes())
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from error
        except ValueError:
            raise ValueError(f"{file}: not a PEM file of certificates") from None
        for one in found:
            _check_key(file, one)
        return tuple(found)


def _check_names(name: str, row: object, known: frozenset[str]) -> None:
    if not isinstance(row, Mapping):
        raise ValueError(f"{name}: not a table")
    if others := row.keys() - known:
        raise ValueError(f"{name}: {min(others)}: there are {', '.join(sorted(known))}")


def _texts(name: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{name}: {key} is to be a list of texts")
    return tuple(value)


def _subject(text: object) -> str:
    return x509.Name.from_rfc4514_string(str(text)).rfc4514_string()


def _check_key(file: str, certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= _LEAST_EC_BITS
    )
    if not strong:
        raise ValueError(f"{file}: a key is neither RSA of 2048 bits nor EC of 256 at least")
