"""The store in a folder: the suite of every store, and what only files can do."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.suites.document_store import (
    DocumentStoreSuite,
    assert_not_readable,
    content,
    empty,
    leftovers,
    published,
    put,
)
from xds.repository.filesystem import FilesystemStore
from xds.repository.store import (
    DocumentDamaged,
    StoreFull,
    StoreUnavailable,
    is_key,
    open_store,
)

BODY = b"<ClinicalDocument/>" * 500


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for many tests: ext4 may take 0.1 s to make and remove 256 folders."""
    return tmp_path_factory.mktemp("shared") / "documents"


@pytest.fixture
def root(shared_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield shared_root
    monkeypatch.undo()
    empty(FilesystemStore(shared_root))


@pytest.fixture
def store(root: Path) -> FilesystemStore:
    return FilesystemStore(root)


@pytest.fixture
def new_root(tmp_path: Path) -> Path:
    """A folder that is not there yet, and neither is its parent."""
    return tmp_path / "new" / "documents"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system with room for the folders and about 500 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def files(root: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in root.rglob("*") if path.is_file()]


def fail_with(number: int) -> Callable[..., int]:
    """Make a system call that fails with that errno."""

    def call(*arguments: object, **options: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


class TestFilesystemStore(DocumentStoreSuite):
    @pytest.fixture
    def store_url(self, root: Path) -> str:
        return root.as_uri()


# durability


def test_new_folders_are_synced_into_their_parents(
    new_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, []

    def record(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    FilesystemStore(new_root)
    assert synced == [path.stat().st_ino for path in (tmp_path, new_root.parent, new_root)]


def test_files_are_synced_then_renamed_then_their_folders_synced(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    names = {path.stat().st_ino: path.name for path in [root, *root.iterdir()]}
    fsync, rename = os.fsync, os.rename

    def record_fsync(descriptor: int) -> None:
        calls.append(("fsync", names[os.fstat(descriptor).st_ino]))
        fsync(descriptor)

    def record_rename(source: str, target: str) -> None:
        calls.append(("rename", Path(source).name))
        rename(source, target)

    staged = [store.stage([BODY]) for _ in range(3)]
    names |= {path.stat().st_ino: path.name for path in files(root)}
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "rename", record_rename)
    store.publish(staged)

    waiting = [f"{document.key}.staged" for document in staged]
    assert calls[:6] == [("fsync", one) for one in waiting] + [("rename", one) for one in waiting]
    folders = {document.key[:2] for document in staged}
    assert sorted(calls[6:]) == sorted(("fsync", folder) for folder in folders)


def test_removal_is_synced(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = put(store, BODY)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    store.delete(staged.key)
    assert synced == [(root / staged.key[:2]).stat().st_ino]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_nothing_stays_when_publishing_fails_half_way(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    staged = [store.stage([BODY]) for _ in range(3)]
    working, calls = getattr(os, call), []

    def fail_the_third(*arguments: object) -> object:
        calls.append(arguments)
        return fail_with(errno.EIO)() if len(calls) == 3 else working(*arguments)

    monkeypatch.setattr(os, call, fail_the_third)
    with pytest.raises(StoreUnavailable, match=os.strerror(errno.EIO)):
        store.publish(staged)
    assert files(root) == []


def test_nothing_stays_when_a_folder_cannot_be_synced(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = store.stage([BODY])
    fsync = os.fsync

    def fail_on_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fail_with(errno.EIO)()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    with pytest.raises(StoreUnavailable):
        store.publish([staged])
    assert files(root) == []


def test_a_large_document_is_written_out_as_it_arrives(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("the system takes no advice on files")
    ranges: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *advice: ranges.append(advice[:2]))
    store.stage(b"x" * 3_000_000 for _ in range(7))
    assert ranges == [(0, 9_000_000), (9_000_000, 9_000_000)]


# errors


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_a_broken_one(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "write", fail_with(number))
        with pytest.raises(StoreFull):
            store.stage([BODY])
    assert files(root) == []
    assert content(store, put(store, BODY).key) == BODY

    monkeypatch.setattr(os, "write", fail_with(errno.EIO))
    with pytest.raises(StoreUnavailable) as failure:
        store.stage([BODY])
    assert not isinstance(failure.value, StoreFull)


def test_a_disk_that_really_is_full(small_disk: Path) -> None:
    store = FilesystemStore(small_disk)
    kept = put(store, BODY)
    with pytest.raises(StoreFull, match=os.strerror(errno.ENOSPC)):
        store.stage(BODY for _ in range(1000))
    assert published(store) == {kept.key}
    assert leftovers(store) == set()

    (small_disk / "filler").write_bytes(b"")
    with suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    with pytest.raises(StoreUnavailable, match=os.strerror(errno.ENOSPC)):
        store.check()
    assert content(store, kept.key) == BODY

    (small_disk / "filler").unlink()
    store.check()


def test_a_short_write_is_completed(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, chunk: write(descriptor, chunk[:1000]))
    staged = put(store, BODY)
    assert content(store, staged.key) == BODY


def test_an_error_while_closing_is_an_error_of_the_store(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def close_and_fail(descriptor: int) -> None:
        close(descriptor)
        fail_with(errno.EDQUOT)()

    monkeypatch.setattr(os, "close", close_and_fail)
    with pytest.raises(StoreFull):
        store.stage([BODY])
    assert files(root) == []


def test_a_vanished_folder_makes_the_store_unavailable(new_root: Path) -> None:
    store = FilesystemStore(new_root)
    staged = put(store, BODY)
    shutil.rmtree(new_root)
    new_root.mkdir()
    with pytest.raises(StoreUnavailable):
        store.open(staged.key)
    with pytest.raises(StoreUnavailable):
        store.delete(staged.key)
    with pytest.raises(StoreUnavailable):
        store.stage([BODY])
    with pytest.raises(StoreUnavailable):
        list(store.list())
    with pytest.raises(StoreUnavailable, match="documents"):
        store.check()


def test_what_cannot_be_removed_is_told(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = put(store, BODY)
    monkeypatch.setattr(os, "unlink", fail_with(errno.EROFS))
    with pytest.raises(StoreUnavailable, match=os.strerror(errno.EROFS)):
        store.discard([staged])


def test_a_document_that_shrinks_while_it_is_read_is_told(
    store: FilesystemStore, root: Path
) -> None:
    staged = put(store, b"x" * 1_000_000)
    with store.open(staged.key) as reader:
        next(reader)
        os.truncate(root / staged.key[:2] / staged.key, 300_000)
        with pytest.raises(DocumentDamaged, match="ends before"):
            list(reader)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="file"):
        FilesystemStore(tmp_path / "file" / "documents")


# the folder


def test_a_relative_folder_does_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FilesystemStore(Path("documents"))
    monkeypatch.chdir("/")
    staged = put(store, BODY)
    assert content(FilesystemStore(tmp_path / "documents"), staged.key) == BODY


def test_files_and_folders_are_private(store: FilesystemStore, root: Path) -> None:
    staged, waiting = put(store, BODY), store.stage([BODY])
    paths = [root / staged.key[:2] / staged.key, root / waiting.key[:2] / f"{waiting.key}.staged"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [root, *root.iterdir()]} == {0o700}


def test_what_vanishes_while_it_is_listed_is_left_out(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = put(store, BODY)

    def is_key_but_gone(text: str) -> bool:
        (root / staged.key[:2] / staged.key).unlink()
        return is_key(text)

    monkeypatch.setattr("xds.repository.filesystem.is_key", is_key_but_gone)
    assert list(store.list()) == []


def test_stray_files_are_no_documents(store: FilesystemStore, root: Path) -> None:
    staged = put(store, BODY)
    strays = [root / "00" / "notes.txt", root / "00" / f"{staged.key}.bak", root / staged.key]
    for stray in strays:
        stray.write_text("x")
    try:
        assert published(store) == {staged.key}
        assert leftovers(store) == set()
    finally:
        for stray in strays:
            stray.unlink()


def test_a_large_document_passes_through_little_memory(store: FilesystemStore) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        staged = store.stage(chunk for _ in range(512))
        store.publish([staged])
        with store.open(staged.key) as reader:
            assert sum(map(len, reader)) == staged.size == 32 * 1024 * 1024
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


# URLs


def test_a_file_url_is_decoded(tmp_path: Path) -> None:
    staged = put(open_store(f"file://{tmp_path}/with%20space%23"), BODY)
    assert_not_readable(FilesystemStore(tmp_path / "with%20space%23"), staged.key)
    assert content(FilesystemStore(tmp_path / "with space#"), staged.key) == BODY


@pytest.mark.parametrize(
    "url",
    [
        "/var/documents",
        "file:documents",
        "file://documents",
        "file://host/documents",
        "file:///x?y",
        "file:///x#y",
        "ftp://x/y",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^documents: .*(file:///|absolute)"):
        open_store(url)
