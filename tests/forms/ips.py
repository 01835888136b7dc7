"""What the International Patient Summary 2.0 demands of a document, as checks of ours."""

from collections.abc import Iterator
from typing import Any, Final

from tests.forms.eu_laboratory import of_type
from xds.fhir.r4 import structure

REQUIRED: Final = {"10160-0", "48765-2", "11450-4"}
_ENTRIES: Final = {
    "10160-0": {
        *("MedicationStatement", "MedicationRequest"),
        *("MedicationAdministration", "MedicationDispense"),
    },
    "48765-2": {"AllergyIntolerance"},
    "11450-4": {"Condition"},
    "11369-6": {"Immunization"},
    "30954-2": {"Observation", "DiagnosticReport"},
    "47519-4": {"Procedure"},
    "46264-8": {"DeviceUseStatement"},
    "42348-3": {"Consent"},
    "104605-1": {"Flag"},
    "47420-5": {"Condition", "ClinicalImpression", "Observation"},
    "11348-0": {"Condition"},
    "18776-5": {"CarePlan", "ImmunizationRecommendation"},
    "10162-6": {"Observation"},
    "29762-2": {"Observation"},
    "81338-6": set(),
    "8716-3": {"Observation"},
    "48767-8": set(),
}
"""What a section may have, beside a DocumentReference."""


def breaches(bundle: dict[str, Any]) -> list[str]:
    """Return what a Bundle breaks: of R4, and of Bundle-uv-ips and Composition-uv-ips."""
    told = [f"R4: {one.diagnostics}" for one in structure.problems(bundle, expected="Bundle")]
    return [*told, *_of_bundle(bundle), *_of_composition(bundle), *_of_references(bundle)]


def section(bundle: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the one section of a code."""
    found = (one for one in bundle["entry"][0]["resource"]["section"] if code_of(one) == code)
    (only,) = found
    return dict(only)


def code_of(one: dict[str, Any]) -> str:
    """Return the code of a section."""
    return str(one["code"]["coding"][0]["code"])


def _of_bundle(bundle: dict[str, Any]) -> Iterator[str]:
    if bundle["type"] != "document" or not bundle.get("identifier") or not bundle.get("timestamp"):
        yield "Bundle-uv-ips: type, identifier and timestamp"
    if bundle["entry"][0]["resource"]["resourceType"] != "Composition":
        yield "the Composition comes first"
    if len(of_type(bundle, "Composition")) != 1:
        yield "one Composition"
    urls = [one["fullUrl"] for one in bundle["entry"]]
    if len({*urls}) != len(urls):
        yield "a fullUrl stands once"
    for one in bundle["entry"]:
        if one["fullUrl"] != f"urn:uuid:{one['resource']['id']}":
            yield "the fullUrl is that of the id"
    for one in of_type(bundle, "Patient"):
        if not one.get("name") or not (one.get("birthDate") or one.get("_birthDate")):
            yield "Patient-uv-ips: name and birthDate"


def _of_composition(bundle: dict[str, Any]) -> Iterator[str]:
    composition = bundle["entry"][0]["resource"]
    by_url = {one["fullUrl"]: one["resource"] for one in bundle["entry"]}
    if composition["status"] != "final":
        yield "status"
    if code_of({"code": composition["type"]}) != "60591-5":
        yield "type"
    if by_url[composition["subject"]["reference"]]["resourceType"] != "Patient":
        yield "subject"
    for name in ("date", "author", "title", "text"):
        if not composition.get(name):
            yield name
    if "attester" in composition:
        yield "nobody has attested it"
    codes = [code_of(one) for one in composition["section"]]
    if not {*codes} >= REQUIRED or len({*codes}) != len(codes):
        yield "the required sections, each once"
    for one in composition["section"]:
        if not (one.get("title") and one.get("text", {}).get("div")):
            yield "a section has title and text"
        if "section" in one:
            yield "sections have none within"
        is_empty = code_of(one) in REQUIRED and not one.get("entry")
        if is_empty is not bool(one.get("emptyReason")):
            yield "ips-comp-1: entries, or why there are none"
        found = [by_url.get(entry["reference"], {}) for entry in one.get("entry", ())]
        kinds = {resource["resourceType"] for resource in found if resource}
        if not kinds <= _ENTRIES[code_of(one)] | {"DocumentReference"}:
            yield f"{one['title']} has {kinds}"


def _of_references(bundle: dict[str, Any]) -> Iterator[str]:
    urls = {one["fullUrl"] for one in bundle["entry"]}
    reached = set()
    pending: list[Any] = [bundle["entry"]]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if "reference" in one and not str(one["reference"]).startswith("#"):
                reached.add(one["reference"])
                if one["reference"] not in urls:
                    yield f"a reference to {one['reference']}, which is not in the document"
            pending += one.values()
        elif isinstance(one, list):
            pending += one
    for one in bundle["entry"]:
        kind = one["resource"]["resourceType"]
        if one["fullUrl"] not in reached and kind not in ("Composition", "Provenance"):
            yield f"nothing refers to a {kind}"
