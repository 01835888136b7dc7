"""What a sender has sent is gone with its answer: no circle of references keeps it."""

import gc
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.hostile import KINDS
from tests.serving import configured
from tests.soap.messages import ITI18, SIMPLE, Case
from xds.app import WSGIApplication, create_app
from xds.database.access import Database
from xds.registry import schema

SOME = (
    "no XML",
    "names of nobody",
    "damaged multipart",
    "include of a file",
    "members of nobody",
    "a search of nobody",
    "a good query",
)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> WSGIApplication:
    config = configured(tmp_path_factory.mktemp("circles"))
    database = Database(config.database_url)
    schema.migrate(database)
    database.close()
    return create_app(config)


@contextmanager
def leftovers() -> Iterator[Callable[[], set[str]]]:
    """Keep what only a search for circles would free, and tell its types."""
    gc.collect()
    gc.freeze()  # what is there before need not be looked at again
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield _collected
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _collected() -> set[str]:
    gc.collect()
    return {type(one).__name__ for one in gc.garbage}


def send(
    application: WSGIApplication, method: str, target: str, body: bytes, headers: dict[str, str]
) -> None:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "x",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in headers.items():
        prefix = "" if name == "Content-Type" else "HTTP_"
        environ[prefix + name.upper().replace("-", "_")] = value
    answer = application(environ, lambda *_: None)
    b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()


@pytest.mark.parametrize("kind", SOME)
def test_nothing_of_a_request_waits_for_the_collector(
    application: WSGIApplication, kind: str
) -> None:
    good = ("POST", ITI18.path, Case(0).find().encode(), {"Content-Type": SIMPLE})
    request = good if kind == "a good query" else KINDS[kind](1)
    send(application, *request)
    with leftovers() as found:
        send(application, *request)
        kept = found()
    assert not kept & {"_Element", "BytesIO", "Exchange", "traceback", "frame", "Body"}
