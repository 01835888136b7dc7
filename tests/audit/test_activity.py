"""Records by hour: the counts are those of the records, whoever has chained them and when."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import pytest
from sqlalchemy import text

from tests.databases import Databases
from xds.audit import activity, chain, table, trail
from xds.audit import vocabulary as av
from xds.audit.activity import HOUR
from xds.audit.record import AuditRecord, milliseconds
from xds.database.access import Database
from xds.registry import schema
from xds.registry.schema import Migrations

_BEGIN: Final = datetime(2026, 3, 1, 22, tzinfo=UTC)
_START: Final = round(_BEGIN.timestamp() * 1000)
_HOURS: Final = 5
_COUNTS: Final = (
    'SELECT at - at % 3600000, "transaction", outcome > 0 FROM audit_record WHERE at < :until'
)


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    with databases.opened(tmp_path) as opened:
        yield opened


def some(seed: int, number: int = 40) -> list[AuditRecord]:
    """Return records of some hours, the last moment of the one and the first of the next too."""
    chance = Random(seed)
    made = trail.of_application(av.APPLICATION_START)
    moments = [0, HOUR - 1, HOUR, _HOURS * HOUR - 1, _HOURS * HOUR]
    moments += [chance.randrange(_HOURS * HOUR) for _ in range(number - len(moments))]
    return [
        replace(
            made,
            id=f"{seed} {place}",
            at=(_BEGIN + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds"),
            transaction=chance.choice(("ITI-18", "ITI-43", "ITI-42")),
            outcome=chance.choice((0, 0, 4, 8, -1)),
        )
        for place, moment in enumerate(moments)
    ]


def written(database: Database, records: list[AuditRecord]) -> None:
    """Write records as in the commit of a change: they are not chained yet."""
    with database.write() as connection:
        table.insert(connection, [one.json() for one in records])


def shown(database: Database, since: int = _START) -> dict[tuple[int, str], tuple[int, int]]:
    """Return what is told of each hour and transaction: how many records, and how many failed."""
    with database.read() as connection:
        hours = activity.by_hour(connection, since, _START + _HOURS * HOUR)
    assert [one.start for one in hours] == list(range(since, _START + _HOURS * HOUR, HOUR))
    return {
        (one.start, name): (number, one.refused([name]))
        for one in hours
        for name, number in one.all.items()
    }


def there(database: Database) -> dict[tuple[int, str], tuple[int, int]]:
    """Return the same of the records themselves."""
    with database.read() as connection:
        rows = connection.execute(text(_COUNTS), {"until": _START + _HOURS * HOUR}).all()
    all_, failed = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    for hour, name, is_failed in rows:
        all_[hour, name] += 1
        failed[hour, name] += bool(is_failed)
    return {key: (number, failed[key]) for key, number in all_.items()}


def test_every_record_is_counted_once_however_it_was_chained(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(database) == {}
    chain.append(database, [one.json() for one in some(1)])
    assert shown(database) == there(database)
    written(database, some(2))
    assert shown(database) == there(database), "they are not in the chain yet"
    chain.append(database, [one.json() for one in [*some(1), *some(3)]])
    assert shown(database) == there(database)
    with monkeypatch.context() as patched:  # a program of before does not count
        patched.setattr(activity, "count", lambda _: None)
        chain.append(database, [one.json() for one in some(4)])
    assert shown(database) == there(database)
    written(database, some(5))
    chain.append(database, [])
    assert shown(database) == there(database)
    assert sum(number for number, _ in there(database).values()) == 5 * 39


def test_a_commit_that_fails_counts_nothing(database: Database) -> None:
    chain.append(database, [one.json() for one in some(1)])
    before = shown(database)
    with suppress(RuntimeError), database.write(chain.ALONE) as connection:
        table.insert_rows(connection, [table.row_of(some(2)[0].json())], [(41, "0" * 64)])
        activity.count(connection)
        raise RuntimeError
    assert shown(database) == before == there(database)


def test_hours_go_with_their_records(database: Database) -> None:
    chain.append(database, [one.json() for one in some(1)])
    whole = shown(database)
    third = _START + 2 * HOUR
    with database.write(chain.ALONE) as connection:
        connection.execute(text("UPDATE audit_record SET shipped = true"))
        chain.forget(connection, (_BEGIN + timedelta(hours=2, minutes=1)).isoformat())
    assert shown(database) == {key: found for key, found in whole.items() if key[0] >= third}
    assert len(there(database)) > 0
    with database.read() as connection:
        hours = connection.scalars(text("SELECT min(hour) FROM audit_hour")).all()
    assert hours == [third]


def test_a_count_looks_at_what_is_new_alone(database: Database) -> None:
    chain.append(database, [one.json() for one in some(1)])
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    bound = {"counted": 1, "last": 2, "before": 0}
    with database.read() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for query, index in (
            (activity._ADD, "ix_audit_record_sequence"),
            (activity._NOT_COUNTED[0], "ix_audit_record_sequence"),
            (activity._NOT_COUNTED[1], "ix_audit_record_to_chain"),
        ):
            plan = connection.execute(text(f"{explain} {query}"), bound).all()
            assert any(index in row[-1] for row in plan), plan


def test_what_is_there_is_counted_by_the_migration(databases: Databases, tmp_path: Path) -> None:
    database = Database(databases.empty(tmp_path))
    try:
        schema.migrate(database, Migrations(head="2.22"))
        old, chained, new = some(1), some(2), some(3)
        written(database, old)
        with database.write() as connection:
            connection.execute(
                text(
                    "UPDATE audit_chain SET sequence = (SELECT max(pk) FROM audit_record) "
                    "WHERE name = 'before'"
                )
            )
            rows = [table.row_of(one.json()) for one in chained]
            links = [(number, "0" * 64) for number in range(1, len(rows) + 1)]
            table.insert_rows(connection, rows, links)
        written(database, new)
        schema.migrate(database)
        assert shown(database) == there(database)
        chain.append(database, [one.json() for one in some(4)])
        assert shown(database) == there(database)
        assert milliseconds(old[0].at) == _START
    finally:
        database.close()
        databases.drop(tmp_path)
