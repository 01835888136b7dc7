"""OUTGOING: the rows of what goes out."""

from typing import Final

from xds.console.pages.row import KEY, ConsolePage
from xds.console.views.outgoing import destinations, outbound, queue, subscriptions

OUTGOING: Final = (
    ConsolePage(
        path="/queue",
        operation=queue.show,
        title="Queue",
        template="queue.html",
        roles=queue.READERS,
        parameters=(*queue.FILTERS, "start"),
        menu="Queue",
    ),
    ConsolePage(
        path="/queue/given-up",
        operation=queue.show_given_up,
        title="Given up",
        template="queue_given_up.html",
        roles=queue.READERS,
        parameters=(*queue.FILTERS, "start"),
    ),
    ConsolePage(
        path="/queue/retry",
        operation=queue.retry,
        title="Try again",
        template="confirm.html",
        roles=queue.READERS,
        method="POST",
        parameters=(*queue.FILTERS, "id", "count"),
    ),
    ConsolePage(
        path="/queue/drop",
        operation=queue.drop,
        title="Drop",
        template="confirm.html",
        roles=queue.READERS,
        method="POST",
        parameters=(*queue.FILTERS, "id", "dead", "count"),
    ),
    ConsolePage(
        path="/subscriptions",
        operation=subscriptions.show_list,
        title="Subscriptions",
        template="subscriptions.html",
        roles=subscriptions.READERS,
        parameters=("state", "start"),
        menu="Subscriptions",
    ),
    ConsolePage(
        path=f"/subscriptions/{KEY}",
        operation=subscriptions.show,
        title="Subscription",
        template="subscription.html",
        roles=subscriptions.READERS,
    ),
    *(
        ConsolePage(
            path=f"/subscriptions/{KEY}/{name}",
            operation=operation,
            title="Subscription",
            template="subscription.html",
            roles=subscriptions.READERS,
            method="POST",
            parameters=parameters,
        )
        for name, operation, parameters in (
            ("pause", subscriptions.pause, ()),
            ("resume", subscriptions.resume, ()),
            ("replay", subscriptions.replay, ("first", "count")),
            ("end", subscriptions.end, ("count",)),
        )
    ),
    ConsolePage(
        path="/destinations",
        operation=destinations.show_list,
        title="Destinations",
        template="destinations.html",
        roles=destinations.READERS,
        menu="Destinations",
    ),
    ConsolePage(
        path="/destinations/{name}",
        operation=destinations.show,
        title="Destination",
        template="destination.html",
        roles=destinations.READERS,
        parameters=("state", "start"),
    ),
    *(
        ConsolePage(
            path=f"/destinations/{{name}}/{name}",
            operation=operation,
            title="Destination",
            template="destination.html",
            roles=destinations.READERS,
            method="POST",
            parameters=parameters,
        )
        for name, operation, parameters in (
            ("pause", destinations.pause, ()),
            ("resume", destinations.resume, ()),
            ("replay", destinations.replay, ("since", "count")),
            ("retry", destinations.retry, ("count",)),
            ("discard", destinations.discard, ("reason", "count")),
        )
    ),
    ConsolePage(
        path="/destinations/{name}/messages/{id}",
        operation=outbound.show,
        title="Message",
        template="outbound.html",
        roles=destinations.READERS,
    ),
    *(
        ConsolePage(
            path=f"/destinations/{{name}}/messages/{{id}}/{name}",
            operation=operation,
            title="Message",
            template="outbound.html",
            roles=roles,
            method="POST",
            parameters=parameters,
        )
        for name, operation, parameters, roles in (
            ("retry", outbound.retry, (), destinations.READERS),
            ("resend", outbound.resend, (), destinations.READERS),
            ("discard", outbound.discard, ("reason",), destinations.READERS),
            ("correct", outbound.correct, ("text", "reason"), outbound.EDITORS),
        )
    ),
)
"""The queue, subscriptions and destinations."""
