"""DocumentReferences of what is registered: as a search and a read answer them (MHD 2:3.67)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xds.fhir.datatypes.context import Writing
from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.http.versions import versioned
from xds.fhir.r4.json import Rendered
from xds.fhir.search import searchset
from xds.fhir.search.rendered import RenderedResources
from xds.fhir.vocabulary import UUID_URN
from xds.metadata.criteria import Comparison, Operator
from xds.metadata.objects import DocumentEntry
from xds.mhd.mapping.document_references import document_reference
from xds.mhd.search.parameters import DOCUMENT_REFERENCES
from xds.registry.queries.views import Found, RegistryView, Relation
from xds.security.details import PatientDetails


def read(facade: Facade, call: Call) -> Answer:
    """Read one DocumentReference by its id."""
    by_id = Comparison("logical_id", Operator.EQUAL, (UUID_URN + call.identifier,))
    with facade.domain.registry.view(call.access.visible) as view:
        found = view.find(DocumentEntry, [by_id])
        if found and call.version and _has_history(facade):
            found, call = _version(call, view, found)
        resources = rendered(facade, call.base, view, found)
    call.access.details = PatientDetails(tuple(one.found.patient_id for one in found))
    if not found:
        return searchset.read(call, DOCUMENT_REFERENCES, None)
    return searchset.read(
        call, DOCUMENT_REFERENCES, resources[0].resource(), found[0].last_updated_at
    )


def _has_history(facade: Facade) -> bool:
    config = facade.config
    return config.offers_by_fhir(config.fhir_history, has_policy=config.policy is not None)


def _version(
    call: Call, view: RegistryView, latest: Sequence[Found[DocumentEntry]]
) -> tuple[list[Found[DocumentEntry]], Call]:
    """Return the version that a vread names, and the call as one to read it.

    A number names it; what is behind the number tells states of the latest version apart, and an
    older one is in its last state.
    """
    number, _, state = call.version.partition("-")
    if number == latest[0].thing.version and state:
        return list(latest), call
    found = [one for one in versions(view, call.identifier) if one.thing.version == number]
    return found, replace(call, version="")


def versions(view: RegistryView, identifier: str) -> list[Found[DocumentEntry]]:
    """Return the versions of a document by its resource id, the latest one first."""
    by_id = Comparison("logical_id", Operator.EQUAL, (UUID_URN + identifier,))
    found = view.every_version.find(DocumentEntry, [by_id])
    return sorted(found, key=lambda one: int(one.thing.version or 1), reverse=True)


def rendered(
    facade: Facade, base: str, view: RegistryView, found: Sequence[Found[Any]]
) -> list[Rendered]:
    """Write entries as DocumentReferences, with their relations to older ones."""
    return written(Writing(facade.domain.systems, base), facade.resources, view, found)


def written(
    writing: Writing, kept: RenderedResources, view: RegistryView, found: Sequence[Found[Any]]
) -> list[Rendered]:
    """Write entries as DocumentReferences, of which those in ``kept`` are written already."""
    relations: dict[str, list[Relation]] = {one.found.entry_uuid: [] for one in found}
    for relation in view.relations(relations):
        relations[relation.source].append(relation)
    base = writing.base

    def write(one: Found[Any]) -> Rendered:
        related = relations[one.found.entry_uuid]
        return kept.rendered(
            (*searchset.state(one, base), *related),
            lambda: versioned(
                document_reference(
                    one.thing,
                    context=writing,
                    relations=related,
                    registered_at=one.registered_at,
                    last_updated_at=one.last_updated_at,
                    patient=one.patient,
                ),
                base,
            ),
        )

    return [write(one) for one in found]
