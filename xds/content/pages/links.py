"""Where a link of a document may lead: to a page of the web, to a mailbox, nowhere else.

Browsers read addresses that RFC 3986 does not know: they pass over tabs and line breaks, and take a
backslash for a slash. So an address is a link only if it can be read in one way, and the host that
it leads to is shown beside it.
"""

import re
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 2_000
_WEB: Final = re.compile(
    r"(https?)://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?",
    re.IGNORECASE,
)
"""Without a user, whose name could be taken for the host."""
_MAILBOX: Final = re.compile(r"mailto:[A-Za-z0-9._%+-]+@([A-Za-z0-9.-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SafeLink:
    """An address that may be followed, and what is told of it."""

    href: str
    host: str
    """Empty for a mailbox."""


def safe_link(href: str) -> SafeLink | None:
    """Return the link, or None where it is none to follow: another scheme, a path, no address."""
    given = href.strip()
    if len(given) > _LONGEST:
        return None
    if found := _WEB.fullmatch(given):
        return SafeLink(given, found[2].lower())
    if _MAILBOX.fullmatch(given):
        return SafeLink(given, "")
    return None
