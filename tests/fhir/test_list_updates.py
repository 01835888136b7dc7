"""Updates of Lists: what changes of a Folder by ITI-57, and nothing of a SubmissionSet."""

import json

import pytest

from tests.fhir.asked import Reply, ask
from tests.fhir.updated import (
    Edit,
    Published,
    another_document,
    history_of,
    published_folder,
    setting,
)
from tests.serving import Server
from xds.fhir.patch.bodies import JSON_PATCH
from xds.fhir.r4 import structure
from xds.fhir.r4.resource import Resource

shows = pytest.mark.shows
LIST = "List"
_UNMODIFIABLE = "UnmodifiableMetadataError"
_IDENTIFIER = "XDSMetadataIdentifierError"
_PATIENT = "XDSPatientIDReconciliationError"


@pytest.fixture
def made(updating: Server) -> tuple[Published, Published, Published]:
    """A SubmissionSet with a document, and a Folder with it."""
    return published_folder(updating)


@pytest.fixture
def folder(made: tuple[Published, Published, Published]) -> Published:
    return made[2]


@pytest.fixture
def submission_set(made: tuple[Published, Published, Published]) -> Published:
    return made[0]


def _holding(*documents: Published) -> Edit:
    items = [{"item": {"reference": f"DocumentReference/{one.id}"}} for one in documents]
    return setting(entry=items or None)


def _held(resource: Resource) -> list[str]:
    return [one["item"]["reference"].rpartition("/")[2] for one in resource.get("entry", ())]


@shows("FHIR PUT /List/{id}", "behaviour FHIR versions")
def test_a_put_makes_a_further_version_of_a_folder(
    made: tuple[Published, Published, Published],
) -> None:
    _, document, folder = made
    reply = folder.put(folder.edited(setting(title="Renamed")))
    assert reply.status == 200, reply.body
    after = reply.json()
    assert (after["id"], after["title"], history_of(after)) == (
        folder.id,
        "Renamed",
        ("2", "current"),
    )
    assert _held(after) == [document.id], "its documents go with it"
    assert reply.headers["etag"] == f'W/"{after["meta"]["versionId"]}"'
    assert after == folder.read()


def test_a_folder_that_says_what_is_there_makes_no_version(folder: Published) -> None:
    before = folder.read()
    assert folder.put(before).json() == before


@shows("FHIR PUT /List/{id}")
def test_documents_join_and_leave_a_folder(made: tuple[Published, Published, Published]) -> None:
    _, document, folder = made
    other = another_document(document)
    both = folder.put(folder.edited(_holding(document, other))).json()
    assert (_held(both), history_of(both)[0]) == ([document.id, other.id], "1")
    one = folder.put(folder.edited(_holding(other))).json()
    assert (_held(one), history_of(one)[0]) == ([other.id], "1")
    assert _held(folder.put(folder.edited(_holding())).json()) == []


def test_metadata_and_documents_of_a_folder_change_at_once(
    made: tuple[Published, Published, Published],
) -> None:
    _, document, folder = made
    other = another_document(document)
    after = folder.put(folder.edited(setting(title="Renamed"), _holding(other))).json()
    assert (_held(after), history_of(after), after["title"]) == (
        [other.id],
        ("2", "current"),
        "Renamed",
    )
    assert _held(folder.read("1")) == [], "what left it has left the version before as well"


def test_a_folder_is_retired_and_current_again(folder: Published) -> None:
    assert history_of(folder.put(folder.edited(setting(status="retired"))).json()) == (
        "1",
        "retired",
    )
    refused = folder.put(folder.edited(setting(title="Renamed")))
    assert folder.refuses(refused, 422) == [("business-rule", "XDSMetadataUpdateError", LIST)]
    assert history_of(folder.put(folder.edited(setting(status="current"))).json()) == (
        "1",
        "current",
    )


