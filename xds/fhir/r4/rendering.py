"""Resources in the form that a client takes."""

from xds.fhir.r4 import json, xml
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_XML


def render(resource: Resource, form: str, *, pretty: bool = False) -> bytes:
    """Render a resource as FHIR_JSON or FHIR_XML."""
    return xml.render(resource, pretty) if form == FHIR_XML else json.render(resource, pretty)


def content_type(form: str) -> str:
    """Return the Content-Type of a form; FHIR is UTF-8 throughout (R4, http 3.1.0.1.10)."""
    return f"{form}; charset=utf-8"
