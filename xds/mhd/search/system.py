"""The search of the whole system, which names its resource type by ``_type`` (FHIR R4, http).

It is answered for one type at a time, as the search of that type.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from xds.fhir.exchange import Answer, Call, Facade
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.search import searchset
from xds.mhd import (
    iti66_find_document_lists,
    iti67_find_document_references,
    iti78_patient_demographics_query,
)

TYPE: Final = "_type"

FINDS: Final[Mapping[str, Callable[[Facade, Call], Answer]]] = {
    "DocumentReference": iti67_find_document_references.find,
    "List": iti66_find_document_lists.find,
    "Patient": iti78_patient_demographics_query.find,
}


def find(facade: Facade, call: Call) -> Answer:
    """Answer as the search of the one type that ``_type`` names; else Refused."""
    others = tuple(pair for pair in call.parameters if pair[0] != TYPE)
    return FINDS[resource_type(call.parameters)](facade, replace(call, parameters=others))


def describe(facade: Facade, call: Call) -> None:
    """Note whom the search of the one type is about."""
    others = tuple(pair for pair in call.parameters if pair[0] != TYPE)
    searched = resource_type(call.parameters)
    call = replace(call, parameters=others)
    if searched == "Patient":
        iti78_patient_demographics_query.describe(facade, call)
    else:
        searchset.describe(searched, facade, call)


def resource_type(parameters: Sequence[tuple[str, str]]) -> str:
    """Return the one resource type that is searched; Refused where there is no one such."""
    types = {one for name, value in parameters if name == TYPE for one in value.split(",") if one}
    if len(types) != 1:
        raise _refused(
            "required",
            f"{TYPE} has to name one resource type: {', '.join(FINDS)}; [base]/metadata and "
            "[base]/openapi.json tell what else is answered",
        )
    (found,) = types
    if found not in FINDS:
        raise _refused("not-supported", f"{TYPE} can be one of {', '.join(FINDS)}")
    return found


def _refused(code: str, diagnostics: str) -> Refused:
    return Refused(400, [Issue(code=code, diagnostics=diagnostics, expression=(f"http.{TYPE}",))])
