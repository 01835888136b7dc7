"""SubmissionSets and Folders as Lists, and Lists as real senders write them."""

from typing import Any

import pytest

from tests.fhir.mapped import PATIENT, READING, SYSTEMS, WRITING
from tests.fhir.test_mapping_table import FOLDER, SET
from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Mapped
from xds.fhir.datatypes.identifiers import unique_identifier
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author, DocumentEntry, Folder, SubmissionSet
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.lists import folder_list, read_folder, read_submission_set, submission_set_list
from xds.registry.queries.views import Member

RFC = "urn:ietf:rfc:3986"
DOCUMENT = "urn:uuid:bbbbbbbb-0000-4000-8000-000000000001"
HELD = "urn:uuid:dddddddd-0000-4000-8000-000000000001"
PERSON = {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Ruiz"}]}
PLACE = {"resourceType": "Organization", "id": "o", "name": "my Hospital"}


def submission(**elements: Any) -> Resource:
    return {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": mhd.LIST_TYPES, "code": "submissionset"}]},
        "date": "2004-10-25T23:50:50-05:00",
        "extension": [{"url": mhd.SOURCE_ID, "valueIdentifier": {"value": "urn:oid:1.2.3.4"}}],
        **elements,
    }


def read(resource: Resource) -> Mapped[SubmissionSet]:
    return read_submission_set(resource, READING, patient_id=PATIENT)


def refusal(resource: Resource) -> list[tuple[str, ...]]:
    with pytest.raises(Refused) as caught:
        read(resource)
    return [
        (one.code, *(e.removeprefix(f"{READING.path}.") for e in one.expression))
        for one in caught.value.issues
    ]


def test_a_submission_set_lists_its_documents_and_folders() -> None:
    members = [
        Member(SET.entry_uuid, DocumentEntry, DOCUMENT, DOCUMENT, HELD),
        Member(SET.entry_uuid, Folder, FOLDER.entry_uuid, FOLDER.entry_uuid, HELD),
    ]
    resource = submission_set_list(
        SET, context=WRITING, members=members, last_updated_at="20260304112000", patient=17
    )
    assert resource["meta"] == {
        "lastUpdated": "2026-03-04T11:20:00Z",
        "profile": [mhd.COMPREHENSIVE_SUBMISSION_SET],
    }
    assert (resource["status"], resource["mode"]) == ("current", "working")
    assert resource["code"]["coding"] == [{"system": mhd.LIST_TYPES, "code": "submissionset"}]
    assert resource["subject"]["reference"] == "Patient/17"
    assert [one["item"]["reference"] for one in resource["entry"]] == [
        "DocumentReference/bbbbbbbb-0000-4000-8000-000000000001",
        "List/aaaaaaaa-0000-4000-8000-000000000004",
    ]


def test_a_folder() -> None:
    resource = folder_list(FOLDER, context=WRITING, members=[])
    assert resource["meta"]["profile"] == [mhd.COMPREHENSIVE_FOLDER]
    assert resource["status"] == "retired"
    assert "entry" not in resource


@pytest.mark.parametrize("lacking", ["title", "code_list", "patient_id"])
def test_a_folder_that_lacks_something_is_minimal(lacking: str) -> None:
    thing = FOLDER.updated(**{lacking: () if lacking == "code_list" else None})
    resource = folder_list(thing, context=WRITING, members=[])
    assert resource["meta"]["profile"] == [mhd.MINIMAL_FOLDER]


def test_several_authors_stand_beside_the_one_that_source_holds() -> None:
    authors = (Author(institution=("my Hospital",)), Author(person=("^Ruiz",)))
    resource = submission_set_list(SET.updated(author=authors), context=WRITING, members=[])
    assert resource["source"] == {
        "extension": [{"url": mhd.AUTHOR_ORG, "valueReference": {"reference": "#author-1"}}]
    }
    assert {"url": mhd.OWN_AUTHOR, "valueReference": {"reference": "#author-2"}} in resource[
        "extension"
    ]
    assert read(resource).thing.author == authors


def test_source_and_its_organization_are_one_author() -> None:
    source = {
        "reference": "#p",
        "extension": [{"url": mhd.AUTHOR_ORG, "valueReference": {"reference": "#o"}}],
    }
    mapped = read(submission(source=source, contained=[PERSON, PLACE]))
    assert mapped.thing.author == (Author(person=("^Ruiz",), institution=("my Hospital",)),)
    assert mapped.warnings == ()


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (PERSON, "|^Ruiz"),
        (PLACE, "my Hospital"),
        ({"resourceType": "Group", "id": "g", "name": "the team"}, "the team"),
        (
            {"resourceType": "Practitioner", "id": "m", "telecom": [{"value": "a@example.org"}]},
            "||^NET^Internet^a@example.org",
        ),
    ],
)
def test_recipients(target: Resource, text: str) -> None:
    extension = {
        "url": mhd.INTENDED_RECIPIENT,
        "valueReference": {"reference": f"#{target['id']}"},
    }
    resource = submission(contained=[target])
    resource["extension"].append(extension)
    assert read(resource).thing.intended_recipient == (text,)


