"""The queries of ITI-120: which subscriptions there are (DSUB Extensions Rev 2.1, 3.120)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from xds.dsub.filters import FILTERS
from xds.dsub.requests import PROTOCOL, PULLED
from xds.dsub.times import moment_of
from xds.dsub.writing import SLOTS, SUBSCRIPTIONS, consumer_of
from xds.errors import TransactionFailure, XDSRegistryError, XDSUnknownStoredQuery
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Slot
from xds.notification.model import LIVING, Subscription, SubscriptionState
from xds.notification.rights import owner_of
from xds.notification.subscriptions import Subscriptions, SubscriptionSearch
from xds.registry.queries.parameters import Arguments, Parameter, ParameterKind, decode, items
from xds.security.caller import Caller

_ID: Final = "$SubscriptionId"
_STATUS: Final = "$SubscriptionStatus"
_URL: Final = "$SubscriptionUrl"
_TOPIC: Final = "$SubscriptionTopic"
_START: Final = "$SubscriptionStartTime"
_END: Final = "$SubscriptionEndTime"
_MOST: Final = 10_000


def _check_status(text: str) -> None:
    if text.rpartition(":")[2] not in ("Approved", "Deprecated"):
        raise ValueError("neither …:Approved nor …:Deprecated")


def _check_time(text: str) -> None:
    moment_of(text, 0)


_STATUS_KIND: Final = ParameterKind("status of a subscription", quoted=True, check=_check_status)
_TIME_KIND: Final = ParameterKind("xs:dateTime", quoted=True, check=_check_time)

_GET: Final = (Parameter(name=_ID, operator=None, required=True, multiple=True),)
_FIND: Final = (
    Parameter(name=_STATUS, operator=None, kind=_STATUS_KIND, required=True, multiple=True),
    Parameter(name=_URL, operator=None, multiple=True),
    Parameter(name=_TOPIC, operator=None, multiple=True),
    Parameter(name=_START, operator=None, kind=_TIME_KIND),
    Parameter(name=_END, operator=None, kind=_TIME_KIND),
)
_OF_FILTERS: Final[Mapping[str, Parameter]] = {
    one.name: replace(one, operator=None, required=False, multiple=True)
    for row in FILTERS.values()
    for one in row.parameters
}
"""The parameters of ITI-52, by which subscriptions are found that have such a value."""


def search(
    subscriptions: Subscriptions, query_id: str, slots: Sequence[Slot], caller: Caller
) -> list[Subscription]:
    """Return the subscriptions that a caller asks for and may manage, the oldest first.

    Who asks by their addresses gets those that may be managed by whoever knows the address; other
    queries find the caller's own. TransactionFailure with the errors of 3.120.4.2.3.
    """
    named = [one._replace(name=f"${one.name.lstrip('$')}") for one in slots]
    if query_id == v.GET_SUBSCRIPTIONS:
        return list(_by_address(subscriptions, decode(named, _GET).all(_ID), caller))
    if query_id != v.FIND_SUBSCRIPTIONS:
        raise TransactionFailure([XDSUnknownStoredQuery(f"no query {query_id} in ITI-120")])
    parameters = (*_FIND, *_OF_FILTERS.values())
    if unknown := [one.name for one in named if one.name not in {p.name for p in parameters}]:
        reason = f"no parameter of FindSubscriptions: {', '.join(unknown)}"
        raise TransactionFailure([XDSRegistryError(reason)])
    arguments = decode(named, parameters)
    own = SubscriptionSearch(protocols=(PROTOCOL, PULLED), owner=owner_of(caller))
    found = subscriptions.search(own, at_most=_MOST)
    return [one for one in found if _is_meant(one, arguments)]


def _by_address(
    subscriptions: Subscriptions, addresses: Iterable[str], caller: Caller
) -> Iterable[Subscription]:
    for address in dict.fromkeys(addresses):
        found = subscriptions.get(address.rpartition(f"/{SUBSCRIPTIONS}/")[2])
        is_here = found is not None and found.protocol in (PROTOCOL, PULLED)
        if found is not None and is_here and subscriptions.may_manage(found, caller):
            yield found


def status_of(one: Subscription) -> str:
    """Return the status of a subscription as ITI-120 has it: Deprecated is what tells no more."""
    lives = one.state in LIVING and one.state is not SubscriptionState.OFF
    return v.APPROVED if lives else v.DEPRECATED


def _is_meant(one: Subscription, arguments: Arguments) -> bool:
    asked = {text.rpartition(":")[2] for text in arguments.all(_STATUS)}
    if status_of(one).rpartition(":")[2] not in asked:
        return False
    among = ((_URL, consumer_of(one)), (_TOPIC, one.topic.name))
    if any(name in arguments and value not in arguments.all(name) for name, value in among):
        return False
    if any(one.created < moment_of(text, 0) for text in arguments.all(_START)):
        return False
    if any(one.ends is None or one.ends > moment_of(text, 0) for text in arguments.all(_END)):
        return False
    return all(
        _has_one_of(one, name, group) for name in _OF_FILTERS for group in arguments.groups(name)
    )


def _has_one_of(one: Subscription, name: str, wanted: Sequence[str]) -> bool:
    """Tell whether the filter of a subscription has one of some values for a parameter."""
    texts = [text for slot, values in one.details[SLOTS] if slot == name for text in values]
    return any(value in wanted for text in texts for value, _ in items(text))
