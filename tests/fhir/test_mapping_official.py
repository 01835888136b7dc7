"""The mapping on messages and examples written by others: the fixtures, the facts', IHE's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from tests.fhir import metadata_made as made
from tests.fhir import profiles
from tests.fhir.mapped import PATIENT, READING, SYSTEMS, WRITING, differences, unfolded
from tests.reference import SHARED, absent
from xds.fhir.datatypes.context import Reading
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.submission import Submission
from xds.mhd import vocabulary as mhd
from xds.mhd.mapping.document_references import document_reference, read_document_reference
from xds.mhd.mapping.lists import folder_list, read_folder, read_submission_set, submission_set_list

ROOT: Final = Path(__file__).resolve().parents[2]
MHD: Final = SHARED / "reference" / "fhir" / "mhd-4.2.4"
MESSAGES: Final = [
    *sorted(ROOT.glob("fixtures/iti4[12]/*.xml")),
    *sorted(ROOT.glob("fixtures/iti61/*.xml")),
    *sorted((SHARED / "spec" / "messages").glob("iti4[12]-request*.xml")),
    *sorted((SHARED / "spec" / "messages").glob("iti61-request*.xml")),
]
LISTED_AS_LOST: Final = {"object_type", "repository_unique_id", "limited_metadata"}


def objects(path: Path) -> Iterator[MetadataObject]:
    root = etree.fromstring(path.read_bytes())
    for element in root.iter("{*}SubmitObjectsRequest"):
        for thing in Submission.read(element).with_uuids().objects:
            if isinstance(thing, DocumentEntry | SubmissionSet | Folder):
                yield thing


def written(thing: MetadataObject) -> Resource:
    if isinstance(thing, DocumentEntry):
        return document_reference(thing, context=WRITING)
    if isinstance(thing, SubmissionSet):
        return submission_set_list(thing, context=WRITING, members=[])
    assert isinstance(thing, Folder)
    return folder_list(thing, context=WRITING, members=[])


def read(resource: Resource, reading: Reading, patient_id: str) -> MetadataObject:
    if resource["resourceType"] == "DocumentReference":
        return read_document_reference(resource, reading, patient_id=patient_id).thing
    if resource["code"]["coding"][0]["code"] == mhd.FOLDER:
        return read_folder(resource, reading, patient_id=patient_id).thing
    return read_submission_set(resource, reading, patient_id=patient_id).thing


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_metadata_of_messages_come_back(path: Path) -> None:
    found = list(objects(path))
    assert found
    for thing in found:
        patient_id = getattr(thing, "patient_id", None) or ""
        differing = differences(thing, read(written(thing), READING, patient_id))
        if thing.availability_status is None or "Submitted" in thing.availability_status:
            differing.pop("availability_status", None)  # the registry sets it to Approved
        if getattr(thing, "logical_id", None) == thing.entry_uuid:
            differing.pop("logical_id", None)  # a first version is not told by it
        assert differing.keys() <= LISTED_AS_LOST


# --- the profiles of MHD -------------------------------------------------------------------------


@profiles.present
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_metadata_of_messages_are_written_as_the_profiles_demand(path: Path) -> None:
    for thing in objects(path):
        assert profiles.violations(written(thing)) == []


@profiles.present
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(made.document_entries(), made.submission_sets(), made.folders())
def test_whatever_is_written_keeps_the_profiles(
    entry: DocumentEntry, submission_set: SubmissionSet, folder: Folder
) -> None:
    for thing in (entry, submission_set, folder):
        assert profiles.violations(written(thing)) == []


@profiles.present
def test_a_breach_of_a_profile_would_be_seen() -> None:
    [thing] = [one for one in objects(MESSAGES[0]) if isinstance(one, SubmissionSet)]
    resource = written(thing)
    resource["status"], resource["meta"]["profile"] = "retired", [mhd.COMPREHENSIVE_SUBMISSION_SET]
    resource["extension"] = []
    found = profiles.violations(resource)
    assert "List.status is not current" in found
    assert "List.extension:sourceId: 0 of 1..1" in found


# --- IHE's examples ------------------------------------------------------------------------------


def resources(value: Any, path: str, around: tuple[Resource, ...] = ()) -> Iterator[Any]:
    """Yield each DocumentReference and List of MHD in an example, with its path and its Bundle."""
    if isinstance(value, list):
        for i, one in enumerate(value):
            yield from resources(one, f"{path}[{i}]", around)
    elif isinstance(value, dict):
        is_document = (
            value.get("resourceType") == "DocumentReference" and "masterIdentifier" in value
        )
        if is_document or (value.get("resourceType") == "List" and "code" in value):
            yield path, value, around
        inner = (*around, value) if value.get("resourceType") == "Bundle" else around
        for name, one in value.items():
            yield from resources(one, f"{path}.{name}", inner)


def reading_in(path: str, bundles: tuple[Resource, ...]) -> Reading:
    def resolve(reference: Resource) -> Resource | None:
        for entry in (entry for bundle in bundles for entry in bundle.get("entry", ())):
            if entry.get("fullUrl") == reference.get("reference"):
                found: Resource | None = entry.get("resource")
                return found
        return None

    return Reading(SYSTEMS, path, resolve)


EXAMPLES: Final = [
    (f"{path.stem}:{where}", reading_in(where, around), resource)
    for path in (*sorted(MHD.glob("*-ex-*.json")), *sorted(MHD.glob("Bundle-Find*.json")))
    for where, resource, around in resources(json.loads(path.read_text()), "X")
]
COMPREHENSIVE: Final = [
    one
    for one in EXAMPLES
    if one[2]["resourceType"] == "DocumentReference" and "Comprehensive" in str(one[2].get("meta"))
]


def each(examples: list[tuple[str, Reading, Resource]]) -> pytest.MarkDecorator:
    """Run a test with each example; skipped where there is none."""
    skipped = pytest.mark.skip(reason=absent(MHD))
    cases = [pytest.param(reading, resource, id=name) for name, reading, resource in examples]
    return pytest.mark.parametrize(
        ("reading", "resource"), cases or [pytest.param(None, None, marks=skipped)]
    )


@each(EXAMPLES)
def test_examples_of_ihe_are_read(reading: Reading, resource: Resource) -> None:
    thing = read(resource, reading, PATIENT)
    again = written(thing)
    # once through XDS, nothing more is lost
    assert differences(thing, read(again, READING, PATIENT)) == {}
    assert profiles.violations(again) == []
    for name in ("type", "category", "securityLabel", "description", "title", "status", "mode"):
        assert again.get(name) == resource.get(name), name
    for name in ("extension", "note"):
        assert _without_systems(again.get(name)) == _without_systems(resource.get(name)), name
    if "masterIdentifier" in resource:
        assert again["masterIdentifier"]["value"] == resource["masterIdentifier"]["value"]


@each(COMPREHENSIVE)
def test_comprehensive_examples_come_back(reading: Reading, resource: Resource) -> None:
    thing = read(resource, reading, PATIENT)
    assert isinstance(thing, DocumentEntry)
    again, wanted = unfolded(written(thing)), unfolded(resource)
    for name in ("event", "facilityType", "practiceSetting"):
        assert again["context"].get(name) == wanted["context"].get(name)
    content, wanted_content = again["content"][0], wanted["content"][0]
    assert content["format"] == wanted_content["format"]
    for name in ("contentType", "language", "title", "hash", "size"):
        assert content["attachment"].get(name) == wanted_content["attachment"].get(name)


def _without_systems(value: Any) -> Any:
    """Return extensions without the system of sourceId, which the examples leave out."""
    if isinstance(value, list):
        found = [_without_systems(one) for one in value if "intendedRecipient" not in str(one)]
        return sorted(found, key=str) or None
    if isinstance(value, dict) and "valueIdentifier" in value:
        return value["url"], value["valueIdentifier"]["value"]
    return value