@pytest.mark.parametrize(
    "identifier",
    [
        {"value": "urn:oid:1.2.3.4"},
        {"value": "1.2.3.4"},
        {"system": RFC, "value": "urn:oid:1.2.3.4"},
    ],
)
def test_source_id_with_and_without_a_system(identifier: Resource) -> None:
    extension = [{"url": mhd.SOURCE_ID, "valueIdentifier": identifier}]
    assert read(submission(extension=extension)).thing.source_id == "1.2.3.4"


@pytest.mark.parametrize("version", ["by type", "by use", "by value"])
def test_identifiers_of_every_version(version: str) -> None:
    uuid = "urn:uuid:5d3d3a7d-82a6-4fe0-8d87-ee2cb87fa219"
    identifiers: list[Resource] = [
        {"system": RFC, "value": "urn:oid:2.999.2.1"},
        {"system": RFC, "value": uuid},
    ]
    for one, kind, use in zip(
        identifiers, ("uniqueId", "entryUUID"), ("usual", "official"), strict=True
    ):
        if version == "by type":
            one["type"] = {"coding": [{"system": f.IDENTIFIER_TYPES, "code": kind}]}
        elif version == "by use":
            one["use"] = use
    thing = read(submission(identifier=identifiers)).thing
    assert (thing.unique_id, thing.entry_uuid) == ("2.999.2.1", uuid)


def test_what_a_list_does_not_say_is_for_the_receiver_to_give() -> None:
    thing = read({"resourceType": "List", "status": "current"}).thing
    assert thing.unique_id is thing.submission_time is thing.source_id is None
    assert thing.entry_uuid.startswith("urn:uuid:")
    assert thing.availability_status == v.APPROVED


@pytest.mark.parametrize(
    ("elements", "error"),
    [
        ({"status": "retired"}, ("value", "status")),
        ({"date": "today"}, ("value", "date")),
        ({"source": {"reference": "#nobody"}}, ("not-found", "source")),
        (
            {"identifier": [{"use": "usual", "system": RFC, "value": "http://example.org/1"}]},
            ("value", "identifier[0]"),
        ),
        (
            {"identifier": [unique_identifier(f"2.999.4.{n}", SYSTEMS) for n in (1, 2)]},
            ("invariant", "identifier[1]"),
        ),
        (
            {"extension": [{"url": mhd.SOURCE_ID, "valueIdentifier": {"value": "me"}}]},
            ("value", "extension[0].value"),
        ),
        (
            {"extension": [{"url": mhd.DESIGNATION_TYPE, "valueCodeableConcept": {"text": "x"}}]},
            ("required", "extension[0].value.coding[0].code"),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    elements: dict[str, Any], error: tuple[str, ...]
) -> None:
    assert error in refusal(submission(**elements))


def test_of_several_notes_and_types_the_first_ones_are_attributes() -> None:
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "225728007"}]}
    designation = {"url": mhd.DESIGNATION_TYPE, "valueCodeableConcept": concept}
    mapped = read(
        submission(extension=[designation] * 2, note=[{"text": "kept"}, {"text": "lost"}])
    )
    assert mapped.thing.comments == "kept"
    assert mapped.warnings == ()


def test_what_is_lost_of_a_list_is_warned_of() -> None:
    item = {"reference": "DocumentReference/1"}
    entries = [{"item": item}, {"item": item, "date": "2026"}, {"item": {**item, "display": "x"}}]
    mapped = read(submission(entry=entries))
    told = [issue.expression[0].rpartition(".")[2] for issue in mapped.warnings]
    assert told == ["entry[1]", "entry[2]"]


@pytest.mark.parametrize(
    ("status", "urn"),
    [("current", v.APPROVED), ("retired", v.DEPRECATED), ("superseded", v.DEPRECATED)],
)
def test_status_of_a_folder(status: str, urn: str) -> None:
    mapped = read_folder({"status": status}, READING, patient_id=PATIENT)
    assert mapped.thing.availability_status == urn


def test_a_folder_in_error_is_refused() -> None:
    with pytest.raises(Refused):
        read_folder({"status": "entered-in-error"}, READING, patient_id=PATIENT)
