"""What becomes of messages: new documents, versions, repeats, cancellations, refusals."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Databases
from tests.messaging.filing import (
    FLAVOUR,
    LOCAL,
    NATIONAL,
    OTHER,
    FilingWorld,
    carried,
    filing_world,
    number,
    pdf,
    report,
    text,
)
from xds.messaging.filing import FilingOutcome
from xds.messaging.model import MessageReport, PatientIdentifier


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[FilingWorld]:
    with filing_world(databases, tmp_path) as found:
        yield found


def told(outcome: FilingOutcome) -> list[tuple[str, bool]]:
    return [(one.verdict.name, one.is_warning) for one in outcome.findings]


def test_a_report_becomes_a_document_with_its_record(world: FilingWorld) -> None:
    outcome = world.file(report("T1", pdf(), placer_numbers=[number("P1")]))
    assert (outcome.state, told(outcome)) == ("filed", [])
    (entry,) = world.entries()
    (made,) = outcome.documents
    assert (made.entry_uuid, made.unique_id) == (entry.id, entry.unique_id)
    assert (entry.patient_id, entry.source_patient_id) == (NATIONAL.cx, LOCAL.cx)
    assert entry.mime_type == "application/pdf"
    assert entry.source_message == outcome.record_id
    assert entry.reference_id_list == (
        "P1^^^&2.999.6.7&ISO^urn:ihe:iti:xds:2013:order",
        "T1^^^&2.999.6.7&ISO^urn:ihe:iti:xds:2013:accession",
    )
    assert entry.fhir_elements
    assert "final" in entry.fhir_elements[0]


def test_text_is_rendered_and_is_the_same_whatever_renders_it(world: FilingWorld) -> None:
    world.flavour = replace(FLAVOUR, render="text")
    assert world.file(report("T1", text("Result", "  normal"))).state == "filed"
    world.flavour = replace(FLAVOUR, render="pdf")
    again = world.file(report("T1", text("Result ", "  normal")))
    assert (again.state, told(again)) == ("indexed", [("duplicate-id", True)])
    assert [one.mime_type for one in world.entries()] == ["text/plain"]
    assert world.stored() == 1


def test_times_of_day_are_rendered_in_the_zone_of_the_sender(world: FilingWorld) -> None:
    world.flavour = replace(FLAVOUR, render="text", zone="Europe/London")
    world.file(report("T1", text("normal"), reported="20260810120000"))
    store = world.filer.domain.repository.store
    (stored,) = store.list()
    with store.open(stored.key) as document:
        assert b"10-Aug-2026 13:00 BST" in b"".join(document)


# --- repeats (case 2) ----------------------------------------------------------------------------


def test_a_message_that_comes_again_gets_its_answer_again(world: FilingWorld) -> None:
    sent = world.incoming(report("T1", pdf()))
    first, again = world.filer.file(sent), world.filer.file(sent)
    assert again == replace(first, is_replay=True)
    assert len(world.entries()) == 1


def test_a_control_id_of_other_content_is_another_message(world: FilingWorld) -> None:
    world.file(report("T1", pdf()), control_id="SAME")
    other = world.file(report("T2", pdf("two")), control_id="SAME")
    assert (other.state, told(other)) == ("filed", [("duplicate-id", True)])
    world.flavour = replace(FLAVOUR, same_control_id="refuse")
    refused = world.file(report("T3", pdf("three")), control_id="SAME")
    assert (refused.state, told(refused)) == ("refused", [("duplicate-id", False)])
    assert len(world.entries()) == 2


def test_oru_and_mdm_of_one_report_are_one_document(world: FilingWorld) -> None:
    world.file(report("T1", pdf()))
    mdm = world.file(report("T1", pdf()), code="MDM", trigger="T02")
    assert (mdm.state, told(mdm)) == ("indexed", [("duplicate-id", True)])
    assert (len(world.entries()), world.stored()) == (1, 1)


# --- versions (case 1) ---------------------------------------------------------------------------

STATUSES = ("preliminary", "final", "corrected", "cancelled")


def version(place: int) -> MessageReport:
    status: Any = STATUSES[place]
    return report(
        "T1",
        *([] if status == "cancelled" else [pdf(status)]),
        action="cancel" if status == "cancelled" else "file",
        status=status,
        version_time=f"2026081{place}120000",
    )


def test_versions_in_order(world: FilingWorld) -> None:
    for place in range(4):
        assert world.file(version(place)).is_accepted
    assert world.statuses() == ["Deprecated"] * 3


@pytest.mark.parametrize("order", list(permutations(range(4)))[5::6])
def test_versions_in_any_order_end_alike(world: FilingWorld, order: tuple[int, ...]) -> None:
    for place in order:
        assert world.file(version(place)).is_accepted
    assert "Approved" not in world.statuses()


@pytest.mark.parametrize("order", list(permutations(range(3)))[1::2])
def test_the_last_version_stands(world: FilingWorld, order: tuple[int, ...]) -> None:
    for place in order:
        assert world.file(version(place)).is_accepted
    (standing,) = (one for one in world.entries() if "Approved" in (one.availability_status or ""))
    assert "amended" in "".join(standing.fhir_elements)


def test_two_at_once_make_one_chain(world: FilingWorld) -> None:
    sent = [world.incoming(report("T1", pdf(str(i)), version_time=f"2026081{i}")) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(world.filer.file, sent))
    assert all(one.is_accepted for one in outcomes), outcomes
    assert world.statuses().count("Approved") == 1
    last = world.entry(next(one for one in outcomes[5].documents).unique_id)
    assert "Approved" in (last.availability_status or "")


def test_the_same_message_at_once_is_filed_once(world: FilingWorld) -> None:
    sent = world.incoming(report(None, pdf()))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(world.filer.file, [sent] * 4))
    assert [one.is_replay for one in outcomes].count(False) == 1
    assert (len(world.entries()), world.stored()) == (1, 1)


def test_a_content_of_before_comes_back_as_a_version_of_its_own(world: FilingWorld) -> None:
    for day, name in enumerate(("a", "b", "a")):
        assert world.file(report("T1", pdf(name), version_time=f"2026081{day}")).is_accepted
    assert world.statuses() == ["Deprecated", "Deprecated", "Approved"]


def test_a_rising_status_of_the_same_content_is_a_change_of_metadata(world: FilingWorld) -> None:
    world.file(report("T1", pdf(), status="preliminary"))
    final = world.file(report("T1", pdf()))
    assert [one.change for one in final.documents] == ["updated"]
    (entry,) = world.entries()
    assert (entry.version, "final" in "".join(entry.fhir_elements)) == ("2", True)
    corrected = world.file(report("T1", pdf("two"), status="corrected"))
    assert [one.change for one in corrected.documents] == ["replaced"]
    assert world.statuses() == ["Deprecated", "Approved"]


@pytest.mark.parametrize(
    ("late", "statuses"),
    [
        ("ignore", ["Approved"]),
        ("file-deprecated", ["Approved", "Deprecated"]),
        ("replace", ["Deprecated", "Approved"]),
    ],
)
def test_an_older_version_comes_late(world: FilingWorld, late: Any, statuses: list[str]) -> None:
    world.flavour = replace(FLAVOUR, late=late)
    world.file(report("T1", pdf("new"), version_time="20260812"))
    world.file(report("T1", pdf("old"), version_time="20260811"))
    assert world.statuses() == statuses


# --- MDM (case 5) --------------------------------------------------------------------------------


def mdm(
    world: FilingWorld, trigger: str, action: Any, value: str, *documents: Any, **said: Any
) -> FilingOutcome:
    return world.file(report(value, *documents, action=action, **said), code="MDM", trigger=trigger)


def test_the_life_of_a_document_by_mdm(world: FilingWorld) -> None:
    assert mdm(world, "T01", "announce", "D1").state == "indexed"
    assert mdm(world, "T02", "file", "D1", pdf("1")).state == "filed"
    addendum = mdm(world, "T06", "append", "D2", pdf("2"), parent=number("D1"))
    assert [one.change for one in addendum.documents] == ["appended"]
    new = mdm(world, "T10", "replace", "D3", pdf("3"), parent=number("D1"))
    assert [one.change for one in new.documents] == ["replaced"]
    assert world.statuses() == ["Deprecated", "Deprecated", "Approved"]
    gone = mdm(world, "T11", "cancel", "D3", status="cancelled")
    assert [one.change for one in gone.documents] == ["deprecated"]
    assert world.statuses() == ["Deprecated"] * 3
    (*_, last) = world.entries()
    assert "entered-in-error" in "".join(last.fhir_elements)


@pytest.mark.parametrize(
    ("trigger", "action", "parent"),
    [
        ("T03", "status", None),
        ("T05", "announce", "D0"),
        ("T07", "edited", None),
        ("T09", "replaced", "D0"),
        ("T11", "cancel", None),
    ],
)
def test_what_needs_a_known_document_is_refused_without(
    world: FilingWorld, trigger: str, action: Any, parent: str | None
) -> None:
    outcome = mdm(world, trigger, action, "D1", parent=number(parent) if parent else None)
    assert (outcome.state, told(outcome)) == ("refused", [("document-unknown", False)])


def test_a_document_after_its_cancellation_is_deprecated(world: FilingWorld) -> None:
    mdm(world, "T11", "cancel", "D1", version_time="20260812")
    late = mdm(world, "T02", "file", "D1", pdf(), version_time="20260811")
    assert told(late) == [("older", True)]
    assert world.statuses() == ["Deprecated"]


def test_an_addendum_before_its_parent(world: FilingWorld) -> None:
    first = mdm(world, "T06", "append", "D2", pdf(), parent=number("D1"))
    assert (first.state, told(first)) == ("filed", [("document-unknown", True)])
    world.flavour = replace(FLAVOUR, unknown_parent="refuse")
    refused = mdm(world, "T06", "append", "D4", pdf("4"), parent=number("D3"))
    assert (refused.state, world.stored()) == ("refused", 1)


# --- patients (cases 10, 12) ---------------------------------------------------------------------


def test_two_national_numbers_of_a_domain_are_a_conflict(
    databases: Databases, tmp_path: Path
) -> None:
    with filing_world(databases, tmp_path, assigning_authority=NATIONAL.domain) as world:
        world.identifiers = [NATIONAL, OTHER]
        assert told(world.file(report("T1", pdf()))) == [("patient-id", False)]
        world.identifiers = [LOCAL]
        assert told(world.file(report("T1", pdf()))) == [("patient-unknown", False)]
        assert world.stored() == 0


def test_a_number_of_another_patient_is_refused_until_it_was_withdrawn(world: FilingWorld) -> None:
    world.file(report("T1", pdf()))
    world.identifiers = [OTHER]
    clash = report("T1", pdf("right"), version_time="20260812")
    assert told(world.file(clash)) == [("patient-id", False)]
    world.identifiers = [NATIONAL]
    wrong = report("T1", action="cancel", is_wrong_patient=True, version_time="20260811")
    assert world.file(wrong).state == "filed"
    (entry,) = world.entries()
    assert [one.code for one in entry.confidentiality_code] == ["V"]
    world.identifiers = [OTHER]
    assert world.file(clash).state == "filed"
    assert world.statuses() == ["Deprecated", "Approved"]


def test_nobody_can_be_filed_without_a_patient(world: FilingWorld) -> None:
    world.identifiers = []
    assert told(world.file(report("T1", pdf()))) == [("patient-id", False)]
    world.identifiers = [PatientIdentifier(value="1", domain="2.999.8")]
    world.flavour = replace(FLAVOUR, unknown_patients="refuse")
    assert told(world.file(report("T1", pdf()))) == [("patient-unknown", False)]


# --- contents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mime_type", "verdict"),
    [
        (b"", "application/pdf", "corrupt"),
        (b"%PDF-1.4\n...", "application/pdf", "corrupt"),
        (b"This is a Base64 string", "image/jpeg", "corrupt"),
        (b"\xff\xd8\xff\xe0 no end", "image/jpeg", "corrupt"),
        (b"<a><b></a>", "text/xml", "corrupt"),
        (b"\x00\x01\x02", "application/octet-stream", "mime"),
    ],
)
def test_what_is_no_whole_document_leaves_nothing(
    world: FilingWorld, content: bytes, mime_type: str, verdict: str
) -> None:
    outcome = world.file(report("T1", pdf(), replace(carried(content, mime_type), slot="2")))
    assert told(outcome) == [(verdict, False)]
    assert (world.entries(), world.stored()) == ([], 0)
    assert list(world.filer.domain.repository.store.staged_leftovers()) == []
