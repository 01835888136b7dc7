"""A summary as CDA, with the sections of the International Patient Summary (CDA R2).

Sections have the codes of IPS and the words that the FHIR document has as well. Results and other
structured statements are entries; for what documents say in words an act refers to each of them. It
claims no template of IPS, which demands what documents do not always say.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree

from xds.content.forms import cda_header
from xds.content.forms.blocks import Block
from xds.content.forms.narratives import cda
from xds.content.forms.settings import MakingOrganisation
from xds.content.reading.fhir.statements import statement_of
from xds.content.reading.model import ContentPatient
from xds.content.reading.rules import ReadingRules
from xds.content.summary import cda_results, cda_statements, narratives
from xds.content.summary.gathering import gathered
from xds.content.summary.model import PatientSummary, SummaryNarrative, SummarySection
from xds.content.summary.sections import COMMENT, PATIENT_SUMMARY
from xds.metadata.datatypes import CX
from xds.metadata.objects import Code
from xds.on_demand.forms import FormRequest
from xds.rendering.cda_elements import ROOT, XSI, Element, code, element, instance, time

_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_GENDERS: Final = {"M": "M", "F": "F", "O": "UN"}
_GENDER: Final = "2.16.840.1.113883.5.1"


def build(request: FormRequest, rules: ReadingRules, organisation: MakingOrganisation) -> bytes:
    """Return the summary; one of a patient of whom nothing is known says just that."""
    summary = gathered(request, rules)
    sections = [_section(one) for one in summary.shown]
    about = _written(COMMENT, narratives.ABOUT, narratives.about(summary, request.made))
    body = element(
        "structuredBody",
        *(element("component", one) for one in (*sections, element("section", *about))),
    )
    made = element(ROOT, *_header(request, summary, organisation), element("component", body))
    etree.cleanup_namespaces(made, top_nsmap={"xsi": XSI})
    document: bytes = etree.tostring(made, xml_declaration=True, encoding="UTF-8")
    return document


def _header(
    request: FormRequest, summary: PatientSummary, organisation: MakingOrganisation
) -> Iterator[Element]:
    made = request.made
    yield from cda_header.beginning((), request.unique_id, PATIENT_SUMMARY, narratives.TITLE, made)
    yield code("confidentialityCode", Code(summary.confidentiality, _CONFIDENTIALITY))
    yield element("languageCode", code="en")
    yield _record_target(summary.patient, summary.patient_id)
    yield cda_header.device(organisation, made=made)
    yield cda_header.custodian(organisation)
    start, stop = summary.period
    period = element("effectiveTime", time("low", start), time("high", stop))
    yield element("documentationOf", element("serviceEvent", period, classCode="PCPR"))


def _record_target(known: ContentPatient, patient_id: str) -> Element:
    numbers = dict.fromkeys((*known.identifiers, patient_id))
    parts = (("given", known.given), ("family", known.family))
    said = [element(tag, text) for tag, text in parts if text] or [known.name]
    is_named = bool(known.family or known.given or known.name)
    sex = _GENDERS.get(known.sex, "")
    return element(
        "recordTarget",
        element(
            "patientRole",
            *(one for number in numbers if number for one in _number(number)),
            element("addr", known.address) if known.address else element("addr", nullFlavor="UNK"),
            element("telecom", nullFlavor="UNK"),
            element(
                "patient",
                element("name", *said) if is_named else element("name", nullFlavor="UNK"),
                code("administrativeGenderCode", Code(sex, _GENDER))
                if sex
                else element("administrativeGenderCode", nullFlavor="UNK"),
                time("birthTime", known.birth_date[:8]),
            ),
        ),
    )


def _number(cx: str) -> Iterator[Element]:
    try:
        found = CX.parse(cx)
    except ValueError:
        return
    yield instance("id", found.assigning_authority, found.id_number)


# --- sections ------------------------------------------------------------------------------------


def _section(section: SummarySection) -> Element:
    written = _written(
        section.row.code, section.row.code.display_name, narratives.section_blocks(section)
    )
    entries = [*_entries(section)]
    # so that nobody takes it for known that there is nothing (CDA R2, nullFlavor of a section)
    return element("section", *written, *entries, nullFlavor=None if entries else "NI")


def _written(title_code: Code, title: str, said: Sequence[Block]) -> list[Element]:
    return [
        code("code", title_code),
        element("title", title),
        element("text", *cda(said)),
    ]


def _entries(section: SummarySection) -> Iterator[Element]:
    for result in section.results:
        unique_ids = [one.entry.unique_id or "" for one in result.sources]
        made = cda_results.observation(result.found, unique_ids)
        yield element("entry", made, typeCode="DRIV")
    for one in section.statements:
        unique_ids = [each.entry.unique_id or "" for each in one.sources]
        yield element("entry", cda_statements.statement(one.found, unique_ids), typeCode="DRIV")
    for said in section.narratives:
        stated = [*_stated(said)]
        yield from stated
        if not stated or len(stated) < len(said.resources):
            yield element("entry", _act(said), typeCode="DRIV")


def _stated(said: SummaryNarrative) -> Iterator[Element]:
    """Yield what resources of a FHIR document state, as entries."""
    fhir = said.sources[0].fhir
    if fhir is None:
        return
    for one in said.resources:
        if (found := statement_of(fhir, one.entry)) is not None:
            unique_ids = [each.entry.unique_id or "" for each in one.sources]
            made = cda_statements.statement(found, unique_ids)
            yield element("entry", made, typeCode="DRIV")


def _act(said: SummaryNarrative) -> Element:
    """Return what stands for words of documents."""
    return element(
        "act",
        element("code", element("originalText", said.title), nullFlavor="OTH"),
        element("text", f"From {'; '.join(one.label for one in said.sources)}"),
        element("statusCode", code="completed"),
        *(cda_results.excerpt(one.entry.unique_id or "") for one in said.sources),
        classCode="ACT",
        moodCode="EVN",
    )
