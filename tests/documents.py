"""Where deployments keep their documents in tests: in a folder, or in a bucket for a whole run.

``pytest --documents=s3`` makes it a bucket for every server that says nothing else. Tests that
look into the folder have the mark ``on_files`` and are skipped then.
"""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from tests.s3_server import S3
from xds.config import Config
from xds.repository.store import DocumentStore, open_store

ON_FILES, ON_S3 = "files", "s3"

_DEFAULT: Final = "TESTS_KEEP_DOCUMENTS"
"""Where a whole run on S3 says so, for whatever starts a server."""


@contextmanager
def as_default(s3: S3) -> Iterator[None]:
    """Have all servers that say nothing of documents keep them there, until the block ends."""
    os.environ[_DEFAULT] = shlex.join((s3.fresh_url(), s3.option_text))
    try:
        yield
    finally:
        del os.environ[_DEFAULT]


def options(data: Path) -> Mapping[str, str]:
    """Return the options of a server on a data folder that says nothing of documents."""
    default = shlex.split(os.environ.get(_DEFAULT, ""))
    if not default:
        return {}
    url, settings = default
    own = hashlib.sha1(str(data.absolute()).encode()).hexdigest()[:20]
    return {"documents": f"{url}/{own}", "documents_options": settings}


@lru_cache(64)
def store_of(config: Config) -> DocumentStore:
    """Open the store of a deployment beside it; once, as a folder of documents takes a while."""
    return open_store(config.documents_url, config.documents_settings)


def kept(store: DocumentStore) -> set[str]:
    """Name all that a store holds; what is staged by its ending."""
    staged = {f"{one.key}.staged" for one in store.staged_leftovers()}
    return {one.key for one in store.list()} | staged
