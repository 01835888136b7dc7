"""The results of messages are kept beside their documents, whatever these are rendered as."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Databases
from tests.messaging.filing import FLAVOUR, NATIONAL, FilingWorld, filing_world, pdf, report, text
from xds.content.observations import filling, finding
from xds.content.reading.model import ContentObservation, ObservationValue
from xds.messaging.model import MessageDocument, RenderedContent, ReportSection, ResultRow
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import Code

LOINC = "2.16.840.1.113883.6.1"
POTASSIUM = Code("2823-3", LOINC, "Potassium")


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[FilingWorld]:
    with filing_world(databases, tmp_path, observations="read") as found:
        yield found


def rows(*found: ResultRow) -> MessageDocument:
    section = ReportSection(heading="Electrolytes", rows=found)
    return MessageDocument(content=RenderedContent(sections=[section]))


def row(**said: Any) -> ResultRow:
    values = {"test": "Potassium", "value": "3.10", "unit": "mmol/L", "code": POTASSIUM, **said}
    return ResultRow(**values)


def results(world: FilingWorld) -> list[ContentObservation]:
    with world.filer.domain.registry.view(ANYTHING) as view:
        return [one.observation for one in finding.of_patient(view, NATIONAL.cx)]


@pytest.mark.parametrize("form", ["pdf", "text", "cda", "fhir"])
def test_a_row_is_a_result_in_every_form_of_the_document(world: FilingWorld, form: Any) -> None:
    world.flavour = replace(FLAVOUR, render=form)
    sent = row(flag="low", range="3.5 - 5.3", notes=["repeated"], time="20260801093000")
    outcome = world.file(report("T1", rows(sent), specimen="Serum"))
    assert outcome.state == "filed"
    (found,) = results(world)
    assert (found.code, found.name) == (POTASSIUM, "Potassium")
    assert found.values == (
        ObservationValue(kind="quantity", text="3.10", number="3.10", unit="mmol/L"),
    )
    assert [one.code for one in found.interpretation] == ["L"]
    assert (found.reference_range, found.status, found.time) == (
        *("3.5 - 5.3", "final", "20260801093000"),
    )
    assert found.specimen is not None
    assert (found.specimen.text, found.group) == ("Serum", "Electrolytes")
    # and nobody reads it a second time of its document
    assert [one.outcome for one in filling.fill(world.config, world.filer.domain.database)] == []


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (row(value="<0.5"), ("quantity", "< 0.5", "0.5", "<")),
        (row(value="haemolysed"), ("text", "haemolysed", "", "")),
        (row(value="", status="not obtained"), ("absent", "not obtained", "", "")),
    ],
)
def test_a_value_is_a_number_where_it_is_one(
    world: FilingWorld, sent: ResultRow, value: tuple[str, ...]
) -> None:
    world.file(report("T1", rows(sent)))
    (found,) = results(world)
    (one,) = found.values
    assert (one.kind, one.text, one.number, one.comparator) == value


@pytest.mark.parametrize(
    ("status", "of_row", "expected"),
    [
        ("preliminary", "", "preliminary"),
        ("final", "corrected", "corrected"),
        ("corrected", "", "corrected"),
        ("final", "not obtained", "cancelled"),
    ],
)
def test_the_status_is_that_of_the_row_or_else_of_the_report(
    world: FilingWorld, status: Any, of_row: str, expected: str
) -> None:
    world.file(report("T1", rows(row(status=of_row)), status=status))
    assert [one.status for one in results(world)] == [expected]


def test_a_corrected_report_takes_the_place_of_the_first(world: FilingWorld) -> None:
    world.file(report("T1", rows(row(value="3.1"))))
    sent = report("T1", rows(row(value="4.1")), status="corrected", version_time="20260811")
    world.file(sent)
    assert [one.values[0].text for one in results(world)] == ["4.1"]
    world.file(report("T1", action="cancel", status="cancelled", version_time="20260812"))
    assert results(world) == []


def test_texts_and_carried_documents_have_no_rows(world: FilingWorld) -> None:
    world.file(report("T1", text("Potassium 3.1")), report("T2", pdf()))
    world.file(report("T3", rows(row(is_text=True))))
    assert results(world) == []


def test_without_the_option_nothing_is_kept(databases: Databases, tmp_path: Path) -> None:
    with filing_world(databases, tmp_path) as world:
        world.file(report("T1", rows(row())))
        assert results(world) == []
