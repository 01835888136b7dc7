"""A patch from the body of a request, by its media type."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from xds.fhir.http.bodies import resource_of
from xds.fhir.http.negotiation import MediaType
from xds.fhir.patch import fhirpath_patch, json_patch, xml_patch
from xds.fhir.r4 import structure
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML

Patch = Callable[[Resource], Resource]

JSON_PATCH: Final = "application/json-patch+json"
XML_PATCH: Final = "application/xml-patch+xml"
FORMS: Final = (JSON_PATCH, XML_PATCH, FHIR_JSON, FHIR_XML)


def patch_of(data: bytes, content_type: str, deepest: int) -> Patch:
    """Read a patch.

    Raises Refused: 415 for a media type that is none of a patch, 400 for what is not well-formed.
    """
    name = MediaType.parse(content_type).name
    if name in _PLAIN:
        apply = _PLAIN[name](data, deepest)
    elif name in (FHIR_JSON, FHIR_XML):
        parameters, _, _ = resource_of(data, content_type, "Parameters", deepest)
        apply = partial(fhirpath_patch.apply, fhirpath_patch.operations(parameters))
    else:
        raise Refused.because(415, "not-supported", f"a patch is one of {', '.join(FORMS)}")
    return partial(_applied, apply)


def _json_patch(data: bytes, deepest: int) -> Patch:
    return partial(json_patch.apply, json_patch.operations(data, deepest))


def _xml_patch(data: bytes, _deepest: int) -> Patch:
    return partial(xml_patch.apply, xml_patch.operations(data))


_PLAIN: Final[Mapping[str, Callable[[bytes, int], Patch]]] = {
    JSON_PATCH: _json_patch,
    XML_PATCH: _xml_patch,
}


def _applied(apply: Patch, resource: Resource) -> Resource:
    """Apply a patch, and refuse one that leaves what is not FHIR."""
    patched = apply(resource)
    issues = structure.problems(patched, expected=resource["resourceType"])
    if any(one.severity == "error" for one in issues):
        raise Refused(422, issues)
    return patched
