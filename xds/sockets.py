"""Whether something can be read from a socket now, without waiting and whatever its number."""

import select
import socket


def is_readable(connection: socket.socket | int) -> bool:
    """Return whether reading from a socket or a descriptor would not wait.

    The end of a connection can be read as well. ``select()`` is not used: it refuses descriptors
    above 1023, which a server with many connections has.
    """
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
