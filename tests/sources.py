"""The sources of the program, read as trees by the tests of layers, sizes and names."""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

_BLOCKS: Final = ("body", "orelse", "handlers", "cases", "finalbody")


@cache
def parsed(path: Path) -> ast.Module:
    """Return the tree of a file, which is parsed once in a run."""
    # the collector would look at what has grown so far again and again, for twice the time
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        if was_enabled:
            gc.enable()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements within a node; the expressions in them, most of a tree, are left out."""
    for name in _BLOCKS:
        for one in getattr(node, name, ()):
            yield one
            yield from statements(one)
