"""The CapabilityStatement and the OpenAPI description: what they state is what is answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.fhir import schema
from tests.fhir.asked import FHIR_JSON, FHIR_XML, ask
from tests.reference import FHIR, absent
from tests.serving import Server
from xds import app
from xds.config import Config
from xds.fhir import capability, openapi
from xds.fhir.interactions import OWN, answered
from xds.fhir.r4 import structure
from xds.fhir.search.paging import RESULT_PARAMETERS
from xds.mhd.interactions import INTERACTIONS
from xds.mhd.search.parameters import DOCUMENT_REFERENCES, LISTS, PATIENTS

BASE = "https://share.example/fhir"
ROWS = (*answered(INTERACTIONS, Config()), *OWN)
SERVED = (*answered(app.INTERACTIONS, Config()), *OWN)
STATED = capability.statement(BASE, Config(), ROWS)
DESCRIBED = openapi.description(BASE, ROWS)
SEARCHED = {one.resource_type: one.parameters for one in (DOCUMENT_REFERENCES, LISTS, PATIENTS)}
ACTORS = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD."


def resources(statement: dict[str, Any] = STATED) -> dict[str, Any]:
    (rest,) = statement["rest"]
    return {resource["type"]: resource for resource in rest["resource"]}


def codes(resource_type: str) -> set[str]:
    return {one["code"] for one in resources()[resource_type]["interaction"]}


# --- CapabilityStatement -------------------------------------------------------------------------


def test_the_statement_is_sound() -> None:
    assert structure.problems(STATED, expected="CapabilityStatement") == []


def test_the_statement_is_valid_by_the_schema_of_r4() -> None:
    path = FHIR / "fhir.schema.json"
    if not path.exists():
        pytest.skip(absent(path))
    assert schema.accepts(json.loads(path.read_bytes())["definitions"], STATED)


def test_the_statement_says_who_and_where() -> None:
    assert STATED["kind"] == "instance"
    assert STATED["fhirVersion"] == "4.0.1"
    assert set(STATED["format"]) == {FHIR_JSON, FHIR_XML}
    assert STATED["implementation"]["url"] == BASE
    assert STATED["date"] == capability.statement("http://x/fhir", Config(), ROWS)["date"]
    assert STATED["implementationGuide"] == [
        "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd"
    ]


def test_both_actors_with_the_options_that_there_are() -> None:
    assert set(STATED["instantiates"]) == {
        f"{ACTORS}{name}"
        for name in (
            "DocumentRecipient",
            "DocumentRecipient.Comprehensive",
            "DocumentRecipient.Simplified",
            "DocumentRecipient.Generate",
            "DocumentRecipient.Fdoc",
            "DocumentResponder",
        )
    }


def test_every_resource_with_what_it_takes() -> None:
    assert list(resources()) == ["DocumentReference", "List", "Binary", "Patient"]
    assert codes("DocumentReference") == {"create", "read", "vread", "search-type"}
    assert codes("List") == codes("Patient") == {"read", "vread", "search-type"}
    assert codes("Binary") == {"read", "vread"}
    assert {one["versioning"] for one in resources().values()} == {"versioned"}
    (operation,) = resources()["DocumentReference"]["operation"]
    assert operation["name"] == "generate-metadata"
    assert operation["definition"].endswith("/OperationDefinition/generate-metadata")
    (rest,) = STATED["rest"]
    assert {one["code"] for one in rest["interaction"]} == {"transaction", "search-system"}


def test_what_every_search_takes_is_stated_once_for_all() -> None:
    (rest,) = STATED["rest"]
    names = [one["name"] for one in rest["searchParam"]]
    assert names == ["_count", "_sort", "_total", "_summary", "_elements"]


@pytest.mark.parametrize("resource_type", sorted(SEARCHED))
def test_the_search_parameters_are_those_of_the_table(resource_type: str) -> None:
    stated = {one["name"]: one for one in resources()[resource_type]["searchParam"]}
    assert list(stated) == [row.name for row in SEARCHED[resource_type]]
    for row in SEARCHED[resource_type]:
        assert stated[row.name]["type"] == row.type
        assert stated[row.name].get("definition", "") == row.definition


@pytest.mark.parametrize("actor", ["DocumentResponder", "DocumentRecipient.Generate"])
def test_everything_that_mhd_asks_of_the_actor_is_stated(actor: str) -> None:
    path = FHIR / "conformance" / f"CapabilityStatement-IHE.MHD.{actor}.json"
    if not path.exists():
        pytest.skip(absent(path))
    for wanted in resources(json.loads(path.read_bytes())).values():
        stated = resources()[wanted["type"]]
        assert {one["code"] for one in wanted.get("interaction", ())} <= codes(wanted["type"])
        # the guide writes some names in other letters, and the $ of operations
        names = {one["name"].lower() for one in stated.get("searchParam", ())}
        assert {one["name"].lower() for one in wanted.get("searchParam", ())} <= names
        definitions = {one["definition"] for one in stated.get("operation", ())}
        assert {one["definition"] for one in wanted.get("operation", ())} <= definitions


def test_what_the_options_change_is_stated() -> None:
    def profiles(**options: Any) -> list[str]:
        (rest,) = capability.statement(BASE, Config(**options), ROWS)["rest"]
        documentations = [
            one["documentation"] for one in rest["interaction"] if one["code"] == "transaction"
        ]
        return [text.rpartition("/")[2] for text in documentations]

    assert profiles(minimal_metadata="refuse") == ["IHE.MHD.Comprehensive.ProvideBundle"]
    assert profiles() == [
        "IHE.MHD.Comprehensive.ProvideBundle",
        "IHE.MHD.Minimal.ProvideBundle",
    ]
    for options, claimed in (
        ({}, True),
        ({"minimal_metadata": "refuse"}, False),
        ({"minimal_metadata": "refuse", "generate_defaults": Path("defaults.toml")}, True),
    ):
        text = json.dumps(capability.statement(BASE, Config.model_validate(options), ROWS))
        assert ("generate-metadata" in text) is claimed
        assert ("DocumentRecipient.Generate" in text) is claimed
    for origins, cors in ((None, False), ("*", True)):
        stated = capability.statement(BASE, Config(fhir_cors_origins=origins), ROWS)
        assert stated["rest"][0]["security"]["cors"] is cors


def test_the_statement_is_served_in_both_forms(server: Server) -> None:
    as_json = ask(server, "GET", "/metadata")
    assert as_json.json() == capability.statement(f"{server.url}/fhir", Config(), SERVED)
    assert as_json.headers["vary"] == "Accept"
    as_xml = ask(server, "GET", "/metadata?_format=xml")
    root = etree.fromstring(as_xml.body)
    assert root.tag == "{http://hl7.org/fhir}CapabilityStatement"
    assert root.find("{*}implementation/{*}url").get("value") == f"{server.url}/fhir"
    assert ask(server, "GET", "/metadata").body == as_json.body


# --- OpenAPI -------------------------------------------------------------------------------------


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DESCRIBED["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_description_has_every_row_and_no_other() -> None:
    described = {(path, method) for path, method, _ in operations()}
    assert described == {(row.path or "/", row.method.lower()) for row in ROWS}
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_reference_of_the_description_leads_somewhere() -> None:
    found = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DESCRIBED))
    assert found
    for reference in found:
        place: Any = DESCRIBED
        for step in reference.split("/"):
            place = place[step]


def test_what_is_in_a_path_is_described() -> None:
    for path, _, operation in operations():
        resolved = [
            DESCRIBED["components"]["parameters"][one["$ref"].rpartition("/")[2]]
            if "$ref" in one
            else one
            for one in operation["parameters"]
        ]
        in_path = {one["name"] for one in resolved if one["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(one["required"] for one in resolved if one["in"] == "path")
        names = [(one["in"], one["name"]) for one in resolved]
        assert len(names) == len(set(names)), path


def test_a_search_is_described_with_its_parameters() -> None:
    paths = DESCRIBED["paths"]
    wanted = {row.name for row in (*SEARCHED["List"], *RESULT_PARAMETERS)}
    assert wanted <= {one.get("name") for one in paths["/List"]["get"]["parameters"]}
    form = paths["/List/_search"]["post"]["requestBody"]["content"]
    assert set(form["application/x-www-form-urlencoded"]["schema"]["properties"]) == wanted


def test_a_read_is_described_with_what_it_takes() -> None:
    described = DESCRIBED["paths"]["/List/{id}"]["get"]["parameters"]
    assert {"_summary", "_elements"} == {one["name"] for one in described if "name" in one}


def test_the_description_is_served(server: Server) -> None:
    reply = ask(server, "GET", "/openapi.json", {"Accept": "text/html"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert json.loads(reply.body) == openapi.description(f"{server.url}/fhir", SERVED)
