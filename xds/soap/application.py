"""The SOAP endpoints as WSGI applications: a Spyne application an actor, from TRANSACTIONS."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.metadata import vocabulary as v
from xds.security.interceptors import InterceptorChain
from xds.soap.asynchronous import Replies
from xds.soap.exchange import DocumentStager, Exchange
from xds.soap.protocol import EXCHANGE, AsFaults, XdsSoap12
from xds.soap.security import UserAssertions
from xds.soap.spyne import AnyXml, Application, Service, WsgiApplication, rpc
from xds.transactions.messages import Request, Response
from xds.transactions.table import TRANSACTIONS
from xds.transactions.transaction import Transaction

StartResponse = Callable[..., Any]
Answer = Callable[[Any, Request], Response]

_METHOD_NOT_ALLOWED: Final = "405 Method Not Allowed"


class SoapEndpoint:
    """One actor's endpoint: every transaction of the actor, on one path."""

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
        methods = {row.operation: _method(row, domain) for row in rows}
        both = ("in_protocol", "out_protocol")
        protocol = {one: _protocol(rows, replies, users, domain.interceptors) for one in both}
        service = type(Service)(actor, (Service,), methods)
        self._application = WsgiApplication(
            Application([service], tns=v.NS_XDS, name=actor, **protocol)
        )
        self._config = config
        self._stager: DocumentStager | None = (
            _Staging(domain) if any(row.messages.is_mtom for row in rows) else None
        )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one POST."""
        if environ["REQUEST_METHOD"] != "POST":
            start_response(_METHOD_NOT_ALLOWED, [("Allow", "POST"), ("Content-Length", "0")])
            return []
        exchange = Exchange(environ, self._config, self._stager)
        environ[EXCHANGE] = exchange
        # Spyne would parse it without using it, in a time that grows with the square of its length
        environ.pop("CONTENT_TYPE", None)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [header for header in headers if header[0] != "Content-Length"]
            if exchange.content_length is not None:
                kept.append(("Content-Length", str(exchange.content_length)))
            kept.append((logs.REQUEST_ID, logs.current_correlation()))
            return start_response(status, kept, *more)

        try:
            blocks = self._application(environ, start, wsgi_url=environ["PATH_INFO"])
        except BaseException:
            exchange.close()
            raise
        return _AnswerBlocks(blocks, exchange)


def _protocol(
    rows: list[Transaction], replies: Replies, users: UserAssertions, interceptors: InterceptorChain
) -> XdsSoap12:
    return XdsSoap12({row.request_action: row for row in rows}, replies, users, interceptors)


def _method(row: Transaction, domain: AffinityDomain) -> Any:
    def answer(ctx: Any, request: Request) -> Response:
        with AsFaults():
            return row.answer(domain, request)

    answer.__name__ = row.operation
    return rpc(AnyXml, _returns=AnyXml, _body_style="bare")(answer)


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
