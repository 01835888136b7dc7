"""PAGES: a row for each page and each action of the console, and who may have it."""

from typing import Final

from xds.console.pages.clinical import CLINICAL
from xds.console.pages.incoming import INCOMING
from xds.console.pages.logins import LOGINS
from xds.console.pages.row import PRIVACY, ConsolePage
from xds.console.views import activity, home
from xds.console.views.audit import chain as audit_chain
from xds.console.views.audit import records as audit_records
from xds.console.views.deployment import configuration, conformance
from xds.console.views.outgoing import destinations, outbound, queue, subscriptions
from xds.console.views.workbench import page as workbench

_KEY: Final = "{key:int(min=1, max=9223372036854775807)}"


_AUDIT: Final = (
    ConsolePage(
        path="/audit",
        operation=audit_records.show_list,
        title="Audit",
        template="audit.html",
        roles=PRIVACY,
        parameters=audit_records.SHARED,
        menu="Audit",
    ),
    ConsolePage(
        path="/audit",
        operation=audit_records.search,
        title="Audit",
        template="audit.html",
        roles=PRIVACY,
        method="POST",
        parameters=audit_records.CHOICES,
    ),
    ConsolePage(
        path="/audit/export",
        operation=audit_records.export,
        title="Audit",
        template="audit.html",
        roles=PRIVACY,
        method="POST",
        parameters=(*audit_records.CHOICES, "form"),
    ),
    ConsolePage(
        path="/audit/chain",
        operation=audit_chain.show,
        title="Audit chain",
        template="audit_chain.html",
        roles=PRIVACY,
    ),
    ConsolePage(
        path="/audit/chain",
        operation=audit_chain.verify,
        title="Audit chain",
        template="audit_chain.html",
        roles=PRIVACY,
        method="POST",
        parameters=("from", "after", "end"),
    ),
    ConsolePage(
        path="/audit/{id:uuid}",
        operation=audit_records.show,
        title="Audit record",
        template="audit_record.html",
        roles=PRIVACY,
    ),
)

_WORKBENCH: Final = (
    ConsolePage(
        path="/workbench",
        operation=workbench.show,
        title="Query workbench",
        template="workbench.html",
        roles=workbench.READERS,
        parameters=("query",),
        menu="Workbench",
    ),
    ConsolePage(
        path="/workbench",
        operation=workbench.ask,
        title="Query workbench",
        template="workbench.html",
        roles=workbench.READERS,
        method="POST",
        parameters=workbench.ASKED,
    ),
)

_DEPLOYMENT: Final = (
    ConsolePage(
        path="/conformance",
        operation=conformance.show,
        title="Conformance",
        template="conformance.html",
        roles=configuration.READERS,
        menu="Conformance",
    ),
    ConsolePage(
        path="/configuration",
        operation=configuration.show,
        title="Configuration",
        template="configuration.html",
        roles=configuration.READERS,
        menu="Configuration",
    ),
)

PAGES: Final = (
    ConsolePage(path="/", operation=home.show, title="Home", template="home.html", menu="Home"),
    *LOGINS,
    *CLINICAL,
    *INCOMING,
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
        path=f"/subscriptions/{_KEY}",
        operation=subscriptions.show,
        title="Subscription",
        template="subscription.html",
        roles=subscriptions.READERS,
    ),
    *(
        ConsolePage(
            path=f"/subscriptions/{_KEY}/{name}",
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
    ConsolePage(
        path="/activity",
        operation=activity.show,
        title="Activity",
        template="activity.html",
        roles=activity.READERS,
        menu="Activity",
    ),
    *_WORKBENCH,
    *_AUDIT,
    *_DEPLOYMENT,
)
"""Every page and action; the navigation has those with a menu, in this order."""
