"""DocumentReferences of what is registered: as a search and a read answer them (MHD 2:3.67)."""

from collections.abc import Sequence
from typing import Any, Final

from xds.fhir.datatypes.context import Writing
from xds.fhir.http.versions import versioned
from xds.fhir.r4.json import Rendered
from xds.fhir.search import searchset
from xds.fhir.search.rendered import RenderedResources
from xds.mhd.mapping.document_references import document_reference
from xds.mhd.search.parameters import DOCUMENT_REFERENCES
from xds.mhd.stored_resources import StoredResources
from xds.registry.queries.views import Found, RegistryView, Relation


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


DOCUMENTS: Final = StoredResources(DOCUMENT_REFERENCES, written)
"""The DocumentReferences."""
