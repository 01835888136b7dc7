"""The tables of docs/conformance.md, which is packaged: their rows, and the tests of each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import MappingProxyType
from typing import Final

from xds.schema_validation import packaged_folder

_TESTS_OF: Final = "Tests of: "
_CELLS: Final = re.compile(r"(?<!\\)\|")
_TEST: Final = re.compile(
    r"(?P<file>[\w/]+\.py)<br>`(?P<function>\w+)`(?::\s)?(?P<cases>.*?)"
    r"(?=<br>[\w/]+\.py<br>`|$)"
)
"""What a cell says of one test."""


@dataclass(frozen=True, slots=True)
class ShowingTest:
    """A test that shows a row, and has passed."""

    file: str
    """Below ``tests/``."""
    function: str
    cases: str
    """Of them, where it has several."""


@dataclass(frozen=True, slots=True)
class ConformanceRow:
    """One row."""

    cells: tuple[str, ...]
    tests: tuple[ShowingTest, ...]
    untested: str
    """Why there is no test; empty where there is one."""


@dataclass(frozen=True, slots=True)
class ConformanceTable:
    """One table."""

    title: str
    head: tuple[str, ...]
    rows: tuple[ConformanceRow, ...]

    @property
    def place(self) -> str:
        """What it is called in a URL."""
        return self.title.lower().replace(" ", "-")


@cache
def tables() -> Mapping[str, ConformanceTable]:
    """Return every table by its place, in the order of the document."""
    text = (packaged_folder("docs") / "conformance.md").read_text(encoding="utf-8")
    found = _read(text)
    made = (
        _table(title, rows, found[_TESTS_OF + title])
        for title, rows in found.items()
        if not title.startswith(_TESTS_OF)
    )
    return MappingProxyType({one.place: one for one in made})


def _read(text: str) -> dict[str, list[list[str]]]:
    """Return the cells of every table with its head, by the title before it."""
    found: dict[str, list[list[str]]] = {}
    title = ""
    for is_row, lines in groupby(text.splitlines(), lambda line: line.startswith("| ")):
        if is_row:
            head, _, *rows = map(_cells, lines)
            found[title] = [head, *rows]
        else:
            titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
            title = titles[-1] if titles else title
    return found


def _cells(line: str) -> list[str]:
    cells = _CELLS.split(line.removeprefix("| ").removesuffix(" |"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _table(
    title: str, cells: Sequence[Sequence[str]], tests: Sequence[Sequence[str]]
) -> ConformanceTable:
    (head, *rows), (_, *told) = cells, tests
    return ConformanceTable(
        title,
        tuple(head),
        tuple(
            ConformanceRow(
                tuple(map(_plain, row)), found := tuple(_tests(shown)), "" if found else shown
            )
            for row, (_, shown) in zip(rows, told, strict=True)
        ),
    )


def _tests(cell: str) -> Iterator[ShowingTest]:
    for one in _TEST.finditer(cell):
        yield ShowingTest(one["file"], one["function"], _plain(one["cases"]))


def _plain(cell: str) -> str:
    return cell.replace("<br>", " ").replace("`", "")
