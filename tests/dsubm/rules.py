"""What the R4 backport and DSUBm demand of a notification, written down apart from the program.

(HL7 subscriptions R5 backport 1.1.0: backport-subscription-notification-r4,
backport-subscription-status-r4; DSUBm 2:3.112.4)
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_STATUSES = {
    "handshake": {"requested"},
    "heartbeat": {"active", "error"},
    "event-notification": {"active", "error", "off"},
    "query-status": {"requested", "active", "error", "off"},
    "query-event": {"requested", "active", "error", "off"},
}
_METHODS = {"POST": "201", "PUT": "200", "DELETE": "204", "GET": "200"}


def problems(bundle: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each rule that a notification, or the answer of $events, breaks."""
    return [*_of_bundle(bundle), *_of_status(bundle["entry"][0]["resource"], bundle)]


def _of_bundle(bundle: Mapping[str, Any]) -> Iterator[str]:
    if (bundle["resourceType"], bundle["type"]) != ("Bundle", "history"):
        yield "it is no history"
    first, *others = bundle["entry"]
    if first["resource"]["resourceType"] != "Parameters":
        yield "the first entry is no SubscriptionStatus"
    subscription = _one(first["resource"], "subscription")["valueReference"]["reference"]
    if first["request"] != {"method": "GET", "url": f"{subscription}/$status"}:
        yield "the first request is not that of $status of the subscription"
    for entry in bundle["entry"]:
        method = entry["request"]["method"]
        if entry["response"]["status"] != _METHODS[method]:
            yield f"the response to {method} is {entry['response']['status']}"
        resource = entry.get("resource")
        if resource and entry is not first:
            own = f"{resource['resourceType']}/{resource['id']}"
            if not entry["fullUrl"].endswith(f"/{own}"):
                yield f"the fullUrl is not that of {own}"
    urls = [entry["fullUrl"] for entry in others if entry["request"]["method"] != "GET"]
    for event in _all(first["resource"], "notification-event"):
        parts = {one["name"]: one for one in event["part"]}
        focus = parts.get("focus", {}).get("valueReference", {}).get("reference")
        if others and focus and focus not in urls:
            yield "the focus is in no entry"


def _of_status(status: Mapping[str, Any], bundle: Mapping[str, Any]) -> Iterator[str]:
    names = [one["name"] for one in status["parameter"]]
    for name in ("subscription", "status", "type"):
        if names.count(name) != 1:
            yield f"{name} is there {names.count(name)} times"
    for name in ("topic", "events-since-subscription-start"):
        if names.count(name) > 1:
            yield f"{name} is there more than once"
    kind = _one(status, "type")["valueCode"]
    if _one(status, "status")["valueCode"] not in _STATUSES[kind]:
        yield f"a {kind} has the status {_one(status, 'status')['valueCode']}"
    events = _all(status, "notification-event")
    is_off = _one(status, "status")["valueCode"] == "off"
    if kind == "event-notification" and len(events) != (0 if is_off else 1):
        yield f"it has {len(events)} events"
    if kind in ("handshake", "heartbeat", "query-status") and events:
        yield f"a {kind} has an event"
    if kind in ("handshake", "heartbeat") and len(bundle["entry"]) != 1:
        yield f"a {kind} has more than one entry"
    if not _one(status, "events-since-subscription-start")["valueString"].isdigit():
        yield "the count of events is no number"
    for event in events:
        yield from _of_event(event)


def _of_event(event: Mapping[str, Any]) -> Iterator[str]:
    parts = {one["name"]: one for one in event["part"]}
    if not parts["event-number"]["valueString"].isdigit():
        yield "the number of an event is none"
    if "timestamp" in parts and not _INSTANT.fullmatch(parts["timestamp"]["valueInstant"]):
        yield "the time of an event is no instant"


def _all(status: Mapping[str, Any], name: str) -> list[Any]:
    return [one for one in status["parameter"] if one["name"] == name]


def _one(status: Mapping[str, Any], name: str) -> Any:
    (found,) = _all(status, name)
    return found
