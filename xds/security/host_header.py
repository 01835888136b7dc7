"""The field Host, which every request of HTTP/1.1 has exactly once (RFC 9112 3.2)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_TEXT: Final = b"A request of HTTP/1.1 has one Host header field (RFC 9112, 3.2).\n"


def has_one_host(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request names one host, or is of HTTP/1.0 and names none.

    Of two header fields WSGI makes one, with a comma, which is in the name of no host.
    """
    host: str = environ.get("HTTP_HOST") or ""
    if not host.strip():
        return environ.get("SERVER_PROTOCOL") in ("HTTP/1.0", "HTTP/1")
    return "," not in host


class OneHost:
    """An application whose requests name one host; others are refused as RFC 9112 says, 400.

    What stands before this server, and what stands behind it, could else take one request for two
    different ones.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        if has_one_host(environ):
            return self._application(environ, start_response)
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(_TEXT)))]
        start_response("400 Bad Request", [*headers, ("Connection", "close")])
        return [_TEXT]
