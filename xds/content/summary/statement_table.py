"""Structured statements as a table for readers."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.forms.blocks import Block, GridBlock
from xds.content.pages.shown import shown_time
from xds.content.reading.model import AllergyReaction, ContentStatement
from xds.content.reading.rendered import value_with_unit
from xds.rendering.pdf_grid import GridCell

_HEADS: Final = ("Name", "Status", "From", "Until", "Details", "Document")
_NONE_KNOWN: Final = {
    "allergy": "No known allergies",
    "condition": "No known problems",
    "device": "No known devices",
    "immunization": "No known immunizations",
    "medication": "No known medications",
    "procedure": "No known procedures",
}


def statement_table(found: Sequence[ContentStatement], documents: Sequence[str]) -> Block:
    """Return statements as a table, with the documents that each is of."""
    rows = []
    for one, document in zip(found, documents, strict=True):
        row = (
            shown_name(one),
            "" if one.is_none_known else one.status,
            shown_time(one.start) if one.start else "",
            shown_time(one.stop) if one.stop else "",
            "; ".join(_details(one)),
            document,
        )
        rows.append([GridCell(text) for text in row])
        rows += [[GridCell(note, columns=len(_HEADS))] for note in one.notes if note.strip()]
    return GridBlock([[GridCell(head, is_head=True) for head in _HEADS]], rows)


def shown_name(found: ContentStatement) -> str:
    """Return what a statement is about; nobody may take what is not so for what is."""
    if found.is_none_known:
        return found.name or _NONE_KNOWN[found.kind]
    return f"NOT: {found.name}" if found.is_negated else found.name


def _details(found: ContentStatement) -> Iterator[str]:
    if found.category:
        yield found.category
    if found.allergy_type == "intolerance":
        yield found.allergy_type
    if found.criticality:
        yield f"criticality {found.criticality}"
    if found.severity is not None:
        yield f"severity {found.severity.display_name}"
    if found.reactions:
        yield f"reactions: {', '.join(map(_reaction, found.reactions))}"
    if found.dose is not None:
        yield value_with_unit(found.dose)
    yield from filter(None, (found.dosage,))
    yield from (one.display_name for one in (found.route, found.site) if one is not None)
    told = (
        ("reason", found.reason),
        ("lot", found.lot),
        ("dose number", found.sequence),
        ("maker", found.maker),
        ("by", found.performer),
    )
    yield from (f"{name} {said}" for name, said in told if said)
    yield from (one.partition("^")[0] for one in found.identifiers)


def _reaction(one: AllergyReaction) -> str:
    return f"{one.name} ({one.severity.display_name})" if one.severity is not None else one.name
