"""The SOAP endpoints as WSGI applications: a Spyne application an actor, from TRANSACTIONS."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.metadata.catalogue import BROKER
from xds.soap.asynchronous import Replies
from xds.soap.exchange import DocumentStager, Exchange, RenderedEnvelope
from xds.soap.protocol import SoapProtocol
from xds.soap.security import UserAssertions
from xds.soap.spyne_adapter import SpyneService
from xds.transactions.table import TRANSACTIONS

StartResponse = Callable[..., Any]

_METHOD_NOT_ALLOWED: Final = "405 Method Not Allowed"


class SoapEndpoint:
    """One actor's endpoint: every transaction of the actor, on one path.

    Below the path of the broker lie subscriptions and pull points, which messages go to as well.
    """

    def __init__(
        self,
        actor: str,
        domain: AffinityDomain,
        config: Config,
        replies: Replies,
        users: UserAssertions,
    ) -> None:
        left_out = domain.excluded_transactions
        rows = [r for r in TRANSACTIONS if r.actor == actor and r.name not in left_out]
        service = SpyneService(actor, {row.operation: partial(row.answer, domain) for row in rows})
        transactions = {row.request_action: row for row in rows}
        self._protocol = SoapProtocol(
            transactions,
            service,
            replies,
            users,
            domain.interceptors,
            by_element=actor == BROKER,
        )
        self._config = config
        self._path = f"/{actor}"
        self._stager: DocumentStager | None = (
            _Staging(domain) if any(row.messages.is_mtom for row in rows) else None
        )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one POST."""
        if environ["REQUEST_METHOD"] != "POST":
            start_response(_METHOD_NOT_ALLOWED, [("Allow", "POST"), ("Content-Length", "0")])
            return []
        exchange = Exchange(environ, self._config, self._stager, self._path)
        try:
            rendered = self._protocol.answer(exchange, environ)
        except BaseException:
            exchange.close()
            raise
        start_response(rendered.status, _headers(rendered))
        return _AnswerBlocks(rendered.blocks, exchange)


def _headers(rendered: RenderedEnvelope) -> list[tuple[str, str]]:
    headers = [(logs.REQUEST_ID, logs.current_correlation())]
    if rendered.content_type is not None:
        headers.append(("Content-Type", rendered.content_type))
        if rendered.content_type.startswith("multipart/"):
            headers.append(("MIME-Version", "1.0"))
    if rendered.length is not None:
        headers.append(("Content-Length", str(rendered.length)))
    return headers


class _Staging:
    """Documents of a request, staged in the repository's store."""

    def __init__(self, domain: AffinityDomain) -> None:
        self.stage = domain.repository.stage
        self.discard = domain.repository.store.discard


class _AnswerBlocks:
    """The blocks of an answer; the server closes it when they are sent or nobody wants them."""

    def __init__(self, blocks: Iterable[bytes], exchange: Exchange) -> None:
        self._blocks = blocks
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        """Let go of documents, sent or not."""
        self._exchange.close()
