"""Subscriptions are told of what happens: each once, in order, by numbers without holes."""

import pytest

from tests.notification.engine import EVERYTHING, PATIENT, Engine
from tests.waiting import until
from xds.metadata.criteria import ANYTHING, equal
from xds.notification.model import SubscriptionState

OTHER = "P2^^^&2.999.1.1&ISO"

shows = pytest.mark.shows


@shows("behaviour notifications in order")
def test_a_subscriber_is_told_of_what_its_filter_meets(it: Engine) -> None:
    one = it.subscribe("/a")
    it.subscribe("/all", ANYTHING)
    with it.working():
        first = it.register(title="one")
        it.register(OTHER)
        second = it.register(title="two")
        it.told("/all", 3)
        told = it.told("/a", 2)
    assert [said["number"] for said in told] == [1, 2]
    assert [said["objects"] for said in told] == [[first.id], [second.id]]
    assert [said["titles"] for said in told] == [["one"], ["two"]]
    until(lambda: it.state(one).delivered == 2)
    assert it.state(one).numbered == 2


def test_what_happened_before_is_not_told(it: Engine) -> None:
    with it.working():
        it.register()
        it.subscribe("/a")
        second = it.register()
        assert it.told()[0]["objects"] == [second.id]


@shows("behaviour dead targets")
def test_a_target_that_fails_is_told_later_in_order_with_the_same_ids(it: Engine) -> None:
    one = it.subscribe("/a")
    it.receiver.refuse("/a", *[500] * 6)
    with it.working():
        for _ in range(3):
            it.register()
        told = it.told("/a", 9)
        until(lambda: it.state(one).state is SubscriptionState.ACTIVE)
    assert [said["number"] for said in told] == [*[1] * 7, 2, 3]
    assert len({said["id"] for said in told}) == 3
    assert [said["state"] for said in told[:7]] == [*["active"] * 5, *["error"] * 2]


def test_a_handshake_comes_first_and_its_failure_is_an_error(it: Engine) -> None:
    taken = it.subscribe("/a", handshake=True, recovers=False)
    it.receiver.refuse("/b", *[500] * 3)
    refused = it.subscribe("/b", handshake=True, recovers=False)
    assert taken.state is SubscriptionState.REQUESTED
    with it.working():
        until(lambda: it.state(taken).state is SubscriptionState.ACTIVE)
        until(lambda: it.state(refused).state is SubscriptionState.ERROR)
        it.register()
        told = it.told("/a", 2)
        assert [(said["kind"], said["number"]) for said in told] == [("handshake", 0), ("event", 1)]
        it.subscriptions.request(refused.id)
        until(lambda: it.state(refused).state is SubscriptionState.ACTIVE)
    assert [said["kind"] for said in it.told("/b", 4)] == ["handshake"] * 4
    assert it.state(refused).numbered == 0


def test_after_an_error_the_backlog_follows_the_handshake(it: Engine) -> None:
    one = it.subscribe("/a", recovers=False)
    it.receiver.refuse("/a", 404)
    with it.working():
        it.register()
        until(lambda: it.state(one).state is SubscriptionState.ERROR)
        it.told("/a", 2)
        assert it.state(one).state is SubscriptionState.ERROR, "its client has to request it"
        it.receiver.refuse("/a", *[500] * 1000)
        it.register()
        it.told("/a", 5)
        it.receiver.refuse("/a")
        it.subscriptions.request(one.id)
        it.register()
        until(lambda: it.state(one).delivered == 3)
    after = [said for said in it.told("/a", 5) if said["state"] in ("requested", "active")]
    assert [said["kind"] for said in after][-3:].count("handshake") <= 1
    assert it.state(one).state is SubscriptionState.ACTIVE


def test_a_target_that_is_gone_is_told_no_more(it: Engine) -> None:
    one = it.subscribe("/a")
    other = it.subscribe("/b", recovers=False)
    it.receiver.refuse("/a", 410)
    it.receiver.refuse("/b", 410)
    with it.working():
        it.register()
        until(lambda: it.state(one).state is SubscriptionState.ENDED)
        until(lambda: it.state(other).state is SubscriptionState.OFF)


def test_a_pause_keeps_what_happens_and_a_replay_sends_it_again(it: Engine) -> None:
    one = it.subscribe("/a")
    with it.working():
        it.register()
        it.told("/a", 1)
        until(lambda: it.state(one).delivered == 1)
        it.subscriptions.pause(one.id)
        it.register()
        until(lambda: it.state(one).numbered == 2)
        assert len(it.receiver.came("/a")) == 1
        it.subscriptions.resume(one.id)
        told = it.told("/a", 2)
        until(lambda: it.state(one).delivered == 2)
        it.subscriptions.replay(one.id, 1)
        told = it.told("/a", 4)
        assert it.subscriptions.resend(one.id, 2) == 1
        told = it.told("/a", 5)
    assert [said["number"] for said in told] == [1, 2, 1, 2, 2]
    assert len({said["id"] for said in told}) == 2


def test_an_end_is_told_where_it_is_wanted_and_nothing_after_it(it: Engine) -> None:
    one = it.subscribe("/a", tells_end=True)
    other = it.subscribe("/b")
    with it.working():
        it.register()
        it.told("/a"), it.told("/b")
        it.subscriptions.end(one.id), it.subscriptions.end(other.id)
        assert it.told("/a", 2)[1]["kind"] == "deactivation"
        it.subscribe("/c")
        it.register()
        it.told("/c")
    assert [len(it.receiver.came(path)) for path in ("/a", "/b")] == [2, 1]


def test_what_is_fetched_is_returned_until_that_is_noted(it: Engine) -> None:
    one = it.subscribe("")
    with it.working():
        first, second = it.register(), it.register()
        until(lambda: it.state(one).numbered == 2)
    for _ in range(2):
        (told,) = it.subscriptions.pull(it.state(one), 1)
        assert [found.entry_uuid for found in told.objects] == [first.id]
    it.subscriptions.pulled(one.id, told.number)
    (told,) = it.subscriptions.pull(it.state(one), 10)
    assert [found.entry_uuid for found in told.objects] == [second.id]


def test_a_document_that_was_removed_is_told_of_by_what_it_was(it: Engine) -> None:
    it.subscribe("/a", topic=EVERYTHING)
    thing = it.register(title="short-lived")
    held = it.registry.query
    assert held is not None
    with it.registry.view(ANYTHING) as view:
        gone = view.going_with([thing.id])
    it.registry.remove(gone)
    with it.working():
        created, removed = it.told("/a", 2)
    assert (created["change"], removed["change"]) == ("registered", "removed")
    assert created["titles"] == removed["titles"] == ["short-lived"]
    assert created["objects"] == [thing.id]
    assert PATIENT not in str(removed)


def test_a_filter_is_any_criterion(it: Engine) -> None:
    it.subscribe("/a", equal("title", ["wanted"]))
    with it.working():
        it.register(OTHER, title="other")
        thing = it.register(OTHER, title="wanted")
        assert it.told()[0]["objects"] == [thing.id]
