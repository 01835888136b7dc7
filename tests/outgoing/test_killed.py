"""Answers that are sent by several servers on one database, of which some are killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from bench.crash import kill
from tests.databases import Databases
from tests.registry.behind import database
from tests.serving import Server, serving
from tests.soap.messages import ITI18, new_case
from tests.soap.receiver import Receiver, receiving
from tests.soap.test_asynchronous import (
    asking,
    header_of,
    send_and_be_accepted,
    waiting,
    with_id,
)
from tests.soap.wire import take_apart
from tests.waiting import until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.mark.slow
def test_answers_survive_servers_that_are_killed_while_they_send(
    tmp_path: Path, receiver: Receiver, databases: Databases
) -> None:
    url, targets = databases.url(tmp_path), [f"/{uuid4()}" for _ in range(3)]
    options = {
        "async_reply_to": receiver.url,
        "database": url,
        "documents": f"file://{tmp_path}/documents",
    }
    sent: dict[str, list[str]] = {target: [] for target in targets}

    def send(server: Server) -> None:
        for _ in range(6):
            for target in targets:
                message, key = with_id(asking(new_case().find(), receiver.url + target))
                send_and_be_accepted(server, ITI18, message)
                sent[target].append(key)

    with ExitStack() as stack:
        one = stack.enter_context(serving(tmp_path / "one", options))
        other = stack.enter_context(serving(tmp_path / "other", options))
        receiver.seconds = 0.2
        send(one)
        receiver.wait_for(targets[0], 2)
        kill(one)  # and its workers with it, in the middle of what they do
        send(other)
        kill(other)
        last = stack.enter_context(serving(tmp_path / "last", options))
        receiver.seconds = 0.0
        with database(last) as opened:
            until(lambda: waiting(opened) == 0)
    for target in targets:
        related = [header_of(take_apart(raw), "RelatesTo") for raw in receiver.came(target)]
        assert list(dict.fromkeys(related)) == sent[target]  # in order, and none is missing
