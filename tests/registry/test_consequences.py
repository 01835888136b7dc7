"""What a lawful submission changes, as queries and event rows show it (ITI TF-2 3.42.4.1.3)."""

import re
from collections.abc import Mapping
from typing import TypeVar
from uuid import uuid4

import pytest

from tests.registry import behind, edits, wire
from tests.registry.violations import message, registered
from tests.registry.wire import ACTIVE, World
from tests.serving import Server
from xds.metadata import datatypes, ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RegistryObject, VersionInfo
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.submission import Submission
from xds.registry.storage.fragments import FoundObject, kept, parsed, rendered

T = TypeVar("T", bound=MetadataObject)
REPORT, IMAGE, ADDENDUM, ADDENDUM_IMAGE, OTHER = 10, 11, 12, 13, 14
HEART, LUNG = 20, 21

shows = pytest.mark.shows
on_demand = pytest.mark.skipif("ITI-61" not in ACTIVE, reason="ITI-61 is not served")


def all_of(server: Server, world: World, patient: int = 1) -> Mapping[str, RegistryObject]:
    return wire.get_all(server, world.patient(patient)).objects


def of(kind: type[T], objects: Mapping[str, RegistryObject]) -> list[T]:
    return [thing for thing in objects.values() if type(thing) is kind]


def entry(objects: Mapping[str, RegistryObject], unique_id: str) -> DocumentEntry:
    return next(one for one in of(DocumentEntry, objects) if one.unique_id == unique_id)


def links(objects: Mapping[str, RegistryObject], kind: str) -> list[tuple[str, str]]:
    return [
        (one.source, one.target) for one in of(Association, objects) if one.association_type == kind
    ]


def statuses(objects: Mapping[str, RegistryObject], world: World) -> dict[int, str]:
    """Return the last word of the status of each entry of the fixture, by its number."""
    return {
        number: str(objects[world.uuid(number)].status).rpartition(":")[2]
        for number in (REPORT, IMAGE, ADDENDUM, ADDENDUM_IMAGE, OTHER)
    }


# --- ids, status, version ------------------------------------------------------------------------


@shows("behaviour symbolic ids", "ITI-42")
def test_symbolic_ids_become_uuids_everywhere(server: Server, world: World) -> None:
    wire.accept(server, world.fixture("iti42/folder"))
    objects = all_of(server, world)
    for thing in objects.values():
        datatypes.check_uuid(thing.id)
        for part in (*thing.classifications, *thing.external_identifiers):
            datatypes.check_uuid(part.id)
        assert {part.classifiedObject for part in thing.classifications} <= {thing.id}
        assert {part.registryObject for part in thing.external_identifiers} <= {thing.id}
    (the_set,), (document,) = of(SubmissionSet, objects), of(DocumentEntry, objects)
    folder, empty = sorted(of(Folder, objects), key=lambda one: str(one.unique_id))
    members = {one.id: one for one in of(Association, objects)}
    (membership,) = (one for one in members.values() if one.source == folder.id)
    assert membership.target == document.id
    held = {one.target for one in members.values() if one.source == the_set.id}
    assert held == {document.id, folder.id, empty.id, membership.id}
    assert len(members) == 5


@shows("behaviour given UUIDs")
def test_uuids_of_the_submitter_stay(server: Server, world: World) -> None:
    sent = world.fixture("iti42/preassigned_uuids")
    wire.accept(server, sent)
    identities = sent.xpath("//rim:RegistryObjectList/*/@id", namespaces=wire.NAMESPACES)
    assert sorted(all_of(server, world)) == sorted(identities)


@shows("behaviour status")
def test_everything_is_approved_whatever_was_sent(server: Server, world: World) -> None:
    wire.accept(server, world.fixture("iti42/comprehensive_document"))
    objects = all_of(server, world)
    assert {type(thing) for thing in objects.values()} == {
        SubmissionSet,
        DocumentEntry,
        Association,
    }
    assert {thing.status for thing in objects.values()} == {v.APPROVED}


