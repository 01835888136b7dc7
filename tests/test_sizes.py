"""Sizes that are kept: of functions, modules and packages, and the longest chain of imports."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from bench.size import LONGEST_FUNCTION, LONGEST_MODULE, measure
from tests.sources import parsed

PACKAGE: Final = Path(__file__).parent.parent / "xds"
MOST_MODULES: Final = 20
"""In one folder: modules and packages, without ``__init__``; of ``xds/`` itself, modules alone,
for its packages are the rooms of docs/architecture.md."""
LONGEST_CHAIN: Final = 20
"""Modules that import one another in turn."""


def test_functions_and_modules_are_short() -> None:
    measured = [measure(path, parsed(path)) for path in PACKAGE.rglob("*.py")]
    functions = [one for module in measured for one in module.functions]
    assert [one for one in functions if one.lines > LONGEST_FUNCTION] == []
    assert [one.path for one in measured if one.lines > LONGEST_MODULE] == []


def test_packages_have_few_modules() -> None:
    counts = {
        folder.parent.relative_to(PACKAGE).as_posix(): _size(folder.parent)
        for folder in PACKAGE.rglob("__init__.py")
    }
    assert {name: count for name, count in counts.items() if count > MOST_MODULES} == {}


def test_chains_of_imports_are_short() -> None:
    chain = longest_chain(PACKAGE)
    assert len(chain) <= LONGEST_CHAIN, " > ".join(chain)


def _size(folder: Path) -> int:
    modules = sum(path.stem != "__init__" for path in folder.glob("*.py"))
    packages = sum(1 for _ in folder.glob("*/__init__.py"))
    return modules if folder == PACKAGE else modules + packages


def longest_chain(package: Path) -> list[str]:
    """Return the longest way from module to imported module."""
    modules = {_name(path, package): path for path in package.rglob("*.py")}
    imports = {
        name: sorted(set(_imported(path, modules)) - {name}) for name, path in modules.items()
    }

    @cache
    def chain(name: str) -> tuple[str, ...]:
        longest: tuple[str, ...] = ()
        for one in imports[name]:
            longest = max(longest, chain(one), key=len)
        return (name, *longest)

    return max((list(chain(one)) for one in modules), key=len)


def _name(path: Path, package: Path) -> str:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield what a module imports when it is imported itself, not later and not for types."""
    for node in parsed(path).body:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in modules)
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                name = f"{node.module}.{one.name}"
                if name in modules:
                    yield name
                elif node.module and node.module in modules:
                    yield node.module
