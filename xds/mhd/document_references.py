"""DocumentReferences of what is registered: as a search and a read answer them (MHD 2:3.67)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from xds.fhir.datatypes.context import Writing
from xds.fhir.r4.json import Rendered
from xds.fhir.search.rendered import RenderedResources
from xds.mhd.mapping.document_references import rendered
from xds.mhd.search.parameters import DOCUMENT_REFERENCES
from xds.mhd.stored_resources import StoredResources, kept_or_written
from xds.registry.queries.views import Found, RegistryView, Relation


def written(
    writing: Writing, kept: RenderedResources, view: RegistryView, found: Sequence[Found[Any]]
) -> Iterator[Rendered]:
    """Write entries as DocumentReferences, of which those in ``kept`` are written already."""

    def write(one: Found[Any], relations: Sequence[Relation]) -> Rendered:
        return rendered(
            one.content,
            context=writing,
            relations=relations,
            registered_at=one.registered_at,
            last_updated_at=one.last_updated_at,
            patient=one.patient,
        )

    relations = view.relations([one.found.entry_uuid for one in found])
    parts = ((relation.source, relation) for relation in relations)
    return kept_or_written(kept, writing.base, found, parts, write)


DOCUMENTS: Final = StoredResources(DOCUMENT_REFERENCES, written)
"""The DocumentReferences."""
