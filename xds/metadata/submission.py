"""The objects of one Submission Request (ITI TF-3 4.1.4), and symbolic ids made UUIDs.

And what documents that come with it say within them of their versions, for which XDS metadata have
no place (ITI TF-3 4.2.3.2): a CDA document has setId, versionNumber and relatedDocument (CDA R2
4.2.1, 4.2.3), a FHIR document Composition.identifier, which its versions share, and
Composition.relatesTo (FHIR R4, 2.42). The registry makes Associations of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Final, TypeAlias, TypeVar

from lxml import etree

from xds.errors import RegistryError
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Classification, ExternalIdentifier, RegistryObject
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
    interpreted,
)

T = TypeVar("T", bound=RegistryObject)
UuidFor = Callable[[str], str]


@dataclass(frozen=True)
class Submission:
    """Everything that one request wants registered, in the order of the request.

    ``objects`` may break any rule (two SubmissionSets, unknown kinds); the rules say so.
    """

    objects: tuple[RegistryObject, ...]

    @classmethod
    def read(cls, submit_objects_request: etree._Element) -> "Submission":
        """Read an ``lcm:SubmitObjectsRequest`` that is valid against the schema."""
        content = submit_objects_request.find(f"{ebrim.RIM}RegistryObjectList")
        assert content is not None, "the schema requires a RegistryObjectList"
        return cls(tuple(interpreted(found) for found in ebrim.read_list(content)))

    def render(self) -> str:
        """Write an ``lcm:SubmitObjectsRequest`` as XML text that binds its own prefixes."""
        content = "".join([ebrim.render(thing) for thing in self.objects])
        return (
            f'<lcm:SubmitObjectsRequest xmlns:lcm="{v.NS_LCM}" xmlns:rim="{v.NS_RIM}">'
            f"<rim:RegistryObjectList>{content}</rim:RegistryObjectList>"
            "</lcm:SubmitObjectsRequest>"
        )

    @cached_property
    def submission_sets(self) -> tuple[SubmissionSet, ...]:
        """Every SubmissionSet; a lawful submission has exactly one."""
        return self._of(SubmissionSet)

    @property
    def submission_set(self) -> SubmissionSet:
        """The SubmissionSet; IndexError where the submission is unlawful."""
        return self.submission_sets[0]

    @cached_property
    def document_entries(self) -> tuple[DocumentEntry, ...]:
        """The DocumentEntries in the order given."""
        return self._of(DocumentEntry)

    @cached_property
    def folders(self) -> tuple[Folder, ...]:
        """The Folders in the order given."""
        return self._of(Folder)

    @cached_property
    def associations(self) -> tuple[Association, ...]:
        """The Associations in the order given."""
        return self._of(Association)

    @cached_property
    def others(self) -> tuple[RegistryObject, ...]:
        """Objects that are none of the four: foreign kinds and packages without a type."""
        return tuple(thing for thing in self.objects if not isinstance(thing, MetadataObject))

    @cached_property
    def by_id(self) -> Mapping[str, RegistryObject]:
        """The objects by their id, symbolic or UUID."""
        return {thing.id: thing for thing in self.objects}

    def _of(self, kind: type[T]) -> tuple[T, ...]:
        return tuple(thing for thing in self.objects if isinstance(thing, kind))

    def has_member(self, source: type[MetadataObject]) -> Iterator[Association]:
        """Yield the HasMember Associations whose source is a submitted object of this kind."""
        for association in self.associations:
            if association.associationType == v.HAS_MEMBER and isinstance(
                self.by_id.get(association.source), source
            ):
                yield association

    def relationships(self) -> Iterator[Association]:
        """Yield the Associations between documents (ITI TF-3 4.2.2.2)."""
        for association in self.associations:
            if association.associationType in v.RELATIONSHIPS:
                yield association

    def with_objects(self, objects: Iterable[RegistryObject]) -> "Submission":
        """Return a submission of other objects."""
        return Submission(tuple(objects))

    def with_uuids(self) -> "Submission":
        """Give every symbolic id one new UUID, the same everywhere (ITI TF-2 3.42.4.1.3.7).

        UUIDs that the submitter chose stay as they are.
        """
        given: dict[str, str] = {}

        def uuid_for(identifier: str) -> str:
            if ebrim.is_uuid(identifier):
                return identifier
            if identifier not in given:
                given[identifier] = ebrim.new_uuid()
            return given[identifier]

        return self.with_objects([_renamed(thing, uuid_for) for thing in self.objects])


def _renamed(thing: RegistryObject, uuid_for: UuidFor) -> RegistryObject:
    uuid = uuid_for(thing.id)
    parts = part_ids(uuid) if uuid != thing.id else iter(ebrim.new_uuid, "")
    changes: dict[str, object] = {
        "id": uuid,
        "classifications": _renamed_parts(thing.classifications, uuid, parts),
        "external_identifiers": _renamed_parts(thing.external_identifiers, uuid, parts),
    }
    if isinstance(thing, Association):
        changes["sourceObject"] = uuid_for(thing.source)
        changes["targetObject"] = uuid_for(thing.target)
    return ebrim.changed(thing, **changes)


LAST_DIGITS: Final = 4
"""Of a UUID that was made here: its parts' differ from it in these alone."""


