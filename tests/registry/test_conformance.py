"""The table of conformance is complete, and made of what is in the code."""

from pathlib import Path

import pytest

from tests.conformance import UNSHOWN, Conformance, Row, document, tables, told_of
from xds.registry.queries.stored_queries import STORED_QUERIES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def _rows() -> list[Row]:
    return [row for table in tables() for row in table.rows]


def _collected(config: pytest.Config) -> set[str]:
    """Return what the tests of this run show; skip where they are not all the tests."""
    plugin = config.pluginmanager.get_plugin("conformance of this run")
    partial = config.option.keyword or config.option.markexpr or config.option.deselect
    if plugin is None or partial or config.args_source is not config.ArgsSource.TESTPATHS:
        pytest.skip("not all tests were collected")
    assert isinstance(plugin, Conformance)
    return plugin.collected


def test_every_row_has_a_test(pytestconfig: pytest.Config) -> None:
    due = {row.key for row in _rows() if row.due}
    assert due - _collected(pytestconfig) == set(UNSHOWN)


def test_nothing_is_shown_that_is_not_due(pytestconfig: pytest.Config) -> None:
    assert _collected(pytestconfig) <= {row.key for row in _rows() if row.due}


def test_every_row_has_a_key_of_its_own() -> None:
    keys = [row.key for row in _rows()]
    assert len(keys) == len(set(keys))


def test_the_document_has_every_row(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--conformance", default=None):
        pytest.skip("the document is about to be written")
    there = _without_tests(DOCUMENT.read_text(encoding="utf-8"))
    assert there == _without_tests(document({})), "docs/conformance.md is old: `make conformance`"


def _without_tests(text: str) -> list[str]:
    """Return the rows, of those in the tables of tests the first cell alone."""
    rows, _, tests = text.partition("\n# Tests\n")
    return [line for line in rows.splitlines() if line.startswith("| ")] + [
        line.split(" | ")[0] for line in tests.splitlines() if line.startswith("| ")
    ]


def test_a_row_names_the_tests_that_passed() -> None:
    node_ids = {f"tests/a/test_b.py::test_c[{number}]" for number in range(10, 20)}
    written = document({"ITI-42": {*node_ids, "tests/test_d.py::test_e"}})
    (line,) = (line for line in written.splitlines() if line.startswith("| ITI-42 | a/"))
    assert line == (
        "| ITI-42 | a/test_b.py<br>`test_c`: 10; 11; 12; 13; 14; 15; and 4 more"
        "<br>test_d.py<br>`test_e` |"
    )


def test_a_code_that_nothing_issues_is_said_to_be_so() -> None:
    written = document({})
    assert "| `DocumentQueued` " in written
    assert "\n| error DocumentQueued | not issued by this server |\n" in written


def test_no_cell_of_the_rows_is_wider_than_a_window() -> None:
    rows = document({}).partition("\n# Tests\n")[0].splitlines()
    lines = [
        part for row in rows if row[:1] == "|" for c in row.split(" | ") for part in c.split("<br>")
    ]
    assert max(map(len, lines)) <= 70


def test_the_sections_of_the_queries_follow_the_tf() -> None:
    sections = {query.name: query.section for query in STORED_QUERIES.values()}
    assert sections["FindDocuments"] == "ITI TF-2 3.18.4.1.2.3.7.1"
    assert sections["GetRelatedDocuments"] == "ITI TF-2 3.18.4.1.2.3.7.13"
    assert sections["FindFoldersForMultiplePatients"] == "ITI TF-2 3.51.4.1.2.3"
    of_tf = [one for one in sections.values() if "3.18.4.1.2.3.7." in one]
    assert sorted(int(one.rpartition(".")[2]) for one in of_tf) == list(range(1, 15))


def test_what_a_run_has_no_part_in_stays() -> None:
    shown = {
        "ITI-42": {f"tests/a/test_b.py::test_c[{number}]" for number in range(10)}
        | {"tests/test_d.py::test_e", "tests/test_d.py::test_f[one: two]"},
        "ITI-18": {"tests/test_d.py::test_g"},
    }
    written = document(shown)
    assert document({}, told_of(written, ())) == written
    part = {key: {one for one in ids if "test_d" in one} for key, ids in shown.items()}
    assert document(part, told_of(written, {"tests/test_d.py"})) == written
    without = document({}, told_of(written, {"tests/test_d.py"}))
    assert "test_d.py" not in without
    assert "a/test_b.py" in without
