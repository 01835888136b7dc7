"""A FHIR document in the making: its resources, by the paths at which they are within it (R4)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from xds import PRODUCT, __version__
from xds.content.forms.blocks import Block
from xds.content.forms.narratives import xhtml
from xds.content.reading.model import (
    ContentObservation,
    ContentParty,
    ContentPatient,
    ObservationValue,
)
from xds.fhir.datatypes.identifiers import identifier
from xds.fhir.datatypes.times import date_time, instant
from xds.fhir.r4 import json
from xds.fhir.r4.primitives import CHECKS
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import CX, check_dtm, earliest
from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.rendering.values import sayable

LOINC: Final = "2.16.840.1.113883.6.1"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM: Final = "http://unitsofmeasure.org"
_URIS: Final = "urn:ietf:rfc:3986"
_GENDERS: Final = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
_STATUSES: Final = frozenset(
    {
        *("registered", "preliminary", "final", "amended", "corrected", "cancelled"),
        *("entered-in-error", "unknown"),
    }
)
_NO_VALUE: Final[Resource] = {"dataAbsentReason": {"text": "no value is given"}}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")


def without_empty(resource: Resource) -> Resource:
    """Return a resource without what is empty, which FHIR has no place for."""
    return {name: value for name, value in resource.items() if value not in ("", None, [], {})}


@dataclass(slots=True)
class BundleMaker:
    """Makes one document."""

    unique_id: str
    """Of the document, an OID."""
    made: str
    """DTM, UTC."""
    systems: Systems
    resources: list[Resource] = field(default_factory=list)
    _paths: set[str] = field(default_factory=set)

    # --- resources -------------------------------------------------------------------------------

    def id_of(self, path: str) -> str:
        """Return the id of the resource at a path; it follows from the document and the path."""
        return str(uuid5(uuid5(NAMESPACE_OID, self.unique_id), path))

    def to(self, path: str, display: str = "") -> Resource:
        """Return a reference to the resource at a path."""
        return without_empty({"reference": f"urn:uuid:{self.id_of(path)}", "display": display})

    def add(self, kind: str, path: str, /, **elements: Any) -> Resource:
        """Add a resource, once for each path, and return a reference to it."""
        if path not in self._paths:
            self._paths.add(path)
            made = {"resourceType": kind, "id": self.id_of(path), **elements}
            self.resources.append(without_empty(made))
        return self.to(path)

    def render(self) -> bytes:
        """Return the document in JSON; its Composition is the resource that was added first."""
        oid = {"system": _URIS, "value": f"urn:oid:{self.unique_id}"}
        bundle = {
            "resourceType": "Bundle",
            "identifier": oid,
            "type": "document",
            "timestamp": instant(earliest(self.made)),
            "entry": [
                {"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in self.resources
            ],
        }
        return json.render(_sayable(bundle))

    # --- who -------------------------------------------------------------------------------------

    def patient(self, known: ContentPatient, patient_id: str) -> Resource:
        """Add the patient."""
        name = {
            "text": known.name,
            "family": known.family,
            "given": [known.given] if known.given else [],
        }
        numbers = dict.fromkeys((*known.identifiers, patient_id))
        return self.add(
            "Patient",
            "patient",
            identifier=[self.number(one) for one in numbers if one],
            name=[without_empty(name)] if known.name or known.family else [],
            gender=_GENDERS.get(known.sex, ""),
            birthDate=self.date(known.birth_date[:8]),
            address=[{"text": known.address}] if known.address else [],
        )

    def number(self, cx: str) -> Resource:
        """Return an identifier in the form of a CX."""
        try:
            found = CX.parse(cx)
        except ValueError:
            return {"value": cx}
        return identifier(found.id_number, found.assigning_authority, self.systems)

    def document_number(self, unique_id: str) -> Resource:
        """Return a uniqueId of XDS as identifier."""
        root, _, extension = unique_id.partition("^")
        return identifier(extension or root, root if extension else "", self.systems)

    def organisation(self, name: str) -> Resource:
        """Add an organisation by its name."""
        said = name or "not named"
        return {**self.add("Organization", f"organisation/{said}", name=said), "display": said}

    def party(self, party: ContentParty) -> Resource:
        """Add who wrote or signed: a person, else an organisation."""
        if not party.name:
            return self.organisation(party.organisation)
        numbers = [self.number(one) for one in party.identifiers]
        path = f"practitioner/{party.name}/{'/'.join(party.identifiers)}"
        made = self.add("Practitioner", path, identifier=numbers, name=[{"text": party.name}])
        return {**made, "display": party.name}

    def device(self) -> Resource:
        """Add this program."""
        name = {"name": PRODUCT, "type": "user-friendly-name"}
        version = {"value": __version__}
        made = self.add("Device", "device", deviceName=[name], version=[version])
        return {**made, "display": PRODUCT}

    # --- data types ------------------------------------------------------------------------------

    def concept(self, codes: Iterable[Code | None], text: str = "") -> Resource:
        """Return codes as CodeableConcept, without what FHIR cannot say."""
        coding = [self._coding(one) for one in codes if one is not None and one.code.strip()]
        return without_empty({"coding": [one for one in coding if one], "text": text})

    def _coding(self, code: Code) -> Resource:
        said = " ".join(code.code.split())
        if CHECKS["code"](said) is not None:
            return {}
        display = code.display_name if code.display_name != code.code else ""
        system = self.systems.uri(code.coding_scheme) if code.coding_scheme else ""
        return without_empty({"system": system, "code": said, "display": display})

    def date(self, dtm: str) -> str | None:
        """Return a DTM as dateTime; None of what is none."""
        try:
            check_dtm(dtm)
        except ValueError:
            return None
        return date_time(dtm)

    def period(self, start: str, stop: str) -> Resource:
        """Return a Period."""
        return without_empty({"start": self.date(start), "end": self.date(stop)})

    def narrative(self, found: Iterable[Block]) -> Resource:
        """Return blocks as Narrative."""
        return {"status": "generated", "div": xhtml(found)}

    # --- results ---------------------------------------------------------------------------------

    def observation(
        self,
        path: str,
        found: ContentObservation,
        performer: Resource,
        *,
        is_ucum: bool,
        category: str = "laboratory",
        **more: Any,
    ) -> Resource:
        """Add a result; ``is_ucum`` tells that units are of UCUM, as those of CDA are."""
        code = self.concept((found.code, *found.translations), found.name)
        interpretation = [
            self.concept((one,) if one.coding_scheme else (), one.display_name or one.code)
            for one in found.interpretation
        ]
        return self.add(
            "Observation",
            path,
            status=found.status if found.status in _STATUSES else "unknown",
            category=[{"coding": [{"system": CATEGORY, "code": category}]}],
            code=code or {"text": "not named"},
            subject=self.to("patient"),
            effectiveDateTime=self.date(found.time),
            performer=[{"display": found.performer} if found.performer else performer],
            **self._values(found.values, is_ucum=is_ucum),
            interpretation=[one for one in interpretation if one],
            note=[{"text": one} for one in (*part_of(found), *found.notes) if one.strip()],
            specimen=self._specimen(found, path),
            referenceRange=[{"text": found.reference_range}] if found.reference_range else [],
            **more,
        )

    def _specimen(self, found: ContentObservation, path: str) -> Resource:
        specimen = found.specimen
        if specimen is None or not (specimen.type or specimen.text or specimen.identifiers):
            return {}
        key = "/".join(
            (specimen.text, specimen.collected, *specimen.identifiers, str(specimen.type))
        )
        return self.add(
            "Specimen",
            f"{path.partition('/result/')[0]}/specimen/{key}",
            identifier=[self.number(one) for one in specimen.identifiers],
            type=self.concept((specimen.type,), specimen.text),
            subject=self.to("patient"),
            receivedTime=self.date(specimen.received),
            collection=without_empty({"collectedDateTime": self.date(specimen.collected)}),
        )

    def _values(self, values: Sequence[ObservationValue], *, is_ucum: bool) -> Resource:
        told = [one for one in values if one.kind != "absent"]
        if not told:
            why = next((one.text for one in values if one.text), "")
            return {"dataAbsentReason": {"text": why}} if why else _NO_VALUE
        if len(told) > 1:
            return {"valueString": "; ".join(f"{one.text} {one.unit}".strip() for one in told)}
        return self._value(told[0], is_ucum=is_ucum)

    def _value(self, value: ObservationValue, *, is_ucum: bool) -> Resource:
        match value.kind:
            case "quantity" if measured := quantity(value.number, value.unit, is_ucum=is_ucum):
                return {
                    "valueQuantity": without_empty({**measured, "comparator": value.comparator})
                }
            case "range" if value.comparator:
                bound = quantity(value.low or value.high, value.unit, is_ucum=is_ucum)
                if bound:
                    return {"valueQuantity": {**bound, "comparator": value.comparator}}
            case "range":
                low = quantity(value.low, value.unit, is_ucum=is_ucum)
                high = quantity(value.high, value.unit, is_ucum=is_ucum)
                if low and high:
                    return {"valueRange": {"low": low, "high": high}}
            case "code" if concept := self.concept((value.code,), value.text):
                return {"valueCodeableConcept": concept}
            case "boolean":
                return {"valueBoolean": value.text == "true"}
            case "time" if time := self.date(value.text):
                return {"valueDateTime": time}
        said = f"{value.text} {value.unit}".strip()
        return (
            {"valueString": said} if said else {"dataAbsentReason": {"text": "no value is given"}}
        )


def part_of(found: ContentObservation) -> Sequence[str]:
    """Return what a result is part of: an isolate has susceptibilities, and no other."""
    return (f"Part of: {found.group.replace('/', ' / ')}",) if found.group else ()


def quantity(said: str, unit: str, *, is_ucum: bool) -> Resource:
    """Return a number with its unit as Quantity; empty where it is none."""
    if not _NUMBER.fullmatch(said):
        return {}
    found: Resource = {"value": json.number(said)}
    if unit and unit != "1":
        found["unit"] = unit
    if unit and is_ucum and CHECKS["code"](unit) is None:
        found |= {"system": _UCUM, "code": unit}
    return found


def _sayable(value: Any) -> Any:
    """Return a value without characters that FHIR cannot have."""
    if isinstance(value, dict):
        return {name: _sayable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_sayable(one) for one in value]
    return sayable(value) if type(value) is str else value
