"""How long the functions and the modules are: `make size`.

A function counts from its `def` to its end, without its docstring, comments and blank lines; a
module counts all its lines. Good code of this field keeps half of its functions within 8 lines,
nine in ten within 25, all within 60, and modules within 500.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

LONGEST_FUNCTION: Final = 60
LONGEST_MODULE: Final = 500

_ROW: Final = "{:<10}{:>9}{:>9}{:>11}{:>8}{:>6}{:>9}"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function and its length."""

    place: str
    lines: int


@dataclass(frozen=True, slots=True)
class Module:
    """A file, its length, and its functions."""

    path: Path
    lines: int
    functions: tuple[Function, ...]


def measure(path: Path, tree: ast.Module | None = None) -> Module:
    """Measure one file; its tree is parsed where it is not given."""
    text = path.read_text()
    lines = text.splitlines()
    functions = (
        Function(f"{path}:{node.lineno} {node.name}", _length(node, lines))
        for node in ast.walk(tree or ast.parse(text))
        if isinstance(node, _Function)
    )
    return Module(path, len(lines), tuple(functions))


def _length(function: _Function, lines: Sequence[str]) -> int:
    skipped = range(0)
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        skipped = range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1)
    return sum(
        number not in skipped and _is_code(lines[number - 1])
        for number in range(function.lineno, (function.end_lineno or function.lineno) + 1)
    )


def _is_code(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")


def report(roots: Sequence[Path]) -> Iterator[str]:
    """Give the lines of the report."""
    yield _ROW.format("", "modules", "lines", "functions", "median", "p90", "longest")
    measured = []
    for root in roots:
        modules = [measure(path) for path in sorted(root.rglob("*.py"))]
        measured += modules
        yield _row(root.name, modules)
    yield _row("all", measured)
    yield from _too_long(measured)


def _row(name: str, modules: Sequence[Module]) -> str:
    lengths = [function.lines for module in modules for function in module.functions] or [0]
    p90 = quantiles(lengths, n=10, method="inclusive")[-1] if len(lengths) > 1 else lengths[0]
    counts = (len(modules), sum(module.lines for module in modules), len(lengths))
    return _ROW.format(name, *counts, round(median(lengths)), round(p90), max(lengths))


def _too_long(modules: Sequence[Module]) -> Iterator[str]:
    for module in modules:
        if module.lines > LONGEST_MODULE:
            yield f"{module.path}: {module.lines} lines, above {LONGEST_MODULE}"
        for function in module.functions:
            if function.lines > LONGEST_FUNCTION:
                yield f"{function.place}: {function.lines} lines, above {LONGEST_FUNCTION}"


if __name__ == "__main__":
    folders = [Path(name) for name in sys.argv[1:]] or [Path("xds"), Path("tests"), Path("bench")]
    print("\n".join(report(folders)))
