"""One class name, one meaning: no name is given to two classes of xds/, private ones included."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.sources import parsed, statements

PACKAGE: Final = Path(__file__).parent.parent / "xds"
SAME_TERM: Final[Mapping[str, str]] = {}
"""Names that are one standard's term in two protocols, and why; there is none at the moment."""


def repeated(package: Path) -> Mapping[str, Sequence[str]]:
    """Return each class name that several classes have, with their places; ``_A`` is ``A``."""
    places: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        for node in statements(parsed(path)):
            if isinstance(node, ast.ClassDef):
                place = f"{path.relative_to(package)}:{node.lineno}"
                places.setdefault(node.name.lstrip("_"), []).append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_class_name_has_one_meaning() -> None:
    assert repeated(PACKAGE).keys() == SAME_TERM.keys(), repeated(PACKAGE)


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("class Entry: ...\nclass Other: ...\n")
    (tmp_path / "two.py").write_text("def f():\n    class _Entry: ...\n")
    assert repeated(tmp_path) == {"Entry": ["one.py:1", "two.py:2"]}
