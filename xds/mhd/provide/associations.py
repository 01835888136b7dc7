"""The Associations of an ITI-65 request: memberships and relations (MHD 2:3.65.4.1.2.3).

The items of a List become HasMember, relatesTo becomes RPLC, XFRM, APND or signs. Where a document
joins a Folder, the SubmissionSet holds that membership too (ITI TF-3 4.2.2.1).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from xds.fhir.datatypes.identifiers import kind_of, unique_id_of, uuid_of
from xds.fhir.datatypes.relations import read_relates_to
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.references import (
    ConditionalReference,
    Dangling,
    Entry,
    Foreign,
    Held,
    InRequest,
    Named,
    entry_uuid,
    is_elsewhere,
)
from xds.fhir.vocabulary import ENTRY_UUID
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Comparison, Operator, Or
from xds.metadata.objects import Association, DocumentEntry, Folder
from xds.metadata.unique_ids import normal
from xds.mhd.provide.bundle import EntryKind
from xds.mhd.provide.pending import PendingSubmission
from xds.mhd.provide.submitted_objects import SubmittedObjects

_UNRESOLVED: Final = "UnresolvedReferenceException"
Member = type[DocumentEntry] | type[Folder]
_KINDS: Final[Mapping[str, Member]] = {
    "DocumentReference": DocumentEntry,
    "List": Folder,
}


@dataclass(frozen=True, slots=True)
class End:
    """What a reference to a document or Folder leads to."""

    uuid: str
    """The entryUUID, of the latest version of what is registered."""
    kind: Member
    is_new: bool
    logical_id: str = ""
    """The UUID of all its versions; empty where that is ``uuid``."""


@dataclass(frozen=True, slots=True)
class PatchTarget:
    """What a PATCH is about."""

    end: End
    is_update: bool
    """Whether it changes more than the submission does anyway."""


@dataclass(frozen=True, kw_only=True)
class AssociationReader:
    """Reads the references between the objects of one request and those that are registered."""

    pending: PendingSubmission
    objects: SubmittedObjects
    associations: list[Association] = field(default_factory=list)
    expressions: dict[str, str] = field(default_factory=dict)
    """The FHIRPath that each Association was read from, by its id."""

    def read(self) -> None:
        """Read memberships and relations; what is wrong goes to the problems."""
        self.read_relations()
        submission_set = self.objects.things.get(self.pending.submitted.submission_set.index)
        if submission_set is None:
            return
        self._read_submission_set(submission_set.id)
        for entry in self.pending.submitted.of(EntryKind.FOLDER):
            self._read_folder(entry, submission_set.id)

    def _associate(
        self, kind: str, source: str, target: str, path: str, status: str | None = None
    ) -> Association:
        made = Association.create(
            association_type=kind, source=source, target=target, submission_set_status=status
        )
        self.associations.append(made)
        self.expressions[made.id] = path
        return made

    # --- ends ------------------------------------------------------------------------------------

    def end(self, reference: Resource, entry: Entry, path: str) -> End | None:
        """Return what a Reference leads to; None where that is a problem, which is noted."""
        found = self.pending.references.follow(reference, entry.resource, entry.full_url)
        if is_elsewhere(found) and reference.get("identifier"):
            found = Named(reference["identifier"])
        with self.pending.issues.gathering():
            return self._end(found, path)
        return None

    def target_of(self, entry: Entry) -> End | None:
        """Return what the URL of an entry's request names."""
        with self.pending.issues.gathering():
            return self._end(
                self.pending.references.server(entry.url), f"{entry.place}.request.url"
            )
        return None

    def _end(self, found: object, path: str) -> End | None:
        match found:
            case InRequest(entry):
                return self._submitted(entry, path)
            case Held(type=kind, id=identifier) if kind in _KINDS:
                if uuid := entry_uuid(identifier):
                    return End(self._latest(_KINDS[kind], uuid), _KINDS[kind], False, uuid)
                reason = "this server has no such resource"
                raise Refused.because(422, "not-found", reason, path, error_code=_UNRESOLVED)
            case ConditionalReference(type=kind, identifier=identifier) if (
                kind in _KINDS and identifier
            ):
                return self._registered(identifier, _KINDS[kind], path, missing=412)
            case Named(identifier):
                return self._of_identifier(identifier, path)
            case Foreign():
                reason = "the reference leads to another server"
            case Dangling(reason):
                reason = f"the reference {reason}"
            case _:
                reason = "the reference does not lead to a DocumentReference or List"
        raise Refused.because(400, "not-found", reason, path)

    def _submitted(self, entry: Entry, path: str) -> End | None:
        if entry.kind not in (EntryKind.DOCUMENT, EntryKind.FOLDER):
            reason = f"the reference leads to a {entry.kind}"
            raise Refused.because(400, "value", reason, path)
        if updated := self.objects.updated.get(entry.index):
            return End(updated.thing.id, Folder, is_new=False)
        thing = self.objects.things.get(entry.index)
        if thing is None:
            return None  # it could not be read, which was noted
        return End(thing.id, Folder if isinstance(thing, Folder) else DocumentEntry, is_new=True)

    def _of_identifier(self, identifier: Resource, path: str) -> End:
        """Follow a logical reference: within the request, else among what is registered."""
        wanted = self._names(identifier)
        for thing in self.objects.things.values():
            if not isinstance(thing, DocumentEntry | Folder):
                continue
            if wanted & {thing.id, normal(thing.unique_id or "")}:
                return End(thing.id, type(thing), is_new=True)
        return self._registered(identifier, DocumentEntry, path, missing=422)

    def _names(self, identifier: Resource) -> set[str]:
        """Return the uniqueId or entryUUID that an Identifier says: both where it may be either."""
        kind, is_told = kind_of(identifier)
        names: set[str] = set()
        with suppress(ValueError):
            names.add(uuid_of(identifier))
        if not (is_told and kind == ENTRY_UUID):
            with suppress(ValueError):
                names.add(normal(unique_id_of(identifier, self.pending.systems)))
        return names

    def _registered(self, identifier: Resource, kind: Member, path: str, *, missing: int) -> End:
        names = tuple(self._names(identifier))
        found = self._find(kind, names) if names else []
        approved = [one for one in found if one.availability_status == v.APPROVED] or found
        if len(approved) == 1:
            return End(approved[0].id, kind, False, approved[0].logical_id or "")
        if approved:
            reason = "the identifier is that of several resources of this server"
            raise Refused.because(412, "multiple-matches", reason, path)
        reason = "this server has nothing of this identifier"
        raise Refused.because(missing, "not-found", reason, path, error_code=_UNRESOLVED)

    def _latest(self, kind: Member, logical_id: str) -> str:
        """Return the entryUUID of the latest version of a resource; what is not there is itself."""
        own = Comparison("logical_id", Operator.EQUAL, (logical_id,))
        if kind is Folder:
            return next(
                (one.found.entry_uuid for one in self.pending.view.find(Folder, [own])), logical_id
            )
        found = self.pending.view.find(DocumentEntry, [own])
        return next((one.found.entry_uuid for one in found), logical_id)

    def _find(self, kind: Member, names: tuple[str, ...]) -> list[DocumentEntry] | list[Folder]:
        either = Or(
            Comparison("entry_uuid", Operator.EQUAL, names),
            Comparison("unique_id", Operator.EQUAL, names),
        )
        if kind is Folder:
            return [one.thing for one in self.pending.view.find(Folder, [either])]
        return [one.thing for one in self.pending.view.find(DocumentEntry, [either])]

    # --- relations -------------------------------------------------------------------------------

    def read_relations(self) -> None:
        """Read what new documents replace, transform, append to or sign."""
        among_new: dict[str, dict[str, str]] = {}
        for entry in self.pending.submitted.of(EntryKind.DOCUMENT):
            source = self.objects.things.get(entry.index)
            relations = self._relations(entry)
            if source is None:
                continue
            for kind, target, path in relations:
                self._associate(kind, source.id, target.uuid, path)
                if target.is_new:
                    among_new.setdefault(source.id, {})[target.uuid] = path
        self._check_acyclic(among_new)

    def _relations(self, entry: Entry) -> list[tuple[str, End, str]]:
        """Read relatesTo; what both replaces and transforms one document is one XFRM_RPLC."""
        found: dict[tuple[str, str], tuple[str, End, str]] = {}
        for related in read_relates_to(entry.resource, entry.path):
            path = related.expression
            target = self.end(related.target, entry, path)
            if target is not None and target.kind is not DocumentEntry:
                reason = "the target of relatesTo must be a DocumentReference"
                self.pending.issues.error("value", reason, path)
            elif target is not None:
                kind = related.association_type
                found.setdefault((kind, target.uuid), (kind, target, path))
        for (kind, uuid), (_, target, path) in list(found.items()):
            if kind == v.RPLC and (v.XFRM, uuid) in found:
                del found[v.XFRM, uuid]
                found[kind, uuid] = (v.XFRM_RPLC, target, path)
        return list(found.values())

    def _check_acyclic(self, edges: dict[str, dict[str, str]]) -> None:
        """No new document is, by others, related to itself; ``edges`` has paths by both ends."""
        sources: dict[str, list[str]] = {}
        for source, targets in edges.items():
            for target in targets:
                sources.setdefault(target, []).append(source)
        open_ends = {source: len(targets) for source, targets in edges.items()}
        ended = [target for target in sources if target not in edges]
        while ended:
            for source in sources.get(ended.pop(), ()):
                open_ends[source] -= 1
                if not open_ends[source]:
                    ended.append(source)
        for source, count in open_ends.items():
            if count:
                reason = "the documents of the Bundle are related in a circle"
                paths = [path for t, path in edges[source].items() if open_ends.get(t)]
                self.pending.issues.error("business-rule", reason, *paths)

    # --- memberships -----------------------------------------------------------------------------

    def items(self, entry: Entry) -> Iterator[tuple[End, str]]:
        """Yield what a List holds, each thing once."""
        seen: set[str] = set()
        for place, item in enumerate(entry.resource.get("entry") or ()):
            path = f"{entry.path}.entry[{place}]"
            if item.get("deleted"):
                self.pending.issues.error(
                    "not-supported", "nothing is taken away here", f"{path}.deleted"
                )
                continue
            end = self.end(item.get("item") or {}, entry, f"{path}.item")
            if end is not None and end.uuid not in seen:
                seen.add(end.uuid)
                yield end, f"{path}.item"

    def _read_submission_set(self, submission_set: str) -> None:
        held: set[str] = set()
        updated = {folder.thing.id for folder in self.objects.updated.values()}
        for end, path in self.items(self.pending.submitted.submission_set):
            held.add(end.uuid)
            if end.kind is Folder and end.uuid in updated:
                continue  # a set holds what joins a registered Folder, not the Folder
            status = v.ORIGINAL if end.is_new else v.REFERENCE
            self._associate(
                v.HAS_MEMBER,
                submission_set,
                end.uuid,
                path,
                status if end.kind is DocumentEntry else None,
            )
        for entry in self.pending.submitted.of(EntryKind.DOCUMENT, EntryKind.FOLDER):
            thing = self.objects.things.get(entry.index)
            if thing is not None and thing.id not in held:
                reason = "the SubmissionSet List does not have this among its entries"
                self.pending.issues.error("required", reason, entry.path)

    def _read_folder(self, entry: Entry, submission_set: str) -> None:
        folder = self.objects.updated.get(entry.index)
        thing = folder.thing if folder else self.objects.things.get(entry.index)
        if thing is None:
            return
        ends = list(self.items(entry))
        members = (
            {one.entry_uuid for one in self.pending.view.members([thing.id])} if folder else set()
        )
        for end, path in ends:
            if end.kind is not DocumentEntry:
                self.pending.issues.error("value", "a Folder holds DocumentReferences only", path)
            elif end.uuid not in members:
                membership = self._associate(v.HAS_MEMBER, thing.id, end.uuid, path)
                self._associate(v.HAS_MEMBER, submission_set, membership.id, path)
        if members - {end.uuid for end, _ in ends}:
            self.pending.issues.warn(
                "documents of the Folder that the update does not have stay in it", entry.path
            )


