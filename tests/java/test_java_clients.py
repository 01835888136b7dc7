"""Clients in Java, as integration engineers have them, with a served server: HAPI FHIR and IPF."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import fhir, samples
from tests.databases import Databases
from tests.java.programs import MISSING, run
from tests.serving import Server, serving

pytestmark = pytest.mark.slow

_OPTIONS = {
    "metadata_update": "yes",
    "remove_metadata": "yes",
    "remove_documents": "any",
    "fhir_update": "yes",
    "fhir_patch": "yes",
    "fhir_delete": "yes",
    "fhir_history": "yes",
}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server that answers every update and removal."""
    data = tmp_path_factory.mktemp("java")
    with serving(data, {"database": databases.url(data), **_OPTIONS}) as served:
        yield served


@pytest.mark.parametrize("encoding", ["json", "xml"])
def test_the_client_of_hapi_fhir(open_server: Server, tmp_path: Path, encoding: str) -> None:
    bundle = tmp_path / "bundle.json"
    patient = f"HAPI-{encoding}"
    bundle.write_text(json.dumps(fhir.bundle(b"one document", patient)))
    system = f"urn:oid:{samples.PATIENT_AUTHORITY}"
    arguments = (f"{open_server.url}/fhir", str(bundle), f"{system}|{patient}", encoding)
    told = run("fhir/FhirCalls", *arguments)
    if told is None:
        pytest.skip(MISSING)
    assert told == {
        "metadata": "4.0.1",
        "provide": "201 201 201",
        "search": "found 1",
        "search by POST": "found 1",
        "read": "of version 18",
        "retrieve": "one document",
        "update": "200",
        "update of an older version": "412",
        "conditional update": "200",
        "FHIRPath Patch": "200",
        "JSON Patch": "200",
        "read after all": "Changed by JSON Patch",
        "history": "versions 5",
        "vread": "Changed by JSON Patch",
        "create": "201",
        "search after it": "found 2",
        "page": "found 2",
        "delete": "200",
        "read what was deleted": "404",
        "read what never was": "404",
    }


def test_the_xds_client_of_ipf(open_server: Server) -> None:
    """Camel and CXF, with their WS-Addressing, SOAP 1.2 and MTOM."""
    place = open_server.url.partition("//")[2]
    told = run("xds/XdsCalls", place, samples.PATIENT_AUTHORITY, "IPF-1")
    if told is None:
        pytest.skip(MISSING)
    one = "documents 1 references 0 sets 0 associations 0"
    assert told == {
        "ITI-41": "SUCCESS",
        "ITI-18 LeafClass": f"SUCCESS {one}",
        "ITI-18 ObjectRef": "SUCCESS documents 0 references 1 sets 0 associations 0",
        "ITI-43": "SUCCESS",
        "document": "text/plain as sent",
        "GetAll": "SUCCESS documents 1 references 0 sets 1 associations 1",
        "ITI-51": f"SUCCESS {one}",
        "ITI-42": "SUCCESS",
        "ITI-61": "SUCCESS",
        "ITI-57": "SUCCESS",
        "ITI-18 after the update": "SUCCESS documents 2 references 0 sets 0 associations 0",
        "ITI-62 of a part": "FAILURE UNREFERENCED_OBJECT_EXCEPTION",
        "ITI-86": "SUCCESS",
        "ITI-43 after it": "FAILURE DOCUMENT_UNIQUE_ID_ERROR",
    }
