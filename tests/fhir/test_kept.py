"""Resources that were written lately."""

from xds.fhir.search.rendered import RenderedResources


def test_a_resource_is_written_once() -> None:
    kept, written = RenderedResources(), []

    def write() -> dict[str, object]:
        written.append(1)
        return {"id": "a", "text": "ä"}

    first, second = kept.rendered("a", write), kept.rendered("a", write)
    assert first == second
    assert first.resource() == {"id": "a", "text": "ä"}
    assert len(written) == 1


def test_who_changes_a_resource_changes_nothing_kept() -> None:
    kept = RenderedResources()
    for _ in range(3):
        found = kept.rendered("a", lambda: {"id": "a", "list": [1]}).resource()
        assert found["list"] == [1]
        found["list"].append(2)


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    kept = RenderedResources(most_bytes=2_100)  # room for two, with their keys
    written: list[str] = []

    def ask(key: str) -> None:
        def write() -> dict[str, object]:
            written.append(key)
            return {"id": key}

        kept.rendered(key, write)

    for key in ("a", "b", "a", "c", "a", "b"):
        ask(key)
    assert written == ["a", "b", "c", "b"]
