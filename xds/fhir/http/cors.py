"""CORS: web pages of other origins that may use the facade, as the option says (Fetch, 3.2)."""

from collections.abc import Callable, Iterable
from typing import Any, Final

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    "If-Unmodified-Since, Prefer, Range, traceparent, tracestate, X-Request-ID"
)
_EXPOSED: Final = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Location, Content-Range, Date, "
    "ETag, Last-Modified, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-ID"
)
_HOUR: Final = "3600"


class Cors:
    """An application with CORS. Nobody's cookies are asked for, so credentials are not allowed."""

    def __init__(self, application: WSGIApplication, origins: Iterable[str]) -> None:
        self._application = application
        self._origins = frozenset(origins)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a preflight request, or let the application answer with the headers added."""
        headers = self._headers(environ.get("HTTP_ORIGIN", ""))
        asks = environ["REQUEST_METHOD"] == "OPTIONS"
        if asks and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            start_response("204 No Content", [*headers, *_preflight(allowed=len(headers) > 1)])
            return []

        def start(status: str, others: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*others, *headers], *more)

        return self._application(environ, start)

    def _headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers for an origin; Vary alone for one that is not allowed."""
        if "*" in self._origins:
            return [("Access-Control-Allow-Origin", "*"), _EXPOSE]
        vary = ("Vary", "Origin")
        if origin not in self._origins:
            return [vary]
        return [("Access-Control-Allow-Origin", origin), _EXPOSE, vary]


_EXPOSE: Final = ("Access-Control-Expose-Headers", _EXPOSED)


def _preflight(*, allowed: bool) -> list[tuple[str, str]]:
    if not allowed:
        return []
    return [
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", _REQUEST_HEADERS),
        ("Access-Control-Max-Age", _HOUR),
    ]
