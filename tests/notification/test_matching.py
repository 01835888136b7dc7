"""Which events are told to whom: by topic, filter, patient and policy, in whatever process."""

from pathlib import Path

import pytest

from tests.notification.engine import CREATED, EVERYTHING, PATIENT, Engine, engine
from tests.registry.test_many_writers import entry, folder, holds, related, submission
from tests.waiting import until
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.criteria import (
    ANYTHING,
    NOTHING,
    And,
    Comparison,
    Criterion,
    Not,
    Operator,
    Or,
    equal,
    given,
)
from xds.metadata.objects import Code, DocumentEntry, Folder, SubmissionSet
from xds.notification import filters
from xds.notification.index import LiveSubscriptions
from xds.notification.matcher import Matcher
from xds.notification.model import SubscribedTopic, Subscription
from xds.registry import events
from xds.registry.identities import PatientIdentities

SURVIVOR = "P2^^^&2.999.1.1&ISO"
LAST = "P3^^^&2.999.1.1&ISO"
FOLDERS = SubscribedTopic(
    "folders",
    Folder,
    frozenset({events.REGISTERED, events.CONTENT_UPDATED, events.CONTENT_REMOVED, events.REMOVED}),
)
SETS = SubscribedTopic("sets", SubmissionSet, frozenset({events.REGISTERED}))
POLICY = """
[[rule]]
name = "all but what is secret"
decision = "permit"
transactions = ["ITI-18", "ITI-42"]

[[rule]]
name = "secret"
decision = "deny"
confidentialityCode = ["secret^^2.999.5"]
"""

shows = pytest.mark.shows


def matched(it: Engine, *subscriptions: Subscription) -> list[list[tuple[str, list[str]]]]:
    """Have all events matched by one process; return what each subscription is to be told."""
    matcher = Matcher(it.subscriptions)
    found = it.registry.events()
    reaction = matcher.react(found)
    with it.database.write() as connection:
        reaction.write(connection)
    told = []
    for one in subscriptions:
        notifications = it.subscriptions.notifications(it.state(one))
        assert [each.number for each in notifications] == list(range(1, len(notifications) + 1))
        told.append([(each.change, [o.entry_uuid for o in each.objects]) for each in notifications])
    return told


@pytest.mark.parametrize(
    "criterion",
    [
        ANYTHING,
        NOTHING,
        equal("patient_id", ["P'1^^^&1.2&ISO", 'P"2\\^^^&1.2&ISO']),
        And(Or(given("title"), Not(equal("class_code", ["a^^b"]))), And(And(), Or())),
        Comparison("author_person", Operator.LIKE, ("%Wélby\\_%", "")),
    ],
)
def test_a_filter_is_stored_without_loss(criterion: Criterion) -> None:
    assert filters.loaded(filters.dumped(criterion)) == criterion


def test_objects_of_one_submission_are_one_notification_where_that_is_wanted(it: Engine) -> None:
    grouped = SubscribedTopic("grouped", DocumentEntry, CREATED.changes, is_grouped=True)
    together, single = it.subscribe(topic=grouped), it.subscribe()
    first, second = entry(PATIENT), entry(PATIENT)
    it.registry.register(submission(PATIENT, first, second))
    third = it.register()
    of_groups, of_each = matched(it, together, single)
    assert [uuids for _, uuids in of_groups] == [[first.id, second.id], [third.id]]
    assert [uuids for _, uuids in of_each] == [[first.id], [second.id], [third.id]]


def test_a_replacement_is_the_new_document_and_then_the_old_one(it: Engine) -> None:
    one = it.subscribe(topic=EVERYTHING)
    by_status = it.subscribe("/s", equal("availability_status", [v.APPROVED]), topic=EVERYTHING)
    old = it.register()
    new = entry(PATIENT)
    it.registry.register(submission(PATIENT, new, related(v.RPLC, new, old.id)))
    told, approved = matched(it, one, by_status)
    assert told == [
        ("registered", [old.id]),
        ("registered", [new.id]),
        ("deprecated", [old.id]),
    ]
    # the status is that which the event has given, whatever it is when it is matched
    assert approved == told[:2]


