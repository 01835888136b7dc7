"""An integration engineer sees what was submitted, what was refused and why, and how feeds fare."""

import http.client
import re
from collections.abc import Sequence
from contextlib import closing

import pytest
from sqlalchemy import text

from tests.console.browsing import ConsoleBrowser, browser_of
from tests.console.provided import provide, somebody
from tests.console.test_documents import search
from tests.console.test_messages import corrupt, send
from tests.console.test_queue import recorded
from tests.messaging.senders import mdm, nhs_number, report_number
from tests.messaging.test_doors import post
from tests.serving import Server
from tests.waiting import until
from xds.accounts.accounts import Accounts
from xds.client import (
    Content,
    DocumentSource,
    ReportedError,
    TransactionRefused,
    entry_of,
    new_oid,
    submission_of,
)
from xds.database.access import Database
from xds.refusals.keeper import MOST_REFUSALS

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


def test_submissions_are_paged_and_tell_how_many_documents_they_have(
    console_server: Server, people: People
) -> None:
    engineer, whose = people["integration"], somebody()
    entries = [entry_of(whose, "text/plain") for _ in range(3)]
    three = submission_of(entries)
    with DocumentSource(console_server.repository_url) as source:
        source.provide_and_register(
            three, {one.entry_uuid: Content((b"text",), 4) for one in entries}
        )
    for _ in range(50):
        provide(console_server, whose)
    page = engineer.get("/console/submissions")
    assert len(page.tree.xpath("//tbody/tr")) == 50
    assert page.tree.xpath("string(//tbody/tr[1]/td[2])") == "1"
    listed = engineer.get(page.link("Earlier ones"))
    package = listed.tree.xpath("//tbody/tr[1]/th/a/@href")[0]
    assert listed.tree.xpath("string(//tbody/tr[1]/td[2])") == "3"
    assert len(engineer.get(package).tree.xpath("//tbody/tr")) == 3
    assert engineer.get(listed.link("The latest")).row("") == page.row("")


def test_a_refused_submission_is_listed_with_its_codes_and_contexts(
    console_server: Server, people: People
) -> None:
    engineer, unique_id = people["integration"], new_oid()
    told = refused(console_server, unique_id)
    with pytest.raises(TransactionRefused):
        provide(console_server, somebody(), creation_time="yesterday", title="<b>x")
    page = engineer.get(engineer.get("/console/submissions").link("Refused"))
    assert "ITI-41" in page.row(unique_id)
    assert "127.0.0.1" in page.row("creationTime")
    assert all(one.code_context in page.row(unique_id) for one in told)
    (link,) = page.tree.xpath("//tbody/tr[contains(., $text)]/th/a/@href", text=unique_id)
    one = engineer.get(link)
    assert [row[0].text_content() for row in one.tree.xpath("//tbody/tr")] == [e.code for e in told]
    assert all(error.code_context in one.words for error in told)
    recorded = people["privacy"].get("/console/audit?transaction=ITI-41")
    assert unique_id not in recorded.text


def refused(server: Server, unique_id: str) -> Sequence[ReportedError]:
    """Have a document refused because another one has its uniqueId; return what was told."""
    whose = somebody()
    provide(server, whose, unique_id=unique_id)
    with pytest.raises(TransactionRefused) as caught:
        provide(server, whose, b"other", unique_id=unique_id)
    return caught.value.response.errors


def test_who_is_limited_to_patients_has_no_refusals(console_server: Server) -> None:
    database, password = Database(console_server.database), "correct horse battery staple"
    try:
        Accounts(database).put("limited-engineer", password, ["integration"], [somebody()])
    finally:
        database.close()
    browser = browser_of(console_server.url)
    assert browser.log_in("limited-engineer", password).heading == "Home"
    for place in ("/console/submissions/refused", "/console/unknown-codes"):
        assert browser.get(place).status == http.client.NOT_FOUND


def test_refusals_are_forgotten_after_their_days(console_server: Server, people: People) -> None:
    engineer, old, new = people["integration"], new_oid(), new_oid()
    refused(console_server, old)
    page = engineer.get("/console/submissions/refused")
    (link,) = page.tree.xpath("//tbody/tr[contains(., $text)]/th/a/@href", text=old)
    database = Database(console_server.database)
    try:
        with database.write() as connection:
            connection.execute(text("UPDATE refusal SET at = at - 2678400000"))
        assert engineer.get(link).status == http.client.NOT_FOUND
        refused(console_server, new)
        with database.read() as connection:
            (errors,) = connection.scalars(text("SELECT errors FROM refusal")).all()
    finally:
        database.close()
    assert new in errors
    page = engineer.get("/console/submissions/refused")
    assert len(page.tree.xpath("//tbody/tr")) == 1


