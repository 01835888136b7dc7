"""Lists of what is registered, SubmissionSets and Folders, as resources (MHD 2:3.66)."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from xds.fhir.datatypes.context import Writing
from xds.fhir.http import versions
from xds.fhir.r4.json import Rendered
from xds.fhir.search.rendered import RenderedResources
from xds.metadata.objects import Folder
from xds.mhd.mapping.lists import folder_list, submission_set_list
from xds.mhd.search.parameters import LISTS
from xds.mhd.stored_resources import StoredResources, kept_or_written
from xds.registry.queries.views import Found, Member, RegistryView


def written(
    writing: Writing, kept: RenderedResources, view: RegistryView, found: Sequence[Found[Any]]
) -> Iterator[Rendered]:
    """Write SubmissionSets and Folders as Lists, of which those in ``kept`` are written already."""

    def write(one: Found[Any], members: Sequence[Member]) -> Rendered:
        as_list = folder_list if one.found.kind is Folder else submission_set_list
        made = as_list(
            one.content,
            context=writing,
            members=members,
            last_updated_at=one.last_updated_at,
            patient=one.patient,
        )
        return versions.rendered(made, writing.base)

    members = view.members([one.found.entry_uuid for one in found])
    parts = ((member.holder, member) for member in members)
    return kept_or_written(kept, writing.base, found, parts, write)


STORED_LISTS: Final = StoredResources(LISTS, written)
"""The Lists."""
