"""Real documents and what is expected of them; neither is part of this repository."""

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from tests.reference import SHARED

SAMPLES: Final = SHARED / "samples" / "documents"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".xml": "text/xml",
    ".json": "application/fhir+json",
    ".pdf": "application/pdf",
}


@cache
def rows(name: str) -> Sequence[Mapping[str, str]]:
    """Return the rows of a table of the samples; there are none where they are absent."""
    table = SAMPLES / name
    if not table.exists():
        return ()
    with table.open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def path(row: Mapping[str, str]) -> Path:
    """Return where the document of a row is."""
    return SAMPLES / row["set"] / row["file"]


def media_type(row: Mapping[str, str]) -> str:
    """Return what the sender of a document calls it."""
    return MEDIA_TYPES[path(row).suffix]
