"""One report becomes one document, in one of four forms."""

from collections.abc import Callable
from importlib import import_module

from xds.messaging.model import MessageEnvelope, MessagePatient, MessageReport, RenderedContent
from xds.messaging.rendering.documents import (
    DocumentIdentity,
    RenderedDocument,
    ReportForm,
    ReportSource,
)


def render(
    form: ReportForm,
    report: MessageReport,
    content: RenderedContent,
    patient: MessagePatient,
    envelope: MessageEnvelope,
    identity: DocumentIdentity,
    zone: str = "UTC",
) -> RenderedDocument:
    """Return a report as a document: the same bytes for the same arguments.

    Values of the message stay text: none becomes markup, and no character is lost. What one form
    cannot hold is shown by its code point. Readers see times of day in ``zone``, a name of the IANA
    database, and its abbreviation with them.
    """
    source = ReportSource(
        report=report,
        content=content,
        patient=patient,
        envelope=envelope,
        identity=identity,
        zone=zone,
    )
    return _renderer(form)(source)


def _renderer(form: ReportForm) -> Callable[[ReportSource], RenderedDocument]:
    """Return the function that makes a form.

    Its module is imported when it is needed: that of PDF takes half a second of libraries.
    """
    found: Callable[[ReportSource], RenderedDocument] = import_module(
        f"xds.messaging.rendering.{form}"
    ).render
    return found
