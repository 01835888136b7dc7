"""What a rule looks at: one submission, and what the registry knows of the things it names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from xds.metadata import vocabulary as v
from xds.metadata.code_sets import CodeSets
from xds.metadata.ebrim import RegistryObject, UnusedObject
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.submission import Submission


class Finding(NamedTuple):
    """One violation of a rule: the object, and a sentence that names the attribute."""

    subject: RegistryObject
    message: str
    attribute: str = ""
    """The TF name of the one attribute that is wrong, where it is one."""
    value: str = ""
    """The code that is wrong, where it is one: ``code^^codingScheme``."""


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredObject:
    """What the rules need to know of an object that is already in the registry."""

    kind: type[MetadataObject]
    entry_uuid: str
    availability_status: str = v.APPROVED
    patient_id: str | None = None
    unique_id: str | None = None
    object_type: str | None = None
    hash: str | None = None
    size: int | None = None
    logical_id: str | None = None
    version: int | None = None
    is_latest: bool = True
    """Whether there is no later version of it."""
    home_community_id: str | None = None
    source_patient_id: str | None = None
    repository_unique_id: str | None = None
    document_availability: str | None = None
    thing: MetadataObject | None = None
    """All of its metadata, where a rule wants them."""
    association_type: str | None = None
    source: str | None = None
    target: str | None = None
    """The last three are of an Association."""
    is_transformation: bool = False
    is_withheld: bool = False
    """Whether the submitter may not know of it."""
    folders: "tuple[RegisteredObject, ...]" = ()
    """The Approved Folders that hold the DocumentEntry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryState:
    """What the registry has of the objects that a submission names, read in its transaction."""

    objects: Mapping[str, RegisteredObject] = field(default_factory=dict)
    """By entryUUID: every object that the submission refers to or names as its own."""
    unique_ids: Mapping[str, tuple[RegisteredObject, ...]] = field(default_factory=dict)
    """Every object that bears a uniqueId of the submission, by the normal form of that uniqueId
    (:mod:`xds.metadata.unique_ids`)."""
    latest: Mapping[str, RegisteredObject] = field(default_factory=dict)
    """The latest version of each logicalID of which the submission brings a further version."""
    associations: tuple[Association, ...] = ()
    """The Approved memberships and relationships of what is updated, or changes its status."""
    neighbours: Mapping[str, RegisteredObject] = field(default_factory=dict)
    """By entryUUID: what these join with it, and what an Association joins whose status changes."""
    refused_patients: frozenset[str] = frozenset()
    """The submission's patient ids that may not be used: unknown (by policy) or subsumed."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the affinity domain decides for its rules (ITI TF-1 10.4.8)."""

    assigning_authority: str | None = None
    """The OID of the domain that issues patient ids; None admits any."""
    code_sets: CodeSets = field(default_factory=CodeSets)
    limited_metadata: bool = False
    """Whether objects may come with limitedMetadata, as MHD's Minimal Metadata becomes."""
    home_community_id: str | None = None
    """The homeCommunityId of this registry, to which restricted updates are held."""
    restricted_attributes: frozenset[str] = frozenset()
    """TF names of attributes that a restricted update may not change here, beside the TF's own."""
    lower_versions: Literal["deprecate", "refuse", "keep"] = "deprecate"
    """What a document gets whose version is not higher than that of one that is current: it is
    filed as Deprecated, or refused, or filed as current beside the other one."""


class AssociationEnd(NamedTuple):
    """One end of an Association, submitted here or registered before."""

    kind: type[MetadataObject]
    submitted: bool
    availability_status: str
    patient_id: str | None
    object_type: str | None
    registered: RegisteredObject | None


@dataclass(frozen=True)
class Case:
    """One submission before the rules of one transaction."""

    submission: Submission
    transaction: str
    known: RegistryState = field(default_factory=RegistryState)
    policy: Policy = field(default_factory=Policy)

    @cached_property
    def patient_bearers(self) -> tuple[SubmissionSet | DocumentEntry | Folder, ...]:
        """The objects that carry a patientId."""
        s = self.submission
        return (*s.submission_sets, *s.document_entries, *s.folders)

    @cached_property
    def versions(self) -> tuple[DocumentEntry | Folder, ...]:
        """What an update brings further versions of."""
        return (*self.submission.document_entries, *self.submission.folders)

    @cached_property
    def updated(self) -> tuple[tuple[DocumentEntry | Folder, RegisteredObject], ...]:
        """Each version that an update brings, with the latest registered one before it."""
        latest = self.known.latest
        return tuple(
            (thing, old)
            for thing in self.versions
            if (old := latest.get(thing.lid or "")) is not None and old.kind is type(thing)
        )

    @cached_property
    def associations_by_type(self) -> Mapping[str | None, Sequence[Association]]:
        """The submitted Associations of each type of which there are any."""
        found: dict[str | None, list[Association]] = {}
        for one in self.submission.associations:
            found.setdefault(one.association_type, []).append(one)
        return found

    @cached_property
    def members_of_set(self) -> Mapping[str, Sequence[Association]]:
        """The HasMembers of the SubmissionSet that is submitted, by their targets."""
        found: dict[str, list[Association]] = {}
        for one in self.submission.has_member(SubmissionSet):
            found.setdefault(one.target, []).append(one)
        return found

    @cached_property
    def _nodes(self) -> dict[str, AssociationEnd | None]:
        return {}

    def node(self, reference: str) -> AssociationEnd | None:
        """Return what an Association's end refers to; None where it refers to nothing."""
        if reference not in self._nodes:  # many rules ask for the same few
            self._nodes[reference] = self._node(reference)
        return self._nodes[reference]

    def _node(self, reference: str) -> AssociationEnd | None:
        found = self.submission.by_id.get(reference)
        if isinstance(found, MetadataObject):
            return AssociationEnd(
                type(found),
                True,
                v.APPROVED,
                getattr(found, "patient_id", None),
                getattr(found, "objectType", None),
                None,
            )
        registered = self.known.objects.get(reference)
        if registered is None:
            return None
        return AssociationEnd(
            registered.kind,
            False,
            registered.availability_status,
            registered.patient_id,
            registered.object_type,
            registered,
        )

    @cached_property
    def folder_members(self) -> tuple[Association, ...]:
        """The HasMember Associations that put a DocumentEntry into a Folder."""
        return self._members(Folder)

    @cached_property
    def submission_set_members(self) -> tuple[Association, ...]:
        """The HasMember Associations of the SubmissionSet."""
        return self._members(SubmissionSet)

    def _members(self, source: type[MetadataObject]) -> tuple[Association, ...]:
        return tuple(
            association
            for association in self.submission.associations
            if association.associationType == v.HAS_MEMBER
            and (node := self.node(association.source)) is not None
            and node.kind is source
        )


def label(subject: RegistryObject) -> str:
    """Name an object for a codeContext."""
    match subject:
        case MetadataObject():
            kind = subject.KIND
        case UnusedObject():
            kind = subject.kind
        case _:
            kind = type(subject).__name__
    return f"{kind} {subject.id}".rstrip()
