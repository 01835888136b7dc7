"""docs/mhd-mapping.md, written from the mapping table."""

from collections.abc import Iterable, Iterator
from typing import Final

from xds.fhir import vocabulary as f
from xds.mhd.mapping.table import EXTENSIONS, PARTS, ROWS, UNMAPPED, Row

_INTRODUCTION: Final = """\
# XDS metadata and FHIR

How the metadata of documents, SubmissionSets and Folders are written as FHIR R4 resources of MHD
4.2.4, and read from them. `make mapping` writes this page from `xds/mhd/mapping/table.py`; a test
fails where the page and the table differ, and others where the table and the code do.

"Lost of XDS" is what does not come back of an attribute that went to FHIR and back; "lost of FHIR"
is what does not come back of an element that went the other way. Where nothing is listed, nothing
is lost: neither of persons, institutions, telecommunication and identifiers with all their
components, nor of times of any precision, nor of codes of unknown schemes.

## Riding along

What a FHIR client says and no attribute can hold is kept as it was sent: further codings and
identifiers, texts and displays, custodian, docStatus, extensions of others, what a person or
organisation has beside a name and an identifier, references to other servers, time zones. It rides
with the object as extra metadata (ITI TF-3 4.2.3.1.6), the Slot `urn:xds:fhir:elements`: JSON in
values of 256 characters, each in brackets. SOAP consumers get it as any Slot.

Such an element takes the place of the one that is made of the attributes as long as it is read into
the same attributes. Where the metadata say another thing, because they were changed or because
someone made the Slot so, they win. Resources of the request that are referred to become contained.
Further codings and identifiers are found by the search parameters of their elements. A resource
with elements that no profile of MHD admits, such as docStatus, claims none.
"""

_EXACT: Final = """\
## Extensions of our own

FHIR's data types say less than those of HL7 v2 and ebRIM. An element is written as plainly as it
can be, and where it alone would not give the attribute back, the rest is in an extension. A client
that knows none of them loses nothing that FHIR could say. None is a modifierExtension.
"""

_UNMAPPED: Final = """\
## What is not as it was sent
"""


def render() -> str:
    """Return the page."""
    sections = [_INTRODUCTION, *_attributes(), *_data_types()]
    sections.append(_EXACT + "\n" + _table(("Extension", "Holds"), _quoted(EXTENSIONS.items())))
    sections.append(_UNMAPPED + "\n" + _table(("Element", "What becomes of it"), UNMAPPED.items()))
    return "\n".join(sections)


def _attributes() -> Iterator[str]:
    titles = ("Attribute", "FHIR", "Direction", "How", "Lost of XDS", "Lost of FHIR")
    for kind in dict.fromkeys(row.kind for row in ROWS):
        rows = (_cells(row) for row in ROWS if row.kind is kind)
        yield f"## {kind.KIND}\n\n{_table(titles, rows)}"


def _cells(row: Row) -> tuple[str, ...]:
    name = row.kind.attributes()[row.attribute].tf_name
    path = f"`{_short(row.path)}`" if row.path else ""
    return name, path, row.direction.value, row.note, row.lost_of_xds, row.lost_of_fhir


def _short(path: str) -> str:
    return path.replace(f"{f.MHD}/StructureDefinition/", "")


def _data_types() -> Iterator[str]:
    for kind in dict.fromkeys(part.data_type for part in PARTS):
        rows = ((p.part, p.path, p.note) for p in PARTS if p.data_type == kind)
        yield f"## {kind}\n\n{_table(('Part', 'FHIR', 'How'), rows)}"


def _quoted(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((f"`{name}`", text) for name, text in rows)


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join(f"| {' | '.join(cell or ' ' for cell in line)} |\n" for line in lines)
