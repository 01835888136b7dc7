"""What a search wants of its result: order, totals, parts of resources, pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.fhir.searched import (
    ANNA,
    Population,
    by,
    entry,
    has_member,
    matches,
    opened,
    populate,
    resource,
    submission_set,
)
from xds.fhir.r4.outcome import Refused
from xds.metadata.objects import Association
from xds.metadata.submission import Submission
from xds.metadata.vocabulary import ON_DEMAND_DOCUMENT_ENTRY, ORIGINAL, RPLC
from xds.mhd.iti67_find_document_references import find, read

ALL = ["report", "letter", "scan", "rescan"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path_factory.mktemp("data"), databases) as population:
        populate(population)
        yield population


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("creation", ["rescan", "scan", "report", "letter"]),
        ("-creation", ["letter", "report", "scan", "rescan"]),
        ("period", ["report", "letter", "scan", "rescan"]),
        ("-period", ["letter", "report", "scan", "rescan"]),
        ("size", ["scan", "report", "rescan", "letter"]),
        ("-size", ["letter", "report", "rescan", "scan"]),
        ("size,creation", ["scan", "rescan", "report", "letter"]),
        ("nonsense,-creation", ["letter", "report", "scan", "rescan"]),
        ("-_lastUpdated,creation", ["rescan", "scan", "report", "letter"]),
    ],
)
def test_sort(made: Population, sort: str, order: list[str]) -> None:
    found = made.found(resource(made.ask(find, f"patient={{anna}}&_sort={sort}")))
    if "_lastUpdated" in sort:
        assert sorted(found) == sorted(order)
    else:
        assert found == order


@pytest.mark.parametrize("query", ["_count=0", "_summary=count"])
@pytest.mark.parametrize("more", ["", "&author.family=smith"])
def test_only_the_total(made: Population, query: str, more: str) -> None:
    bundle = resource(made.ask(find, f"patient={{anna}}&{query}{more}"))
    assert (bundle["total"], "entry" in bundle) == (2 if more else 4, False)
    assert [link["relation"] for link in bundle["link"]] == ["self"]


@pytest.mark.parametrize("total", ["none", "estimate", "accurate"])
def test_the_total_is_always_there(made: Population, total: str) -> None:
    assert resource(made.ask(find, f"patient={{anna}}&_total={total}&_count=1"))["total"] == 4


def test_a_summary(made: Population) -> None:
    (found,) = matches(resource(made.ask(find, "identifier=2.999.3.1&_summary=true")))
    assert [tag["code"] for tag in found["meta"]["tag"]] == ["SUBSETTED"]
    assert set(found["context"]) == {"period"}
    assert {"masterIdentifier", "status", "type", "category", "content"} <= set(found)
    contained = {one["id"] for one in found["contained"]}
    assert {author["reference"][1:] for author in found["author"]} <= contained
    assert not any(one["resourceType"] == "Patient" for one in found["contained"])


def test_elements(made: Population) -> None:
    query = "identifier=2.999.3.1&_elements=type,nonsense,context.period"
    (found,) = matches(resource(made.ask(find, query)))
    assert [tag["code"] for tag in found["meta"]["tag"]] == ["SUBSETTED"]
    wanted = {"resourceType", "id", "meta", "status", "content", "type", "context"}
    assert set(found) - {"contained"} == wanted


@pytest.mark.parametrize("parts", ["_summary=true", "_summary=text", "_elements=type"])
def test_parts_claim_no_profile(made: Population, parts: str) -> None:
    whole = resource(made.ask(find, "identifier=2.999.3.1"))
    part = resource(made.ask(find, f"identifier=2.999.3.1&{parts}"))
    for bundle, claims in ((whole, True), (part, False)):
        (found,) = matches(bundle)
        assert ("profile" in found["meta"]) is claims
        assert ("profile" in bundle.get("meta", {})) is claims


def test_a_read_takes_parts_as_well(made: Population) -> None:
    whole = resource(made.ask(read, identifier=made.ids["report"]))
    part = resource(made.ask(read, "_elements=type", identifier=made.ids["report"]))
    assert set(part) < set(whole)
    assert part["type"] == whole["type"]
    assert [tag["code"] for tag in part["meta"]["tag"]] == ["SUBSETTED"]
    with pytest.raises(Refused) as refused:
        made.ask(read, "_summary=some", identifier=made.ids["report"])
    assert refused.value.issues[0].expression == ("http._summary",)


@pytest.mark.parametrize("summary", ["text", "data", "false"])
def test_other_summaries(made: Population, summary: str) -> None:
    (found,) = matches(resource(made.ask(find, f"identifier=2.999.3.1&_summary={summary}")))
    assert ("type" in found) == (summary != "text")
    assert ("tag" in found["meta"]) == (summary == "text")


def test_part_of_a_resource_does_not_change_the_whole(made: Population) -> None:
    before = resource(made.ask(find, "patient={anna}"))
    made.ask(find, "patient={anna}&_summary=true")
    made.ask(find, "patient={anna}&_elements=type")
    assert resource(made.ask(find, "patient={anna}")) == before


# --- pages ---------------------------------------------------------------------------------------


def walk(made: Population, query: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the pages from the first to the last, and back again."""
    bundle = resource(made.ask(find, query))
    there = [made.found(bundle)]
    while any(link["relation"] == "next" for link in bundle["link"]):
        bundle = made.follow(find, bundle, "next")
        there.append(made.found(bundle))
    back = [made.found(bundle)]
    while any(link["relation"] == "previous" for link in bundle["link"]):
        bundle = made.follow(find, bundle, "previous")
        back.append(made.found(bundle))
    return there, back


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ("_count=1", [["report"], ["letter"], ["scan"], ["rescan"]]),
        ("_count=2", [["report", "letter"], ["scan", "rescan"]]),
        ("_count=4", [ALL]),
        ("_count=3&_sort=-creation", [["letter", "report", "scan"], ["rescan"]]),
        ("_count=1&_sort=period", [["report"], ["letter"], ["scan"], ["rescan"]]),
        ("_count=1&_sort=-period", [["letter"], ["report"], ["scan"], ["rescan"]]),
        ("_count=1&_sort=period,-creation", [["report"], ["letter"], ["scan"], ["rescan"]]),
        ("_count=1&_sort=size", [["scan"], ["report"], ["rescan"], ["letter"]]),
        ("_count=2&_sort=-size", [["letter", "report"], ["rescan", "scan"]]),
        ("_count=1&_sort=size,creation", [["scan"], ["rescan"], ["report"], ["letter"]]),
        ("_count=1&author.family=smith", [["letter"], ["scan"]]),
        ("_count=1&_sort=creation&author.family=smith", [["scan"], ["letter"]]),
    ],
)
def test_pages(made: Population, query: str, pages: list[list[str]]) -> None:
    there, back = walk(made, f"patient={{anna}}&{query}")
    assert there == pages
    assert back[0] == pages[-1]
    assert [name for page in reversed(back) for name in page] == [n for p in pages for n in p]


