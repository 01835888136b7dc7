"""What clients say of the forms that they take, and how they write parameters."""

import pytest

from tests.fhir.asked import FHIR_JSON, FHIR_XML
from xds.fhir.http import negotiation


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", FHIR_JSON),
        ("*/*", FHIR_JSON),
        ("application/json", FHIR_JSON),
        ("text/xml", FHIR_XML),
        ("application/fhir+xml, application/fhir+json", FHIR_XML),
        ("application/fhir+xml;q=0.4, application/fhir+json;q=0.5", FHIR_JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FHIR_XML),
        ("application/fhir+json;q=0, */*", FHIR_XML),
        ("application/fhir+json;fhirVersion=5.0, application/fhir+xml;fhirVersion=4.0", FHIR_XML),
        ("application/fhir+xml;q=0.5, application/*", FHIR_JSON),
        ("Application/FHIR+XML; charset=UTF-8", FHIR_XML),
    ],
)
def test_the_form_by_accept(accept: str, form: str) -> None:
    assert negotiation.answer_form(accept) == form


@pytest.mark.parametrize(
    ("wanted", "form"),
    [
        ("json", FHIR_JSON),
        ("xml", FHIR_XML),
        ("application/fhir xml", FHIR_XML),
        ("text/json", FHIR_JSON),
        ("application/xml+fhir; charset=utf-8", FHIR_XML),
    ],
)
def test_the_form_by_format_comes_first(wanted: str, form: str) -> None:
    assert negotiation.answer_form("text/html", wanted) == form


def test_binary_is_resource_or_document() -> None:
    pdf = "application/pdf"
    for accept, form in (
        ("application/pdf, */*", None),
        ("application/json", FHIR_JSON),
        (f"{FHIR_XML}, {pdf}", FHIR_XML),
        (f"{FHIR_XML};q=0.5, {pdf}", None),
    ):
        assert negotiation.binary_form(accept, pdf) == form
    assert negotiation.binary_form("text/xml", "text/xml") is None


def test_parameters_are_decoded_as_clients_write_them() -> None:
    assert negotiation.parameters(b"a=http:%2F%2Floinc.org%7C12&b=x+y%20z&c=p|q&d&e=&a=%C3%A9") == (
        ("a", "http://loinc.org|12"),
        ("b", "x y z"),
        ("c", "p|q"),
        ("d", ""),
        ("e", ""),
        ("a", "é"),
    )
