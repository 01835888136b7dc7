"""The pages of docs/ and beside it: links, commands and tests that they name are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from xds.__main__ import main
from xds.app import INTERACTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text())
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    kept = (re.sub(r"[^\w\- ]", "", one.lower()) for one in headings)
    return {one.replace(" ", "-") for one in kept}


def test_the_rooms_are_those_of_the_program() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"(?m)^\| (`.*?`) \|", page.partition("## Rooms")[2].partition("\n## ")[0])
    named = [name for row in rows for name in re.findall(r"`(\w+(?:/|\.py))`", row)]
    packages = [f"{path.parent.name}/" for path in (ROOT / "xds").glob("*/__init__.py")]
    modules = [path.name for path in (ROOT / "xds").glob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(packages + modules)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_what_is_there(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", page.read_text())
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


_COMMAND = re.compile(r"(?m)(?:`|^ +(?:\.venv/bin/|/opt/xds/bin/)?)xds ([a-z][^`\n#|]*)")
_FLAG = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")


def _commands(page: Path) -> Iterator[tuple[str, click.Command, list[str]]]:
    """Yield each use of `xds` in a page, the command that it is, and its flags."""
    for used in _COMMAND.findall(page.read_text()):
        found: click.Command | None = main
        for word in used.split():
            if not isinstance(found, click.Group):
                break
            found = found.get_command(click.Context(found), word)
        if found is not None:
            yield used, found, _FLAG.findall(used)
        else:
            yield used, main, ["no such command"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_flags_are_there(page: Path) -> None:
    wrong = [
        f"xds {used}: {flag}"
        for used, command, flags in _commands(page)
        for flag in flags
        if flag not in {"--help", *(name for one in command.params for name in one.opts)}
    ]
    assert wrong == []


def test_make_has_the_commands_of_the_pages() -> None:
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
    for page in PAGES:
        for line in re.findall(r"`make ([a-z -]+)|^    make ([a-z -]+)", page.read_text(), re.M):
            assert set("".join(line).split()) <= set(targets), (page.name, line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_are_there(page: Path) -> None:
    if page.name == "conformance.md":
        return  # which is made of the tests
    files = {path.name for path in (ROOT / "tests").rglob("*.py")}
    named = set(re.findall(r"\btest_\w+(?:\.py)?", page.read_text()))
    functions = _functions() if named else set()
    lacking = {one for one in named if one not in files | functions and f"{one}.py" not in files}
    assert lacking == set()


def _functions() -> set[str]:
    """Return the names of all test functions."""
    return {
        found
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(r"(?m)^(?:async )?def (test_\w+)", path.read_text())
    }


def test_every_operation_of_fhir_is_told_of() -> None:
    told = "".join(page.read_text() for page in PAGES)
    names = {name for row in INTERACTIONS for name in re.findall(r"\$[a-z-]+", row.path)}
    assert {name for name in names if name not in told} == set()
