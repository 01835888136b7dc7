"""PAGES: a row for each page and each action of the console, and who may have it."""

from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.pages.row import NOBODY, PRIVACY, READERS, ConsolePage
from xds.console.views import activity, home
from xds.console.views.audit import chain as audit_chain
from xds.console.views.audit import records as audit_records
from xds.console.views.clinical import documents, patients, searching
from xds.console.views.deployment import configuration, conformance
from xds.console.views.incoming import feeds, messages, submissions
from xds.console.views.logins import at_provider, logging_in
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
    ConsolePage(
        path="/login",
        operation=logging_in.show,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("next",),
    ),
    ConsolePage(
        path="/login",
        operation=logging_in.log_in,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        method="POST",
        parameters=("name", "password", "next"),
    ),
    ConsolePage(
        path="/openid",
        operation=at_provider.begin,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("next",),
    ),
    ConsolePage(
        path=at_provider.RETURN,
        operation=at_provider.finish,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("code", "state", "error", "iss"),
        ends_login=True,
    ),
    ConsolePage(
        path="/logout",
        operation=logging_in.log_out,
        title="Log out",
        template="logged_out.html",
        method="POST",
    ),
    ConsolePage(
        path="/search",
        operation=searching.find,
        title="Search",
        template="search.html",
        roles=READERS,
        method="POST",
        parameters=("q",),
    ),
    ConsolePage(
        path="/patients/{number:int(min=1, max=9223372036854775807)}",
        operation=patients.show,
        title="Patient",
        template="patient.html",
        roles=READERS,
        parameters=(*patients.FILTERS, "start"),
    ),
    ConsolePage(
        path="/patients/{number:int(min=1, max=9223372036854775807)}/break-glass",
        operation=patients.break_glass,
        title="Break the glass",
        template="break_glass.html",
        roles=frozenset({ConsoleRole.CLINICIAN}),
        method="POST",
        parameters=("reason",),
    ),
    *(
        ConsolePage(
            path=f"/documents/{{uuid:uuid}}{path}",
            operation=operation,
            title=title,
            template=template,
            roles=roles,
        )
        for path, operation, title, template, roles in (
            ("", documents.show, "Document", "document.html", READERS),
            ("/metadata", documents.show_metadata, "Metadata", "metadata.html", READERS),
            ("/relations", documents.show_relations, "Relations", "relations.html", READERS),
            ("/raw", documents.show_raw, "Raw", "raw.html", READERS),
            ("/readers", documents.show_readers, "Who opened it", "readers.html", PRIVACY),
            ("/content", documents.show_content, "Content", "", documents.READERS),
            ("/original", documents.download, "Original", "", documents.READERS),
        )
    ),
    *(
        ConsolePage(
            path=f"/pages/{{uuid:uuid}}{path}",
            operation=operation,
            title="Document",
            roles=documents.READERS,
        )
        for path, operation in (
            ("", documents.show_page),
            ("/original", documents.download),
            ("/attachment/{number:int(min=1, max=999999)}", documents.show_attachment),
        )
    ),
    ConsolePage(
        path="/documents/{uuid:uuid}/check",
        operation=documents.check,
        title="Document",
        template="document.html",
        roles=READERS,
        method="POST",
    ),
    ConsolePage(
        path="/submission-sets/{uuid:uuid}",
        operation=documents.show_submission_set,
        title="Submission set",
        template="package.html",
        roles=READERS,
    ),
    ConsolePage(
        path="/folders/{uuid:uuid}",
        operation=documents.show_folder,
        title="Folder",
        template="package.html",
        roles=READERS,
    ),
    ConsolePage(
        path="/messages",
        operation=messages.show_list,
        title="Messages",
        template="messages.html",
        roles=messages.READERS,
        parameters=(*messages.FILTERS, "before"),
        menu="Messages",
    ),
    ConsolePage(
        path="/messages/{id:uuid}",
        operation=messages.show,
        title="Message",
        template="message.html",
        roles=messages.READERS,
    ),
    ConsolePage(
        path="/messages/{id:uuid}/resend",
        operation=messages.resend,
        title="Message",
        template="message.html",
        roles=messages.READERS,
        method="POST",
    ),
    ConsolePage(
        path="/messages/{id:uuid}/correct",
        operation=messages.correct,
        title="Message",
        template="message.html",
        roles=messages.READERS,
        method="POST",
        parameters=("text",),
    ),
    ConsolePage(
        path="/dead-letters",
        operation=messages.show_dead_letters,
        title="Dead letters",
        template="dead_letters.html",
        roles=messages.READERS,
        menu="Dead letters",
    ),
    ConsolePage(
        path="/dead-letters/resend",
        operation=messages.resend_group,
        title="Send again",
        template="dead_letters_resend.html",
        roles=messages.READERS,
        method="POST",
        parameters=("state", "verdict", "sender", "count"),
    ),
    *(
        ConsolePage(
            path=f"/{title.lower()}",
            operation=operation,
            title=title,
            template=f"{title.lower()}.html",
            roles=roles,
            menu=title,
        )
        for title, operation, roles in (
            ("Submissions", submissions.show, submissions.READERS),
            ("Activity", activity.show, activity.READERS),
            ("Feeds", feeds.show, feeds.READERS),
        )
    ),
    ConsolePage(
        path="/submissions/refused",
        operation=submissions.show_refused,
        title="Refused submissions",
        template="submissions_refused.html",
        roles=submissions.READERS,
        parameters=("after",),
    ),
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
    *_WORKBENCH,
    *_AUDIT,
    *_DEPLOYMENT,
)
"""Every page and action; the navigation has those with a menu, in this order."""
