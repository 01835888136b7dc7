"""Fixtures of the repository's tests: a bucket, and the server that keeps it."""

import pytest

from tests.s3_server import PART, S3, Swift
from xds.repository import object_storage
from xds.repository.store import DocumentStore, open_store


@pytest.fixture
def reached(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the variables of the environment say how the server is reached."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket_url(s3: S3, reached: None) -> str:
    """The URL of an empty store."""
    return s3.fresh_url()


@pytest.fixture
def bucket_store(request: pytest.FixtureRequest, bucket_url: str) -> DocumentStore:
    """The store of that URL."""
    if "few_retries" in request.fixturenames:
        request.getfixturevalue("few_retries")
    return open_store(bucket_url)


@pytest.fixture
def swift(s3: S3, reached: None) -> Swift:
    """The server, where it is the tests' own."""
    if s3.server is None:
        pytest.skip("looks into Swift, and the server is another one")
    return s3.server


@pytest.fixture
def few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be quick to give up what fails."""
    monkeypatch.setitem(object_storage._RETRIES, "max_retries", 1)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a document of some MiB a large one."""
    monkeypatch.setattr(object_storage, "_PART", PART)