def test_links_of_a_page(made: Population) -> None:
    first = resource(made.ask(find, "patient={anna}&_count=2"))
    assert [link["relation"] for link in first["link"]] == ["self", "first", "next"]
    second = made.follow(find, first, "next")
    assert [link["relation"] for link in second["link"]] == ["self", "first", "previous"]
    assert second["total"] == first["total"] == 4
    assert made.follow(find, second, "first") == {**first, "link": first["link"]}


def test_a_page_of_another_order_is_refused(made: Population) -> None:
    first = resource(made.ask(find, "patient={anna}&_count=1"))
    (url,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    with pytest.raises(Refused):
        made.ask(find, url.partition("?")[2] + "&_sort=creation")


def test_what_has_no_size_comes_last(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases) as made:
        populate(made)
        on_demand = entry(
            "on demand",
            "2.999.3.9",
            object_type=ON_DEMAND_DOCUMENT_ENTRY,
            creation_time=None,
            author=by("^Smithson^Al"),
        )
        chosen = submission_set(ANNA, 99, title="offer")
        member = has_member(chosen, on_demand, ORIGINAL)
        offered = Submission((chosen, on_demand, member))
        made.facade.domain.registry.register(offered, transaction="ITI-61")
        made._name(on_demand)
        for sort in ("size", "-size"):
            there, back = walk(made, f"patient={{anna}}&_count=1&_sort={sort}")
            assert there[-1] == ["on demand"]
            assert list(reversed(back)) == there


def test_a_page_by_size_does_not_lead_through_times(made: Population) -> None:
    first = resource(made.ask(find, "patient={anna}&_count=1&_sort=size"))
    (url,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    with pytest.raises(Refused):
        made.ask(find, url.partition("?")[2].replace("_sort=size", "_sort=creation"))


def test_what_happens_between_pages_shifts_nothing(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases) as made:
        things = [
            entry(f"e{number}", f"2.999.3.{number}", creation_time=f"20260{9 - number}")
            for number in range(4)
        ]
        made.register(*things, title="before")
        query = "patient={anna}&status=current&_count=2&_sort=-creation"
        first = resource(made.ask(find, query))
        new = entry("new", "2.999.3.9", creation_time="2030")
        replaces = Association.create(
            association_type=RPLC, source=new.entry_uuid, target=things[0].entry_uuid
        )
        made.register(new, replaces, title="between")
        second = made.follow(find, first, "next")
        assert made.found(first) == ["e0", "e1"]
        assert made.found(second) == ["e2", "e3"]
        assert made.found(made.follow(find, second, "previous")) == ["new", "e1"]


def test_without_a_count_all_is_given_up_to_the_limit(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases, max_leaf_class_results=3) as made:
        made.register(entry("e0", "2.999.3.0"), entry("e1", "2.999.3.1"), title="s0")
        assert resource(made.ask(find, "patient={anna}"))["total"] == 2
        made.register(entry("e2", "2.999.3.2"), title="s1")
        bundle = resource(made.ask(find, "patient={anna}"))
        assert [link["relation"] for link in bundle["link"]] == ["self"]
        made.register(entry("e3", "2.999.3.3"), title="s2")
        bundle = resource(made.ask(find, "patient={anna}&_count=100"))
        assert (made.found(bundle), bundle["total"]) == (["e0", "e1", "e2"], 4)
        assert made.found(made.follow(find, bundle, "next")) == ["e3"]


def test_names_are_not_looked_for_among_too_many(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases, max_leaf_class_results=1) as made:
        for number in range(2):
            author = by(f"^Smith^{number}")
            made.register(entry(f"e{number}", f"2.999.3.{number}", author=author), title="s")
        with pytest.raises(Refused) as refused:
            made.ask(find, "patient={anna}&author.family=smith")
        assert [issue.code for issue in refused.value.issues] == ["too-costly"]
