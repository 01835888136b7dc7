"""Answers and notifications as XML text (OASIS WS-BaseNotification 1.3; ITI TF-2 3.53.4.1).

Each text binds its own prefixes, so it may stand in an envelope of any version of SOAP.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from xds.dsub.times import date_time
from xds.dsub.topics import SIMPLE, TOPICS, DsubTopic
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.metadata.objects import DocumentEntry
from xds.notification.model import NotificationKind, Subscription
from xds.notification.told import Notification, NotifiedObject

_NAMES: Final = f'xmlns:wsnt="{v.NS_WSNT}" xmlns:wsa="{v.NS_WSA}"'
SUBSCRIPTIONS: Final = "subscription"
"""The path of subscriptions below the broker's."""
PULL_POINTS: Final = "pullpoint"

ENDPOINT: Final = "endpoint"
"""The detail of a subscription with the URL of the broker as its subscriber reaches it."""
CONSUMER_PARAMETERS: Final = "parameters"
"""The detail with the reference parameters of the consumer, XML text."""
SLOTS: Final = "slots"
"""The detail with the parameters of the filter: lists of a name and its values."""
QUERY: Final = "query"
"""The detail with the id of the filter's stored query."""
PATIENTS: Final = "patients"
"""The detail with the patients (CX) of the filter."""
PULL_POINT: Final = "pull_point"
"""The detail with the id of the pull point, where it is one's."""


def address_of(endpoint: str, subscription_id: str) -> str:
    """Return the address of a subscription: whoever knows it may end the subscription."""
    return f"{endpoint}/{SUBSCRIPTIONS}/{subscription_id}"


def reference_of(one: Subscription) -> str:
    """Return the address of a subscription as its subscriber was told it."""
    return address_of(str(one.details[ENDPOINT]), one.id)


def pull_point_address(endpoint: str, pull_point_id: str) -> str:
    """Return the address of a pull point."""
    return f"{endpoint}/{PULL_POINTS}/{pull_point_id}"


# --- answers -------------------------------------------------------------------------------------


def subscribe_response(one: Subscription, now: int) -> bytes:
    """Render a ``wsnt:SubscribeResponse``; its times are those of the server."""
    return (
        f"<wsnt:SubscribeResponse {_NAMES}><wsnt:SubscriptionReference><wsa:Address>"
        f"{escape(reference_of(one))}</wsa:Address></wsnt:SubscriptionReference>"
        f"<wsnt:CurrentTime>{date_time(now)}</wsnt:CurrentTime>{_termination(one.ends)}"
        "</wsnt:SubscribeResponse>"
    ).encode()


def renew_response(one: Subscription, now: int) -> bytes:
    """Render a ``wsnt:RenewResponse``."""
    return (
        f"<wsnt:RenewResponse {_NAMES}>{_termination(one.ends)}"
        f"<wsnt:CurrentTime>{date_time(now)}</wsnt:CurrentTime></wsnt:RenewResponse>"
    ).encode()


def _termination(ends: int | None) -> str:
    if ends is None:
        instance = "http://www.w3.org/2001/XMLSchema-instance"
        return f'<wsnt:TerminationTime xmlns:xsi="{instance}" xsi:nil="true"/>'
    return f"<wsnt:TerminationTime>{date_time(ends)}</wsnt:TerminationTime>"


def empty(name: str) -> bytes:
    """Render an answer that says no more than that it is one: ``UnsubscribeResponse``."""
    return f'<wsnt:{name} xmlns:wsnt="{v.NS_WSNT}"/>'.encode()


def create_pull_point_response(address: str) -> bytes:
    """Render a ``wsnt:CreatePullPointResponse``."""
    return (
        f"<wsnt:CreatePullPointResponse {_NAMES}><wsnt:PullPoint><wsa:Address>{escape(address)}"
        "</wsa:Address></wsnt:PullPoint></wsnt:CreatePullPointResponse>"
    ).encode()


def get_messages_response(messages: Iterable[bytes]) -> bytes:
    """Render a ``wsnt:GetMessagesResponse`` around notification messages."""
    return (
        f"<wsnt:GetMessagesResponse {_NAMES}>".encode()
        + b"".join(messages)
        + b"</wsnt:GetMessagesResponse>"
    )


# --- notifications -------------------------------------------------------------------------------


def notify(messages: Iterable[bytes]) -> bytes:
    """Render a ``wsnt:Notify`` around notification messages."""
    return f"<wsnt:Notify {_NAMES}>".encode() + b"".join(messages) + b"</wsnt:Notify>"


