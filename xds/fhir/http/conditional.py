"""Conditional requests and ranges of plain HTTP (RFC 9110, 13 and 14)."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Final

NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')
_WEAK: Final = "W/"
_RANGE: Final = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})", re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """The document has no byte of the range that is asked for."""


def precondition(environ: Mapping[str, Any], etag: str, modified: int | None) -> int | None:
    """Return 304 or 412 where the headers of a GET or HEAD demand it (RFC 9110, 13.2.2).

    ``modified`` is in seconds, None where no sound date is known.
    """
    wanted, known = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    if wanted is not None:
        if etag.startswith(_WEAK) or not _names(wanted, etag):
            return PRECONDITION_FAILED
    elif _is_after(modified, environ.get("HTTP_IF_UNMODIFIED_SINCE")):
        return PRECONDITION_FAILED
    if known is not None:
        return NOT_MODIFIED if _names(known, etag, weakly=True) else None
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    return NOT_MODIFIED if _is_after(modified, since) is False else None


def part(
    environ: Mapping[str, Any], size: int, etag: str, modified: int | None
) -> tuple[int, int] | None:
    """Return start and length of the one range that is asked for, None for the whole.

    Several ranges, one that is malformed, and one of another version (If-Range) are passed over,
    as a server may (RFC 9110, 14.2).
    """
    asked = _RANGE.fullmatch(environ.get("HTTP_RANGE", "").strip())
    if asked is None or not size or not _is_of_this_version(environ, etag, modified):
        return None
    first, last = asked.groups()
    if not first:
        return _end(int(last), size) if last else None
    start, stop = int(first), int(last) if last else size - 1
    if start > stop and last:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return start, min(stop, size - 1) - start + 1


def _end(length: int, size: int) -> tuple[int, int]:
    if not length:
        raise RangeNotSatisfiable
    length = min(length, size)
    return size - length, length


def _is_of_this_version(environ: Mapping[str, Any], etag: str, modified: int | None) -> bool:
    condition = environ.get("HTTP_IF_RANGE", "").strip()
    if not condition:
        return True
    if _TAG.fullmatch(condition):
        return bool(condition == etag and not etag.startswith(_WEAK))
    return modified is not None and condition == formatdate(modified, usegmt=True)


def entity_tags(header: str) -> frozenset[str]:
    """Return the entity tags of a header, without the mark of weak ones (RFC 9110 8.8.3)."""
    return frozenset(tag.removeprefix(_WEAK).strip('"') for tag in _TAG.findall(header))


def _names(header: str, etag: str, *, weakly: bool = False) -> bool:
    if header.strip() == "*":
        return True
    tags = _TAG.findall(header)
    if not weakly:
        return etag in tags
    return etag.removeprefix(_WEAK) in {tag.removeprefix(_WEAK) for tag in tags}


def _is_after(modified: int | None, date: str | None) -> bool | None:
    """Tell whether something was modified after a date; None where either is not known."""
    if modified is None or not date:
        return None
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    return modified > (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
