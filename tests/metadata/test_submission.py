"""A submission is read and written without loss, and its symbolic ids become UUIDs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from xds import schema_validation
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.attributes import slot_of
from xds.metadata.ebrim import Classification, RegistryObject, UnusedObject
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
REQUEST = f"{{{v.NS_LCM}}}SubmitObjectsRequest"
RIM = f"{{{v.NS_RIM}}}"
SIBLINGS = FIXTURES / "iti42" / "sibling_classifications.xml"
"""Its types move into their packages, so that it is not written as it was read."""
MESSAGES = sorted(set((FIXTURES / "iti42").glob("*.xml")) - {SIBLINGS})

UNUSUAL = f"""
<rim:ExtrinsicObject xmlns:rim="{v.NS_RIM}" id="d" home="urn:oid:2.999" lid="urn:uuid:1"
    objectType="{v.STABLE_DOCUMENT_ENTRY}" status="urn:s" mimeType="text/plain" isOpaque="true">
<rim:Slot name="urn:example:1" slotType="urn:t"><rim:ValueList><rim:Value>b</rim:Value>
<rim:Value>a  a</rim:Value><rim:Value>b</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="urn:example:1"><rim:ValueList><rim:Value>twice</rim:Value></rim:ValueList>
</rim:Slot>
<rim:Name><rim:LocalizedString value="&lt;T&gt; &amp; &quot;t&quot; &#9;&#10;&#13;."/>
<rim:LocalizedString xml:lang="de" charset="UTF-8" value="Größe"/></rim:Name>
<rim:Description><rim:LocalizedString xml:lang="ja" value="退院 𠮷"/></rim:Description>
<rim:VersionInfo versionName="3" comment="third"/>
<rim:Classification id="c" classificationScheme="urn:uuid:9" classifiedObject="d"
    nodeRepresentation="n" home="urn:oid:1" lid="c" status="urn:s" objectType="urn:o">
