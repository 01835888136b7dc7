"""Destinations at the console: how they fare, what they did not take, and what is done about it."""

import http.client

import pytest

from tests.console.browsing import ConsoleBrowser, Page
from tests.console.operated import OperatedServer
from tests.console.provided import somebody
from tests.console.queued import database_of
from tests.console.test_hostile import HOSTILE, require_harmless
from tests.console.test_queue import recorded
from tests.waiting import until
from xds.messaging.outbound import operations
from xds.messaging.outbound.operations import OutboundSelection
from xds.messaging.outbound.records import OutboundState

People = dict[str, ConsoleBrowser]
RECORD = "/console/destinations/record"


def ids(operated: OperatedServer, state: str) -> list[str]:
    """Return the messages to the destination in a state, newest first."""
    chosen = OutboundSelection(destination="record", state=OutboundState(state))
    with database_of(operated.server) as database, database.read() as connection:
        return [one.id for one in operations.messages(connection, chosen, 100)]


def refused(operated: OperatedServer, number: int = 1) -> tuple[str, list[str]]:
    """Have messages refused for good; return whose they are, and their control ids."""
    until(lambda: not ids(operated, "waiting"))
    whose, before = somebody(), set(ids(operated, "dead"))
    operated.record.answers[:] = ["AE 102|E||||Unknown patient of the receiver"] * number
    for _ in range(number):
        operated.report(whose)
    until(lambda: len(set(ids(operated, "dead")) - before) == number)
    return whose, [one for one in ids(operated, "dead") if one not in before]


def message_of(browser: ConsoleBrowser, message_id: str) -> Page:
    return browser.get(f"{RECORD}/messages/{message_id}")


def test_a_message_that_was_refused_is_found_corrected_and_sent(
    operated: OperatedServer, operators: People
) -> None:
    engineer = operators["integration"]
    whose, (message_id,) = refused(operated)
    home = engineer.get("/console")
    (place,) = home.tree.xpath("//main//ul//a[contains(@href, 'record?state=dead')]/@href")
    page = engineer.get(engineer.get(place).link(message_id))
    assert page.heading == f"Message {message_id} dead"
    assert "Unknown patient of the receiver" in page.words
    assert "PID-3 patient ids" in page.words
    assert whose.partition("^")[0] in page.words
    text = page.buttons("Send the corrected message")[0][1]["text"]
    changed = text.replace(whose.partition("^")[0], "CORRECTED-1")
    unreasoned = engineer.press(page, "Send the corrected message", text=changed)
    assert "Why? The reason is kept with the message." in unreasoned.words
    sent = engineer.press(
        unreasoned, "Send the corrected message", text=changed, reason="the other number"
    )
    assert sent.url != page.url
    (message,) = operated.record.wait_for(1, "CORRECTED-1")
    assert f"Message {message[0][10]}" in sent.heading
    again = engineer.get(page.url)
    assert again.heading == f"Message {message_id} discarded"
    assert "the other number (integration)" in again.words
    action = "Correct a message to a destination"
    assert recorded(operated.server, action, message_id, user="integration")
    seen = recorded(operated.server, "See a message to a destination", message_id, "integration")
    assert seen[0]["patient_id"] == whose


def test_an_operator_sees_no_patient_and_sends_again(
    operated: OperatedServer, operators: People
) -> None:
    operator = operators["operator"]
    whose, (message_id,) = refused(operated)
    page = message_of(operator, message_id)
    assert page.heading == f"Message {message_id} dead"
    for hidden in (whose.partition("^")[0], "PID", "Unknown patient of the receiver", "<textarea"):
        assert hidden not in page.text
    tried = operator.press(page, "Send again")
    operated.record.wait_for(2, message_id)
    until(lambda: "delivered" in operator.get(tried.url).heading)
    anew = operator.press(operator.get(tried.url), "Send in a new message")
    assert anew.url != tried.url
    operated.record.wait_for(1, anew.url.rpartition("/")[2])
    refusal = operator.post(f"{page.url}/discard", {**page.form("/console/logout"), "reason": "x"})
    assert "The message is delivered: there is nothing to discard." in refusal.words


