"""Resource Subscription [ITI-110]: subscribe, and change the status of what one has (2:3.110)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from xds.dsubm import filters, resources, subscriptions
from xds.dsubm import vocabulary as v
from xds.dsubm.filters import Watching
from xds.dsubm.resources import ChannelLimits, SubscriptionWishes
from xds.dsubm.subscriptions import FhirSubscription, engine, managed
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.conditional import entity_tags
from xds.fhir.http.versions import etag
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search.requests import Plan
from xds.metadata.catalogue import ITI_110
from xds.metadata.criteria import ANYTHING, all_of, of_patient, values_equal_to
from xds.notification.model import (
    NewSubscription,
    Secrets,
    SubscribedTopic,
    Subscription,
    SubscriptionRefused,
    SubscriptionState,
    TooManySubscriptions,
    UnknownSubscription,
    WrongState,
)
from xds.registry import events
from xds.security.details import QueryDetails

_CRITERIA: Final = "Subscription.criteria"
_OF_SEARCH: Final = frozenset(
    {
        *(events.REGISTERED, events.UPDATED, events.DEPRECATED, events.APPROVED),
        *(events.CONTENT_UPDATED, events.CONTENT_REMOVED),
    }
)
"""Whatever makes or changes a resource; R4 does not tell of deletions (Subscription)."""
_REVIVABLE: Final = frozenset({SubscriptionState.ERROR, SubscriptionState.OFF})


def create(facade: Facade, call: Call) -> Answer:
    """Make a subscription; its handshake follows. Refused, and then there is none."""
    wanted = _read(facade, call)
    call.access.details = wanted.details()
    try:
        made = engine(facade).create(wanted.new(call), in_commit=call.access.commit)
    except SubscriptionRefused as refused:
        raise _refusal(refused) from refused
    found = FhirSubscription(made).resource(call.base, v.REQUESTED)
    location = f"{call.base}/Subscription/{made.id}"
    return Answer(resource=found, status=201, headers={"Location": location, "ETag": etag(found)})


def describe(facade: Facade, call: Call) -> None:
    """Say what is subscribed to, and of whom; Refused where the request is wrong."""
    unlimited = replace(call, access=replace(call.access, visible=ANYTHING))
    call.access.details = _read(facade, unlimited).details()


@dataclass(frozen=True, slots=True)
class _SubscriptionRequest:
    """A Subscription that is asked for, read as a whole."""

    wishes: SubscriptionWishes
    plan: Plan

    def details(self) -> QueryDetails:
        wishes = self.wishes
        text = "; ".join((wishes.criteria, *wishes.filters))
        return QueryDetails(
            "Subscription",
            lambda: text,
            lambda: values_equal_to([self.plan.criterion], "patient_id"),
        )

    def new(self, call: Call) -> NewSubscription:
        wishes, channel = self.wishes, self.wishes.channel
        # what is told by a websocket is fetched: nothing is sent before its client comes
        is_sent = wishes.topic is not None and bool(channel.endpoint)
        return NewSubscription(
            protocol=subscriptions.PROTOCOL,
            topic=self._topic(),
            # what the token is limited to, which the policy is not asked about later
            filter=all_of([self.plan.criterion, of_patient(call.access.visible)]),
            transaction=ITI_110.name,
            caller=call.access.caller,
            address=channel.endpoint,
            ends=wishes.ends,
            details=subscriptions.details(call, wishes),
            secrets=Secrets(headers=channel.headers, hmac_key=channel.secret),
            handshake=is_sent,
            heartbeat=channel.heartbeat if is_sent else None,
            recovers=wishes.topic is None,
            tells_end=is_sent,
        )

    def _topic(self) -> SubscribedTopic:
        topic = self.wishes.topic
        name = f"{subscriptions.SEARCH_TOPIC}{self.wishes.criteria}" if topic is None else topic.url
        changes = _OF_SEARCH if topic is None else events.with_published(topic.changes)
        return SubscribedTopic(name, self.plan.kind, changes)


def _read(facade: Facade, call: Call) -> _SubscriptionRequest:
    """Read the Subscription of a request; Refused with what is wrong (2:3.110.4.1.3)."""
    with facade.domain.registry.view(call.access.visible) as view:
        now = facade.domain.database.milliseconds(view.connection)
        wishes = resources.read(call.resource, now, _limits(facade))
        watching = Watching(facade, call, view)
        try:
            if wishes.topic is not None:
                plans = filters.watched_by_topic(wishes.topic, wishes.filters, watching)
            else:
                plans = filters.watched_by_search(wishes.criteria, watching)
        except Refused as refused:
            raise Refused(refused.status, [*_at_criteria(refused.issues)]) from None
    if len(plans) > 1:
        told = "a subscription to Lists says of which: code=submissionset or code=folder"
        raise Refused.because(422, "business-rule", told, _CRITERIA)
    return _SubscriptionRequest(wishes, plans[0])


def _limits(facade: Facade) -> ChannelLimits:
    config = facade.config
    return ChannelLimits(config.has_websockets, config.notification_heartbeat_seconds)


def _at_criteria(issues: Iterable[Issue]) -> Iterable[Issue]:
    return (replace(one, expression=(_CRITERIA,)) for one in issues)


def _refusal(refused: SubscriptionRefused) -> Refused:
    if isinstance(refused, TooManySubscriptions):
        return Refused.because(422, "too-costly", str(refused), "Subscription")
    return Refused.because(422, "business-rule", str(refused), "Subscription.channel")


# --- changes -------------------------------------------------------------------------------------


def update(facade: Facade, call: Call) -> Answer:
    """Turn a subscription off, or request it again; nothing else can be changed (2:3.110.4.3)."""
    current = _current(facade, call)
    given = call.resource
    problems = IssueCollector("Subscription")
    if given.get("id") != call.identifier:
        problems.error("invalid", "is to be the id of the URL", "id")
    status = given.get("status", "")
    if status not in (v.OFF, v.REQUESTED):
        told = f"can be set to {v.OFF} and to {v.REQUESTED}"
        problems.error("business-rule", told, "status", status=422)
    if not _says_the_same(given, current):
        told = (
            "nothing but the status of a Subscription can be changed; for anything else make a new "
            "one"
        )
        problems.error("business-rule", told, status=422)
    problems.raise_if_any()
    call.access.details = _details(current)
    try:
        found = (
            _turn_off(facade, call, current) if status == v.OFF else _request(facade, call, current)
        )
    except UnknownSubscription:
        raise _has_ended() from None
    resource = FhirSubscription(found).resource(call.base, status)
    return Answer(resource=resource, headers={"ETag": etag(resource)})


def _current(facade: Facade, call: Call) -> FhirSubscription:
    """Return what is to be changed; Refused 405 where a PUT would create it, 412 for If-Match."""
    try:
        current = managed(facade, call)
    except Refused as refused:
        if refused.status == 404 and call.resource:
            told = "there is no such Subscription, and the server alone gives them ids"
            raise Refused.because(405, "not-supported", told) from None
        raise
    version = current.resource(call.base)["meta"]["versionId"]
    if call.if_match.strip() not in ("", "*") and version not in entity_tags(call.if_match):
        raise Refused.because(412, "conflict", f"the resource has the version {version}")
    return current


def _says_the_same(given: Resource, current: FhirSubscription) -> bool:
    end = given.get("end")
    if end is not None and resources.milliseconds(end) != current.own.ends:
        return False
    return resources.is_same(given, current.kept, current.fingerprint)


def _turn_off(facade: Facade, call: Call, current: FhirSubscription) -> Subscription:
    if current.status == v.OFF:
        return current.own
    return engine(facade).turn_off(current.own.id, in_commit=call.access.commit)


def _request(facade: Facade, call: Call, current: FhirSubscription) -> Subscription:
    own = current.own
    if own.state is SubscriptionState.REQUESTED:
        return own
    if own.state is SubscriptionState.ENDED:
        raise _has_ended()
    if own.state not in _REVIVABLE:
        told = f"only a Subscription that is {v.OFF} or in {v.ERROR} can be requested again"
        if own.state is SubscriptionState.PAUSED:
            told = "an operator has paused it"
        raise Refused.because(422, "business-rule", told, "Subscription.status")
    now = facade.domain.database
    with now.read() as connection:
        is_past = own.ends is not None and own.ends <= now.milliseconds(connection)
    if is_past:
        raise Refused.because(422, "business-rule", "its end is in the past", "Subscription.end")
    try:
        return engine(facade).request(own.id, in_commit=call.access.commit)
    except SubscriptionRefused as refused:
        raise Refused.because(422, "business-rule", str(refused), "Subscription.end") from None
    except WrongState:
        told = "its state has changed meanwhile"
        raise Refused.because(409, "conflict", told, "Subscription.status") from None


def _has_ended() -> Refused:
    return Refused.because(422, "business-rule", "it has ended for good", "Subscription.status")


def delete(facade: Facade, call: Call) -> Answer:
    """End a subscription for good."""
    current = _current(facade, call)
    call.access.details = _details(current)
    if current.own.state is not SubscriptionState.ENDED:
        engine(facade).end(current.own.id, subscriptions.DELETED, in_commit=call.access.commit)
    return Answer(resource=None, status=204)


def describe_one(facade: Facade, call: Call) -> None:
    """Say whose documents the Subscription of a path is about."""
    call.access.details = _details(managed(facade, call))


def _details(current: FhirSubscription) -> QueryDetails:
    own = current.own
    return QueryDetails(
        f"Subscription/{own.id}",
        lambda: own.topic.name,
        lambda: values_equal_to([own.filter], "patient_id"),
    )


def details_of(found: Sequence[FhirSubscription]) -> QueryDetails:
    """Return what a request for several subscriptions is about."""
    criteria = [one.own.filter for one in found]
    ids = " ".join(one.own.id for one in found)
    return QueryDetails(
        "Subscription", lambda: ids, lambda: values_equal_to(criteria, "patient_id")
    )
