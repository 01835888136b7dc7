"""A FHIR document read: header, sections, attachments, observations, findings (R4, 3.3)."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from xds.content import fhir_document
from xds.content.reading.fhir import header as fhir_header
from xds.content.reading.fhir import sections as fhir_sections
from xds.content.reading.fhir.observations import observations
from xds.content.reading.fhir.source import FhirSource
from xds.content.reading.model import ContentFinding, ReadDocument
from xds.content.reading.rules import ReadingRules
from xds.fhir.r4 import structure
from xds.fhir.r4.resource import Resource

_MOST_FINDINGS: Final = 20


def read(bundle: Resource, media_type: str, rules: ReadingRules) -> ReadDocument:
    """Read a Bundle of the type document, whatever is wrong in it."""
    source = FhirSource(bundle, rules.systems)
    return ReadDocument(
        kind="fhir",
        media_type=media_type,
        header=fhir_header.header(source),
        sections=tuple(fhir_sections.sections(source)),
        attachments=tuple(fhir_sections.attachments(source)),
        observations=partial(observations, source),
        findings=tuple(_findings(bundle)),
        bundle=bundle,
    )


def _findings(bundle: Resource) -> Iterator[ContentFinding]:
    """Yield what R4 says of the structure, the first few."""
    issues = structure.problems(bundle, expected="Bundle")
    found = [one for one in issues if one.severity != "warning"]
    if not found:
        found = fhir_document.problems(bundle)
    for issue in found[:_MOST_FINDINGS]:
        place = ", ".join(issue.expression)
        yield ContentFinding(code="schema-invalid", message=issue.diagnostics, place=place)
