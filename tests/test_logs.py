"""The logs: their form, their correlation, and that no patient data gets into them."""

import json
import logging
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.waiting import PATIENCE
from xds import logs

PATIENT = "Müller^Anna"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Any:
    logs.configure("info", "json")
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_time_level_and_logger(as_json: Any) -> None:
    logs.get_logger("xds.test").info("stored", bytes=3)
    logs.get_logger("xds.test").debug("unheard")
    (line,) = as_json()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "stored", "bytes": 3, "level": "info", "logger_name": "xds.test"}


def test_lines_written_inside_a_correlation_carry_its_id(as_json: Any) -> None:
    with logs.correlation() as identifier:
        logs.get_logger("xds.test").info("inside")
        logging.getLogger("library").warning("inside too")
    logs.get_logger("xds.test").info("outside")
    inside, library, outside = as_json()
    assert inside["correlation"] == library["correlation"] == identifier
    assert "correlation" not in outside


def test_lines_of_a_request_that_belongs_to_a_trace_carry_its_id(as_json: Any) -> None:
    log, trace = logs.get_logger("xds.test"), "0af7651916cd43dd8448eb211c80319c"
    with logs.correlation("mine", trace), logs.correlation("mine"):
        log.info("named by the client")
    with logs.correlation(None, trace) as identifier:
        log.info("named by the trace alone")
    log.info("outside")
    named, traced, outside = as_json()
    assert (named["correlation"], named["trace_id"]) == ("mine", trace)
    assert traced["correlation"] == traced["trace_id"] == identifier == trace
    assert not {"correlation", "trace_id"} & outside.keys()


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "error"])
def test_an_exception_is_told_by_its_place_and_not_its_text(
    capsys: pytest.CaptureFixture[str], log_format: str, level: str
) -> None:
    logs.configure(level, log_format)
    codes: dict[str, str] = {}
    try:
        try:
            codes[PATIENT]
        except KeyError as error:
            raise ValueError(f"bad patient {PATIENT}") from error
    except ValueError:
        logs.get_logger("xds.test").error("failed", exc_info=True)
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert "caused by KeyError" in told
    assert "test_logs.py:" in told
    assert "Anna" not in told
    assert "ller" not in told


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), sqlite3.OperationalError("locked")]
)
def test_what_speaks_of_the_machine_is_quoted(error: Exception) -> None:
    assert logs.describe(error).endswith(f": {error}")


def test_what_quotes_a_value_is_not() -> None:
    assert logs.describe(sqlite3.IntegrityError(PATIENT)) == "sqlite3.IntegrityError"


def test_a_line_that_cannot_be_written_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        logs.configure("info", "json")
        logs.get_logger("a").info("this is lost")
        logging.getLogger("b").warning("this as well")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_a_client_sends_cannot_pass_for_a_line(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    logs.configure("info", log_format)
    forged = 'mine\r\n{"event": "stored", "level": "info"}\u2028\x1b[2J\x9b1A'
    logs.get_logger("xds.test").info("refused", control_id=forged, exc_info=OSError(2, forged))
    written = capsys.readouterr().err
    assert not [line for line in written.splitlines() if line.startswith('{"event"')]
    sent = written.replace("\x1b[0m", "")
    assert not [character for character in "\r\x1b\x9b\u2028" if character in sent]


def test_lines_of_many_processes_stay_whole(tmp_path: Path) -> None:
    """Each is one write, however long it is, and foreign ones fall between them."""
    program = (
        "from xds import logs; logs.configure('info', 'json'); log = logs.get_logger('x');"
        "[log.info('a', text='y' * n) for n in (0, 10, 9000, 70000) for _ in range(50)]"
    )
    with (tmp_path / "log").open("ab") as log:
        running = [subprocess.Popen([sys.executable, "-c", program], stderr=log) for _ in range(3)]
        assert [process.wait(PATIENCE) for process in running] == [0, 0, 0]
    lines = (tmp_path / "log").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 600


@pytest.mark.parametrize("given", ["a\r\nb", "a b", "", "é", "x" * 129, "<a>", None])
def test_ids_that_may_not_stand_in_a_log_are_not_acceptable(given: str | None) -> None:
    assert logs.acceptable(given) is None


def test_spyne_is_not_heard(as_json: Any) -> None:
    for name in ("spyne", "spyne.protocol.xml", "spyne.protocol.xml.invalid", "spyne.application"):
        logging.getLogger(name).critical(PATIENT)
    spyne = logging.getLogger("spyne.util.appreg")
    spyne.setLevel(logging.INFO)  # as Spyne itself does
    spyne.info(PATIENT)
    assert as_json() == []


def test_libraries_are_heard_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    logging.getLogger("sqlalchemy.engine").info("SELECT %s", PATIENT)
    logging.getLogger("sqlalchemy.pool").warning("full")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["logger_name"] for line in told] == ["sqlalchemy.pool", "py.warnings"]


def test_the_server_report_of_an_exception_is_cut_to_its_places(as_json: Any) -> None:
    report = f'Application raised\nTraceback:\n  File "a.py", line 1, in f\n    g()\nE: {PATIENT}'
    logging.getLogger("_granian.utils").error(report)
    (line,) = as_json()
    assert line["event"] == 'Application raised\n  File "a.py", line 1, in f'
