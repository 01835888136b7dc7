"""What a verification has found, for a while: consumers send one assertion with many requests."""

from typing import Final, TypeVar

from xds.cache import Cache

T = TypeVar("T")

_MOST: Final = 4_096
_SECONDS: Final = 300.0


def verifications() -> Cache[bytes, T]:
    """Return a cache of findings by a digest of all that was verified; never of a refusal.

    They are forgotten after five minutes, so that a key which is trusted no longer, or has expired,
    is found out by then. Whatever depends on the time or on the request is asked each time.
    """
    return Cache(_MOST, seconds=_SECONDS)