@shows("behaviour first version")
def test_an_object_is_its_own_first_version(server: Server, world: World) -> None:
    wire.accept(server, world.fixture("iti42/folder"))
    objects = all_of(server, world)
    (entry,), folders = of(DocumentEntry, objects), of(Folder, objects)
    assert (entry.logical_id, entry.version) == (entry.entry_uuid, "1")
    for package in (*folders, *of(SubmissionSet, objects)):
        assert (package.lid, package.version_info) == (package.entry_uuid, VersionInfo("1"))


def test_a_submission_set_that_was_stored_without_its_version_has_one(world: World) -> None:
    """Those of a database of before are answered as those of today."""
    uuid = f"urn:uuid:{uuid4()}"
    sent = _sent(world, "iti42/comprehensive_document").submission_set
    new = rendered(ebrim.changed(sent, id=uuid))
    old = re.sub(r' lid="[^"]*"|<rim:VersionInfo[^>]*/>', "", new)
    assert len(old) < len(new)
    before, today = (
        parsed(
            [FoundObject(SubmissionSet, 1, uuid, None, v.APPROVED, "p", fragment=kept(one, uuid))]
        )
        for one in (old, new)
    )
    assert before == today
    assert (before[0].lid, before[0].version_info) == (uuid, VersionInfo("1"))


@shows("behaviour types on return")
def test_types_that_may_be_left_out_are_returned(server: Server, world: World) -> None:
    wire.accept(server, world.fixture("iti42/minimal_document"))
    for thing in all_of(server, world).values():
        for part in thing.classifications:
            assert part.objectType == v.OBJECT_TYPE_CLASSIFICATION
        for identifier in thing.external_identifiers:
            assert identifier.objectType == v.OBJECT_TYPE_EXTERNAL_IDENTIFIER


# --- metadata come back as they were sent --------------------------------------------------------

MADE_BY_THE_REGISTRY = {"entry_uuid", "availability_status", "logical_id", "last_update_time"}


def _content(things: list[RegistryObject]) -> dict[str | None, object]:
    """Return what the registry is to keep of each object that has a uniqueId."""
    return {
        thing.unique_id: (
            {n: getattr(thing, n) for n in thing.attributes() if n not in MADE_BY_THE_REGISTRY},
            [slot for slot in thing.slots if slot.name != "lastUpdateTime"],
            thing.name,
            thing.description,
        )
        for thing in things
        if isinstance(thing, SubmissionSet | DocumentEntry | Folder)
    }


def _sent(world: World, fixture: str) -> Submission:
    request = world.fixture(fixture).find(f".//{{{v.NS_LCM}}}SubmitObjectsRequest")
    return Submission.read(request)


@pytest.mark.parametrize(
    "fixture",
    [
        pytest.param("comprehensive_document", marks=shows("behaviour home")),
        "several_authors",
        "several_languages",
        pytest.param("extra_metadata", marks=shows("behaviour extra metadata")),
        "folder",
    ],
)
def test_metadata_come_back_as_they_were_sent(server: Server, world: World, fixture: str) -> None:
    sent = _sent(world, f"iti42/{fixture}")
    wire.accept(server, sent)
    assert _content(list(all_of(server, world).values())) == _content(list(sent.objects))


@shows("behaviour extra metadata")
def test_extra_slots_of_an_association_come_back(server: Server, world: World) -> None:
    wire.accept(server, world.fixture("iti42/extra_metadata"))
    slots = [
        (slot.name, slot.values)
        for one in of(Association, all_of(server, world))
        for slot in one.slots
    ]
    assert sorted(slots) == [
        ("SubmissionSetStatus", ("Original",)),
        ("urn:example:xds:position", ("1",)),
    ]


