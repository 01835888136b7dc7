"""OperationOutcome: what fails says why, and where in the request (MHD ITI-65 2:3.65.4.2).

No table maps XDS errors to FHIR (MHD open issue 65). Here each RegistryError becomes an issue
whose ``details`` have the XDS code both as coding and as text, and whose ``diagnostics`` have the
code context, so that clients of every known gateway find it where they look.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, NamedTuple

from xds.errors import (
    WARNING_SEVERITY,
    Explanation,
    FailureKind,
    RegistryError,
    RequestRefused,
    TransactionFailure,
    Violation,
)
from xds.fhir.r4.characters import legible
from xds.fhir.r4.elements import is_name
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import OWN_ERROR_CODES

_STEP: Final = re.compile(r"([A-Za-z]+?)((?:[A-Z][A-Za-z0-9]*)?)(?:\[[0-9]+\])?")
"""An element, perhaps a choice of types with the name of one."""
_HTTP: Final = "http."


def _known(place: str, *, is_parameter: bool) -> str:
    """Return a place as far as its names are FHIR's, or those of a parameter that there is."""
    if place.startswith(_HTTP):
        return place if is_parameter else _HTTP.rstrip(".")
    steps = takewhile(_is_known, place.split("."))
    return ".".join(steps)


def _is_known(step: str) -> bool:
    bare = step.partition("[")[0]
    if is_name(bare):
        return True
    found = _STEP.fullmatch(step)
    if found is None or not found[2]:
        return False
    kind = found[2]
    return is_name(found[1]) and (is_name(kind) or is_name(kind[0].lower() + kind[1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue of an OperationOutcome."""

    code: str
    """Of the value set IssueType: ``invalid``, ``required``, ``not-found`` and so on."""
    diagnostics: str
    """What is wrong, for the engineer who reads it; never a patient's data."""
    expression: tuple[str, ...] = ()
    """FHIRPath of the elements that are wrong, such as ``Bundle.entry[1].resource.subject``."""
    severity: str = "error"
    error_code: str = ""
    """The XDS error code, where there is one."""
    attribute: str = ""
    """The attribute of XDS metadata that is wrong, for the log."""
    rule: str = ""
    """The rule that is broken, for the log."""
    value: str = ""
    """The code that is wrong, where it is one: ``code^^codingScheme``."""

    @property
    def violation(self) -> Violation:
        """What of it may be logged: of a place the names that are not the client's own."""
        place = self.attribute or next(iter(self.expression), "")
        if not self.attribute:
            place = _known(place, is_parameter=self.code != "not-supported")
        return Violation(self.error_code or self.code, place, self.rule)

    @property
    def explanation(self) -> Explanation:
        """What its sender is told of it."""
        place = ", ".join(self.expression)
        return Explanation(self.violation, self.diagnostics, place, self.value)

    def render(self) -> Resource:
        """Return the element ``OperationOutcome.issue``."""
        found: Resource = {"severity": self.severity, "code": self.code}
        if self.error_code:
            coding = {"system": OWN_ERROR_CODES, "code": self.error_code}
            found["details"] = {"coding": [coding], "text": self.error_code}
        # they may quote a name that the client sent, in whatever characters
        found["diagnostics"] = legible(self.diagnostics)
        if self.expression:
            found["expression"] = [legible(one) for one in self.expression]
        return found


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """Return an OperationOutcome; with no issue at all it says that all is well."""
    rendered = [issue.render() for issue in issues]
    if not rendered:
        rendered = [{"severity": "information", "code": "informational", "diagnostics": "all ok"}]
    return {"resourceType": "OperationOutcome", "issue": rendered}


_KINDS: Final[Mapping[int, FailureKind]] = {
    401: FailureKind.DENIED,
    403: FailureKind.DENIED,
    408: FailureKind.SLOW,
    503: FailureKind.UNAVAILABLE,
    507: FailureKind.FULL,
}
"""By the status of an answer; others are by its first digit."""


class Refused(RequestRefused):
    """The request fails as a whole, and nothing of it was stored.

    The text has no diagnostics, which may name a patient, since exceptions end up in logs.
    """

    def __init__(
        self, status: int, issues: Sequence[Issue], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, [issue.error_code or issue.code for issue in issues])
        self.status = status
        self.issues = tuple(issues)
        self.headers = dict(headers or {})

    @classmethod
    def because(
        cls, status: int, code: str, diagnostics: str, *expression: str, error_code: str = ""
    ) -> "Refused":
        """Refuse for one reason."""
        issue = Issue(
            code=code, diagnostics=diagnostics, expression=expression, error_code=error_code
        )
        return cls(status, [issue])

    @property
    def failure_kind(self) -> FailureKind:  # type: ignore[override]
        """Whose fault it is."""
        usual = FailureKind.REFUSED if self.status < 500 else FailureKind.INTERNAL
        return _KINDS.get(self.status, usual)

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(issue.violation for issue in self.issues if issue.severity != "warning")

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What is wrong, as who asked is told."""
        return tuple(issue.explanation for issue in self.issues if issue.severity != "warning")

    def again(self) -> "Refused":
        """Return the same, as it was before it was raised."""
        return Refused(self.status, self.issues, self.headers)

    def at(self, expression: str) -> "Refused":
        """Return the same, its issues without a place pointing at this one."""
        issues = [replace(one, expression=one.expression or (expression,)) for one in self.issues]
        return Refused(self.status, issues, self.headers)


class ErrorMapping(NamedTuple):
    """How one XDS error is told."""

    status: int
    code: str


_OF_REQUEST: Final = ErrorMapping(400, "invalid")
_OF_SERVER: Final = ErrorMapping(500, "exception")
_MAPPED: Final[Mapping[str, ErrorMapping]] = {
    "XDSMissingDocument": ErrorMapping(400, "required"),
    "XDSMissingDocumentMetadata": ErrorMapping(400, "required"),
    "XDSUnknownPatientId": ErrorMapping(400, "not-found"),
    "XDSPatientIdDoesNotMatch": ErrorMapping(400, "invariant"),
    "XDSDuplicateUniqueIdInRegistry": ErrorMapping(409, "duplicate"),
    "XDSRegistryDuplicateUniqueIdInMessage": ErrorMapping(400, "duplicate"),
    "XDSRepositoryDuplicateUniqueIdInMessage": ErrorMapping(400, "duplicate"),
    "XDSNonIdenticalHash": ErrorMapping(409, "conflict"),
    "XDSNonIdenticalSize": ErrorMapping(409, "conflict"),
    "XDSRegistryDeprecatedDocumentError": ErrorMapping(422, "business-rule"),
    "UnresolvedReferenceException": ErrorMapping(422, "not-found"),
    "XDSUnknownStoredQuery": ErrorMapping(400, "not-supported"),
    "XDSStoredQueryMissingParam": ErrorMapping(400, "required"),
    "XDSTooManyResults": ErrorMapping(400, "too-costly"),
    "XDSResultNotSinglePatient": ErrorMapping(400, "business-rule"),
    "XDSUnknownRepositoryId": ErrorMapping(404, "not-found"),
    "XDSDocumentUniqueIdError": ErrorMapping(404, "not-found"),
    "XDSUnknownCommunity": ErrorMapping(400, "not-found"),
    "XDSUnavailableCommunity": ErrorMapping(503, "transient"),
    "XDSRegistryNotAvailable": ErrorMapping(503, "transient"),
    "XDSMissingHomeCommunityId": ErrorMapping(400, "required"),
    "XDSRegistryBusy": ErrorMapping(503, "throttled"),
    "XDSRepositoryBusy": ErrorMapping(503, "throttled"),
    "XDSRegistryOutOfResources": ErrorMapping(507, "no-store"),
    "XDSRepositoryOutOfResources": ErrorMapping(507, "no-store"),
    "XDSRegistryError": _OF_SERVER,
    "XDSRepositoryError": _OF_SERVER,
    "XDSMetadataVersionError": ErrorMapping(409, "processing"),
    "XDSMetadataUpdateError": ErrorMapping(422, "business-rule"),
    "XDSMetadataUpdateOperationError": ErrorMapping(422, "business-rule"),
    "XDSMetadataIdentifierError": ErrorMapping(422, "processing"),
    "UnmodifiableMetadataError": ErrorMapping(422, "processing"),
    "XDSPatientIDReconciliationError": ErrorMapping(422, "processing"),
    "LocalPolicyRestrictionError": ErrorMapping(422, "business-rule"),
    "ReferencesExistException": ErrorMapping(409, "conflict"),
    "XDSUnreferencedObjectException": ErrorMapping(409, "conflict"),
    "XDSRemoveDocumentsError": ErrorMapping(409, "conflict"),
}
"""By error code (ITI TF-3 4.2.4.1); any other is the request's fault."""

RETRY_AFTER_SECONDS: Final = 5


_CONFLICT: Final[Mapping[str, ErrorMapping]] = {"document_version": ErrorMapping(409, "conflict")}
"""By the rule that was broken, where it says more than the error code."""


def mapped(error: RegistryError) -> ErrorMapping:
    """Return how an error is told."""
    return _CONFLICT.get(error.rule) or _MAPPED.get(error.code, _OF_REQUEST)


_OF_RULE: Final[Mapping[str, str]] = {
    "required": "required",
    "codes_of_the_domain": "code-invalid",
    "mime_types_of_the_domain": "code-invalid",
}
"""The code of an issue by the rule that was broken, where it says more than the error code."""

Where = Callable[[RegistryError], str]
"""Tells the FHIRPath of what an error is about, empty where it is not known."""


def _nowhere(_: RegistryError) -> str:
    return ""


def issue_of(error: RegistryError, where: Where = _nowhere) -> Issue:
    """Tell one RegistryError."""
    warning = error.severity == WARNING_SEVERITY
    path = where(error)
    return Issue(
        code="incomplete" if warning else _OF_RULE.get(error.rule, mapped(error).code),
        diagnostics=error.code_context,
        expression=(path,) if path else (),
        severity="warning" if warning else "error",
        error_code=error.code,
        attribute=error.attribute,
        rule=error.rule,
        value=error.value,
    )


def refusal(failure: TransactionFailure, where: Where = _nowhere) -> Refused:
    """Turn the errors of a refused transaction into the answer's: one issue each.

    The status is that of the first error that is not the request's fault, else of the first.
    """
    told = [mapped(error) for error in failure.errors if error.severity != WARNING_SEVERITY]
    status = next((one.status for one in told if one.status >= 500), told[0].status)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    return Refused(status, [issue_of(error, where) for error in failure.errors], headers)
