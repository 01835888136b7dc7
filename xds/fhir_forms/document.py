"""``DocumentReference/{id}/$document?form=``: a document in another form (docs/documents.md).

The answer is the document that is made, as ITI-68 gives out one that is kept. Nothing is registered
and nothing kept; while the original is as it is, the same request has the same answer.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final

from xds.fhir.exchange import Answer, Call, RawContent
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Refused
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.objects import DocumentEntry
from xds.mhd.document_references import DOCUMENTS
from xds.mhd.served_documents import extension_of
from xds.on_demand.forms import BuiltDocument, DocumentForm, NotConvertible, OnDemandSource
from xds.security.details import RequestedDocument, RetrieveDetails

FORM: Final = "form"
_NOWHERE: Final = "there is no document of this id"


def document(facade: Facade, call: Call) -> Answer:
    """Return a document in the form that is asked for; Refused where it cannot be had."""
    makes = source_of(facade)
    form = asked_form(makes, call)
    entry = _entry(facade, call, call.access.visible)
    asked = _asked_for(entry)
    call.access.details = RetrieveDetails((replace(asked, is_released=False),))
    if facade.domain.withheld([asked.document_unique_id], call.access.visible).unique_ids:
        raise Refused.because(404, "not-found", _NOWHERE)
    try:
        made = makes.of_document(form, entry)
    except NotConvertible as reason:
        raise Refused.because(422, "not-supported", str(reason)) from None
    call.access.details = RetrieveDetails((asked,))
    return answer_of(made, f"{call.identifier}-{form.name}", call)


def describe(facade: Facade, call: Call) -> None:
    """Say which document a request is about, and make nothing; Refused where there is none."""
    asked = _asked_for(_entry(facade, call, ANYTHING))
    call.access.details = RetrieveDetails((replace(asked, is_released=False),))


def source_of(facade: Facade) -> OnDemandSource:
    """Return who makes documents."""
    found = facade.domain.on_demand
    if found is None:
        raise LookupError("FHIR is where documents are made")
    return found


def asked_form(makes: OnDemandSource, call: Call) -> DocumentForm:
    """Return the form that is asked for; Refused where it is none of one document."""
    known = [one.name for one in makes.forms.rows.values() if not one.is_of_patient]
    asked = [value for name, value in call.parameters if name == FORM]
    if len(asked) != 1:
        told = f"the parameter {FORM} names one form: {', '.join(known)}"
        raise Refused.because(400, "required", told, f"http.{FORM}")
    if asked[0] not in known:
        told = f"documents can be had as {', '.join(known)}"
        raise Refused.because(400, "not-supported", told, f"http.{FORM}")
    return makes.forms.rows[asked[0]]


def _asked_for(entry: DocumentEntry) -> RequestedDocument:
    return RequestedDocument(
        entry.repository_unique_id or "", entry.unique_id or "", entry.home_community_id
    )


def _entry(facade: Facade, call: Call, visible: Criterion) -> DocumentEntry:
    with facade.domain.registry.view(visible) as view:
        found = DOCUMENTS.latest(view, call.identifier)
    if not found:
        raise Refused.because(404, "not-found", _NOWHERE)
    entry = found[0].thing
    assert isinstance(entry, DocumentEntry), "a DocumentReference stands for one"
    if entry.is_on_demand:
        raise Refused.because(422, "not-supported", "the document is made on demand itself")
    if entry.repository_unique_id != facade.domain.repository.unique_id:
        told = "the document is kept by another repository"
        raise Refused.because(404, "not-found", told, error_code="XDSUnknownRepositoryId")
    return entry


def answer_of(made: BuiltDocument, name: str, call: Call) -> Answer:
    """Return a document that was made as the answer to a request."""
    mime_type = made.type.mime_type
    made_at = datetime.strptime(made.made, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    headers: Mapping[str, str] = {
        "ETag": f'"{made.hash}"',
        "Last-Modified": formatdate(made_at.timestamp(), usegmt=True),
        "Cache-Control": "private, no-transform",
        # neither a title nor a uniqueId, which may tell of the patient
        "Content-Disposition": f'inline; filename="{name}{extension_of(mime_type)}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Link": f'<{call.base}/document/{call.identifier}>; rel="alternate"',
    }
    if mime_type == "application/pdf":
        headers = {k: one for k, one in headers.items() if k != "Content-Security-Policy"}
    return Answer(content=RawContent(mime_type, made.content), headers=headers)
