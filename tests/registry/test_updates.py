"""Updates of metadata through the wire: what a good one leaves, as a consumer sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from tests.registry import edits, wire
from tests.registry.violations import message, registered
from tests.registry.wire import World
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)

shows = pytest.mark.shows
Filter = Callable[[MetadataObject], bool]


@dataclass(frozen=True)
class Updated:
    """A patient with the documents and Folders of preassigned_uuids."""

    server: Server
    world: World

    def send(self, fixture: str, edit: edits.Edit | None = None) -> None:
        """Send an update, which must be accepted."""
        sent = message(self.world, fixture, edit)
        wire.require_valid(sent)
        wire.accept(self.server, sent)

    def all(self, patient: int = 1) -> dict[str, MetadataObject]:
        """Return all that is registered of a patient, by entryUUID."""
        answer = wire.get_all(self.server, self.world.patient(patient), level="2")
        return {
            uuid: one for uuid, one in answer.objects.items() if isinstance(one, MetadataObject)
        }

    def uuid(self, number: int) -> str:
        """Return an entryUUID of the fixtures."""
        return self.world.uuid(number)

    def versions(self, number: int, patient: int = 1) -> list[DocumentEntry | Folder]:
        """Return the versions of a logical object, the first one first."""
        found = [
            one
            for one in self.all(patient).values()
            if isinstance(one, DocumentEntry | Folder) and one.lid == self.uuid(number)
        ]
        return sorted(found, key=lambda one: int(one.version or 0))


@pytest.fixture
def updated(update_server: Server, world: World) -> Updated:
    registered("iti42/preassigned_uuids")(update_server, world)
    return Updated(update_server, world)


def _joins(objects: dict[str, MetadataObject], kind: str) -> set[tuple[str, str]]:
    return {
        (one.source, one.target)
        for one in objects.values()
        if isinstance(one, Association) and one.association_type == kind
    }


_OF_REPORT_ALONE: Final = edits.both(
    edits.remove(
        *(edits.association(f"status-{one}") for one in ("folder", "membership", "relation"))
    ),
    edits.attribute(
        edits.association("status-document"),
        "targetObject",
        "urn:uuid:00000000-0000-4000-8000-000000000010",
    ),
)


@shows("ITI-57", "behaviour versions")
def test_a_document_gets_a_further_version(updated: Updated) -> None:
    updated.send("iti57/document_version")
    old, new = updated.versions(10)
    assert (old.id, old.status, old.version) == (updated.uuid(10), v.DEPRECATED, "1")
    assert (new.status, new.version) == (v.APPROVED, "2")
    assert new.id not in (old.id, new.lid)
    assert isinstance(new, DocumentEntry)
    assert [one.code for one in new.confidentiality_code] == ["R"]
    assert new.unique_id == old.unique_id


@shows("behaviour propagation")
def test_what_joins_the_version_before_is_made_again(updated: Updated) -> None:
    before = updated.all()
    updated.send("iti57/document_version")
    after = updated.all()
    _, new = updated.versions(10)
    added = {uuid: one for uuid, one in after.items() if uuid not in before}
    heart = updated.uuid(20)
    assert (heart, new.id) in _joins(added, v.HAS_MEMBER)
    assert _joins(added, v.XFRM) == {(updated.uuid(11), new.id)}
    assert _joins(added, v.APND) == {(updated.uuid(12), new.id)}
    (made,) = (one for one in added.values() if isinstance(one, SubmissionSet))
    membership = next(
        one.id
        for one in added.values()
        if isinstance(one, Association) and one.source == heart and one.target == new.id
    )
    of_set = {target for source, target in _joins(added, v.HAS_MEMBER) if source == made.id}
    assert of_set == {new.id, membership}
    kept = {uuid: one for uuid, one in before.items() if isinstance(one, Association)}
    assert {uuid: after[uuid] for uuid in kept} == kept
    holder = after[heart]
    assert isinstance(holder, Folder)
    assert (holder.last_update_time or "") >= (before[heart].last_update_time or "")  # type: ignore[attr-defined]


@shows("behaviour propagation")
def test_nothing_is_made_again_where_the_update_says_so(updated: Updated) -> None:
    before = updated.all()
    propagation = edits.slot(edits.association("member-document"), "AssociationPropagation")
    updated.send("iti57/document_version", edits.values(propagation, "no"))
    added = {uuid: one for uuid, one in updated.all().items() if uuid not in before}
    assert {type(one) for one in added.values()} == {SubmissionSet, DocumentEntry, Association}
    assert len(added) == 3


@shows("behaviour propagation")
def test_what_is_deprecated_is_not_made_again(updated: Updated) -> None:
    updated.send("iti57/statuses")  # among these a membership and an addendum of the document
    before = updated.all()
    updated.send("iti57/document_version")
    added = {uuid: one for uuid, one in updated.all().items() if uuid not in before}
    _, new = updated.versions(10)
    (made,) = (one for one in added.values() if isinstance(one, SubmissionSet))
    assert _joins(added, v.XFRM) == {(updated.uuid(11), new.id)}
    assert _joins(added, v.APND) == set()
    assert _joins(added, v.HAS_MEMBER) == {(made.id, new.id)}


@shows("behaviour versions")
def test_a_version_has_the_status_of_the_one_before(updated: Updated) -> None:
    updated.send("iti57/statuses", _OF_REPORT_ALONE)
    updated.send("iti57/document_version")
    assert [one.status for one in updated.versions(10)] == [v.DEPRECATED] * 2


@shows("behaviour versions")
def test_status_and_version_as_submitted_are_passed_over(updated: Updated) -> None:
    said = edits.both(
        edits.attribute("//rim:ExtrinsicObject", "status", v.DEPRECATED),
        edits.before(
            "//rim:ExtrinsicObject/rim:Classification", '<rim:VersionInfo versionName="9"/>'
        ),
    )
    updated.send("iti57/document_version", said)
    _, new = updated.versions(10)
    assert (new.status, new.version) == (v.APPROVED, "2")


@shows("behaviour propagation")
@pytest.mark.parametrize("why", ["the document is Deprecated", "the update says so"])
def test_a_folder_gets_a_further_version_without_documents(updated: Updated, why: str) -> None:
    says_so = edits.add_slot(
        edits.association("member-folder"), "AssociationPropagation", v.NOT_PROPAGATED
    )
    if why == "the document is Deprecated":
        updated.send("iti57/statuses", _OF_REPORT_ALONE)
        says_so = edits.nothing
    updated.send("iti57/folder_version", says_so)
    _, new = updated.versions(20)
    of_folder = {one for one in _joins(updated.all(), v.HAS_MEMBER) if one[0] == new.id}
    assert of_folder == set()


@shows("behaviour versions")
def test_a_folder_gets_a_further_version_with_its_documents(updated: Updated) -> None:
    updated.send("iti57/folder_version")
    old, new = updated.versions(20)
    assert (old.status, new.status, new.version) == (v.DEPRECATED, v.APPROVED, "2")
    joined = _joins(updated.all(), v.HAS_MEMBER)
    assert {(old.id, updated.uuid(10)), (new.id, updated.uuid(10))} <= joined


@shows("behaviour propagation")
def test_objects_that_are_updated_together_are_joined_once(updated: Updated) -> None:
    updated.send("iti57/folder_and_document_versions")
    old_document, document = updated.versions(10)
    old_folder, folder = updated.versions(20)
    ends = {old_document.id, document.id, old_folder.id, folder.id}
    joined = {pair for pair in _joins(updated.all(), v.HAS_MEMBER) if set(pair) <= ends}
    assert joined == {(old_folder.id, old_document.id), (folder.id, document.id)}


@shows("behaviour versions")
def test_many_versions_follow_each_other(updated: Updated) -> None:
    for number in range(1, 6):
        updated.send("iti57/document_version", _next(number))
    found = updated.versions(10)
    assert [one.version for one in found] == ["1", "2", "3", "4", "5", "6"]
    assert [one.status for one in found] == [v.DEPRECATED] * 5 + [v.APPROVED]


def _next(previous: int) -> edits.Edit:
    member = edits.association("member-document")
    return edits.both(
        edits.values(edits.slot(member, "PreviousVersion"), str(previous)),
        edits.replace("2.999.2.57", f"2.999.2.57{previous}"),
    )


@shows("behaviour status changes")
def test_statuses_are_changed_without_a_version(updated: Updated) -> None:
    before = updated.all()
    updated.send("iti57/statuses")
    after = updated.all()
    changed = {uuid for uuid in before if after[uuid].status != before[uuid].status}
    assert changed == {updated.uuid(number) for number in (14, 21, 40, 51)}
    (added,) = after.keys() - before.keys()
    assert isinstance(after[added], SubmissionSet)
    back = edits.both(
        edits.replace("StatusType:Approved", "StatusType:Old"),
        edits.replace("StatusType:Deprecated", "StatusType:Approved"),
        edits.replace("StatusType:Old", "StatusType:Deprecated"),
        edits.replace("2.999.2.60", "2.999.2.600"),
    )
    updated.send("iti57/statuses", back)
    again = updated.all()
    assert {uuid: again[uuid].status for uuid in before} == {
        uuid: one.status for uuid, one in before.items()
    }


@shows("behaviour status changes", "rule not_replaced")
@pytest.mark.parametrize("ending", ["the replacement", "the relation"])
def test_what_is_not_replaced_any_more_is_approved_again(updated: Updated, ending: str) -> None:
    before = updated.all()
    updated.send("iti42/replacement")
    (relation,) = (
        one
        for one in updated.all().values()
        if isinstance(one, Association) and one.association_type == v.RPLC
    )
    ended = relation.source if ending == "the replacement" else relation.id
    status = edits.association("status-document")
    updated.send(
        "iti57/statuses",
        edits.both(
            edits.remove(*map(edits.association, ("status-folder", "status-membership"))),
            edits.attribute(status, "targetObject", updated.uuid(10)),
            edits.values(edits.slot(status, "OriginalStatus"), v.DEPRECATED),
            edits.values(edits.slot(status, "NewStatus"), v.APPROVED),
            edits.attribute(edits.association("status-relation"), "targetObject", ended),
        ),
    )
    after = updated.all()
    original = updated.uuid(10)
    assert after[original].status == before[original].status
    assert after[ended].status == v.DEPRECATED


@shows("behaviour status changes")
def test_a_version_and_a_status_in_one_update(updated: Updated) -> None:
    status = edits.add_object(
        '<rim:Association id="status" '
        f'associationType="{v.UPDATE_AVAILABILITY_STATUS}" sourceObject="submission-set" '
        'targetObject="urn:uuid:00000000-0000-4000-8000-000000000010">'
        f'<rim:Slot name="OriginalStatus"><rim:ValueList><rim:Value>{v.APPROVED}</rim:Value>'
        '</rim:ValueList></rim:Slot><rim:Slot name="NewStatus"><rim:ValueList>'
        f"<rim:Value>{v.DEPRECATED}</rim:Value></rim:ValueList></rim:Slot></rim:Association>"
    )
    updated.send("iti57/document_version", status)
    assert [one.status for one in updated.versions(10)] == [v.DEPRECATED] * 2


@shows("behaviour new Associations")
def test_registered_objects_are_joined(updated: Updated) -> None:
    before = updated.all()
    updated.send("iti57/new_associations")
    after = updated.all()
    added = {uuid: one for uuid, one in after.items() if uuid not in before}
    lung, other = updated.uuid(21), updated.uuid(14)
    assert _joins(added, v.APND) == {(other, updated.uuid(10))}
    membership = next(
        one.id for one in added.values() if isinstance(one, Association) and one.source == lung
    )
    (made,) = (one for one in added.values() if isinstance(one, SubmissionSet))
    assert _joins(added, v.HAS_MEMBER) == {(lung, other), (made.id, membership)}


@shows("ITI-92")
def test_a_restricted_update_makes_a_version_too(updated: Updated) -> None:
    registered("iti42/reference")(updated.server, updated.world)
    before = updated.all()
    updated.send("iti92/document_version")
    old, new = updated.versions(10)
    assert (old.status, new.status, new.version) == (v.DEPRECATED, v.APPROVED, "2")
    after = updated.all()
    references = [
        one
        for one in after.values()
        if isinstance(one, Association) and one.submission_set_status == v.REFERENCE
    ]
    told = sorted((one.status == v.APPROVED, one.target) for one in references)
    assert told == [(False, old.id), (True, new.id)]
    assert len({one.source for one in references}) == 1
    assert not {one.source for one in references} & (after.keys() - before.keys())


@shows("behaviour option of updates")
def test_a_registry_without_the_option_answers_none_of_it(server: Server, world: World) -> None:
    for fixture in ("iti57/document_version", "iti92/document_version", "iti62/one_document"):
        fault = wire.post(server, message(world, fixture))
        assert b"ActionNotSupported" in fault
    assert b":UpdateDocumentSet" not in wire.get(server, "/registry?wsdl")
    assert b':RemoveDocuments"' not in wire.get(server, "/repository?wsdl")


@shows("behaviour option of updates")
def test_a_registry_with_the_option_describes_it(update_server: Server) -> None:
    described = wire.get(update_server, "/registry?wsdl")
    for action in ("UpdateDocumentSet", "RestrictedUpdateDocumentSet", "DeleteDocumentSet"):
        assert f":{action}".encode() in described
