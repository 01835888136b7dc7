"""The Document Metadata Subscriber: asks a broker to tell what is registered (ITI TF-2 3.52)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, Unpack

from lxml import etree

from xds.client import messages
from xds.client.errors import MalformedAnswer
from xds.client.messages import (
    CREATE_PULL_POINT,
    DESTROY_PULL_POINT,
    GET_MESSAGES,
    RENEW,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Operation,
)
from xds.client.parameters import DocumentFilters, QueryValue, document_parameters, slots
from xds.closing import Closing
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.metadata.objects import MetadataObject, interpreted
from xds.outgoing.transport import HttpEndpoint, Settings
from xds.parsing import MalformedXML, parse

_WSNT: Final = f"{{{v.NS_WSNT}}}"
_ADDRESS: Final = f"{{{v.NS_WSA}}}Address"
_SIMPLE: Final = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
_NAMES: Final = f'xmlns:wsnt="{v.NS_WSNT}" xmlns:wsa="{v.NS_WSA}"'
_FILTERS: Final = {
    "DocumentEntry": v.SUBSCRIPTION_FOR_DOCUMENT_ENTRY,
    "SubmissionSet": v.SUBSCRIPTION_FOR_SUBMISSION_SET,
    "Folder": v.SUBSCRIPTION_FOR_FOLDER,
}
_KINDS: Final = {"SubmissionSetMetadata": "SubmissionSet"} | dict.fromkeys(
    ("FolderMetadata", "UpdateFolder", "ExtendedFolder"), "Folder"
)


@dataclass(frozen=True, slots=True)
class SubscriptionReference:
    """A subscription as its broker names it."""

    address: str
    """Where it is ended and renewed: whoever knows it may do so."""
    ends: str | None = None
    """When it ends, xs:dateTime; None: never, as far as the broker has said."""


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """What a broker has told: one ``wsnt:NotificationMessage``."""

    subscription: str
    """The address of the subscription; empty where it is not named."""
    topic: str
    """``ihe:FullDocumentEntry``, with a suffix of extended events such as ``/Deprecate``."""
    objects: tuple[MetadataObject, ...] = ()
    entry_uuids: tuple[str, ...] = ()
    """Of what is told by references alone, as minimal topics have it."""
    has_ended: bool = False
    """Whether it says that the subscription has ended."""

    @classmethod
    def read(cls, message: etree._Element) -> Self:
        """Read a ``wsnt:NotificationMessage``, wherever a broker puts the type of a package."""
        listing = message.find(f".//{ebrim.RIM}RegistryObjectList")
        found = [] if listing is None else list(map(interpreted, ebrim.read_list(listing)))
        references = () if listing is None else listing.iterchildren(f"{ebrim.RIM}ObjectRef")
        return cls(
            (message.findtext(f"{_WSNT}SubscriptionReference/{_ADDRESS}") or "").strip(),
            (message.findtext(f"{_WSNT}Topic") or "").strip(),
            tuple(one for one in found if isinstance(one, MetadataObject)),
            tuple(one.get("id", "") for one in references),
            message.find(f"{_WSNT}Message/{_WSNT}Unsubscribe") is not None,
        )


def read_notify(body: bytes) -> list[ReceivedNotification]:
    """Read what a recipient was sent by ITI-53: a SOAP envelope with a ``wsnt:Notify``.

    Raises MalformedAnswer for what is none. A recipient answers with 202 or 200, without a body.
    """
    try:
        root = parse(body)
    except MalformedXML as error:
        raise MalformedAnswer(f"The notification cannot be read. {error}") from error
    found = [ReceivedNotification.read(one) for one in root.iter(f"{_WSNT}NotificationMessage")]
    if not found:
        raise MalformedAnswer("The message has no wsnt:NotificationMessage.")
    return found


class DocumentMetadataSubscriber(Closing):
    """The Document Metadata Subscriber of any DSUB broker (ITI TF-1 26.1.1.2).

    ``broker_url`` is where subscriptions are made. Close it, or use it as a context manager.
    Every failure is a ClientError; what a broker refuses is SoapFaultReceived, whose ``detail``
    has the fault of WS-BaseNotification.
    """

    def __init__(self, broker_url: str, *, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._broker = HttpEndpoint(broker_url, self._settings)

    def close(self) -> None:
        """Close the connections."""
        self._broker.close()

    def subscribe_to_documents(
        self,
        consumer_url: str,
        patient_id: str,
        topic: str = "ihe:FullDocumentEntry",
        *,
        ends: datetime | str | None = None,
        **filters: Unpack[DocumentFilters],
    ) -> SubscriptionReference:
        """Have a consumer be told of documents of a patient (CX) that meet the filters.

        ``ends`` is a time, an xs:dateTime or an xs:duration such as ``P30D``.
        """
        parameters = {
            "$XDSDocumentEntryPatientId": patient_id,
            **dict(document_parameters(filters)),
        }
        return self.subscribe(consumer_url, topic, parameters, ends=ends)

    def subscribe(
        self,
        consumer_url: str,
        topic: str,
        parameters: Mapping[str, QueryValue],
        *,
        query_id: str = "",
        ends: datetime | str | None = None,
    ) -> SubscriptionReference:
        """Have a consumer be told of what a topic and a query mean (ITI TF-2 3.52.4.1.2).

        ``query_id`` is that of the kind of object of the topic, with a patient, unless it is given.
        ``consumer_url`` may be the address of a pull point.
        """
        kind = _KINDS.get(topic.partition(":")[2], "DocumentEntry")
        given = "".join(map(_slot, slots(parameters)))
        until = "" if ends is None else f"<wsnt:InitialTerminationTime>{_time(ends)}"
        until += "</wsnt:InitialTerminationTime>" if until else ""
        body = (
            f"<wsnt:Subscribe {_NAMES}><wsnt:ConsumerReference><wsa:Address>"
            f"{escape(consumer_url)}</wsa:Address></wsnt:ConsumerReference><wsnt:Filter>"
            f'<wsnt:TopicExpression xmlns:ihe="{v.NS_DSUB}" Dialect="{_SIMPLE}">{escape(topic)}'
            f'</wsnt:TopicExpression><rim:AdhocQuery xmlns:rim="{v.NS_RIM}" '
            f'id="{escape(query_id or _FILTERS[kind])}">{given}</rim:AdhocQuery></wsnt:Filter>'
            f"{until}</wsnt:Subscribe>"
        )
        answer = self._asked(self._broker.url, SUBSCRIBE, body)
        address = (answer.findtext(f"{_WSNT}SubscriptionReference/{_ADDRESS}") or "").strip()
        if not address:
            raise MalformedAnswer("The answer has no address of the subscription.")
        return SubscriptionReference(address, _end(answer))

    def unsubscribe(self, address: str) -> None:
        """End a subscription for good, by its address."""
        self._asked(address, UNSUBSCRIBE, f'<wsnt:Unsubscribe xmlns:wsnt="{v.NS_WSNT}"/>')

    def renew(self, address: str, ends: datetime | str) -> SubscriptionReference:
        """Have a subscription end at another time; not every broker of IHE knows this."""
        time = f"<wsnt:TerminationTime>{_time(ends)}</wsnt:TerminationTime>"
        body = f'<wsnt:Renew xmlns:wsnt="{v.NS_WSNT}">{time}</wsnt:Renew>'
        return SubscriptionReference(address, _end(self._asked(address, RENEW, body)))

    def create_pull_point(self) -> str:
        """Make a pull point, and return its address (DSUB Extensions 3.69)."""
        body = f'<wsnt:CreatePullPoint xmlns:wsnt="{v.NS_WSNT}"/>'
        answer = self._asked(self._broker.url, CREATE_PULL_POINT, body)
        address = (answer.findtext(f"{_WSNT}PullPoint/{_ADDRESS}") or "").strip()
        if not address:
            raise MalformedAnswer("The answer has no address of the pull point.")
        return address

    def pull(self, address: str, at_most: int = 1) -> Sequence[ReceivedNotification]:
        """Return what waits at a pull point, the oldest first (DSUB Extensions 3.70).

        What is returned comes no more.
        """
        number = f"<wsnt:MaximumNumber>{at_most}</wsnt:MaximumNumber>"
        body = f'<wsnt:GetMessages xmlns:wsnt="{v.NS_WSNT}">{number}</wsnt:GetMessages>'
        answer = self._asked(address, GET_MESSAGES, body)
        listed: Iterable[etree._Element] = answer.iterchildren(f"{_WSNT}NotificationMessage")
        return list(map(ReceivedNotification.read, listed))

    def destroy_pull_point(self, address: str) -> None:
        """Remove a pull point, with what waits there."""
        body = f'<wsnt:DestroyPullPoint xmlns:wsnt="{v.NS_WSNT}"/>'
        self._asked(address, DESTROY_PULL_POINT, body)

    def _asked(self, url: str, operation: Operation, body: str) -> etree._Element:
        """Send a message to the broker, or to a resource of its, and return what it answers."""
        is_broker = url == self._broker.url
        endpoint = self._broker if is_broker else HttpEndpoint(url, self._settings)
        try:
            with messages.posted(endpoint, operation, body) as received:
                received.finish()
                return received.body
        finally:
            if not is_broker:
                endpoint.close()


def _slot(slot: ebrim.Slot) -> str:
    values = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in slot.values)
    return (
        f'<rim:Slot name="{escape(slot.name)}"><rim:ValueList>{values}</rim:ValueList></rim:Slot>'
    )


def _time(ends: datetime | str) -> str:
    return escape(ends) if isinstance(ends, str) else ends.isoformat()


def _end(answer: etree._Element) -> str | None:
    return (answer.findtext(f"{_WSNT}TerminationTime") or "").strip() or None
