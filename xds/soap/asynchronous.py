"""Asynchronous exchange: answers that go to wsa:ReplyTo, not back on the connection.

(IHE Asynchronous Web Services Exchange option, ITI TF-2 Appendix V.3; WS-Addressing 1.0 SOAP
binding, 5.1.) The request is carried out before it is accepted with 202, and by then its answer is
in the delivery queue, so whoever was told 202 is answered as long as the target can be reached.
Answers to one URL go in their order; one that is refused there is tried again beside the others.
"""

from collections.abc import Sequence
from typing import Final

from xds import logs
from xds.config import Config
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.outgoing.delivery import Channel, Limit, NewDelivery, RetrySchedule
from xds.outgoing.http_sender import CONTENT_TYPE, HttpSender
from xds.outgoing.queue import enqueue_stream
from xds.soap.exchange import ACCEPTED, Exchange, RenderedEnvelope
from xds.tls import contexts
from xds.transactions.messages import Response
from xds.url_allowlist import Target, admitted, prefixes
from xds.wire import faults
from xds.wire.addressing import Addressing, Endpoint, Routes
from xds.wire.faults import SoapFault

CHANNEL: Final = "soap-reply"
"""The channel of the delivery queue for asynchronous answers."""

_SCHEDULE: Final = RetrySchedule((1, 2, 4, 8, 16, 32, 64, 128, 256, 600))
_HEAD_START: Final = 0.1
"""Seconds, so that the 202 is there before the answer."""
_REPLY_TO: Final = "<wsa:ProblemHeaderQName>wsa:ReplyTo</wsa:ProblemHeaderQName>"
_MESSAGE_ID: Final = "<wsa:ProblemHeaderQName>wsa:MessageID</wsa:ProblemHeaderQName>"

_log = logs.get_logger(__name__)


def channel(config: Config, database: Database) -> Channel | None:
    """Return the channel of asynchronous answers; None where the options allow no target."""
    allowed = prefixes(config.async_reply_to or "")
    if not allowed:
        return None
    return Channel(
        name=CHANNEL,
        send=HttpSender(allowed, contexts.outgoing(config)),
        schedule=_SCHEDULE,
        order="reachable",
        limit=Limit(config.async_attempts, config.async_seconds),
        delay=_HEAD_START,
    )


class Replies:
    """Sends answers where the request wants them, as far as the options allow."""

    def __init__(self, allowed: Sequence[Target], database: Database) -> None:
        self._allowed = allowed
        self._database = database

    @classmethod
    def open(cls, config: Config, database: Database) -> "Replies":
        """Return what puts answers into the delivery queue of a database."""
        return cls(prefixes(config.async_reply_to or ""), database)

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

    def answer(self, exchange: Exchange, response: Response, action: str) -> RenderedEnvelope:
        """Return what goes on the connection: the response, or 202 if it goes elsewhere."""
        to = exchange.routes.reply
        rendered = exchange.render(response, action, to)
        try:
            return self._passed_on(exchange, to, rendered)
        except DatabaseUnavailable as error:
            _log.error("an answer cannot be kept", exc_info=error)
            raise faults.receiver(
                "The request was carried out, but its answer cannot be kept for wsa:ReplyTo."
            ) from error

    def fault(self, exchange: Exchange, fault: SoapFault) -> RenderedEnvelope:
        """Return what goes on the connection: the fault, or 202 if it goes elsewhere."""
        to = exchange.routes.fault
        try:
            return self._passed_on(exchange, to, exchange.render_fault(fault, to))
        except DatabaseUnavailable as error:
            _log.error("an answer cannot be kept", exc_info=error)
            return exchange.render_fault(fault)

    def _passed_on(
        self, exchange: Exchange, to: Endpoint, rendered: RenderedEnvelope
    ) -> RenderedEnvelope:
        if to.is_anonymous:
            return rendered
        target = admitted(to.address, self._allowed)
        if target:
            _log.info("an answer goes to another address", target=target.origin)
            content_type = {CONTENT_TYPE: rendered.content_type or ""}
            new = NewDelivery(
                channel=CHANNEL, target=target.url, address=target.url, attributes=content_type
            )
            enqueue_stream(self._database, new, rendered.blocks)
        return RenderedEnvelope(None, 0, [], ACCEPTED)


def _require_message_id(addressing: Addressing) -> None:
    """Raise the SoapFault for a request that its answer could not relate to."""
    if addressing.message_id is None:
        raise faults.sender(
            "The header wsa:MessageID is missing.",
            "wsa:MessageAddressingHeaderRequired",
            detail=_MESSAGE_ID,
        )
