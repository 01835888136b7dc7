"""Resource Subscription Search [ITI-113]: find, read, ``$status``, ``$events`` (2:3.113).

A client finds its own subscriptions. One whose caller nobody vouches for is known by its address
alone; it can read any Subscription whose id it knows, since the id cannot be guessed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from xds.dsubm import searching
from xds.dsubm import vocabulary as v
from xds.dsubm.iti110_subscription import details_of
from xds.dsubm.notifications import SubscriptionStatus, statuses
from xds.dsubm.rendering import EventWriter
from xds.dsubm.resources import instant, milliseconds
from xds.dsubm.subscriptions import DELETED, PROTOCOL, FhirSubscription, engine, managed, visible
from xds.fhir.capability import websocket_url
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome
from xds.fhir.search import searchset
from xds.fhir.search.parameters import Searchable, SearchParameter
from xds.notification.binding import BindingTokens
from xds.notification.model import SubscriptionState, UnknownSubscription, WrongState
from xds.notification.rights import owner_of
from xds.notification.subscriptions import SubscriptionSearch

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_BACKPORT: Final = f"{v.BACKPORT}/SearchParameter/Subscription-"
_STATUSES: Final = (v.REQUESTED, v.ACTIVE, v.ERROR, v.OFF)
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_MOST_SUBSCRIPTIONS: Final = 10_000
MOST_EVENTS: Final = 100
"""How many events ``$events`` gives at once."""
_MOST_RESENT: Final = 1_000
_MOST_BOUND: Final = 1_000


def _row(
    name: str, type_: str, documentation: str, *aliases: str, own: bool = False
) -> SearchParameter:
    base = _BACKPORT if own else _R4 + ("Resource-" if name == "_id" else "Subscription-")
    return SearchParameter(
        name=name,
        type=type_,
        documentation=documentation,
        definition=base + name.removeprefix("_"),
        aliases=aliases,
        modifiers=frozenset({"exact", "contains"}) if type_ == "string" else frozenset(),
    )


SUBSCRIPTIONS: Final = Searchable(
    "Subscription",
    (
        _row("_id", "token", "The id of the resource."),
        _row("status", "token", f"The status: {', '.join(_STATUSES)}."),
        _row("url", "uri", "Where notifications are sent to.", "channel.endpoint"),
        _row("criteria", "string", "How the criteria begin: a topic, or a search."),
        _row("type", "token", "The type of the channel."),
        _row("payload", "token", "The media type of what is sent."),
        _row("filter-criteria", "string", "How a filter begins, in any case.", own=True),
        _row("topic", "uri", "The canonical URL of the topic.", own=True),
    ),
)


def find(facade: Facade, call: Call) -> Answer:
    """Search the subscriptions of the caller."""
    found = _of_caller(facade, call)
    return searching.find(call, SUBSCRIPTIONS, found, _texts, lambda one: one.resource(call.base))


def describe(facade: Facade, call: Call) -> None:
    """Say what is asked."""
    call.access.details = searching.details(call, "Subscription")


def _of_caller(facade: Facade, call: Call) -> list[FhirSubscription]:
    owner = owner_of(call.access.caller)
    wanted = SubscriptionSearch(protocols=(PROTOCOL,), owner=owner)
    found = engine(facade).search(wanted, at_most=_MOST_SUBSCRIPTIONS)
    return [FhirSubscription(one) for one in found if not _is_deleted(one.state, one.reason)]


def _is_deleted(state: SubscriptionState, reason: str) -> bool:
    return state is SubscriptionState.ENDED and reason == DELETED


def _texts(one: FhirSubscription, name: str) -> Iterable[str]:
    kept = one.kept
    channel: Mapping[str, str] = kept["channel"]
    topic = one.topic
    found = {
        "_id": (one.own.id,),
        "status": (one.status,),
        "url": (channel.get("endpoint", ""),),
        "criteria": (kept["criteria"],),
        "type": (channel["type"],),
        "payload": (channel.get("payload", ""),),
        "filter-criteria": tuple(one.filters),
        "topic": topic.urls if topic else (),
    }
    return filter(None, found[name])


def read(facade: Facade, call: Call) -> Answer:
    """Read one Subscription by its id, without what of it is secret."""
    one = managed(facade, call)
    call.access.details = details_of([one])
    return searchset.read(call, SUBSCRIPTIONS, one.resource(call.base))


# --- operations ----------------------------------------------------------------------------------


def _inputs(call: Call, *names: str) -> dict[str, list[str]]:
    """Return the parameters of an operation, of URL or body; Refused for one that it has not."""
    found: dict[str, list[str]] = {name: [] for name in names}
    given = [(n, value) for n, value in call.parameters if n not in ("_format", "_pretty")]
    for one in call.resource.get("parameter") or ():
        value = next((value for n, value in one.items() if n.startswith("value")), "")
        given.append((one["name"], str(value)))
    for name, value in given:
        if name not in found:
            told = f"the operation takes {', '.join(names)}"
            raise Refused.because(400, "not-supported", told, f"http.{name[:100]}")
        found[name] += [piece for piece in value.split(",") if piece]
    return found


def status(facade: Facade, call: Call) -> Answer:
    """Answer ``$status``: of one subscription, or of those of the caller by id and status."""
    asked = _inputs(call, "id", "status")
    if call.identifier:
        found = [managed(facade, call)]
    else:
        wrong = [one for one in asked["status"] if one not in _STATUSES]
        if wrong:
            raise Refused.because(400, "value", f"not one of {', '.join(_STATUSES)}", "http.status")
        found = [
            one
            for one in _of_caller(facade, call)
            if not asked["id"] or one.own.id in asked["id"]
            if not asked["status"] or one.status in asked["status"]
        ]
    call.access.details = details_of(found)
    place = f"Subscription/{call.identifier}/" if call.identifier else "Subscription/"
    told = [status_of(one, v.QUERY_STATUS) for one in found]
    return Answer(resource=statuses(told, call.base, f"{place}$status"))


def status_of(one: FhirSubscription, type_: str) -> SubscriptionStatus:
    """Return the state of a subscription as it is told."""
    return SubscriptionStatus(
        base=one.base,
        subscription=one.own.id,
        topic=one.topic_url,
        status=one.status,
        type=type_,
        total=one.own.numbered,
        content=one.content,
        error=one.error,
    )


def binding_token(facade: Facade, call: Call) -> Answer:
    """Answer ``$get-ws-binding-token``: a token that binds a websocket to subscriptions.

    They are the one of the path, those named, or all of the caller's that are told by websockets.
    """
    if not facade.config.has_websockets:
        raise Refused.because(422, "not-supported", "this server has no websockets")
    asked = _inputs(call, "id")["id"]
    if call.identifier:
        found = [managed(facade, call)]
    elif asked:
        found = [managed(facade, replace(call, identifier=one)) for one in dict.fromkeys(asked)]
    else:
        found = [one for one in _of_caller(facade, call) if one.is_websocket]
        found = [one for one in found if one.status != v.OFF]
    call.access.details = details_of(found)
    for one in found:
        if not one.is_websocket or one.status == v.OFF:
            told = f"the Subscription {one.own.id} is {v.OFF}, or none of the type {v.WEBSOCKET}"
            raise Refused.because(422, "business-rule", told)
    if not 0 < len(found) <= _MOST_BOUND:
        told = f"a token binds to 1 to {_MOST_BOUND} Subscriptions of the type {v.WEBSOCKET}"
        raise Refused.because(422, "business-rule", told)
    tokens = BindingTokens(facade.domain.database, facade.config.websocket_token_seconds)
    token, expires = tokens.issue([one.own.key for one in found], call.access.commit)
    parameters = [
        {"name": "token", "valueString": token},
        {"name": "expiration", "valueDateTime": instant(expires)},
        *({"name": "subscription", "valueString": one.own.id} for one in found),
        {"name": "websocket-url", "valueUrl": websocket_url(call.base, facade.config)},
    ]
    return Answer(
        resource={"resourceType": "Parameters", "parameter": parameters},
        headers={"Cache-Control": "no-store"},
    )


def _bounds(asked: Mapping[str, Sequence[str]]) -> Iterator[int | None]:
    """Yield the first and the last number that are asked for; Refused for what is none."""
    for name in ("eventsSinceNumber", "eventsUntilNumber"):
        given = asked[name]
        if len(given) > 1 or not all(map(_NUMBER.fullmatch, given)):
            raise Refused.because(400, "value", "not one number of an event", f"http.{name}")
        yield int(given[0]) if given else None


def events(facade: Facade, call: Call) -> Answer:
    """Answer ``$events``: what has been or is to be told, as far as it is kept, the oldest first.

    Their numbers are those of the notifications, and so are the resources what they are now. Not
    more than MOST_EVENTS are given at once: a client goes on from the number behind the last.
    """
    one = managed(facade, call)
    call.access.details = details_of([one])
    asked = _inputs(call, "eventsSinceNumber", "eventsUntilNumber", "content")
    since, until = _bounds(asked)
    content = _content(asked["content"], one)
    after = max((since or 1) - 1, 0)
    found = engine(facade).notifications(one.own, after=after, until=until, at_most=MOST_EVENTS)
    writer = EventWriter(facade.domain.systems, facade.resources)
    with facade.domain.registry.view(visible(facade, one)) as view:
        written = tuple(
            writer.event(notification, view, one.base, content) for notification in found
        )
    told = SubscriptionStatus(
        base=one.base,
        subscription=one.own.id,
        topic=one.topic_url,
        status=one.status,
        type=v.QUERY_EVENT,
        total=one.own.numbered,
        content=content,
        events=written,
        error=one.error,
    )
    name = f"events {since or ''} {until or ''} {content} {one.own.numbered}"
    with facade.domain.database.read() as connection:
        now = instant(facade.domain.database.milliseconds(connection))
    return Answer(resource=told.bundle(told.id_of(name), now))


def _content(asked: Sequence[str], one: FhirSubscription) -> str:
    """Return what is told of events: no more than the subscription has of it."""
    order = (v.EMPTY, v.ID_ONLY, v.FULL_RESOURCE)
    own = one.content or (v.FULL_RESOURCE if one.payload else v.ID_ONLY)
    if not asked:
        return own
    if asked[0] not in order:
        raise Refused.because(400, "value", f"not one of {', '.join(order)}", "http.content")
    return min(asked[0], own, key=order.index)


def resend(facade: Facade, call: Call) -> Answer:
    """Have notifications sent once more, with the same numbers and ids (``$resend``)."""
    one = managed(facade, call)
    call.access.details = details_of([one])
    times = ("eventsSinceInstant", "eventsUntilInstant")
    asked = _inputs(call, "eventsSinceNumber", "eventsUntilNumber", *times)
    since, until = _bounds(asked)
    if asked[times[0]] or asked[times[1]]:
        since, until = _between(facade, one, asked, since or 1, until)
    try:
        count = _sent_again(facade, one, since or 1, until)
    except WrongState:
        told = f"only a Subscription that is {v.ACTIVE} or in {v.ERROR} is sent anything"
        raise Refused.because(422, "business-rule", told) from None
    except UnknownSubscription:
        raise Refused.because(422, "business-rule", "it has ended for good") from None
    issue = Issue(
        code="informational",
        severity="information",
        diagnostics=f"{count} notifications will be sent again, after those that wait",
    )
    return Answer(resource=operation_outcome([issue]))


def _sent_again(facade: Facade, one: FhirSubscription, since: int, until: int | None) -> int:
    """Have notifications sent once more; return how many.

    Those that have taken them by a websocket are told all again from the first one on, in order.
    """
    if not one.is_websocket:
        return engine(facade).resend(one.own.id, since, until)
    last = one.own.delivered
    if until is not None and since <= until < last:
        told = "a websocket is told all that follows as well: leave out the end"
        raise Refused.because(422, "not-supported", told)
    if since > (last if until is None else min(until, last)):
        return 0  # none of them has been taken yet
    engine(facade).replay(one.own.id, since)
    return last - since + 1


def _between(
    facade: Facade,
    one: FhirSubscription,
    asked: Mapping[str, Sequence[str]],
    since: int,
    until: int | None,
) -> tuple[int, int]:
    """Return the first and the last number of the events between two instants."""
    first, last = _instant(asked, "eventsSinceInstant"), _instant(asked, "eventsUntilInstant")
    found: list[int] = []
    after = since - 1
    while part := engine(facade).notifications(
        one.own, after=after, until=until, at_most=MOST_EVENTS
    ):
        found += [
            event.number
            for event in part
            if (first is None or event.at >= first) and (last is None or event.at <= last)
        ]
        after = part[-1].number
        if len(found) > _MOST_RESENT or (last is not None and part[-1].at > last):
            break
    return (found[0], found[-1]) if found else (1, 0)


def _instant(asked: Mapping[str, Sequence[str]], name: str) -> int | None:
    given = asked[name]
    if not given:
        return None
    try:
        return milliseconds(given[0])
    except ValueError:
        raise Refused.because(400, "value", "not an instant", f"http.{name}") from None
