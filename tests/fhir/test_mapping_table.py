"""The mapping table says what the code does, and docs/mhd-mapping.md what the table says."""

from pathlib import Path
from typing import Any

import pytest

from tests.fhir.mapped import PATIENT, READING, WRITING, differences
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import (
    Association,
    Author,
    Code,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.mhd.mapping.document_references import document_reference, read_document_reference
from xds.mhd.mapping.documentation import render
from xds.mhd.mapping.lists import folder_list, read_folder, read_submission_set, submission_set_list
from xds.mhd.mapping.table import ROWS, Direction, Row, absent

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mhd-mapping.md"
CODE = Code("A", "2.999.5", "What it means")
AUTHOR = Author(person=("77^Ruiz^Elena",), institution=("Harbour Hospital",))
KINDS: tuple[type[MetadataObject], ...] = (DocumentEntry, SubmissionSet, Folder, Association)

ENTRY = DocumentEntry.create(
    entry_uuid="urn:uuid:aaaaaaaa-0000-4000-8000-000000000001",
    home_community_id="urn:oid:2.999.1.4",
    availability_status=v.DEPRECATED,
    author=(AUTHOR,),
    class_code=CODE,
    comments="The final report",
    confidentiality_code=(CODE,),
    creation_time="20260304110000",
    document_availability=v.OFFLINE,
    event_code_list=(CODE,),
    format_code=CODE,
    hash="0d4fd3e8b9a1f6ee2f7c1f6f5b6b0f1e8a9a4c11",
    healthcare_facility_type_code=CODE,
    language_code="de-CH",
    legal_authenticator="12^Berg^Ida",
    logical_id="urn:uuid:aaaaaaaa-0000-4000-8000-000000000002",
    mime_type="application/pdf",
    patient_id=PATIENT,
    practice_setting_code=CODE,
    reference_id_list=("ACC-9^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:accession",),
    repository_unique_id="2.999.1.3",
    service_start_time="20260301",
    service_stop_time="20260304",
    size="20480",
    source_patient_id="H-401^^^&2.999.1.2&ISO",
    source_patient_info=("PID-3|H-401^^^&2.999.1.2&ISO", "PID-5|Meier^Lena"),
    title="Discharge report",
    type_code=CODE,
    unique_id="2.999.3.1",
    uri="DOC00001.PDF",
)
SET = SubmissionSet.create(
    entry_uuid="urn:uuid:aaaaaaaa-0000-4000-8000-000000000003",
    home_community_id="urn:oid:2.999.1.4",
    availability_status=v.APPROVED,
    author=(AUTHOR,),
    comments="Sent on the day of discharge",
    content_type_code=CODE,
    intended_recipient=("Lighthouse Practice|^Okafor^Ngozi",),
    patient_id=PATIENT,
    source_id="2.999.1.8",
    submission_time="20260304111500",
    title="Discharge",
    unique_id="2.999.2.1",
)
FOLDER = Folder.create(
    entry_uuid="urn:uuid:aaaaaaaa-0000-4000-8000-000000000004",
    home_community_id="urn:oid:2.999.1.4",
    availability_status=v.DEPRECATED,
    code_list=(CODE,),
    comments="All of this illness",
    last_update_time="20260304111500",
    logical_id="urn:uuid:aaaaaaaa-0000-4000-8000-000000000005",
    patient_id=PATIENT,
    title="Illness",
    unique_id="2.999.4.1",
)
RESOURCES: dict[type[MetadataObject], Resource] = {
    DocumentEntry: document_reference(ENTRY, context=WRITING),
    SubmissionSet: submission_set_list(SET, context=WRITING, members=[]),
    Folder: folder_list(FOLDER, context=WRITING, members=[]),
}
READ: dict[type[MetadataObject], MetadataObject] = {
    DocumentEntry: read_document_reference(
        RESOURCES[DocumentEntry], READING, patient_id=PATIENT
    ).thing,
    SubmissionSet: read_submission_set(RESOURCES[SubmissionSet], READING, patient_id=PATIENT).thing,
    Folder: read_folder(RESOURCES[Folder], READING, patient_id=PATIENT).thing,
}
WRITTEN: dict[type[MetadataObject], MetadataObject] = {
    DocumentEntry: ENTRY,
    SubmissionSet: SET,
    Folder: FOLDER,
}
OF_RESOURCES = [row for row in ROWS if row.kind in RESOURCES]


def title(row: Row) -> str:
    return f"{row.kind.__name__}.{row.attribute}"


def test_every_declared_attribute_has_one_row() -> None:
    declared = [f"{kind.__name__}.{name}" for kind in KINDS for name in kind.attributes()]
    assert sorted(map(title, ROWS)) == sorted(declared)


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "docs/mhd-mapping.md is stale: make mapping"
    )


def at(values: list[Any], step: str) -> list[Any]:
    """Take one step of the FHIRPath that the table uses."""
    name, _, argument = step.partition("(")
    argument = argument.rstrip(")").strip("'")
    if name == "extension" and argument:
        return [x for one in values for x in one.get(name, ()) if x["url"] == argument]
    if name == "where":
        path, _, wanted = argument.partition(" = ")
        return [one for one in values if wanted.strip("'") in follow([one], path.split("."))]
    if name == "value":
        return [v for one in values for k, v in one.items() if k.startswith("value")]
    found = [one[name] for one in values if name in one]
    return [x for one in found for x in (one if isinstance(one, list) else [one])]


def follow(values: list[Any], steps: list[str]) -> list[Any]:
    for step in steps:
        values = at(values, step)
    return values


def steps_of(path: str) -> list[str]:
    """Split at the dots that are not within parentheses."""
    found, depth = [""], 0
    for character in path:
        depth += (character == "(") - (character == ")")
        if character == "." and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


@pytest.mark.parametrize("row", [row for row in OF_RESOURCES if row.path], ids=title)
def test_what_has_a_path_is_there(row: Row) -> None:
    resource, *steps = steps_of(row.path)
    assert resource == RESOURCES[row.kind]["resourceType"]
    assert follow([RESOURCES[row.kind]], steps), row.path


@pytest.mark.parametrize("row", OF_RESOURCES, ids=title)
def test_what_does_not_come_back_is_listed(row: Row) -> None:
    differing = differences(WRITTEN[row.kind], READ[row.kind])
    if row.direction is Direction.BOTH:
        assert row.attribute not in differing
    else:
        assert row.lost_of_xds, "an attribute that does not come back is lost, which is said"
    if row.attribute in differing:
        assert row.lost_of_xds


def test_absent_tells_where_what_is_required_should_be() -> None:
    entry = ENTRY.updated(creation_time=None, class_code=None, source_patient_id=None)
    issues = absent(entry, "Bundle.entry[1].resource")
    assert {(issue.code, *issue.expression) for issue in issues} == {
        ("required", "Bundle.entry[1].resource.category"),
        ("required", "Bundle.entry[1].resource.content.attachment.creation"),
        ("required", "Bundle.entry[1].resource.context.sourcePatientInfo"),
    }
    assert [issue.diagnostics for issue in issues if "category" in issue.expression[0]] == [
        "classCode is required"
    ]
    assert absent(ENTRY, "X") == []
    assert absent(entry, "X", but={"creation_time", "class_code", "source_patient_id"}) == []
    of_on_demand = absent(entry, "X", transaction="ITI-61", but={"class_code", "source_patient_id"})
    assert of_on_demand == []
