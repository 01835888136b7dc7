"""The SOAP protocol on Spyne: what it reads and writes instead of Spyne's own (spec of Soap12).

Spyne's part is the life of a call: context, dispatch to the service, events, faults. Reading and
writing are ours, because documents must stream and responses come as ready text.
"""

from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from xds import logs
from xds.errors import FailureKind, TransactionFailure, kind_of
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.security.access import Access, MessageHeader
from xds.security.caller import Caller
from xds.security.interceptors import InterceptorChain, NotRecorded
from xds.soap.asynchronous import Replies
from xds.soap.exchange import Exchange, RenderedEnvelope
from xds.soap.security import UserAssertions
from xds.soap.spyne import Fault, Soap12
from xds.transactions.messages import Request
from xds.transactions.transaction import Transaction
from xds.wire import addressing, envelope, faults
from xds.wire.faults import SoapFault

EXCHANGE: Final = "xds.exchange"
"""The key of the WSGI environment that holds the Exchange."""

_INCLUDE: Final = f"{{{v.NS_XOP}}}Include"
_TIMEOUT: Final = "408 Request Timeout"
_UNAVAILABLE: Final = "503 Service Unavailable"
_TOO_MANY: Final = "Too many messages wait for their senders at the moment; try again later."
_UNDERSTOOD: Final = frozenset({v.NS_WSA})

_log = logs.get_logger(__name__)


class CarriedFault(Fault):
    """A SoapFault on its way through Spyne, which lets only its own kind pass."""

    def __init__(self, fault: SoapFault) -> None:
        super().__init__(fault.code, fault.reason)
        self.fault = fault


class AsFaults:
    """Turns what goes wrong in a block into a fault that tells the sender no more than it should.

    Not a generator: that would stay in a circle with the error.
    """

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: object
    ) -> None:
        """Raise the fault."""
        if isinstance(error, Exception):
            raise CarriedFault(_fault_for(error)) from error


def _fault_for(error: Exception) -> SoapFault:
    if isinstance(error, SoapFault):
        return error
    if isinstance(error, TransactionFailure):
        context = error.errors[0].code_context
        return SoapFault(faults.RECEIVER, context, logged=str(error))
    match kind_of(error):
        case FailureKind.SLOW:
            return SoapFault(faults.SENDER, "The message came too slowly.", status=_TIMEOUT)
        case FailureKind.BUSY:
            return SoapFault(faults.RECEIVER, _TOO_MANY, status=_UNAVAILABLE)
        case FailureKind.MALFORMED:
            return SoapFault(faults.SENDER, str(error), logged=getattr(error, "logged", None))
        case FailureKind.UNAVAILABLE | FailureKind.FULL:
            _log.error("not available", exc_info=error)
            return faults.receiver("The server is not available at the moment; try again later.")
    correlation = logs.current_correlation()
    _log.error("a request failed", exc_info=error)
    return faults.receiver(f"An error in the server, which its log tells of under {correlation}.")


