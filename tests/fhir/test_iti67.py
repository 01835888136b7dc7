"""Find Document References [ITI-67]: every parameter, and what is answered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.fhir.searched import (
    ANNA,
    BASE,
    Population,
    entry,
    matches,
    opened,
    populate,
    resource,
    told,
)
from xds.fhir.r4.outcome import Refused
from xds.metadata.objects import Association
from xds.metadata.vocabulary import RPLC
from xds.mhd.iti67_find_document_references import find, read
from xds.mhd.vocabulary import FIND_REFERENCES_RESPONSE

HOME = "urn:oid:2.999.9.1"
ALL = ["report", "letter", "scan", "rescan"]
CURRENT = ["report", "letter", "rescan"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path_factory.mktemp("data"), databases, home_community_id=HOME) as population:
        populate(population)
        yield population


CASES: dict[str, list[str]] = {
    # the patient
    "patient=Patient/{anna}": ALL,
    "patient={anna}": ALL,
    "patient={base}/Patient/{anna}": ALL,
    "patient:Patient={anna}": ALL,
    "subject=Patient/{anna}": ALL,
    "patient=Patient/{anna},Patient/{bert}": [*ALL, "foreign"],
    "patient=Patient/{anna}&patient=Patient/{bert}": [],
    "patient=https://other.example/fhir/Patient/{anna}": [],
    "patient=Patient/999999": [],
    "patient=Patient/anna": [],
    "patient.identifier=urn:oid:2.999.1.1|anna": ALL,
    "patient.identifier=2.999.1.1|anna": ALL,
    "patient:Patient.identifier=urn:oid:2.999.1.1|anna": ALL,
    "patient:identifier=urn:oid:2.999.1.1|anna": ALL,
    "subject:identifier=urn:oid:2.999.1.1|anna": ALL,
    "subject:Patient.identifier=urn:oid:2.999.1.1|anna": ALL,
    "patient.identifier=anna": ALL,
    "patient.identifier=urn:oid:2.999.1.1|bert,urn:oid:2.999.1.1|nobody": ["foreign"],
    "patient.identifier=urn:oid:2.999.1.7|anna": [],
    "patient.identifier=http://unknown.example|anna": [],
    "patient.identifier=|anna": [],
    "patient.identifier=an%00na": [],
    "patient.identifier=urn:oid:2.999.1.1|anna&author.family=%00": [],
    "patient.identifier=ann%25": [],
    # status
    "patient={anna}&status=current": CURRENT,
    "patient={anna}&status=superseded": ["scan"],
    "patient={anna}&status=current,superseded": ALL,
    "patient={anna}&status=http://hl7.org/fhir/document-reference-status|current": CURRENT,
    "patient={anna}&status=entered-in-error": [],
    "patient={anna}&status:not=current": ["scan"],
    "patient={anna}&status=": ALL,
    # codes
    "patient={anna}&type=http://loinc.org|34133-9": ["report"],
    "patient={anna}&type=urn:oid:2.16.840.1.113883.6.1|34133-9": ["report"],
    "patient={anna}&type=34133-9": ["report"],
    "patient={anna}&type=http://loinc.org|": ["report", "letter"],
    "patient={anna}&type=http://loinc.org|34133-9,57133-1": ["report", "letter"],
    "patient={anna}&type=http://snomed.info/sct|34133-9": [],
    "patient={anna}&type=|34133-9": [],
    "patient={anna}&type=34133": [],
    "patient={anna}&type=34133%25": [],
    "patient={anna}&type=_4133-9": [],
    "patient={anna}&type:not=34133-9": ["letter", "scan", "rescan"],
    "patient={anna}&type=34133-9&type=57133-1": [],
    "patient={anna}&category=reports": ["report"],
    "patient={anna}&class=reports": ["report"],
    "patient={anna}&category=urn:oid:2.999.5.1|reports": ["report"],
    "patient={anna}&format=urn:ihe:pcc:xphr:2007": ["report"],
    "patient={anna}&format="
    "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode|urn:ihe:pcc:xphr:2007": [
        "report"
    ],
    "patient={anna}&setting=cardiology": ["report"],
    "patient={anna}&facility=hospital": ["report"],
    "patient={anna}&security-label=R": ["report"],
    "patient={anna}&security-label=N&security-label=R": ["report"],
    "patient={anna}&securitylabel=R": ["report"],
    "patient={anna}&security-label:not=R": ["letter", "scan", "rescan"],
    "patient={anna}&event=A": ["report", "letter"],
    "patient={anna}&event=A&event=B": ["report"],
    "patient={anna}&event=urn:oid:2.999.5.6|B,C": ["report"],
    "patient={anna}&event:missing=true": ["scan", "rescan"],
    "patient={anna}&event:missing=false": ["report", "letter"],
    # times
    "patient={anna}&creation=2026-03": ["report"],
    "patient={anna}&creation=2026": ["report", "letter", "scan"],
    "patient={anna}&creation=2026-04-01T12:00:00Z": ["letter"],
    "patient={anna}&creation=2026-04-01T14:00:00%2B02:00": ["letter"],
    "patient={anna}&creation=ne2026": ["rescan"],
    "patient={anna}&creation=ge2026-03-01": ["report", "letter"],
    "patient={anna}&creation=gt2026-03-01": ["letter"],
    "patient={anna}&creation=sa2026-03": ["letter"],
    "patient={anna}&creation=le2026-03": ["report", "scan", "rescan"],
    "patient={anna}&creation=lt2026-03": ["scan", "rescan"],
    "patient={anna}&creation=eb2026-03-02": ["report", "scan", "rescan"],
    "patient={anna}&creation=ge2026-03-01&creation=lt2026-04-01": ["report"],
    "patient={anna}&creation=2020,2026-03": ["report", "rescan"],
    "patient={anna}&date=ge2020": ALL,
    "patient={anna}&indexed=lt2020": [],
    "patient={anna}&_lastUpdated=ge2020": ALL,
    "patient={anna}&_lastupdated=lt2020": [],
    # service times: report from 20 February to 5 March, letter from 10 March, rescan to 1 January
    "patient={anna}&period=2026-02": ["report"],
    "patient={anna}&period=2026-03": ["report", "letter"],
    "patient={anna}&period=2026-03-05": ["report"],
    "patient={anna}&period=2026-03-06": [],
    "patient={anna}&period=2025": ["rescan"],
    "patient={anna}&period=ne2026-03": ["rescan"],
    "patient={anna}&period=ge2026-03-01": ["report", "letter"],
    "patient={anna}&period=gt2026-03-05": ["letter"],
    "patient={anna}&period=lt2026-02-21": ["report", "rescan"],
    "patient={anna}&period=le2026-02-19": ["rescan"],
    "patient={anna}&period=ge2026-03-01&period=lt2026-03-08": ["report"],
    "patient={anna}&period=sa2026-02": ["letter"],
    "patient={anna}&period=eb2026-01-02": ["rescan"],
    # the size: 60 bytes, and 62 of letter, 58 of scan
    "patient={anna}&size=62": ["letter"],
    "patient={anna}&size=58,62": ["letter", "scan"],
    "patient={anna}&size=6.2e1": ["letter"],
    "patient={anna}&size=6e1": ALL,
    "patient={anna}&size=60.5": [],
    "patient={anna}&size=gt60": ["letter"],
    "patient={anna}&size=gt59.5": ["report", "letter", "rescan"],
    "patient={anna}&size=ge60": ["report", "letter", "rescan"],
    "patient={anna}&size=lt60": ["scan"],
    "patient={anna}&size=le60": ["report", "scan", "rescan"],
    "patient={anna}&size=le59.5": ["scan"],
    "patient={anna}&size=sa60": ["letter"],
    "patient={anna}&size=eb60": ["scan"],
    "patient={anna}&size=ne60": ["letter", "scan"],
    "patient={anna}&size=ap55": ["report", "scan", "rescan"],
    "patient={anna}&size=gt58&size=lt62": ["report", "rescan"],
    "patient={anna}&size=lt99999999999999999999": ALL,
    "patient={anna}&size=gt1e99": [],
    "patient={anna}&size=gt-1": ALL,
    "patient={anna}&size:missing=true": [],
    "patient={anna}&size:missing=false": ALL,
    # authors
    # what is looked at in each document
    "patient={anna}&contenttype=application/pdf": ["letter"],
    "patient={anna}&contenttype=urn:ietf:bcp:13|APPLICATION/PDF,image/png": ["letter"],
    "patient={anna}&contenttype=application": [],
    "patient={anna}&language=cy-gb": ["letter"],
    "patient={anna}&language=urn:ietf:bcp:47|en-GB": ["report", "scan", "rescan"],
    "patient={anna}&description=ete": ["letter"],
    "patient={anna}&description=coast": [],
    "patient={anna}&description:contains=COAST": ["letter"],
    "patient={anna}&author.family=Smith": ["letter", "scan"],
    "patient={anna}&author.family=smith": ["letter", "scan"],
    "patient={anna}&author.family:exact=Smith": ["letter"],
    "patient={anna}&author.family:exact=smith": [],
    "patient={anna}&author.family:contains=ther": ["scan"],
    "patient={anna}&author.family=John": [],
    "patient={anna}&author.given=John": ["letter", "scan"],
    "patient={anna}&author.given=lee": ["scan"],
    "patient={anna}&author.given=Smith": [],
    "patient={anna}&author.family=muller": ["report"],
    "patient={anna}&author.family=M%C3%9CLLER": ["report"],
    "patient={anna}&author.given=anne": ["report"],
    "patient={anna}&author.family=o%26brien": ["report"],
    "patient={anna}&author.family=%25": [],
    "patient={anna}&author.family=Smith,muller": ["report", "letter", "scan"],
    "patient={anna}&author.family=smith&author.given=jane": ["scan"],
    "patient={anna}&author:Practitioner.family=muller": ["report"],
    # identifiers
    "identifier=urn:oid:2.999.3.1": ["report"],
    "identifier=2.999.3.1": ["report"],
    "identifier=urn:ietf:rfc:3986|urn:oid:2.999.3.1": ["report"],
    "identifier=urn:uuid:{report}": ["report"],
    "identifier=urn:ietf:rfc:3986|urn:uuid:{report}": ["report"],
    "identifier=urn:oid:2.999.3|L-2": ["letter"],
    "identifier=2.999.3^L-2": ["letter"],
    "identifier=L-2": [],
    "patient={anna}&identifier=L-2": ["letter"],
    "identifier=urn:oid:2.999.3.1,urn:oid:2.999.3.5": ["report", "foreign"],
    "patient={bert}&identifier=urn:oid:2.999.3.1": [],
    "identifier=http://unknown.example|2.999.3.1": [],
    "_id={report}": ["report"],
    "_id={report},{foreign},nothing": ["report", "foreign"],
    # references
    "related=urn:oid:2.999.1.5|acc-1": ["report"],
    "related:identifier=urn:oid:2.999.1.5|acc-1": ["report"],
    "related.identifier=acc-1": ["report"],
    "related-id=acc-1": ["report"],
    "related=acc_1": ["letter"],
    "related=urn:oid:2.999.1.6|acc-1": [],
    "related=urn:ietf:rfc:3986|urn:oid:9.8.7": ["letter"],
    "related=9.8.7": ["letter"],
    "related=enc-1&patient={anna}": ["report"],
    "encounter=enc-1&patient={anna}": ["report"],
    "encounter=acc-1&patient={anna}": [],
    # communities
    "patient={anna}&targetCommunityIdList=urn:oid:2.999.9.1": ALL,
    "patient={anna}&targetCommunityIdList=2.999.9.2,2.999.9.1": ALL,
    "patient={anna}&targetCommunityIdList=": ALL,
    "patient={anna}&targetCommunityIdList=urn:oid:2.999.9.2": [],
    # what is not known
    "patient={anna}&nonsense=1": ALL,
    "patient={anna}&type.text=x": ALL,
}


@pytest.mark.parametrize("query", CASES)
def test_what_is_found(made: Population, query: str) -> None:
    bundle = resource(made.ask(find, query))
    assert made.found(bundle) == CASES[query]
    assert bundle["total"] == len(CASES[query])


REFUSED: dict[str, tuple[str, str]] = {
    "": ("required", ""),
    "status=current": ("required", ""),
    "patient=": ("required", ""),
    "author.family=x": ("required", ""),
    "patient={anna}&creation=someday": ("value", "http.creation"),
    "patient={anna}&period=2026-13": ("value", "http.period"),
    "patient={anna}&size=large": ("value", "http.size"),
    "patient={anna}&size=gt": ("value", "http.size"),
    "patient={anna}&size=1e999": ("value", "http.size"),
    "patient={anna}&size:not=1": ("not-supported", "http.size:not"),
    "patient={anna}&status=final": ("value", "http.status"),
    "patient={anna}&type=|": ("value", "http.type"),
    "patient=urn:oid:1.2|anna": ("value", "http.patient"),
    "patient.identifier=urn:oid:2.999.1.1|": ("value", "http.patient.identifier"),
    "patient={anna}&type:text=x": ("not-supported", "http.type:text"),
    "patient={anna}&creation:exact=2026": ("not-supported", "http.creation:exact"),
    "patient:Group={anna}": ("not-supported", "http.patient:Group"),
    "patient={anna}&event:missing=maybe": ("value", "http.event:missing"),
    "patient={anna}&_count=-1": ("value", "http._count"),
    "patient={anna}&_count=many": ("value", "http._count"),
    "patient={anna}&_summary=brief": ("value", "http._summary"),
    "patient={anna}&_total=all": ("value", "http._total"),
    "patient={anna}&_page=x": ("value", "http._page"),
    "patient={anna}&_page=WzFd": ("value", "http._page"),
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_refused(made: Population, query: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(find, query)
    code, expression = REFUSED[query]
    assert refused.value.status == 400
    (issue,) = refused.value.issues
    assert (issue.code, issue.expression) == (code, (expression,) if expression else ())


def test_all_that_is_wrong_is_told(made: Population) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(find, "patient={anna}&creation=x&period=y&status=z")
    told = [issue.expression for issue in refused.value.issues]
    assert told == [("http.creation",), ("http.period",), ("http.status",)]


@pytest.mark.parametrize("query", ["nonsense=1", "_sort=nonsense", "_include=x", "type.text=x"])
def test_strict_handling_refuses_what_is_passed_over_else(made: Population, query: str) -> None:
    asked = f"patient={{anna}}&{query}"
    assert made.found(resource(made.ask(find, asked))) == ALL
    with pytest.raises(Refused) as refused:
        made.ask(find, asked, prefer={"handling": "strict"})
    assert [issue.code for issue in refused.value.issues] == ["not-supported"]


APPLIED = {
    "patient={anna}&nonsense=1&status=current": ("patient={anna}&status=current", ["nonsense"]),
    "patient={anna}&a=1&b=2&a=3": ("patient={anna}", ["a", "b"]),
    "patient={anna}&_sort=-date,nonsense": ("patient={anna}&_sort=-date", ["_sort"]),
    "patient={anna}&_sort=nonsense": ("patient={anna}", ["_sort"]),
    "patient={anna}&_count=7&_count=9": ("patient={anna}&_count=9", []),
    "patient={anna}&type=&type=,34133-9": ("patient={anna}&type=34133-9", []),
    "patient={anna}&_summary=count&nonsense=1": ("patient={anna}&_summary=count", ["nonsense"]),
}


@pytest.mark.parametrize("query", APPLIED)
def test_what_is_passed_over_is_told_and_not_in_the_link(made: Population, query: str) -> None:
    bundle = resource(made.ask(find, query))
    applied, names = APPLIED[query]
    assert bundle["link"][0] == {
        "relation": "self",
        "url": f"{BASE}/DocumentReference?{applied.format(**made._known())}",
    }
    assert [one["expression"] for one in told(bundle)] == [[f"http.{name}"] for name in names]
    assert {(one["severity"], one["code"]) for one in told(bundle)} <= {
        ("warning", "not-supported")
    }


def test_pages_of_a_search_lead_on_by_what_was_applied(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}&nonsense=1&_count=1"))
    assert bundle["link"][-1]["relation"] == "next"
    assert not [link for link in bundle["link"] if "nonsense" in link["url"]]


def test_too_many_values_are_refused(made: Population) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(find, "identifier=" + ",".join(map(str, range(1001))))
    assert [issue.code for issue in refused.value.issues] == ["too-costly"]


def test_a_thousand_values_are_not_too_many(made: Population) -> None:
    query = "patient={anna}&type=34133-9," + ",".join(map(str, range(900)))
    assert made.found(resource(made.ask(find, query))) == ["report"]


def test_another_community_is_warned_of(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}&targetCommunityIdList=urn:oid:2.999.9.2"))
    (outcome,) = bundle["entry"]
    assert outcome["search"] == {"mode": "outcome"}
    assert outcome["fullUrl"].startswith("urn:uuid:")
    (issue,) = outcome["resource"]["issue"]
    assert (issue["severity"], issue["expression"]) == ("warning", ["http.targetCommunityIdList"])
    assert bundle["total"] == 0


def test_a_searchset(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}&status=current&nonsense=1"))
    number = made._known()["anna"]
    assert bundle["resourceType"] == "Bundle"
    assert bundle["type"] == "searchset"
    assert bundle["meta"]["profile"] == [FIND_REFERENCES_RESPONSE]
    assert bundle["link"] == [
        {
            "relation": "self",
            "url": f"{BASE}/DocumentReference?patient={number}&status=current",
        }
    ]
    *found, outcome = bundle["entry"]
    for one in found:
        assert one["fullUrl"] == f"{BASE}/DocumentReference/{one['resource']['id']}"
        assert one["search"] == {"mode": "match"}
    assert outcome["search"] == {"mode": "outcome"}


def test_an_empty_searchset_has_no_entries(made: Population) -> None:
    bundle = resource(made.ask(find, "patient=Patient/999999"))
    assert (bundle["total"], "entry" in bundle) == (0, False)


def test_the_link_escapes_values(made: Population) -> None:
    query = "patient.identifier=urn:oid:2.999.1.1%7Canna&author.family=o%26b"
    (link,) = resource(made.ask(find, query))["link"]
    assert link["url"] == f"{BASE}/DocumentReference?{query}"


def test_a_replacement_shows_on_the_newer_document(made: Population) -> None:
    bundle = resource(made.ask(find, "patient={anna}"))
    by_name = dict(zip(made.found(bundle), matches(bundle), strict=True))
    (relation,) = by_name["rescan"]["relatesTo"]
    assert relation["code"] == "replaces"
    assert relation["target"]["reference"].endswith(f"DocumentReference/{made.ids['scan']}")
    assert "relatesTo" not in by_name["scan"]


def test_subject_and_attachment_lead_to_this_server(made: Population) -> None:
    (found,) = matches(resource(made.ask(find, "identifier=2.999.3.1")))
    assert found["subject"]["reference"].endswith(f"Patient/{made._known()['anna']}")
    assert found["content"][0]["attachment"]["url"] == f"{BASE}/document/{made.ids['report']}"


def test_read(made: Population) -> None:
    answer = made.ask(read, identifier=made.ids["report"])
    found = resource(answer)
    assert found["masterIdentifier"]["value"] == "urn:oid:2.999.3.1"
    assert answer.headers["Last-Modified"].endswith(" GMT")
    (same,) = matches(resource(made.ask(find, "identifier=2.999.3.1")))
    assert found == same


@pytest.mark.parametrize("identifier", ["nothing", "00000000-0000-4000-8000-000000000000", "7"])
def test_read_of_what_is_not_there(made: Population, identifier: str) -> None:
    with pytest.raises(Refused) as refused:
        made.ask(read, identifier=identifier)
    assert refused.value.status == 404
    assert [issue.code for issue in refused.value.issues] == ["not-found"]


def test_a_list_is_no_document_reference(made: Population) -> None:
    with pytest.raises(Refused):
        made.ask(read, identifier=made.ids["heart"])


def test_the_authority_of_a_bare_identifier_is_the_domains(
    tmp_path: Path, databases: Databases
) -> None:
    with opened(tmp_path, databases, assigning_authority="2.999.1.1") as made:
        made.register(entry("e0", "2.999.3.0"), title="s0")
        assert made.found(resource(made.ask(find, "patient.identifier=anna"))) == ["e0"]


def test_the_etag_changes_with_the_resource(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases) as made:
        old, new = entry("old", "2.999.3.0"), entry("new", "2.999.3.1")
        made.register(old, title="s0")
        before = made.ask(read, identifier=made.ids["old"])
        assert before.headers["ETag"] == f'W/"{resource(before)["meta"]["versionId"]}"'
        assert made.ask(read, identifier=made.ids["old"]) == before
        replaces = Association.create(association_type=RPLC, source=new.id, target=old.id)
        made.register(new, replaces, title="s1")
        after = made.ask(read, identifier=made.ids["old"])
        assert resource(after)["status"] == "superseded"
        assert after.headers["ETag"] != before.headers["ETag"]


def test_what_is_kept_is_not_out_of_date(tmp_path: Path, databases: Databases) -> None:
    with opened(tmp_path, databases) as made:
        old, new = entry("old", "2.999.3.0"), entry("new", "2.999.3.1")
        made.register(old, new, title="s0")
        made.facade.domain.identities.add("bert^^^&2.999.1.1&ISO")
        (before, _) = matches(resource(made.ask(find, "patient={anna}")))
        assert before["status"] == "current"
        newest = entry("newest", "2.999.3.2")
        replaces = Association.create(association_type=RPLC, source=newest.id, target=old.id)
        made.register(newest, replaces, title="s1")
        statuses = [one["status"] for one in matches(resource(made.ask(find, "patient={anna}")))]
        assert statuses == ["superseded", "current", "current"]
        made.facade.domain.identities.merge(subsumed=ANNA, surviving="bert^^^&2.999.1.1&ISO")
        subjects = {
            one["subject"]["identifier"]["value"]
            for one in matches(resource(made.ask(find, "patient={bert}")))
        }
        assert subjects == {"bert"}


def test_after_a_merge_only_the_surviving_patient_has_documents(
    tmp_path: Path, databases: Databases
) -> None:
    with opened(tmp_path, databases) as made:
        made.register(entry("e0", "2.999.3.0"), title="s0")
        made.facade.domain.identities.add("bert^^^&2.999.1.1&ISO")
        made.facade.domain.identities.merge(subsumed=ANNA, surviving="bert^^^&2.999.1.1&ISO")
        assert made.found(resource(made.ask(find, "patient={bert}"))) == ["e0"]
        assert made.found(resource(made.ask(find, "patient={anna}"))) == []
