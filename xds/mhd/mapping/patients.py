"""The patients of the registry as Patient resources: an identifier, and what it was merged into."""

from typing import TYPE_CHECKING

from xds.fhir.datatypes.context import Writing
from xds.fhir.datatypes.identifiers import patient_identifier, patient_reference
from xds.fhir.r4.json import Lasting
from xds.fhir.r4.resource import Resource
from xds.metadata.systems import Systems

if TYPE_CHECKING:
    from xds.registry.queries.views import KnownPatient


def patient_resource(known: "KnownPatient", *, context: Writing) -> Resource:
    """Return a patient that the registry knows; one that was merged is inactive and linked."""
    found: Resource = {
        "resourceType": "Patient",
        "id": str(known.number),
        "identifier": [patient_identifier(known.patient_id, context.systems)],
        "active": known.survivor is None,
    }
    if known.survivor is not None:
        other = {"reference": f"Patient/{known.survivor}"}
        found["link"] = [{"other": other, "type": "replaced-by"}]
    return found


def subject(patient_id: str | None, number: int | None, systems: Systems) -> Lasting | None:
    """Return the Reference to the patient of an object: by identifier, and by id if it is known."""
    if not patient_id:
        return None
    return patient_reference(patient_id, number, systems)
