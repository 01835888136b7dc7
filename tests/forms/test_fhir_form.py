"""Laboratory reports as FHIR documents in the shape of the EU laboratory report."""

import copy
import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.content import samples
from tests.fhir.asked import ask, bare
from tests.forms.eu_laboratory import breaches, of_type
from tests.forms.served import provide
from tests.pages.documents import with_text
from tests.registry.wire import FIXTURES
from tests.serving import Server
from xds.client import entry_of
from xds.content.forms import table
from xds.content.observations.stored import stored
from xds.content.reading.reader import read
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import FormRequest, FormSource, NotConvertible

LAB_REPORT: Final = (FIXTURES / "documents/lab_report.xml").read_bytes()


def asked(server: Server, document: DocumentEntry) -> Any:
    path = f"/DocumentReference/{bare(document)}/$document?form=fhir"
    reply = ask(server, "GET", path)
    assert reply.headers["content-type"] == "application/fhir+json"
    return json.loads(reply.body)


def made(data: bytes, mime_type: str = "text/xml", **source: Any) -> Any:
    of = entry_of("P1^^^&2.999.1.1&ISO", mime_type, title="A report")
    request = FormRequest(
        unique_id="2.25.1",
        made="20260301101500",
        patient_id="P1^^^&2.999.1.1&ISO",
        sources=[FormSource(of, lambda: data, **source)],
    )
    return json.loads(table.read(None).rows["fhir"].build(request))


def test_a_laboratory_report_is_had_as_fhir_document(server: Server) -> None:
    source = provide(server, LAB_REPORT, "text/xml")
    bundle = asked(server, source)
    assert breaches(bundle) == []
    (composition,) = of_type(bundle, "Composition")
    (related,) = composition["relatesTo"]
    assert related["code"] == "transforms"
    assert related["targetIdentifier"]["value"] == f"urn:oid:{source.unique_id}"
    about = composition["section"][-1]["text"]["div"]
    assert f"Converted from {source.unique_id}" in about
    document = read(LAB_REPORT, "text/xml")
    current = [one for one in document.observations() if not one.is_earlier]
    assert len(of_type(bundle, "Observation")) == len(current)
    assert asked(server, source) == bundle


def test_values_are_those_of_the_report() -> None:
    bundle = made(LAB_REPORT)
    document = read(LAB_REPORT, "text/xml")
    by_name = {one["code"]["text"]: one for one in of_type(bundle, "Observation")}
    kinds = set()
    for found in document.observations():
        if found.is_earlier or not found.values:
            continue
        (value, *others) = found.values
        one = by_name[found.name]
        if others:
            continue
        kinds.add(value.kind)
        match value.kind:
            case "quantity" if value.number:
                assert str(one["valueQuantity"]["value"]) == str(json.loads(value.number))
                assert one["valueQuantity"].get("unit", "1") == (value.unit or "1")
            case "range" if value.comparator:
                assert one["valueQuantity"]["comparator"] == value.comparator
            case "code":
                assert value.code is not None
                codes = [each["code"] for each in one["valueCodeableConcept"]["coding"]]
                assert codes == [value.code.code]
            case "absent":
                assert "dataAbsentReason" in one
            case "text":
                assert one["valueString"] == value.text
    assert {"quantity", "range", "code", "text"} <= kinds


def test_results_beside_a_report_are_as_good_as_those_within() -> None:
    within = made(LAB_REPORT)
    rows = [stored(one).content for one in read(LAB_REPORT, "text/xml").observations()]
    beside = made(b"%PDF-1.4", "application/pdf", results=lambda: rows)
    assert breaches(beside) == []
    names = [[one["code"] for one in of_type(b, "Observation")] for b in (within, beside)]
    assert names[0] == names[1]


def test_a_document_without_results_has_no_such_form(server: Server) -> None:
    source = provide(server, with_text("Words"), "text/xml")
    path = f"/DocumentReference/{bare(source)}/$document?form=fhir"
    reply = ask(server, "GET", path)
    assert reply.status == 422
    assert "no structured results" in reply.json()["issue"][0]["diagnostics"]


def _without(name: str) -> Callable[[Any], object]:
    return lambda bundle: of_type(bundle, "DiagnosticReport")[0].pop(name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without("extension"), "the report leads to the Composition"),
        (lambda b: of_type(b, "Composition")[0].update(category=[{"text": "x"}]), "category"),
        (lambda b: b["entry"].append(copy.deepcopy(b["entry"][0])), "one-comp"),
        (lambda b: of_type(b, "Observation")[0].pop("performer"), "performer"),
        (lambda b: b["entry"].pop(), "not in the document"),
    ],
)
def test_the_checks_find_what_is_broken(change: Callable[[Any], object], told: str) -> None:
    bundle = made(LAB_REPORT)
    change(bundle)
    assert any(told in one for one in breaches(bundle))


@pytest.mark.parametrize("row", samples.rows("expected.tsv"), ids=lambda row: row["file"])
def test_samples_with_results_keep_the_invariants(row: dict[str, str]) -> None:
    path = samples.path(row)
    if not path.exists() or path.suffix == ".pdf":
        pytest.skip("the sample is not here, or a PDF")
    try:
        bundle = made(path.read_bytes(), samples.media_type(row))
    except NotConvertible as reason:
        pytest.skip(str(reason))
    assert breaches(bundle) == []
