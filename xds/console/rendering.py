"""Templates become pages: escaped everywhere, and characters that would mislead made visible."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xds import __version__

ROOT: Final = "/console"
_TEMPLATES: Final = Path(__file__).with_name("templates")
_MISLEADING: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, those that turn the direction of text, and those that nobody sees."""
_DTM: Final = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")


def visible(text: str) -> str:
    """Return a text with what would mislead as [U+202E]; line feeds and tabs stay."""
    return _MISLEADING.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def _shown(value: Any) -> Any:
    """Make each text of an expression visible before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def moment(milliseconds: int | None) -> str:
    """Return a time, milliseconds since 1970, as people read it; empty for none."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%-d %b %Y %H:%M:%S UTC")


def dtm(text: str | None) -> str:
    """Return a DTM (UTC) as people read it, as precise as it is; what is none stays as it is."""
    found = _DTM.fullmatch(text or "")
    if found is None:
        return text or ""
    numbers = [int(part) for part in found.groups() if part]
    names = ("%Y", "%b %Y", "%-d %b %Y", "%-d %b %Y %H", "%-d %b %Y %H:%M", "%-d %b %Y %H:%M:%S")
    try:
        whole = datetime(*(numbers + [1, 1][len(numbers) - 1 :])[: max(3, len(numbers))])  # type: ignore[arg-type]
    except ValueError:
        return text or ""
    zone = " UTC" if len(numbers) > 3 else ""
    return f"{whole.strftime(names[len(numbers) - 1])}{zone}"


def day(text: str | None) -> str:
    """Return the day of a DTM, or what it has of it."""
    return dtm((text or "")[:8])


def environment(statics: Mapping[str, str]) -> Environment:
    """Return what renders the templates; ``statics`` has the URLs' names of static files."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "version": __version__,
        "root": ROOT,
        "static": lambda name: f"{ROOT}/static/{statics[name]}",
    }
    made.filters |= {"moment": moment, "dtm": dtm, "day": day}
    return made
