"""Whether a CDA follows a schema that a deployment names: a finding, and never a refusal.

Real senders fail the schema (nullFlavors that it does not know, extensions of their own), and their
documents are as legal as others.
"""

import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from lxml import etree

from xds.content.cda_values import Element
from xds.content.reading.model import ContentFinding

_MOST: Final = 20
_NAMED: Final = re.compile(r"Element '(?:\{[^}']*\})?([A-Za-z][A-Za-z0-9]{0,63})'")
_PROBLEMS: Final = (
    ("ELEMENT_CONTENT", "is not expected there, or lacks an element"),
    ("ATTRIBUTE", "has an attribute that is not right"),
    ("CVC_COMPLEX_TYPE", "has a content that is not right"),
)
"""The beginnings of libxml2's names of problems, after SCHEMAV_, in words."""
_VALUE: Final = "has a value that is not right"


class SchemaUnreadable(ValueError):
    """The file is no schema; the sentence says why."""


class CdaSchema:
    """A schema of CDA with all that it includes; safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        """Read the schema; SchemaUnreadable."""
        try:
            self._schema = etree.XMLSchema(file=str(path))
        except (etree.LxmlError, OSError) as error:
            raise SchemaUnreadable(f"{path.name}: {error}") from None
        self._lock = threading.Lock()

    def findings(self, document: Element) -> tuple[ContentFinding, ...]:
        """Tell where a ClinicalDocument does not follow the schema: the first few places."""
        with self._lock:  # what is wrong is kept in the schema
            if self._schema.validate(document):
                return ()
            return tuple(self._told())

    def _told(self) -> Iterator[ContentFinding]:
        for error in list(self._schema.error_log)[:_MOST]:
            # libxml2 says values: the kind of problem and the name of an element are enough
            named = _NAMED.search(error.message)
            what = f"The element {named[1]}" if named else "Something"
            yield ContentFinding(
                code="schema-invalid",
                message=f"{what} {_problem(error)} (CDA schema).",
                place=f"line {error.line}",
            )


def _problem(error: Any) -> str:
    name = str(error.type_name).removeprefix("SCHEMAV_")
    return next((told for start, told in _PROBLEMS if name.startswith(start)), _VALUE)


@cache
def schema_at(path: Path) -> CdaSchema:
    """Return the schema of a file, read once; SchemaUnreadable."""
    return CdaSchema(path)
