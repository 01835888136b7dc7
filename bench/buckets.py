"""What an object store does without this project: plain puts and gets of as many bytes."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import samples
from tests.s3_server import s3_server
from xds.config import settings
from xds.repository.object_storage import ObjectStorage

OWN_S3: Final = "s3"
"""In place of a URL: start OpenStack Swift for the run."""
_PUTS: Final = 200
_GETS: Final = 400
_PART: Final = 8 << 20
_OPTIONS: Final = "XDS_DOCUMENTS_OPTIONS"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place for objects, and how it is reached."""

    url: str
    settings: str

    @property
    def options(self) -> dict[str, str]:
        """The options of a server that keeps its documents there."""
        return {"documents": self.url, "documents_options": self.settings}

    def puts(self, size: int, threads: int) -> float:
        """Objects of that size that are put there in a second."""
        store, data = self._store(), samples.content(size)
        return _rate(lambda n: store.put(f"plain/{n}", data, use_multipart=False), _PUTS, threads)

    def gets(self, size: int, threads: int) -> float:
        """Objects of that size that are got from there in a second."""
        store = self._store()
        store.put("plain/get", samples.content(size))
        return _rate(lambda _: store.get("plain/get").bytes(), _GETS, threads)

    def put_file(self, file: Path) -> None:
        """Put a file as one object, in parts, one after the other."""
        self._store().put("plain/large", file, chunk_size=_PART, max_concurrency=1)

    def get_file(self, file: Path) -> None:
        """Get the same object again."""
        size = sum(map(len, self._store().get("plain/large").stream(256 << 10)))
        if size != file.stat().st_size:
            raise RuntimeError(f"{size} bytes came back")

    def empty(self) -> None:
        """Remove all that the run has stored there."""
        store = self._store()
        for page in store.list(chunk_size=1000):
            store.delete([found["path"] for found in page])

    def _store(self) -> Any:
        return ObjectStorage(self.url, settings(self.settings))._store


def _rate(work: Callable[[int], object], count: int, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for _ in pool.map(work, range(count)):
            pass
        return count / (time.perf_counter() - began)


@contextmanager
def bucket(url: str | None) -> Iterator[Bucket | None]:
    """Give an empty place in the bucket of that URL, which is emptied in the end; None for None."""
    if url is None:
        yield None
    elif url == OWN_S3:
        with s3_server() as started:
            yield Bucket(started.fresh_url(), started.option_text)
    else:
        place = Bucket(f"{url.rstrip('/')}/{samples.oid()}", os.environ.get(_OPTIONS, ""))
        yield place
        place.empty()
