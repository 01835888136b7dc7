"""Logs: lines for people on a terminal, JSON elsewhere, on stderr, and never with patient data.

The text of an exception may quote a message or the parameters of a query. So a log line names the
classes of an exception and its places in the code, and quotes only texts that speak of the
machine. Libraries are heard from `warning` on: below it some print what they are given. Spyne
prints whole messages even as warnings, and is not heard at all.

A line leaves in one write, since several processes share the place where they end up, and has no
control characters: what a client sends cannot pass for lines of the log, nor move a terminal.
"""

import io
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

_SPEAK_OF_THE_MACHINE: Final = (
    OSError,
    MemoryError,
    ImportError,
    NameError,
    AttributeError,
    TypeError,
)
_DATABASE_DRIVERS: Final = frozenset({"sqlite3", "psycopg"})
CORRELATION: Final = "xds.correlation"
"""Where the environment of a request has the id of its correlation."""
REQUEST_ID: Final = "X-Request-ID"
"""The header that a client may give that id in, and that every answer has it in."""

_MOST_FRAMES: Final = 30
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_OUR_LINES: Final = frozenset({"exception"})
"""What is made of lines here, out of nothing that has any."""
_SANE: Final = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


class _LineForm:
    """The form of this process's lines, and the least level that is written."""

    is_json = False
    level = logging.INFO