def replaced(associations: Iterable[Association]) -> frozenset[str]:
    """Return the entryUUIDs of the documents that a submission replaces."""
    return frozenset(a.target for a in associations if a.association_type in v.REPLACEMENTS)


_PATCH: Final = {"path": "DocumentReference.status", "type": "replace", "value": "superseded"}


def check_patch(entry: Entry, reader: AssociationReader, *, updates: bool) -> PatchTarget | None:
    """Return the document that a PATCH is about; None where that is a problem, which is noted.

    MHD's own PATCH makes superseded what a new document replaces (MHD 2:3.65.4.1.2.4): the registry
    itself deprecates that, so that the PATCH says nothing new. Any other is an update, where these
    are offered (``updates``).
    """
    operations = list(entry.resource.get("parameter") or ())
    said = [
        {part.get("name"): _value(part) for part in one.get("part") or ()} for one in operations
    ]
    is_of_mhd = said == [_PATCH] and operations[0].get("name") == "operation"
    if not (is_of_mhd or updates):
        reader.pending.issues.error(
            "not-supported",
            "a PATCH may only replace DocumentReference.status by superseded",
            entry.path,
        )
        return None
    found = reader.target_of(entry)
    if found is None:
        return None
    is_replaced = found.uuid in replaced(reader.associations)
    if not (is_replaced or updates):
        reader.pending.issues.error(
            "business-rule", "no DocumentReference of the Bundle replaces this one", entry.path
        )
    return PatchTarget(found, is_update=not (is_of_mhd and is_replaced))


def _value(part: Resource) -> object:
    return next((value for name, value in part.items() if name.startswith("value")), None)
