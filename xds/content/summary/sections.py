"""SECTIONS: what a summary has, a row each (International Patient Summary 2.0, Composition-uv-ips).

Sections of documents are told by their LOINC codes, resources by their types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xds.content.reading.model import ContentObservation, ContentStatement
from xds.metadata.objects import Code

LOINC: Final = "2.16.840.1.113883.6.1"
PATIENT_SUMMARY: Final = Code("60591-5", LOINC, "Patient summary Document")
"""What a summary is."""
COMMENT: Final = Code("48767-8", LOINC, "Annotation comment [Interpretation] Narrative")
"""Of the section in which a summary speaks of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySectionRow:
    """One section."""

    name: str
    code: Code
    """Of LOINC; its display is the title."""
    also: frozenset[str] = frozenset()
    """Further LOINC codes by which documents name such a section."""
    types: frozenset[str] = frozenset()
    """The types of FHIR resources that are its statements."""
    is_required: bool = False
    """Whether it is there where nothing is known, and says so."""
    category: str = "laboratory"
    """Of its Observations, of FHIR's observation-category."""


def _row(name: str, loinc: str, title: str, *types: str, **more: object) -> SummarySectionRow:
    return SummarySectionRow(
        name=name,
        code=Code(loinc, LOINC, title),
        types=frozenset(types),
        **more,  # type: ignore[arg-type]
    )


RESULTS: Final = _row(
    "results",
    "30954-2",
    "Results",
    "DiagnosticReport",
    also=frozenset({"18748-4", "26436-6"}),
)
VITAL_SIGNS: Final = _row("vital-signs", "8716-3", "Vital Signs", category="vital-signs")
SECTIONS: Final = (
    _row(
        "medications",
        "10160-0",
        "Medication Summary",
        *("MedicationStatement", "MedicationRequest"),
        *("MedicationAdministration", "MedicationDispense"),
        is_required=True,
        also=frozenset({"10183-2", "29549-3", "42346-7", "56445-0", "57828-6", "75311-1"}),
    ),
    _row(
        "allergies",
        "48765-2",
        "Allergies and Intolerances",
        "AllergyIntolerance",
        is_required=True,
        also=frozenset({"10155-0"}),
    ),
    _row("problems", "11450-4", "Problems", "Condition", is_required=True),
    _row("immunizations", "11369-6", "Immunizations", "Immunization"),
    RESULTS,
    _row("procedures", "47519-4", "History of Procedures", "Procedure"),
    _row("devices", "46264-8", "Medical Devices", "DeviceUseStatement"),
    _row("advance-directives", "42348-3", "Advance Directives", "Consent"),
    _row("alerts", "104605-1", "Alerts", "Flag"),
    _row("functional-status", "47420-5", "Functional Status", "ClinicalImpression"),
    _row("past-illness", "11348-0", "History of Past Illness"),
    _row("plan", "18776-5", "Plan of Care", "CarePlan", also=frozenset({"61146-7"})),
    _row("pregnancy", "10162-6", "History of Pregnancy", category="social-history"),
    _row("social-history", "29762-2", "Social History", category="social-history"),
    _row("story", "81338-6", "Patient Story"),
    VITAL_SIGNS,
)
"""In the order in which a summary has them."""
BY_CODE: Final[Mapping[str, SummarySectionRow]] = {
    code: row for row in SECTIONS for code in (row.code.code, *row.also)
}
BY_TYPE: Final[Mapping[str, SummarySectionRow]] = {
    type_: row for row in SECTIONS for type_ in row.types
}
_PAST_ILLNESS: Final = "past-illness"


def row_of(code: Code | None) -> SummarySectionRow | None:
    """Return the section that a section of a document belongs to, by its code."""
    if code is None or code.coding_scheme != LOINC:
        return None
    return BY_CODE.get(code.code)


def takes(row: SummarySectionRow, resource_type: str) -> bool:
    """Tell whether a resource is a statement of a section."""
    return resource_type in row.types or (
        row.name == _PAST_ILLNESS and resource_type == "Condition"
    )


_BY_CATEGORY: Final[Mapping[str, SummarySectionRow]] = {
    VITAL_SIGNS.code.code: VITAL_SIGNS,
    "vital-signs": VITAL_SIGNS,
    "social-history": BY_CODE["29762-2"],
    "29762-2": BY_CODE["29762-2"],
    "10162-6": BY_CODE["10162-6"],
    "47420-5": BY_CODE["47420-5"],
}


def row_of_result(found: ContentObservation) -> SummarySectionRow:
    """Return the section of a structured result, which is that of results unless it says else."""
    category = found.category.code if found.category is not None else ""
    return _BY_CATEGORY.get(category, RESULTS)


_BY_KIND: Final[Mapping[str, SummarySectionRow]] = {
    "allergy": BY_CODE["48765-2"],
    "condition": BY_CODE["11450-4"],
    "device": BY_CODE["46264-8"],
    "immunization": BY_CODE["11369-6"],
    "medication": BY_CODE["10160-0"],
    "procedure": BY_CODE["47519-4"],
}


def row_of_statement(found: ContentStatement, code: Code | None) -> SummarySectionRow:
    """Return the section of another statement, by the code of the section it stands in."""
    row = row_of(code)
    return row if row is not None and row.name == _PAST_ILLNESS else _BY_KIND[found.kind]
