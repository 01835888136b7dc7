"""An integration engineer sees what was submitted, what was refused and why, and how feeds fare."""

import http.client

import pytest

from tests.console.browsing import ConsoleBrowser
from tests.console.provided import provide, somebody
from tests.console.test_messages import corrupt, send
from tests.outgoing.conftest import until
from tests.serving import Server
from xds.client import TransactionRefused, new_oid

People = dict[str, ConsoleBrowser]


def test_submissions_are_listed_the_latest_first(console_server: Server, people: People) -> None:
    engineer = people["integration"]
    entry = provide(console_server, somebody(), title="Ward round")
    page = engineer.get("/console/submissions")
    (first, *_) = page.tree.xpath("//tbody/tr/th/a/@href")
    package = engineer.get(first)
    assert package.tree.xpath(
        "//a[contains(@href, $uuid)]", uuid=entry.entry_uuid.removeprefix("urn:uuid:")
    )


def test_a_refused_submission_is_listed_with_its_codes_and_what_they_are_of(
    console_server: Server, people: People
) -> None:
    engineer, unique_id = people["integration"], new_oid()
    whose = somebody()
    provide(console_server, whose, unique_id=unique_id)
    with pytest.raises(TransactionRefused):
        provide(console_server, whose, b"other", unique_id=unique_id)
    with pytest.raises(TransactionRefused):
        provide(console_server, whose, creation_time="yesterday")

    def look() -> bool:
        words = engineer.get("/console/submissions/refused").words
        return "XDSNonIdenticalHash" in words and "creationTime" in words

    until(look)
    page = engineer.get(engineer.get("/console/submissions").link("Refused"))
    assert "ITI-41" in page.row("XDSNonIdenticalHash")
    assert "127.0.0.1" in page.row("creationTime")
    for hidden in (whose.partition("^")[0], unique_id, "yesterday"):
        assert hidden not in page.text


def test_feeds_are_shown_by_their_doors(console_server: Server, people: People) -> None:
    send(console_server, corrupt())
    page = people["operator"].get("/console/feeds")
    (row,) = page.tree.xpath("//tbody/tr[th='http']")
    number, refused = (int(cell.text_content().split()[0]) for cell in row[-2:])
    assert number >= refused >= 1
    assert "MLLP, port" in page.row("ITI-8")
    assert not page.tree.xpath("//main//a[contains(@href, '/messages')]")
    (link, *_) = (
        people["integration"]
        .get("/console/feeds")
        .tree.xpath("//main//dd/a[contains(@href, 'refused')]")
    )
    assert people["integration"].get(link.get("href")).tree.xpath("//tbody/tr")


@pytest.mark.parametrize(
    ("role", "place"),
    [
        ("operator", "/console/submissions"),
        ("viewer", "/console/submissions/refused"),
        ("privacy", "/console/submissions/refused"),
        ("clinician", "/console/feeds"),
    ],
)
def test_pages_are_for_those_who_look_after_them(people: People, role: str, place: str) -> None:
    assert people[role].get(place).status == http.client.NOT_FOUND
