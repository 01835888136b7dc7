"""Lists of what is registered, SubmissionSets and Folders, as resources (MHD 2:3.66)."""

from collections.abc import Sequence
from typing import Any, Final

from xds.fhir.datatypes.context import Writing
from xds.fhir.http.versions import versioned
from xds.fhir.r4.json import Rendered
from xds.fhir.search import searchset
from xds.fhir.search.rendered import RenderedResources
from xds.metadata.objects import Folder
from xds.mhd.mapping.lists import folder_list, submission_set_list
from xds.mhd.search.parameters import LISTS
from xds.mhd.stored_resources import StoredResources
from xds.registry.queries.views import Found, Member, RegistryView


def written(
    writing: Writing, kept: RenderedResources, view: RegistryView, found: Sequence[Found[Any]]
) -> list[Rendered]:
    """Write SubmissionSets and Folders as Lists, of which those in ``kept`` are written already."""
    members: dict[str, list[Member]] = {one.found.entry_uuid: [] for one in found}
    for member in view.members(members):
        members[member.holder].append(member)
    base = writing.base

    def write(one: Found[Any]) -> Rendered:
        held = members[one.found.entry_uuid]
        as_list = folder_list if one.found.kind is Folder else submission_set_list
        return kept.rendered(
            (*searchset.state(one, base), *held),
            lambda: versioned(
                as_list(
                    one.thing,
                    context=writing,
                    members=held,
                    last_updated_at=one.last_updated_at,
                    patient=one.patient,
                ),
                base,
            ),
        )

    return [write(one) for one in found]


STORED_LISTS: Final = StoredResources(LISTS, written)
"""The Lists."""
