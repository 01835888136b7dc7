"""The SOAP protocol: a message is read, its transaction found, and the response or fault rendered.

Spyne's part is the definition of the service and the dispatch to its methods
(:mod:`xds.soap.spyne_adapter`). Reading and writing are ours, because documents must stream and
responses come as ready text.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from xds import logs
from xds.dsub.faults import NotificationFault
from xds.errors import FailureKind, TransactionFailure, kind_of
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.security.access import Access, MessageHeader
from xds.security.caller import Caller
from xds.security.interceptors import InterceptorChain, NotRecorded
from xds.soap.asynchronous import Replies
from xds.soap.exchange import Exchange, RenderedEnvelope
from xds.soap.security import UserAssertions
from xds.soap.spyne_adapter import SpyneService
from xds.transactions.messages import Request
from xds.transactions.transaction import Transaction
from xds.wire import addressing, envelope, faults
from xds.wire.faults import SoapFault

_INCLUDE: Final = f"{{{v.NS_XOP}}}Include"
_TIMEOUT: Final = "408 Request Timeout"
_UNAVAILABLE: Final = "503 Service Unavailable"
_TOO_MANY: Final = "Too many messages wait for their senders at the moment; try again later."
_UNDERSTOOD: Final = frozenset({v.NS_WSA})

_log = logs.get_logger(__name__)


def _fault_for(error: Exception) -> SoapFault:
    if isinstance(error, SoapFault):
        return error
    if isinstance(error, NotificationFault):
        return _notification_fault(error)
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


def _notification_fault(error: NotificationFault) -> SoapFault:
    """Render a fault of WS-BaseNotification: with 500, since stacks lose it under 400."""
    return SoapFault(
        faults.SENDER if error.is_of_sender else faults.RECEIVER,
        error.description,
        detail=error.detail(round(time.time() * 1000)),
        status=faults.INTERNAL_ERROR,
        logged=str(error),
        action=v.WSN_FAULT_ACTION,
    )


class SoapProtocol:
    """SOAP 1.2 with WS-Addressing and MTOM, dispatched by the action to rows of TRANSACTIONS."""

    def __init__(
        self,
        transactions: Mapping[str, Transaction],
        service: SpyneService,
        replies: Replies,
        users: UserAssertions,
        interceptors: InterceptorChain,
        *,
        by_element: bool = False,
    ) -> None:
        """``by_element`` says that a message is what its body is, whatever its action says.

        Clients of WS-Notification send other actions, or none, and SOAP 1.1.
        """
        self._by_element = by_element
        self._service = service
        self._users = users
        self._interceptors = interceptors
        self._replies = replies
        self._transactions = transactions

    def answer(self, exchange: Exchange, environ: Mapping[str, Any]) -> RenderedEnvelope:
        """Carry out a request, and return what goes back on its connection."""
        try:
            transaction, body = self._read(exchange, environ)
            request = self._request(exchange, transaction, body)
            response = self._service.call(transaction.operation, request)
        except Exception as error:
            _end_request(exchange)
            return self._fault(exchange, error)
        _end_request(exchange)
        try:
            return self._replies.answer(exchange, response, transaction.response_action)
        except Exception as error:
            return self._fault(exchange, error)

    def _read(
        self, exchange: Exchange, environ: Mapping[str, Any]
    ) -> tuple[Transaction, etree._Element]:
        """Read the envelope, and find the transaction by wsa:Action, else by the content type's.

        The documents after the envelope stay in the stream.
        """
        root = exchange.read_envelope()
        if self._by_element:
            exchange.is_soap11 = envelope.from_soap11(root)
        header = envelope.header_of(root)
        exchange.addressing = addressing.read(header)
        self._note_body(exchange, root)
        envelope.require_understood(header, self._understood(exchange))
        addressing.require_single(exchange.addressing)
        body = envelope.body_of(root)
        transaction = self._transaction(exchange)
        routes = self._replies.routes(exchange.addressing)
        if body.tag != transaction.request_element:
            raise faults.sender(
                f"The body of {transaction.name} must be {transaction.request_element}."
            )
        exchange.caller = self._caller(exchange, header, transaction, environ)
        exchange.routes = routes  # faults until here go back on the connection
        return transaction, body

    def _caller(
        self,
        exchange: Exchange,
        header: etree._Element | None,
        transaction: Transaction,
        environ: Mapping[str, Any],
    ) -> Caller:
        try:
            return self._users.caller(header, transaction.name, environ)
        except SoapFault:
            exchange.is_audited = True
            raise

    def _named(self, exchange: Exchange) -> Transaction | None:
        """Return the transaction that a message names, as far as it was read."""
        return self._transactions.get(self._action(exchange) or "")

    def _action(self, exchange: Exchange) -> str | None:
        """Return the action that a message is taken to have."""
        return (exchange.body_action if self._by_element else None) or exchange.action

    def _note_body(self, exchange: Exchange, root: etree._Element) -> None:
        """Name the action of a request without WS-Addressing by its body, if only one has such.

        SOAP by itself demands no action.
        """
        if not self._by_element and (exchange.addressing.is_used or exchange.action):
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
        action = self._action(exchange)
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

    def _request(
        self, exchange: Exchange, transaction: Transaction, body: etree._Element
    ) -> Request:
        """Hand the body and the documents on as they are."""
        if next(body.iter(_INCLUDE), None) is None:
            exchange.pass_over_documents()
        access = Access(transaction=transaction.name, caller=exchange.caller)
        if not exchange.addressing.reply_to.is_anonymous:
            access.message = MessageHeader(sender=exchange.addressing.reply_to.address)
        exchange.is_audited = True
        return Request(body, exchange, access, exchange.target, exchange.addressing.message_id)

    def _fault(self, exchange: Exchange, error: Exception) -> RenderedEnvelope:
        fault = self._unreadable(exchange, _fault_for(error))
        _log.info(
            "answered with a fault", code=fault.code, subcodes=fault.subcodes, reason=fault.logged
        )
        return self._replies.fault(exchange, fault)

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


def _end_request(exchange: Exchange) -> None:
    """Let go of documents that nobody took, and read what is left of the request."""
    exchange.discard_documents()  # now, since a server may not close what nobody waits for
    exchange.drain()
