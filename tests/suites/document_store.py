"""What every document store must do, whatever keeps its bytes.

A test module of one kind of store derives a class from DocumentStoreSuite and gives it the
fixture `store_url`: the URL of an empty store.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xds.repository.store import (
    DocumentDamaged,
    DocumentNotFound,
    DocumentStore,
    StagedDocument,
    open_store,
)

EMPTY_HASH = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
UNKNOWN_KEY = "0123456789abcdef0123456789abcdef"
NOT_KEYS = ["", "..", "../" * 16, "/etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n", "é" * 32]

# Documents that prove themselves: the SHA-1 of the body, then the body. Each line printed is
# a publication that has returned.
CRASHING_WRITER = """
import hashlib, os, random, sys, threading
from xds.repository.store import open_store

store = open_store(sys.argv[1])

def document():
    body = os.urandom(random.choice([0, 10, 10_000, 300_000]))
    yield hashlib.sha1(body).digest()
    for start in range(0, len(body), 4096):
        yield body[start : start + 4096]

def work():
    while True:
        staged = [store.stage(document()) for _ in range(random.choice([1, 1, 3]))]
        store.publish(staged)
        os.write(1, "".join(f"{one.key} {one.hash}\\n" for one in staged).encode())

threading.Thread(target=work).start()
work()  # in the main thread: once that has ended, Python 3.12 starts no other
"""


class Interrupted(Exception):
    """The sender went away in the middle of a document."""


def put(store: DocumentStore, *chunks: bytes) -> StagedDocument:
    """Stage and publish one document."""
    staged = store.stage(chunks)
    store.publish([staged])
    return staged


def content(store: DocumentStore, key: str) -> bytes:
    """All bytes of a published document."""
    with store.open(key) as reader:
        return b"".join(reader)


def published(store: DocumentStore) -> set[str]:
    """List the keys of what is published."""
    return {document.key for document in store.list()}


def leftovers(store: DocumentStore) -> set[str]:
    """List the keys of what is staged."""
    return {document.key for document in store.staged_leftovers()}


def empty(store: DocumentStore) -> None:
    """Remove all that the store holds."""
    store.discard([*store.staged_leftovers(), *store.list()])


def assert_not_readable(store: DocumentStore, key: str) -> None:
    """Assert that the store has no published document of that key."""
    with pytest.raises(DocumentNotFound):
        store.open(key)
    assert key not in published(store)


def run_until_killed(url: str, seconds: float) -> dict[str, str]:
    """Kill a writer in the middle of its work; the keys and hashes that it had published."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CRASHING_WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline()]
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL, "the writer failed by itself"
    return dict(line.decode().split() for line in acknowledged if line.endswith(b"\n"))


