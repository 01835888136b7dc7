"""The tables of docs/configuration.md, made of the options themselves.

``python -m xds.commands.configuration_page FILE`` writes them between the two marks of the page;
what stands around is written by hand.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from xds.commands.flags import choices, metavar
from xds.config import SECTIONS, Config, human

BEGIN: Final = "<!-- options: written by `make docs` -->\n"
END: Final = "<!-- end of the options -->\n"
_HEAD: Final = (
    "| option | values | default | example | what it is |\n| --- | --- | --- | --- | --- |\n"
)
_DEPENDS: Final = {"workers": "two a core"}
"""Defaults that depend on the machine."""


def written(page: str) -> str:
    """Return the page with the tables as they are now; ValueError where it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the marks of the options are not in the page")
    return before + BEGIN + "".join(_tables()) + END + after


def _tables() -> Iterator[str]:
    for title, section in SECTIONS.items():
        doc = (section.__doc__ or "").partition("\n")[0]
        yield f"\n### {title}\n\n{doc}\n\n{_HEAD}"
        for name in section.model_fields:
            yield _row(name, Config.model_fields[name])
    yield "\n"


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _values(field), _default(name, field), example(field))
    return f"| {' | '.join((*cells, field.description or ''))} |\n"


def _values(field: FieldInfo) -> str:
    chosen = choices(field)
    return ", ".join(f"`{one}`" for one in chosen) if chosen else metavar(field)


def _default(name: str, field: FieldInfo) -> str:
    if name in _DEPENDS:
        return _DEPENDS[name]
    return "unset" if field.default is None else f"`{human(field.default)}`"


def example(field: FieldInfo) -> str:
    """Return a value other than the default: the one declared, else a choice, else nothing."""
    others = [one for one in choices(field) if one != field.default]
    values = field.examples or others or [""]
    return f"`{values[0]}`" if values[0] != "" else ""


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