def test_what_was_given_up_is_sent_again_or_discarded_once_its_number_is_confirmed(
    operated: OperatedServer, operators: People
) -> None:
    operator = operators["operator"]
    _, given_up = refused(operated, 2)
    page = operator.get(f"{RECORD}?state=dead")
    number = len(ids(operated, "dead"))
    asked = operator.press(page, "Send again what was given up")
    assert asked.heading == f"Send {number} messages again?"
    operator.press(asked, f"Send {number} messages again")
    for one in given_up:
        operated.record.wait_for(2, one)
    until(lambda: not ids(operated, "dead"))
    _, (message_id,) = refused(operated)
    page = operator.get(RECORD)
    assert "Why? The reason is kept" in operator.press(page, "Discard all").words
    asked = operator.press(page, "Discard all", reason="asked for by\u202e the record")
    assert asked.heading == "Discard 1 message?"
    assert "1 message discarded." in operator.press(asked, "Discard 1 message").words
    assert message_id in ids(operated, "discarded")
    assert recorded(operated.server, "Discard messages", "destination record")


def test_a_destination_is_paused_and_resumed(operated: OperatedServer, operators: People) -> None:
    operator = operators["operator"]
    until(lambda: not ids(operated, "waiting"))
    paused = operator.press(operator.get(RECORD), "Pause")
    assert paused.heading == "record paused"
    operated.report(somebody())
    until(lambda: len(ids(operated, "held")) == 1)
    (message_id,) = ids(operated, "held")
    row = operator.get("/console/destinations").row("record")
    assert row.startswith("record paused mllp://localhost:")
    assert message_id in operator.get(f"{RECORD}?state=held").words
    resumed = operator.press(operator.get(RECORD), "Resume")
    assert resumed.heading == "record sending"
    operated.record.wait_for(1, message_id)
    assert recorded(operated.server, "Pause a destination", "destination record")
    (record,) = recorded(operated.server, "Resume a destination", "destination record")
    assert record["description"] == "1 message sent on"


def test_all_since_a_moment_is_sent_again(operated: OperatedServer, operators: People) -> None:
    operator = operators["operator"]
    operated.report(somebody())
    until(lambda: not ids(operated, "waiting"))
    before = len(operated.record.came)
    page = operator.get(RECORD)
    assert "Since when?" in operator.press(page, "Replay", since="yesterday").words
    later = operator.press(page, "Replay", since="2999-01-01T00:00")
    assert "choose nothing that happened since then" in later.words
    asked = operator.press(page, "Replay", since="2020-01-01T00:00")
    assert int(asked.heading.split()[1]) >= 1
    done = operator.press(asked, asked.heading.removesuffix("?"))
    assert "sent again." in done.words
    until(lambda: len(operated.record.came) > before)
    assert "registered (again)" in operator.get(RECORD).words


def test_hostile_values_do_no_harm(operated: OperatedServer, operators: People) -> None:
    person = operators["administrator"]
    _, (message_id,) = refused(operated)
    token = person.get("/console").form("/console/logout")
    one = f"{RECORD}/messages/{message_id}"
    for text in HOSTILE:
        for path, names in (
            (f"{RECORD}/replay", ("since",)),
            (f"{RECORD}/retry", ("count",)),
            (f"{RECORD}/discard", ("reason", "count")),
            (f"{one}/correct", ("text", "reason")),
        ):
            require_harmless(person.post(path, {**token, **dict.fromkeys(names, text)}))
    assert message_id in ids(operated, "dead")


@pytest.mark.parametrize("role", ["viewer", "clinician", "privacy"])
def test_destinations_are_for_those_who_look_after_them(operators: People, role: str) -> None:
    for place in ("/console/destinations", RECORD):
        assert operators[role].get(place).status == http.client.NOT_FOUND
    assert operators["operator"].get("/console/destinations/nothing").status == 404
