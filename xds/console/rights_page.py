"""The table of rights in docs/console.md, as PAGES has it; `make docs` writes it anew."""

import re
import sys
from pathlib import Path
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.pages.table import PAGES

_PLACE: Final = re.compile(r"(<!-- rights: written by `make docs` -->\n\n).*?(\n\n)", re.DOTALL)
_TYPE: Final = re.compile(r"\{(\w+)[^}]*\}")


def written(page: str) -> str:
    """Return the page with its table as it has to be; ValueError where it has no place for it."""
    text, count = _PLACE.subn(lambda found: found[1] + table() + found[2], page)
    if count != 1:
        raise ValueError("the page has no place for the table of rights, or more than one")
    return text


def table() -> str:
    """Return who may have which page and action that asks for a role."""
    roles = [str(one) for one in ConsoleRole]
    lines = [f"| page or action | {' | '.join(roles)} |", f"| --- |{' --- |' * len(roles)}"]
    for row in PAGES:
        if row.roles:
            cells = "".join(" yes |" if row.is_for([one]) else " |" for one in roles)
            path = _TYPE.sub(r"{\1}", row.path)
            lines.append(f"| `{row.method} {path}` |{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
