"""Link changes: which objects get a new version, of what, and what stays as it was."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, repeat

import pytest
from lxml import etree

from tests.registry.wire import World
from xds.database.access import Database
from xds.errors import TransactionFailure
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.ebrim import Slot, VersionInfo
from xds.metadata.objects import (
    Association,
    Code,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
    interpreted,
)
from xds.metadata.submission import Submission
from xds.parsing import parse
from xds.registry.events import Event
from xds.registry.identities import Fault, IdentityFinding, IdentityRefused, PatientIdentities, Role
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.registry import DocumentRegistry
from xds.registry.versions.link_changes import LinkChange, LinkPolicy

LOCAL, OTHER_LOCAL = "MRN77^^^&2.999.1.2&ISO", "MRN78^^^&2.999.1.2&ISO"
MANAGER = "2.999.9.5"


@dataclass(frozen=True)
class Registry:
    """A registry with a patient's objects, to be submitted and looked at as the wire would."""

    registry: DocumentRegistry
    identities: PatientIdentities
    world: World

    def submit(self, name: str, *local: str, folder: int | None = None) -> None:
        """Register a fixture; its documents have these sourcePatientIds, the last for the rest.

        ``folder`` is the number of the Folder to use in place of number 21.
        """
        text = etree.tostring(self.world.fixture(name)).decode()
        if folder is not None:
            text = text.replace(self.world.uuid(21), self.world.uuid(folder))
        made = _submission(text)
        listed = chain(local or (LOCAL,), repeat(local[-1] if local else LOCAL))
        self.registry.register(
            made.with_objects(
                one.updated(source_patient_id=next(listed))
                if isinstance(one, DocumentEntry)
                else one
                for one in made.objects
            )
        )

    def change(self, **more: str) -> None:
        """Link the local id to patient 2 in place of patient 1."""
        given = {"local": LOCAL, "new": self.patient(2), "previous": self.patient(1)}
        self.identities.change_link(LinkChange(**{**given, "source_id": MANAGER, **more}))

    def patient(self, number: int) -> str:
        """Return a patient id."""
        return self.world.patient(number)

    def all_of(self, number: int) -> list[MetadataObject]:
        """Return all that the registry has of a patient, as a consumer reads it."""
        both = f"('{v.APPROVED}','{v.DEPRECATED}')"
        names = ("SubmissionSet", "DocumentEntry", "Folder")
        slots = [Slot(f"$XDS{name}Status", (both,)) for name in names]
        slots.append(Slot("$patientId", (f"'{self.patient(number)}'",)))
        found = self.registry.query(QueryRequest(v.GET_ALL, slots), ANYTHING).objects
        return _read(one.leaf() for one in found)

    def events(self) -> list[Event]:
        """Return all events."""
        return self.registry.events()


def _read(leaves: Iterator[bytes]) -> list[MetadataObject]:
    root = parse(f'<rim:List xmlns:rim="{v.NS_RIM}">'.encode() + b"".join(leaves) + b"</rim:List>")
    found = [interpreted(one) for one in ebrim.read_list(root)]
    assert all(isinstance(one, MetadataObject) for one in found)
    return [one for one in found if isinstance(one, MetadataObject)]


@pytest.fixture
def registry(database: Database) -> Registry:
    policy = LinkPolicy(home_community_id="urn:oid:2.999.1.40", content_type=Code("c", "s", "n"))
    identities = PatientIdentities(database, "2.999.1.1", policy)
    return Registry(DocumentRegistry(database=database), identities, World.new())


def of(kind: type[MetadataObject], objects: list[MetadataObject]) -> list[MetadataObject]:
    """Return the objects of a kind."""
    return [one for one in objects if type(one) is kind]


def same_but(
    new: DocumentEntry | Folder, old: DocumentEntry | Folder, *names: str
) -> dict[str, bool]:
    """Tell of every attribute whether the two versions agree in it."""
    return {
        name: getattr(new, name) == getattr(old, name)
        for name in type(new).attributes()
        if name not in names
    }


def test_a_document_gets_a_new_version_of_the_new_patient(registry: Registry) -> None:
    registry.submit("iti42/comprehensive_document")
    registry.change()
    (old,) = of(DocumentEntry, registry.all_of(1))
    (new,) = of(DocumentEntry, registry.all_of(2))
    assert isinstance(old, DocumentEntry)
    assert isinstance(new, DocumentEntry)
    assert (old.status, old.version, new.status, new.version) == (
        v.DEPRECATED,
        "1",
        v.APPROVED,
        "2",
    )
    assert new.id != old.id == old.lid == new.lid
    changed = ("entry_uuid", "availability_status", "patient_id")
    assert set(same_but(new, old, *changed).values()) == {True}
    for ours, theirs in ((new.classifications, old.classifications),):
        assert len(ours) == len(theirs)
        assert not {one.id for one in ours} & {one.id for one in theirs}
        assert {one.classifiedObject for one in ours} == {new.id}
    assert {one.registryObject for one in new.external_identifiers} == {new.id}


