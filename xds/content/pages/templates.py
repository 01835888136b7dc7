"""The templates of pages, in which every value is escaped, and what a page may load."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

_PACKAGE: Final = "xds.content.pages"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(_PACKAGE, "layouts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def template(name: str) -> Template:
    """Return a template by the name of its file."""
    return _environment().get_template(name)


@cache
def style_sheet() -> Markup:
    """Return the style sheet, which stands in every page."""
    return Markup(files(_PACKAGE).joinpath("page.css").read_text("utf-8"))


@cache
def content_security_policy() -> str:
    """Return the policy of every page: no script, one style sheet, nothing from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self' data:; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