@shows("behaviour FHIR entered-in-error")
def test_a_folder_that_was_made_in_error_is_found_by_its_status_alone(folder: Published) -> None:
    reply = folder.put(folder.edited(setting(status="entered-in-error")))
    assert history_of(reply.json()) == ("2", "entered-in-error")
    query = f"/{LIST}?_id={folder.id}"
    assert ask(folder.server, "GET", query).json()["total"] == 0
    assert ask(folder.server, "GET", f"{query}&status=entered-in-error").json()["total"] == 1


@shows("FHIR PATCH /List/{id}")
def test_a_folder_is_patched(folder: Published) -> None:
    patch = b'[{"op": "replace", "path": "/title", "value": "Renamed"}]'
    reply = folder.send("PATCH", folder.path, patch, Content_Type=JSON_PATCH)
    assert (reply.status, reply.json()["title"]) == (200, "Renamed")


@shows("FHIR PUT /List")
def test_a_conditional_put_of_a_folder(folder: Published) -> None:
    unique_id = next(
        one["value"] for one in folder.read()["identifier"] if "urn:oid:" in one["value"]
    )
    path = f"/{LIST}?identifier=urn:ietf:rfc:3986|{unique_id}&code=folder"
    reply = folder.put(folder.edited(setting(title="Renamed", id=None)), path)
    assert (reply.status, reply.json()["id"]) == (200, folder.id)
    missing = folder.put(folder.edited(setting(id=None)), f"{path[:-6]}submissionset")
    assert folder.refuses(missing, 404) == [("not-found", "", "")]


@shows("behaviour FHIR If-Match")
def test_a_stale_folder_is_refused(folder: Published) -> None:
    edited = folder.edited(setting(title="Renamed"))
    assert folder.put(edited, If_Match='W/"1"').status == 200
    refused = folder.put(edited, If_Match='W/"1"')
    assert folder.refuses(refused, 412) == [("conflict", "XDSMetadataVersionError", "")]


# --- what may not change of a Folder -------------------------------------------------------------


def _other_unique_id(resource: Resource) -> None:
    for one in resource["identifier"]:
        if one["value"].startswith("urn:oid:"):
            one["value"] = "urn:oid:2.999.9.9"


def _other_uuid(resource: Resource) -> None:
    for one in resource["identifier"]:
        if one["value"].startswith("urn:uuid:"):
            one["value"] = "urn:uuid:4d48a000-0000-4000-8000-00000000dead"


def _holds_nothing_known(resource: Resource) -> None:
    unknown = "DocumentReference/4d48a000-0000-4000-8000-00000000dead"
    resource["entry"] = [{"item": {"reference": unknown}}]


def _submission_set(resource: Resource) -> None:
    resource["code"]["coding"][0]["code"] = "submissionset"


@shows("behaviour FHIR unmodifiable")
@pytest.mark.parametrize(
    ("edit", "error", "place"),
    [
        (_other_unique_id, _IDENTIFIER, f"{LIST}.identifier[1]"),
        (_other_uuid, _IDENTIFIER, f"{LIST}.identifier[0]"),
        (setting(subject={"reference": "Patient/999999"}), _PATIENT, f"{LIST}.subject"),
        (_submission_set, _UNMODIFIABLE, f"{LIST}.code"),
        (setting(mode="snapshot"), _UNMODIFIABLE, f"{LIST}.mode"),
        (_holds_nothing_known, "UnresolvedReferenceException", f"{LIST}.entry[0].item"),
    ],
)
def test_what_may_not_change_of_a_folder(
    folder: Published, edit: Edit, error: str, place: str
) -> None:
    before = folder.read()
    ((_, told, where),) = folder.refuses(folder.put(folder.edited(edit)), 422)
    assert (told, where) == (error, place)
    assert folder.read() == before


def test_a_document_of_another_patient_does_not_join(
    folder: Published, document: Published
) -> None:
    before = folder.read()
    refused = folder.put(folder.edited(_holding(document)))
    assert folder.refuses(refused, 422)[0][1] == _PATIENT
    assert folder.read() == before


# --- SubmissionSets ------------------------------------------------------------------------------


