"""What a page says of a failure: in general terms, and by the id of the log's lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import falcon

from xds import logs
from xds.accounts.vouched import NotVouched
from xds.console.visits import PageNotFound
from xds.errors import FailureKind, TransactionFailure, kind_of
from xds.fhir.r4.outcome import Refused
from xds.security.errors import AccessDenied

_log = logs.get_logger(__name__)


class NotSecure(Exception):
    """A browser has come without TLS from another machine, where a password could be read."""

    failure_kind = FailureKind.REFUSED


class NotFromHere(Exception):
    """A form was made by another place, or by a page of another login."""

    failure_kind = FailureKind.REFUSED


class NotTold(Exception):
    """The proxy by which people log in has not told who asks, or is not a trusted one."""

    failure_kind = FailureKind.REFUSED


@dataclass(frozen=True, slots=True)
class FailurePage:
    """What is said of a failure."""

    status: int
    title: str
    said: str
    lines: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


_NOT_FOUND: Final = FailurePage(
    404, "Page not found", "There is no such page, or it is not for you. The address may be wrong."
)
_NOT_SECURE: Final = FailurePage(
    403,
    "This needs TLS",
    "The console is for browsers that come by https. Where a proxy ends TLS before this server, "
    "the option public_url, or its header X-Forwarded-Proto, has to say so.",
)
_NOT_FROM_HERE: Final = FailurePage(
    403,
    "The form was not taken",
    "It was not made by a page of this console, or you have logged in anew since. Go back, load "
    "the page again, and send the form once more. Nothing has changed.",
)
_NOT_TOLD: Final = FailurePage(
    403,
    "You are not logged in",
    "People log in at a proxy before this server, and it has not told who you are. Come by the "
    "address that your organisation gives for the console.",
)
_DENIED: Final = FailurePage(
    403, "Not permitted", "The policy of this server does not permit this."
)
_UNAVAILABLE: Final = FailurePage(
    503,
    "Not available",
    "The server cannot answer at the moment. Try again later.",
    headers={"Retry-After": "30"},
)
_METHOD: Final = FailurePage(405, "Not possible here", "This address does not take this method.")


def told(error: Exception) -> FailurePage:
    """Return what is said of any exception."""
    match error:
        case PageNotFound() | falcon.HTTPNotFound():
            return _NOT_FOUND
        case NotSecure():
            return _NOT_SECURE
        case NotFromHere():
            return _NOT_FROM_HERE
        case NotTold():
            return _NOT_TOLD
        case NotVouched():
            text = str(error)
            return FailurePage(403, "You are not let in", f"{text[:1].upper()}{text[1:]}.")
        case AccessDenied():
            return _DENIED
        case TransactionFailure():
            lines = tuple(f"{one.code}: {one.code_context}" for one in error.errors)
            return FailurePage(
                400, "Refused", "The server has refused this. Nothing has changed.", lines
            )
        case Refused():
            if error.status == 404:
                return _NOT_FOUND
            lines = tuple(one.diagnostics for one in error.issues if one.diagnostics)
            return FailurePage(error.status, "Refused", "The server has refused this.", lines)
        case falcon.HTTPMethodNotAllowed():
            allowed = dict(error.headers or {})
            return FailurePage(_METHOD.status, _METHOD.title, _METHOD.said, headers=allowed)
        case falcon.HTTPError():
            return FailurePage(error.status_code, error.title or "Not taken", "It was not taken.")
    if kind_of(error) in (FailureKind.UNAVAILABLE, FailureKind.FULL, FailureKind.BUSY):
        return _UNAVAILABLE
    return FailurePage(
        500, "Something went wrong", "An error in the server, which its log tells of."
    )


def note(found: FailurePage, error: Exception) -> None:
    """Log a failure of the server itself."""
    said: dict[str, Any] = {"status": found.status, "page": "console"}
    if found.status >= 500:
        _log.error("a page of the console failed", exc_info=error, **said)