_form: Final = _LineForm()
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", log_format: str | None = None) -> None:
    """Set up the logs of this process; without a format, a terminal decides."""
    as_json = log_format == "json" or (log_format is None and not sys.stderr.isatty())
    _form.is_json, _form.level = as_json, _LEVELS[level]
    before = _before_rendering("iso" if as_json else "%H:%M:%S")
    if not as_json:  # JSON has an escape for each of them
        before.append(_without_controls)
    renderer: Processor = _as_json if as_json else _console()
    structlog.configure(
        processors=[*before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )
    _hear_libraries(before, renderer)
    _silence("spyne")


def get_logger(name: str) -> FilteringBoundLogger:
    """Give the logger of a module."""
    logger: FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return logger


class EventLog:
    """The lines of one event that comes with every request, as a logger of the name writes them.

    structlog makes a line in some twenty calls; where it is JSON, it is made here in four.
    """

    __slots__ = ("_event", "_logger", "_name")

    def __init__(self, name: str, event: str) -> None:
        self._name = name
        self._event = event
        self._logger: FilteringBoundLogger = get_logger(name).bind()

    def write(self, level: Literal["info", "warning"], told: Mapping[str, Any]) -> None:
        """Write a line with these values; one that cannot be written is lost."""
        if not _form.is_json:
            getattr(self._logger, level)(self._event, **told)
        elif _LEVELS[level] >= _form.level:
            line = {"logger_name": self._name, **told, "event": self._event}
            for name, one in _BOUND.get().items():
                line.setdefault(name, one)
            line["level"] = level
            line["timestamp"] = _timestamp()
            _write_if_possible(_ENCODER.encode(line))


def acceptable(identifier: str | None) -> str | None:
    """Return the id that a client gave its request, if it may stand in a log and in a header."""
    return identifier if identifier and _SANE.fullmatch(identifier) else None


class correlation:  # noqa: N801 - read as a function, and entered once for every request
    """Give all log lines written inside one id, and hand it out for the answer to name.

    Where the request belongs to a trace (:mod:`xds.trace_context`), the lines have its id as well,
    as ``trace_id``; it is the id of the correlation too where the client gave none.
    """

    __slots__ = ("_before", "_bound")

    def __init__(self, identifier: str | None = None, trace_id: str | None = None) -> None:
        self._bound = {"correlation": identifier or trace_id or os.urandom(16).hex()}
        if trace_id:
            self._bound["trace_id"] = trace_id

    def __enter__(self) -> str:
        self._before = _BOUND.get()
        _BOUND.set({**self._before, **self._bound} if self._before else self._bound)
        return self._bound["correlation"]

    def __exit__(self, *_: object) -> None:
        # not by a token: a generator may be closed in another context than it was begun in
        _BOUND.set(self._before)


_BOUND: Final[ContextVar[Mapping[str, str]]] = ContextVar("bound", default=MappingProxyType({}))
"""What every line written inside of a correlation has."""


def current_correlation() -> str:
    """Give the id of the correlation that this is inside of, or nothing."""
    return _BOUND.get().get("correlation", "")


def describe(error: BaseException) -> str:
    """Tell what an exception is, where it came from and what caused it, but no data."""
    told = _describe_one(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{told}\ncaused by {describe(cause)}" if cause else told


def _describe_one(error: BaseException) -> str:
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    places = [f"  {_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
    if _speaks_of_the_machine(error):
        name = f"{name}: {_CONTROLS.sub('?', str(error))}"
    return "\n".join([name, *places])


def _speaks_of_the_machine(error: BaseException) -> bool:
    kind = type(error)
    of_a_driver = kind.__module__.partition(".")[0] in _DATABASE_DRIVERS
    return isinstance(error, _SPEAK_OF_THE_MACHINE) or (
        of_a_driver and kind.__name__ == "OperationalError"
    )


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-3:])


_ENCODER: Final = json.JSONEncoder(default=repr, check_circular=False)
"""Made once: json.dumps makes another for each line that it is told what to do with values of."""


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    return _ENCODER.encode(event)


def _with_correlation(_logger: object, _method: str, event: EventDict) -> EventDict:
    for name, value in _BOUND.get().items():
        event.setdefault(name, value)
    return event


def _in_utc(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = _timestamp()
    return event


def _timestamp() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 1000:06d}Z"


@lru_cache(1)
def _second(seconds: int) -> str:
    """Write a second; kept for the other lines of the same second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _before_rendering(time_format: str) -> list[Processor]:
    return [
        _with_correlation,
        structlog.processors.add_log_level,
        _in_utc
        if time_format == "iso"
        else structlog.processors.TimeStamper(time_format, utc=False),
        structlog.processors.ExceptionRenderer(lambda info: describe(info[1])),
    ]


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _without_controls(_logger: object, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and name not in _OUR_LINES:
            event[name] = _CONTROLS.sub("?", value)
    return event


def _write(line: str) -> None:
    """Write a line to what is stderr at the time, at once and whole."""
    data = (line + "\n").encode("utf-8", "backslashreplace")
    try:
        number = sys.stderr.fileno()
    except (OSError, io.UnsupportedOperation):  # a test's
        sys.stderr.write(line + "\n")
        return
    sys.stderr.flush()
    while data:  # a pipe that is full takes part of it
        data = data[os.write(number, data) :]


def _write_if_possible(line: str) -> None:
    """Write a line; one that cannot be written is lost, and nothing else with it."""
    try:  # noqa: SIM105 - for every request, and quicker than suppress
        _write(line)
    except (OSError, ValueError):
        pass


class _Lines:
    """What structlog writes to."""

    def msg(self, line: str) -> None:
        """Write a line."""
        _write_if_possible(line)

    debug = info = warning = error = critical = msg


class _OfLibraries(logging.Handler):
    """Writes the lines of libraries."""

    def emit(self, record: logging.LogRecord) -> None:
        # the report that logging makes of a line it cannot write has the data of the line
        with suppress(Exception):
            _write(self.format(record))


def _hear_libraries(before: list[Processor], renderer: Processor) -> None:
    handler = _OfLibraries()
    handler.addFilter(_without_data)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, _add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _add_logger_name(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["logger_name"] = event["_record"].name
    return event


def _without_data(record: logging.LogRecord) -> bool:
    """Cut Granian's report of an exception down to the places in the code."""
    if not record.name.startswith("_granian"):
        return True
    first, *rest = record.getMessage().splitlines() or [""]
    record.msg = "\n".join([first, *(line for line in rest if line.startswith('  File "'))])
    record.args = None
    return "Python threads, which seems quite high" not in first


def _silence(name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL + 1)
    logger.handlers = [logging.NullHandler()]
    logger.propagate = False
