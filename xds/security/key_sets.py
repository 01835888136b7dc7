"""The public keys of an issuer of tokens: a JWKS in a file or behind a URL (RFC 7517)."""

import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from xds import logs
from xds.outgoing.fetching import CannotFetch, Fetching
from xds.security.issuers import TokenIssuer
from xds.url_allowlist import prefixes

_FRESH_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 30.0
"""Between two attempts, however many tokens name a key that is not known."""
_STALE_SECONDS: Final = 24 * 3600.0
"""How long keys are used whose set cannot be read any more."""
_FETCH_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1024 * 1024
_MOST_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048

ALGORITHMS: Final[Mapping[str, str]] = {
    **{f"{family}{bits}": "RSA" for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
"""The algorithms that are accepted (RFC 7518, 3.1; RFC 8037), each with the keys that it is for."""

_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is fit to verify signatures."""

    identifier: str | None
    kind: str
    """As in ALGORITHMS."""
    algorithm: str | None
    """The one algorithm that it is for, where the set says so."""
    jwk: PyJWK

    def fits(self, identifier: str | None, algorithm: str) -> bool:
        """Whether a token with such a header may be signed by it."""
        named = identifier is None or identifier == self.identifier
        return named and self.algorithm in (None, algorithm) and ALGORITHMS[algorithm] == self.kind


@dataclass(slots=True)
class KeySet:
    """The keys of one issuer, read when they are first needed; safe to use from many threads.

    They are read anew when they are ten minutes old, or when a token names a key that is not among
    them, half a minute apart at least. While that fails, those of before are used, for a day.
    """

    issuer: TokenIssuer
    tls: ssl.SSLContext | None = None
    """For https; without one, the authorities that the system trusts."""
    _keys: Sequence[Key] = ()
    _read_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find(self, identifier: str | None, algorithm: str) -> Sequence[Key]:
        """Return the keys by which a token with such a header may be signed."""
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._read_again()
        found = self._fitting(identifier, algorithm)
        if not found:
            self._read_again()
            found = self._fitting(identifier, algorithm)
        return found

    def _fitting(self, identifier: str | None, algorithm: str) -> Sequence[Key]:
        if time.monotonic() - self._read_at > _STALE_SECONDS:
            return ()
        return [key for key in self._keys if key.fits(identifier, algorithm)]

    def _read_again(self) -> None:
        """Read the set, unless that has just been done; those who come meanwhile need not wait."""
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if time.monotonic() - self._tried_at < _PAUSE_SECONDS:
                return
            self._tried_at = time.monotonic()
            self._keys = keys_of(self._data())
            self._read_at = time.monotonic()
        except (CannotFetch, OSError, ValueError) as error:
            _log.error("the keys of an issuer cannot be read", reason=type(error).__name__)
        finally:
            self._lock.release()

    def _data(self) -> bytes:
        if self.issuer.url is not None:
            allowed = prefixes(self.issuer.url.partition("?")[0])
            fetching = Fetching(allowed, _MOST_BYTES, _FETCH_SECONDS, self.tls)
            return b"".join(fetching.fetch(self.issuer.url, accept="application/json"))
        if self.issuer.file is None:
            raise ValueError("an issuer has a URL or a file")
        return self.issuer.file.read_bytes()


def keys_of(data: bytes) -> Sequence[Key]:
    """Read a JWKS; ValueError where it is none. Keys that are for something else are left out."""
    found = orjson.loads(data)
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("not a JWKS")
    keys = (_key(one) for one in found["keys"][:_MOST_KEYS] if isinstance(one, dict))
    return [key for key in keys if key is not None]


def _key(stated: Mapping[str, Any]) -> Key | None:
    if stated.get("use", "sig") != "sig" or "verify" not in stated.get("key_ops", ["verify"]):
        return None
    # no secrets: a set is public, and whoever reads it could sign by them
    if stated.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    algorithm = stated.get("alg")
    if algorithm is not None and algorithm not in ALGORITHMS:
        return None
    try:
        # the algorithm is that of the token, which is checked against the key
        jwk = PyJWK({**stated, "alg": algorithm} if algorithm else dict(stated))
    except (PyJWTError, ValueError, TypeError):
        return None
    kind = _kind(jwk.key)
    return Key(stated.get("kid"), kind, algorithm, jwk) if kind else None


def _kind(key: object) -> str | None:
    """Return what kind of public key it is; None for one that is too weak, or private."""
    match key:
        case rsa.RSAPublicKey():
            return "RSA" if key.key_size >= _LEAST_RSA_BITS else None
        case ec.EllipticCurvePublicKey():
            return _CURVES.get(key.curve.name)
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    return None
