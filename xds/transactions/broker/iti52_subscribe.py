"""ITI-52 Document Metadata Subscribe: subscribe, unsubscribe, and WS-BaseNotification's Renew.

(ITI TF-2 3.52; DSUB Extensions Rev 2.1.) Renew is no part of ITI-52, and generic clients have it.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.dsub import reading, writing
from xds.dsub.broker import Broker
from xds.dsub.faults import (
    ResourceUnknownFault,
    SubscribeCreationFailedFault,
    UnableToDestroySubscriptionFault,
)
from xds.dsub.pull_points import PullPoint
from xds.dsub.reading import SubscribeRequest
from xds.dsub.requests import (
    PROTOCOL,
    PULLED,
    details_of,
    refused_by,
    subscription_of,
    text_of,
)
from xds.errors import XDSRegistryBusy, XDSRegistryError
from xds.metadata.catalogue import BROKER, ITI_52
from xds.notification.model import NewSubscription, SubscriptionRefused, UnknownSubscription
from xds.security.access import Access
from xds.security.details import SubscriptionDetails
from xds.transactions.broker.broker_here import broker_of
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import Transaction


def subscribe(domain: AffinityDomain, request: Request) -> Response:
    """Make a subscription, and answer with its address and the time of its end."""
    broker, access = broker_of(domain), request.access
    now = broker.now()
    asked = reading.subscribe(request.body, now)
    access.details = details = _details(asked, request.body)
    pull_point = _pull_point(broker, asked.consumer.address, request)
    new = _new(broker, request, asked, now, pull_point)
    address = writing.address_of(request.target.endpoint, new.id)
    access.details = replace(details, address=address)

    def in_commit(connection: Any) -> None:
        if pull_point is not None:
            broker.pull_points.link(connection, pull_point.id, new.id)
        access.commit(connection)

    try:
        made = broker.subscriptions.create(new, in_commit=in_commit)
    except SubscriptionRefused as refusal:
        raise SubscribeCreationFailedFault(str(refusal)) from None
    return Response([writing.subscribe_response(made, now)])


def _pull_point(broker: Broker, consumer: str, request: Request) -> PullPoint | None:
    """Return the pull point that a consumer's address is, if it is one of this broker's."""
    folder = f"/{BROKER}/{writing.PULL_POINTS}/"
    key = consumer.partition(folder)[2]
    found = broker.pull_points.get(key) if key else None
    if found is not None and found.may_be_used_by(request.access.caller):
        return found
    if found is not None or consumer.startswith(f"{request.target.endpoint}/"):
        raise SubscribeCreationFailedFault("The ConsumerReference is no pull point of yours.")
    return None


def _new(
    broker: Broker,
    request: Request,
    asked: SubscribeRequest,
    now: int,
    pull_point: PullPoint | None,
) -> NewSubscription:
    """Return the subscription that is asked for; it may end earlier than that."""
    details: dict[str, Any] = {
        writing.ENDPOINT: request.target.endpoint,
        writing.QUERY: asked.filter.query_id,
        writing.SLOTS: [[slot.name, list(slot.values)] for slot in asked.slots],
        writing.PATIENTS: list(asked.patient_ids),
    }
    if asked.consumer.parameters:
        details[writing.CONSUMER_PARAMETERS] = asked.consumer.parameters
    if pull_point is not None:
        details[writing.PULL_POINT] = pull_point.id
    return NewSubscription(
        protocol=PROTOCOL if pull_point is None else PULLED,
        topic=asked.topic.subscribed(),
        filter=asked.criterion,
        transaction=ITI_52.name,
        caller=request.access.caller,
        address=asked.consumer.address if pull_point is None else "",
        ends=broker.rules.ends(asked.ends, now),
        details=details,
        tells_end=pull_point is None and broker.rules.tells_end(asked.consumer.address),
    )


def _details(asked: SubscribeRequest, body: etree._Element) -> SubscriptionDetails:
    return SubscriptionDetails(
        query_id=asked.filter.query_id,
        text=text_of(body),
        patient_ids=asked.patient_ids,
        action="C",
    )


def _describe_subscribe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    access.details = _details(reading.subscribe(body, broker_of(domain).now()), body)


def unsubscribe(domain: AffinityDomain, request: Request) -> Response:
    """End the subscription that the request was sent to, for good."""
    broker, access = broker_of(domain), request.access
    access.details = SubscriptionDetails(action="D")
    found = subscription_of(broker.subscriptions, request.target.resource, access.caller)
    access.details = details_of(found, "D")
    try:
        broker.subscriptions.end(found.id, "unsubscribed", in_commit=access.commit)
    except UnknownSubscription:
        raise ResourceUnknownFault("The subscription has ended.") from None
    return Response([writing.empty("UnsubscribeResponse")])


def renew(domain: AffinityDomain, request: Request) -> Response:
    """Have the subscription that the request was sent to end at another time."""
    broker, access = broker_of(domain), request.access
    now = broker.now()
    access.details = SubscriptionDetails(action="U")
    found = subscription_of(broker.subscriptions, request.target.resource, access.caller)
    access.details = details_of(found, "U")
    ends = broker.rules.ends(reading.renew(request.body, now), now)
    try:
        renewed = broker.subscriptions.renew(found.id, ends, in_commit=access.commit)
    except UnknownSubscription:
        raise ResourceUnknownFault("The subscription has ended.") from None
    return Response([writing.renew_response(renewed, now)])


def _describe(_domain: AffinityDomain, _body: etree._Element, access: Access, action: str) -> None:
    access.details = SubscriptionDetails(action=action)


SUBSCRIBE: Final = Transaction(
    catalogued=ITI_52,
    messages=ITI_52.soap[0],
    handler=subscribe,
    describer=_describe_subscribe,
    refusal=refused_by(SubscribeCreationFailedFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
UNSUBSCRIBE: Final = Transaction(
    catalogued=ITI_52,
    messages=ITI_52.soap[1],
    handler=unsubscribe,
    describer=partial(_describe, action="D"),
    refusal=refused_by(UnableToDestroySubscriptionFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
RENEW: Final = Transaction(
    catalogued=ITI_52,
    messages=ITI_52.soap[2],
    handler=renew,
    describer=partial(_describe, action="U"),
    refusal=refused_by(ResourceUnknownFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
