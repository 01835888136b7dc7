"""The store in a bucket: the suite of every store, large documents, and what lies in the bucket."""

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from tests.s3_server import PART, S3, Swift
from tests.suites.document_store import (
    UNKNOWN_KEY,
    DocumentStoreSuite,
    Interrupted,
    assert_not_readable,
    content,
    leftovers,
    published,
    put,
)
from xds.repository import object_storage
from xds.repository.object_storage import ObjectStorage
from xds.repository.store import (
    DocumentNotFound,
    DocumentStore,
    StoreFull,
    StoreUnavailable,
    open_store,
)

BODY = b"<ClinicalDocument/>" * 500
MEGABYTE = 1 << 20

# The memory that a process takes for one large document, in KiB: its way in, and its way out.
LARGE = """
import sys
from pathlib import Path
from xds.repository.store import open_store

def peak():
    (line,) = [l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l]
    return int(line.split()[1])

store = open_store(sys.argv[1])
store.check()
before = peak()
block = b"x" * 65536
staged = store.stage(block for _ in range(16 * 96))
store.publish([staged])
with store.open(staged.key) as reader:
    assert sum(map(len, reader)) == staged.size == 96 * 1024 * 1024
store.delete(staged.key)
print(peak() - before)
"""


@pytest.fixture
def store(bucket_store: DocumentStore) -> DocumentStore:
    return bucket_store


def plainly(url: str) -> S3Store:
    """Give the library's own store, to see what lies in the bucket."""
    return S3Store.from_url(url, client_options={"allow_http": True})


def sent_parts(swift: Swift) -> list[str]:
    """List the parts of uploads that are neither completed nor aborted, and of large documents."""
    return swift.list_container("documents+segments")


class TestStore(DocumentStoreSuite):
    """What every store must do."""

    under_way_seconds = 0.5

    @pytest.fixture
    def store_url(self, bucket_url: str) -> str:
        return bucket_url


# large documents


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 70_000])
@pytest.mark.usefixtures("small_parts")
def test_a_document_of_several_parts_comes_back_whole(store: DocumentStore, size: int) -> None:
    body = os.urandom(size)
    staged = store.stage(body[start : start + 300_000] for start in range(0, size, 300_000))
    assert (staged.size, staged.hash) == (size, hashlib.sha1(body).hexdigest())
    assert_not_readable(store, staged.key)
    assert leftovers(store) == {staged.key}
    store.publish([staged])
    assert content(store, staged.key) == body
    (listed,) = store.list()
    assert (listed.key, listed.size) == (staged.key, size)
    with store.open(staged.key, PART - 10, 20) as reader:
        assert b"".join(reader) == body[PART - 10 : PART + 10]


@pytest.mark.usefixtures("small_parts")
def test_one_large_block_is_cut_into_parts(store: DocumentStore, swift: Swift) -> None:
    staged = put(store, b"x" * (3 * PART + 1))
    with store.open(staged.key) as reader:
        assert sum(map(len, reader)) == 3 * PART + 1
    assert len([name for name in sent_parts(swift) if staged.key in name]) >= 4


@pytest.mark.usefixtures("small_parts")
def test_an_interrupted_document_leaves_no_parts(store: DocumentStore, swift: Swift) -> None:
    before = sent_parts(swift)
    while_arriving: list[str] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * PART
        while_arriving.extend(sent_parts(swift))
        raise Interrupted

    with pytest.raises(Interrupted):
        store.stage(chunks())
    assert len(while_arriving) > len(before)
    assert sent_parts(swift) == before


@pytest.mark.usefixtures("small_parts")
def test_a_large_document_that_is_discarded_leaves_no_parts(
    store: DocumentStore, swift: Swift
) -> None:
    before = sent_parts(swift)
    staged = store.stage([b"x" * PART, b"x"])
    assert len(sent_parts(swift)) > len(before)
    store.discard([staged])
    assert sent_parts(swift) == before
    store.delete(put(store, b"x" * PART, b"x").key)
    assert sent_parts(swift) == before


@pytest.mark.usefixtures("small_parts")
def test_a_large_document_does_not_stay_beside_one_that_cannot_be_published(
    store: DocumentStore, swift: Swift
) -> None:
    before = sent_parts(swift)
    staged = [store.stage([b"x" * PART, b"x"]), store.stage([b"small"])]
    store.discard(staged[1:])
    with pytest.raises(DocumentNotFound):
        store.publish(staged)
    assert leftovers(store) == published(store) == set()
    assert sent_parts(swift) == before


