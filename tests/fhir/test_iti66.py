"""Find Document Lists [ITI-66]: every parameter, and what is answered."""

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.fhir.searched import BASE, Population, matches, opened, populate, resource, told
from xds.fhir.r4.outcome import Refused
from xds.mhd.iti66_find_document_lists import find, read
from xds.mhd.vocabulary import FIND_LISTS_RESPONSE, LIST_TYPES

SETS = ["first", "second", "third"]
ALL = [*SETS, "heart"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path_factory.mktemp("data"), databases) as population:
        populate(population)
        yield population


CASES: dict[str, list[str]] = {
    "patient={anna}": ALL,
    "patient.identifier=urn:oid:2.999.1.1|anna": ALL,
    "patient=Patient/999999": [],
    "patient={anna}&code=submissionset": SETS,
    "patient={anna}&code=folder": ["heart"],
    "patient={anna}&code=submissionset,folder": ALL,
    f"patient={{anna}}&code={LIST_TYPES}|folder": ["heart"],
    f"patient={{anna}}&code={LIST_TYPES}|": ALL,
    "patient={anna}&code=http://other.example|folder": [],
    "patient={anna}&code=worklist": [],
    "patient={anna}&code:not=folder": SETS,
    "patient={anna}&code=submissionset&code=folder": [],
    "patient={anna}&status=current": ALL,
    "patient={anna}&status=superseded": [],
    "patient={anna}&status=retired": [],
    "patient={anna}&code=submissionset&status=current&date=ge2026-06-01": ["second", "third"],
    "patient={anna}&code=submissionset&date=lt2026-06-01": ["first"],
    "patient={anna}&code=folder&date=ge2020": ["heart"],
    "patient={anna}&code=folder&date=lt2020": [],
    "patient={anna}&date=2026-05-01": ["first"],
    "patient={anna}&designationType=discharge": ["first"],
    "patient={anna}&designationType=urn:oid:2.999.5.1|chronic": ["heart"],
    "patient={anna}&designationType=organ,discharge": ["first", "heart"],
    "patient={anna}&designationType=organ&designationType=chronic": ["heart"],
    "patient={anna}&designationType=organ&designationType=other": [],
    "patient={anna}&source.family=curie": ["first"],
    "patient={anna}&source.given=marie": ["first"],
    "patient={anna}&code=submissionset&source.family=nobody": ["second", "third"],
    # what a Folder has not is passed over where Folders alone are asked for
    "patient={anna}&code=folder&source.family=nobody": ["heart"],
    "patient={anna}&code=folder&sourceId=2.999.1.9": ["heart"],
    "patient={anna}&sourceId=2.999.1.9": ["second"],
    "patient={anna}&sourceId=urn:oid:2.999.1.9": ["second"],
    "patient={anna}&sourceId=urn:ietf:rfc:3986|urn:oid:2.999.1.9": ["second"],
    "patient={anna}&sourceId=2.999.1.7": [],
    "identifier=urn:oid:2.999.4.1": ["heart"],
    "identifier=2.999.4.1": ["heart"],
    "identifier=urn:uuid:{second}": ["second"],
    "identifier=urn:uuid:{second},2.999.4.1": ["second", "heart"],
    "code=submissionset&identifier=urn:oid:2.999.4.1&status=current": [],
    "_id={heart}": ["heart"],
    "_id={first},{heart}": ["first", "heart"],
    "patient={anna}&targetCommunityIdList=urn:oid:2.999.9.2": [],
    "patient={anna}&_lastUpdated=ge2020": ALL,
    "patient={anna}&type=x": ALL,
    "patient={anna}&_sort=date&code=submissionset": SETS,
    "patient={anna}&_sort=-date&code=submissionset": ["third", "second", "first"],
}


@pytest.mark.parametrize("query", CASES)
def test_what_is_found(made: Population, query: str) -> None:
    bundle = resource(made.ask(find, query))
    assert made.found(bundle) == CASES[query]
    assert bundle["total"] == len(CASES[query])


