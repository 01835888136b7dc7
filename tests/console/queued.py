"""Messages in the delivery queue of a server, of channels that no server has."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from structlog.testing import capture_logs

from tests.outgoing.conftest import Target, dispatching, numbered, put
from tests.serving import Server
from tests.waiting import until
from xds.database.access import Database
from xds.outgoing import operations
from xds.outgoing.delivery import Delivery, Limit, NotDelivered
from xds.outgoing.operations import DeliverySelection, QueueCount

_channels = count(1)


@contextmanager
def database_of(server: Server) -> Iterator[Database]:
    """Open the database of a server."""
    opened = Database(server.database)
    try:
        yield opened
    finally:
        opened.close()


def waiting(server: Server, number: int, channel: str = "") -> str:
    """Have messages wait for one target; return their channel."""
    name = channel or f"channel-{next(_channels)}"
    with database_of(server) as database:
        put(database, *numbered(f"https://{name}.example/in", range(number), channel=name))
    return name


def given_up(server: Server, number: int) -> str:
    """Have messages given up; return their channel."""
    name = waiting(server, number)

    def refuse(_: Delivery) -> None:
        raise NotDelivered("503", refused=True)

    channel = Target(refuse).channel(name, limit=Limit(1, 1000))
    with capture_logs(), database_of(server) as database, dispatching(database, channel):
        until(lambda: counted(database, name).dead == number)
    return name


def counted(database: Database, channel: str) -> QueueCount:
    """Count what is in the queue of a channel."""
    with database.read() as connection:
        return operations.counted(connection, DeliverySelection(channel=channel))
