"""What an operation of the console is handed, and what it gives back; HTTP is the application's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from xds.accounts.accounts import Accounts
from xds.accounts.roles import ConsoleRole
from xds.accounts.sessions import Session, Sessions
from xds.accounts.throttle import LoginThrottle
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.errors import FailureKind
from xds.metadata.attributes import Code
from xds.metadata.criteria import Comparison, Operator
from xds.security.access import Access
from xds.security.caller import Caller
from xds.security.node import Node

ROLE_SCHEME: Final = "urn:xds:console:role"
"""The coding scheme of the console's roles, as rules of the policy name them."""


class PageNotFound(Exception):
    """There is no such page, or not for this person: neither is told which."""

    failure_kind = FailureKind.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What every operation works with."""

    domain: AffinityDomain
    config: Config
    accounts: Accounts
    sessions: Sessions
    throttle: LoginThrottle


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of one person, read; belongs to one thread."""

    console: Console
    session: Session | None
    """None on the pages for those who have not logged in."""
    node: Node
    path: Mapping[str, Any] = field(default_factory=dict)
    """The variable parts of the path."""
    given: Mapping[str, str] = field(default_factory=dict)
    """The parameters that the row of the page names, of the URL or of the form; "" where absent."""

    @property
    def domain(self) -> AffinityDomain:
        """The actors that are asked."""
        return self.console.domain

    @property
    def logged_in(self) -> Session:
        """The person's session, which there is on every page that asks for a role."""
        if self.session is None:
            raise PageNotFound
        return self.session

    def has(self, *roles: ConsoleRole) -> bool:
        """Tell whether the person has one of some roles; an administrator has all."""
        held = self.logged_in.person.roles
        return ConsoleRole.ADMINISTRATOR in held or any(one in held for one in roles)

    @property
    def caller(self) -> Caller:
        """The person as the policy knows them: with the roles of the console among their own."""
        person = self.logged_in.person
        codes = tuple(Code(role, ROLE_SCHEME) for role in person.roles)
        user = replace(person.user, roles=(*person.user.roles, *codes))
        return Caller(node=self.node, user=user)

    @contextmanager
    def passing(self, transaction: str) -> Iterator[Access]:
        """Run a block as a transaction of this person: permitted, recorded and counted as any.

        AccessDenied where the policy does not permit it; NotRecorded after the block.
        """
        access = Access(transaction=transaction, caller=self.caller)
        if patients := self.logged_in.person.patients:
            access.visible = Comparison("patient_id", Operator.EQUAL, patients)
        with self.domain.interceptors.passing(access):
            yield access


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a template is filled with."""

    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    title: str = ""
    """In place of that of the row."""
    wait_seconds: int = 0
    """After how many seconds one may come again, where that is said."""


@dataclass(frozen=True, slots=True)
class SeeOther:
    """The person is sent on to another page."""

    place: str
    """Below /console."""
    begins: Session | None = None
    """A session that begins with it."""
    ends: bool = False
    """Whether the person's session has ended."""


Answer = PageContent | SeeOther
Operation = Callable[[Visit], Answer]