@shows("behaviour reason of a relationship")
def test_the_reason_of_a_relationship_comes_back(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    wire.accept(server, world.fixture("iti42/signature"))
    (relation,) = (
        one for one in of(Association, all_of(server, world)) if one.association_type == v.SIGNS
    )
    assert str(relation.documentation) == "author-signs^^2.999.5.9"


# --- relationships -------------------------------------------------------------------------------

ALL_APPROVED = dict.fromkeys((REPORT, IMAGE, ADDENDUM, ADDENDUM_IMAGE, OTHER), "Approved")


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [
        pytest.param(
            "replacement", v.RPLC, marks=shows("behaviour replacement", "behaviour cascade")
        ),
        pytest.param(
            "transformation_and_replacement",
            v.XFRM_RPLC,
            marks=shows("behaviour replacement", "behaviour cascade"),
        ),
    ],
)
def test_a_replacement_deprecates_the_document_and_what_depends_on_it(
    server: Server, world: World, fixture: str, kind: str
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    wire.accept(server, world.fixture(f"iti42/{fixture}"))
    objects = all_of(server, world)
    assert statuses(objects, world) == {
        **dict.fromkeys((REPORT, IMAGE, ADDENDUM, ADDENDUM_IMAGE), "Deprecated"),
        OTHER: "Approved",
    }
    ((source, target),) = links(objects, kind)
    assert target == world.uuid(REPORT)
    assert objects[source].status == v.APPROVED
    assert {one.status for one in of(Association, objects)} == {v.APPROVED}
    assert {one.status for one in of(SubmissionSet, objects)} == {v.APPROVED}


@shows("behaviour cascade")
def test_the_replacement_of_an_addendum_leaves_its_document(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    addendum = edits.attribute(edits.association("relation"), "targetObject", _uuid(ADDENDUM))
    wire.accept(server, message(world, "iti42/replacement", addendum))
    assert statuses(all_of(server, world), world) == {
        **ALL_APPROVED,
        ADDENDUM: "Deprecated",
        ADDENDUM_IMAGE: "Deprecated",
    }


@shows("behaviour cascade")
@pytest.mark.parametrize("kind", [v.XFRM, v.APND])
def test_a_replacement_that_is_derived_as_well_stays_approved(
    server: Server, world: World, kind: str
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    derived = edits.add_association("derivation", kind, "document", _uuid(REPORT))
    wire.accept(server, message(world, "iti42/replacement", derived))
    objects = all_of(server, world)
    assert entry(objects, world.text("2.999.3.32")).status == v.APPROVED
    assert statuses(objects, world)[REPORT] == "Deprecated"


def _uuid(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [("transformation", v.XFRM), ("addendum", v.APND), ("signature", v.SIGNS)],
)
@shows("behaviour other relationships")
def test_other_relationships_change_no_status(
    server: Server, world: World, fixture: str, kind: str
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    before = links(all_of(server, world), kind)
    wire.accept(server, world.fixture(f"iti42/{fixture}"))
    objects = all_of(server, world)
    assert statuses(objects, world) == ALL_APPROVED
    (added,) = set(links(objects, kind)) - set(before)
    assert added[1] == world.uuid(REPORT)


@on_demand
@shows("behaviour other relationships", "ITI-61")
def test_a_snapshot_leaves_the_on_demand_document_approved(server: Server, world: World) -> None:
    registered("iti61/on_demand_document")(server, world)
    wire.accept(server, world.fixture("iti42/snapshot"))
    objects = all_of(server, world)
    assert objects[world.uuid(61)].status == v.APPROVED
    assert [target for _, target in links(objects, v.IS_SNAPSHOT_OF)] == [world.uuid(61)]


@on_demand
@shows("behaviour replacement", "ITI-61")
def test_an_on_demand_document_is_replaced_by_another(server: Server, world: World) -> None:
    registered("iti61/on_demand_document")(server, world)
    wire.accept(server, world.fixture("iti61/replacement_on_demand"))
    entries = of(DocumentEntry, all_of(server, world))
    status = {one.status for one in entries if one.entry_uuid == world.uuid(61)}
    assert status == {v.DEPRECATED}
    assert {one.status for one in entries} == {v.DEPRECATED, v.APPROVED}
    assert all(one.is_on_demand for one in entries)


# --- Folders -------------------------------------------------------------------------------------


def memberships(objects: Mapping[str, RegistryObject], folder: str) -> dict[str, Association]:
    """Return the HasMembers of a Folder by the document that they put into it."""
    return {
        one.target: one
        for one in of(Association, objects)
        if (one.association_type, one.source) == (v.HAS_MEMBER, folder)
    }


@pytest.mark.parametrize("fixture", ["replacement", "transformation_and_replacement"])
@shows("behaviour folder inheritance")
def test_a_replacement_joins_its_predecessors_folders(
    server: Server, world: World, fixture: str
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    sent = world.fixture(f"iti42/{fixture}")
    wire.accept(server, sent)
    objects = all_of(server, world)
    (new_set,) = {one.id for one in of(SubmissionSet, objects)} - {world.uuid(1)}
    (new,) = {one.id for one in of(DocumentEntry, objects)} - {
        world.uuid(number) for number in ALL_APPROVED
    }
    joined = memberships(objects, world.uuid(HEART))
    assert set(joined) == {world.uuid(REPORT), new}
    assert memberships(objects, world.uuid(LUNG)) == {}
    held = links(objects, v.HAS_MEMBER)
    assert (new_set, joined[new].id) in held
    assert len(held) == len(set(held))


@shows("behaviour folder inheritance")
def test_a_membership_that_the_submitter_sent_is_not_doubled(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    by_hand = edits.both(
        edits.has_member("folder-document", _uuid(HEART), "document"),
        edits.has_member("member-folder-document", "submission-set", "folder-document"),
    )
    wire.accept(server, message(world, "iti42/replacement", by_hand))
    held = links(all_of(server, world), v.HAS_MEMBER)
    assert len([end for end in held if end[0] == world.uuid(HEART)]) == 2
    assert len(held) == len(set(held))


@shows("behaviour folder inheritance")
def test_a_deprecated_folder_is_not_joined(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    behind.deprecate_folder(HEART, server, world)
    wire.accept(server, world.fixture("iti42/replacement"))
    assert set(memberships(all_of(server, world), world.uuid(HEART))) == {world.uuid(REPORT)}


@shows("behaviour folder inheritance")
def test_a_folder_is_inherited_from_replacement_to_replacement(
    server: Server, world: World
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    named = edits.replace("document", _uuid(70))
    wire.accept(server, message(world, "iti42/replacement", named))
    wire.accept(
        server,
        message(
            world,
            "iti42/transformation_and_replacement",
            edits.attribute(edits.association("relation"), "targetObject", _uuid(70)),
        ),
    )
    objects = all_of(server, world)
    assert len(memberships(objects, world.uuid(HEART))) == 3
    assert objects[world.uuid(70)].status == v.DEPRECATED


@shows("behaviour folder inheritance")
def test_one_document_may_replace_two_of_one_folder(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    to_heart = edits.attribute(edits.association("folder-document"), "sourceObject", _uuid(HEART))
    wire.accept(server, message(world, "iti42/folder_update", to_heart))
    two = edits.add_association("second", v.RPLC, "document", _uuid(OTHER))
    wire.accept(server, message(world, "iti42/replacement", two))
    objects = all_of(server, world)
    assert statuses(objects, world)[OTHER] == "Deprecated"
    held = [end for end in links(objects, v.HAS_MEMBER) if end[0] == world.uuid(HEART)]
    assert len(held) == 3


def _updated(objects: Mapping[str, RegistryObject], folder: str) -> str:
    found = objects[folder]
    assert isinstance(found, Folder)
    assert found.last_update_time is not None
    return found.last_update_time


def _just_now(dtm: str, since: str) -> bool:
    return len(dtm) == 14 and since <= dtm <= datatypes.now()


@shows("behaviour lastUpdateTime")
def test_a_new_folder_is_of_now_whatever_was_sent(server: Server, world: World) -> None:
    since = datatypes.now()
    wire.accept(server, world.fixture("iti42/folder"))
    folders = of(Folder, all_of(server, world))
    assert len(folders) == 2
    assert all(_just_now(str(one.last_update_time), since) for one in folders)


@shows("behaviour lastUpdateTime", "behaviour later folder update")
@pytest.mark.parametrize(
    ("fixture", "gaining", "staying"),
    [("folder_update", LUNG, HEART), ("replacement", HEART, LUNG)],
)
def test_a_folder_that_gains_a_document_is_of_now(
    server: Server, world: World, fixture: str, gaining: int, staying: int
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    for number in (gaining, staying):
        behind.date(world.uuid(number), "20200101000000", server)
    since = datatypes.now()
    wire.accept(server, world.fixture(f"iti42/{fixture}"))
    objects = all_of(server, world)
    assert _just_now(_updated(objects, world.uuid(gaining)), since)
    assert _updated(objects, world.uuid(staying)) == "20200101000000"


@shows("behaviour later folder update")
def test_a_registered_document_joins_a_registered_folder(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    wire.accept(server, world.fixture("iti42/folder_update"))
    objects = all_of(server, world)
    joined = memberships(objects, world.uuid(LUNG))
    assert set(joined) == {world.uuid(OTHER)}
    (new_set,) = {one.id for one in of(SubmissionSet, objects)} - {world.uuid(1)}
    held = [target for source, target in links(objects, v.HAS_MEMBER) if source == new_set]
    assert held == [joined[world.uuid(OTHER)].id]


@shows("behaviour reference")
def test_a_document_is_shared_anew_by_another_patients_submission(
    server: Server, world: World
) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    wire.accept(server, world.fixture("iti42/reference"))
    objects = all_of(server, world, patient=2)
    (the_set,) = of(SubmissionSet, objects)
    status = {
        one.target: one.submission_set_status
        for one in of(Association, objects)
        if one.source == the_set.id
    }
    assert status.pop(world.uuid(REPORT)) == "Reference"
    assert list(status.values()) == ["Original"]


@shows("behaviour SubmissionSet")
def test_a_submission_set_never_changes(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)

    def first_set() -> tuple[object, set[str]]:
        objects = all_of(server, world)
        held = {target for source, target in links(objects, v.HAS_MEMBER) if source == first}
        return objects[first], held

    first = world.uuid(1)
    before = first_set()
    for fixture in ("replacement", "folder_update"):
        wire.accept(server, world.fixture(f"iti42/{fixture}"))
    assert first_set() == before


# --- a domain's own ------------------------------------------------------------------------------


@shows("behaviour home")
def test_the_home_of_the_community_is_set_where_none_came(
    domain_server: Server, known_world: World
) -> None:
    wire.accept(domain_server, known_world.fixture("iti42/minimal_document"))
    patient_id = known_world.patient(1)
    leaves = wire.get_all(domain_server, patient_id)
    assert {thing.home for thing in leaves.objects.values()} == {"urn:oid:2.999.1.40"}
    references = wire.get_all(domain_server, patient_id, v.OBJECT_REF)
    assert {one.get("home") for one in references.elements} == {"urn:oid:2.999.1.40"}


@shows("behaviour home")
def test_a_home_that_came_stays(domain_server: Server, known_world: World) -> None:
    wire.accept(domain_server, known_world.fixture("iti42/comprehensive_document"))
    objects = wire.get_all(domain_server, known_world.patient(1)).objects
    homes = {type(thing): thing.home for thing in objects.values()}
    assert homes == {
        SubmissionSet: "urn:oid:2.999.1.4",
        DocumentEntry: "urn:oid:2.999.1.4",
        Association: "urn:oid:2.999.1.40",
    }
