"""The interceptor of authorisation: the one place where a policy is put to every request."""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final

from xds.metadata.criteria import NOTHING, Criterion, all_of, evaluate, of_patient
from xds.metadata.submission import Submission
from xds.security.access import Access
from xds.security.caller import Caller
from xds.security.errors import AccessDenied
from xds.security.interceptors import Outcome
from xds.security.policy import DENIED, NO_RULE, AccessPolicy, Grant

_KEPT: Final = 4_096
"""Decisions that are kept: a policy decides the same of the same caller each time."""


class PolicyInterceptor:
    """Lets in what the policy permits, limits what is visible, and looks at what is submitted."""

    def __init__(self, policy: AccessPolicy) -> None:
        self.policy = policy
        self._grant = lru_cache(_KEPT)(policy.grant)

    def enter(self, access: Access) -> None:
        """Decide before anything is read; AccessDenied where no rule permits the transaction."""
        grant = self._grant(access.transaction, access.caller)
        access.permitted_by = grant.permitted_by
        access.break_glass = grant.break_glass
        access.visible = all_of([access.visible, grant.visible])
        access.checks.append(partial(_check_submission, grant=grant))

    def visible_to(self, transaction: str, caller: Caller) -> Criterion:
        """Return what a caller could know of by a transaction: nothing where it is denied."""
        try:
            return self._grant(transaction, caller).visible
        except AccessDenied:
            return NOTHING

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Do nothing: what has become of the request is for the record."""


def _check_submission(access: Access, submission: Submission, grant: Grant) -> None:
    """Admit only what the caller could also see: the same rules cover reading and writing."""
    for broken in _broken(submission, access, grant):
        raise AccessDenied(DENIED, rule=broken)


def _broken(submission: Submission, access: Access, grant: Grant) -> Iterator[str]:
    """Yield the rule that stands against each object of a submission."""
    for entry in submission.document_entries:
        if not evaluate(access.visible, entry):
            denials = (name for name, criterion in grant.denials if evaluate(criterion, entry))
            yield next(denials, NO_RULE)
    of_patients = of_patient(access.visible)
    for package in (*submission.submission_sets, *submission.folders):
        if not evaluate(of_patients, package):
            yield NO_RULE
