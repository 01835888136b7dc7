"""What a transaction is: a row that names it, its messages and its handler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lxml import etree

from xds import logs, schema_validation
from xds.affinity_domain import AffinityDomain
from xds.errors import FailureKind, RegistryError, TransactionFailure, kind_of
from xds.feeds.paused import FeedPaused
from xds.metadata.catalogue import SoapMessages, TransactionRow
from xds.security.access import Access
from xds.security.errors import AccessDenied
from xds.transactions.messages import Request, Response

_log = logs.get_logger(__name__)


Handler = Callable[[AffinityDomain, Request], Response]
Describer = Callable[[AffinityDomain, etree._Element, Access], None]
Refusal = Callable[[Sequence[RegistryError]], Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One row of TRANSACTIONS: how a request of a transaction in the catalogue is answered."""

    catalogued: TransactionRow
    messages: SoapMessages
    """One of those of its row in the catalogue."""
    handler: Handler
    describer: Describer
    """Sets the details of an access from the body of a request: for the record of one that is
    denied. Raises TransactionFailure where the body is not valid."""
    refusal: Refusal
    """Renders a response that says why the transaction was refused."""
    invalid: type[RegistryError]
    """The error for a request that the schema refuses (ITI TF-3 4.2.4)."""
    failed: type[RegistryError]
    """The error for a server that cannot answer."""
    busy: type[RegistryError]
    """The error for a server that cannot answer now."""

    @property
    def name(self) -> str:
        """As in the TF: ``ITI-42``."""
        return self.catalogued.name

    @property
    def actor(self) -> str:
        """``registry`` or ``repository``: the path that it is served at."""
        return self.catalogued.actor

    @property
    def request_action(self) -> str:
        """wsa:Action of the request."""
        return self.messages.action

    @property
    def request_element(self) -> str:
        """The body element of the request, ``{namespace}name``."""
        return self.messages.element

    @property
    def response_action(self) -> str:
        """wsa:Action of the response."""
        return self.messages.response_action

    @property
    def operation(self) -> str:
        """The last part of the request's action, which tells apart the messages of one name."""
        return self.messages.operation

    def answer(self, domain: AffinityDomain, request: Request) -> Response:
        """Answer a request; whatever its content is, a response of this transaction comes back."""
        response: Response | None = None
        request.access.describe = partial(self.describer, domain, request.body)
        try:
            with domain.interceptors.passing(request.access):
                response = self.handler(domain, request)
        except TransactionFailure as failure:
            return self.refusal(failure.errors)
        except AccessDenied as denied:
            return self.refusal([self.failed(str(denied))])
        except FeedPaused as paused:
            return self.refusal([self.busy(str(paused))])
        except Exception as error:
            if kind_of(error) not in (FailureKind.BUSY, FailureKind.FULL, FailureKind.UNAVAILABLE):
                raise
            _log.error("not available", transaction=self.name, exc_info=error)
            if response is not None:
                response.close()
            return self.refusal([self.busy(BUSY)])
        return response

    def check(self, body: etree._Element) -> None:
        """Raise TransactionFailure with every violation of the schema."""
        if found := schema_validation.problems(body):
            raise TransactionFailure([self.invalid(problem, rule="schema") for problem in found])


BUSY: Final = "the server cannot store or read at the moment; try again later"
