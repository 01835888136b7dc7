"""What is recorded of updates and removals by FHIR, alone and in transaction Bundles."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.audit.test_records import audit
from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.updated import (
    RESTRICTED,
    UPDATE_OPTIONS,
    Published,
    another_document,
    new_bundle,
    patient_of,
    published,
    setting,
)
from tests.serving import Server, serving
from tests.waiting import until
from xds.fhir.r4.resource import Resource

shows = pytest.mark.shows
UPDATE, REMOVAL = ("Import", "U"), ("Patient Record", "D")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("audited")
    options = {**UPDATE_OPTIONS, "audit": "on", "database": databases.url(data)}
    with serving(data, options) as server:
        yield server


@pytest.fixture
def document(audited: Server) -> Published:
    return published(audited)


def _record(document: Published, patient: str, transaction: str, outcome: int) -> dict[str, Any]:
    """Wait for the record of a transaction that ended so."""

    def found() -> list[dict[str, Any]]:
        told = audit(document.server, "--patient", f"{patient}^^^&2.999.1.1&ISO")
        return [
            one for one in told if (one["transaction"], one["outcome"]) == (transaction, outcome)
        ]

    return until(found)[0]


def _told(record: dict[str, Any]) -> tuple[str, str]:
    return record["event"][2], record["action"]


def _entry(document: Published, method: str, resource: Resource | None = None) -> Resource:
    request = {"method": method, "url": document.path.removeprefix("/")}
    return {"request": request} if resource is None else {"request": request, "resource": resource}


def _patch(document: Published, path: str = "status", **value: object) -> Resource:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": f"DocumentReference.{path}"},
        {"name": "value", **(value or {"valueCode": "superseded"})},
    ]
    operation = {"name": "operation", "part": parts}
    return _entry(document, "PATCH", {"resourceType": "Parameters", "parameter": [operation]})


def _send(
    document: Published, entries: Sequence[Resource], bundle: Resource | None = None
) -> Reply:
    bundle = bundle or {"resourceType": "Bundle", "type": "transaction", "entry": []}
    bundle["entry"].extend(entries)
    body = json.dumps(bundle).encode()
    return ask(document.server, "POST", "", {"Content-Type": FHIR_JSON}, body)


def _things(record: dict[str, Any]) -> list[tuple[int, str]]:
    """Return role and kind of the objects of a record: 20 is a job, of which a SubmissionSet is."""
    return [(one["role"], one["id_type"][2]) for one in record["things"]]


SUBMISSION_SET = (20, "submission set classificationNode")


@shows("ITI-57", "FHIR POST /")
def test_a_transaction_of_updates_is_an_update_for_each_patient(document: Published) -> None:
    other = published(document.server)
    patients = patient_of(document), patient_of(other)
    edited = document.edited(setting(description="seen"))
    assert _send(document, [_entry(document, "PUT", edited), _patch(other)]).status == 200
    for patient in patients:
        found = _record(document, patient, "ITI-57", 0)
        assert _told(found) == UPDATE
        assert SUBMISSION_SET in _things(found)
        assert found["address"] == "127.0.0.1"


@shows("ITI-57", "FHIR POST /")
def test_a_transaction_of_updates_that_is_refused_is_recorded(document: Published) -> None:
    patient = patient_of(document)
    edited = document.edited(setting(subject=None))
    assert _send(document, [_entry(document, "PUT", edited)]).status == 422
    assert _told(_record(document, patient, "ITI-57", 4)) == UPDATE


@shows("ITI-57")
@pytest.mark.parametrize("is_refused", [False, True])
def test_a_submission_with_an_update_is_recorded_as_both(
    document: Published, is_refused: bool
) -> None:
    patient = patient_of(document)
    patch = (
        _patch(document, "masterIdentifier.value", valueUri="urn:oid:2.999.9")
        if is_refused
        else _patch(document, "securityLabel[0].coding[0]", valueCoding=RESTRICTED[0]["coding"][0])
    )
    reply = _send(document, [patch], new_bundle("one_document", patient))
    assert reply.status == (422 if is_refused else 200), reply.body
    outcome = 4 if is_refused else 0
    assert _told(_record(document, patient, "ITI-57", outcome)) == UPDATE
    if not is_refused:
        assert _told(_record(document, patient, "ITI-65", 0)) == ("Import", "C")


@shows("ITI-62", "FHIR DELETE /DocumentReference/{id}")
def test_a_delete_is_recorded_with_all_that_goes(document: Published) -> None:
    patient = patient_of(document)
    assert document.send("DELETE", document.path).status == 200
    found = _record(document, patient, "ITI-62", 0)
    assert _told(found) == REMOVAL
    assert {kind for _, kind in _things(found)} == {
        "association type",
        "document entry object type",
        "submission set classification node",
    }


@shows("ITI-62", "FHIR POST /")
@pytest.mark.parametrize("is_refused", [False, True])
def test_a_transaction_of_deletes_is_recorded(document: Published, is_refused: bool) -> None:
    patient, other = patient_of(document), another_document(document)
    entries = [_entry(document, "DELETE"), _entry(other, "DELETE")]
    if is_refused:
        entries[1]["request"]["ifMatch"] = 'W/"7"'
    assert _send(document, entries).status == (412 if is_refused else 200)
    found = _record(document, patient, "ITI-62", 4 if is_refused else 0)
    assert _told(found) == REMOVAL
    removed = [kind for _, kind in _things(found)].count("document entry object type")
    assert removed == (0 if is_refused else 2)


def test_a_delete_of_what_is_on_hold_is_recorded(document: Published) -> None:
    patient = patient_of(document)
    label = {**RESTRICTED[0]["coding"][0], "code": "V", "display": "very restricted"}
    document.put(document.edited(setting(securityLabel=[{"coding": [label]}])))
    assert document.send("DELETE", document.path).status == 422
    assert _told(_record(document, patient, "ITI-62", 4)) == REMOVAL