<rim:Slot name="codingScheme"><rim:ValueList><rim:Value>1</rim:Value><rim:Value>2</rim:Value>
</rim:ValueList></rim:Slot><rim:Name><rim:LocalizedString value="x"/></rim:Name>
<rim:Description><rim:LocalizedString value="y"/></rim:Description>
<rim:VersionInfo versionName="2"/>
<rim:Classification id="cc" classificationNode="urn:uuid:8" classifiedObject="c"/>
<rim:ExternalIdentifier id="ce" registryObject="c" identificationScheme="urn:uuid:7" value="v"/>
</rim:Classification>
<rim:ExternalIdentifier id="e" registryObject="d" identificationScheme="urn:uuid:7" value="&amp;1">
<rim:Slot name="s"><rim:ValueList><rim:Value>1</rim:Value></rim:ValueList></rim:Slot>
</rim:ExternalIdentifier>
<rim:ContentVersionInfo versionName="9" comment="c"/>
</rim:ExtrinsicObject>"""


def request(path: Path) -> etree._Element:
    return next(etree.parse(path).getroot().iter(REQUEST))


def of(objects: str) -> Submission:
    return Submission.read(
        etree.fromstring(
            f'<lcm:SubmitObjectsRequest xmlns:lcm="{v.NS_LCM}" xmlns:rim="{v.NS_RIM}">'
            f"<rim:RegistryObjectList>{objects}</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"
        )
    )


def objects_in(root: etree._Element) -> list[bytes]:
    """Return the canonical form of each object, without the layout between elements."""
    for element in root.iter(etree.Element):
        if len(element) or element.tag != f"{RIM}Value":
            element.text = None
        element.tail = None
    listed = root.find(f"{RIM}RegistryObjectList")
    return [
        etree.tostring(one, method="c14n", exclusive=True, with_comments=False) for one in listed
    ]


# --- without loss --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_message_is_written_back_as_it_was_read(path: Path) -> None:
    read = Submission.read(request(path))
    written = etree.fromstring(read.render())
    assert schema_validation.problems(written) == []
    assert objects_in(written) == objects_in(request(path))
    assert Submission.read(written) == read


def test_everything_that_ebrim_can_say_is_kept() -> None:
    read = of(UNUSUAL)
    written = etree.fromstring(read.render())
    expected = etree.fromstring(
        f"<l><rim:RegistryObjectList xmlns:rim='{v.NS_RIM}'>{UNUSUAL}</rim:RegistryObjectList></l>"
    )
    assert objects_in(written) == objects_in(expected)


def test_types_beside_their_packages_are_taken_into_them() -> None:
    read = Submission.read(request(SIBLINGS))
    assert [type(thing) for thing in read.objects] == [SubmissionSet, Folder, Association]
    written = etree.fromstring(read.render())
    assert schema_validation.problems(written) == []
    assert list(written.find(f"{RIM}RegistryObjectList").iterchildren(f"{RIM}Classification")) == []
    assert Submission.read(written) == read


def test_repeated_values_keep_their_order() -> None:
    (entry,) = Submission.read(request(FIXTURES / "iti42" / "extra_metadata.xml")).document_entries
    slot = slot_of(entry, "urn:example:xds:keywords")
    assert slot is not None
    assert slot.values == ("heart", "angiography", "heart")
    authors = Submission.read(request(FIXTURES / "iti42" / "several_authors.xml"))
    (entry,) = authors.document_entries
    assert [author.person[:1] or author.institution[:1] for author in entry.author] == [
        ("77^Ruiz^Elena^^^Dr^^^&2.999.1.6&ISO",),
        ("^Okafor^Ngozi",),
        ("Laboratory^^^^^&2.999.1.7&ISO^^^^L1",),
    ]


# --- what a submission consists of ---------------------------------------------------------------


def test_objects_are_told_apart() -> None:
    read = Submission.read(request(FIXTURES / "iti42" / "folder.xml"))
    assert [len(kind) for kind in (read.submission_sets, read.document_entries)] == [1, 1]
    assert [thing.id for thing in read.folders] == ["folder", "empty-folder"]
    assert [thing.id for thing in read.has_member(SubmissionSet)] == [
        "member-document",
        "member-folder",
        "member-empty-folder",
        "member-folder-document",
    ]
    assert [thing.id for thing in read.has_member(Folder)] == ["folder-document"]
    assert list(read.relationships()) == []
    assert read.others == ()
    assert read.submission_set.id == "submission-set"
    assert read.by_id["folder"] is read.folders[0]


def test_relationships_are_found() -> None:
    read = Submission.read(request(FIXTURES / "iti42" / "several_documents.xml"))
    assert [thing.id for thing in read.relationships()] == ["transforms", "appends", "signs"]


def test_what_is_foreign_is_kept_for_a_rule_to_name() -> None:
    read = of(
        '<rim:Service id="s"/><rim:RegistryPackage id="p"/><rim:ObjectRef id="urn:uuid:1"/>'
        '<rim:Classification id="c" classifiedObject="nobody" classificationNode="n"/>'
    )
    assert [thing.id for thing in read.others] == ["s", "p", "c"]
    assert isinstance(read.others[0], UnusedObject)
    assert isinstance(read.others[2], Classification)


# --- symbolic ids --------------------------------------------------------------------------------


def references(thing: RegistryObject) -> Iterator[str]:
    for part in thing.classifications:
        yield part.classifiedObject
    for identifier in thing.external_identifiers:
        yield identifier.registryObject


def test_symbolic_ids_become_uuids_the_same_wherever_they_stand() -> None:
    read = Submission.read(request(FIXTURES / "iti42" / "folder.xml"))
    named = read.with_uuids()
    given = {old.id: new.id for old, new in zip(read.objects, named.objects, strict=True)}
    assert len(set(given.values())) == len(read.objects)
    for uuid in given.values():
        datatypes.check_uuid(uuid)
    for thing in named.objects:
        assert set(references(thing)) <= {thing.id}
    for old, new in zip(read.associations, named.associations, strict=True):
        assert (new.source, new.target) == (given[old.source], given[old.target])


def test_parts_get_uuids_and_their_types() -> None:
    named = Submission.read(request(FIXTURES / "iti42" / "minimal_document.xml")).with_uuids()
    parts = [
        part
        for thing in named.objects
        for part in (*thing.classifications, *thing.external_identifiers)
    ]
    for part in parts:
        datatypes.check_uuid(part.id)
        assert part.objectType in (v.OBJECT_TYPE_CLASSIFICATION, v.OBJECT_TYPE_EXTERNAL_IDENTIFIER)
    assert len({part.id for part in parts}) == len(parts)


def test_uuids_of_the_submitter_stay() -> None:
    read = Submission.read(request(FIXTURES / "iti42" / "preassigned_uuids.xml"))
    named = read.with_uuids()
    assert [thing.id for thing in named.objects] == [thing.id for thing in read.objects]
    assert named.associations == read.associations
    assert named.with_uuids() == named


def test_a_reference_to_what_is_registered_stays() -> None:
    named = Submission.read(request(FIXTURES / "iti42" / "replacement.xml")).with_uuids()
    (relation,) = named.relationships()
    assert relation.target == "urn:uuid:00000000-0000-4000-8000-000000000010"
    assert relation.source == named.document_entries[0].id


def test_what_has_no_ids_changes_in_nothing_else() -> None:
    read = Submission.read(request(FIXTURES / "iti42" / "comprehensive_document.xml"))
    (old,), (new,) = read.document_entries, read.with_uuids().document_entries
    same = set(DocumentEntry.attributes()) - {"entry_uuid"}
    assert {n: getattr(new, n) for n in same} == {n: getattr(old, n) for n in same}
    assert new.version_info == old.version_info
