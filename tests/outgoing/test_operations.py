"""`xds queue`, and what metrics are told: what waits and why, tried again, and dropped."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.databases import Databases
from tests.outgoing.conftest import Target, dispatching, ids, is_empty, numbered, put
from tests.waiting import PATIENCE, until
from xds.__main__ import main
from xds.database.access import Database
from xds.outgoing import operations
from xds.outgoing.delivery import Delivery, Limit, NewDelivery, NotDelivered, RetrySchedule
from xds.outgoing.operations import ChannelState
from xds.outgoing.queue import enqueue_stream

SLOW = RetrySchedule((1000.0,))


@pytest.fixture
def url(tmp_path: Path, databases: Databases, database: Database) -> str:
    """The URL of the database of the test."""
    return databases.url(tmp_path)


def queue(url: str, *arguments: str) -> str:
    """Run the command, and return what it writes."""
    result = CliRunner().invoke(main, ["queue", "--database", url, *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def listed(url: str, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in queue(url, *arguments, "--json").splitlines()]


def refuse(_: Delivery) -> None:
    raise NotDelivered("503", refused=True)


def fill(database: Database) -> None:
    """Have one target fail, one wait for nobody, and two messages given up."""
    put(database, *numbered("fails", range(3)), *numbered("dies", range(2), channel="short"))
    put(database, *numbered("unserved", [0], channel="other"))
    target = Target(refuse)
    channels = target.channel(schedule=SLOW), target.channel("short", limit=Limit(1, 1000))
    with dispatching(database, *channels):
        until(lambda: len(listed_dead(database)) == 2 and failing(database) == ["503"])


def listed_dead(database: Database) -> list[operations.DeadDelivery]:
    with database.read() as connection:
        return operations.dead(connection, operations.EVERYTHING, 10)


def failing(database: Database) -> list[str]:
    with database.read() as connection:
        return [one.error for one in operations.failing(connection)]


def test_an_empty_queue_says_so(url: str) -> None:
    assert queue(url) == "Nothing waits to be sent.\n"
    assert queue(url, "retry") == "0 targets tried now, 0 messages tried again.\n"


def test_what_waits_is_listed_with_why(database: Database, url: str) -> None:
    fill(database)
    rows = [line.split("\t") for line in queue(url).splitlines()]
    assert rows[0][0] == "channel"
    told = [(row[0], row[1], row[3], row[4], row[6], row[7]) for row in rows[1:]]
    assert told == [
        ("test", "3", "waits", "1", "503", "fails"),
        ("other", "1", "waits", "0", "", "unserved"),
        ("short", "1", "given up", "1", "503", "dies dies/0"),
        ("short", "1", "given up", "1", "503", "dies dies/1"),
    ]
    assert [one["target"] for one in listed(url, "--channel", "test")] == ["fails"]
    assert [one["id"] for one in listed(url, "--dead")] == ids("dies", range(2))
    assert listed(url, "--target", "no such") == []
    with database.read() as connection:
        found = operations.states(connection)
    assert {name: (one.waiting, one.dead) for name, one in found.items()} == {
        "test": (3, 0),
        "other": (1, 0),
        "short": (0, 2),
    }
    assert found["short"] == ChannelState(0, 0, 2)


def test_a_retry_does_not_wait_and_brings_back_what_was_given_up(
    database: Database, url: str
) -> None:
    fill(database)
    target = Target()
    with dispatching(database, target.channel(schedule=SLOW), target.channel("short")):
        assert queue(url, "retry", "--channel", "test").startswith("1 target tried now, 0 mess")
        until(lambda: target.of("fails") == ids("fails", range(3)))
        assert queue(url, "retry", "--id", "dies/1").endswith("1 message tried again.\n")
        until(lambda: target.of("dies") == ids("dies", [1]))
        assert queue(url, "retry").endswith("1 message tried again.\n")
        until(lambda: target.of("dies") == ids("dies", [1, 0]))


def test_what_is_dropped_is_not_sent_and_the_next_goes(database: Database, url: str) -> None:
    stuck = threading.Event()

    def answer(one: Delivery) -> None:
        if one.id == "a/0":
            stuck.set()
            raise NotDelivered("400", refused=True)

    target = Target(answer)
    put(database, *numbered("a", range(3)))
    with dispatching(database, target.channel(schedule=SLOW)):
        until(lambda: failing(database) == ["400"])
        assert listed(url)[0]["next"] == "a/0"
        assert queue(url, "drop", "--id", "a/0") == "1 message dropped.\n"
        until(lambda: target.of("a") == ids("a", [1, 2]))
        until(lambda: is_empty(database))


def test_what_follows_a_message_dropped_while_it_is_sent_is_sent(
    database: Database, url: str
) -> None:
    """SQLite gives it the key of the dropped one, which is noted as delivered only then."""
    arrived, released = threading.Event(), threading.Event()

    def wait(_: Delivery) -> None:
        arrived.set()
        released.wait(PATIENCE)

    target = Target(wait)
    put(database, *numbered("a", [0]))
    with dispatching(database, target.channel()):
        arrived.wait(PATIENCE)
        queue(url, "drop", "--target", "a")
        put(database, *numbered("a", [1]))
        released.set()
        until(lambda: target.of("a") == ids("a", [0, 1]))


def test_drop_takes_what_is_to_be_dropped(database: Database, url: str) -> None:
    fill(database)
    enqueue_stream(database, NewDelivery(channel="other", target="long"), [bytes(2_000_000)])
    result = CliRunner().invoke(main, ["queue", "--database", url, "drop"])
    assert result.exit_code == 2
    assert "--all" in result.output
    assert queue(url, "drop", "--dead") == "2 messages dropped.\n"
    assert queue(url, "drop", "--target", "fails") == "3 messages dropped.\n"
    assert queue(url, "drop", "--all") == "2 messages dropped.\n"
    assert queue(url) == "Nothing waits to be sent.\n"
    with dispatching(database, Target().channel(), Target().channel("other")):
        until(lambda: is_empty(database))


def test_a_target_includes_what_has_stepped_aside_of_it(database: Database, url: str) -> None:
    put(database, *numbered("a", range(2)), *numbered("ab", [0]))
    with dispatching(database, Target(refuse).channel(order="reachable", schedule=SLOW)):
        aside = {"a a/0", "a a/1", "ab ab/0"}
        until(lambda: {one["target"] for one in listed(url)} == aside)
    assert {one["target"] for one in listed(url, "--target", "a")} == {"a a/0", "a a/1"}
    assert queue(url, "drop", "--target", "a") == "2 messages dropped.\n"
    assert [one["target"] for one in listed(url)] == ["ab ab/0"]


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/none.sqlite3"
    result = CliRunner().invoke(main, ["queue", "--database", missing])
    assert result.exit_code == 1
    assert "There is no database" in result.output