def part_ids(owner: str) -> Iterator[str]:
    """Yield UUIDs for the parts of an object, which follow its own.

    Nobody else's is so near to that one, by the same chance by which nobody else has it; and in
    the database they take no more than the digits in which they differ.
    """
    stem, last = owner[:-LAST_DIGITS], int(owner[-LAST_DIGITS:], 16)
    for place in count(last + 1):
        yield f"{stem}{place % 16**LAST_DIGITS:0{LAST_DIGITS}x}"


_PARTS: Mapping[type[RegistryObject], tuple[str, str]] = {
    Classification: ("classifiedObject", v.OBJECT_TYPE_CLASSIFICATION),
    ExternalIdentifier: ("registryObject", v.OBJECT_TYPE_EXTERNAL_IDENTIFIER),
}


def _renamed_parts(parts: Sequence[T], owner: str, ids: Iterator[str]) -> tuple[T, ...]:
    """Bind parts to their owner's UUID; objectType is required on return (ITI TF-3 4.2.1.1)."""
    renamed = []
    for part in parts:
        kind, fields = type(part), part.__dict__.copy()
        parent, fields["objectType"] = _PARTS[kind]
        fields[parent] = owner
        if not ebrim.is_uuid(part.id):
            fields["id"] = next(ids)
        renamed.append(ebrim.made(kind, fields))
    return tuple(renamed)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRelation:
    """Another document that this one replaces, adds to or is made from."""

    association_type: str
    unique_ids: tuple[str, ...] = ()
    """The uniqueIds by which it may be registered; they may be wrong, or be names of its set."""
    set_id: str = ""
    """That of the other document, where it is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedVersion:
    """What one document says of its versions."""

    set_id: str = ""
    """What all versions of it share, in the form of a uniqueId; empty where it has none."""
    version: int | None = None
    moment: str = ""
    """When it was made, in digits: of versions without numbers the later one sorts after."""
    names: tuple[str, ...] = ()
    """What it calls itself, in the form of uniqueIds; it may be registered by another one."""
    related: tuple[StatedRelation, ...] = ()
    faults: tuple[str, ...] = ()
    """What of it cannot be used, in sentences without a value of the document."""
    is_late: bool = False
    """Whether it is not to be current, as its submitter knows otherwise."""

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.set_id or self.related or self.faults or self.is_late)


StatedVersions: TypeAlias = Mapping[str, StatedVersion]
"""Those of the documents of a submission, by the ids of their DocumentEntries."""


TellWarnings: TypeAlias = Callable[[Sequence[RegistryError]], object]
"""Is handed what a submission is warned of, in the commit that registers it."""


@dataclass(frozen=True)
class Registration:
    """A submission, and the transaction by whose rules it is registered."""

    submission: Submission
    transaction: str
    """As the catalogue names it."""
    stated: StatedVersions = field(default_factory=dict)
    """What the documents say of their versions, as far as they were read."""
