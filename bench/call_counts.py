"""How many files a request goes through: counted for ITI-65 and ITI-41 of one document each.

``python -m bench.call_counts`` prints, for each, the files of ``xds/`` that are crossed and the
moves between them: calls that lead from one file to another. The whole application is
called in this process, once before the request that is counted.
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from bench import fhir, messages, samples
from xds.app import create_app
from xds.config import Config

_ROOT: Final = str(Path(__file__).resolve().parents[1] / "xds")
_DATA: Final = b"one document"
_PATIENT: Final = samples.patient("calls")


class Count:
    """The files that were crossed, and the moves between them."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.moves = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Take note of a call, whose caller is the last one that is of ``xds/``."""
        caller = frame.f_back
        if event != "call" or not frame.f_code.co_filename.startswith(_ROOT):
            return
        name = frame.f_code.co_filename
        self.files.add(name)
        while caller is not None and not caller.f_code.co_filename.startswith(_ROOT):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != name:
            self.moves += 1


@contextmanager
def counting() -> Iterator[Count]:
    """Count what is called within the block, in this thread."""
    count = Count()
    sys.setprofile(count)
    try:
        yield count
    finally:
        sys.setprofile(None)


Application = Callable[..., Any]


def called(application: Application, path: str, content_type: str = "", body: bytes = b"") -> bytes:
    """Send a POST, or a GET without a body; return the body of the answer; RuntimeError for a 4xx.

    ``path`` has the query, if any.
    """
    status: list[str] = []
    path, _, query = path.partition("?")
    environ: Mapping[str, Any] = {
        "REQUEST_METHOD": "POST" if body else "GET",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    blocks = application(dict(environ), lambda stated, *_: status.append(stated))
    answer = b"".join(blocks)
    if hasattr(blocks, "close"):
        blocks.close()
    if not status[0].startswith("2") or b'Failure"' in answer:
        raise RuntimeError(f"{status[0]}: {answer[:2000]!r}")
    return answer


def iti65() -> tuple[str, str, bytes]:
    """Make a Bundle of a SubmissionSet, a DocumentReference and a Binary."""
    return "/fhir", "application/fhir+json", json.dumps(fhir.bundle(_DATA, "calls")).encode()


def iti41() -> tuple[str, str, bytes]:
    """Make a submission of one document."""
    submission = samples.submission(
        _PATIENT, samples.oid(), [samples.entry(0, samples.oid(), _PATIENT)]
    )
    request = messages.provide_and_register(submission, _DATA)
    return request.path, request.content_type, request.body


def main() -> None:
    """Print both counts."""
    with tempfile.TemporaryDirectory() as folder:
        application = create_app(Config(data=Path(folder)))
        for name, make in (("ITI-65", iti65), ("ITI-41", iti41)):
            called(application, *make())
            request = make()
            with counting() as count:
                called(application, *request)
            print(f"{name}: {len(count.files)} files, {count.moves} moves between files")


if __name__ == "__main__":
    main()
