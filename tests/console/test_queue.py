"""An operator looks after the delivery queue: sees what waits and why, tries it again, drops it."""

from typing import Any

import pytest

from tests.console.browsing import ConsoleBrowser
from tests.console.queued import counted, database_of, given_up, waiting
from tests.console.recorded import await_records
from tests.serving import Server

People = dict[str, ConsoleBrowser]


def recorded(
    server: Server, action: str, target: str, user: str = "operator"
) -> list[dict[str, Any]]:
    """Wait for the records of an action of somebody on a target."""

    def fitting(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            one for one in told if one["event_type"][0] == action and target in str(one["things"])
        ]

    return fitting(await_records(server, fitting, user=user, transaction="console", most="50"))


def test_what_waits_is_shown_with_why(console_server: Server, people: People) -> None:
    dead, busy = given_up(console_server, 2), waiting(console_server, 3)
    page = people["operator"].get("/console/queue")
    assert page.row(busy).startswith(f"{busy} sending 3 ")
    (number,) = page.tree.xpath("//a[contains(@href, $of)]", of=f"given-up?channel={dead}")
    assert number.text_content().startswith("2")
    listed = people["operator"].get(number.get("href"))
    assert listed.heading == f"Given up: {dead}"
    assert len(listed.tree.xpath("//tbody/tr")) == 2
    assert "503" in listed.words
    one = people["operator"].get(f"/console/queue?channel={busy}")
    assert len(one.tree.xpath("//table[2]//tbody/tr")) <= 1
    assert f"https://{busy}.example/in" in one.words
    assert dead not in one.tree.xpath("string(//table[contains(., 'Next attempt')])")


def test_what_was_given_up_is_tried_again_once_its_number_is_confirmed(
    console_server: Server, people: People
) -> None:
    operator, channel = people["operator"], given_up(console_server, 3)
    page = operator.get(f"/console/queue/given-up?channel={channel}")
    asked = operator.press(page, "Try all of them again")
    assert asked.heading == "Try 3 messages again?"
    changed = operator.submit(asked, "/console/queue/retry", count="2")
    assert changed.heading == "Try 3 messages again?"
    done = operator.submit(changed, "/console/queue/retry")
    assert "3 messages tried again" in done.words
    with database_of(console_server) as database:
        assert (counted(database, channel).dead, counted(database, channel).waiting) == (0, 3)
    (record,) = recorded(console_server, "Retry deliveries", channel)
    assert "3 messages tried again" in str(record["description"])


def test_one_message_is_tried_again_at_once(console_server: Server, people: People) -> None:
    operator, channel = people["operator"], given_up(console_server, 2)
    page = operator.get(f"/console/queue/given-up?channel={channel}")
    key = page.tree.xpath("string(//tbody/tr[1]/th)")
    listed = operator.press(page, "Try again", key)
    assert listed.heading == f"Queue: {channel}"
    with database_of(console_server) as database:
        assert counted(database, channel).dead == 1


def test_messages_are_dropped_once_their_number_is_confirmed(
    console_server: Server, people: People
) -> None:
    operator, channel = people["operator"], waiting(console_server, 2)
    page = operator.get(f"/console/queue?channel={channel}")
    asked = operator.press(page, "Drop", f"{channel}.example")
    assert asked.heading == "Drop 2 messages?"
    waiting(console_server, 1, f"{channel}")  # the same ids change nothing
    with database_of(console_server) as database:
        assert counted(database, channel).waiting == 2
    done = operator.submit(asked, "/console/queue/drop")
    assert "2 messages dropped." in done.words
    with database_of(console_server) as database:
        assert counted(database, channel).waiting == 0
    assert recorded(console_server, "Drop deliveries", channel)
    again = operator.post("/console/queue/drop", asked.form("/console/queue/drop"))
    assert "Nothing was dropped." in again.words


def test_a_number_that_has_changed_is_asked_again(console_server: Server, people: People) -> None:
    operator, channel = people["operator"], given_up(console_server, 2)
    page = operator.get(f"/console/queue/given-up?channel={channel}")
    asked = operator.press(page, "Drop all of them")
    key = page.tree.xpath("string(//tbody/tr[1]/th)")
    operator.press(page, "Try again", key)
    changed = operator.submit(asked, "/console/queue/drop")
    assert changed.heading == "Drop 1 message?"
    operator.submit(changed, "/console/queue/drop")
    with database_of(console_server) as database:
        found = counted(database, channel)
    assert (found.waiting, found.dead) == (1, 0)


def test_what_was_given_up_is_listed_page_by_page(console_server: Server, people: People) -> None:
    channel = given_up(console_server, 53)
    page = people["operator"].get(f"/console/queue/given-up?channel={channel}")
    assert len(page.tree.xpath("//tbody/tr")) == 50
    rest = people["operator"].get(page.link("More messages"))
    assert len(rest.tree.xpath("//tbody/tr")) == 3
    assert rest.link("The first") == page.url


@pytest.mark.parametrize("role", ["viewer", "clinician", "integration", "privacy"])
def test_the_queue_is_for_operators_alone(people: People, role: str) -> None:
    assert people[role].get("/console/queue").status == 404
    assert "Queue" not in people[role].get("/console").tree.xpath("string(//nav)")
