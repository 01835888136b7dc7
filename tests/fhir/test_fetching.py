"""Fetching: only from where the options allow, through redirections too, and within bounds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.elsewhere import Elsewhere, serving_elsewhere
from xds.config import Config
from xds.mhd.provide.fetching import fetching_of
from xds.outgoing.fetching import CannotFetch, Fetching, NotAllowed, TooLarge
from xds.url_allowlist import prefixes


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with serving_elsewhere() as server:
        yield server


def _fetching(server: Elsewhere, most: int = 1_000_000) -> Fetching:
    return Fetching(prefixes(f"{server.url}/docs"), most)


def test_a_document_is_fetched(elsewhere: Elsewhere) -> None:
    found = _fetching(elsewhere).fetch(f"{elsewhere.url}/docs/note?v=1", accept="text/plain")
    assert b"".join(found) == b"a note"
    assert elsewhere.asked == [("/docs/note?v=1", "text/plain")]


def test_a_redirection_to_an_allowed_url_is_followed(elsewhere: Elsewhere) -> None:
    assert b"".join(_fetching(elsewhere).fetch(f"{elsewhere.url}/docs/moved")) == b"a note"


@pytest.mark.parametrize(
    "path", ["/secret", "/docsx/note", "/docs/../secret", "/docs/%2e%2e/secret", "/docs/away"]
)
def test_what_lies_elsewhere_is_not_asked_for(elsewhere: Elsewhere, path: str) -> None:
    with pytest.raises(NotAllowed):
        b"".join(_fetching(elsewhere).fetch(elsewhere.url + path))
    assert "/secret" not in [asked for asked, _ in elsewhere.asked]


def test_a_redirection_to_another_host_is_not_followed(elsewhere: Elsewhere) -> None:
    with pytest.raises(NotAllowed):
        b"".join(_fetching(elsewhere).fetch(f"{elsewhere.url}/docs/abroad"))


@pytest.mark.parametrize("path", ["/docs/circle", "/docs/nothing", "/docs/broken"])
def test_what_is_not_there_is_told(elsewhere: Elsewhere, path: str) -> None:
    with pytest.raises(CannotFetch, match="its server"):
        b"".join(_fetching(elsewhere).fetch(elsewhere.url + path))


@pytest.mark.parametrize(
    ("path", "most"), [("/docs/note", 5), ("/docs/chunked", 5), ("/docs/broken", 50)]
)
def test_what_is_too_large_is_not_taken(elsewhere: Elsewhere, path: str, most: int) -> None:
    """Where the server states it, also without what it has not sent."""
    with pytest.raises(TooLarge):
        b"".join(_fetching(elsewhere, most=most).fetch(elsewhere.url + path))


def test_a_server_that_takes_too_long_is_left(elsewhere: Elsewhere) -> None:
    fetching = Fetching(prefixes(f"{elsewhere.url}/docs"), seconds=-1.0)
    with pytest.raises(CannotFetch, match="too long"):
        b"".join(fetching.fetch(f"{elsewhere.url}/docs/note"))


def test_a_server_that_does_not_answer_is_told() -> None:
    with pytest.raises(CannotFetch, match="does not answer"):
        b"".join(Fetching(prefixes("http://127.0.0.1:1/")).fetch("http://127.0.0.1:1/x"))


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/docs/note", "file:///etc/passwd", "http://user@127.0.0.1/docs/note"]
)
def test_only_plain_http_is_admitted(elsewhere: Elsewhere, url: str) -> None:
    assert not _fetching(elsewhere).admits(url)


def test_without_the_option_nothing_may_be_fetched(tmp_path: Path) -> None:
    assert not fetching_of(Config(data=tmp_path)).admits("http://127.0.0.1/docs/note")
    allowed = fetching_of(Config(data=tmp_path, fhir_fetch_from="http://127.0.0.1/docs"))
    assert allowed.admits("http://127.0.0.1/docs/note")
