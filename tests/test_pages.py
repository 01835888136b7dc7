"""The pages of docs/ and README.md: their links lead to what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
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