def test_a_document_is_given_out_to_its_new_patient_alone(registry: Registry) -> None:
    registry.submit("iti42/comprehensive_document")
    (entry,) = of(DocumentEntry, registry.all_of(1))
    assert isinstance(entry, DocumentEntry)
    unique_id, repository = entry.unique_id or "", entry.repository_unique_id or ""
    registry.change()
    for number, is_new in ((1, False), (2, True)):
        own = Comparison("patient_id", Operator.EQUAL, (registry.patient(number),))
        with registry.registry.view(own) as view:
            assert bool(view.documents([unique_id], repository)) is is_new
    recorded = registry.registry.patients_of_documents([unique_id])
    assert recorded == {unique_id: [registry.patient(2)]}


def test_the_registry_makes_a_submission_set_for_it(registry: Registry) -> None:
    registry.submit("iti42/folder")
    registry.change()
    found = registry.all_of(2)
    (made,) = of(SubmissionSet, found)
    assert isinstance(made, SubmissionSet)
    assert (made.source_id, made.patient_id, made.author) == (MANAGER, registry.patient(2), ())
    assert made.content_type_code == Code("c", "s", "n")
    assert made.home_community_id == "urn:oid:2.999.1.40"
    assert made.unique_id is not None
    assert made.unique_id.startswith("2.25.")
    associations = [one for one in found if isinstance(one, Association)]
    members = {one.target: one for one in associations if one.source == made.id}
    (entry,), (holder,) = of(DocumentEntry, found), of(Folder, found)
    (membership,) = (one for one in associations if one.source == holder.id)
    assert members.keys() == {entry.id, holder.id, membership.id}
    assert members[entry.id].submission_set_status == v.ORIGINAL
    assert membership.target == entry.id
    assert made.id not in {one.id for one in registry.all_of(1)}


def test_a_folder_of_the_local_id_only_goes_too(registry: Registry) -> None:
    registry.submit("iti42/folder")
    before = {one.id: one for one in of(Folder, registry.all_of(1))}
    registry.change()
    after = {one.id: one for one in of(Folder, registry.all_of(1))}
    (new,) = of(Folder, registry.all_of(2))
    assert isinstance(new, Folder)
    gone = after[new.lid or ""]
    assert (gone.status, new.status) == (v.DEPRECATED, v.APPROVED)
    assert new.version_info == VersionInfo("2")
    changed = ("entry_uuid", "availability_status", "patient_id", "last_update_time")
    assert isinstance(gone, Folder)
    assert set(same_but(new, gone, *changed).values()) == {True}
    assert (new.last_update_time or "") >= (gone.last_update_time or "")
    (empty,) = (one for one in after.values() if one.id != gone.id)
    assert empty == before[empty.id]


def test_a_folder_with_documents_of_another_local_id_stays(registry: Registry) -> None:
    registry.submit("iti42/preassigned_uuids", LOCAL, OTHER_LOCAL)
    registry.submit("iti42/folder_update", folder=20)
    folders = of(Folder, registry.all_of(1))
    assert len(folders) == 2
    registry.change()
    assert len(of(DocumentEntry, registry.all_of(2))) == 1
    assert of(Folder, registry.all_of(2)) == []
    assert of(Folder, registry.all_of(1)) == folders


def test_only_documents_of_the_local_id_and_the_patient_go(registry: Registry) -> None:
    registry.submit("iti42/several_documents", OTHER_LOCAL)
    kept = registry.all_of(1)
    registry.change()
    assert registry.all_of(1) == kept
    assert registry.all_of(2) == []
    registry.change(local=OTHER_LOCAL, previous=registry.patient(3))
    assert registry.all_of(1) == kept
    assert "updated" not in {one.kind for one in registry.events()}


def test_relationships_are_made_again_between_new_versions(registry: Registry) -> None:
    registry.submit("iti42/preassigned_uuids")
    registry.submit("iti42/addendum")
    old = relationships(registry.all_of(1))
    registry.change()
    new = relationships(registry.all_of(2))
    assert [kind for kind, _, _ in new] == [kind for kind, _, _ in old] != []
    entries = {one.lid: one.id for one in of(DocumentEntry, registry.all_of(2))}
    assert new == [(kind, entries[source], entries[target]) for kind, source, target in old]


def relationships(objects: list[MetadataObject]) -> list[tuple[str, str, str]]:
    """Return the Associations between documents."""
    return [
        (one.association_type, one.source, one.target)
        for one in objects
        if isinstance(one, Association) and one.association_type in v.RELATIONSHIPS
    ]


def test_what_is_deprecated_is_left_alone(registry: Registry) -> None:
    registry.submit("iti42/preassigned_uuids")
    registry.submit("iti42/replacement")
    replaced = {
        one.id for one in of(DocumentEntry, registry.all_of(1)) if one.status == v.DEPRECATED
    }
    assert replaced
    registry.change()
    new = of(DocumentEntry, registry.all_of(2))
    assert not {one.lid for one in new} & replaced
    assert relationships(registry.all_of(2)) == []


