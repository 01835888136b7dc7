"""What the tests of the mapping share."""

from typing import Any, Final

from xds.fhir.datatypes.context import Reading, Writing
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import MetadataObject
from xds.metadata.systems import Systems

SYSTEMS: Final = Systems.read()
WRITING: Final = Writing(SYSTEMS, "http://127.0.0.1:8080/fhir")
PATIENT: Final = "P0001^^^&2.999.1.1&ISO"


def nowhere(reference: Resource) -> Resource | None:
    """Resolve nothing: the request has no other resource."""
    return None


READING: Final = Reading(SYSTEMS, "Bundle.entry[1].resource", nowhere)


def differences(one: MetadataObject, other: MetadataObject) -> dict[str, tuple[Any, Any]]:
    """Return the declared attributes in which two objects differ."""
    declared = one.attributes().items()
    values = {name: (its.read(one), its.read(other)) for name, its in declared}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def unfolded(resource: Resource) -> Resource:
    """Return a resource with what it contains in the places of the references to it."""
    contained = {f"#{one['id']}": one for one in resource.get("contained", ())}

    def unfold(value: Any) -> Any:
        if isinstance(value, list):
            return [unfold(one) for one in value]
        if not isinstance(value, dict):
            return value
        target = contained.get(value.get("reference", ""))
        if target is not None:
            value = {
                **{name: v for name, v in value.items() if name != "reference"},
                **{name: v for name, v in target.items() if name != "id"},
            }
        return {name: unfold(one) for name, one in value.items()}

    found: Resource = unfold({k: v for k, v in resource.items() if k != "contained"})
    return found
