"""CLINICAL: the rows of patients and documents."""

from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.pages.row import PRIVACY, READERS, ConsolePage
from xds.console.views.clinical import documents, patients, searching

CLINICAL: Final = (
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
        parameters=("start",),
    ),
    ConsolePage(
        path="/folders/{uuid:uuid}",
        operation=documents.show_folder,
        title="Folder",
        template="package.html",
        roles=READERS,
        parameters=("start",),
    ),
)
"""None of them is in the navigation: one comes by the search box."""
