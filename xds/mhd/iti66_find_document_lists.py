"""Find Document Lists [ITI-66], and the read of one (MHD 2:3.66).

A List is a SubmissionSet or a Folder, which its code tells.
"""

from collections.abc import Sequence
from typing import Any

from xds.fhir.datatypes.context import Writing
from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.r4.json import Rendered
from xds.fhir.search import searchset
from xds.fhir.vocabulary import FIND_LISTS_RESPONSE, UUID_URN
from xds.metadata.criteria import Comparison, Operator
from xds.mhd.document_lists import written
from xds.mhd.search.criteria import id_attribute
from xds.mhd.search.parameters import LISTS
from xds.registry.queries.views import Found, RegistryView
from xds.security.details import PatientDetails


def find(facade: Facade, call: Call) -> Answer:
    """Search Lists."""
    return searchset.find(facade, call, LISTS, FIND_LISTS_RESPONSE, rendered)


def read(facade: Facade, call: Call) -> Answer:
    """Read one List by its id."""
    with facade.domain.registry.view(call.access.visible) as view:
        for kind in LISTS.kinds:
            sought: Any = kind
            own = id_attribute(kind)
            found = view.find(
                sought, [Comparison(own, Operator.EQUAL, (UUID_URN + call.identifier,))]
            )
            if found:
                call.access.details = PatientDetails((found[0].found.patient_id,))
                (resource,) = rendered(facade, call.base, view, found)
                return searchset.read(call, LISTS, resource.resource(), found[0].last_updated_at)
    return searchset.read(call, LISTS, None)


def rendered(
    facade: Facade, base: str, view: RegistryView, found: Sequence[Found[Any]]
) -> list[Rendered]:
    """Write SubmissionSets and Folders as Lists of what they hold."""
    return written(Writing(facade.domain.systems, base), facade.resources, view, found)