@pytest.mark.usefixtures("small_parts")
def test_a_large_document_that_was_stored_with_another_size_does_not_stay(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = store.stage([b"x" * PART, b"x"])
    with monkeypatch.context() as lying:
        lying.setattr(obstore, "head", lambda *_: {"size": PART})
        with pytest.raises(StoreUnavailable, match=f"{PART} bytes were stored of {PART + 1}"):
            store.publish([staged])
    assert_not_readable(store, staged.key)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_large_document_passes_through_little_memory(bucket_url: str) -> None:
    taken = subprocess.check_output([sys.executable, "-c", LARGE, bucket_url])
    assert int(taken) < 64 * 1024


def test_many_large_documents_arrive_at_once(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "_PART", PART)
    bodies = [os.urandom(1000) * 6_000 for _ in range(4)]
    stored: dict[str, bytes] = {}

    def work(body: bytes) -> None:
        with suppress(StoreUnavailable):
            stored[put(store, body[:MEGABYTE], body[MEGABYTE:]).key] = body

    threads = [threading.Thread(target=work, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key: content(store, key) for key in published(store)} == stored
    assert len(stored) == 4


# what waits in this process


def test_beyond_some_memory_documents_wait_in_files(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "_HELD", 20)
    store = open_store(bucket_url)
    bodies = [b"%d " % number * 5 for number in range(4)]
    staged = [store.stage([body]) for body in bodies]
    store.publish(staged)
    assert [content(store, one.key) for one in staged] == bodies


def no_file(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_memory_is_given_back(bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_storage, "_HELD", 20)
    monkeypatch.setattr(tempfile, "TemporaryFile", no_file)
    store = open_store(bucket_url)
    put(store, b"x" * 20)
    store.discard([store.stage([b"x" * 20])])
    held = store.stage([b"x" * 20])
    with pytest.raises(DocumentNotFound):
        store.publish([held, held])
    kept = store.stage([b"x" * 20])
    with pytest.raises(StoreFull, match=os.strerror(errno.ENOSPC)):
        store.stage([b"x"])
    assert leftovers(store) == {kept.key}


# the bucket


def test_objects_lie_where_it_is_said(store: DocumentStore, bucket_url: str) -> None:
    staged = put(store, BODY)
    store.check()
    names = [found["path"] for page in plainly(bucket_url).list() for found in page]
    assert sorted(names) == [f"documents/{staged.key}", "ready"]


def test_stray_objects_are_no_documents(store: DocumentStore, bucket_url: str) -> None:
    staged = put(store, BODY)
    for stray in ("documents/notes.txt", f"documents/{UNKNOWN_KEY}/x", UNKNOWN_KEY):
        plainly(bucket_url).put(stray, b"x")
    assert published(store) == {staged.key}
    assert_not_readable(store, UNKNOWN_KEY)


def test_documents_are_listed_by_the_thousand(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "_PAGE", 3)
    store = open_store(bucket_url)
    staged = [store.stage([b"x"]) for _ in range(10)]
    store.publish(staged)
    assert published(store) == {one.key for one in staged}


def test_where_a_missing_object_is_an_error_the_others_are_removed_as_well(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = [put(store, b"%d" % number) for number in range(4)]
    delete = obstore.delete
    store.delete(staged[1].key)

    def as_azure_does(target: S3Store, paths: str | list[str]) -> None:
        for path in [paths] if isinstance(paths, str) else paths:
            obstore.head(target, path)
            delete(target, path)

    monkeypatch.setattr(obstore, "delete", as_azure_does)
    store.discard(staged[:3])
    assert published(store) == {staged[3].key}


def test_two_prefixes_of_a_bucket_are_two_stores(store: DocumentStore, bucket_url: str) -> None:
    staged = put(store, BODY)
    other = open_store(f"{bucket_url}/below")
    assert_not_readable(other, staged.key)
    put(other, BODY)
    assert published(store) == {staged.key}


# URLs and options


def test_options_come_before_the_environment(
    s3: S3, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not s3.options:
        pytest.skip("how the server is reached is only in the environment")
    for name in s3.environment():
        monkeypatch.setenv(name, "false")
    open_store(bucket_url, s3.options).check()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("gs://bucket/prefix", {"skip_signature": "true"}),
        ("az://container/prefix", {"account_name": "hospital", "account_key": "a2V5"}),
        ("abfss://container@hospital.dfs.core.windows.net/prefix", {"account_key": "a2V5"}),
        ("s3a://bucket", {"region": "eu-west-1", "virtual_hosted_style_request": "true"}),
    ],
)
def test_other_kinds_are_named_by_the_url(url: str, options: dict[str, str]) -> None:
    assert isinstance(open_store(url, options), ObjectStorage)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("s3:///prefix", {}, r"^documents: a bucket is written s3://bucket/prefix"),
        ("s3://bucket?region=x", {}, r"^documents: a bucket is written"),
        ("gs://bucket/x#y", {}, r"^documents: a bucket is written gs://bucket/prefix"),
        ("s3://key:wrong-one@bucket", {}, r"^documents: a bucket is written"),
        ("s3://bucket//prefix", {}, r"^documents: .*empty path segment"),
        ("az://container/prefix", {}, r"^documents: .*[Aa]ccount must be specified"),
        ("s3://bucket", {"regoin": "wrong-one"}, r"^documents_options: .*'regoin' is not valid"),
        ("s3://bucket", {"read_timeout": "wrong-one"}, r"^documents_options: "),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as failure:
        open_store(url, options)
    if "read_timeout" not in options:
        assert "wrong-one" not in str(failure.value)


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "xds.repository.object_storage")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ValueError, match=r"pip install 'xds\[object-storage\]'"):
        open_store("s3://bucket/prefix")
