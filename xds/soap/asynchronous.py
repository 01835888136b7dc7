"""Asynchronous exchange: answers that go to wsa:ReplyTo, not back on the connection.

(IHE Asynchronous Web Services Exchange option, ITI TF-2 Appendix V.3; WS-Addressing 1.0 SOAP
binding, 5.1.) The request is carried out before it is accepted with 202, and by then its answer is
in the outbox, so whoever was told 202 is answered as long as the target can be reached.
"""

from collections.abc import Callable, Sequence
from typing import Final

from xds import logs
from xds.config import Config
from xds.metrics import Metrics
from xds.soap.delivery import Deliverer
from xds.soap.exchange import Exchange, Rendered
from xds.soap.outbox import Outbox, OutboxUnavailable
from xds.targets import Target, admitted, prefixes
from xds.tls import contexts
from xds.transactions import Response
from xds.wire import faults
from xds.wire.addressing import Addressing, Endpoint, Routes
from xds.wire.faults import SoapFault

_ACCEPTED: Final = "202 Accepted"
_REPLY_TO: Final = "<wsa:ProblemHeaderQName>wsa:ReplyTo</wsa:ProblemHeaderQName>"
_MESSAGE_ID: Final = "<wsa:ProblemHeaderQName>wsa:MessageID</wsa:ProblemHeaderQName>"

_log = logs.get_logger(__name__)


class Replies:
    """Sends answers where the request wants them, as far as the options allow."""

    def __init__(
        self,
        allowed: Sequence[Target] = (),
        outbox: Outbox | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._allowed = allowed
        self._outbox = outbox
        self._wake = wake

    @classmethod
    def open(cls, config: Config) -> "Replies":
        """Open the outbox in the data folder and begin to send, if the options allow a target."""
        allowed = prefixes(config.async_reply_to or "")
        if not allowed:
            return cls()
        outbox = Outbox(config.data / "outbox")
        deliverer = Deliverer(
            outbox,
            allowed,
            attempts=config.async_attempts,
            seconds=config.async_seconds,
            tls=contexts.outgoing(config),
        )
        deliverer.start()
        return cls(allowed, outbox, deliverer.wake)

    def watch(self, metrics: Metrics) -> None:
        """Have the metrics tell how many answers wait to be sent, and since when."""
        outbox = self._outbox
        if outbox is None:
            return
        queue, replies = ("queue",), ("replies",)

        def oldest() -> float:
            return min((one.accepted for one in outbox.waiting()), default=0) / 1000

        metrics.ask(
            "xds_outgoing_waiting_messages",
            "Messages that wait to be sent or are being sent",
            queue,
            lambda: {replies: float(len(outbox.waiting()))},
        )
        metrics.ask(
            "xds_outgoing_oldest_timestamp_seconds",
            "When the oldest of them was accepted; 0 where there is none",
            queue,
            lambda: {replies: oldest()},
        )

    def routes(self, addressing: Addressing) -> Routes:
        """Return where the answer goes; SoapFault if the server may not send it there.

        A fault goes to FaultTo if there is one and it is allowed, else where the answer would go;
        that of a synchronous exchange always goes back on its connection.
        """
        reply, fault = addressing.reply_to, addressing.fault_to
        if not (reply.is_anonymous or reply.is_none):
            self._require_admitted(reply)
            _require_message_id(addressing)
        return Routes(reply, fault if fault and self._takes_faults(fault, reply) else reply)

    def _takes_faults(self, endpoint: Endpoint, reply: Endpoint) -> bool:
        if reply.is_anonymous:  # what waits on the connection must hear of its fault there
            return endpoint.is_anonymous
        by_definition = endpoint.is_anonymous or endpoint.is_none
        return by_definition or admitted(endpoint.address, self._allowed) is not None

    def _require_admitted(self, endpoint: Endpoint) -> None:
        if not self._allowed:
            raise faults.sender(
                "This server answers on the connection of the request: "
                "wsa:ReplyTo must be anonymous.",
                "wsa:InvalidAddressingHeader",
                "wsa:OnlyAnonymousAddressSupported",
                detail=_REPLY_TO,
            )
        if admitted(endpoint.address, self._allowed) is None:
            raise faults.sender(
                "The address of wsa:ReplyTo is not among those that this server sends answers to.",
                "wsa:InvalidAddressingHeader",
                "wsa:InvalidAddress",
                detail=_REPLY_TO,
            )

    def answer(self, exchange: Exchange, response: Response, action: str) -> Rendered:
        """Return what goes on the connection: the response, or 202 if it goes elsewhere."""
        to = exchange.routes.reply
        rendered = exchange.render(response, action, to)
        try:
            return self._passed_on(exchange, to, rendered)
        except OutboxUnavailable as error:
            _log.error("the outbox cannot be written", exc_info=error)
            raise faults.receiver(
                "The request was carried out, but its answer cannot be kept for wsa:ReplyTo."
            ) from error

    def fault(self, exchange: Exchange, fault: SoapFault) -> Rendered:
        """Return what goes on the connection: the fault, or 202 if it goes elsewhere."""
        to = exchange.routes.fault
        try:
            return self._passed_on(exchange, to, exchange.render_fault(fault, to))
        except OutboxUnavailable as error:
            _log.error("the outbox cannot be written", exc_info=error)
            return exchange.render_fault(fault)

    def _passed_on(self, exchange: Exchange, to: Endpoint, rendered: Rendered) -> Rendered:
        if to.is_anonymous:
            return rendered
        target = admitted(to.address, self._allowed)
        if target and self._outbox:
            _log.info("an answer goes to another address", target=target.origin)
            content_type = rendered.content_type or ""
            correlation = logs.current_correlation()
            self._outbox.put(target, content_type, correlation, rendered.blocks)
            self._wake()
        return Rendered(None, 0, [], _ACCEPTED)


def _require_message_id(addressing: Addressing) -> None:
    """Raise the SoapFault for a request that its answer could not relate to."""
    if addressing.message_id is None:
        raise faults.sender(
            "The header wsa:MessageID is missing.",
            "wsa:MessageAddressingHeaderRequired",
            detail=_MESSAGE_ID,
        )
