"""limitedMetadata: what a deployment that admits Minimal Metadata demands still."""

from typing import Any

import pytest

from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, SubmissionSet
from xds.metadata.rules.case import Case, Policy
from xds.metadata.rules.submission_rules import violations
from xds.metadata.submission import Submission

PATIENT = "anna^^^&2.999.1.1&ISO"
ENTRY: dict[str, Any] = {
    "limited_metadata": True,
    "patient_id": PATIENT,
    "unique_id": "2.999.3.1",
    "mime_type": "text/plain",
    "hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "size": "0",
    "repository_unique_id": "2.999.1.3",
}
SET: dict[str, Any] = {
    "limited_metadata": True,
    "patient_id": PATIENT,
    "unique_id": "2.999.2.1",
    "source_id": "2.999.1.9",
    "submission_time": "20260302",
}
ADMITTED = Policy(limited_metadata=True)


def told(policy: Policy, entry: dict[str, Any], submission_set: dict[str, Any]) -> list[str]:
    """Return the violations of a submission of one document."""
    made, held = SubmissionSet.create(**submission_set), DocumentEntry.create(**entry)
    member = Association.create(
        association_type=v.HAS_MEMBER,
        source=made.id,
        target=held.id,
        submission_set_status=v.ORIGINAL,
    )
    case = Case(Submission((made, held, member)), "ITI-42", policy=policy)
    return [error.code_context.partition(": ")[2] for error in violations(case)]


def test_little_is_enough_where_it_is_admitted() -> None:
    assert told(ADMITTED, ENTRY, SET) == []


def test_it_is_refused_where_it_is_not() -> None:
    assert "limitedMetadata must not be given in XDS" in told(Policy(), ENTRY, SET)


@pytest.mark.parametrize("name", sorted(ENTRY.keys() - {"limited_metadata"}))
def test_what_an_entry_needs_still(name: str) -> None:
    without = {key: value for key, value in ENTRY.items() if key != name}
    (message,) = told(ADMITTED, without, SET)[:1]
    assert message == f"{getattr(DocumentEntry, name).tf_name} is required"


def test_only_what_has_the_flag_is_spared() -> None:
    messages = told(ADMITTED, {**ENTRY, "limited_metadata": False}, SET)
    assert "typeCode is required" in messages
    assert "contentTypeCode is required" not in messages


def test_the_flag_is_written_and_taken_away() -> None:
    entry = DocumentEntry.create(**ENTRY)
    assert entry.limited_metadata
    assert not entry.updated(limited_metadata=False).limited_metadata
