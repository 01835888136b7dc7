"""Passwords: hashes by Argon2id (RFC 9106), and what a new one must be like."""

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST: Final = 12
"""Characters of a new password."""
MOST: Final = 1_024
_LEAST_NAME: Final = 4
"""Characters of a name that a password may not have in it: shorter ones are in many words."""
_AT_ONCE: Final = 2
"""Hashes that one process makes at once: each takes 64 MiB."""

_hasher: Final = PasswordHasher()
_room: Final = threading.BoundedSemaphore(_AT_ONCE)
_of_nobody: list[str] = []


class WeakPassword(ValueError):
    """A password is not fit to be a new one; the text says why, and quotes nothing of it."""


def hashed(password: str, *, name: str = "") -> str:
    """Return the hash of a new password; WeakPassword where it is too short, or is the name."""
    if not LEAST <= len(password) <= MOST:
        raise WeakPassword(f"a password has {LEAST} to {MOST} characters")
    if len(name) >= _LEAST_NAME and name.casefold() in password.casefold():
        raise WeakPassword("a password does not have the name of its account in it")
    with _room:
        return _hasher.hash(password)


def verify(known: str | None, password: str) -> bool:
    """Tell whether a password is that of a hash; it takes as long where there is no hash."""
    if len(password) > MOST:
        return False
    with _room:
        if not _of_nobody:
            _of_nobody.append(_hasher.hash("the password of nobody"))
        try:
            _hasher.verify(known or _of_nobody[0], password)
        except (VerificationError, InvalidHashError):
            return False
    return known is not None


def is_outdated(known: str) -> bool:
    """Tell whether a hash has been made with weaker parameters than those of now."""
    return _hasher.check_needs_rehash(known)
