"""The search of the whole system, which names its resource type by ``_type`` (FHIR R4, http).

It is answered for one type at a time, as the search of that type.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from xds.fhir.exchange import Call
from xds.fhir.r4.outcome import Issue, Refused

TYPE: Final = "_type"


def searched(call: Call, types: Sequence[str]) -> tuple[str, Call]:
    """Return the one type that is searched, and the search of it; Refused where there is none."""
    others = tuple(pair for pair in call.parameters if pair[0] != TYPE)
    return types[place(call.parameters, types)], replace(call, parameters=others)


def place(parameters: Sequence[tuple[str, str]], types: Sequence[str]) -> int:
    """Return which of some types is searched; Refused where there is no one such."""
    named = {one for name, value in parameters if name == TYPE for one in value.split(",") if one}
    if len(named) != 1:
        raise _refused(
            "required",
            f"{TYPE} has to name one resource type: {', '.join(types)}; [base]/metadata and "
            "[base]/openapi.json tell what else is answered",
        )
    (found,) = named
    if found not in types:
        raise _refused("not-supported", f"{TYPE} can be one of {', '.join(types)}")
    return types.index(found)


def _refused(code: str, diagnostics: str) -> Refused:
    return Refused(400, [Issue(code=code, diagnostics=diagnostics, expression=(f"http.{TYPE}",))])
