"""The header ``wsse:Security``: whose user a message is of (XUA, ITI TF-2 3.40).

(SOAP Message Security 1.1; SAML Token Profile 1.1.) One SAML 2.0 assertion counts. Of what may
stand beside it, a ``wsu:Timestamp`` is held to; a signature of the message, with what belongs to
it, is passed over, since it could only add to what TLS proves, and so is a ``UsernameToken``, which
is a word beside a proof; any other token says something else of who is there, and is refused.

The sender is told which kind of failure it is, as WS-Security has it, and the id of the log line
that has the reason.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from lxml import etree

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.cache import Cache
from xds.config import Config
from xds.database.used_once import UsedOnce
from xds.metadata import vocabulary as v
from xds.metadata.systems import Systems
from xds.security import node
from xds.security.access import Access
from xds.security.caller import Caller, User
from xds.security.interceptors import InterceptorChain
from xds.security.issuers import AssertionIssuer, Issuers
from xds.security.node import Node
from xds.security.remembered import verifications
from xds.security.requirements import Requirement, UserRequirements
from xds.soap.assertion_attributes import user_of
from xds.soap.assertions import (
    DS,
    FAILED_AUTHENTICATION,
    FAILED_CHECK,
    IDS,
    INVALID_SECURITY,
    INVALID_SECURITY_TOKEN,
    SAML,
    UNSUPPORTED_ALGORITHM,
    UNSUPPORTED_SECURITY_TOKEN,
    AssertionRefused,
    serialised,
    verify,
)
from xds.soap.conditions import Conditions, time_of
from xds.wire import envelope, faults

MESSAGE_EXPIRED: Final = "wsu:MessageExpired"

_WSSE: Final = f"{{{v.NS_WSSE}}}"
_SECURITY: Final = f"{_WSSE}Security"
_WSU: Final = f"{{{v.NS_WSU}}}"
_ASSERTION: Final = f"{SAML}Assertion"
_TIMESTAMP: Final = f"{_WSU}Timestamp"
_NOT_ALONE: Final = (f"{_WSSE}BinarySecurityToken", f"{_WSSE}UsernameToken")
_BESIDE: Final = frozenset(
    {_ASSERTION, _TIMESTAMP, *_NOT_ALONE, f"{_WSSE}SecurityTokenReference", f"{DS}Signature"}
)
_MOST_TOLD: Final = 1000
_MISSING: Final = "This transaction asks for a SAML 2.0 assertion in the header wsse:Security."
_TOLD: Final[Mapping[str, str]] = {
    INVALID_SECURITY: "The header wsse:Security does not have the form that is expected.",
    INVALID_SECURITY_TOKEN: "The assertion is not a signed one of SAML 2.0 as XUA has it.",
    UNSUPPORTED_SECURITY_TOKEN: "The one token that is taken is a SAML 2.0 assertion.",
    UNSUPPORTED_ALGORITHM: "The assertion is signed in a way that is not accepted.",
    FAILED_CHECK: "The signature of the assertion does not hold.",
    FAILED_AUTHENTICATION: "The assertion is not accepted.",
    MESSAGE_EXPIRED: "The message has expired.",
}

_log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Proven:
    """What is known of an assertion whose signature holds."""

    user: User
    conditions: Conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionTerms:
    """What assertions are accepted by."""

    issuers: Mapping[str, AssertionIssuer]
    audiences: frozenset[str]
    skew_seconds: int
    reusable: bool
    """Whether an assertion that does not say otherwise may be used for many requests."""
    systems: Systems
    """By which the code systems of roles and purposes are known."""
    refuses_unchecked: bool = False
    """Whether a mandatory header is refused, by the letter of SOAP, where no user is asked for."""


class UserAssertions:
    """Finds who is at the other end of a SOAP request; safe to use from many threads."""

    def __init__(
        self,
        requirements: UserRequirements,
        terms: AssertionTerms,
        used: UsedOnce,
        interceptors: InterceptorChain,
    ) -> None:
        self._requirements = requirements
        self._terms = terms
        self._used = used
        self._interceptors = interceptors
        self._remembered: Cache[bytes, _Proven] = verifications()
        self._unchecked: set[str] = set()
        """The addresses of nodes of which the log has that their header is not looked at."""

    @classmethod
    def open(
        cls, config: Config, domain: AffinityDomain, requirements: UserRequirements
    ) -> "UserAssertions":
        """Read who may vouch for users; BadIssuers where the file is wrong."""
        terms = AssertionTerms(
            issuers=Issuers.read(config.user_issuers).assertions,
            audiences=frozenset((config.user_audiences or "").split()),
            skew_seconds=config.clock_skew_seconds,
            reusable=config.assertion_reuse == "accept",
            systems=domain.systems,
            refuses_unchecked=config.unchecked_security == "refuse",
        )
        return cls(requirements, terms, UsedOnce(domain.database), domain.interceptors)

    def understood(self, transaction: str) -> frozenset[str]:
        """Return the namespaces of header blocks that are processed here, or may be passed over."""
        is_off = self._requirements.of_transaction(transaction) is Requirement.OFF
        refused = is_off and self._terms.refuses_unchecked
        return frozenset() if refused else frozenset({v.NS_WSSE})

    def caller(
        self, header: etree._Element | None, transaction: str, environ: Mapping[str, Any]
    ) -> Caller:
        """Return who sends a request; SoapFault where its user is not as the options want it.

        NotRecorded where a failure cannot be recorded, DatabaseUnavailable where a first use
        cannot be told from a second.
        """
        caller = Caller(node=node.of_environment(environ))
        requirement = self._requirements.of_transaction(transaction)
        if requirement is Requirement.OFF:
            self._tell_unchecked(header, caller.node.address)
            return caller
        try:
            return replace(caller, user=self._user(header, requirement, caller.node))
        except AssertionRefused as refused:
            _log.warning("no user is accepted", transaction=transaction, reason=str(refused))
            self._interceptors.unauthenticated(
                Access(transaction=transaction, caller=caller), refused
            )
            raise _fault(refused) from None

    def _tell_unchecked(self, header: etree._Element | None, address: str) -> None:
        """Log, once for each node, that the word for its users is not looked at."""
        if header is None or next(header.iterchildren(_SECURITY), None) is None:
            return
        if address not in self._unchecked and len(self._unchecked) < _MOST_TOLD:
            self._unchecked.add(address)
            _log.warning(
                "wsse:Security is not looked at, since user_assertions is off", client=address
            )

    def _user(
        self, header: etree._Element | None, requirement: Requirement, sender: Node
    ) -> User | None:
        token = _token(header, self._terms.skew_seconds)
        if token is not None:
            return self._verified(token, sender)
        if requirement is Requirement.REQUIRED:
            raise AssertionRefused(INVALID_SECURITY, "there is no assertion", _MISSING)
        return None

    def _verified(self, token: etree._Element, sender: Node) -> User:
        """Return the user of an assertion, whose conditions are asked each time."""
        data = serialised(token)
        digest = sha256(data).digest()
        found = self._remembered.get(digest)
        if found is None:
            verified = verify(data, self._terms.issuers)
            found = _Proven(user_of(verified, self._terms.systems), Conditions.of(verified.signed))
            self._remembered.put(digest, found)
        now = time.time()
        terms = self._terms
        found.conditions.check(sender, terms.audiences, now, terms.skew_seconds)
        self._check_first_use(found, now)
        return found.user

    def _check_first_use(self, found: _Proven, now: float) -> None:
        """Refuse a second use where there may be one only, in whatever process."""
        if self._terms.reusable and not found.conditions.is_for_one_use:
            return
        named = f"{found.user.issuer} {found.user.assertion_id}"
        until = int(found.conditions.end) + self._terms.skew_seconds + 1
        if not self._used.is_first(sha256(named.encode()).hexdigest(), until, int(now)):
            raise AssertionRefused(FAILED_AUTHENTICATION, "the assertion has been used before")


def _fault(refused: AssertionRefused) -> faults.SoapFault:
    told = refused.told or _TOLD[refused.subcode]
    where = f"The server's log has the reason under {logs.current_correlation()}."
    return faults.sender(f"{told} {where}", refused.subcode)


# --- the header ----------------------------------------------------------------------------------


def _token(header: etree._Element | None, skew: int) -> etree._Element | None:
    """Return the assertion of a message, if there is one; AssertionRefused for what is amiss."""
    block = _security(header)
    if block is None:
        return None
    if any(one.tag not in _BESIDE for one in block):
        raise AssertionRefused(UNSUPPORTED_SECURITY_TOKEN, "there is another token")
    _check_timestamp(block, skew)
    assertions = block.findall(_ASSERTION)
    if len(assertions) > 1:
        raise AssertionRefused(INVALID_SECURITY, "there is more than one assertion")
    if not assertions:
        for name in _NOT_ALONE:
            if block.find(name) is not None:
                told = f"there is a {etree.QName(name).localname} alone"
                raise AssertionRefused(UNSUPPORTED_SECURITY_TOKEN, told)
        return None
    token = assertions[0]
    if token.get("ID") in _identifiers_beside(token):
        raise AssertionRefused(INVALID_SECURITY, "the ID of the assertion stands there twice")
    return token


def _security(header: etree._Element | None) -> etree._Element | None:
    blocks = header.findall(_SECURITY) if header is not None else []
    ours = [block for block in blocks if envelope.is_for_us(block)]
    if len(ours) > 1:
        raise AssertionRefused(INVALID_SECURITY, "there is more than one header wsse:Security")
    return ours[0] if ours else None


def _check_timestamp(block: etree._Element, skew: int) -> None:
    """Hold to the end that a sender has set its message (SOAP Message Security 1.1, 10)."""
    for expires in block.iterfind(f"{_TIMESTAMP}/{_WSU}Expires"):
        end = time_of(expires.text)
        if end is not None and time.time() >= end + skew:
            raise AssertionRefused(MESSAGE_EXPIRED, "its wsu:Timestamp has expired")


def _identifiers_beside(token: etree._Element) -> Iterator[str]:
    """Yield the ids in a message's header outside of the assertion."""
    block = token.getparent()
    around = [one for one in block.getparent() if one is not block]
    within = [one for one in block if one is not token]
    for parent in (*around, *within):
        for one in parent.iter(etree.Element):
            yield from (one.get(name) for name in IDS if one.get(name) is not None)
