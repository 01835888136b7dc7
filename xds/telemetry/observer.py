"""Tells what became of each transaction: in the metrics, and in one line of the log.

It is the first of the interceptors, so that it is called last and knows what the answer says. The
line has no patient's data: of what is wrong the attribute, the rule and the code, of who asks the
node and the roles, and numbers of what was handled.
"""

import time
from collections.abc import Iterable
from typing import Any, Final, Literal

from xds import logs
from xds.errors import Violation
from xds.metadata.objects import Code
from xds.security.access import Access
from xds.security.details import QueryDetails, RetrieveDetails, SubmissionDetails
from xds.security.interceptors import Outcome, Result
from xds.telemetry.metrics import Metrics
from xds.tracing import Tracer, trace_id_of

Lines = Literal["all", "failures", "off"]
"""Of which transactions there is a line in the log."""

EVENT: Final = "transaction"
UNSAID: Final = "the handler did not say what the request is about"
"""An error of the program: the audit record of the request names neither patient nor document."""

_MOST_VIOLATIONS: Final = 20
_LONGEST_ID: Final = 40
_MILLISECONDS: Final = 1000


class TransactionObserver:
    """Counts, times and logs every transaction; safe to use from many threads."""

    def __init__(self, metrics: Metrics | None, lines: Lines, tracer: Tracer | None = None) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._lines = lines
        self._log = logs.EventLog(__name__, EVENT)
        self._errors = logs.get_logger(__name__)

    def enter(self, access: Access) -> None:
        """Note when it began."""
        access.began = time.perf_counter()
        if self._tracer is not None:
            access.span = self._tracer.begin(access.transaction)

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Tell what became of it."""
        seconds = time.perf_counter() - access.began if access.began else None
        if self._metrics is not None:
            self._metrics.transacted(access.transaction, outcome, seconds)
        if self._tracer is not None:
            self._end_span(self._tracer, access, outcome)
        if access.details is None and outcome.is_success:
            self._errors.error(
                UNSAID, transaction=access.transaction, interaction=access.interaction
            )
        if self._lines == "all" or (self._lines == "failures" and not outcome.is_success):
            self._write(access, outcome, seconds)

    def _end_span(self, tracer: Tracer, access: Access, outcome: Outcome) -> None:
        """End the span of a transaction, which has none yet where nobody was let in."""
        if access.span is None:
            access.span = tracer.begin(access.transaction)
        told: dict[str, str | int] = {
            "xds.outcome": outcome.result.value,
            "xds.correlation": logs.current_correlation(),
            **{f"xds.{name}": count for name, count in _counts(access).items()},
        }
        tracer.end(access.span, told, failed=outcome.result is Result.ERROR)

    def _write(self, access: Access, outcome: Outcome, seconds: float | None) -> None:
        node = access.caller.node
        told: dict[str, Any] = {
            "transaction": access.transaction,
            "outcome": outcome.result.value,
            **_counts(access),
            "node": node.certificate_subject or node.address,
        }
        if seconds is not None:
            told["milliseconds"] = round(seconds * _MILLISECONDS, 3)
        if access.span is not None:
            told["trace_id"] = trace_id_of(access.span)
        if user := access.caller.user:
            told["roles"] = _codes(user.roles)
        if access.message.message_id:
            told["message_id"] = access.message.message_id[:_LONGEST_ID]
        if outcome.denied is not None:
            self._log.write("warning", {**told, **_denial(access, outcome)})
            return
        if outcome.violations:
            told["violations"] = [_told(one) for one in outcome.violations[:_MOST_VIOLATIONS]]
            told["violations_in_all"] = len(outcome.violations)
        if outcome.unauthenticated is not None:
            told["reason"] = str(outcome.unauthenticated)
        self._log.write("info", told)


def _counts(access: Access) -> dict[str, int]:
    """Return how much was submitted, asked for, given out or found, as far as it is known."""
    match access.details:
        case RetrieveDetails(requested):
            found = {"requested": len(requested)}
            if access.refused_as is None:
                found["documents"] = len([one for one in requested if one.is_released])
            return found
        case SubmissionDetails(submission, documents):
            found = {"entries": len(submission.document_entries)}
            if documents:
                found["documents"] = documents
            return found
        case QueryDetails(results=int(results)):
            return {"results": results}
    return {}


def _denial(access: Access, outcome: Outcome) -> dict[str, Any]:
    """Return the rule that decided, and what it was put to besides role and node."""
    told: dict[str, Any] = {"rule": outcome.denied.rule} if outcome.denied else {}
    if outcome.denied and not outcome.denied.rule:
        told = {"reason": str(outcome.denied)}
    if user := access.caller.user:
        told["purposes"] = _codes(user.purposes_of_use)
    return told


def _codes(codes: Iterable[Code]) -> list[str]:
    return [f"{one.code}^^{one.coding_scheme}" for one in codes]


def _told(violation: Violation) -> dict[str, str]:
    return {name: value for name, value in violation._asdict().items() if value}
