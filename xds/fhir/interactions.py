"""Interaction: a row for each thing that is answered below /fhir (R4, 3.1.0).

A FHIR service is a tuple of rows. The application routes by them, and the CapabilityStatement, the
OpenAPI description and the scopes of tokens are made of them; so what has no row is neither
answered nor stated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xds.config import Config
from xds.fhir.authorization import Authorization
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.resource import Resource
from xds.fhir.search import system
from xds.fhir.search.parameters import SearchParameter
from xds.security.scopes import Permission, permissions

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Handler = Callable[[Facade, Call], Answer]
Describer = Callable[[Facade, Call], None]
Profiles = Callable[[Config], Sequence[str]]

SEARCH: Final = "search-type"
"""The codes of FHIR's interactions (R4, restful-interaction)."""
SEARCH_SYSTEM: Final = "search-system"
READ: Final = "read"
VREAD: Final = "vread"
CREATE: Final = "create"
UPDATE: Final = "update"
PATCH: Final = "patch"
DELETE: Final = "delete"
HISTORY: Final = "history-instance"
TRANSACTION: Final = "transaction"
OPERATION: Final = "operation"
CAPABILITIES: Final = "capabilities"
DESCRIPTION: Final = "description"
"""Not of FHIR: the OpenAPI description."""
SMART: Final = "smart-configuration"
"""Not of FHIR: where tokens are had (SMART App Launch)."""
RETRIEVE: Final = "retrieve"
"""Not of FHIR: the bytes of a document (ITI TF-2 3.68)."""

_LETTERS: Final = {
    SEARCH: "s",
    READ: "r",
    VREAD: "r",
    # a document may replace another, whose status changes
    CREATE: "cu",
    OPERATION: "cu",
    UPDATE: "u",
    PATCH: "u",
    DELETE: "d",
    HISTORY: "r",
}
"""The letters of SMART's scopes that an interaction with the resource type of its row needs."""


def _no_profiles(_: Config) -> Sequence[str]:
    return ()


def _always(_: Config) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ImplementationGuide:
    """The specification that a service follows, as the CapabilityStatement tells of it."""

    url: str
    """Canonical."""
    title: str
    """What the server is by it, such as its actors."""
    description: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """One row: a method at a path."""

    name: str
    """The transaction as the catalogue names it, or that which it belongs to."""
    code: str
    method: str
    """GET stands for HEAD as well."""
    path: str
    """Below the base; ``{id}`` is the logical id, ``{version}`` the versionId."""
    summary: str
    handler: Handler | None = None
    """None where the application itself answers, or ``serves``."""
    resource_type: str = ""
    """Of what is found, read or made; empty where that is no resource type in particular."""
    body: str = ""
    """The resource type of the body; empty where there is none, or a form."""
    is_lenient: bool = False
    """Whether the handler itself judges a body that is not as FHIR has it: what is wrong is among
    the warnings of the call, with severity ``error``."""
    gives_content: bool = False
    """Whether the answer may be a document as it is, whatever form of FHIR the client takes."""
    refusal_page: Callable[[int, str], Answer] | None = None
    """Returns the page of a failure, by its status and the id of the request. With it browsers are
    answered by pages (``Call.wants_page``)."""
    needs_body: bool = True
    """Whether there must be one, where there can be one."""
    takes: Callable[[Resource], bool] | None = None
    """Whether a body is for it, where several rows have its method and path; None takes every body
    that is for no other, and the body that cannot be read."""
    describer: Describer | None = None
    """Sets the details of the access from a request, for the record of one that is denied. None
    where the handler, which reads one resource, does just that."""
    parameters: tuple[SearchParameter, ...] = ()
    """What a search takes, beside what every search takes."""
    among: tuple["Interaction", ...] = ()
    """The searches of which a search of the whole system is one."""
    serves: Callable[[Facade, Authorization], WSGIApplication] | None = None
    """Makes the application that answers every request below ``path`` as far as its ``{id}``; for
    what is not a resource. It passes the interceptors itself."""
    permissions: frozenset[Permission] = frozenset()
    """What it needs of SMART's scopes, where that does not follow from code and resource type."""
    guide: ImplementationGuide | None = None
    instantiates: tuple[str, ...] = ()
    """The canonical URLs of the CapabilityStatements that it is a part of."""
    extension: tuple[Resource, ...] = ()
    """Extensions of its resource type in the CapabilityStatement."""
    profiles: Profiles = _no_profiles
    """Returns the profiles of what is found or taken with some configuration."""
    definition: str = ""
    """The canonical URL of an OPERATION's definition."""
    is_offered: Callable[[Config], bool] = _always
    """Whether it can succeed with some configuration; else the CapabilityStatement omits it."""
    is_answered: Callable[[Config], bool] = _always
    """Whether it is there at all with some configuration; else nothing is at its path."""

    def transaction(self, parameters: Sequence[tuple[str, str]]) -> str:
        """Return the transaction that a request is: a search of the whole system is one of several.

        Raises Refused where the search names none of them.
        """
        if not self.among:
            return self.name
        return self.among[system.place(parameters, [one.resource_type for one in self.among])].name

    @property
    def needed(self) -> frozenset[Permission]:
        """What it needs of SMART's scopes."""
        if self.permissions:
            return self.permissions
        if self.among:
            return frozenset().union(*(one.needed for one in self.among))
        return permissions(**{self.resource_type: _LETTERS[self.code]})


def system_search(name: str, among: tuple[Interaction, ...]) -> tuple[Interaction, ...]:
    """Return the rows of a search of the whole system, which is one of several searches."""
    finds = {one.resource_type: one for one in among}
    summary = "Find resources of the one type that _type names"

    def find(facade: Facade, call: Call) -> Answer:
        searched, call = system.searched(call, [*finds])
        handler = finds[searched].handler
        assert handler is not None, "a search has a handler"
        return handler(facade, call)

    def describe(facade: Facade, call: Call) -> None:
        searched, call = system.searched(call, [*finds])
        describer = finds[searched].describer
        assert describer is not None, "a search has a describer"
        describer(facade, call)

    return (
        Interaction(
            name, SEARCH_SYSTEM, "GET", "", f"{summary}.", find, describer=describe, among=among
        ),
        Interaction(
            name,
            SEARCH_SYSTEM,
            "POST",
            "/_search",
            f"{summary}, with the parameters in a form.",
            find,
            describer=describe,
            among=among,
        ),
    )


OWN: Final = (
    Interaction(
        "capabilities",
        CAPABILITIES,
        "GET",
        "/metadata",
        "What is answered here, as a CapabilityStatement.",
    ),
    Interaction(
        "OpenAPI",
        DESCRIPTION,
        "GET",
        "/openapi.json",
        "What is answered here, as an OpenAPI description.",
    ),
    Interaction(
        "SMART",
        SMART,
        "GET",
        "/.well-known/smart-configuration",
        "Where clients get tokens for this server.",
    ),
)
"""What the application answers beside the rows of every service."""

OPEN: Final = frozenset({CAPABILITIES, DESCRIPTION, SMART})
"""What anyone may ask for: by it a client learns what is asked of it."""


def answered(rows: Iterable[Interaction], config: Config) -> tuple[Interaction, ...]:
    """Return the rows that there are with some configuration."""
    return tuple(row for row in rows if row.is_answered(config))


def transactions_of(rows: Iterable[Interaction]) -> tuple[str, ...]:
    """Return the transactions that rows answer, each once, in their order."""
    names = (name for row in rows if row.code not in OPEN for name in row.name.split(", "))
    return tuple(dict.fromkeys(names))
