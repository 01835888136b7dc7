"""The store in a bucket, and the network between: a store that is away, slow, full, or refuses."""

import errno
import os
import shutil
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import pytest
from obstore.store import S3Store

from tests.line import Line, served
from tests.s3_server import PART, Swift
from tests.suites.document_store import (
    content,
    leftovers,
    published,
    put,
)
from xds.repository import object_storage
from xds.repository.object_storage import ObjectStorage
from xds.repository.store import (
    DocumentStore,
    StagedDocument,
    StoreFull,
    StoreUnavailable,
    open_store,
)

BODY = b"<ClinicalDocument/>" * 500
MEGABYTE = 1 << 20


@pytest.fixture
def store(bucket_store: DocumentStore) -> DocumentStore:
    return bucket_store


def by(line: Line, url: str, **options: str) -> ObjectStorage:
    """Open a store at the end of a line."""
    endpoint = f"http://127.0.0.1:{line.own_port}"
    return ObjectStorage(url, {"endpoint": endpoint, **options})


# the store is away


def every_use(store: DocumentStore, staged: StagedDocument) -> list[Callable[[], object]]:
    """Give everything that needs the store."""
    return [
        lambda: store.publish([store.stage([BODY])]),
        lambda: store.stage([b"x"] + [b"x" * MEGABYTE] * 9),
        lambda: store.open(staged.key),
        lambda: store.open(staged.key, 3, 4),
        lambda: store.delete(staged.key),
        lambda: store.discard([staged]),
        lambda: list(store.list()),
        store.check,
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("few_retries")
def test_a_stopped_store_is_unavailable_and_then_available_again(
    store: DocumentStore, swift: Swift
) -> None:
    staged, waiting = put(store, BODY), store.stage([b"staged before, published after"])
    swift.stop()
    try:
        for use in every_use(store, staged):
            with pytest.raises(StoreUnavailable, match="Connection refused"):
                use()
    finally:
        swift.start()
    store.check()
    store.publish([waiting])
    assert published(store) == {staged.key, waiting.key}
    assert content(store, staged.key) == BODY


@pytest.mark.slow
@pytest.mark.usefixtures("few_retries")
def test_a_store_that_says_nothing_is_unavailable(bucket_url: str, swift: Swift) -> None:
    with (
        served(Line(swift.port, silent=True)) as line,
        pytest.raises(StoreUnavailable, match="it does not answer in time"),
    ):
        by(line, bucket_url, read_timeout="400ms").check()


def test_an_answer_that_is_cut_off_is_taken_up_again(bucket_url: str, swift: Swift) -> None:
    body = os.urandom(2 * MEGABYTE)
    staged = put(open_store(bucket_url), body)
    with served(Line(swift.port, cut_answers_at=MEGABYTE, cuts=2)) as line:
        assert content(by(line, bucket_url), staged.key) == body
        assert (line.connections, line.cuts) == (3, 0)


def test_an_answer_that_is_always_cut_off_is_told(bucket_url: str, swift: Swift) -> None:
    staged = put(open_store(bucket_url), os.urandom(MEGABYTE))
    with (
        served(Line(swift.port, cut_answers_at=50_000)) as line,
        pytest.raises(StoreUnavailable),
    ):
        content(by(line, bucket_url), staged.key)


def test_an_upload_whose_answer_is_lost_is_stored_once(bucket_url: str, swift: Swift) -> None:
    with served(Line(swift.port, cut_answers_at=0, cuts=1)) as line:
        staged = put(by(line, bucket_url), BODY)
        assert line.cuts == 0
    store = open_store(bucket_url)
    assert published(store) == {staged.key}
    assert content(store, staged.key) == BODY


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [len(BODY), PART + 1])
def test_what_was_changed_on_its_way_is_not_stored(
    bucket_url: str, swift: Swift, size: int
) -> None:
    with (
        served(Line(swift.port, flip_sent=5_000)) as line,
        pytest.raises(StoreUnavailable, match="400 Bad Request, BadDigest"),
    ):
        put(by(line, bucket_url), b"x" * size)
    assert published(open_store(bucket_url)) == set()


