"""Subscriptions of this service between the engine and FHIR: how one is kept, and how it is read.

What the engine does not know of a subscription stands in its ``details``, which have no secrets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from xds.dsubm import resources
from xds.dsubm import vocabulary as v
from xds.dsubm.resources import SubscriptionWishes
from xds.dsubm.topics import Topic, topic_of
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import versioned
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata.criteria import Criterion
from xds.notification.model import Subscription, SubscriptionState
from xds.notification.subscriptions import Subscriptions

PROTOCOL: Final = "fhir"
"""The name of this protocol for the engine, and of its channel."""
SEARCH_TOPIC: Final = "search "
"""How the engine's topic begins of a subscription whose criteria are a search."""
DELETED: Final = "deleted by its client"

_BASE: Final = "base"
_RESOURCE: Final = "resource"
_FINGERPRINT: Final = "fingerprint"
_CONTENT: Final = "content"
_PAYLOAD: Final = "payload"
_FORM: Final = "form"

_STATUSES: Final[Mapping[SubscriptionState, str]] = {
    SubscriptionState.REQUESTED: v.REQUESTED,
    SubscriptionState.ACTIVE: v.ACTIVE,
    SubscriptionState.PAUSED: v.ERROR,
    SubscriptionState.ERROR: v.ERROR,
    SubscriptionState.OFF: v.OFF,
    SubscriptionState.ENDED: v.OFF,
}
"""A pause by an operator is an error to the client, whose text says so: nothing is sent."""
_PAUSED: Final = "paused by an operator; what happens is kept and sent later"


@dataclass(frozen=True, slots=True)
class FhirSubscription:
    """A subscription of the engine as this service made it."""

    own: Subscription

    @property
    def base(self) -> str:
        """The FHIR base as its client saw it, which the URLs of notifications begin with."""
        return str(self.own.details[_BASE])

    @property
    def content(self) -> str:
        """EMPTY, ID_ONLY or FULL_RESOURCE; empty where it has no topic."""
        return str(self.own.details[_CONTENT])

    @property
    def payload(self) -> str:
        """The media type of what is sent, as its client has written it."""
        return str(self.own.details[_PAYLOAD])

    @property
    def form(self) -> str:
        """FHIR_JSON or FHIR_XML."""
        return str(self.own.details[_FORM])

    @property
    def fingerprint(self) -> str:
        """That of its secrets (:func:`xds.dsubm.resources.fingerprint`)."""
        return str(self.own.details[_FINGERPRINT])

    @property
    def is_websocket(self) -> bool:
        """Whether it is told by websockets that its client opens."""
        return bool(self.kept["channel"]["type"] == v.WEBSOCKET)

    @property
    def heartbeat(self) -> int | None:
        """Seconds without a notification after which its client wants a heartbeat."""
        return resources.heartbeat_of(self.kept)

    @property
    def kept(self) -> Resource:
        """What is kept of the Subscription as its client wrote it."""
        found: Resource = self.own.details[_RESOURCE]
        return found

    @property
    def topic(self) -> Topic | None:
        """The topic; None where the criteria are a search."""
        return topic_of(self.own.topic.name)

    @property
    def topic_url(self) -> str:
        """Its canonical URL as the client wrote it; empty where the criteria are a search."""
        return self.kept["criteria"] if self.topic else ""

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters as the client wrote them."""
        return resources.filters_of(self.kept)

    @property
    def status(self) -> str:
        """Subscription.status."""
        return _STATUSES[self.own.state]

    @property
    def error(self) -> str:
        """Subscription.error; empty where there is none."""
        if self.own.state is SubscriptionState.PAUSED:
            return _PAUSED
        return self.own.reason if self.status in (v.ERROR, v.OFF) else ""

    def resource(self, base: str, status: str = "") -> Resource:
        """Return it as it is read at a base; ``status`` is told in place of its own."""
        kept = self.kept
        found: Resource = {
            "resourceType": "Subscription",
            "id": self.own.id,
            "status": status or self.status,
            **{name: value for name, value in kept.items() if name != "resourceType"},
        }
        if self.own.ends is not None:
            found["end"] = resources.instant(self.own.ends)
        if self.error and not status:
            found["error"] = self.error
        return versioned(found, base)


def details(call: Call, wishes: SubscriptionWishes) -> Mapping[str, object]:
    """Return what the engine keeps of a new subscription for this service."""
    channel = wishes.channel
    return {
        _BASE: call.base,
        _RESOURCE: resources.kept(call.resource),
        _FINGERPRINT: resources.fingerprint(call.resource),
        _CONTENT: channel.content,
        _PAYLOAD: channel.payload,
        _FORM: channel.form,
    }


def engine(facade: Facade) -> Subscriptions:
    """Return the engine; FHIR is served only where the registry is here, and then it has one."""
    found = facade.domain.subscriptions
    assert found is not None, "the registry is here"
    return found


def managed(facade: Facade, call: Call) -> FhirSubscription:
    """Return the Subscription that a path names, if it is the caller's; Refused 404 or 410."""
    subscriptions = engine(facade)
    found = subscriptions.get(call.identifier)
    if found is None or found.protocol != PROTOCOL:
        _refuse_unknown()
    if not subscriptions.may_manage(found, call.access.caller):
        _refuse_unknown()
    if found.state is SubscriptionState.ENDED and found.reason == DELETED:
        raise Refused.because(410, "deleted", "the Subscription was deleted")
    return FhirSubscription(found)


def _refuse_unknown() -> NoReturn:
    raise Refused.because(404, "not-found", "there is no such resource")


def visible(facade: Facade, one: FhirSubscription) -> Criterion:
    """Return what the subscriber may see by now."""
    return engine(facade).rights.visible(one.own.transaction, one.own.caller)
