"""The header ``Authorization``: whose user a request is of (IUA, ITI-72; RFC 6750).

What a client is told never depends on which part of a token is wrong; the log has the reason.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, NoReturn

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.database import DatabaseUnavailable, UsedOnce
from xds.fhir.key_sets import KeySet
from xds.fhir.outcome import Issue, Refused
from xds.fhir.tokens import TokenRefused, VerifiedToken, verify
from xds.security import node
from xds.security.access import Access, AccessDenied
from xds.security.caller import Caller, User
from xds.security.gates import Gates
from xds.security.issuers import Issuers
from xds.security.remembered import Remembered
from xds.security.requirements import Requirement, UserRequirements

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
_CHALLENGE: Final = 'Bearer realm="xds"'

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What tokens are accepted by."""

    key_sets: Mapping[str, KeySet]
    audiences: frozenset[str]
    skew_seconds: int
    needs_scope: bool
    """Whether the name of the transaction must be among the scopes."""
    reusable: bool
    """Whether a token may be used for many requests."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """Finds who is at the other end of a FHIR request; safe to use from many threads."""

    requirements: UserRequirements
    terms: Terms
    used: UsedOnce
    gates: Gates
    _remembered: Remembered[VerifiedToken] = field(default_factory=Remembered)

    @classmethod
    def open(
        cls, config: Config, domain: AffinityDomain, requirements: UserRequirements
    ) -> "Authorization":
        """Read who may vouch for users; BadIssuers where the file is wrong."""
        issuers = Issuers.read(config.user_issuers).tokens
        terms = Terms(
            key_sets={name: KeySet(issuer) for name, issuer in issuers.items()},
            audiences=frozenset((config.user_audiences or "").split()),
            skew_seconds=config.clock_skew_seconds,
            needs_scope=config.token_scopes == "require",
            reusable=config.assertion_reuse == "accept",
        )
        return cls(requirements, terms, UsedOnce(domain.database), domain.gates)

    def access(self, environ: Mapping[str, Any], transaction: str) -> Access:
        """Return the access of who sends a request; Refused where its user is not as wanted.

        NotRecorded where a failure cannot be recorded, DatabaseUnavailable where a first use
        cannot be told from a second. Every gate knows of any of these.
        """
        caller = Caller(node=node.of_environment(environ))
        try:
            caller = self._caller(caller, environ, transaction)
        except DatabaseUnavailable as error:
            self.gates.turned_away(Access(transaction=transaction, caller=caller), error)
            raise
        return Access(transaction=transaction, caller=caller)

    def _caller(self, caller: Caller, environ: Mapping[str, Any], transaction: str) -> Caller:
        requirement = self.requirements.of_transaction(transaction)
        if requirement is Requirement.OFF:
            return caller
        stated = (environ.get("HTTP_AUTHORIZATION") or "").strip()
        if not stated and requirement is Requirement.OPTIONAL:
            return caller
        try:
            user = self._user(stated)
        except TokenRefused as refused:
            _log.warning("no user is accepted", transaction=transaction, reason=str(refused))
            self.gates.refused(Access(transaction=transaction, caller=caller), refused)
            _unauthorized(transaction, is_missing=not stated)
        access = Access(transaction=transaction, caller=replace(caller, user=user))
        self._check_scopes(user, access)
        return access.caller

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
            found = verify(token, terms.key_sets, terms.audiences, terms.skew_seconds)
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

    def _check_scopes(self, user: User, access: Access) -> None:
        """Raise Refused where a scope is missing: the literal name of each transaction (IUA)."""
        names = access.transaction.split(", ")
        if self.terms.needs_scope and not user.scopes.issuperset(names):
            scopes = " ".join(names)
            self.gates.denied(access, AccessDenied(f"the token has not the scope {scopes}"))
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scopes}"'
            issue = Issue(code="forbidden", diagnostics=f"the token is to have the scope {scopes}")
            raise Refused(403, [issue], {"WWW-Authenticate": challenge})


def _unauthorized(transaction: str, *, is_missing: bool) -> NoReturn:
    """Refuse with 401; without any token, a client is told what it needs (RFC 6750, 3.1)."""
    scopes = transaction.replace(", ", " ")
    if is_missing:
        issue = Issue(code="login", diagnostics="this asks for a bearer token (IHE IUA, ITI-72)")
        raise Refused(401, [issue], {"WWW-Authenticate": f'{_CHALLENGE}, scope="{scopes}"'})
    issue = Issue(code="security", diagnostics="the token is not accepted")
    challenge = f'{_CHALLENGE}, error="invalid_token"'
    raise Refused(401, [issue], {"WWW-Authenticate": challenge})
