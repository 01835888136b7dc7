"""Requests about subscriptions, read: what is wrong becomes the fault that names it.

The order of the checks is that of what a sender is told first: topic, filter, time, and then
whatever else the schema refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from xds import schema_validation
from xds.dsub.faults import (
    InvalidFilterFault,
    InvalidTopicExpressionFault,
    NotificationFault,
    NotifyMessageNotSupportedFault,
    SubscribeCreationFailedFault,
    TopicExpressionDialectUnknownFault,
    UnacceptableInitialTerminationTimeFault,
    UnacceptableTerminationTimeFault,
    UnrecognizedPolicyRequestFault,
)
from xds.dsub.filters import SubscriptionFilter, filter_of
from xds.dsub.times import moment_of
from xds.dsub.topics import SIMPLE, DsubTopic, change_of, topic_of
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, values_equal_to
from xds.metadata.ebrim import Slot
from xds.metadata.submission import Submission
from xds.metadata.white_space import trimmed
from xds.registry.publishing import Publication
from xds.wire.addressing import Endpoint, endpoint_of

WSNT: Final = f"{{{v.NS_WSNT}}}"
_QUERY: Final = f"{ebrim.RIM}AdhocQuery"
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_BAD_TIME: Final = "The termination time is neither an xs:dateTime nor an xs:duration."
_PAST: Final = "The termination time lies in the past."


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest:
    """What a ``wsnt:Subscribe`` asks for."""

    consumer: Endpoint
    """Where notifications are to be sent: at a URL, or to a pull point."""
    topic: DsubTopic
    filter: SubscriptionFilter
    slots: tuple[Slot, ...]
    """The parameters of the filter, as they were given."""
    criterion: Criterion
    patient_ids: tuple[str, ...]
    """The patients (CX) that the filter names."""
    ends: int | None
    """In milliseconds since 1970; None where no time is asked for."""


def subscribe(body: etree._Element, now: int) -> SubscribeRequest:
    """Read a ``wsnt:Subscribe``; ``now`` is in milliseconds since 1970.

    Raises the faults of WS-BaseNotification 1.3, 4.2.
    """
    topic, query = _filter(body)
    if problems := schema_validation.problems(query):
        raise InvalidFilterFault(_sentence(problems))
    found = filter_of(trimmed(query.get("id", "")), topic.kind)
    slots = ebrim.read_slots(query)
    criterion = found.criterion(slots)
    ends = _termination(
        body.find(f"{WSNT}InitialTerminationTime"), now, UnacceptableInitialTerminationTimeFault
    )
    if problems := schema_validation.problems(body):
        raise SubscribeCreationFailedFault(_sentence(problems))
    if body.find(f"{WSNT}SubscriptionPolicy/*") is not None:
        raise UnrecognizedPolicyRequestFault("No SubscriptionPolicy is known here.")
    consumer = endpoint_of(body.find(f"{WSNT}ConsumerReference"))
    if consumer is None:
        raise SubscribeCreationFailedFault("The ConsumerReference has no address.")
    return SubscribeRequest(
        consumer=consumer,
        topic=topic,
        filter=found,
        slots=slots,
        criterion=criterion,
        patient_ids=tuple(values_equal_to([criterion], "patient_id")),
        ends=ends,
    )


def _filter(body: etree._Element) -> tuple[DsubTopic, etree._Element]:
    """Return topic and query of a filter, of which it has one each and nothing else."""
    given = list(body.iterfind(f"{WSNT}Filter/*"))
    topics = [one for one in given if one.tag == f"{WSNT}TopicExpression"]
    if len(topics) != 1:
        raise InvalidTopicExpressionFault(
            f"The filter has {len(topics)} topic expressions instead of one."
        )
    if trimmed(topics[0].get("Dialect", "")) != SIMPLE:
        raise TopicExpressionDialectUnknownFault(f"The one dialect of topics is {SIMPLE}.")
    if len(topics[0]):
        raise InvalidTopicExpressionFault("The topic expression is not a text.")
    topic = topic_of(topics[0].text or "", topics[0].nsmap)
    queries = [one for one in given if one.tag == _QUERY]
    if len(queries) != 1 or len(given) > len(topics) + len(queries):
        raise InvalidFilterFault(
            "Beside the topic expression, the filter has one rim:AdhocQuery and nothing else."
        )
    return topic, queries[0]


Refusal = Callable[[str, int], NotificationFault]


def _termination(element: etree._Element | None, now: int, refusal: Refusal) -> int | None:
    if element is None or element.get(_NIL) in ("1", "true"):
        return None
    try:
        ends = moment_of(element.text or "", now)
    except (ValueError, OverflowError):
        raise refusal(_BAD_TIME, now) from None
    if ends <= now:
        raise refusal(_PAST, now)
    return ends


def renew(body: etree._Element, now: int) -> int | None:
    """Read the time of a ``wsnt:Renew``; UnacceptableTerminationTimeFault."""
    ends = _termination(body.find(f"{WSNT}TerminationTime"), now, UnacceptableTerminationTimeFault)
    if problems := schema_validation.problems(body):
        raise UnacceptableTerminationTimeFault(_sentence(problems), now)
    return ends


def publications(body: etree._Element) -> list[Publication]:
    """Read what a ``wsnt:Notify`` publishes; NotifyMessageNotSupportedFault."""
    if problems := schema_validation.problems(body):
        raise NotifyMessageNotSupportedFault(_sentence(problems))
    return [_publication(one) for one in body.iterfind(f"{WSNT}NotificationMessage")]


def _publication(message: etree._Element) -> Publication:
    kind = change_of(message.findtext(f"{WSNT}Topic"))
    if kind is None:
        raise NotifyMessageNotSupportedFault("The topic tells of no change that is known here.")
    content = message.find(f"{WSNT}Message")[0]
    if content.tag != f"{{{v.NS_LCM}}}SubmitObjectsRequest":
        raise NotifyMessageNotSupportedFault("The Message is not an lcm:SubmitObjectsRequest.")
    return Publication(Submission.read(content), kind)


def maximum_number(body: etree._Element) -> int | None:
    """Read how many messages a valid ``wsnt:GetMessages`` asks for at most; None: no number."""
    found = body.findtext(f"{WSNT}MaximumNumber")
    return None if found is None else int(found)


def _sentence(problems: list[str]) -> str:
    return "; ".join(problems) + "."
