"""INTERACTIONS: what this service answers below /fhir, a row each (DSUBm, R4 backport)."""

from collections.abc import Callable
from typing import Final

from xds.config import Config
from xds.dsubm import iti110_subscription as subscribing
from xds.dsubm import iti111_resource_publish as publishing
from xds.dsubm import iti113_subscription_search as finding
from xds.dsubm import iti114_topic_search as topics
from xds.dsubm import vocabulary as v
from xds.dsubm.topics import TOPICS
from xds.fhir.interactions import (
    CREATE,
    DELETE,
    OPERATION,
    READ,
    SEARCH,
    TRANSACTION,
    UPDATE,
    Describer,
    Handler,
    ImplementationGuide,
    Interaction,
)
from xds.metadata.catalogue import ITI_110, ITI_111, ITI_113, ITI_114
from xds.security.scopes import permissions

DSUBM: Final = ImplementationGuide(
    v.IMPLEMENTATION_GUIDE,
    "DSUBm Resource Notification Broker",
    "Notifications by IHE DSUBm 1.0 and the R4 backport of topic-based subscriptions; R4 "
    "Subscriptions with a search of DocumentReference or List as criteria as well. A Subscription "
    "by websocket is active at once; what happens while no client is bound waits for one. One that "
    "is requested again after an error is told what has happened meanwhile, in order; one "
    "that was off begins with what happens from then on. $events gives what is kept.",
)
_BROKER: Final = f"{v.CAPABILITIES}IHE.DSUBm.ResourceNotificationBroker"
_OPTIONS: Final = (
    "",
    ".DocRef.MinUpd",
    ".DocRef.FullEvents",
    ".Folder.Basic",
    ".Folder.MinUpd",
    ".Folder.Upd",
    ".Folder.FullEvents",
)
_SUBSCRIPTION: Final = "/Subscription"
_ONE: Final = f"{_SUBSCRIPTION}/{{id}}"
_READS: Final = permissions(Subscription="r")


def _profiles(_: Config) -> tuple[str, ...]:
    return (v.SUBSCRIPTION, *(v.PROFILE + one.profile for one in TOPICS))


def _has_websockets(config: Config) -> bool:
    return config.has_websockets


def _search(
    name: str, path: str, summary: str, handler: Handler, describer: Describer, **more: object
) -> tuple[Interaction, Interaction]:
    """Return the rows of searches by URL and by form."""
    made: dict[str, object] = {"describer": describer, "guide": DSUBM, **more}
    by_url = Interaction(name, SEARCH, "GET", path, f"{summary}.", handler, path[1:], **made)  # type: ignore[arg-type]
    told = f"{summary}, with the parameters in a form."
    form = f"{path}/_search"
    return by_url, Interaction(name, SEARCH, "POST", form, told, handler, path[1:], **made)  # type: ignore[arg-type]


def _operation(
    name: str,
    handler: Handler,
    summary: str,
    *,
    of_type: bool = False,
    reads: bool = True,
    is_offered: Callable[[Config], bool] = lambda _: True,
) -> tuple[Interaction, ...]:
    """Return the rows of an operation by POST, and by GET where it changes nothing."""
    paths = [f"{_ONE}/${name}", *([f"{_SUBSCRIPTION}/${name}"] if of_type else [])]
    methods = ["POST", *(["GET"] if reads else [])]
    return tuple(
        Interaction(
            ITI_113.name,
            OPERATION,
            method,
            path,
            summary,
            handler,
            "Subscription",
            body="Parameters" if method == "POST" else "",
            needs_body=False,
            describer=subscribing.describe_one if "{id}" in path else finding.describe,
            permissions=_READS if reads else permissions(Subscription="u"),
            definition=f"{v.OPERATION}{name}",
            is_offered=is_offered,
        )
        for path in paths
        for method in methods
    )


INTERACTIONS: Final = (
    Interaction(
        ITI_110.name,
        CREATE,
        "POST",
        _SUBSCRIPTION,
        "Resource Subscription: be told of what happens.",
        subscribing.create,
        "Subscription",
        body="Subscription",
        describer=subscribing.describe,
        permissions=permissions(Subscription="c"),
        guide=DSUBM,
        instantiates=(*(_BROKER + one for one in _OPTIONS), v.CAPABILITY_STATEMENT),
        extension=tuple({"url": v.TOPIC_OF_SERVER, "valueCanonical": one.url} for one in TOPICS),
        profiles=_profiles,
    ),
    Interaction(
        ITI_111.name,
        TRANSACTION,
        "POST",
        "/publish",
        "Resource Publish: tell of what has happened to documents and Lists that are elsewhere.",
        publishing.publish_bundle,
        body="Bundle",
        describer=publishing.describe,
        permissions=permissions(DocumentReference="cud", List="cud"),
        is_answered=lambda config: config.dsubm_publish == "yes",
    ),
    Interaction(
        ITI_110.name,
        UPDATE,
        "PUT",
        _ONE,
        "Turn a Subscription off, or request it again.",
        subscribing.update,
        "Subscription",
        body="Subscription",
        describer=subscribing.describe_one,
    ),
    Interaction(
        ITI_110.name,
        DELETE,
        "DELETE",
        _ONE,
        "End a Subscription for good.",
        subscribing.delete,
        "Subscription",
        describer=subscribing.describe_one,
    ),
    *_search(
        ITI_113.name,
        _SUBSCRIPTION,
        "Resource Subscription Search: the Subscriptions of the client",
        finding.find,
        finding.describe,
        parameters=finding.SUBSCRIPTIONS.parameters,
    ),
    Interaction(
        ITI_113.name, READ, "GET", _ONE, "Read a Subscription.", finding.read, "Subscription"
    ),
    *_operation("status", finding.status, "The state of Subscriptions.", of_type=True),
    *_operation("events", finding.events, "What a Subscription is told of, as far as it is kept."),
    *_operation(
        "get-ws-binding-token",
        finding.binding_token,
        "A token that binds a websocket to Subscriptions.",
        of_type=True,
        is_offered=_has_websockets,
    ),
    *_operation("resend", finding.resend, "Have notifications sent once more.", reads=False),
    *_search(
        ITI_114.name,
        "/Basic",
        "Resource SubscriptionTopic Search: the topics of this server",
        topics.find,
        topics.describe,
        parameters=topics.BASICS.parameters,
    ),
    Interaction(ITI_114.name, READ, "GET", "/Basic/{id}", "Read a topic.", topics.read, "Basic"),
)
