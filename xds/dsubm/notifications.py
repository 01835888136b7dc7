"""What is sent of a subscription: SubscriptionStatus as Parameters, and Bundles with it first.

(DSUBm 2:3.112.4; HL7 subscriptions R5 backport 1.1.0 for R4, notifications)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from xds.dsubm import vocabulary as v
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import UUID_URN

_PUT: Final = "PUT"
_STATUSES: Final = {"POST": "201", _PUT: "200", "DELETE": "204", "GET": "200"}
"""The status of a response by the method of its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifiedResource:
    """A resource that a notification is about, or that goes with it."""

    resource_type: str
    id: str
    method: str
    """What has been done with it: POST, PUT or DELETE; GET where it only goes with another."""
    resource: Any = None
    """A resource or a rendered one; None where only its id is told."""

    def url(self, base: str) -> str:
        """Return its absolute URL."""
        return f"{base}/{self.resource_type}/{self.id}"

    def entry(self, base: str) -> Resource:
        """Return the entry of the Bundle."""
        own = f"{self.resource_type}/{self.id}"
        found: Resource = {"fullUrl": f"{base}/{own}"}
        if self.resource is not None:
            found["resource"] = self.resource
        url = self.resource_type if self.method == "POST" else own
        found["request"] = {"method": self.method, "url": url}
        found["response"] = {"status": _STATUSES[self.method]}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationEvent:
    """One event of a subscription."""

    number: int
    at: str
    """An instant."""
    focus: NotifiedResource | None = None
    """None where the content is empty."""
    context: tuple[NotifiedResource, ...] = ()

    def part(self, base: str) -> Resource:
        """Return the parameter ``notification-event``."""
        parts: list[Resource] = [
            {"name": "event-number", "valueString": str(self.number)},
            {"name": "timestamp", "valueInstant": self.at},
        ]
        if self.focus is not None:
            parts.append(_reference("focus", self.focus.url(base)))
        parts += [_reference("additional-context", one.url(base)) for one in self.context]
        return {"name": "notification-event", "part": parts}

    def entries(self, base: str) -> Iterator[Resource]:
        """Yield the entries of its resources."""
        if self.focus is not None:
            yield self.focus.entry(base)
        for one in self.context:
            yield one.entry(base)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatus:
    """The state of a subscription as it is told, with events or without."""

    base: str
    """The absolute URL of the FHIR base."""
    subscription: str
    """The id of the Subscription."""
    topic: str
    """The canonical URL; empty where the subscription has none."""
    status: str
    type: str
    total: int
    """How many events there were since the subscription began."""
    content: str = v.ID_ONLY
    events: tuple[NotificationEvent, ...] = ()
    error: str = ""

    @property
    def url(self) -> str:
        """The absolute URL of the Subscription."""
        return f"{self.base}/Subscription/{self.subscription}"

    def id_of(self, what: str) -> str:
        """Return the id of something that is answered about the Subscription."""
        return str(uuid5(NAMESPACE_URL, f"{self.url}#{what}"))

    def parameters(self, identifier: str) -> Resource:
        """Return the Parameters resource, which R4 has in place of SubscriptionStatus."""
        found: list[Resource] = [_reference("subscription", self.url)]
        if self.topic and not (self.events and self.content == v.EMPTY):
            found.append({"name": "topic", "valueCanonical": self.topic})
        found += [
            {"name": "status", "valueCode": self.status},
            {"name": "type", "valueCode": self.type},
            {"name": "events-since-subscription-start", "valueString": str(self.total)},
            *(event.part(self.base) for event in self.events),
        ]
        if self.error:
            found.append({"name": "error", "valueCodeableConcept": {"text": self.error}})
        return {
            "resourceType": "Parameters",
            "id": identifier,
            "meta": {"profile": [v.STATUS]},
            "parameter": found,
        }

    def bundle(self, identifier: str, at: str | None) -> Resource:
        """Return the Bundle of a notification or of ``$events``.

        ``identifier`` is the same each time that a notification is sent; ``at`` is an instant.
        """
        own = self.id_of(identifier)
        first = {
            "fullUrl": f"{UUID_URN}{own}",
            "resource": self.parameters(own),
            "request": {"method": "GET", "url": f"{self.url}/$status"},
            "response": {"status": "200"},
        }
        return {
            "resourceType": "Bundle",
            "id": identifier,
            "meta": {"profile": [v.NOTIFICATION]},
            "type": "history",
            **({"timestamp": at} if at else {}),
            "entry": [first, *_distinct(self.events, self.base)],
        }


def statuses(found: Sequence[SubscriptionStatus], base: str, query: str) -> Resource:
    """Return the searchset of ``$status``."""
    entries = []
    for one in found:
        own = one.id_of("$status")
        entries.append(
            {
                "fullUrl": f"{UUID_URN}{own}",
                "resource": one.parameters(own),
                "search": {"mode": "match"},
            }
        )
    made: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": f"{base}/{query}"}],
    }
    return {**made, "entry": entries} if entries else made


def _distinct(events: Sequence[NotificationEvent], base: str) -> Iterator[Resource]:
    """Yield the entries of events; what goes with several of them is there once."""
    told: set[tuple[str, str]] = set()
    for event in events:
        for entry in event.entries(base):
            key = (entry["fullUrl"], entry["request"]["method"])
            if entry["request"]["method"] != "GET" or key not in told:
                told.add(key)
                yield entry


def _reference(name: str, url: str) -> Resource:
    return {"name": name, "valueReference": {"reference": url}}
