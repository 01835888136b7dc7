"""Resources that were written lately."""

from xds.fhir.http import versions
from xds.fhir.r4 import json
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.resource import Resource
from xds.fhir.search.rendered import RenderedResources


def made(resource: Resource) -> Rendered:
    return Rendered(resource["id"], json.render(resource))


def test_the_version_is_put_into_the_text() -> None:
    for meta in ({"versionId": "2", "lastUpdated": "x"}, {"lastUpdated": "x"}):
        one = {
            "resourceType": "List",
            "id": "a",
            "meta": meta,
            "note": [{"text": '"versionId":"2"', "author": "http://x/fhir/1"}],
        }
        found = versions.rendered(one, "http://x/fhir")
        assert found == made(versions.versioned(one, "http://x/fhir"))


def test_a_resource_is_written_once() -> None:
    kept, written = RenderedResources(), []

    def write() -> Rendered:
        written.append(1)
        return made({"id": "a", "text": "ä"})

    first, second = kept.rendered("a", write), kept.rendered("a", write)
    assert first == second
    assert first.resource() == {"id": "a", "text": "ä"}
    assert len(written) == 1


def test_who_changes_a_resource_changes_nothing_kept() -> None:
    kept = RenderedResources()
    for _ in range(3):
        found = kept.rendered("a", lambda: made({"id": "a", "list": [1]})).resource()
        assert found["list"] == [1]
        found["list"].append(2)


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    kept = RenderedResources(most_bytes=2_100)  # room for two, with their keys
    written: list[str] = []

    def ask(key: str) -> None:
        def write() -> Rendered:
            written.append(key)
            return made({"id": key})

        kept.rendered(key, write)

    for key in ("a", "b", "a", "c", "a", "b"):
        ask(key)
    assert written == ["a", "b", "c", "b"]