def test_folders_and_submission_sets_are_told_of(it: Engine) -> None:
    folders, sets = it.subscribe(topic=FOLDERS), it.subscribe(topic=SETS)
    holder, thing = folder(PATIENT), it.register()
    first = submission(PATIENT, holder)
    it.registry.register(first)
    added = entry(PATIENT)
    member = holds(holder.id, added.id)
    it.registry.register(submission(PATIENT, added, member))
    with it.registry.view(ANYTHING) as view:
        gone = view.going_with([added.id])
    it.registry.remove(gone)
    told, of_sets = matched(it, folders, sets)
    assert [change for change, _ in told] == ["registered", "content updated", "content removed"]
    assert {uuid for _, uuids in told for uuid in uuids} == {holder.id}
    assert len(of_sets) == 3
    assert thing.id not in str(told)


@shows("behaviour notifications after a merge")
def test_a_filter_goes_with_its_patient_into_a_merge(it: Engine) -> None:
    identities = PatientIdentities(it.database)
    one = it.subscribe()
    other = it.subscribe("/b", equal("patient_id", [LAST]))
    before = it.register()
    identities.add(SURVIVOR, LAST)
    identities.merge(subsumed=PATIENT, surviving=SURVIVOR)
    between = it.register(SURVIVOR)
    identities.merge(subsumed=SURVIVOR, surviving=LAST)
    after = it.register(LAST)
    told, of_last = matched(it, one, other)
    assert [uuids for _, uuids in told] == [[before.id], [between.id], [after.id]]
    assert [uuids for _, uuids in of_last] == [[after.id]]
    assert filters.patients_of(it.state(one).filter) == {LAST}


@shows("behaviour notifications and policy")
def test_what_the_policy_withholds_is_not_told_when_it_is_matched(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    with engine(database, tmp_path, policy=tmp_path / "policy.toml") as it:
        entries, sets = it.subscribe(), it.subscribe(topic=SETS)
        secret = entry(PATIENT).updated(confidentiality_code=(Code("secret", "2.999.5", "Secret"),))
        it.registry.register(submission(PATIENT, secret))
        open_one = it.register()
        told, of_sets = matched(it, entries, sets)
    assert [uuids for _, uuids in told] == [[open_one.id]]
    assert len(of_sets) == 1, "a SubmissionSet all of whose entries are withheld is too"


@shows("behaviour notifications and policy")
def test_what_the_policy_withholds_by_now_is_not_sent(database: Database, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with engine(database, tmp_path, policy=policy) as it:
        one = it.subscribe("/a")
        thing = it.register()
        with it.working(sends=False):
            until(lambda: it.state(one).numbered == 1)
        policy.write_text(POLICY.replace("secret^^2.999.5", "c^^2.999.5"))
        with it.working():
            (said,) = it.told()
    assert (said["number"], said["objects"]) == (1, [])
    assert thing.id not in str(said)


def test_each_process_knows_what_others_have_changed(it: Engine) -> None:
    live = LiveSubscriptions()

    def keys() -> set[int]:
        with it.database.read() as connection:
            live.refresh(connection)
        thing = entry(PATIENT)
        known = {"patient_id": PATIENT}
        return {
            one.key for one in live.matching(events.REGISTERED, DocumentEntry, known, lambda: thing)
        }

    first, second = it.subscribe(), it.subscribe("/b", ANYTHING)
    third = it.subscribe("/c", equal("class_code", ["c^^2.999.5", "d^^2.999.5"]))
    fourth = it.subscribe("/d", equal("patient_id", [SURVIVOR]))
    assert keys() == {first.key, second.key, third.key}
    it.subscriptions.end(first.id)
    it.subscriptions.turn_off(second.id)
    it.subscriptions.pause(third.id)
    assert keys() == {third.key}, "while it is paused, what happens is kept"
    assert fourth.key not in keys()


def test_more_than_the_queue_has_room_for_is_told_in_order(
    it: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xds.notification.numbers.WINDOW", 4)
    monkeypatch.setattr("xds.notification.numbers._LOW", 2)
    one = it.subscribe("/a")
    things = [entry(PATIENT) for _ in range(11)]
    it.registry.register(submission(PATIENT, *things[:9]))
    with it.working(sends=False):
        until(lambda: it.state(one).numbered == 9)
    assert it.state(one).queued == 4
    with it.working():
        it.registry.register(submission(PATIENT, *things[9:]))
        told = it.told("/a", 11)
    assert [said["number"] for said in told] == list(range(1, 12))
    assert [said["objects"] for said in told] == [[thing.id] for thing in things]
