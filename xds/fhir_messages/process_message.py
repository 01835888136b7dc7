"""$process-message: a message is filed, and answered at once or later (FHIR R4, Messaging).

The body is the message, or Parameters with ``content``, ``async`` and ``response-url``; the latter
two may stand in the URL. A message that can be read is answered with a message and status 200,
whatever became of it, but 503 where nothing was stored and it is to come again; 400 and an
OperationOutcome say that there was none. With ``async`` the answer is 202 without a body, and the
response goes to ``response-url``, else to the endpoint of the sender, as far as the options allow
to send there.

A message is kept in the JSON into which it was read, whichever form it had. A repetition is known
by sender, event and the identifier of the Bundle (else the id of the MessageHeader), and by its
content.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from xds.config import Config
from xds.database.access import Database
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir_messages import reading
from xds.fhir_messages.bundle import MessageBundle, PlacedResource
from xds.fhir_messages.envelope import request_id
from xds.fhir_messages.response import TRANSIENT, response
from xds.messaging.filing import FilingOutcome, IncomingMessage, MessageFiler, details_of
from xds.messaging.flavours.flavour import IMPOSTOR
from xds.messaging.flavours.reading import GENERIC, read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.verdicts import (
    DATA_TYPE,
    SENDER,
    UNREADABLE,
    ContentRefused,
    MessageFinding,
    refused,
)
from xds.outgoing.delivery import Channel, NewDelivery
from xds.outgoing.http_sender import CONTENT_TYPE, HttpSender
from xds.outgoing.queue import enqueue_stream
from xds.tls import contexts
from xds.url_allowlist import admitted, prefixes

CHANNEL: Final = "message-response"
"""The channel of the delivery queue for responses to asynchronous messages."""

_JSON: Final = "application/fhir+json"
_TRUE: Final = "true"
_TOLERATED: Final = frozenset({"required", "value", "code-invalid", "business-rule"})
"""Codes of issues for which a message is not refused as a whole: what is read of it is judged."""


def channel(config: Config, database: Database) -> Channel | None:
    """Return the channel of responses; None where the options allow no target."""
    del database
    allowed = prefixes(config.message_response_targets or "")
    if not allowed:
        return None
    sender = HttpSender(allowed, contexts.outgoing(config))
    return Channel(name=CHANNEL, send=sender, order="reachable")


def process(facade: Facade, call: Call) -> Answer:
    """File a message, and answer it."""
    bundle, asked = _asked(call)
    to = _response_url(facade.config, bundle, asked) if asked.get("async") == _TRUE else ""
    said = _filed(facade, replace(call, warnings=()), bundle, _problems(call))
    if not to:
        is_later = _header(said)["response"]["code"] == TRANSIENT
        return Answer(resource=said, status=503 if is_later else 200)
    new = NewDelivery(channel=CHANNEL, target=to, address=to, attributes={CONTENT_TYPE: _JSON})
    enqueue_stream(facade.domain.database, new, [orjson.dumps(said)])
    return Answer(resource=None, status=202)


def describe(facade: Facade, call: Call) -> None:
    """Set the details of a message: its patient."""
    bundle, _ = _asked(call)
    try:
        content = reading.read(bundle, facade.domain.systems, _flavours(facade.config.flavours))
    except ContentRefused:
        return  # of a message that cannot be read nobody knows whom it is about
    call.access.details = details_of(content)


def _asked(call: Call) -> tuple[Resource, dict[str, str]]:
    """Return the message, and the parameters of the operation; Refused where there is none."""
    asked = dict(call.parameters)
    if call.resource.get("resourceType") != "Parameters":
        return _message_in(call.resource), asked
    bundle: Resource = {}
    for one in call.resource.get("parameter", ()):
        match one.get("name"):
            case "content":
                bundle = one.get("resource") or {}
            case "async":
                asked["async"] = _TRUE if one.get("valueBoolean") else ""
            case "response-url":
                asked["response-url"] = one.get("valueUrl") or one.get("valueUri") or ""
    if not bundle:
        where = "Parameters.parameter"
        raise Refused.because(400, "required", "the parameter content holds the message", where)
    return _message_in(bundle), asked


def _message_in(bundle: Resource) -> Resource:
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        raise Refused.because(400, "value", "a message is a Bundle of type message", "Bundle.type")
    if not (isinstance(bundle.get("entry"), list) and bundle["entry"]):
        raise Refused.because(400, "required", "a message has a MessageHeader", "Bundle.entry")
    return bundle


def _problems(call: Call) -> list[MessageFinding]:
    """Return what is wrong with the elements of a message.

    What is missing, and values that are not used, are warnings: senders leave out much that FHIR
    wants. Elements that R4 does not have refuse a message, since they may change what it means.
    """
    return [
        MessageFinding(
            verdict=DATA_TYPE if one.code in _TOLERATED else UNREADABLE,
            location=next(iter(one.expression), ""),
            reason=one.diagnostics,
            is_warning=one.code in _TOLERATED,
        )
        for one in call.warnings
        if one.severity == "error" and not _is_of_parameters(one)
    ]


def _is_of_parameters(issue: Issue) -> bool:
    """Tell whether Parameters are said to be no Bundle: both are taken."""
    return issue.expression[:1] == ("Parameters.resourceType",)


def _response_url(config: Config, bundle: Resource, asked: dict[str, str]) -> str:
    """Return where the response goes; Refused where it may not be sent there."""
    url = asked.get("response-url", "")
    if not url:
        entries = bundle.get("entry") or [{}]
        header = entries[0].get("resource") or {}
        url = (header.get("source") or {}).get("endpoint") or ""
    target = admitted(url, prefixes(config.message_response_targets or ""))
    if target is None:
        reason = "the response may not be sent there: the option message_response_targets has no "
        raise Refused.because(400, "forbidden", reason + "URL above it", "response-url")
    return target.url


def _filed(
    facade: Facade, call: Call, bundle: Resource, problems: Sequence[MessageFinding]
) -> Resource:
    """File a message, and return the response to it."""
    domain, raw = facade.domain, orjson.dumps(bundle)
    flavours = _flavours(facade.config.flavours)
    header = _header(bundle)
    request = _request_id(MessageBundle(bundle, domain.systems), header)
    incoming = IncomingMessage(
        door="fhir",
        caller=call.access.caller,
        media="fhir",
        digest=sha256(orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        size=len(raw),
        raw=_Raw(raw),
        envelope=None,
        flavour=flavours.row(GENERIC).flavour,
        content=None,
    )
    try:
        envelope = reading.envelope(bundle, domain.systems)
    except ContentRefused as refusal:
        filer = MessageFiler.open(domain, facade.config)
        outcome = filer.refuse(incoming, refusal.findings, access=call.access)
        return response(header, request, outcome, call.base)
    flavour = flavours.flavour_of(envelope)
    incoming = replace(incoming, envelope=envelope, flavour=flavour)
    outcome = _outcome(facade, call, incoming, bundle, flavours, problems)
    return response(header, request, outcome, call.base)


def _outcome(
    facade: Facade,
    call: Call,
    incoming: IncomingMessage,
    bundle: Resource,
    flavours: FlavourTable,
    problems: Sequence[MessageFinding],
) -> FilingOutcome:
    filer = MessageFiler.open(facade.domain, facade.config)
    try:
        _require_known(facade.config, incoming)
        content = reading.read(bundle, facade.domain.systems, flavours)
        call.access.details = details_of(content)
        if wrong := [one for one in problems if not one.is_warning]:
            raise ContentRefused(*wrong)
    except ContentRefused as refusal:
        return filer.refuse(incoming, refusal.findings, access=call.access)
    return filer.file(replace(incoming, content=content), access=call.access)


def _require_known(config: Config, incoming: IncomingMessage) -> None:
    where, flavour = "Bundle.entry[0].resource.source", incoming.flavour
    if config.message_senders == "known" and flavour.name == GENERIC:
        raise refused(SENDER, where, "there is no flavour of this sender")
    if not flavour.may_come_from(incoming.caller.node):
        raise refused(SENDER, where, IMPOSTOR)


def _header(bundle: Resource) -> Resource:
    entries: list[dict[str, Any]] = bundle.get("entry") or [{}]
    return entries[0].get("resource") or {}


def _request_id(message: MessageBundle, header: Resource) -> str:
    if not message.bundle.get("entry"):
        return "unknown"
    return request_id(message, PlacedResource(header, "")) or "unknown"


class _Raw:
    """The bytes of a message."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __call__(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        yield self._content[start:end]


@lru_cache(maxsize=4)
def _flavours(folder: Path | None) -> FlavourTable:
    """Return the flavours of a folder; they are read once in each process."""
    return read_flavours(folder)
