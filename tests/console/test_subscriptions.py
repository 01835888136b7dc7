"""An operator looks after subscriptions: finds one that fails, and acts on it."""

import http.client

import pytest

from tests.console.browsing import ConsoleBrowser
from tests.console.operated import OperatedServer
from tests.console.provided import somebody
from tests.console.test_queue import recorded
from tests.waiting import until

People = dict[str, ConsoleBrowser]


def test_one_that_fails_is_found_and_tried_once_its_target_is_back(
    operated: OperatedServer, operators: People
) -> None:
    operator, whose = operators["operator"], somebody()
    one = operated.subscribe(whose, 503)
    operated.report(whose)
    until(lambda: operated.subscription(one.key).state == "error")
    home = operator.get("/console")
    (place,) = home.tree.xpath("//main//ul//a[contains(@href, 'subscriptions?state=error')]/@href")
    listed = operator.get(place)
    row = listed.row(f"{one.key} of {operated.recipient.url}")
    assert "error" in row
    assert "503" in row
    assert "patient_id equal one value" in row
    page = operator.get(listed.tree.xpath(f"string(//th/a[starts-with(., '{one.key} ')]/@href)"))
    assert page.heading == f"Subscription {one.key} error"
    assert "The last attempt failed: 503" in page.words
    operator.press(page, "Try now")
    assert operated.told(one, 2) == 2
    until(lambda: operated.subscription(one.key).state == "active")
    again = operator.get(page.url)
    assert again.heading == f"Subscription {one.key} active"
    assert "Told up to1" in again.words
    for shown in (home, listed, page, again):
        assert whose.partition("^")[0] not in shown.text
        assert one.id not in shown.text
        assert one.address not in shown.text


def test_one_is_paused_and_resumed(operated: OperatedServer, operators: People) -> None:
    operator, whose = operators["operator"], somebody()
    one = operated.subscribe(whose)
    page = operator.get(f"/console/subscriptions/{one.key}")
    paused = operator.press(page, "Pause")
    assert paused.heading == f"Subscription {one.key} paused"
    refused = operator.post(*page.buttons("Pause")[0])
    assert refused.status == http.client.BAD_REQUEST
    assert "The subscription is paused: this is not for it now." in refused.words
    operated.report(whose)
    until(lambda: operated.subscription(one.key).waiting == 1)
    resumed = operator.press(paused, "Resume")
    assert resumed.heading == f"Subscription {one.key} active"
    assert operated.told(one, 1) == 1
    assert recorded(operated.server, "Pause a subscription", f"subscription {one.key}")
    assert recorded(operated.server, "Resume a subscription", f"subscription {one.key}")


def test_one_is_replayed_once_its_number_is_confirmed(
    operated: OperatedServer, operators: People
) -> None:
    operator, whose = operators["operator"], somebody()
    one = operated.subscribe(whose)
    operated.report(whose)
    operated.report(whose)
    operated.told(one, 2)
    until(lambda: operated.subscription(one.key).delivered == 2)
    page = operator.get(f"/console/subscriptions/{one.key}")
    for wrong in ("", "0", "3", "x"):
        refused = operator.press(page, "Replay", first=wrong)
        assert "Give a number from 1 to 2." in refused.words
    asked = operator.press(page, "Replay", first="2")
    assert asked.heading == "Send 1 notification again?"
    operator.press(asked, "Send 1 notification again")
    assert operated.told(one, 3) == 3


def test_one_is_ended_once_that_is_confirmed(operated: OperatedServer, operators: People) -> None:
    operator = operators["operator"]
    one = operated.subscribe(somebody())
    page = operator.get(f"/console/subscriptions/{one.key}")
    asked = operator.press(page, "End it for good")
    assert asked.heading == f"End subscription {one.key}?"
    ended = operator.press(asked, "End it for good")
    assert ended.heading == f"Subscription {one.key} ended"
    assert "ended by an operator" in ended.words
    assert not ended.buttons("Replay")
    assert operator.get("/console/subscriptions/999999").status == http.client.NOT_FOUND


@pytest.mark.parametrize("role", ["viewer", "clinician", "integration", "privacy"])
def test_subscriptions_are_for_operators_alone(operators: People, role: str) -> None:
    assert operators[role].get("/console/subscriptions").status == http.client.NOT_FOUND