@pytest.mark.usefixtures("small_parts")
def test_of_several_documents_none_stays_when_one_fails(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = [store.stage([b"%d" % number]) for number in range(6)]
    write, failing = obstore.put, f"documents/{staged[3].key}"

    def put_or_fail(target: S3Store, path: str, *rest: Any, **options: Any) -> object:
        if path == failing:
            time.sleep(0.2)
            raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return write(target, path, *rest, **options)

    monkeypatch.setattr(obstore, "put", put_or_fail)
    with pytest.raises(StoreUnavailable):
        store.publish(staged)
    assert leftovers(store) == published(store) == set()


# what is slow and does not fail


@pytest.mark.slow
def test_a_reader_that_is_left_alone_does_not_run_out_of_time(
    bucket_url: str, swift: Swift
) -> None:
    staged = put(open_store(bucket_url), b"x" * (4 * MEGABYTE))
    with (
        served(Line(swift.port)) as line,
        by(line, bucket_url, read_timeout="3s").open(staged.key) as reader,
    ):
        first = next(reader)
        time.sleep(4)
        assert len(first) + sum(map(len, reader)) == 4 * MEGABYTE
        assert line.connections == 1


@pytest.mark.slow
def test_a_document_that_arrives_slowly_does_not_run_out_of_time(
    bucket_url: str, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "_PART", PART)

    def slowly() -> Iterator[bytes]:
        yield b"x" * PART
        yield b"x" * PART
        time.sleep(4)
        yield b"x" * PART

    with served(Line(swift.port)) as line:
        staged = put(by(line, bucket_url, read_timeout="3s"), *slowly())
    assert staged.size == 3 * PART


# what the store refuses


def test_wrong_credentials_are_told_and_not_shown(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    store = ObjectStorage(
        bucket_url, {"access_key_id": "test:nobody", "secret_access_key": "wrong-one"}
    )
    with pytest.raises(StoreUnavailable, match="it answers 403 Forbidden") as failure:
        store.check()
    told = "".join(traceback.format_exception(failure.value))
    assert "nobody" not in told
    assert "wrong-one" not in told


def test_a_bucket_that_is_not_there_is_no_missing_document(bucket_url: str) -> None:
    nowhere = ObjectStorage(f"s3://no-{uuid4().hex}/documents", {})
    staged = put(open_store(bucket_url), BODY)
    for use in every_use(nowhere, staged):
        with pytest.raises(StoreUnavailable, match="404 Not Found, NoSuchBucket"):
            use()


def test_a_full_bucket_is_full(swift: Swift) -> None:
    name = uuid4().hex
    swift.put_container(name, {"X-Container-Meta-Quota-Bytes": "10000"})
    store = open_store(f"s3://{name}")
    kept = put(store, b"x" * 9_000)
    with pytest.raises(StoreFull, match="EntityTooLarge"):
        put(store, b"x" * 20_000)
    assert published(store) == {kept.key}
    assert content(store, kept.key) == b"x" * 9_000


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("413 Payload Too Large", StoreFull),
        ("507 Insufficient Storage", StoreFull),
        ("403 Forbidden: <Error><Code>QuotaExceeded</Code></Error>", StoreFull),
        ("403 Forbidden: <Error><Code>AccessDenied</Code></Error>", StoreUnavailable),
        ("503 Service Unavailable: <Error><Code>SlowDown</Code></Error>", StoreUnavailable),
    ],
)
def test_what_a_store_answers_when_it_is_full(
    store: DocumentStore,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    kind: type[StoreUnavailable],
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(f"PUT - Server returned non-2xx status code: {answer}")

    monkeypatch.setattr(obstore, "put", refuse)
    with pytest.raises(StoreUnavailable, match=answer[:3]) as failure:
        put(store, BODY)
    assert type(failure.value) is kind


# http and TLS


def test_plain_http_has_to_be_allowed(
    bucket_url: str, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(StoreUnavailable, match="only with allow_http=true"):
        open_store(bucket_url).check()


class TakesEverything(BaseHTTPRequestHandler):
    """As much of an object store as a test of TLS needs."""

    def do_PUT(self) -> None:
        """Take an object, and forget it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    """Does not tell of handshakes that fail, which is what they are made for."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def tls_endpoint(tmp_path: Path) -> Iterator[str]:
    """Serve with a certificate that the authority in ca.pem has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for command in (
        f"{key} -x509 -days 1 -subj /CN=hospital -keyout ca.key -out ca.pem",
        f"{key} -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 "
        "-extfile names -out server.pem",
    ):
        (tmp_path / "names").write_text("subjectAltName=DNS:localhost")
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with QuietServer(("127.0.0.1", 0), TakesEverything) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("few_retries")
def test_a_certificate_can_be_trusted(bucket_url: str, tls_endpoint: str, tmp_path: Path) -> None:
    trusted = {"root_certificate": str(tmp_path / "ca.pem")}
    ObjectStorage(bucket_url, {"endpoint": tls_endpoint, **trusted}).check()
    with pytest.raises(StoreUnavailable):
        ObjectStorage(bucket_url, {"endpoint": tls_endpoint}).check()
    with pytest.raises(ValueError, match=r"root_certificate: .*none\.pem"):
        ObjectStorage(bucket_url, {"root_certificate": str(tmp_path / "none.pem")})
