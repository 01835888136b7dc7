"""The cookies of the console, and the tokens of its forms."""

import hmac
import secrets
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final

_SESSION: Final = "console"
_FORM: Final = "console-form"
_LOGIN: Final = "console-login"
_HOST: Final = "__Host-"
_MOST: Final = 4_096


def names(*, secure: bool) -> tuple[str, str, str]:
    """Return what the cookies of the session, of forms without one and of a login are called.

    The last is there while somebody logs in at a provider.
    """
    prefix = _HOST if secure else ""
    return f"{prefix}{_SESSION}", f"{prefix}{_FORM}", f"{prefix}{_LOGIN}"


def read(header: str) -> dict[str, str]:
    """Read the header Cookie; empty where it cannot be read."""
    if len(header) > _MOST:
        return {}
    try:
        return {name: one.value for name, one in SimpleCookie(header).items()}
    except CookieError:
        return {}


def written(name: str, value: str, *, secure: bool, seconds: int = 0) -> str:
    """Return a Set-Cookie; an empty value has the browser forget it, ``seconds`` after a time."""
    until = f"; Max-Age={seconds}" if seconds or not value else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}{until}"


def new_secret() -> str:
    """Return a secret for forms of those who have no session."""
    return secrets.token_urlsafe(32)


def token_of(secret: str) -> str:
    """Return the token of forms that goes with a secret."""
    return sha256(f"form\0{secret}".encode("utf-8", "replace")).hexdigest()


def masked(token: str) -> str:
    """Return a token as it differs on each page: a compressed page would tell it else (BREACH)."""
    mask = secrets.token_bytes(32)
    hidden = bytes(a ^ b for a, b in zip(mask, bytes.fromhex(token), strict=True))
    return (mask + hidden).hex()


def is_token(given: str, token: str) -> bool:
    """Tell whether a form has brought a token back."""
    try:
        whole = bytes.fromhex(given)
    except ValueError:
        return False
    found = bytes(a ^ b for a, b in zip(whole[:32], whole[32:], strict=False))
    return len(whole) == 64 and hmac.compare_digest(found.hex(), token)