class DocumentStoreSuite:
    """The tests of every store."""

    under_way_seconds = 0.0
    """How long the store may go on with what a writer asked for that was killed meanwhile."""

    @pytest.fixture
    def store(self, store_url: str) -> DocumentStore:
        return open_store(store_url)

    # staging

    def test_a_staged_document_is_counted_and_hashed(self, store: DocumentStore) -> None:
        staged = store.stage([b"first ", b"", b"second"])
        assert staged.size == 12
        assert staged.hash == hashlib.sha1(b"first second").hexdigest()

    def test_keys_are_never_given_twice(self, store: DocumentStore) -> None:
        keys = {store.stage([b"the same bytes"]).key for _ in range(20)}
        assert len(keys) == 20

    def test_a_staged_document_cannot_be_read(self, store: DocumentStore) -> None:
        staged = store.stage([b"not yet"])
        assert_not_readable(store, staged.key)
        assert leftovers(store) == {staged.key}

    def test_an_interrupted_document_leaves_nothing(self, store: DocumentStore) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x" * 100_000
            raise Interrupted

        with pytest.raises(Interrupted):
            store.stage(chunks())
        assert leftovers(store) == published(store) == set()

    def test_an_error_of_the_sender_is_not_one_of_the_store(self, store: DocumentStore) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            store.stage(chunks())
        assert leftovers(store) == set()

    # publishing

    def test_a_published_document_is_read_as_it_came(self, store: DocumentStore) -> None:
        chunks = [os.urandom(size) for size in (1, 70_000, 300_000, 5)]
        staged = put(store, *chunks)
        assert content(store, staged.key) == b"".join(chunks)
        assert staged.hash == hashlib.sha1(b"".join(chunks)).hexdigest()
        assert leftovers(store) == set()

    def test_an_empty_document_is_a_document(self, store: DocumentStore) -> None:
        staged = put(store)
        assert (staged.size, staged.hash) == (0, EMPTY_HASH)
        assert content(store, staged.key) == b""

    def test_several_documents_are_published_together(self, store: DocumentStore) -> None:
        staged = [store.stage([b"%d" % number]) for number in range(5)]
        store.publish(staged)
        assert [content(store, one.key) for one in staged] == [b"0", b"1", b"2", b"3", b"4"]

    def test_publishing_nothing_is_no_error(self, store: DocumentStore) -> None:
        store.publish([])
        assert published(store) == set()

    def test_none_stays_when_one_cannot_be_published(self, store: DocumentStore) -> None:
        staged = [store.stage([b"%d" % number]) for number in range(3)]
        store.discard(staged[2:])
        with pytest.raises(DocumentNotFound):
            store.publish(staged)
        assert leftovers(store) == published(store) == set()

    def test_publishing_twice_fails_and_keeps_the_document(self, store: DocumentStore) -> None:
        staged = put(store, b"registered by now")
        with pytest.raises(DocumentNotFound):
            store.publish([staged])
        assert content(store, staged.key) == b"registered by now"

    def test_only_a_key_can_be_published(self, store: DocumentStore) -> None:
        staged = store.stage([b"x"])
        for key in (UNKNOWN_KEY, *NOT_KEYS):
            with pytest.raises(DocumentNotFound):
                store.publish([replace(staged, key=key)])

    def test_a_document_is_as_old_as_its_publication(self, store: DocumentStore) -> None:
        staged = store.stage([b"waits for the others of its submission"])
        time.sleep(1.1)
        before = datetime.now(UTC)
        store.publish([staged])
        (stored,) = store.list()
        # whole seconds are the finest that some stores know
        assert stored.modified >= before - timedelta(seconds=1)

    # reading

    def test_a_reader_knows_its_size_and_gives_blocks(self, store: DocumentStore) -> None:
        staged = put(store, b"x" * 1_000_000)
        with store.open(staged.key) as reader:
            assert (reader.size, reader.length) == (1_000_000, 1_000_000)
            blocks = [len(block) for block in reader]
        assert sum(blocks) == 1_000_000
        assert 0 < min(blocks) <= max(blocks) <= 1024 * 1024

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (0, 4, b"0123"),
            (7, None, b"789"),
            (2, 3, b"234"),
            (8, 100, b"89"),
            (10, None, b""),
            (11, 5, b""),
            (3, 0, b""),
        ],
    )
    def test_a_range_is_read(
        self, store: DocumentStore, start: int, length: int | None, expected: bytes
    ) -> None:
        staged = put(store, b"0123456789")
        with store.open(staged.key, start, length) as reader:
            assert (reader.size, reader.length) == (10, len(expected))
            assert b"".join(reader) == expected

    @pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
    def test_a_negative_range_is_refused(
        self, store: DocumentStore, start: int, length: int | None
    ) -> None:
        staged = put(store, b"0123456789")
        with pytest.raises(ValueError, match="range"):
            store.open(staged.key, start, length)

    def test_a_reader_can_be_closed_before_its_end(self, store: DocumentStore) -> None:
        staged = put(store, b"x" * 1_000_000)
        reader = store.open(staged.key)
        next(reader)
        reader.close()
        reader.close()

    def test_a_small_document_is_read_at_once(self, store: DocumentStore) -> None:
        for content_ in (b"", b"0123456789"):
            assert store.whole(put(store, content_).key, len(content_)) == content_

    @pytest.mark.parametrize("size", [0, 9, 11])
    def test_a_document_of_another_size_is_not_read(self, store: DocumentStore, size: int) -> None:
        staged = put(store, b"0123456789")
        with pytest.raises(DocumentDamaged):
            store.whole(staged.key, size)

    def test_an_unknown_key_is_not_read_at_once(self, store: DocumentStore) -> None:
        for key in (UNKNOWN_KEY, *NOT_KEYS):
            with pytest.raises(DocumentNotFound):
                store.whole(key, 1)

    def test_an_unknown_key_is_not_found(self, store: DocumentStore) -> None:
        for key in (UNKNOWN_KEY, *NOT_KEYS):
            assert_not_readable(store, key)
            with pytest.raises(DocumentNotFound):
                store.delete(key)

    # removing

    def test_a_deleted_document_is_gone(self, store: DocumentStore) -> None:
        staged, other = put(store, b"remove me"), put(store, b"leave me")
        store.delete(staged.key)
        assert_not_readable(store, staged.key)
        with pytest.raises(DocumentNotFound):
            store.delete(staged.key)
        assert published(store) == {other.key}

    def test_many_deleted_documents_are_gone(self, store: DocumentStore) -> None:
        staged, other = [put(store, b"remove me") for _ in range(3)], put(store, b"leave me")
        store.delete_all([*(one.key for one in staged), UNKNOWN_KEY])
        assert published(store) == {other.key}
        store.delete_all([])

    def test_a_staged_document_cannot_be_deleted(self, store: DocumentStore) -> None:
        staged = store.stage([b"x"])
        with pytest.raises(DocumentNotFound):
            store.delete(staged.key)
        assert leftovers(store) == {staged.key}

    def test_staged_and_published_documents_are_discarded(self, store: DocumentStore) -> None:
        documents = [store.stage([b"staged"]), put(store, b"published")]
        kept = put(store, b"kept")
        store.discard(documents)
        store.discard(documents)
        assert leftovers(store) == set()
        assert published(store) == {kept.key}

    def test_what_is_listed_can_be_discarded(self, store: DocumentStore) -> None:
        store.stage([b"staged"])
        put(store, b"published")
        empty(store)
        assert leftovers(store) == published(store) == set()

    # listing

    def test_the_list_tells_size_and_age(self, store: DocumentStore) -> None:
        sizes = {put(store, b"x" * size).key: size for size in (0, 1, 2000)}
        stored = list(store.list())
        assert {one.key: one.size for one in stored} == sizes
        for one in stored:
            assert abs(datetime.now(UTC) - one.modified) < timedelta(minutes=1)

    def test_leftovers_tell_size_and_age(self, store: DocumentStore) -> None:
        staged = store.stage([b"four"])
        (leftover,) = store.staged_leftovers()
        assert (leftover.key, leftover.size) == (staged.key, 4)
        assert abs(datetime.now(UTC) - leftover.modified) < timedelta(minutes=1)

    # the store as a whole

    def test_a_ready_store_passes_its_check_and_stays_empty(self, store: DocumentStore) -> None:
        store.check()
        assert leftovers(store) == published(store) == set()

    def test_documents_outlive_the_store_object(self, store: DocumentStore, store_url: str) -> None:
        staged = put(store, b"still here")
        assert content(open_store(store_url), staged.key) == b"still here"

    def test_many_threads_work_at_once(self, store: DocumentStore) -> None:
        everyone = threading.Barrier(8)

        def work(number: int) -> dict[str, bytes]:
            everyone.wait()
            bodies = [b"%d %d " % (number, turn) * 2000 for turn in range(10)]
            return {put(store, body).key: body for body in bodies}

        with ThreadPoolExecutor(8) as threads:
            expected = {k: v for one in threads.map(work, range(8)) for k, v in one.items()}
        assert len(expected) == 80
        assert {key: content(store, key) for key in published(store)} == expected

    def test_a_killed_writer_leaves_only_whole_documents(self, store_url: str) -> None:
        acknowledged: dict[str, str] = {}
        for seconds in (0.0, 0.05, 0.13):
            acknowledged |= run_until_killed(store_url, seconds)
        time.sleep(self.under_way_seconds)
        store = open_store(store_url)
        listed = published(store)
        assert set(acknowledged) <= listed
        for key in listed:
            document = content(store, key)
            assert hashlib.sha1(document[20:]).digest() == document[:20]
            assert acknowledged.get(key) in (None, hashlib.sha1(document).hexdigest())
        store.discard(store.staged_leftovers())
        assert leftovers(store) == set()
        assert published(store) == listed