def test_a_subsumed_local_id_gives_way_to_the_one_that_replaces_it(registry: Registry) -> None:
    registry.submit("iti42/minimal_document", OTHER_LOCAL)
    registry.change(subsumed_local=OTHER_LOCAL)
    (new,) = of(DocumentEntry, registry.all_of(2))
    assert isinstance(new, DocumentEntry)
    assert (new.source_patient_id, new.patient_id) == (LOCAL, registry.patient(2))


def test_a_local_merge_within_one_patient_keeps_folders_together(registry: Registry) -> None:
    registry.submit("iti42/folder", OTHER_LOCAL)
    registry.change(subsumed_local=OTHER_LOCAL, new=registry.patient(1))
    approved = [one for one in registry.all_of(1) if one.status == v.APPROVED]
    (entry,), holders = of(DocumentEntry, approved), of(Folder, approved)
    assert isinstance(entry, DocumentEntry)
    assert entry.source_patient_id == LOCAL
    held = {
        (one.source, one.target)
        for one in approved
        if isinstance(one, Association) and one.source in {holder.id for holder in holders}
    }
    assert [target for _, target in held] == [entry.id]


def test_links_may_change_again_and_again(registry: Registry) -> None:
    registry.submit("iti42/folder")
    registry.change()
    registry.change(new=registry.patient(1), previous=registry.patient(2))
    entries = [
        (one.patient_id, one.version, one.status)
        for number in (1, 2)
        for one in of(DocumentEntry, registry.all_of(number))
        if isinstance(one, DocumentEntry)
    ]
    one, two = registry.patient(1), registry.patient(2)
    assert entries == [
        (one, "1", v.DEPRECATED),
        (one, "3", v.APPROVED),
        (two, "2", v.DEPRECATED),
    ]
    assert len({one.unique_id for one in registry.all_of(1) if isinstance(one, DocumentEntry)}) == 1


def test_a_document_is_its_new_patients_when_it_is_registered_again(registry: Registry) -> None:
    registry.submit("iti42/minimal_document")
    registry.change()
    made = registry.world.fixture("iti42/minimal_document")
    again = (
        etree.tostring(made)
        .decode()
        .replace(registry.world.text("2.999.2.1"), registry.world.text("2.999.2.9"))
    )
    with pytest.raises(TransactionFailure) as refused:
        registry.registry.register(_submission(again))
    assert [error.code for error in refused.value.errors] == ["XDSPatientIdDoesNotMatch"]
    previous, new = (registry.patient(number).replace("&", "&amp;") for number in (1, 2))
    registry.registry.register(_submission(again.replace(previous, new)))


def _submission(text: str) -> Submission:
    return Submission.read(etree.fromstring(text).find(f"{{{v.NS_SOAP12}}}Body")[0])


def test_events_tell_of_it(registry: Registry) -> None:
    registry.submit("iti42/minimal_document")
    last = registry.events()[-1].number
    registry.change()
    told = registry.registry.events(last)
    assert [(one.kind, one.object_kind, one.patient_id) for one in told] == [
        ("registered", "SubmissionSet", registry.patient(2)),
        ("updated", "DocumentEntry", registry.patient(2)),
        ("deprecated", "DocumentEntry", registry.patient(1)),
    ]
    assert {one.submission_set for one in told} == {told[0].entry_uuid}


@pytest.mark.parametrize(
    ("ids", "finding"),
    [
        ({"new": "X^^^&2.999.1.2&ISO"}, IdentityFinding(Role.NEW, Fault.FOREIGN)),
        ({"previous": "X^^^&2.999.1.2&ISO"}, IdentityFinding(Role.PREVIOUS, Fault.FOREIGN)),
        ({"new": "X^^^&2.999.1.1&ISO"}, IdentityFinding(Role.NEW, Fault.UNKNOWN)),
        ({"new": "S^^^&2.999.1.1&ISO"}, IdentityFinding(Role.NEW, Fault.SUBSUMED_BEFORE)),
    ],
)
def test_a_refused_change_changes_nothing(
    registry: Registry, ids: dict[str, str], finding: IdentityFinding
) -> None:
    registry.submit("iti42/minimal_document")
    for one in ("S", "T"):
        registry.identities.add(f"{one}^^^&2.999.1.1&ISO")
    registry.identities.merge(subsumed="S^^^&2.999.1.1&ISO", surviving="T^^^&2.999.1.1&ISO")
    before = registry.all_of(1)
    strict = replace(registry.identities, link_policy=LinkPolicy(learn_patients=False))
    with pytest.raises(IdentityRefused) as refused:
        replace(registry, identities=strict).change(**ids)
    assert refused.value.findings == (finding,)
    assert registry.all_of(1) == before


def test_a_change_to_the_same_patient_is_none(registry: Registry) -> None:
    registry.submit("iti42/minimal_document")
    before = registry.all_of(1)
    registry.change(new=registry.patient(1))
    assert registry.all_of(1) == before
