"""The header ``Authorization``: whose user a request is of (IUA, ITI-72; RFC 6750).

A client is told what is wrong with a token only where an issuer has signed it; the log has the
reason in any case.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, Final

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.cache import Cache
from xds.config import Config
from xds.database.errors import DatabaseUnavailable
from xds.database.used_once import UsedOnce
from xds.fhir.r4.outcome import Issue, Refused
from xds.metadata.criteria import ANYTHING, Comparison, Operator, evaluate
from xds.metadata.datatypes import CX
from xds.metadata.objects import MetadataObject
from xds.metadata.submission import Submission
from xds.metadata.systems import Systems
from xds.registry.registry import DocumentRegistry
from xds.security import node
from xds.security.access import Access, Describe
from xds.security.caller import Caller, User, resource_id
from xds.security.errors import AccessDenied
from xds.security.interceptors import InterceptorChain
from xds.security.issuers import Issuers
from xds.security.key_sets import KeySet
from xds.security.remembered import verifications
from xds.security.requirements import Requirement, UserRequirements
from xds.security.scopes import Permission, as_scopes, grant
from xds.security.tokens import TokenRefused, VerifiedToken, verify

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
_IS_BEARER: Final = re.compile(r"bearer(?: |$)", re.IGNORECASE)
_PATIENT: Final = re.compile(r"(?:Patient/)?([1-9][0-9]{0,17})")
"""The id of a Patient of this server, its number in the registry."""
_CHALLENGE: Final = 'Bearer realm="xds"'
_NO_PATIENT: Final = "the token has patient/ scopes and names no patient that is known here"

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTerms:
    """What tokens are accepted by."""

    key_sets: Mapping[str, KeySet]
    audiences: frozenset[str]
    skew_seconds: int
    needs_scope: bool
    """Whether the scopes must grant the interaction."""
    reusable: bool
    """Whether a token may be used for many requests."""
    systems: Systems
    """By which the code systems of roles and purposes are known."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """Finds who is at the other end of a FHIR request; safe to use from many threads."""

    requirements: UserRequirements
    terms: TokenTerms
    used: UsedOnce
    interceptors: InterceptorChain
    patients: Callable[[Sequence[int]], Sequence[str]]
    """Returns the patient ids (CX) of Patients of this server, by their numbers."""
    _remembered: Cache[bytes, VerifiedToken] = field(default_factory=verifications)

    @classmethod
    def open(
        cls, config: Config, domain: AffinityDomain, requirements: UserRequirements
    ) -> "Authorization":
        """Read who may vouch for users; BadIssuers where the file is wrong."""
        issuers = Issuers.read(config.user_issuers).tokens
        terms = TokenTerms(
            key_sets={name: KeySet(issuer) for name, issuer in issuers.items()},
            audiences=frozenset((config.user_audiences or "").split()),
            skew_seconds=config.clock_skew_seconds,
            needs_scope=config.token_scopes == "require",
            reusable=config.assertion_reuse == "accept",
            systems=domain.systems,
        )
        return cls(
            requirements,
            terms,
            UsedOnce(domain.database),
            domain.interceptors,
            partial(_by_number, domain.registry),
        )

    def access(
        self,
        environ: Mapping[str, Any],
        transaction: str,
        needed: frozenset[Permission],
        describe: Describe | None = None,
    ) -> Access:
        """Return the access of a request, limited to what the scopes of its token grant.

        ``needed`` is what the interaction needs of SMART's scopes; ``describe`` notes what the
        request is about, for the record of one that is denied. Refused where the user is not as
        the options want it. NotRecorded where a failure cannot be recorded, DatabaseUnavailable
        where a first use cannot be told from a second. Every interceptor knows of any of these.
        """
        caller = Caller(node=node.of_environment(environ))
        access = Access(transaction=transaction, caller=caller, describe=describe)
        try:
            self._identify(environ, access, needed)
        except DatabaseUnavailable as error:
            self.interceptors.unreadable(access, error)
            raise
        return access

    def may_be_known(self, environ: Mapping[str, Any], transactions: Iterable[str]) -> bool:
        """Tell whether a request may be from whom one of some transactions asks for.

        It is asked before it is known which of them a request is: no token is used up by it, and
        nothing decided.
        """
        least = min(self.requirements.of_transaction(one) for one in transactions)
        stated = (environ.get("HTTP_AUTHORIZATION") or "").strip()
        if least is Requirement.OFF or not stated:
            return least is not Requirement.REQUIRED
        found = _BEARER.fullmatch(stated)
        try:
            return found is not None and bool(self._verified(found[1]))
        except TokenRefused:
            return False

    def _identify(
        self, environ: Mapping[str, Any], access: Access, needed: frozenset[Permission]
    ) -> None:
        requirement = self.requirements.of_transaction(access.transaction)
        stated = (environ.get("HTTP_AUTHORIZATION") or "").strip()
        if requirement is Requirement.OFF or not (stated or requirement is Requirement.REQUIRED):
            return
        try:
            user = self._user(stated)
        except TokenRefused as refused:
            reason = str(refused)
            _log.warning("no user is accepted", transaction=access.transaction, reason=reason)
            self.interceptors.unauthenticated(access, refused)
            raise _unauthorized(access.transaction, stated, refused) from None
        access.caller = replace(access.caller, user=user)
        self._limit(user, access, needed)

    def _user(self, stated: str) -> User:
        """Return the user of a token, whose times are asked each time."""
        if not stated:
            raise TokenRefused("there is no token")
        found = _BEARER.fullmatch(stated)
        if found is None:
            raise TokenRefused("the header is not one of a bearer token")
        verified = self._verified(found[1])
        now = time.time()
        verified.check(now, self.terms.skew_seconds)
        self._check_first_use(verified, now)
        return verified.user

    def _verified(self, token: str) -> VerifiedToken:
        digest = sha256(token.encode()).digest()
        found = self._remembered.get(digest)
        if found is None:
            terms = self.terms
            found = verify(
                token, terms.key_sets, terms.audiences, terms.skew_seconds, terms.systems
            )
            self._remembered.put(digest, found)
        return found

    def _check_first_use(self, verified: VerifiedToken, now: float) -> None:
        """Refuse a second use where there may be one only, in whatever process."""
        if self.terms.reusable:
            return
        user = verified.user
        if not user.assertion_id:
            raise TokenRefused("a token for one use has no jti")
        named = f"token {user.issuer} {user.assertion_id}"
        until = int(verified.expires) + self.terms.skew_seconds + 1
        if not self.used.is_first(sha256(named.encode()).hexdigest(), until, int(now)):
            raise TokenRefused("the token has been used before")

    def _limit(self, user: User, access: Access, needed: frozenset[Permission]) -> None:
        """Raise Refused where no scope grants it; limit it to a patient where only such do."""
        if not self.terms.needs_scope:
            return
        found = grant(user.scopes, access.transaction, needed)
        if not found.granted:
            raise self._insufficient(access, needed)
        if found.of_patient:
            patient_ids = self._patient_ids(user)
            if not patient_ids:
                raise self._insufficient(access, needed, _NO_PATIENT)
            access.visible = Comparison("patient_id", Operator.EQUAL, patient_ids)
            access.checks.append(_check_patient)

    def _insufficient(
        self, access: Access, needed: frozenset[Permission], reason: str = ""
    ) -> Refused:
        scopes = access.transaction.replace(", ", " ")
        smart = " ".join(as_scopes(needed))
        told = reason or f"the token is to have the scope {scopes}, or of SMART {smart}"
        denial = AccessDenied(reason or f"the token has not the scope {scopes}")
        self.interceptors.unauthorized(access, denial)
        described = f'error="insufficient_scope", scope="{scopes}", error_description="{told}"'
        issue = Issue(code="forbidden", diagnostics=told)
        return Refused(403, [issue], {"WWW-Authenticate": f"{_CHALLENGE}, {described}"})

    def _patient_ids(self, user: User) -> tuple[str, ...]:
        """Return the patient ids (CX) that a token names, maybe by Patients of this server."""
        found = [text for text in map(resource_id, user.patients) if _is_cx(text)]
        matches = map(_PATIENT.fullmatch, user.patients)
        numbers = [int(match[1]) for match in matches if match]
        return (*found, *(self.patients(numbers) if numbers else ()))


def _by_number(registry: DocumentRegistry, numbers: Sequence[int]) -> Sequence[str]:
    with registry.view(ANYTHING) as view:
        return [one.patient_id for one in view.patients_by_number(numbers)]


def _is_cx(text: str) -> bool:
    try:
        CX.parse(text)
    except ValueError:
        return False
    return True


def _check_patient(access: Access, submission: Submission) -> None:
    """Refuse a submission that is about another patient than the token."""
    for one in _submitted(submission):
        if not evaluate(access.visible, one):
            raise AccessDenied("the scopes of the token are for another patient")


def _submitted(submission: Submission) -> Iterator[MetadataObject]:
    yield from submission.document_entries
    yield from submission.submission_sets
    yield from submission.folders


def _unauthorized(transaction: str, stated: str, refused: TokenRefused) -> Refused:
    """Return a 401; without any bearer token, a client is told what it needs (RFC 6750, 3.1)."""
    if not _IS_BEARER.match(stated):
        told = "this asks for a bearer token (IHE IUA, ITI-72)"
        if stated:
            told = f"{told}, and the header Authorization has another scheme"
        issue = Issue(code="login", diagnostics=told)
        scopes = transaction.replace(", ", " ")
        return Refused(401, [issue], {"WWW-Authenticate": f'{_CHALLENGE}, scope="{scopes}"'})
    issue = Issue(code="security", diagnostics=refused.told)
    described = f'error="invalid_token", error_description="{refused.told}"'
    return Refused(401, [issue], {"WWW-Authenticate": f"{_CHALLENGE}, {described}"})
