"""The event rows that a submission leaves behind, for whoever reacts to it."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.registry import behind, wire
from tests.registry.test_consequences import (
    ADDENDUM,
    ADDENDUM_IMAGE,
    HEART,
    IMAGE,
    REPORT,
    all_of,
    of,
)
from tests.registry.violations import registered
from tests.registry.wire import World
from tests.serving import Server
from xds.metadata import datatypes
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet

shows = pytest.mark.shows


def _happened(server: Server, step: Callable[[], None]) -> list[tuple[str, str, str, str]]:
    """Return the events that a step adds: kind, kind of object, entryUUID, patient."""
    last = max((event.number for event in behind.events(server)), default=0)
    step()
    return [
        (event.kind, event.object_kind or "", event.entry_uuid or "", event.patient_id or "")
        for event in behind.events(server, last)
    ]


@shows("behaviour events")
def test_events_tell_of_what_was_registered(server: Server, world: World) -> None:
    register = partial(wire.accept, server, world.fixture("iti42/folder"))
    happened = _happened(server, register)
    objects = all_of(server, world)
    assert sorted(happened) == sorted(
        ("registered", kind.KIND, one.id, world.patient(1))
        for kind in (SubmissionSet, DocumentEntry, Folder)
        for one in of(kind, objects)
    )


@shows("behaviour events")
def test_events_tell_of_what_a_replacement_changes(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    replace = partial(wire.accept, server, world.fixture("iti42/replacement"))
    happened = _happened(server, replace)
    deprecated = {uuid for kind, _, uuid, _ in happened if kind == "deprecated"}
    assert deprecated == {world.uuid(n) for n in (REPORT, IMAGE, ADDENDUM, ADDENDUM_IMAGE)}
    assert [uuid for kind, _, uuid, _ in happened if kind == "content updated"] == [
        world.uuid(HEART)
    ]
    assert sorted(kind for what, kind, _, _ in happened if what == "registered") == [
        "DocumentEntry",
        "SubmissionSet",
    ]
    assert {patient for _, _, _, patient in happened} == {world.patient(1)}


@shows("behaviour events")
def test_a_refused_submission_is_no_event(server: Server, world: World) -> None:
    sent = world.fixture("iti42/replacement")  # of a document that nobody has

    def refused() -> None:
        assert wire.send(server, sent).codes == ["UnresolvedReferenceException"]

    assert _happened(server, refused) == []


@shows("behaviour events")
def test_events_name_the_submission_that_brought_them_about(server: Server, world: World) -> None:
    last = max((event.number for event in behind.events(server)), default=0)
    registered("iti42/preassigned_uuids")(server, world)
    wire.accept(server, world.fixture("iti42/folder_update"))
    found = behind.events(server, last)
    (second,) = {event.submission_set for event in found} - {world.uuid(1)}
    assert second in all_of(server, world)
    assert [event.number for event in found] == sorted(event.number for event in found)
    for event in found:
        datatypes.check_dtm(event.at)
