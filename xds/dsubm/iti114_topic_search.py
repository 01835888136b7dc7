"""Resource SubscriptionTopic Search [ITI-114]: the topics that one can subscribe to (2:3.114)."""

from collections.abc import Iterable
from typing import Final

from xds.dsubm import searching
from xds.dsubm import vocabulary as v
from xds.dsubm.topics import BY_ID, TOPICS, Topic, basic, resource_profile
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import versioned
from xds.fhir.r4.resource import Resource
from xds.fhir.search import searchset
from xds.fhir.search.parameters import Searchable, SearchParameter
from xds.security.details import PatientDetails

_SEARCH_PARAMETER: Final = f"{v.DSUBM}/SearchParameter/SubscriptionTopic-"

BASICS: Final = Searchable(
    "Basic",
    (
        SearchParameter(
            name="code",
            type="token",
            documentation="SubscriptionTopic; a search of Basic resources has to have it.",
            definition="http://hl7.org/fhir/SearchParameter/Basic-code",
            finds=True,
        ),
        SearchParameter(
            name="_id",
            type="token",
            documentation="The id of the resource.",
            definition="http://hl7.org/fhir/SearchParameter/Resource-id",
        ),
        SearchParameter(
            name="resource",
            type="uri",
            documentation="The type or the profile of the resources that the topic is about.",
            definition=f"{_SEARCH_PARAMETER}resource",
        ),
        SearchParameter(
            name="derived-or-self",
            type="uri",
            documentation="The canonical URL of the topic; none is derived from another.",
            definition=f"{_SEARCH_PARAMETER}derived-or-self",
        ),
        SearchParameter(
            name="status",
            type="token",
            documentation="The status of the topic; all are active.",
            definition=f"{_SEARCH_PARAMETER}status",
        ),
        SearchParameter(
            name="url",
            type="uri",
            documentation="The canonical URL of the topic.",
            definition=f"{_SEARCH_PARAMETER}url",
        ),
    ),
)


def find(facade: Facade, call: Call) -> Answer:
    """Search topics."""
    return searching.find(call, BASICS, TOPICS, _texts, lambda topic: _resource(topic, call))


def describe(facade: Facade, call: Call) -> None:
    """Say what is asked."""
    call.access.details = searching.details(call, BASICS.resource_type)


def read(facade: Facade, call: Call) -> Answer:
    """Read one topic by the id of its Basic resource."""
    call.access.details = PatientDetails(())
    topic = BY_ID.get(call.identifier)
    return searchset.read(call, BASICS, _resource(topic, call) if topic else None)


def _resource(topic: Topic, call: Call) -> Resource:
    return versioned(basic(topic), call.base)


def _texts(topic: Topic, name: str) -> Iterable[str]:
    found = {
        "code": (f"{v.RESOURCE_TYPES}|{v.SUBSCRIPTION_TOPIC}",),
        "_id": (topic.id,),
        "resource": (resource_profile(topic), topic.resource_type),
        "derived-or-self": topic.urls,
        "status": ("active",),
        "url": topic.urls,
    }
    return found[name]
