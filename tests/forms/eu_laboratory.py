"""What the EU laboratory report (hl7.fhir.eu.laboratory 2.0.0) demands of a document, as checks."""

from collections.abc import Iterator
from typing import Any, Final

from xds.content.forms.eu_laboratory import COMPOSITION_TO_REPORT, REPORT_TO_COMPOSITION
from xds.fhir.r4 import structure

_DATA: Final = "value"


def breaches(bundle: dict[str, Any]) -> list[str]:
    """Return what a Bundle breaks: of R4, and of the invariants of Bundle-eu-lab."""
    told = [f"R4: {one.diagnostics}" for one in structure.problems(bundle, expected="Bundle")]
    return [*told, *_breaches(bundle)]


def of_type(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the resources of a type."""
    found = [one["resource"] for one in bundle["entry"]]
    return [one for one in found if one["resourceType"] == kind]


def _breaches(bundle: dict[str, Any]) -> Iterator[str]:
    compositions, reports = (of_type(bundle, one) for one in ("Composition", "DiagnosticReport"))
    if bundle["type"] != "document" or not bundle.get("identifier") or not bundle.get("timestamp"):
        yield "Bundle-eu-lab: type, identifier and timestamp"
    if bundle["entry"][0]["resource"] not in compositions or len(compositions) != 1:
        yield "one-comp"
    if len(reports) != 1:
        yield "one-dr"
    (composition,), (report,) = compositions[:1], reports[:1]
    if composition["identifier"] not in report["identifier"]:
        yield "dr-comp-identifier"
    if composition["type"] != report["code"]:
        yield "dr-comp-type"
    if composition["category"] != report["category"]:
        yield "dr-comp-category"
    if composition["subject"] != report["subject"]:
        yield "dr-comp-subj"
    if composition.get("encounter") != report.get("encounter"):
        yield "dr-comp-enc"
    by_url = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
    if _extended(composition, COMPOSITION_TO_REPORT, by_url) is not report:
        yield "the Composition leads to the report"
    if _extended(report, REPORT_TO_COMPOSITION, by_url) is not composition:
        yield "the report leads to the Composition"
    yield from _of_references(bundle, by_url)
    yield from _of_sections(composition, by_url)
    for one in of_type(bundle, "Observation"):
        codes = [c["code"] for concept in one["category"] for c in concept["coding"]]
        if codes != ["laboratory"]:
            yield "Observation.category is laboratory"
        if not one.get("performer"):
            yield "Observation.performer"
        has_value = any(name.startswith(_DATA) for name in one)
        if has_value is ("dataAbsentReason" in one):
            yield "eu-lab-1: a value, or why there is none"


def _extended(resource: dict[str, Any], url: str, by_url: dict[str, Any]) -> object:
    found = [one for one in resource.get("extension", ()) if one["url"] == url]
    return by_url.get(found[0]["valueReference"]["reference"]) if len(found) == 1 else None


def _of_references(bundle: dict[str, Any], by_url: dict[str, Any]) -> Iterator[str]:
    reached = set()
    pending: list[Any] = [bundle["entry"]]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if "reference" in one:
                reached.add(one["reference"])
                if one["reference"] not in by_url:
                    yield f"a reference to {one['reference']}, which is not in the document"
            pending += one.values()
        elif isinstance(one, list):
            pending += one
    for url in by_url.keys() - reached:
        if by_url[url]["resourceType"] != "Composition":
            yield f"nothing refers to {by_url[url]['resourceType']} {url}"


def _of_sections(composition: dict[str, Any], by_url: dict[str, Any]) -> Iterator[str]:
    for section in composition["section"]:
        if not section.get("code") or not section.get("title"):
            yield "a section has title and code"
        for leaf in section.get("section", ()):
            if "section" in leaf:
                yield "sections have two levels"
            kinds = {by_url[one["reference"]]["resourceType"] for one in leaf["entry"]}
            if not kinds <= {"Observation", "DiagnosticReport"}:
                yield "a leaf has results"
