"""Structured statements of CDA as resources of FHIR R4, in the shape of IPS 2.0.

Condition-uv-ips, AllergyIntolerance-uv-ips, MedicationStatement-uv-ips, Immunization-uv-ips,
Procedure-uv-ips, DeviceUseStatement-uv-ips and Device-uv-ips. A time that these demand and that is
not known says so (data-absent-reason). That nothing of a kind is known has the code that IPS gives
it, beside that of the document.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xds.content.forms.fhir_bundle import BundleMaker, quantity, without_empty
from xds.content.pages.shown import shown_time
from xds.content.reading.model import ContentStatement, StatementKind
from xds.content.reading.rendered import value_with_unit
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

ABSENT: Final[Resource] = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_SNOMED: Final = "2.16.840.1.113883.6.96"
_UDI: Final = "2.16.840.1.113883.3.3719"
_NONE_KNOWN: Final[Mapping[tuple[StatementKind, str], Code]] = {
    ("allergy", ""): Code("716186003", _SNOMED, "No known allergy"),
    ("allergy", "environment"): Code("428607008", _SNOMED, "No known environmental allergy"),
    ("allergy", "food"): Code("429625007", _SNOMED, "No known food allergy"),
    ("allergy", "medication"): Code("409137002", _SNOMED, "No known drug allergy"),
    ("condition", ""): Code("160245001", _SNOMED, "No current problems or disability"),
    ("device", ""): Code("787483001", _SNOMED, "No known device use"),
    ("immunization", ""): Code("787482006", _SNOMED, "No known immunizations"),
    ("medication", ""): Code("787481004", _SNOMED, "No known medications"),
    ("procedure", ""): Code("787480003", _SNOMED, "No known procedures"),
}
_ENDED: Final = frozenset({"inactive", "remission", "resolved"})
_SEVERITIES: Final = {
    "255604002": "mild",
    "371923003": "moderate",  # mild to moderate
    "6736007": "moderate",
    "371924009": "severe",  # moderate to severe
    "24484000": "severe",
    "399166001": "severe",  # fatal
    "L": "mild",
    "M": "moderate",
    "H": "severe",
}
"""SNOMED CT and SeverityObservation to reaction-event-severity."""


def none_known(found: ContentStatement) -> Code:
    """Return the code by which IPS says that nothing of a kind is known."""
    return _NONE_KNOWN.get((found.kind, found.category)) or _NONE_KNOWN[found.kind, ""]


@dataclass(frozen=True, slots=True)
class StatementMaker:
    """Makes the resources of statements of one document."""

    made: BundleMaker
    origin: str
    """The entry of the document, as URI."""

    def add(self, path: str, found: ContentStatement) -> Resource:
        """Add a statement and return a reference to it."""
        kind, elements = _RESOURCES[found.kind](self, path, found)
        return self.made.add(
            kind, path, **{"meta": {"source": self.origin}, **without_empty(elements)}
        )

    # --- kinds -----------------------------------------------------------------------------------

    def condition(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return a problem."""
        # con-4: what has an end is not active; what is refuted goes on least of all
        status = found.status or ("resolved" if found.stop else "")
        status = "inactive" if found.is_negated else status
        has_end = status in _ENDED
        problem = _coded("condition-category", "problem-list-item")
        return "Condition", {
            "clinicalStatus": _coded("condition-clinical", status) if status else {},
            "verificationStatus": _refuted("condition-ver-status", found),
            "category": [problem] if status else [],
            "severity": self._concept(found.severity),
            "code": self._what(found),
            "subject": self.made.to("patient"),
            "onsetDateTime": self.made.date(found.start),
            "abatementDateTime": self.made.date(found.stop) if has_end else "",
            "recordedDate": self.made.date(found.recorded),
            "note": self._notes(found, () if has_end else _end(found)),
        }

    def allergy(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return an allergy or intolerance."""
        status = found.status if found.status in ("active", "resolved") else "inactive"
        reactions = [
            without_empty(
                {
                    "manifestation": [
                        self.made.concept((one.code,) if one.code is not None else (), one.name)
                    ],
                    "severity": _SEVERITIES.get(one.severity.code if one.severity else "", ""),
                }
            )
            for one in found.reactions
        ]
        said = [f"Severity: {found.severity.display_name}"] if found.severity else []
        return "AllergyIntolerance", {
            # ait-1: there is one, whatever was verified
            "clinicalStatus": _coded(
                "allergyintolerance-clinical", "inactive" if found.is_negated else status
            ),
            "verificationStatus": _refuted("allergyintolerance-verification", found),
            "type": found.allergy_type,
            "category": [found.category] if found.category else [],
            "criticality": found.criticality,
            "code": self._what(found),
            "patient": self.made.to("patient"),
            "onsetDateTime": self.made.date(found.start),
            "recordedDate": self.made.date(found.recorded),
            "note": self._notes(found, (*said, *_end(found))),
            "reaction": reactions,
        }

    def medication(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return a medicine that is taken, was, or was not."""
        dosage = without_empty(
            {
                "text": ", ".join(filter(None, (_dose(found), found.dosage))),
                "site": self._concept(found.site),
                "route": self._concept(found.route),
                "doseAndRate": self._dose_and_rate(found),
            }
        )
        return "MedicationStatement", {
            "status": found.status,
            "medicationCodeableConcept": self._what(found),
            "subject": self.made.to("patient"),
            **self._times("effective", found),
            "dateAsserted": self.made.date(found.recorded),
            "reasonCode": [{"text": found.reason}] if found.reason else [],
            "note": self._notes(found, _by(found)),
            "dosage": [dosage] if dosage else [],
        }

    def immunization(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return an immunization."""
        given = found.status == "completed" and not found.is_none_known
        reason = {"text": found.reason} if found.reason else {}
        number = int(found.sequence) if found.sequence.isdecimal() else 0
        time = self.made.date(found.start)
        dose = self._quantity(found)
        return "Immunization", {
            "status": "completed" if given else "not-done",
            "statusReason": {} if given else reason,
            "vaccineCode": self._what(found),
            "patient": self.made.to("patient"),
            **({"occurrenceDateTime": time} if time else {"_occurrenceDateTime": ABSENT}),
            "recorded": self.made.date(found.recorded),
            "manufacturer": {"display": found.maker} if found.maker else {},
            "lotNumber": found.lot,
            "site": self._concept(found.site),
            "route": self._concept(found.route),
            "doseQuantity": dose,
            "performer": [{"actor": {"display": found.performer}}] if found.performer else [],
            "note": self._notes(found, () if dose else filter(None, [_dose(found)])),
            "reasonCode": [reason] if given and reason else [],
            "protocolApplied": [{"doseNumberPositiveInt": number}] if 0 < number < 1000 else [],
        }

    def procedure(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return a procedure."""
        reason = {"text": found.reason} if found.reason else {}
        status = "unknown" if found.is_none_known else found.status
        is_done = status != "not-done"
        return "Procedure", {
            "status": status,
            "statusReason": {} if is_done else reason,
            "code": self._what(found),
            "subject": self.made.to("patient"),
            **self._times("performed", found),
            "performer": [{"actor": {"display": found.performer}}] if found.performer else [],
            "reasonCode": [reason] if is_done and reason else [],
            "bodySite": [self._concept(found.site)] if found.site is not None else [],
            "note": self._notes(found),
        }

    def device(self, path: str, found: ContentStatement) -> tuple[str, Resource]:
        """Return the use of a device, which is added as well."""
        carriers = [one for one in found.identifiers if f"&{_UDI}&" in one]
        device = self.made.add(
            "Device",
            f"{path}/device",
            meta={"source": self.origin},
            identifier=[self.made.number(one) for one in found.identifiers],
            udiCarrier=[{"carrierHRF": one.partition("^")[0]} for one in carriers],
            manufacturer=found.maker,
            type=self._what(found),
            patient=self.made.to("patient"),
        )
        return "DeviceUseStatement", {
            "status": found.status,
            "subject": self.made.to("patient"),
            **self._times("timing", found),
            "recordedOn": self.made.date(found.recorded),
            "device": device,
            "bodySite": self._concept(found.site),
            "note": self._notes(found),
        }

    # --- elements --------------------------------------------------------------------------------

    def _what(self, found: ContentStatement) -> Resource:
        """Return what a statement is about."""
        codes = (found.code, *found.translations)
        if found.is_none_known:
            known = none_known(found)
            others = (one for one in codes if one is not None and one.code != known.code)
            return self.made.concept((known, *others), found.name or known.display_name)
        return self.made.concept(codes, found.name)

    def _concept(self, code: Code | None) -> Resource:
        if code is None:
            return {}
        return self.made.concept((code,) if code.coding_scheme else (), code.display_name)

    def _times(self, name: str, found: ContentStatement) -> Resource:
        """Return a choice of dateTime and Period, or that it is not known."""
        start, stop = self.made.date(found.start), self.made.date(found.stop)
        if stop and not _is_reversed(found):
            return {f"{name}Period": self.made.period(found.start, found.stop)}
        if start and found.kind in ("medication", "device"):
            return {f"{name}Period": {"start": start}}
        return {f"{name}DateTime": start} if start else {f"_{name}DateTime": ABSENT}

    def _quantity(self, found: ContentStatement) -> Resource:
        dose = found.dose
        return quantity(dose.number, dose.unit, is_ucum=True) if dose is not None else {}

    def _dose_and_rate(self, found: ContentStatement) -> list[Resource]:
        if single := self._quantity(found):
            return [{"doseQuantity": single}]
        dose = found.dose
        if dose is None or dose.kind != "range":
            return []
        low = quantity(dose.low, dose.unit, is_ucum=True)
        high = quantity(dose.high, dose.unit, is_ucum=True)
        return [{"doseRange": without_empty({"low": low, "high": high})}] if low or high else []

    def _notes(self, found: ContentStatement, more: Any = ()) -> list[Resource]:
        reversed_end = _end(found) if _is_reversed(found) else ()
        said = dict.fromkeys((*more, *reversed_end, *found.notes))
        return [{"text": one} for one in said if one.strip()]


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"{_TERMINOLOGY}/{system}", "code": code}]}


def _refuted(system: str, found: ContentStatement) -> Resource:
    return _coded(system, "refuted") if found.is_negated else {}


def _is_reversed(found: ContentStatement) -> bool:
    """Tell whether something ends before it begins, which no Period may (per-1)."""
    size = min(len(found.start), len(found.stop))
    return bool(found.start and found.stop and found.stop[:size] < found.start[:size])


def _end(found: ContentStatement) -> tuple[str, ...]:
    return (f"Ended: {shown_time(found.stop)}",) if found.stop else ()


def _by(found: ContentStatement) -> tuple[str, ...]:
    return (f"By: {found.performer}",) if found.performer else ()


def _dose(found: ContentStatement) -> str:
    return value_with_unit(found.dose) if found.dose is not None else ""


_RESOURCES: Final[
    Mapping[
        StatementKind,
        Callable[[StatementMaker, str, ContentStatement], tuple[str, Resource]],
    ]
] = {
    "allergy": StatementMaker.allergy,
    "condition": StatementMaker.condition,
    "device": StatementMaker.device,
    "immunization": StatementMaker.immunization,
    "medication": StatementMaker.medication,
    "procedure": StatementMaker.procedure,
}
