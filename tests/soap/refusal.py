"""What holds of every refused message: the fault names the cause, and the server is as before."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.documents import kept
from tests.registry.behind import database
from tests.serving import Server
from tests.soap.messages import ITI18, new_case
from tests.soap.wire import SUCCESS, Answer, post
from tests.waiting import PATIENCE, until
from xds.database.statements import METADATA
from xds.refusals.tables import refusal, unknown_code

_COUNTED: Final = tuple(
    table.name for table in METADATA.sorted_tables if table not in (refusal, unknown_code)
)
"""All tables but those that keep what senders of refused messages were told."""
_COUNTS: Final = "SELECT " + ", ".join(f'(SELECT count(*) FROM "{name}")' for name in _COUNTED)
"""One statement for all tables: one for each would take longer than the rest of a test."""

_OF_PATIENTS_OR_CODE = ("WIRE", "Sarrazin", "Traceback", 'File "')
"""The identifiers and the name of every patient of these tests, and stack traces."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a server keeps: its documents and how many rows each table has."""

    files: tuple[str, ...]
    rows: tuple[tuple[str, int], ...]


def state_of(server: Server) -> State:
    """Look at what a server keeps."""
    with database(server) as opened, opened.read() as connection:
        counts = connection.exec_driver_sql(_COUNTS).one()
    rows = tuple(zip(_COUNTED, counts, strict=True))
    return State(tuple(sorted(kept(server.store()))), rows)


def settled_state_of(server: Server, expected: State) -> State:
    """Return the state; what is on its way out has a moment to go, as the answer comes first."""
    end = time.monotonic() + PATIENCE
    while (state := state_of(server)) != expected and time.monotonic() < end:
        time.sleep(0.01)
    return state


def _quiet_state_of(server: Server) -> State:
    """Return the state once nothing of an earlier request is still on its way out."""
    return until(
        lambda: state_of(server),
        lambda state: not any(name.endswith(".staged") for name in state.files),
    )


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """Assert that a server is as before after what happens in the block."""
    before, logged = _quiet_state_of(server), server.log.stat().st_size
    yield
    assert settled_state_of(server, before) == before
    with server.log.open("rb") as log:
        log.seek(logged)
        written = log.read().decode()
    for forbidden in (*_OF_PATIENTS_OR_CODE, '"level": "error"'):
        assert forbidden not in written, written
    assert post(server, ITI18, new_case().find()).status == SUCCESS


def assert_refused(answer: Answer, words: str, *subcodes: str, code: str = "s:Sender") -> None:
    """Assert that an answer is a fault of this kind, whose sentence has these words."""
    fault = answer.fault
    assert (fault.code, fault.subcodes, answer.raw.status) == (code, subcodes, 500), fault
    assert words in fault.reason
    assert fault.reason.endswith(".")
    assert not [word for word in _OF_PATIENTS_OR_CODE if word in answer.raw.body.decode()]
