"""How a database answers: the plans of the statements that were run, in its own words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from xds.database.access import Database
from xds.database.reading import NOTED

_MOST: Final = 20
"""Statements of one answer that are looked at."""


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """A statement, and what the database does for it."""

    statement: str
    plan: Sequence[str]


@contextmanager
def noting() -> Iterator[list[tuple[str, Any]]]:
    """Note the kept statements that this thread runs within a block, with their values."""
    noted: list[tuple[str, Any]] = []
    token = NOTED.set(noted)
    try:
        yield noted
    finally:
        NOTED.reset(token)


def plans(database: Database, noted: Sequence[tuple[str, Any]]) -> list[StatementPlan]:
    """Return the plans of statements that only read, each once; nothing is run anew.

    They quote the values. DatabaseUnavailable.
    """
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    once = {text: values for text, values in noted if text.startswith(("SELECT", "WITH"))}
    with database.read() as connection:
        return [
            StatementPlan(
                text,
                [
                    str(row[-1])
                    for row in connection.exec_driver_sql(f"{explain} {text}", values).all()
                ],
            )
            for text, values in list(once.items())[:_MOST]
        ]