def test_of_many_refusals_the_oldest_are_forgotten(console_server: Server, people: People) -> None:
    engineer, old, new = people["integration"], new_oid(), new_oid()
    refused(console_server, old)
    refused(console_server, new_oid())
    assert old in engineer.get("/console/submissions/refused").words
    with closing(Database(console_server.database)) as database:
        with database.write() as connection:  # as if so many had come since
            earlier = {"most": MOST_REFUSALS, "old": f"%{old}%"}
            moved = text("UPDATE refusal SET pk = pk - :most WHERE errors LIKE :old")
            assert connection.execute(moved, earlier).rowcount == 1
        refused(console_server, new)
    words = engineer.get("/console/submissions/refused").words
    assert new in words
    assert old not in words


def test_feeds_are_shown_by_their_doors(console_server: Server, people: People) -> None:
    control_id = send(console_server, corrupt())
    page = people["operator"].get("/console/feeds")
    (row,) = page.tree.xpath("//tbody/tr[th='http']")
    number, refused = (int(cell.text_content().split()[0]) for cell in row[-3:-1])
    assert number >= refused >= 1
    assert row[-1].text_content() == "corrupt"
    (last,) = people["integration"].get("/console/feeds").tree.xpath("//tr[th='http']/td[last()]/a")
    assert control_id in people["integration"].get(last.get("href")).heading
    home = people["operator"].get("/console")
    assert "Messages by httplast" in home.words
    assert people["operator"].get(home.link("Feeds")).heading == "Feeds"
    assert "MLLP, port" in page.row("ITI-8")
    assert not page.tree.xpath("//main//a[contains(@href, '/messages')]")
    (link, *_) = (
        people["integration"]
        .get("/console/feeds")
        .tree.xpath("//main//dd/a[contains(@href, 'refused')]")
    )
    assert people["integration"].get(link.get("href")).tree.xpath("//tbody/tr")


def test_a_feed_is_paused_and_resumed(console_server: Server, people: People) -> None:
    operator, name = people["operator"], "http ward"

    def sent() -> int:
        message = mdm("T02", nhs_number(), report_number())
        return post(console_server, message, path="/hl7v2/ward")[0]

    assert sent() == http.client.OK
    page = operator.get("/console/feeds")
    page = operator.press(page, f"Pause {name}")
    assert "paused since" in page.words
    until(lambda: sent() == http.client.SERVICE_UNAVAILABLE)
    home = operator.get("/console")
    (link,) = home.tree.xpath("//main//a[contains(., 'Feeds that are paused')]/@href")
    assert operator.get(link).heading == "Feeds"
    operator.press(operator.get("/console/feeds"), f"Resume {name}")
    until(lambda: sent() == http.client.OK)
    for action in ("Pause a feed", "Resume a feed"):
        assert recorded(console_server, action, f"feed {name}", user="operator")
    (_, form), *_ = page.buttons("Pause")
    unknown = operator.post("/console/feeds/pause", {**form, "feed": "nowhere"})
    assert unknown.status == http.client.NOT_FOUND
    assert people["clinician"].get("/console/feeds").status == http.client.NOT_FOUND


def test_home_tells_of_the_room_on_disks(people: People) -> None:
    words = people["operator"].get("/console").words
    rooms = re.findall(r"data\D*([\d.,]+) of ([\d.,]+) GB free", words)
    ((free, size),) = [[float(one.replace(",", "")) for one in room] for room in rooms]
    assert 0 < free <= size


def test_a_document_leads_to_the_message_that_it_came_with(
    console_server: Server, people: People
) -> None:
    control_id = send(console_server, mdm("T02", nhs_number(), report_number()))
    message = search(people["integration"], control_id)
    (made, *_) = message.tree.xpath("//main//a[contains(@href, '/documents/')]/@href")
    relations = people["integration"].get(f"{made}/relations")
    (link,) = relations.tree.xpath("//a[contains(@href, '/messages/')]")
    assert people["integration"].get(link.get("href")).heading == message.heading
    assert not people["viewer"].get(relations.url).tree.xpath("//a[contains(@href, '/messages/')]")
    forged = provide(console_server, somebody(), source_message="../logout")
    uuid = forged.entry_uuid.removeprefix("urn:uuid:")
    page = people["integration"].get(f"/console/documents/{uuid}/relations")
    assert "../logout" in page.words
    assert not page.tree.xpath("//a[contains(@href, '/messages/')]")


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
