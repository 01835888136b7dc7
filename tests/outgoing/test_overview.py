"""The queue at a glance: what it tells is what is there, up to a number."""

from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from tests.audit.test_searching import noted
from tests.outgoing.conftest import numbered, put
from xds.database.access import Database
from xds.outgoing import operations, overview
from xds.outgoing.operations import EVERYTHING, ChannelState, DeliverySelection
from xds.outgoing.tables import delivery


def fill(database: Database) -> None:
    """Have messages wait for some targets of some channels by turns, and some given up."""
    chance = Random(1)
    for place in range(40):
        channel = chance.choice(("message", "dsub", "a", "Ä"))
        target = chance.choice(("1", "10", "2", "http://x", "é"))
        put(database, *numbered(f"{target} {place}", [0], channel=channel))
    with database.write() as connection:
        renamed = "target = substr(target, 1, length(target) - 3)"
        connection.execute(text(f"UPDATE delivery SET {renamed} WHERE pk % 2 = 0"))
        gone = delivery.update().where(delivery.c.pk % 5 == 0)
        connection.execute(gone.values(dead_at=delivery.c.pk, error="503"))
        last = delivery.update().where(delivery.c.channel == "Ä")
        connection.execute(last.values(dead_at=7))


def test_it_tells_what_the_whole_queue_tells(database: Database) -> None:
    with database.read() as connection:
        assert overview.states(connection) == {}
        assert overview.targets(connection, EVERYTHING, 10) == []
    fill(database)
    with database.read() as connection:
        whole = operations.states(connection)
        assert set(whole) == {"message", "dsub", "a", "Ä"}
        assert overview.states(connection) == whole
        for selection in (EVERYTHING, DeliverySelection("dsub"), DeliverySelection(target="1")):
            for start in (0, 3):
                found = overview.targets(connection, selection, 5, start)
                assert found == operations.waiting(connection, selection, 5, start)
        assert len(overview.targets(connection, EVERYTHING, 100)) > 10


def test_it_counts_up_to_a_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_OF_CHANNEL", 3)
    monkeypatch.setattr(overview, "MOST_OF_TARGET", 2)
    put(database, *numbered("one", range(5)), *numbered("two", range(1)))
    with database.read() as connection:
        (state,) = overview.states(connection).values()
        assert (state.waiting, state.dead) == (3, 0)
        assert state.oldest
        assert [one.waiting for one in overview.targets(connection, EVERYTHING, 9)] == [2, 1]
        assert isinstance(state, ChannelState)


def test_it_reads_by_the_indexes_of_what_waits_and_of_what_does_not(database: Database) -> None:
    fill(database)
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.read() as connection, noted(connection) as seen:
        overview.states(connection)
        overview.targets(connection, EVERYTHING, 5)
        if not database.is_sqlite:  # a table of forty rows is scanned else
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        asked: dict[str, Any] = {one: values for one, values in seen if "FROM delivery" in one}
        assert len(asked) >= 6
        for statement, values in asked.items():
            rows = connection.exec_driver_sql(f"{explain} {statement}", values)
            plan = [str(row[-1]) for row in rows]
            assert not any("SCAN delivery" in one or "SCAN one" in one for one in plan), statement
            assert not any("Seq Scan" in one for one in plan), plan
