"""What `make bench-scale` has happened at a registry is as a server would have written it."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from click.testing import CliRunner
from sqlalchemy import Connection, text

from bench.load import history
from bench.load.history import DESTINATIONS, History
from tests.audit.test_searching import noted
from tests.databases import Databases
from xds.__main__ import main
from xds.audit import activity, chain, searching
from xds.audit.activity import HOUR
from xds.audit.searching import RecordFilter
from xds.database.access import Database
from xds.messaging import operations as messages
from xds.messaging import records
from xds.messaging.operations import MessageSelection
from xds.messaging.outbound import operations as destinations
from xds.notification import operations as subscriptions
from xds.outgoing import operations as queue
from xds.refusals import kept

_AMOUNT: Final = History(
    records=2_000,
    of_one=100,
    messages=300,
    refusals=30,
    outbound=300,
    waiting=40,
    subscriptions=8,
    notifications=5,
)


def test_it_can_be_read_as_what_has_happened(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    where = ["--data", str(tmp_path), "--database", url]
    made = CliRunner().invoke(main, ["load", "--entries", "60", "--processes", "1", *where])
    assert made.exit_code == 0, made.output
    database = Database(url)
    try:
        known = history.fill(database, _AMOUNT, lambda _: None)
        verdict = chain.verify(database)
        assert (verdict.chained, verdict.broken) == (2_000, None)
        with database.read() as connection:
            now = database.milliseconds(connection) // HOUR * HOUR
            hours = activity.by_hour(connection, now - 25 * HOUR, now + HOUR)
            assert sum(sum(one.all.values()) for one in hours) == 2_000
            assert len([one for one in hours if one.all]) >= 24
            wanted = RecordFilter(patient_ids=(known.first[0],))
            assert len(list(searching.search(connection, wanted, 2_000))) >= 100
            (found,) = messages.find(connection, MessageSelection(number="P7"))
            assert found.control_id == "C000000007"
            assert records.waiting(connection)["refused"].count > 0
            assert len(kept.refusals(connection, 0, 100)) == 30
            assert len(kept.unknown_codes(connection, 0, 100)) == 30
            fares = destinations.health(connection, ())
            assert {one.name for one in fares} == set(DESTINATIONS)
            brief = destinations.health(connection, (), with_delivered=False)
            assert brief == [replace(one, delivered=0, last_delivered=None) for one in fares]
            whole = destinations.not_taken(connection)
            assert destinations.not_taken(connection, whole=False) == whole
            assert {one.dead for one in whole.values()} == {one.dead for one in fares}
            for line in plans_of_open_messages(connection):
                assert "ix_outbound_message_open" in line, line
            assert subscriptions.counts(connection) == {("dsub", "active"): 7, ("dsub", "error"): 1}
            state = queue.states(connection)["dsub"]
            assert (state.waiting, state.dead) == (40, 2)
    finally:
        database.close()
        databases.drop(tmp_path)


def plans_of_open_messages(connection: Connection) -> list[str]:
    """Return how the database finds what destinations have not taken, counted up to a number."""
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:  # a table of some hundred rows is scanned else
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    with noted(connection) as seen:
        destinations.not_taken(connection, whole=False)
    explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
    counting = [one for one in seen if "min(destination)" in one[0] or "AS counted" in one[0]]
    return [
        "; ".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {one}", values))
        for one, values in counting
    ]
