"""Who may do what with which documents: the rules of a policy, and what they come to for a caller.

A permit and a deny are read to the safe side. A permit covers a DocumentEntry where all its codes
of an attribute are among those that the rule lists, and there is one; a deny where any of them is.
What a deny covers stays denied, whatever permits it and in whatever order the rules stand, and what
no permit covers is denied as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.metadata.catalogue import TransactionKind, names_of
from xds.metadata.criteria import (
    ANYTHING,
    Comparison,
    Criterion,
    Operator,
    all_of,
    any_of,
    negated,
)
from xds.metadata.objects import Code
from xds.security.caller import Caller, User
from xds.security.errors import AccessDenied

READS: Final = names_of(TransactionKind.QUERY, TransactionKind.RETRIEVE)
SUBMISSIONS: Final = names_of(TransactionKind.SUBMIT)
UPDATES: Final = names_of(TransactionKind.UPDATE)
REMOVALS: Final = names_of(TransactionKind.REMOVE)
SUBSCRIPTIONS: Final = names_of(TransactionKind.SUBSCRIBE)
FEEDS: Final = names_of(TransactionKind.FEED)
"""These are about patients, and about no document that a rule could tell from another."""
TRANSACTIONS: Final = (*READS, *SUBMISSIONS, *UPDATES, *REMOVALS, *SUBSCRIPTIONS, *FEEDS)
"""What a rule can name."""

DENIED: Final = "the policy of this server does not permit this"
"""All that a caller is told."""
NO_RULE: Final = "no rule permits it"
"""Stands for the name of a rule where none permits."""
_OID_URN: Final = "urn:oid:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One rule; what is empty or None is not asked for, and all the rest has to hold."""

    name: str
    permits: bool
    transactions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    """``code^^codingScheme``, of which the user has one; the scheme is canonical, as the user's."""
    organizations: frozenset[str] = frozenset()
    """Ids of organisations, of which the user's is one."""
    purposes: frozenset[str] = frozenset()
    """``code^^codingScheme``, of which one is the user's PurposeOfUse."""
    scopes: frozenset[str] = frozenset()
    """Scopes of which the user's token has one."""
    nodes: frozenset[str] = frozenset()
    """Subjects of certificates, of which the node's is one."""
    authenticated: bool | None = None
    """Whether an assertion or a token has to vouch for a user, or must not."""
    own_patient: bool = False
    """Whether it is about the patients alone whom the assertion is about (resource-id)."""
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What DocumentEntries it is about: ``code^^codingScheme`` by the attribute's Python name."""
    break_glass: bool = False
    """Whether what it permits is recorded as an emergency access."""

    @property
    def is_general(self) -> bool:
        """Whether it is about every document alike."""
        return not (self.own_patient or self.codes)

    @property
    def needs_user(self) -> bool:
        """Whether it can only be about someone whom an assertion or a token vouches for."""
        asked = (self.roles, self.organizations, self.purposes, self.scopes, self.own_patient)
        return any(asked) or self.authenticated is True

    def is_about(self, transaction: str, caller: Caller) -> bool:
        """Tell whether it is about what a caller asks for, whatever the documents are."""
        if self.transactions and transaction not in self.transactions:
            return False
        if self.nodes and caller.node.certificate_subject not in self.nodes:
            return False
        if caller.user is None:
            return not self.needs_user
        return self.authenticated is not False and self._is_about_user(caller.user)

    def _is_about_user(self, user: User) -> bool:
        asked = (
            (self.roles, map(_named, user.roles)),
            (self.organizations, (user.organization_id.removeprefix(_OID_URN),)),
            (self.purposes, map(_named, user.purposes_of_use)),
            (self.scopes, user.scopes),
        )
        if any(wanted and wanted.isdisjoint(held) for wanted, held in asked):
            return False
        return bool(user.resource_ids) or not self.own_patient

    def criterion(self, caller: Caller) -> Criterion:
        """Return the criterion of the DocumentEntries that it covers."""
        criteria = [criterion for one in self.codes.items() for criterion in self._of_codes(*one)]
        if self.own_patient and caller.user is not None:
            criteria.append(Comparison("patient_id", Operator.EQUAL, caller.user.resource_ids))
        return all_of(criteria)

    def _of_codes(self, attribute: str, codes: tuple[str, ...]) -> Iterable[Criterion]:
        yield Comparison(attribute, Operator.EQUAL, codes)
        if self.permits:
            yield negated(Comparison(attribute, Operator.OTHER, codes))


def _named(code: Code) -> str:
    """Return a code of an assertion or a token as rules have it."""
    return f"{code.code}^^{code.coding_scheme}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a policy lets one caller do."""

    permitted_by: tuple[str, ...]
    """The names of the rules that permit it, for documents that they cover."""
    visible: Criterion
    break_glass: bool
    denials: tuple[tuple[str, Criterion], ...] = ()
    """The rules that take documents away from it, by their names."""


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The rules of one deployment."""

    rules: Sequence[PolicyRule]

    def grant(self, transaction: str, caller: Caller) -> Grant:
        """Decide what a caller may do; AccessDenied where that is nothing.

        A transaction that carries no documents is not covered by what a rule says of some.
        """
        about = [rule for rule in self.rules if rule.is_about(transaction, caller)]
        denying = [rule for rule in about if not rule.permits]
        for rule in denying:
            if rule.is_general:
                raise AccessDenied(DENIED, rule=rule.name)
        has_documents = transaction not in FEEDS
        permitting = [r for r in about if r.permits and (has_documents or r.is_general)]
        if not permitting:
            raise AccessDenied(
                DENIED, rule=NO_RULE, needs_user=self._would_know_a_user(transaction, caller)
            )
        denials = tuple((rule.name, rule.criterion(caller)) for rule in denying)
        permitted = any_of(rule.criterion(caller) for rule in permitting)
        denied = any_of(criterion for _, criterion in denials)
        return Grant(
            permitted_by=tuple(rule.name for rule in permitting),
            visible=all_of([permitted, negated(denied)]) if has_documents else ANYTHING,
            break_glass=any(rule.break_glass for rule in permitting),
            denials=denials,
        )

    def _would_know_a_user(self, transaction: str, caller: Caller) -> bool:
        """Tell whether some user might do it, and there is none."""
        return caller.user is None and any(
            rule.permits
            and rule.needs_user
            and (not rule.transactions or transaction in rule.transactions)
            and (not rule.nodes or caller.node.certificate_subject in rule.nodes)
            for rule in self.rules
        )
