"""Tests of what sockets tell without waiting."""

import fcntl
import os
import socket

import pytest

from xds.sockets import is_readable

ABOVE_SELECT = 1024
"""The first descriptor that ``select()`` refuses."""


@pytest.mark.parametrize("lowest", [3, ABOVE_SELECT])
def test_it_is_told_whatever_the_number_of_the_descriptor(lowest: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, lowest)
        try:
            assert not is_readable(descriptor)
            theirs.send(b"x")
            assert is_readable(descriptor)
            assert os.read(descriptor, 10) == b"x"
            assert not is_readable(descriptor)
            theirs.close()
            assert is_readable(descriptor)
        finally:
            os.close(descriptor)