REFUSED: dict[str, tuple[str, str]] = {
    "code=folder&status=current": ("required", ""),
    "patient={anna}&date=someday": ("value", "http.date"),
    "patient={anna}&code=worklist&date=someday": ("value", "http.date"),
    "patient={anna}&code=|": ("value", "http.code"),
    "patient={anna}&status=working": ("value", "http.status"),
    "patient={anna}&sourceId=urn:ietf:rfc:3986|": ("value", "http.sourceId"),
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_refused(made: Population, query: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(find, query)
    code, expression = REFUSED[query]
    (issue,) = refused.value.issues
    assert refused.value.status == 400
    assert (issue.code, issue.expression) == (code, (expression,) if expression else ())


def test_a_searchset(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}&code=folder"))
    assert bundle["meta"]["profile"] == [FIND_LISTS_RESPONSE]
    (entry,) = bundle["entry"]
    assert entry["fullUrl"] == f"{BASE}/List/{made.ids['heart']}"


def test_a_list_names_what_it_holds(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}"))
    held = {
        name: [entry["item"]["reference"] for entry in found.get("entry", ())]
        for name, found in zip(made.found(bundle), matches(bundle), strict=True)
    }
    documents = {name: f"DocumentReference/{made.ids[name]}" for name in ("report", "letter")}
    assert [one.removeprefix(f"{BASE}/") for one in held["heart"]] == [documents["report"]]
    assert [one.removeprefix(f"{BASE}/") for one in held["first"]] == [
        documents["report"],
        documents["letter"],
        f"List/{made.ids['heart']}",
    ]


@pytest.mark.parametrize("name", ["first", "heart"])
def test_read(made: Population, name: str) -> None:
    answer = made.ask(read, identifier=made.ids[name])
    found = resource(answer)
    (same,) = matches(resource(made.ask(find, f"_id={made.ids[name]}")))
    assert found == same
    assert answer.headers["Last-Modified"].endswith(" GMT")


@pytest.mark.parametrize("name", ["report", ""])
def test_read_of_what_is_no_list(made: Population, name: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(read, identifier=made.ids.get(name, "nothing"))
    assert refused.value.status == 404


@pytest.mark.parametrize("query", ["", "&_sort=date", "&_sort=-date", "&_sort=-_lastUpdated,date"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_go_through_both_kinds(made: Population, query: str, size: int) -> None:
    whole = resource(made.ask(find, f"patient={{anna}}{query}"))
    bundle = resource(made.ask(find, f"patient={{anna}}{query}&_count={size}"))
    there = made.found(bundle)
    while any(link["relation"] == "next" for link in bundle["link"]):
        bundle = made.follow(find, bundle, "next")
        assert bundle["total"] == 4
        there += made.found(bundle)
    back = made.found(bundle)
    while any(link["relation"] == "previous" for link in bundle["link"]):
        bundle = made.follow(find, bundle, "previous")
        back = [*made.found(bundle), *back]
    assert there == back == made.found(whole)


def test_a_summary(made: Population) -> None:
    for found in matches(resource(made.ask(find, "patient={anna}&_summary=true"))):
        assert {"status", "mode", "code", "subject", "date"} <= set(found)
        assert "entry" not in found
        assert [tag["code"] for tag in found["meta"]["tag"]] == ["SUBSETTED"]


def test_what_a_folder_does_not_have_is_told(made: Population) -> None:
    query = "patient={anna}&code=folder&sourceId=2.999.1.9"
    bundle = resource(made.ask(find, query))
    assert "sourceId" not in bundle["link"][0]["url"]
    assert [issue["expression"] for issue in told(bundle)] == [["http.sourceId"]]
    with pytest.raises(Refused):
        made.ask(find, query, prefer={"handling": "strict"})
