"""Searches through HTTP: by GET and by POST, in both forms, page after page."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Any

import pytest

from tests.databases import Databases
from tests.fhir.searched import entry, matches, opened
from tests.serving import Server
from tests.waiting import PATIENCE

PATIENT = "wired^^^&2.999.1.1&ISO"
SYSTEM = "urn:oid:2.999.1.1"
QUERY = f"patient.identifier={SYSTEM}|wired&status=current"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def base(server: Server, databases: Databases) -> str:
    with opened(server.data, databases) as made:
        things = [
            entry(f"wired {n}", f"2.999.77.{n}", patient_id=PATIENT, creation_time=f"2026030{n}")
            for n in range(1, 4)
        ]
        made.register(*things, patient_id=PATIENT, title="wired set", unique_id="2.999.77.9")
    return f"{server.url}/fhir"


def answered(
    url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, data, dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def asked(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    status, _, content = answered(url, data, headers)
    assert status == 200, content
    return json.loads(content)


def test_get_and_post_give_the_same(base: str) -> None:
    got = asked(f"{base}/DocumentReference?{QUERY.replace('|', '%7C')}")
    assert got["total"] == 3
    search = f"{base}/DocumentReference/_search"
    assert asked(search, QUERY.encode(), FORM) == got
    first, _, second = QUERY.replace("|", "%7C").partition("&")
    assert asked(f"{search}?{first}", second.encode(), FORM) == got


def test_spaces_and_plus_signs(base: str) -> None:
    found = asked(f"{base}/DocumentReference?{QUERY}&creation=2026-03-02T01:00:00+01:00")
    assert found["total"] == 1
    assert asked(found["link"][0]["url"]) == found


def test_links_lead_from_page_to_page(base: str) -> None:
    found = asked(f"{base}/DocumentReference?{QUERY}&_count=2&_sort=-creation")
    links = {link["relation"]: link["url"] for link in found["link"]}
    assert set(links) == {"self", "first", "next"}
    assert asked(links["self"]) == found
    following = asked(links["next"])
    identifiers = [
        one["masterIdentifier"]["value"] for page in (found, following) for one in matches(page)
    ]
    assert identifiers == [f"urn:oid:2.999.77.{n}" for n in (3, 2, 1)]


def test_matches_are_where_they_say(base: str) -> None:
    for path in ("DocumentReference", "List"):
        for one in asked(f"{base}/{path}?{QUERY}")["entry"]:
            assert asked(one["fullUrl"]) == one["resource"]
            assert asked(f"{base}/{one['resource']['subject']['reference'].removeprefix(base)}")


def test_a_search_in_xml(base: str) -> None:
    _, headers, content = answered(f"{base}/List?{QUERY}&code=submissionset&_format=xml")
    assert headers["Content-Type"].startswith("application/fhir+xml")
    assert b'<total value="1"/>' in content


def test_an_error_names_the_parameter(base: str) -> None:
    status, _, content = answered(f"{base}/DocumentReference?{QUERY}&creation=someday")
    assert status == 400
    assert [issue["expression"] for issue in json.loads(content)["issue"]] == [["http.creation"]]


@pytest.mark.parametrize(("handling", "status"), [("lenient", 200), ("strict", 400)])
def test_strict_handling_is_a_preference(base: str, handling: str, status: int) -> None:
    url = f"{base}/DocumentReference?{QUERY}&nonsense=1"
    assert answered(url, headers={"Prefer": f"handling={handling}"})[0] == status


def test_what_is_known_already_is_not_sent_again(base: str) -> None:
    (first, *_) = asked(f"{base}/DocumentReference?{QUERY}")["entry"]
    _, headers, _ = answered(first["fullUrl"])
    assert answered(first["fullUrl"], headers={"If-None-Match": headers["ETag"]})[0] == 304


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("name", ["%01%EF%BF%BE", "n" * 5000], ids=["no character", "long"])
def test_any_name_of_a_parameter_can_be_told(base: str, form: str, name: str) -> None:
    status, _, content = answered(f"{base}/DocumentReference?{QUERY}&_format={form}&{name}=1")
    assert status == 200
    assert name[:100].replace("%01%EF%BF%BE", "??") in content.decode()
    assert len(content) < 100_000
    assert "n" * 101 not in content.decode()
