"""Resources in the form that a client takes."""

from collections.abc import Iterator

from xds.fhir.r4 import json, xml
from xds.fhir.r4.json import MadeLater
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_XML


def render(resource: Resource, form: str, *, pretty: bool = False) -> bytes:
    """Render a resource as FHIR_JSON or FHIR_XML."""
    return xml.render(resource, pretty) if form == FHIR_XML else json.render(resource, pretty)


def blocks(resource: Resource, form: str, *, pretty: bool = False) -> Iterator[bytes] | None:
    """Return the blocks of a resource that has a list of items which are made later.

    None where it has none. JSON is made as it is sent, as long as it is not indented.
    """
    for name, value in resource.items():
        if isinstance(value, MadeLater):
            others = {one: element for one, element in resource.items() if one != name}
            if form == FHIR_XML or pretty:
                whole = {**others, name: list(value.items)}
                return iter([render(whole, form, pretty=pretty)])
            return json.blocks(others, name, value.items)
    return None


def content_type(form: str) -> str:
    """Return the Content-Type of a form; FHIR is UTF-8 throughout (R4, http 3.1.0.1.10)."""
    return f"{form}; charset=utf-8"
