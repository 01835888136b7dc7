"""The header ``traceparent``: which trace a request belongs to (W3C Trace Context, 2 and 3.2)."""

import re
from dataclasses import dataclass
from typing import Final, Self

ENVIRON: Final = "HTTP_TRACEPARENT"
"""Where the environment of a request has the header."""

_FIELDS: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_VERSION: Final = "ff"
_FIRST_VERSION: Final = "00"
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A valid ``traceparent``."""

    trace_id: str
    """32 hexadecimal digits, the same in everything that belongs to one trace."""
    parent_id: str
    """16 hexadecimal digits: the span of the caller."""
    sampled: bool
    """Whether the caller may have recorded its span."""

    def render(self) -> str:
        """Write the header."""
        flags = _SAMPLED if self.sampled else 0
        return f"{_FIRST_VERSION}-{self.trace_id}-{self.parent_id}-{flags:02x}"

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Read the header; None where it is absent or not valid, which is to be ignored then.

        A version that is not known yet is read by the fields of version 00 (3.2.2.2, 4.3).
        """
        match = _FIELDS.fullmatch((header or "").strip())
        if match is None or match[1] == _NO_VERSION or (match[1] == _FIRST_VERSION and match[5]):
            return None
        if not match[2].strip("0") or not match[3].strip("0"):
            return None
        return cls(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))
