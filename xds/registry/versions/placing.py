"""What becomes of documents that say their versions: Associations, a status, findings.

The rules, in the order in which they count (docs/documents.md tells them to users):

1. What metadata or document say by the uniqueId of a registered document of the patient holds:
   the document replaces it, adds to it or is made from it.
2. Of the documents of one set (the patient and the setId) one is current: the later version
   replaces the earlier one, whichever comes first and whatever the document calls its parent.
3. A document that others have named as their parent before it came is related to them then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.errors import (
    RegistryError,
    UnresolvedReferenceException,
    XDSRegistryDeprecatedDocumentError,
    XDSRegistryMetadataError,
)
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import StatedRelation, StatedVersion, StatedVersions, Submission
from xds.metadata.unique_ids import normal
from xds.registry.versions.set_rows import (
    AwaitingDocument,
    KnownDocument,
    KnownDocuments,
    SetRows,
)

RULE: Final = "document_version"
"""Names the refusal of a lower version."""

_WORDS: Final[Mapping[str, str]] = {
    v.RPLC: "replaces",
    v.XFRM_RPLC: "replaces",
    v.APND: "adds to",
    v.XFRM: "is made from",
    v.SIGNS: "signs",
}
_BOTH: Final = frozenset({v.RPLC, v.XFRM})


@dataclass(frozen=True, slots=True)
class VersionFinding:
    """Something about the versions of a document that its submitter is told."""

    kind: type[RegistryError]
    text: str
    is_error: bool = False

    def told(self, entry_id: str) -> RegistryError:
        """Return it as an error, or as a warning."""
        error = self.kind(f"DocumentEntry {entry_id}: {self.text}", entry_id, rule=RULE)
        return error if self.is_error else error.as_warning()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedDocument:
    """What becomes of one document."""

    relations: tuple[tuple[str, str], ...] = ()
    """Types, and entryUUIDs of the registered documents that it is related to."""
    is_late: bool = False
    """Whether it is Deprecated from the first."""
    successors: tuple[str, ...] = ()
    """The documents that replace it."""
    dependants: tuple[tuple[str, str], ...] = ()
    """Types, and the registered documents that are related to it from now on."""
    is_member: bool = False
    """Whether it is of the set that it names."""
    awaited: tuple[StatedRelation, ...] = ()
    met: tuple[int, ...] = ()
    findings: tuple[VersionFinding, ...] = ()


Placed = Mapping[str, PlacedDocument]
"""By the ids of DocumentEntries, without those of which nothing becomes."""

_NOTHING: Final = PlacedDocument()


def place(
    submission: Submission, stated: StatedVersions, known: KnownDocuments, lower: str
) -> Placed:
    """Decide what becomes of the documents of one patient, by what is registered of it."""
    entries = [one for one in submission.document_entries if one.id in stated]
    entries.sort(key=lambda one: _rank(stated[one.id]), reverse=True)
    together = _Together.of(submission, entries, stated)
    placed: dict[str, PlacedDocument] = {}
    for entry in entries:
        said = stated[entry.id]
        here = together.known(known, entry, said)
        placing = _Placing(entry, said, _own(submission, entry), here)
        found = placing.place(lower)
        if found != _NOTHING:
            placed[entry.id] = found
        if found.is_member and not found.is_late:
            together.current.append(_as_known(entry, said))
    return placed


def _rank(stated: StatedVersion) -> tuple[int, str]:
    return stated.version if stated.version is not None else -1, stated.moment


def _own(submission: Submission, entry: DocumentEntry) -> Mapping[str, str]:
    """Return what the metadata relate a document to: the types by the targets."""
    return {
        one.target: one.association_type or ""
        for one in submission.relationships()
        if one.source == entry.id
    }


def _as_known(entry: DocumentEntry, said: StatedVersion) -> KnownDocument:
    return KnownDocument(
        entry_uuid=entry.id,
        logical_id=entry.id,
        unique_id=normal(entry.unique_id or ""),
        is_approved=True,
        is_submitted=True,
        set_id=said.set_id,
        version=said.version,
        moment=said.moment,
    )


def _names(one: KnownDocument, stated: StatedVersions) -> Sequence[str]:
    return stated[one.entry_uuid].names if one.entry_uuid in stated else ()


@dataclass(slots=True)
class _Together:
    """What documents of one submission say of one another."""

    ids: Mapping[str, KnownDocument]
    """All of its documents by their uniqueIds, and by what they call themselves."""
    awaiting: Sequence[AwaitingDocument]
    current: list[KnownDocument] = field(default_factory=list)
    """Those that are the current ones of their sets, as far as it is decided."""

    @classmethod
    def of(
        cls, submission: Submission, entries: Sequence[DocumentEntry], stated: StatedVersions
    ) -> "_Together":
        every = [
            _as_known(one, stated.get(one.id) or StatedVersion())
            for one in submission.document_entries
        ]
        awaiting = [
            AwaitingDocument(
                document=_as_known(entry, stated[entry.id]),
                association_type=relation.association_type,
                unique_id=normal(unique_id),
                set_id=relation.set_id,
            )
            for entry in entries
            for relation in stated[entry.id].related
            for unique_id in relation.unique_ids
        ]
        named = [(name, one) for one in every for name in _names(one, stated)]
        return cls({**dict(named), **{one.unique_id: one for one in every}}, awaiting)

    def known(
        self, known: KnownDocuments, entry: DocumentEntry, said: StatedVersion
    ) -> KnownDocuments:
        """Return what is known to a document: what is registered, and what is submitted with it."""
        own = normal(entry.unique_id or "")
        names = {own, *said.names}
        sets = {name: list(each) for name, each in known.of_sets.items()}
        for one in self.current:
            sets.setdefault(one.set_id, []).append(one)
        ids = {name: [*known.of_ids.get(name, ()), one] for name, one in self.ids.items()}
        awaiting = [
            one
            for one in (*known.awaiting, *self.awaiting)
            if one.unique_id in names and one.document.unique_id != own
        ]
        return KnownDocuments(
            of_sets=sets,
            of_ids={**known.of_ids, **ids},
            successors=known.successors,
            awaiting=awaiting,
        )


@dataclass(slots=True)
class _Placing:
    """Decides on one document."""

    entry: DocumentEntry
    stated: StatedVersion
    own: Mapping[str, str]
    known: KnownDocuments
    explicit: dict[str, set[str]] = field(default_factory=dict)
    """Types by the entryUUIDs of what the document itself names, and is here."""
    awaited: list[StatedRelation] = field(default_factory=list)
    findings: list[VersionFinding] = field(default_factory=list)
    names_wrongly: bool = False
    """Whether the parent that it replaces is of its own set, and is not called so."""
    is_of_set: bool = True

    def place(self, lower: str) -> PlacedDocument:
        """Return what becomes of it."""
        for fault in self.stated.faults:
            self._warn(XDSRegistryMetadataError, fault)
        for relation in self.stated.related:
            self._relate(relation)
        self.is_of_set = bool(self.stated.set_id) and not self._depends_on_set()
        rivals = [one for one in self._members() if one.is_approved]
        replaced = self._replaced()
        newer = list(self._newer(replaced, least=0 if rivals else -1))
        if rivals:
            newer = [one for one in newer if one.is_approved]
        older = [
            one
            for one in rivals
            if not (one in newer or one.is_submitted or one.entry_uuid in replaced)
        ]
        followers = [one for one in self._awaiting() if self._is_followed_by(one, replaced)]
        is_late = self._judge(newer, followers, lower)
        if not is_late:
            self._tell_of_replacement(older)
        return PlacedDocument(
            relations=tuple(self._relations(() if is_late else older)),
            is_late=is_late,
            successors=tuple(self._successors(newer, followers)) if is_late else (),
            dependants=tuple(self._dependants()),
            is_member=self.is_of_set,
            awaited=tuple(self.awaited),
            met=tuple(one.pk for one in self._awaiting() if one.pk),
            findings=tuple(dict.fromkeys(self.findings)),
        )

    # --- what it names ---------------------------------------------------------------------------

    def _relate(self, relation: StatedRelation) -> None:
        """Follow one relation by the id of the other document, else by its set."""
        found = self._by_ids(relation)
        approved = [one for one in found if one.is_approved]
        if approved:
            self._name(relation, approved)
        elif found:
            self._relate_to_deprecated(relation, found)
        else:
            self._relate_by_set(relation)

    def _by_ids(self, relation: StatedRelation) -> list[KnownDocument]:
        """Return the documents of the ids; of another set than that which is said, it is wrong."""
        return [
            one
            for unique_id in relation.unique_ids
            for one in self.known.of_ids.get(normal(unique_id), ())
            if self._is_other(one)
            and not (relation.set_id and one.set_id and one.set_id != relation.set_id)
        ]

    def _is_other(self, one: KnownDocument) -> bool:
        return one.unique_id != normal(self.entry.unique_id or "")

    def _name(self, relation: StatedRelation, targets: Iterable[KnownDocument]) -> None:
        replaces = relation.association_type in v.REPLACEMENTS
        for one in targets:
            if one.is_submitted and replaces:
                continue  # which is told of the other one, that may have no such Association
            self.explicit.setdefault(one.entry_uuid, set()).add(relation.association_type)

    def _relate_to_deprecated(self, relation: StatedRelation, found: list[KnownDocument]) -> None:
        """Relate to what is Deprecated: refused by the rules of XDS where something replaces it.

        Unless its own set tells which document is the current one.
        """
        replaces = relation.association_type in v.REPLACEMENTS
        if replaces and any(one.is_approved for one in self._members()):
            return
        successors = [
            one
            for old in found
            for one in self.known.successors.get(old.entry_uuid, ())
            if self._is_other(one) and one.entry_uuid not in self.own
        ]
        if successors:
            self._name(relation, found)
            return
        words = _WORDS.get(relation.association_type, "is related to")
        self._warn(
            XDSRegistryDeprecatedDocumentError,
            f"the document that it {words} is Deprecated already, and is left as it is",
        )

    def _relate_by_set(self, relation: StatedRelation) -> None:
        replaces = relation.association_type in v.REPLACEMENTS
        names = [relation.set_id] if relation.set_id else relation.unique_ids
        members = [
            one
            for name in map(normal, names)
            if name != self.stated.set_id or not replaces
            for one in self.known.of_sets.get(name, ())
            if self._is_other(one) and one.is_approved
        ]
        if members:
            self._name(relation, members if replaces else [max(members, key=_newest)])
        elif replaces and self._members():
            self.names_wrongly = set(relation.unique_ids) - {self.stated.set_id} != set()
        else:
            words = _WORDS.get(relation.association_type, "is related to")
            self.awaited.append(relation)
            self._warn(
                UnresolvedReferenceException,
                f"the document that it {words} is not registered for the patient; it is filed "
                "without a relation, until that one comes",
            )

    # --- its set ---------------------------------------------------------------------------------

    def _members(self) -> list[KnownDocument]:
        if not self.is_of_set:
            return []
        found = self.known.of_sets.get(self.stated.set_id, ()) if self.stated.set_id else ()
        return [one for one in found if self._is_other(one)]

    def _newer(self, replaced: set[str], *, least: int) -> Iterator[KnownDocument]:
        """Yield what it is not later than: of what is Deprecated, that which is really later."""
        for one in self._members():
            if one.entry_uuid not in replaced and one.order(self.stated) <= least:
                yield one

    def _depends_on_set(self) -> bool:
        """Tell whether it adds to a document of its own set, or is made from one."""
        members = {one.entry_uuid for one in self._members()}
        named = self.explicit | {uuid: {kind} for uuid, kind in self.own.items()}
        return any(
            uuid in members and kinds.isdisjoint(v.REPLACEMENTS) for uuid, kinds in named.items()
        )

    def _replaced(self) -> set[str]:
        """Return what it names as replaced, by metadata or by itself."""
        found = {uuid for uuid, kind in self.own.items() if kind in v.REPLACEMENTS}
        named = {uuid for uuid, kinds in self.explicit.items() if kinds & v.REPLACEMENTS}
        return found | named

    def _is_followed_by(self, one: AwaitingDocument, replaced: set[str]) -> bool:
        """Tell whether a document that came before has named this one as what it replaces."""
        if one.association_type not in v.REPLACEMENTS or one.document.entry_uuid in replaced:
            return False
        same_set = one.document.set_id and one.document.set_id == self.stated.set_id
        return not (same_set and one.document.order(self.stated) > 0)

    def _judge(
        self, newer: list[KnownDocument], followers: list[AwaitingDocument], lower: str
    ) -> bool:
        """Tell whether it is Deprecated from the first, and note why."""
        if self.stated.is_late:
            return True
        if not (newer or followers):
            return False
        if followers:
            text = "a document that replaces it is registered already"
        else:
            text = f"{_named(self.stated)} is not later than {_named(max(newer, key=_newest))}"
            text += " of its set, which is registered"
        if lower == "refuse":
            self.findings.append(VersionFinding(XDSRegistryMetadataError, text, is_error=True))
            return False
        if lower == "keep" and not followers:
            self._warn(XDSRegistryMetadataError, f"{text}: both stay as they are")
            return False
        self._warn(XDSRegistryDeprecatedDocumentError, f"{text}: it is filed as Deprecated")
        return True

    def _tell_of_replacement(self, older: list[KnownDocument]) -> None:
        uuids = self._replaced()
        for one in self._members():
            if one.entry_uuid in uuids and one.is_approved and one.order(self.stated) <= 0:
                told = f"{_named(self.stated)} is not later than what it replaces"
                self._warn(XDSRegistryMetadataError, told)
        if not older:
            return
        what = f"{_named(max(older, key=_newest))} of its set is replaced"
        if self.names_wrongly:
            told = f"no document of the patient has the id that it calls replaced: {what}"
            self._warn(UnresolvedReferenceException, told)
        elif not any(one.association_type in v.REPLACEMENTS for one in self.stated.related):
            self._warn(XDSRegistryMetadataError, f"it does not say what it replaces: {what}")

    # --- Associations ----------------------------------------------------------------------------

    def _relations(self, older: Iterable[KnownDocument]) -> Iterator[tuple[str, str]]:
        for one in older:
            self.explicit.setdefault(one.entry_uuid, set()).add(v.RPLC)
        for uuid, kinds in self.explicit.items():
            if uuid in self.own:
                continue
            if kinds >= _BOTH:
                kinds = (kinds - _BOTH) | {v.XFRM_RPLC}
            for kind in sorted(kinds):
                yield kind, uuid

    def _successors(
        self, newer: list[KnownDocument], followers: list[AwaitingDocument]
    ) -> Iterator[str]:
        candidates = [one for one in newer if one.is_approved]
        found = [max(candidates, key=_newest)] if candidates else []
        for one in followers:
            old = one.document
            found += [old] if old.is_approved else self.known.successors.get(old.entry_uuid, ())
        yield from dict.fromkeys(one.entry_uuid for one in found if self._is_other(one))

    def _dependants(self) -> Iterator[tuple[str, str]]:
        """Yield the registered documents that were to add to this one, or to be made from it."""
        for one in self._awaiting():
            is_dependant = one.association_type not in v.REPLACEMENTS
            if is_dependant and one.pk and one.document.is_approved:
                yield one.association_type, one.document.entry_uuid

    def _awaiting(self) -> list[AwaitingDocument]:
        """Return what has named it before; not where that means a document of another set."""
        own = self.stated.set_id
        return [
            one for one in self.known.awaiting if not (one.set_id and own and one.set_id != own)
        ]

    def _warn(self, kind: type[RegistryError], text: str) -> None:
        self.findings.append(VersionFinding(kind, text))


def _newest(one: KnownDocument) -> tuple[int, str]:
    return one.version if one.version is not None else -1, one.moment


def _named(one: KnownDocument | StatedVersion) -> str:
    return "this version" if one.version is None else f"version {one.version}"


# --- as a submission -----------------------------------------------------------------------------


def with_relations(submission: Submission, placed: Placed) -> Submission:
    """Add the Associations that begin at the documents, which are then held to all rules."""
    made = [
        Association.create(
            entry_uuid=f"relation {number} of {entry_id}",
            association_type=kind,
            source=entry_id,
            target=target,
        )
        for entry_id, one in placed.items()
        for number, (kind, target) in enumerate(one.relations)
    ]
    return submission.with_objects((*submission.objects, *made)) if made else submission


def made_by_registry(placed: Placed) -> list[Association]:
    """Return the Associations that lead to the documents: no submitter may make such."""
    return [
        Association.create(
            entry_uuid=f"relation {number} to {entry_id}",
            association_type=kind,
            source=source,
            target=entry_id,
        )
        for entry_id, one in placed.items()
        for number, (kind, source) in enumerate(
            (*one.dependants, *((v.RPLC, successor) for successor in one.successors))
        )
    ]


def rows(
    submission: Submission, stated: StatedVersions, placed: Placed, uuids: Mapping[str, str]
) -> SetRows:
    """Return what the documents leave behind; ``uuids`` are the entryUUIDs by the ids."""
    patients = {one.id: one.patient_id or "" for one in submission.document_entries}
    return SetRows(
        members=tuple(
            (uuids[entry_id], patients[entry_id], stated[entry_id])
            for entry_id, one in placed.items()
            if one.is_member
        ),
        awaited=tuple(
            (uuids[entry_id], relation.association_type, unique_id, relation.set_id)
            for entry_id, one in placed.items()
            for relation in one.awaited
            for unique_id in relation.unique_ids
        ),
        met=tuple(pk for one in placed.values() for pk in one.met),
    )
