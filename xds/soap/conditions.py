"""What an assertion makes its use depend on (SAML 2.0 core, 2.4, 2.5; ITI TF-2 3.40.4.1.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from lxml import etree

from xds.security.node import Node
from xds.soap.assertions import (
    FAILED_AUTHENTICATION,
    INVALID_SECURITY_TOKEN,
    SAML,
    AssertionRefused,
    certificates_in,
)

BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY: Final = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"

_AUDIENCE_RESTRICTION: Final = f"{SAML}AudienceRestriction"
_ONE_TIME_USE: Final = f"{SAML}OneTimeUse"
_NO_CERTIFICATE: Final = (
    "the certificate that a holder of key has shown is not known, since TLS that ends in this "
    "server does not tell it: have a proxy end TLS and pass it on, and name that proxy in "
    "trusted_proxies"
)
_UNDERSTOOD: Final = frozenset({_AUDIENCE_RESTRICTION, _ONE_TIME_USE, f"{SAML}ProxyRestriction"})


@dataclass(frozen=True, slots=True)
class ValidityPeriod:
    """A span of time in seconds of the epoch, open where nothing is stated."""

    not_before: float | None
    not_on_or_after: float | None

    @classmethod
    def stated(cls, element: etree._Element, end: str = "NotOnOrAfter") -> Self:
        """Read the attributes NotBefore and NotOnOrAfter."""
        return cls(time_of(element.get("NotBefore")), time_of(element.get(end)))

    def includes(self, now: float, skew: int) -> bool:
        """Whether it includes a time, with clocks ``skew`` seconds apart at most."""
        begun = self.not_before is None or now >= self.not_before - skew
        return begun and (self.not_on_or_after is None or now < self.not_on_or_after + skew)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the sender is to be recognised as one who may use the assertion."""

    method: str
    span: ValidityPeriod
    recipient: str
    certificates: Sequence[bytes]
    """Of a holder of key, DER."""

    def violation(self, node: Node, audiences: frozenset[str], now: float, skew: int) -> str | None:
        """Return why it does not hold for the sender of a request; nothing where it does."""
        if not self.span.includes(now, skew):
            return "it has expired, or is not valid yet"
        if self.recipient and self.recipient not in audiences:
            return "its Recipient is not in user_audiences"
        if self.method == HOLDER_OF_KEY:
            return self._violation_of_holder(node)
        return None if self.method == BEARER else "its Method is neither bearer nor holder-of-key"

    def _violation_of_holder(self, node: Node) -> str | None:
        if node.certificate is None:
            return _NO_CERTIFICATE
        known = node.certificate in self.certificates
        return None if known else "the client's certificate is not that of the holder of key"


@dataclass(frozen=True, slots=True)
class Conditions:
    """All of them; they are asked at each use."""

    spans: Sequence[ValidityPeriod]
    audiences: Sequence[frozenset[str]]
    """Of each restriction: one of them has to be meant."""
    confirmations: Sequence[Confirmation]
    """One of them has to hold."""
    is_for_one_use: bool

    @classmethod
    def of(cls, assertion: etree._Element) -> Self:
        """Read the conditions; AssertionRefused where those that XUA demands are not there."""
        stated = assertion.findall(f"{SAML}Conditions")
        if len(stated) != 1:
            raise AssertionRefused(INVALID_SECURITY_TOKEN, "there is not one element Conditions")
        if any(one.tag not in _UNDERSTOOD for one in stated[0]):
            raise AssertionRefused(FAILED_AUTHENTICATION, "a condition is not understood")
        span = ValidityPeriod.stated(stated[0])
        if span.not_before is None or span.not_on_or_after is None:
            raise AssertionRefused(INVALID_SECURITY_TOKEN, "the conditions lack a time")
        sessions = assertion.iterfind(f"{SAML}AuthnStatement")
        return cls(
            (span, *(ValidityPeriod.stated(one, "SessionNotOnOrAfter") for one in sessions)),
            [_audiences(one) for one in stated[0].iterfind(_AUDIENCE_RESTRICTION)],
            list(_confirmations(assertion)),
            stated[0].find(_ONE_TIME_USE) is not None,
        )

    @property
    def end(self) -> float:
        """The time at which it ends, in seconds of the epoch."""
        return min(one.not_on_or_after for one in self.spans if one.not_on_or_after is not None)

    def check(self, node: Node, audiences: frozenset[str], now: float, skew: int) -> None:
        """Raise AssertionRefused where they do not hold for a request."""
        if not all(span.includes(now, skew) for span in self.spans):
            raise AssertionRefused(
                FAILED_AUTHENTICATION, "the assertion has expired, or is not valid yet"
            )
        if not self.audiences or any(one.isdisjoint(audiences) for one in self.audiences):
            raise AssertionRefused(FAILED_AUTHENTICATION, "the audience is not in user_audiences")
        violations = [one.violation(node, audiences, now, skew) for one in self.confirmations]
        if None not in violations:
            reasons = "; ".join(dict.fromkeys(filter(None, violations))) or "there is none"
            raise AssertionRefused(
                FAILED_AUTHENTICATION, f"no confirmation of the subject holds: {reasons}"
            )


def _audiences(restriction: etree._Element) -> frozenset[str]:
    return frozenset((one.text or "").strip() for one in restriction.iterfind(f"{SAML}Audience"))


def _confirmations(assertion: etree._Element) -> Iterator[Confirmation]:
    for one in assertion.iterfind(f"{SAML}Subject/{SAML}SubjectConfirmation"):
        data = one.find(f"{SAML}SubjectConfirmationData")
        if data is None:
            yield Confirmation(one.get("Method") or "", ValidityPeriod(None, None), "", ())
            continue
        yield Confirmation(
            one.get("Method") or "",
            ValidityPeriod.stated(data),
            data.get("Recipient") or "",
            certificates_in(data),
        )


def time_of(text: str | None) -> float | None:
    """Read an xs:dateTime, in seconds of the epoch; without a time zone it is UTC (core, 1.3.3)."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "a time cannot be read") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
