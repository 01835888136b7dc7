"""What can go wrong on the way to a server and back; :mod:`xds.client.errors` has the rest.

ClientError
└── TransportFailed         the server broke off, or does not speak HTTP/1.1
└── NotReached          no connection came about: it has not heard of the request
"""


class ClientError(Exception):
    """A transaction did not succeed."""

    request_id: str = ""
    """The X-Request-ID of the answer, under which the server's log tells more; empty without."""

    def explain(self) -> str:
        """Tell what happened in one or more lines, with all that the server said of it."""
        return str(self)


class TransportFailed(ClientError):
    """No message came back."""


class NotReached(TransportFailed):
    """No connection to the server came about, so that nothing was sent."""
