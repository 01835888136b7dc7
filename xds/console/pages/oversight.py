"""AUDIT, LOOKING and DEPLOYMENT: who has done what, charts and queries, what the server is."""

from typing import Final

from xds.console.pages.row import PRIVACY, ConsolePage
from xds.console.views import activity
from xds.console.views.audit import chain as audit_chain
from xds.console.views.audit import records as audit_records
from xds.console.views.deployment import configuration, conformance
from xds.console.views.workbench import page as workbench

AUDIT: Final = (
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
"""The audit records, and the chain that they stand in."""

LOOKING: Final = (
    ConsolePage(
        path="/activity",
        operation=activity.show,
        title="Activity",
        template="activity.html",
        roles=activity.READERS,
        menu="Activity",
    ),
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
"""Charts, and the query workbench."""

DEPLOYMENT: Final = (
    ConsolePage(
        path="/conformance",
        operation=conformance.show,
        title="Conformance",
        template="conformance.html",
        roles=configuration.READERS,
        menu="Conformance",
    ),
    ConsolePage(
        path="/conformance/{table}",
        operation=conformance.show_table,
        title="Conformance",
        template="conformance_table.html",
        roles=configuration.READERS,
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
"""What this deployment answers, and how it is configured."""
