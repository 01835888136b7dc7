"""Pages of the record of messages: what they find is what there is, by the index that has it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import text

from bench.load import history
from bench.load.history import History
from tests.audit.test_searching import noted
from tests.databases import Databases
from xds.database.access import Database
from xds.messaging import operations, records
from xds.messaging.operations import MessageSelection
from xds.messaging.tables import message

_MESSAGES: Final = 600
_DAY: Final = 86_400_000
_AMOUNT: Final = History(messages=_MESSAGES)
_SELECTIONS: Final = {
    "everything": MessageSelection(),
    "one state": MessageSelection(states=("filed",)),
    "two states": MessageSelection(states=("refused", "held")),
    "a state that none has": MessageSelection(states=("joined",)),
    "a sender": MessageSelection(sender="LAB7|"),
    "no sender": MessageSelection(sender="nobody"),
    "a verdict of a sender": MessageSelection(verdict="patient-unknown", sender="LAB"),
    "a state of a sender": MessageSelection(states=("refused",), sender="LAB"),
    "before a key": MessageSelection(before=100, sender="LAB1"),
}


@pytest.fixture(scope="module")
def database(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("messages")) as opened:
        with opened.write() as connection:
            history.write_messages(connection, _AMOUNT, opened.milliseconds(connection))
            for number in (20, 40, 60, 80, 81, 82):
                state = "refused" if number < 80 else "held"
                verdict = "patient-unknown" if number < 80 else ""
                changed = message.update().where(message.c.pk == number)
                connection.execute(changed.values(state=state, verdict=verdict))
        yield opened


def walked(database: Database, selection: MessageSelection) -> list[str]:
    """Return the ids of all pages, each of which goes on behind the one before."""
    found: list[str] = []
    for _ in range(_MESSAGES):
        with database.read() as connection:
            page = operations.page(connection, selection, 7, looked_at=50)
        assert len(page.messages) <= 7
        found += [one.id for one in page.messages]
        if not page.before:
            return found
        selection = replace(selection, before=page.before)
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("name", _SELECTIONS)
@pytest.mark.parametrize("span", ["always", "since", "until", "between"])
def test_the_pages_together_have_what_there_is(database: Database, name: str, span: str) -> None:
    with database.read() as connection:
        now = database.milliseconds(connection)
        since, until = now - 20 * _DAY, now - 10 * _DAY
        selection = replace(
            _SELECTIONS[name],
            since=since if span in ("since", "between") else 0,
            until=until if span in ("until", "between") else 0,
        )
        expected = [one.id for one in operations.find(connection, selection, _MESSAGES)]
    assert walked(database, selection) == expected
    is_nobodys = name in ("no sender", "a state that none has")
    assert bool(expected) != is_nobodys or span != "always"


def test_times_are_as_exact_as_they_are_written(database: Database) -> None:
    with database.read() as connection:
        (one,) = operations.find(connection, MessageSelection(before=301), 1)
        selection = MessageSelection(since=one.received, until=one.received + 1)
        assert one.id in [found.id for found in operations.page(connection, selection, 7).messages]
        selection = MessageSelection(since=one.received + 1, until=one.received + 1)
        assert not operations.page(connection, selection, 7).messages


def test_what_waits_is_counted(database: Database) -> None:
    with database.read() as connection:
        groups = operations.waiting_groups(connection)
        waiting = records.waiting(connection)
        refused = operations.find(connection, MessageSelection(states=("refused",)), _MESSAGES)
    assert sum(one.count for one in groups) == len(refused) == waiting["refused"].count > 3
    assert waiting["refused"].oldest == refused[-1].received
    assert waiting["failed"].oldest == waiting["failed"].count == 0


@pytest.mark.parametrize("state", ["filed", "refused", "joined"])
def test_the_latest_of_a_state_are_read_by_their_index(database: Database, state: Any) -> None:
    selection = MessageSelection(states=(state,), sender="nobody")
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.read() as connection, noted(connection) as seen:
        operations.page(connection, selection, 7)
        if not database.is_sqlite:  # a table of some hundred rows is scanned else
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        statement, values = next(one for one in list(seen) if "FROM message" in one[0])
        plan = "\n".join(
            str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", values)
        )
    assert "ix_message_state" in plan
    assert "Bitmap" not in plan
