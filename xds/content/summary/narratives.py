"""What the sections of a summary say to readers, as blocks: the same in each form of it."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.forms import marks
from xds.content.forms.blocks import Block, GridBlock, ParagraphBlock
from xds.content.forms.eu_laboratory import result_table
from xds.content.pages.shown import shown_time
from xds.content.summary.model import PatientSummary, SummarySection, SummarySource
from xds.content.summary.statement_table import statement_table
from xds.rendering.pdf_grid import GridCell

TITLE: Final = "International Patient Summary"
ABOUT: Final = "About this summary"
NOTHING: Final = (
    "No information: none of the documents that this summary is made of says anything of it."
)
_HEADING: Final = 4
_HEADS: Final = ("Document", "Title", "Written", "Author", "Identifier", "Used", "Not shown here")


def section_blocks(section: SummarySection) -> Sequence[Block]:
    """Return what a section says, each statement with the documents that say it."""
    return [*_statements(section)] or [ParagraphBlock(NOTHING)]


def _statements(section: SummarySection) -> Iterator[Block]:
    if section.results:
        found = [one.found for one in section.results]
        yield result_table(found, [", ".join(map(_number, one.sources)) for one in section.results])
    if section.statements:
        found_statements = [one.found for one in section.statements]
        documents = [", ".join(map(_number, one.sources)) for one in section.statements]
        yield statement_table(found_statements, documents)
    for said in section.narratives:
        yield ParagraphBlock(said.title, level=_HEADING)
        yield ParagraphBlock(f"From {'; '.join(one.label for one in said.sources)}")
        yield from said.blocks
        others = {
            one.number: one.label
            for resource in said.resources
            for one in resource.sources
            if one not in said.sources
        }
        if others:
            yield ParagraphBlock(
                f"Stated alike, all or some of it, by {'; '.join(others.values())}"
            )


def _number(one: SummarySource) -> str:
    return f"[{one.number}] {one.title}"


def mark(summary: PatientSummary, made: str) -> str:
    """Return the sentence that says what a summary is, and of what it was made when."""
    return marks.summarised(len(summary.used), made)


def about(summary: PatientSummary, made: str) -> Sequence[Block]:
    """Return what a summary says of itself, with every document that was looked at."""
    return [*_about(summary, made)]


def _about(summary: PatientSummary, made: str) -> Iterator[Block]:
    yield ParagraphBlock(mark(summary, made))
    yield ParagraphBlock(
        "It holds what these documents say in a form that could be read, as far as whoever asked "
        "for it may see them. Nobody has reviewed it, and where documents do not agree each is "
        "given: what it does not say may be known elsewhere."
    )
    if summary.left_out:
        yield ParagraphBlock(f"Older documents that were not read: {summary.left_out}.")
    if summary.others:
        told = f"Further documents whose content could not be taken over: {summary.others}."
        yield ParagraphBlock(told)
    if summary.sources:
        head = [[GridCell(one, is_head=True) for one in _HEADS]]
        rows = [[GridCell(text) for text in _row(one)] for one in summary.sources]
        yield GridBlock(head, rows)


def _row(one: SummarySource) -> Sequence[str]:
    return (
        f"[{one.number}]",
        one.title,
        shown_time(one.time) if one.time else "",
        one.author,
        one.entry.unique_id or "",
        f"no: {one.not_used}" if one.not_used else "yes",
        ", ".join(dict.fromkeys(one.others)),
    )
