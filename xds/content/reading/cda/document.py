"""A ClinicalDocument read: header, sections, attachments, observations, findings (CDA R2)."""

from functools import partial
from typing import Final

from xds.content import cda
from xds.content.cda_values import Element
from xds.content.document_metadata import gather
from xds.content.reading.cda import body as cda_body
from xds.content.reading.cda import header as cda_header
from xds.content.reading.cda.observations import observations
from xds.content.reading.cda.participations import participations
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.cda.statements import statements
from xds.content.reading.model import ContentFinding, ReadDocument
from xds.content.reading.rules import ReadingRules
from xds.fhir.r4.outcome import Issue

_STYLESHEETS: Final = frozenset(
    {
        "{http://www.w3.org/1999/XSL/Transform}stylesheet",
        "{http://www.w3.org/1999/XSL/Transform}transform",
    }
)
_OF_PATIENT: Final = ("patient_id", "source_patient_id", "source_patient_info", "mime_type")
_ROWS: Final = {name: row for name, row in cda.ROWS.items() if name not in _OF_PATIENT}
"""The attributes of ITI-106 that say something of the document itself."""
SELF_PRESENTING: Final = ContentFinding(
    code="self-presenting",
    message="The document is within a style sheet of its own, which is not run.",
)


def clinical_document(root: Element) -> Element | None:
    """Return the ClinicalDocument that a file is, or that stands alone within a style sheet.

    A style sheet with a document in it presents itself to a browser; here it is never run, and one
    with several documents is none.
    """
    if root.tag == cda.ROOT:
        return root
    if root.tag not in _STYLESHEETS:
        return None
    found = list(root.iter(cda.ROOT))
    return found[0] if len(found) == 1 else None


def read(document: Element, rules: ReadingRules) -> ReadDocument:
    """Read a ClinicalDocument element, whatever is wrong in it."""
    source = CdaSource(document, rules.time_zone)
    gathered = gather(_ROWS, cda.Header(document, rules.time_zone, None))
    body = cda_body.body(source)
    findings: list[ContentFinding] = []
    if document.getparent() is not None:
        findings.append(SELF_PRESENTING)
    return ReadDocument(
        kind="cda",
        media_type=cda.MIME_TYPE,
        header=cda_header.header(source, gathered.values),
        sections=body.sections,
        attachments=body.attachments,
        media=body.media,
        participations=partial(participations, source),
        observations=partial(observations, source),
        statements=partial(statements, source),
        findings=(*findings, *map(_finding, gathered.issues), *_of_schema(document, rules)),
    )


def _of_schema(document: Element, rules: ReadingRules) -> tuple[ContentFinding, ...]:
    return () if rules.cda_schema is None else rules.cda_schema.findings(document)


def _finding(issue: Issue) -> ContentFinding:
    place = ", ".join(issue.expression)
    return ContentFinding(code="metadata", message=issue.diagnostics, place=place)
