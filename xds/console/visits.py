"""What an operation of the console is handed, and what it gives back; HTTP is the application's."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from xds.accounts.accounts import Accounts
from xds.accounts.openid_login import LoginUnderWay
from xds.accounts.openid_provider import OpenIDProvider
from xds.accounts.roles import ConsoleRole
from xds.accounts.sessions import Session, Sessions
from xds.accounts.throttle import LoginThrottle
from xds.accounts.vouched import RoleTable
from xds.affinity_domain import AffinityDomain
from xds.audit.record import AuditRecord
from xds.config import Config
from xds.errors import FailureKind
from xds.metadata.attributes import Code
from xds.metadata.criteria import ANYTHING, Comparison, Criterion, Operator, all_of
from xds.security.access import Access
from xds.security.caller import Caller
from xds.security.node import Node

if TYPE_CHECKING:
    from xds.fhir.facade import Facade
    from xds.fhir.interactions import Interaction
    from xds.messaging.operations import MessageOperations
    from xds.messaging.outbound.sending import MessageSender
    from xds.mhd.document_pages import DocumentPages
    from xds.mhd.served_documents import ServedDocuments

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
    roles: RoleTable
    """The roles of people whom others vouch for."""
    provider: OpenIDProvider | None
    """At which people log in; None where they do not."""
    documents: "ServedDocuments"
    pages: "DocumentPages"
    facade: "Facade"
    interactions: "Sequence[Interaction]"
    """The rows of the FHIR services."""
    messages: "MessageOperations | None"
    """What files messages again; None where none are taken."""
    sender: "MessageSender | None"
    """What writes messages that go out; None where the options name no destinations."""


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
    login: LoginUnderWay | None = None
    """That at a provider which the browser has begun."""

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
        """The person as the policy knows them."""
        return self.caller_of(is_emergency=False)

    def caller_of(self, *, is_emergency: bool) -> Caller:
        """Return the person as the policy knows them, with their roles of the console.

        Their purpose of use is that of the options, unless who vouches for them has told another.
        """
        person, config = self.logged_in.person, self.console.config
        roles = tuple(Code(role, ROLE_SCHEME) for role in person.roles)
        purposes = person.user.purposes_of_use or (self._code(config.console_purpose),)
        if is_emergency:
            purposes = (self._code(config.console_emergency_purpose),)
        user = replace(person.user, roles=(*person.user.roles, *roles), purposes_of_use=purposes)
        return Caller(node=self.node, user=user)

    def _code(self, text: str) -> Code:
        code, _, scheme = text.partition("^^")
        return Code(code, self.domain.systems.canonical(scheme))

    def access(self, transaction: str, *, is_emergency: bool = False) -> Access:
        """Return the access of this person, for what passes the interceptors by itself."""
        access = Access(transaction=transaction, caller=self.caller_of(is_emergency=is_emergency))
        access.visible = self._limit
        return access

    @contextmanager
    def passing(self, transaction: str, *, patient: int | None = None) -> Iterator[Access]:
        """Run a block as a transaction of this person: permitted, recorded and counted as any.

        Where they have broken the glass for the ``patient``, it is one of an emergency.
        AccessDenied where the policy does not permit it; NotRecorded after the block.
        """
        is_emergency = patient is not None and self.logged_in.emergency(patient) is not None
        access = self.access(transaction, is_emergency=is_emergency)
        with self.domain.interceptors.passing(access):
            yield access

    def would_see(self, transaction: str, *, is_emergency: bool) -> Criterion:
        """Return what the person could know of, in an emergency or else; nothing is recorded."""
        caller = self.caller_of(is_emergency=is_emergency)
        return all_of([self.domain.visible_to(transaction, caller), self._limit])

    @property
    def _limit(self) -> Criterion:
        """The patients that the person is limited to."""
        patients = self.logged_in.person.patients
        return Comparison("patient_id", Operator.EQUAL, patients) if patients else ANYTHING

    def record(self, record: AuditRecord) -> None:
        """Record what is no transaction; NotRecorded."""
        if self.domain.audit_log is not None:
            self.domain.audit_log.trail.record([record])


def require_whole(visit: Visit) -> None:
    """Raise PageNotFound for who is limited to some patients: records tell of others as well."""
    if visit.logged_in.person.patients:
        raise PageNotFound


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a template is filled with."""

    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    title: str = ""
    """In place of that of the row."""
    template: str = ""
    """In place of that of the row."""
    wait_seconds: int = 0
    """After how many seconds one may come again, where that is said."""
    ends: bool = False
    """Whether the person's session has ended."""


@dataclass(frozen=True, slots=True)
class SeeOther:
    """The person is sent on to another page."""

    place: str
    """Below /console."""
    begins: Session | None = None
    """A session that begins with it."""
    ends: bool = False
    """Whether the person's session has ended."""


@dataclass(frozen=True, slots=True)
class AtProvider:
    """The person is sent to the provider, to log in there."""

    url: str
    login: LoginUnderWay
    """What the browser keeps meanwhile."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Something that is no page of the console: it goes as it is, in a sandbox."""

    content_type: str
    blocks: Iterable[bytes]
    size: int | None
    """None where it is made while it is sent."""
    name: str
    """Of the file that it is saved as."""
    is_download: bool = False
    """Whether a browser is to save it in any case."""
    policy: str = ""
    """Its Content-Security-Policy, in place of the sandbox."""


Answer = PageContent | SeeOther | AtProvider | Bytes
Operation = Callable[[Visit], Answer]
