"""A login by OpenID Connect that is under way, which the browser alone keeps: nothing is stored.

All of it follows from one secret in a cookie, which no page and no URL shows.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self

SECONDS: Final = 600
"""How long somebody has to log in at the provider."""


@dataclass(frozen=True, slots=True)
class LoginUnderWay:
    """What was sent to the provider, and where the person is to go on to afterwards."""

    secret: str = field(repr=False)
    place: str = ""

    @classmethod
    def begin(cls, place: str) -> Self:
        """Begin one, with a secret that nobody has had before."""
        return cls(secrets.token_urlsafe(32), place)

    @classmethod
    def read(cls, kept: str) -> Self | None:
        """Read what a browser has kept; None where it has kept nothing of use."""
        secret, _, place = kept.partition(".")
        try:
            where = base64.urlsafe_b64decode(f"{place}==".encode("ascii")).decode()
        except (binascii.Error, ValueError):
            return None
        return cls(secret, where) if secret else None

    @property
    def kept(self) -> str:
        """What the browser is to keep, fit for a cookie."""
        return f"{self.secret}.{_base64url(self.place.encode())}"

    @property
    def state(self) -> str:
        """What the provider's answer has to bring back (RFC 6749 10.12)."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the ID token has to bring back (OpenID Connect Core 3.1.2.1)."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """The code_verifier, which is shown when the code is redeemed (RFC 7636 4.1)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The code_challenge of it, by S256."""
        return _base64url(sha256(self.verifier.encode()).digest())

    def is_answered_by(self, state: str) -> bool:
        """Tell whether an answer is to this login."""
        return hmac.compare_digest(state.encode("utf-8", "replace"), self.state.encode())

    def _derived(self, purpose: str) -> str:
        key = self.secret.encode("utf-8", "replace")
        return _base64url(hmac.digest(key, purpose.encode(), "sha256"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
