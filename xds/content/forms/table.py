"""The forms of one deployment: a row for each.

What needs libraries that take long to import is imported when it is asked for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xds import __version__
from xds.content.forms import eu_laboratory, marks
from xds.content.forms import settings as form_settings
from xds.content.forms.cda_header import NORMAL
from xds.content.forms.reading import bare_type, document_of, is_structured
from xds.content.forms.settings import FormSettings, FormSettingsError
from xds.content.forms.xds_sd import ScannedDocumentMaker
from xds.content.reading.rules import PLAIN, ReadingRules
from xds.content.summary import cda, fhir
from xds.content.summary.sections import PATIENT_SUMMARY
from xds.fhir.vocabulary import FHIR_JSON
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry
from xds.on_demand.forms import DocumentForm, DocumentForms, FormRequest, FormType

if TYPE_CHECKING:
    from xds.rendering.pdf_drawing import Conformance

NAMES: Final = ("pdf", "fhir", "xds-sd", "summary", "summary-cda")
"""Of all forms that there are."""
_PDF: Final = FormType(
    "application/pdf", Code(v.MIME_TYPE_SUFFICIENT, v.IHE_FORMAT_CODES, "mimeType Sufficient")
)
_FHIR: Final = FormType(
    FHIR_JSON, Code(v.MIME_TYPE_SUFFICIENT, v.IHE_FORMAT_CODES, "mimeType Sufficient")
)
_IPS: Final = Code("urn:ihe:pcc:ips:2020", v.IHE_FORMAT_CODES, "PCC IPS")
_SUMMARY: Final = FormType(FHIR_JSON, _IPS)
_CDA_SUMMARY: Final = FormType("text/xml", _IPS)
_SUMMARY_ENTRY: Final = {"type_code": PATIENT_SUMMARY, "confidentiality_code": (NORMAL,)}
_OF_RULES: Final = {"class_code", "healthcare_facility_type_code", "practice_setting_code"}
"""What only a deployment can say of a summary: documents differ, and not all may see each."""
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def read(path: Path | None, rules: ReadingRules = PLAIN) -> DocumentForms:
    """Return the forms as the file of the option document_forms has them; FormSettingsError."""
    found = form_settings.read(path, dict.fromkeys(NAMES))
    rows = {one.name: one for one in _rows(found, rules)}
    if asked := {one.form for one in found.rules} - rows.keys():
        why = "needs the table organisation, with name, id and country, and xds_sd.patient_country"
        raise FormSettingsError(f"form {asked.pop()} {why}")
    for rule in found.rules:
        if rows[rule.form].is_of_patient and (absent := _OF_RULES - rule.entry.keys()):
            why = f"needs {', '.join(sorted(absent))} in the table entry of its rule"
            raise FormSettingsError(f"form {rule.form} {why}")
    return DocumentForms(rows, f"{__version__} {found.digest}", found.rules)


def _rows(settings: FormSettings, rules: ReadingRules) -> Iterator[DocumentForm]:
    def pdf(request: FormRequest, conformance: "Conformance" = "PDF/A-2U") -> bytes:
        from xds.content.forms import pdf

        (source,) = request.sources
        document = document_of(source, rules)
        made = pdf.PdfSource(
            document=document,
            entry=source.entry,
            data=source.read() if document.kind == "image" else b"",
            told=marks.converted(source.entry.unique_id or "", request.made),
            made=request.made,
            conformance=conformance,
        )
        return pdf.render(made)

    yield DocumentForm(
        name="pdf",
        title="PDF",
        type_of=lambda entry: _PDF if _is_shown(entry) else None,
        build=pdf,
    )
    yield DocumentForm(
        name="fhir",
        title="FHIR document",
        type_of=lambda entry: _FHIR if is_structured(entry) or entry.source_message else None,
        build=lambda request: eu_laboratory.build(request, rules),
    )
    yield DocumentForm(
        name="summary",
        title="Patient summary",
        type_of=lambda entry: _SUMMARY if _is_summarised(entry) else None,
        build=lambda request: fhir.build(request, rules, settings.organisation),
        type=_SUMMARY,
        entry=_SUMMARY_ENTRY,
    )
    yield DocumentForm(
        name="summary-cda",
        title="Patient summary (CDA)",
        type_of=lambda entry: _CDA_SUMMARY if _is_summarised(entry) else None,
        build=lambda request: cda.build(request, rules, settings.organisation),
        type=_CDA_SUMMARY,
        entry=_SUMMARY_ENTRY,
    )
    if settings.organisation.is_whole and settings.xds_sd.patient_country:
        wrapping = ScannedDocumentMaker(settings, lambda one: pdf(one, "PDF/A-1B"), is_structured)
        yield DocumentForm(
            name="xds-sd",
            title="as XDS-SD",
            type_of=wrapping.type_of,
            build=wrapping.build,
        )


def _is_shown(entry: DocumentEntry) -> bool:
    return is_structured(entry) or bare_type(entry) in {"text/plain", *_PICTURES}


def _is_summarised(entry: DocumentEntry) -> bool:
    return is_structured(entry) or bool(entry.source_message)