def notification_message(notification: Notification, *, retrieves: bool = False) -> bytes | None:
    """Render a ``wsnt:NotificationMessage``, where the prefixes wsnt and wsa are bound.

    None where there is nothing to tell, since the subscriber may not see it. With ``retrieves``
    the documents of a minimal topic are named as in a retrieval, as older recipients expect them.
    """
    one = notification.subscription
    if notification.kind is NotificationKind.DEACTIVATION:
        now = round(time.time() * 1000)
        ended = now if one.ends is None else min(one.ends, now)
        return _message(one, ended, "", b"<wsnt:Unsubscribe/>")
    topic = TOPICS[one.topic.name]
    content = _content(topic, notification.objects, retrieves=retrieves)
    if content is None:
        return None
    return _message(one, None, _topic(topic.of(notification.change)), content)


def _message(one: Subscription, ended: int | None, topic: str, content: bytes) -> bytes:
    end = "" if ended is None else _termination(ended)
    return (
        "<wsnt:NotificationMessage><wsnt:SubscriptionReference><wsa:Address>"
        f"{escape(reference_of(one))}</wsa:Address>{end}</wsnt:SubscriptionReference>{topic}"
        "<wsnt:Message>".encode()
        + content
        + b"</wsnt:Message></wsnt:NotificationMessage>"
    )


def _topic(text: str) -> str:
    return f'<wsnt:Topic xmlns:ihe="{v.NS_DSUB}" Dialect="{SIMPLE}">{text}</wsnt:Topic>'


def _content(
    topic: DsubTopic, objects: Sequence[NotifiedObject], *, retrieves: bool
) -> bytes | None:
    """Return what stands in wsnt:Message; references where metadata are not there any more."""
    if not objects:
        return None
    if topic.is_minimal and retrieves and all(one.thing for one in objects):
        return _retrieval(objects)
    listed = b"".join(
        _object_ref(one) if topic.is_minimal or one.found is None else one.found.leaf()
        for one in objects
    )
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{v.NS_LCM}" xmlns:rim="{v.NS_RIM}">'
        "<rim:RegistryObjectList>".encode()
        + listed
        + b"</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
    )


def _object_ref(one: NotifiedObject) -> bytes:
    if one.found is None:
        return f'<rim:ObjectRef id="{one.entry_uuid}"/>'.encode()
    return one.found.object_ref()


def _retrieval(objects: Iterable[NotifiedObject]) -> bytes:
    requests = "".join(
        f"<xds:DocumentRequest>{_home(one)}"
        f"<xds:RepositoryUniqueId>{escape(one.repository_unique_id or '')}"
        f"</xds:RepositoryUniqueId><xds:DocumentUniqueId>{escape(one.unique_id or '')}"
        "</xds:DocumentUniqueId></xds:DocumentRequest>"
        for one in (notified.thing for notified in objects)
        if isinstance(one, DocumentEntry)
    )
    return (
        f'<xds:RetrieveDocumentSetRequest xmlns:xds="{v.NS_XDS}">{requests}'
        "</xds:RetrieveDocumentSetRequest>"
    ).encode()


def _home(entry: DocumentEntry) -> str:
    home = entry.home_community_id
    return f"<xds:HomeCommunityId>{escape(home)}</xds:HomeCommunityId>" if home else ""


# --- subscriptions as ITI-120 has them -----------------------------------------------------------


def object_ref(one: Subscription) -> bytes:
    """Render a ``rim:ObjectRef`` to a subscription."""
    return f'<rim:ObjectRef id="{escape(reference_of(one))}"/>'.encode()


def rim_subscription(one: Subscription, status: str) -> bytes:
    """Render a ``rim:Subscription``, where the prefix rim is bound (DSUB Extensions 3.120)."""
    details: Mapping[str, Any] = one.details
    ends = "" if one.ends is None else f' endTime="{date_time(one.ends)}"'
    slots = "".join(
        f'<rim:Slot name="{escape(name)}"><rim:ValueList>'
        + "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
        + "</rim:ValueList></rim:Slot>"
        for name, values in details[SLOTS]
    )
    return (
        f'<rim:Subscription id="{escape(reference_of(one))}" selector="{details[QUERY]}" '
        f'startTime="{date_time(one.created)}"{ends} status="{status}">{slots}'
        f'<rim:NotifyAction endPoint="{escape(consumer_of(one))}" '
        f'notificationOption="{one.topic.name}"/></rim:Subscription>'
    ).encode()


def consumer_of(one: Subscription) -> str:
    """Return the address that a subscription was made with."""
    pull_point = one.details.get(PULL_POINT)
    if pull_point is None:
        return one.address
    return pull_point_address(str(one.details[ENDPOINT]), str(pull_point))
