"""An application whose answers are counted, and which tells the metrics at ``/metrics``."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from xds.telemetry.metrics import Metrics

PATH: Final = "/metrics"

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class RequestMetrics:
    """An application whose answers are counted, and which tells the metrics at ``/metrics``."""

    def __init__(self, application: WSGIApplication, metrics: Metrics) -> None:
        self._application = application
        self._metrics = metrics

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        path: str = environ["PATH_INFO"]
        if path == PATH and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._told(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._metrics.answered(path, status)
            return start_response(status, headers, *more)

        self._metrics.begin_request()
        try:
            blocks = self._application(environ, start)
        except BaseException:
            self._metrics.end_request()
            raise
        if isinstance(blocks, list):
            self._metrics.end_request()
            return blocks
        return _UnderWay(blocks, self._metrics)

    def _told(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        content_type, text = self._metrics.render()
        headers = [("Content-Type", content_type), ("Content-Length", str(len(text)))]
        start_response("200 OK", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else text]


class _UnderWay:
    """The blocks of an answer, which is under way until the server closes it."""

    def __init__(self, blocks: Iterable[bytes], metrics: Metrics) -> None:
        self._blocks = blocks
        self._metrics: Metrics | None = metrics

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        """Let go of the answer, sent or not."""
        if self._metrics is not None:
            self._metrics.end_request()
            self._metrics = None
        if close := getattr(self._blocks, "close", None):
            close()
