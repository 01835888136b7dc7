"""Subscription resources: what a client may ask for, and how a subscription is read (2:3.110.4).

A Subscription of R4 names a topic in the form of the R4 backport, or has a search as its criteria
as R4 itself knows it. Its headers and its secret are never part of what is read.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from xds.dsubm import vocabulary as v
from xds.dsubm.filters import is_search
from xds.dsubm.topics import Topic, topic_of
from xds.fhir.http.negotiation import MediaType
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML

MASK: Final = "********"
"""Stands for the value of a header, which is not read back."""
OWN_SECRET: Final = "urn:xds:fhir:subscription-secret"
_SECRETS: Final = frozenset(
    {OWN_SECRET, "https://www.medplum.com/fhir/StructureDefinition/subscription-secret"}
)
"""Extensions with the key by which deliveries are signed; the second one is Medplum's."""

_FORMS: Final[Mapping[str, str]] = {
    FHIR_JSON: FHIR_JSON,
    "application/json": FHIR_JSON,
    FHIR_XML: FHIR_XML,
    "application/xml": FHIR_XML,
}
_CONTENTS: Final = (v.EMPTY, v.ID_ONLY, v.FULL_RESOURCE)
_CHANNEL: Final = "channel"
_OTHERS: Final = "e-mail, SMS or message"
_NUMBERS: Final = (v.HEARTBEAT, v.TIMEOUT, v.MAX_COUNT)
_HEADER: Final = re.compile(
    r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}):[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)"
)
_FORBIDDEN: Final = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding"),
        *("connection", "keep-alive", "te", "trailer", "upgrade", "expect", "date"),
        *("x-hub-signature", "x-hub-signature-256", "traceparent", "user-agent", "accept-encoding"),
    }
)
"""Headers that the sender itself decides about."""
_FORBIDDEN_STARTS: Final = ("proxy-", "sec-")
_MOST_HEADERS: Final = 20
_SHORTEST_SECRET: Final = 16
_LONGEST_SECRET: Final = 256
_LONGEST_HEARTBEAT: Final = 7 * 24 * 3600
"""Seconds."""
_LONGEST_TIMEOUT: Final = 3600


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What channels may be like here."""

    websockets: bool
    """Whether there are any."""
    heartbeat: int = 1
    """The shortest period in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelWishes:
    """How a subscriber wants to be told."""

    endpoint: str
    """Empty for a websocket, which the client opens."""
    payload: str = ""
    """The media type as the client wrote it; empty where nothing but a signal is wanted."""
    content: str = ""
    """EMPTY, ID_ONLY or FULL_RESOURCE; empty for subscriptions of R4 without a topic."""
    headers: Mapping[str, str]
    secret: str = ""
    heartbeat: int | None = None
    """Seconds."""

    @property
    def form(self) -> str:
        """FHIR_JSON or FHIR_XML."""
        return _FORMS.get(MediaType.parse(self.payload).name, FHIR_JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionWishes:
    """A Subscription that a client wants, as far as that can be told without the registry."""

    topic: Topic | None
    """None where the criteria are a search."""
    criteria: str
    filters: tuple[str, ...]
    channel: ChannelWishes
    ends: int | None
    """Milliseconds since 1970."""


def read(resource: Resource, now: int, limits: ChannelLimits) -> SubscriptionWishes:
    """Read a Subscription that is to be created at ``now`` (milliseconds since 1970).

    Raises Refused with all that is wrong (2:3.110.4.1.3).
    """
    problems = IssueCollector("Subscription")
    if resource.get("status") != v.REQUESTED:
        told = "a new Subscription has the status requested"
        problems.error("business-rule", told, "status", status=422)
    if resource.get("modifierExtension"):
        told = "no modifierExtension of a Subscription is known here"
        problems.error("extension", told, "modifierExtension", status=422)
    criteria = resource.get("criteria", "")
    of_search, topic = is_search(criteria), topic_of(criteria)
    filters = filters_of(resource)
    if not criteria:
        problems.error("required", "is missing", "criteria")
    elif not (of_search or topic):
        told = (
            "no topic of this server; [base]/Basic?code=SubscriptionTopic finds those that it has"
        )
        problems.error("not-supported", told, "criteria", status=422)
    if of_search and filters:
        told = "filters are for topics; a search has all that is asked for in itself"
        problems.error("business-rule", told, "criteria", status=422)
    made = SubscriptionWishes(
        topic=topic,
        criteria=criteria,
        filters=filters,
        channel=_channel(resource, problems, limits, of_topic=not of_search),
        ends=_end(resource, now, problems),
    )
    problems.raise_if_any()
    return made


def filters_of(resource: Resource) -> tuple[str, ...]:
    """Return the filters of a Subscription as they are written."""
    return tuple(map(str, _values(resource.get("_criteria"), v.FILTER)))


def _end(resource: Resource, now: int, problems: IssueCollector) -> int | None:
    end = resource.get("end")
    if end is None:
        return None
    try:
        ends = milliseconds(end)
    except ValueError:
        problems.error("value", "there is no such time", "end")
        return None
    if ends <= now:
        problems.error("business-rule", "the end is in the past", "end", status=422)
    return ends


def _channel(
    resource: Resource, problems: IssueCollector, limits: ChannelLimits, *, of_topic: bool
) -> ChannelWishes:
    channel = resource[_CHANNEL]
    is_other = any(_values(channel.get("_type"), v.CHANNEL_TYPE))
    known = (v.REST_HOOK, v.WEBSOCKET) if limits.websockets else (v.REST_HOOK,)
    if channel.get("type") not in known or is_other:
        others = _OTHERS if limits.websockets else f"{v.WEBSOCKET}, {_OTHERS}"
        told = f"this server tells by {' or '.join(known)}: not by {others}"
        problems.error("not-supported", told, "channel.type", status=422)
    endpoint = channel.get("endpoint", "")
    if channel.get("type") == v.WEBSOCKET:
        _check_websocket(channel, problems)
    elif not endpoint:
        problems.error("required", "a rest-hook needs an endpoint", "channel.endpoint", status=422)
    payload, content = _payload(channel, problems, of_topic=of_topic)
    numbers = _numbers(channel, problems, limits.heartbeat)
    return ChannelWishes(
        endpoint=endpoint,
        payload=payload,
        content=content,
        headers=_headers(channel, problems),
        secret=_secret(channel, problems),
        heartbeat=numbers.get(v.HEARTBEAT),
    )


def _check_websocket(channel: Resource, problems: IssueCollector) -> None:
    """Note what makes no sense where nothing is sent to an address."""
    for name in ("endpoint", "header"):
        if channel.get(name):
            told = f"a {v.WEBSOCKET}, which the client opens, has none"
            problems.error("business-rule", told, f"channel.{name}", status=422)
    if any(one.get("url") in _SECRETS for one in _extensions(channel)):
        told = f"what a {v.WEBSOCKET} tells is not signed"
        problems.error("business-rule", told, f"{_CHANNEL}.extension", status=422)


def _payload(channel: Resource, problems: IssueCollector, *, of_topic: bool) -> tuple[str, str]:
    payload = channel.get("payload", "")
    contents = [*_values(channel.get("_payload"), v.PAYLOAD_CONTENT)]
    if payload:
        given = MediaType.parse(payload)
        is_known = given.name in _FORMS and given.is_this_version
        if not is_known or not given.parameters.keys() <= {"fhirversion", "charset"}:
            told = f"the payload has to be {FHIR_JSON} or {FHIR_XML}, of FHIR 4.0"
            problems.error("not-supported", told, "channel.payload", status=422)
    elif of_topic:
        problems.error(
            "required", "a subscription to a topic needs it", "channel.payload", status=422
        )
    if len(contents) > 1 or (contents and contents[0] not in _CONTENTS):
        told = f"the content has to be one of {', '.join(_CONTENTS)}"
        problems.error("not-supported", told, "channel.payload", status=422)
    elif of_topic and not contents:
        told = f"the extension {v.PAYLOAD_CONTENT} is missing"
        problems.error("required", told, "channel.payload", status=422)
    elif contents and not of_topic:
        told = "the content can be chosen for topics only"
        problems.error("not-supported", told, "channel.payload", status=422)
    return payload, contents[0] if contents else ""


def _numbers(channel: Resource, problems: IssueCollector, heartbeat: int) -> dict[str, int]:
    """Return the numbers among the extensions of a channel; ``heartbeat`` is the shortest one."""
    found: dict[str, int] = {}
    limits = {v.HEARTBEAT: _LONGEST_HEARTBEAT, v.TIMEOUT: _LONGEST_TIMEOUT}
    for url in _NUMBERS:
        values = [*_values(channel, url)]
        for value in values:
            name = url.rpartition("/backport-")[2]
            most = limits.get(url)
            if type(value) is not int or value < 1 or len(values) > 1:
                told = f"{name} is to be one number of 1 or more"
                problems.error("value", told, f"{_CHANNEL}.extension", status=422)
            elif most and value > most:
                told = f"{name} can be {most} seconds at most"
                problems.error("value", told, f"{_CHANNEL}.extension", status=422)
            elif url == v.HEARTBEAT and value < heartbeat:
                told = f"{name} has to be {heartbeat} seconds or more"
                problems.error("value", told, f"{_CHANNEL}.extension", status=422)
            else:
                found[url] = value
    return found


def heartbeat_of(kept: Resource) -> int | None:
    """Return the seconds of ``backport-heartbeat-period`` of what is kept of a Subscription."""
    found: int | None = next(_values(kept[_CHANNEL], v.HEARTBEAT), None)
    return found


def _headers(channel: Resource, problems: IssueCollector) -> dict[str, str]:
    found: dict[str, str] = {}
    given = channel.get("header", ())
    for index, text in enumerate(given):
        match = _HEADER.fullmatch(text.strip())
        place = f"channel.header[{index}]"
        if match is None:
            problems.error("invalid", "not of the form Name: value, in ASCII", place, status=422)
            continue
        name, value = match.groups()
        if name.lower() in _FORBIDDEN or name.lower().startswith(_FORBIDDEN_STARTS):
            problems.error("business-rule", "this header may not be set", place, status=422)
        elif name.lower() in map(str.lower, found):
            problems.error("duplicate", "this header is there twice", place, status=422)
        elif value == MASK:
            problems.error("value", "the value is the mask of one that was read", place, status=422)
        else:
            found[name] = value
    if len(given) > _MOST_HEADERS:
        problems.error(
            "too-costly", f"more than {_MOST_HEADERS} headers", "channel.header", status=422
        )
    return found


def _secret(channel: Resource, problems: IssueCollector) -> str:
    found = [
        one.get("valueString", "") for one in _extensions(channel) if one.get("url") in _SECRETS
    ]
    if not found:
        return ""
    if len(found) > 1 or not _SHORTEST_SECRET <= len(found[0]) <= _LONGEST_SECRET:
        told = f"a secret is one text of {_SHORTEST_SECRET} to {_LONGEST_SECRET} characters"
        problems.error("value", told, f"{_CHANNEL}.extension", status=422)
    return str(found[0])


def _extensions(element: Resource | None) -> Sequence[Resource]:
    found: Sequence[Resource] = (element or {}).get("extension") or ()
    return found


def _values(element: Resource | None, url: str) -> Iterator[Any]:
    """Yield the values of the extensions of an element that have a URL."""
    for one in _extensions(element):
        if one.get("url") == url:
            yield next((value for name, value in one.items() if name.startswith("value")), None)


def milliseconds(instant: str) -> int:
    """Return an instant of FHIR as milliseconds since 1970."""
    moment = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def instant(at: int) -> str:
    """Return milliseconds since 1970 as an instant."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- what is kept of it --------------------------------------------------------------------------

_OF_SERVER: Final = frozenset({"id", "meta", "status", "error", "end", "text"})
"""What the server says itself, or what says nothing beside the rest."""


def kept(resource: Resource) -> Resource:
    """Return what is kept of a Subscription: without secrets, and without what changes."""
    channel = dict(resource[_CHANNEL])
    if headers := channel.get("header"):
        channel["header"] = [f"{text.partition(':')[0].strip()}: {MASK}" for text in headers]
    left = [one for one in _extensions(channel) if one.get("url") not in _SECRETS]
    channel = {name: value for name, value in channel.items() if name != "extension"}
    if left:
        channel["extension"] = left
    others = {name: value for name, value in resource.items() if name not in _OF_SERVER}
    return {**others, _CHANNEL: channel}


def fingerprint(resource: Resource, salt: str = "") -> str:
    """Return by what secrets of a Subscription are recognised that is sent again; empty for none.

    It is ``salt$scrypt``, so that a short password cannot be guessed from it either.
    """
    channel = resource[_CHANNEL]
    told = [text.strip() for text in channel.get("header", ())]
    told += [
        one.get("valueString", "") for one in _extensions(channel) if one.get("url") in _SECRETS
    ]
    if not told:
        return ""
    salt = salt or secrets.token_hex(8)
    digest = hashlib.scrypt("\n".join(told).encode(), salt=salt.encode(), n=1 << 14, r=8, p=1)
    return f"{salt}${digest[:16].hex()}"


def is_same(given: Resource, stored: Resource, known: str) -> bool:
    """Tell whether a Subscription that is sent says what is kept, but for its status.

    ``known`` is the fingerprint of the secrets: a client may send them again, or what it has read.
    """
    if kept(given) != stored:
        return False
    channel = given[_CHANNEL]
    masked = all(text.partition(":")[2].strip() == MASK for text in channel.get("header", ()))
    has_secret = any(one.get("url") in _SECRETS for one in _extensions(channel))
    if masked and not has_secret:
        return True
    return fingerprint(given, known.partition("$")[0]) == known
