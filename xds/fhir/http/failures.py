"""What goes wrong, as an OperationOutcome: in the form that the client takes, and in the log.

The log has the status and the codes of the issues, and never their diagnostics, which may name a
patient. An error of the server itself is told to the client by the correlation id of its log lines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xds import logs
from xds.errors import FailureKind, TransactionFailure, kind_of
from xds.fhir.http import negotiation
from xds.fhir.r4 import rendering
from xds.fhir.r4.outcome import RETRY_AFTER_SECONDS, Issue, Refused, operation_outcome, refusal
from xds.fhir.vocabulary import FHIR_JSON
from xds.security.errors import AccessDenied

REQUEST_ID: Final = logs.REQUEST_ID
INTERACTION: Final = "xds.interaction"
"""Where the environment of a request has the name of what was asked for."""

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A failure ready to be sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request_id(environ: Mapping[str, Any]) -> str | None:
    """Return the id of a request's correlation, or that which the client gave it."""
    given: str | None = environ.get(logs.CORRELATION)
    return given or logs.acceptable(environ.get("HTTP_X_REQUEST_ID"))


def tell(
    error: Exception,
    environ: Mapping[str, Any],
    *,
    form: str | None = None,
    warnings: Iterable[Issue] = (),
) -> ErrorResponse:
    """Log a failure, and put it into the form that was negotiated, or can be.

    To be called inside of a correlation, whose id the answer names.
    """
    refused = as_refused(error)
    _note(refused, error, environ)
    form = form or acceptable_form(environ)
    body = rendering.render(operation_outcome([*refused.issues, *warnings]), form)
    headers = {
        "Content-Type": rendering.content_type(form),
        "Vary": "Accept",
        REQUEST_ID: logs.current_correlation(),
        **refused.headers,
    }
    return ErrorResponse(refused.status, headers, body)


def as_refused(error: Exception) -> Refused:
    """Return what a client is told of any exception."""
    match error:
        case Refused():
            return error
        case TransactionFailure():
            return refusal(error)
        case AccessDenied():
            return _denied(error)
    match kind_of(error):
        case FailureKind.FULL:
            return Refused.because(507, "no-store", "there is no room for documents")
        case FailureKind.BUSY | FailureKind.UNAVAILABLE:
            return _unavailable()
    found = f"an error in the server, which its log tells of under {logs.current_correlation()}"
    return Refused.because(500, "exception", found)


def _denied(error: AccessDenied) -> Refused:
    """Ask for a user where there is none and there could be one (RFC 9110 15.5.2, RFC 6750 3)."""
    if not error.needs_user:
        return Refused.because(403, "forbidden", str(error))
    issue = Issue(code="login", diagnostics=str(error))
    return Refused(401, [issue], {"WWW-Authenticate": "Bearer"})


def acceptable_form(environ: Mapping[str, Any]) -> str:
    """Return the form for an error that came before any negotiation, or from it."""
    try:
        return negotiation.answer_form(environ.get("HTTP_ACCEPT", ""))
    except Refused:
        return FHIR_JSON


def _unavailable() -> Refused:
    issue = Issue(code="transient", diagnostics="the server is not available; try again later")
    return Refused(503, [issue], {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _note(refused: Refused, error: Exception, environ: Mapping[str, Any]) -> None:
    told: dict[str, Any] = {
        "interaction": environ.get(INTERACTION),
        "status": refused.status,
        "issues": [issue.error_code or issue.code for issue in refused.issues],
    }
    if isinstance(error, AccessDenied | Refused | TransactionFailure):
        if not told["interaction"]:  # else the line of the transaction tells it
            _log.info("refused", **told)
    elif kind_of(error) == FailureKind.BUSY:
        _log.warning("too busy", **told)
    elif refused.status == 503:
        _log.error("not available", exc_info=error, **told)
    else:
        _log.error("a request failed", exc_info=error, **told)
