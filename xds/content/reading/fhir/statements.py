"""Resources of FHIR documents as statements, in the model that entries of CDA have (R4).

What a resource says beyond it stays in the resource and in the words of its section.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from xds.content.reading.codes_of_statements import NONE_KNOWN, SEVERITY_CODES
from xds.content.reading.fhir.source import (
    BundleEntry,
    FhirSource,
    choice,
    dtm,
    part,
    parts,
    text,
    texts,
    time_of,
    words,
)
from xds.content.reading.fhir.value import values
from xds.content.reading.model import (
    AllergyReaction,
    ContentStatement,
    ObservationValue,
    StatementKind,
)
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

_SNOMED: Final = "2.16.840.1.113883.6.96"
_ALLERGY_CATEGORIES: Final = frozenset({"food", "medication", "environment"})
_UNSURE: Final = frozenset({"unconfirmed", "presumed", "provisional", "differential"})
"""Of verificationStatus: what nobody may take for certain has no place in a statement."""

Elements = dict[str, Any]


def statement_of(source: FhirSource, entry: BundleEntry) -> ContentStatement | None:
    """Return what a resource states; None where it states nothing that the model has."""
    read = _READERS.get(entry.type)
    if read is None:
        return None
    kind, of_concept, elements = read(source, entry)
    resource = entry.resource
    codes = tuple(source.codes(of_concept))
    name = words(of_concept)
    verified = _coded(resource, "verificationStatus")
    if not name or verified in {*_UNSURE, "entered-in-error"} or _is_in_error(resource):
        return None
    is_none = any(one.code in NONE_KNOWN[kind] for one in codes)
    is_negated = verified == "refuted" or elements["status"] in ("not-done", "not-taken")
    return ContentStatement(
        kind=kind,
        name=name,
        code=codes[0] if codes else None,
        translations=codes[1:],
        is_negated=is_negated and not is_none,
        is_none_known=is_none,
        notes=tuple(filter(None, (text(one, "text") for one in parts(resource, "note")))),
        place=entry.place,
        **elements,
    )


def is_whole(source: FhirSource, entry: BundleEntry) -> bool:
    """Tell whether a resource says nothing beside what is read of it as a statement."""
    known = _ELEMENTS.get(entry.type)
    said = {name for name, value in entry.resource.items() if not _is_absent(value)}
    if known is None or not said <= {*known, *_OF_ANY}:
        return False
    dosage, reaction = (parts(entry.resource, one) for one in ("dosage", "reaction"))
    medicines = source.followed(entry.resource, "medicationReference", entry)
    devices = source.followed(entry.resource, "device", entry)
    return (
        len(dosage) < 2
        and all(one.keys() <= {"text", "site", "route", "doseAndRate"} for one in dosage)
        and all(one.keys() <= {"manifestation", "severity"} for one in reaction)
        and all(one.resource.keys() <= {*_OF_ANY, "code", "status"} for one in medicines)
        and all(one.resource.keys() <= {*_OF_ANY, *_OF_DEVICE} for one in devices)
        # of an Allergy; of a Condition it says in what list it stands, which is its section
        and len(texts(entry.resource, "category")) < 2
        and len(parts(entry.resource, "bodySite")) < 2
        and len(parts(entry.resource, "protocolApplied")) < 2
    )


def _is_absent(value: object) -> bool:
    """Tell whether an element says that it is not known, and nothing else."""
    found = parts(value, "extension")
    only = len(found) == 1 and isinstance(value, dict) and len(value) == 1
    return only and text(found[0], "url").endswith("/data-absent-reason")


_OF_ANY: Final = frozenset(
    {
        *("resourceType", "id", "meta", "text", "identifier", "language", "note", "status"),
        *("subject", "patient", "clinicalStatus", "verificationStatus"),
    }
)
"""Elements that are read, or that tell a resource from others and nothing else."""
_OF_DEVICE: Final = frozenset({"type", "manufacturer", "udiCarrier"})
_ELEMENTS: Final[Mapping[str, frozenset[str]]] = {
    "AllergyIntolerance": frozenset(
        {"code", "type", "category", "criticality", "onsetDateTime", "recordedDate", "reaction"}
    ),
    "Condition": frozenset(
        {"category", "code", "severity", "onsetDateTime", "abatementDateTime", "recordedDate"}
    ),
    "DeviceUseStatement": frozenset(
        {"device", "timingDateTime", "timingPeriod", "recordedOn", "bodySite"}
    ),
    "Immunization": frozenset(
        {
            *("vaccineCode", "occurrenceDateTime", "recorded", "doseQuantity", "route", "site"),
            *("reasonCode", "statusReason", "lotNumber", "manufacturer", "protocolApplied"),
        }
    ),
    "MedicationStatement": frozenset(
        {
            *("medicationCodeableConcept", "medicationReference", "effectiveDateTime"),
            *("effectivePeriod", "dateAsserted", "dosage", "reasonCode"),
        }
    ),
    "Procedure": frozenset(
        {
            *("code", "performedDateTime", "performedPeriod", "bodySite", "reasonCode"),
            "statusReason",
        }
    ),
}
"""Elements that are read of each type."""


def _is_in_error(resource: Resource) -> bool:
    return text(resource, "status") == "entered-in-error"


def _coded(resource: Resource, name: str) -> str:
    codes = (text(one, "code") for one in parts(part(resource, name), "coding"))
    return next(filter(None, codes), "")


def _code(source: FhirSource, concept: Resource) -> Code | None:
    said = words(concept)
    return source.code(concept) or (Code("", "", said) if said else None)


def _times(resource: Resource, name: str) -> Elements:
    kind, value = choice(resource, name)
    if kind == "Period":
        return {"start": dtm(text(value, "start")), "stop": dtm(text(value, "end"))}
    return {"start": time_of(resource, name)}


def _reason(resource: Resource, name: str) -> str:
    found = [part(resource, name)] if part(resource, name) else parts(resource, name)
    return ", ".join(filter(None, map(words, found)))


def _dose(source: FhirSource, thing: Resource, name: str) -> ObservationValue | None:
    found = values(source, thing, name)
    return found[0] if found and found[0].kind in ("quantity", "range") else None


def _quantity(source: FhirSource, quantity: Resource) -> ObservationValue | None:
    return _dose(source, {"valueQuantity": quantity}, "value") if quantity else None


_Read = tuple[StatementKind, Resource, Elements]
"""The kind, what it is about, and what else it says."""


def _condition(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    severity = part(resource, "severity")
    return (
        "condition",
        part(resource, "code"),
        {
            "status": _coded(resource, "clinicalStatus"),
            "start": time_of(resource, "onset"),
            "stop": time_of(resource, "abatement"),
            "recorded": dtm(resource.get("recordedDate")),
            "severity": _code(source, severity),
        },
    )


def _allergy(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    category = next(iter(_ALLERGY_CATEGORIES.intersection(texts(resource, "category"))), "")
    kind, criticality = text(resource, "type"), text(resource, "criticality")
    return (
        "allergy",
        part(resource, "code"),
        {
            "status": _coded(resource, "clinicalStatus") or "active",
            "start": time_of(resource, "onset"),
            "recorded": dtm(resource.get("recordedDate")),
            "category": category,
            "allergy_type": kind if kind in ("allergy", "intolerance") else "",
            "criticality": criticality if criticality in _CRITICALITIES else "",
            "reactions": tuple(
                AllergyReaction(
                    name=words(one), code=source.code(one), severity=_severity(reaction)
                )
                for reaction in parts(resource, "reaction")
                for one in parts(reaction, "manifestation")
                if words(one)
            ),
        },
    )


_CRITICALITIES: Final = frozenset({"low", "high", "unable-to-assess"})


def _severity(reaction: Resource) -> Code | None:
    said = text(reaction, "severity")
    known = SEVERITY_CODES.get(said)
    return Code(known, _SNOMED, said.capitalize()) if known is not None else None


def _medication(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    concept = part(resource, "medicationCodeableConcept")
    for one in source.followed(resource, "medicationReference", entry):
        concept = part(one.resource, "code")
    (dosage, *more) = parts(resource, "dosage") or [{}]
    rate = next(iter(parts(dosage, "doseAndRate")), {})
    return (
        "medication",
        concept,
        {
            "status": text(resource, "status"),
            **_times(resource, "effective"),
            "recorded": dtm(resource.get("dateAsserted")),
            "dose": None if more else _dose(source, rate, "dose"),
            "dosage": "; ".join(filter(None, (text(one, "text") for one in (dosage, *more)))),
            "route": _code(source, part(dosage, "route")),
            "site": _code(source, part(dosage, "site")),
            "reason": _reason(resource, "reasonCode"),
        },
    )


def _immunization(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    applied = next(iter(parts(resource, "protocolApplied")), {})
    maker = text(part(resource, "manufacturer"), "display")
    for one in source.followed(resource, "manufacturer", entry):
        maker = text(one.resource, "name") or maker
    return (
        "immunization",
        part(resource, "vaccineCode"),
        {
            "status": text(resource, "status"),
            "start": time_of(resource, "occurrence"),
            "recorded": dtm(resource.get("recorded")),
            "dose": _quantity(source, part(resource, "doseQuantity")),
            "route": _code(source, part(resource, "route")),
            "site": _code(source, part(resource, "site")),
            "reason": _reason(resource, "reasonCode") or _reason(resource, "statusReason"),
            "lot": text(resource, "lotNumber"),
            "maker": maker,
            "sequence": text(applied, "doseNumberPositiveInt"),
        },
    )


def _procedure(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    site = next(iter(parts(resource, "bodySite")), {})
    return (
        "procedure",
        part(resource, "code"),
        {
            "status": text(resource, "status"),
            **_times(resource, "performed"),
            "site": _code(source, site),
            "reason": _reason(resource, "reasonCode") or _reason(resource, "statusReason"),
        },
    )


def _device(source: FhirSource, entry: BundleEntry) -> _Read:
    resource = entry.resource
    device = next(source.followed(resource, "device", entry), None)
    found = device.resource if device is not None else {}
    names = [text(one, "name") for one in parts(found, "deviceName")]
    concept = part(found, "type")
    if not words(concept) and any(names):
        concept = {"text": next(filter(None, names))}
    return (
        "device",
        concept,
        {
            "status": text(resource, "status"),
            **_times(resource, "timing"),
            "recorded": dtm(resource.get("recordedOn")),
            "site": _code(source, part(resource, "bodySite")),
            "maker": text(found, "manufacturer"),
            "identifiers": tuple(
                filter(None, (source.identifier(one) for one in parts(found, "identifier")))
            ),
        },
    )


_READERS: Final[Mapping[str, Callable[[FhirSource, BundleEntry], _Read]]] = {
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "DeviceUseStatement": _device,
    "Immunization": _immunization,
    "MedicationStatement": _medication,
    "Procedure": _procedure,
}
