"""ITI-65 Provide Document Bundle: actors in the Bundle, and what lies on other servers."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fhir.changes import (
    A1,
    IN_BUNDLE,
    LOCAL,
    about,
    added,
    attached,
    patient_entry,
    put,
)
from tests.fhir.elsewhere import Elsewhere, serving_elsewhere
from tests.fhir.published import (
    PATIENT,
    REGISTERED,
    Change,
    Deploy,
    Deployment,
    ids,
    locations,
    message,
    statuses,
    told,
    warnings,
)
from xds.fhir.r4.resource import Resource


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with serving_elsewhere() as server:
        yield server


def test_an_author_may_be_an_entry_of_the_bundle(here: Deployment) -> None:
    practitioner = {
        "fullUrl": IN_BUNDLE,
        "resource": {"resourceType": "Practitioner", "name": [{"family": "Okafor"}]},
        "request": {"method": "POST", "url": "Practitioner"},
    }
    answer = here.provide(
        message(
            "one_document",
            added(practitioner),
            put("entry.1.resource.author", [{"reference": IN_BUNDLE}]),
        )
    )
    (author,) = here.entry(REGISTERED).thing.author
    assert author.person == ("^Okafor",)
    assert statuses(answer)[3] == "200 OK"
    assert locations(answer)[3] == locations(answer)[0]


def test_the_patient_as_the_source_knows_them_may_be_an_entry(here: Deployment) -> None:
    """It has the source's identifier, or one that no domain has (option UnContained)."""
    elsewhere = {"system": "http://example.org/patients", "value": "1"}
    for identifier, source_patient_id in ((LOCAL, "H-77^^^&2.999.1.2&ISO"), (elsewhere, PATIENT)):
        change = put("entry.1.resource.context.sourcePatientInfo.reference", IN_BUNDLE)
        entry = added(patient_entry("POST", "Patient", identifier))
        new = put("entry.0.resource.identifier", None)
        answer = here.provide(message("one_document", change, entry, new))
        made = here.entry(ids(answer)[1]).thing
        assert (made.patient_id, made.source_patient_id) == (PATIENT, source_patient_id)
        assert statuses(answer)[3] == "200 OK"
        assert locations(answer)[3] == locations(answer)[0]


def _at(url: str, **more: Any) -> Change:
    """Let the document be at a URL, and not in the Bundle."""

    def change(bundle: Resource) -> None:
        del bundle["entry"][2]
        attached(**{"hash": None, "size": None, "url": url, **more})(bundle)

    return change


A_NOTE = base64.b64encode(hashlib.sha1(b"a note").digest()).decode()


@pytest.mark.parametrize(
    ("stated", "warned"),
    [
        ({"hash": A_NOTE, "size": 6}, 0),
        ({"size": 6}, 0),
        ({"hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "size": 0}, 1),
    ],
    ids=["hash and size", "size", "delayed assembly"],
)
def test_a_document_is_fetched_from_where_that_is_allowed(
    deploy: Deploy, elsewhere: Elsewhere, stated: dict[str, Any], warned: int
) -> None:
    there = deploy(fhir_fetch_from=f"{elsewhere.url}/docs")
    change = _at(f"{elsewhere.url}/docs/note", **stated)
    answer = there.provide(message("one_document", change))
    entry = there.entry(REGISTERED).thing
    assert there.document(entry) == b"a note"
    assert (entry.hash, entry.size) == (hashlib.sha1(b"a note").hexdigest(), "6")
    assert len(warnings(answer)) == warned
    assert elsewhere.asked == [("/docs/note", "text/plain")]


@pytest.mark.parametrize(
    ("path", "code"),
    [("/secret", "forbidden"), ("/docs/nothing", "not-found"), ("/docs/away", "forbidden")],
)
def test_a_document_that_is_not_fetched_is_refused(
    deploy: Deploy, elsewhere: Elsewhere, path: str, code: str
) -> None:
    there = deploy(fhir_fetch_from=f"{elsewhere.url}/docs")
    change = _at(elsewhere.url + path, size=6)
    assert told(there.refusal(message("one_document", change))) == [(code, "", f"{A1}.url")]


def test_a_patient_of_another_server_is_fetched(deploy: Deploy, elsewhere: Elsewhere) -> None:
    there = deploy(fhir_fetch_from=f"{elsewhere.url}/docs")
    there.provide(message("one_document", about({"reference": f"{elsewhere.url}/docs/patient"})))
    assert there.entry(REGISTERED).thing.patient_id == PATIENT


def test_a_document_made_on_demand_is_registered_with_its_url(deploy: Deploy) -> None:
    there = deploy(fhir_fetch_from="http://reports.example/made")
    change = _at("http://reports.example/made/for/M4001")
    answer = there.provide(message("one_document", change))
    assert len(answer["entry"]) == 2
    entry = there.entry(REGISTERED).thing
    assert entry.is_on_demand
    assert entry.uri == "http://reports.example/made/for/M4001"
    assert (entry.hash, entry.size, entry.creation_time) == (None, None, None)


def test_documents_on_demand_and_others_are_not_mixed(deploy: Deploy) -> None:
    there = deploy(fhir_fetch_from="http://reports.example/made")
    change = _at("http://reports.example/made/for/M4001")
    refused = there.refusal(message("several_documents", change))
    assert ("not-supported", "", f"{A1}.url") in told(refused)