class XdsSoap12(Soap12):
    """SOAP 1.2 with WS-Addressing and MTOM, dispatched by the action to rows of TRANSACTIONS."""

    def __init__(
        self,
        transactions: Mapping[str, Transaction],
        replies: Replies,
        users: UserAssertions,
        interceptors: InterceptorChain,
    ) -> None:
        super().__init__()
        self._users = users
        self._interceptors = interceptors
        self._replies = replies
        self._transactions = transactions
        self._by_operation = {row.operation: row for row in transactions.values()}

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        """Read the envelope; the documents after it stay in the stream."""
        ctx.in_string = None
        exchange = _exchange(ctx)
        exchange.track_context(ctx)
        with AsFaults():
            ctx.in_document = exchange.read_envelope()

    def decompose_incoming_envelope(self, ctx: Any, message: object = None) -> None:
        """Find the transaction by wsa:Action, else by the action of the content type."""
        exchange = _exchange(ctx)
        with AsFaults():
            header = envelope.header_of(ctx.in_document)
            exchange.addressing = addressing.read(header)
            self._note_body(exchange, ctx.in_document)
            envelope.require_understood(header, self._understood(exchange))
            addressing.require_single(header)
            body = envelope.body_of(ctx.in_document)
            transaction = self._transaction(exchange)
            routes = self._replies.routes(exchange.addressing)
            if body.tag != transaction.request_element:
                raise faults.sender(
                    f"The body of {transaction.name} must be {transaction.request_element}."
                )
            exchange.caller = self._caller(ctx, header, transaction)
        exchange.routes = routes  # faults until here go back on the connection
        ctx.in_header_doc = header
        ctx.in_body_doc = body
        ctx.method_request_string = f"{{{self.app.tns}}}{transaction.operation}"

    def _caller(self, ctx: Any, header: etree._Element | None, transaction: Transaction) -> Caller:
        try:
            return self._users.caller(header, transaction.name, ctx.transport.req_env)
        except SoapFault:
            _exchange(ctx).is_audited = True
            raise

    def _named(self, exchange: Exchange) -> Transaction | None:
        """Return the transaction that a message names, as far as it was read."""
        return self._transactions.get(exchange.action or "")

    def _note_body(self, exchange: Exchange, root: etree._Element) -> None:
        """Name the action of a request without WS-Addressing by its body, if only one has such.

        SOAP by itself demands no action.
        """
        if exchange.addressing.is_used or exchange.action:
            return
        element = envelope.body_element(root)
        actions = [
            action for action, row in self._transactions.items() if row.request_element == element
        ]
        exchange.body_action = actions[0] if len(actions) == 1 else None

    def _understood(self, exchange: Exchange) -> frozenset[str]:
        found = self._named(exchange)
        return _UNDERSTOOD | self._users.understood(found.name if found else "")

    def _transaction(self, exchange: Exchange) -> Transaction:
        action = exchange.action
        if action is None:
            raise faults.sender(
                "The header wsa:Action is missing, and no SOAPAction names the transaction.",
                "wsa:MessageAddressingHeaderRequired",
                detail="<wsa:ProblemHeaderQName>wsa:Action</wsa:ProblemHeaderQName>",
            )
        found = self._transactions.get(action)
        if found is None:
            named = faults.quotable(action)
            action_xml = f"<wsa:Action>{escape(named)}</wsa:Action>"
            raise faults.sender(
                f"The action {named} is not supported here.",
                "wsa:ActionNotSupported",
                detail=f"<wsa:ProblemAction>{action_xml}</wsa:ProblemAction>",
            )
        return found

    def deserialize(self, ctx: Any, message: object) -> None:
        """Hand the body and the documents on as they are."""
        exchange = _exchange(ctx)
        with AsFaults():
            if next(ctx.in_body_doc.iter(_INCLUDE), None) is None:
                exchange.pass_over_documents()
        transaction = self._by_operation[ctx.descriptor.name]
        access = Access(transaction=transaction.name, caller=exchange.caller)
        if not exchange.addressing.reply_to.is_anonymous:
            access.message = MessageHeader(sender=exchange.addressing.reply_to.address)
        exchange.is_audited = True
        ctx.in_object = Request(ctx.in_body_doc, exchange, access)

    def serialize(self, ctx: Any, message: object) -> None:
        """Put the response or the fault into an envelope, for the connection or for elsewhere."""
        exchange = _exchange(ctx)
        exchange.discard_documents()  # now, since a server may not close what nobody waits for
        exchange.drain()
        if ctx.out_error is not None:
            rendered = self._fault(ctx, ctx.out_error)
        else:
            try:
                rendered = self._response(ctx)
            except Exception as error:
                rendered = self._fault(ctx, error)
        ctx.transport.resp_code = rendered.status
        ctx.out_document = rendered

    def _response(self, ctx: Any) -> RenderedEnvelope:
        transaction = self._by_operation[ctx.descriptor.name]
        return self._replies.answer(_exchange(ctx), ctx.out_object[0], transaction.response_action)

    def _fault(self, ctx: Any, error: Exception) -> RenderedEnvelope:
        fault = error.fault if isinstance(error, CarriedFault) else _fault_for(error)
        fault = self._unreadable(_exchange(ctx), fault)
        _log.info(
            "answered with a fault", code=fault.code, subcodes=fault.subcodes, reason=fault.logged
        )
        return self._replies.fault(_exchange(ctx), fault)

    def _unreadable(self, exchange: Exchange, fault: SoapFault) -> SoapFault:
        """Have a request recorded that never came to its handler; return what it is answered.

        One that names no transaction is none.
        """
        if exchange.is_audited or (named := self._named(exchange)) is None:
            return fault
        access = Access(transaction=named.name, caller=exchange.caller)
        try:
            self._interceptors.unreadable(access, fault)
        except NotRecorded as failure:
            return _fault_for(failure)
        return fault

    def create_out_string(self, ctx: Any, charset: str | None = None) -> None:
        """Give the response to the transport: ready blocks, or a stream of them."""
        rendered = ctx.out_document
        _exchange(ctx).track_context(ctx)
        if rendered.content_type is None:
            ctx.transport.resp_headers.pop("Content-Type", None)
        else:
            ctx.transport.resp_headers["Content-Type"] = rendered.content_type
            if rendered.content_type.startswith("multipart/"):
                ctx.transport.resp_headers["MIME-Version"] = "1.0"
        _exchange(ctx).content_length = rendered.length
        ctx.out_string = rendered.blocks

    def fault_to_http_response_code(self, fault: Any) -> str:
        """Return the HTTP status of a fault; ``serialize`` replaces it by the fault's own."""
        return "500 Internal Server Error"


def _exchange(ctx: Any) -> Exchange:
    found: Exchange = ctx.transport.req_env[EXCHANGE]
    return found