@shows("behaviour FHIR SubmissionSet")
def test_a_submission_set_never_changes(submission_set: Published) -> None:
    before = submission_set.read()
    assert submission_set.put(before).json() == before
    for element in ({"title": "Renamed"}, {"entry": None}, {"subject": None}):
        refused = submission_set.put(submission_set.edited(setting(**element)))
        assert submission_set.refuses(refused, 422) == [
            ("processing", _UNMODIFIABLE, f"{LIST}.{next(iter(element))}")
        ]
    assert submission_set.read() == before


@shows("FHIR DELETE /List/{id}")
def test_a_submission_set_is_not_removed_before_its_documents(
    made: tuple[Published, Published, Published],
) -> None:
    submission_set, document, folder = made
    before = submission_set.read()
    refused = submission_set.send("DELETE", submission_set.path)
    told = submission_set.refuses(refused, 409)
    assert {one[:2] for one in told} == {("conflict", "XDSUnreferencedObjectException")}
    assert (submission_set.read(), folder.read()["entry"]) == (before, folder.read()["entry"])
    assert folder.send("DELETE", folder.path).status == 200
    assert document.send("DELETE", document.path).status == 200
    assert ask(submission_set.server, "GET", submission_set.path).status == 404


# --- versions and removal ------------------------------------------------------------------------


@shows("FHIR GET /List/{id}/_history")
def test_every_version_of_a_folder_is_in_its_history(folder: Published) -> None:
    first = folder.read()
    folder.put(folder.edited(setting(title="Renamed")))
    bundle = folder.send("GET", f"{folder.path}/_history").json()
    assert structure.problems(bundle) == []
    found = [(*history_of(e["resource"]), e["request"]["method"]) for e in bundle["entry"]]
    assert found == [("2", "current", "PUT"), ("1", "retired", "POST")]
    assert folder.read("1")["title"] == first["title"]
    assert folder.read("2") == folder.read()
    assert folder.send("GET", f"{folder.path}/_history/3").status == 404


def test_a_submission_set_has_one_version(submission_set: Published) -> None:
    bundle = submission_set.send("GET", f"{submission_set.path}/_history").json()
    assert [one["resource"] for one in bundle["entry"]] == [submission_set.read()]


@shows("FHIR DELETE /List")
def test_one_folder_that_a_search_finds_is_removed(folder: Published) -> None:
    path = f"/{LIST}?_id={folder.id}"
    assert folder.send("DELETE", path, If_Match='W/"9"').status == 412
    assert folder.send("DELETE", path).status == 200
    assert folder.send("DELETE", path).status == 404


@shows("FHIR PATCH /List")
def test_one_folder_that_a_search_finds_is_patched(folder: Published) -> None:
    patch = b'[{"op": "replace", "path": "/title", "value": "Renamed"}]'
    path = f"/{LIST}?_id={folder.id}"
    reply = folder.send("PATCH", path, patch, Content_Type=JSON_PATCH)
    assert (reply.status, reply.json()["title"]) == (200, "Renamed")


@shows("FHIR DELETE /List/{id}")
def test_a_folder_is_removed_and_its_documents_stay(
    made: tuple[Published, Published, Published],
) -> None:
    submission_set, document, folder = made
    folder.put(folder.edited(setting(title="Renamed")))
    assert folder.send("DELETE", folder.path, If_Match='W/"1"').status == 412
    reply: Reply = folder.send("DELETE", folder.path, Prefer="return=minimal")
    assert (reply.status, reply.body) == (204, b"")
    assert folder.send("GET", f"{folder.path}/_history").status == 404
    assert document.read()
    assert _held(submission_set.read()) == [document.id]


def test_the_statement_says_that_lists_are_updated(updating: Server) -> None:
    stated = ask(updating, "GET", "/metadata").json()["rest"][0]["resource"]
    (of_lists,) = (one for one in stated if one["type"] == LIST)
    codes = {one["code"] for one in of_lists["interaction"]}
    assert {"update", "patch", "delete", "history-instance"} <= codes
    assert json.dumps(of_lists).count("versioned-update") == 1
