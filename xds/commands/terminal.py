"""What commands write: a table for people, lines for programs, progress where it takes long."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click

LONG_BYTES: Final = 8 << 20
"""What is larger may take long enough for a progress bar."""

Tell = Callable[[int], object]


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, whole: int = 1) -> None:
    """Print a table on a terminal, elsewhere lines of cells with tabs between.

    The last columns, as many as ``whole``, are for what people copy, such as an identifier: where
    the terminal is too narrow, other cells are cut, and they get a line of their own.
    """
    table = [list(map(printable, row)) for row in (headings, *rows)]
    if sys.stdout.isatty():
        _print_columns([[*row[:-whole], "  ".join(row[-whole:])] for row in table])
    else:
        for row in table:
            click.echo("\t".join(row))


def _print_columns(table: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    between = "  "
    if sum(widths) + len(between) * (len(widths) - 1) > console.width:
        _narrow(widths, console.width - len(between) * (len(widths) - 2))
        between_last = "\n    "
    else:
        between_last = between
    for number, row in enumerate(table):
        cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)]
        line = between.join(cells[:-1]) + between_last + row[-1]
        console.print(line, markup=False, style="bold" if number == 0 else None)


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest of all columns but the last until they fit."""
    while sum(widths[:-1]) > max(room, len(widths)):
        widest = max(range(len(widths) - 1), key=widths.__getitem__)
        widths[widest] -= 1


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Return text without characters that could move the cursor or break a line."""
    return "".join(character if character.isprintable() else " " for character in text)


def moment(milliseconds: int | None) -> str:
    """Show a time of the database in UTC; empty for none."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def human_size(size: int) -> str:
    """Return a number of bytes as people say it."""
    from rich.filesize import decimal

    return decimal(size)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Tell]:
    """Hand out a function to be told of bytes; draw a bar of them if that is worth it."""
    small = total is not None and total < LONG_BYTES
    if small or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars

    with _bar(what, total, bars.DownloadColumn(), bars.TransferSpeedColumn()) as tell:
        yield tell


@contextmanager
def counted(what: str, total: int) -> Iterator[Tell]:
    """Hand out a function to be told how many more of something are done; draw a bar of them."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars

    with _bar(what, total, bars.MofNCompleteColumn()) as tell:
        yield tell


@contextmanager
def _bar(what: str, total: int | None, *middle: Any) -> Iterator[Tell]:
    from rich import progress as bars
    from rich.console import Console

    columns: tuple[Any, ...] = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        *middle,
        bars.TimeRemainingColumn(),
    )
    drawing = bars.Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a file is to stay there
    )
    with drawing as drawn:
        task = drawn.add_task(what, total=total)
        yield lambda size: drawn.advance(task, size)
