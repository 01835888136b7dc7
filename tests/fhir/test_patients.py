"""The patients that the registry knows."""

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.fhir.searched import (
    ANNA,
    AUTHORITY,
    BASE,
    BERT,
    Population,
    matches,
    opened,
    resource,
    told,
)
from xds.fhir.r4.outcome import Refused
from xds.metadata.criteria import ANYTHING
from xds.mhd.iti78_patient_demographics_query import find, read

OTHER = f"anna^^^&{AUTHORITY}.9&ISO"
CARL = f"c_rl^^^&{AUTHORITY}&ISO"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path_factory.mktemp("data"), databases) as population:
        identities = population.facade.domain.identities
        identities.add(ANNA, BERT, OTHER, CARL)
        identities.merge(subsumed=CARL, surviving=BERT)
        yield population


def number(made: Population, patient_id: str) -> str:
    with made.facade.domain.registry.view(ANYTHING) as view:
        (known,) = view.patients([patient_id])
    return str(known.number)


CASES: dict[str, list[str]] = {
    f"identifier=urn:oid:{AUTHORITY}|anna": [ANNA],
    f"identifier={AUTHORITY}|anna": [ANNA],
    "identifier=anna": [ANNA, OTHER],
    "identifier=bert,anna": [ANNA, BERT, OTHER],
    f"identifier=anna&identifier=urn:oid:{AUTHORITY}|anna": [ANNA],
    f"identifier=urn:oid:{AUTHORITY}|anna&identifier=urn:oid:{AUTHORITY}.9|anna": [],
    f"identifier=urn:oid:{AUTHORITY}|nobody": [],
    "identifier=http://unknown.example|anna": [],
    "identifier=ann": [],
    "identifier=a%25": [],
    "identifier=c_rl": [CARL],
    "identifier=c%25rl": [],
    "_id={anna}": [ANNA],
    "_id={anna},nothing,0,99999999999999999999": [ANNA],
    "_id={anna}&identifier=bert": [],
    "_id={anna}&family=Smith": [ANNA],
}


@pytest.mark.parametrize("query", CASES)
def test_what_is_found(made: Population, query: str) -> None:
    bundle = resource(made.ask(find, query))
    expected = sorted((number(made, one) for one in CASES[query]), key=int)
    assert [one["id"] for one in matches(bundle)] == expected
    assert bundle["total"] == len(CASES[query])
    assert bundle["type"] == "searchset"


def test_a_name_is_not_compared_and_that_is_told(made: Population) -> None:
    bundle = resource(made.ask(find, "identifier=bert&family=Smith"))
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE}/Patient?identifier=bert"}]
    (issue,) = told(bundle)
    assert (issue["severity"], issue["expression"]) == ("warning", ["http.family"])
    with pytest.raises(Refused):
        made.ask(find, "identifier=bert&family=Smith", prefer={"handling": "strict"})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "required"),
        ("family=Smith", "required"),
        ("identifier=", "required"),
        (f"identifier=urn:oid:{AUTHORITY}|", "value"),
        ("identifier:text=anna", "not-supported"),
    ],
)
def test_what_is_refused(made: Population, query: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(find, query)
    assert refused.value.status == 400
    assert [issue.code for issue in refused.value.issues] == [code]


def test_a_patient(made: Population) -> None:
    found = resource(made.ask(read, identifier=number(made, ANNA)))
    assert found["resourceType"] == "Patient"
    assert found["identifier"][0]["system"] == f"urn:oid:{AUTHORITY}"
    assert found["identifier"][0]["value"] == "anna"
    assert found["active"] is True


def test_a_merged_patient_leads_to_the_survivor(made: Population) -> None:
    found = resource(made.ask(read, identifier=number(made, CARL)))
    assert found["active"] is False
    (link,) = found["link"]
    assert link["type"] == "replaced-by"
    assert link["other"]["reference"].endswith(f"Patient/{number(made, BERT)}")


@pytest.mark.parametrize("identifier", ["0", "999999", "anna", "01", "9" * 30, "-1"])
def test_read_of_nobody(made: Population, identifier: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(read, identifier=identifier)
    assert refused.value.status == 404


def test_pages(made: Population) -> None:
    first = resource(made.ask(find, "identifier=anna&_count=1"))
    second = made.follow(find, first, "next")
    ids = [one["id"] for bundle in (first, second) for one in matches(bundle)]
    assert ids == sorted((number(made, ANNA), number(made, OTHER)), key=int)
    assert first["total"] == second["total"] == 2
    assert [link["relation"] for link in second["link"]] == ["self", "first", "previous"]
    before = made.follow(find, second, "previous")
    assert [one["id"] for one in matches(before)] == ids[:1]
    assert before["entry"][0]["fullUrl"] == f"{BASE}/Patient/{ids[0]}"
    assert resource(made.ask(find, "identifier=anna&_summary=count"))["total"] == 2
