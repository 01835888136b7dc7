"""Documents made on demand: what is asked for is found, made, and kept where that is wanted.

A document is made of another one that is registered, or of all of a patient, in their latest
versions and as far as whoever asks may see them. Its uniqueId follows from these and from the
program: the same content has the same id and the same bytes, and another content has another id
(ITI TF-2 3.43.4.2.2).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1, sha256
from typing import Final, TypeVar

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_42
from xds.metadata.criteria import ANYTHING, Criterion, equal
from xds.metadata.objects import DocumentEntry
from xds.on_demand import patient_documents, snapshots
from xds.on_demand.entries import entry_uuid, minted
from xds.on_demand.forms import (
    BuiltDocument,
    DocumentForm,
    DocumentForms,
    FormRequest,
    FormSource,
    NotConvertible,
)
from xds.on_demand.tables import made_at
from xds.one_at_a_time import OneAtATime
from xds.registry.queries import observations
from xds.registry.queries.observations import WantedObservations
from xds.registry.registry import DocumentRegistry
from xds.repository import index
from xds.repository.index import IndexedDocument
from xds.repository.repository import DocumentRepository
from xds.repository.store import DocumentNotFound
from xds.security.access import Access
from xds.security.interceptors import InterceptorChain

T = TypeVar("T")

MOST_BYTES: Final = 64 << 20
"""Of a document that another one is made of."""
_MOST_RESULTS: Final = 10_000
_SMALL: Final = 1 << 20
"""Bytes of documents that are read in each thread at once; in memory they are many times that."""
_NOBODY: Final = "the document would be made on demand, and nothing here makes it"
_DEPRECATED: Final = "the document is deprecated, and is not made any more"
_NO_SOURCE: Final = "the document cannot be made: what it is made of is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandDocuments:
    """What is made of the documents of one registry and repository; usable from many threads."""

    registry: DocumentRegistry
    repository: DocumentRepository
    forms: DocumentForms
    recording: InterceptorChain = field(default_factory=InterceptorChain)
    """Records what is registered here of its own accord."""
    heavy: OneAtATime = field(default_factory=OneAtATime)
    """Makes what is made of large documents; TooBusy where too many wait for it."""
    keeps: bool = False
    """Whether what is retrieved is kept (Persistence of Retrieved Documents, ITI TF-1 10.2.10)."""

    def entry_of(self, unique_id: str, visible: Criterion) -> DocumentEntry | None:
        """Return the On-Demand DocumentEntry of a uniqueId of this repository, if there is one."""
        criteria = [
            equal("unique_id", [unique_id]),
            equal("object_type", [v.ON_DEMAND_DOCUMENT_ENTRY]),
            equal("repository_unique_id", [self.repository.unique_id]),
        ]
        with self.registry.view(visible) as view:
            found = [one.thing for one in view.find(DocumentEntry, criteria)]
        approved = [one for one in found if one.availability_status == v.APPROVED]
        return next(iter([*approved, *found]), None)

    def retrieved(self, entry: DocumentEntry, visible: Criterion) -> BuiltDocument:
        """Make the document of an On-Demand entry for someone to whom that much is visible.

        Raises NotConvertible, TooBusy, and StoreError where what it is made of cannot be read.
        """
        form = self.forms.rows.get(entry.on_demand_form or "")
        if form is None:
            raise NotConvertible(_NOBODY)
        entry = self._latest(entry.logical_id or entry.id, visible)
        if form.is_of_patient:
            return self.of_patient(form, entry.patient_id or "", visible)
        source = self._source(entry, visible)
        return self._made(form, source, entry)

    def of_document(self, form: DocumentForm, source: DocumentEntry) -> BuiltDocument:
        """Make the form of a document, which whoever asks may see; raises as :meth:`retrieved`."""
        return self._made(form, source, source)

    def of_patient(self, form: DocumentForm, patient_id: str, visible: Criterion) -> BuiltDocument:
        """Make the form of what may be seen of a patient; raises as :meth:`retrieved`.

        It is never kept: what is in it depends on who asks.
        """
        if form.type is None:
            raise ValueError(f"{form.name} is no form of a patient")
        known = patient_documents.find(self.registry, self.repository, form, patient_id, visible)
        told = (str(known.left_out), str(known.others))
        unique_id = self._unique_id(form, patient_id, known.sources, told)
        # not the patient id itself, which would stay there after the patient's documents
        of = entry_uuid(self.repository.unique_id, form.name, patient_id)
        made = made_at(self.registry.database, unique_id, of)
        request = FormRequest(
            unique_id=unique_id,
            made=made,
            patient_id=patient_id,
            sources=self._opened(known.sources),
            left_out=known.left_out,
            others=known.others,
        )
        content = self._build(form, request)
        return BuiltDocument(
            unique_id=unique_id,
            type=form.type,
            content=content,
            hash=sha1(content, usedforsecurity=False).hexdigest(),
            made=made,
            sources=tuple(one.unique_id or "" for one in known.sources),
        )

    def _source(self, entry: DocumentEntry, visible: Criterion) -> DocumentEntry:
        """Return the document that an entry is a transformation of."""
        with self.registry.view(visible) as view:
            relations = view.relations([entry.id])
            targets = [one.target for one in relations if one.association_type == v.XFRM]
        if len(targets) != 1:
            raise NotConvertible(_NO_SOURCE)
        source = self._latest(targets[0], visible)
        is_ours = source.repository_unique_id == self.repository.unique_id
        if source.is_on_demand or not is_ours or source.patient_id != entry.patient_id:
            raise NotConvertible(_NO_SOURCE)
        return source

    def _latest(self, logical_id: str, visible: Criterion) -> DocumentEntry:
        """Return the latest version of an entry, which has to be Approved."""
        with self.registry.view(visible) as view:
            found = view.find(DocumentEntry, [equal("logical_id", [logical_id])])
        if not found:
            raise NotConvertible(_NO_SOURCE)
        if found[0].thing.availability_status != v.APPROVED:
            raise NotConvertible(_DEPRECATED)
        return found[0].thing

    def _made(
        self, form: DocumentForm, source: DocumentEntry, entry: DocumentEntry
    ) -> BuiltDocument:
        """Make the form of a document for an entry: an On-Demand one, or that of the document."""
        type_ = form.type_of(source)
        if type_ is None:
            raise NotConvertible(f"a document of this type cannot be had as {form.name}")
        patient_id = source.patient_id or ""
        unique_id = self._unique_id(form, patient_id, [source])
        keeps = self.keeps and entry.is_on_demand
        held = self.repository.locate(unique_id) if keeps else None
        made = made_at(self.registry.database, unique_id, source.logical_id or source.id)
        if held is not None:
            content = self.repository.documents.whole(held)
        else:
            request = FormRequest(
                unique_id=unique_id,
                made=made,
                patient_id=patient_id,
                sources=self._opened([source]),
            )
            content = self._build(form, request)
            if keeps:
                snapshot = snapshots.Snapshot(
                    entry=entry, source=source, unique_id=unique_id, type=type_, made=made
                )
                access = Access(transaction=ITI_42.name)
                with self.recording.passing(access):
                    snapshots.keep(self.registry, self.repository, access, snapshot, content)
        return BuiltDocument(
            unique_id=unique_id,
            type=type_,
            content=content,
            hash=sha1(content, usedforsecurity=False).hexdigest(),
            made=made,
            sources=(source.unique_id or "",),
            is_kept=keeps,
        )

    def _build(self, form: DocumentForm, request: FormRequest) -> bytes:
        sizes = (one.entry.size or "" for one in request.sources)
        size = sum(int(one) for one in sizes if one.isdecimal())
        return self.weighed(size, partial(form.build, request))

    def weighed(self, size: int, call: Callable[[], T]) -> T:
        """Return what a call returns that reads so many bytes of documents; TooBusy."""
        return call() if size <= _SMALL else self.heavy(call)

    def _unique_id(
        self,
        form: DocumentForm,
        patient_id: str,
        sources: Iterable[DocumentEntry],
        told: Iterable[str] = (),
    ) -> str:
        """Return the uniqueId of a content, which follows from all that it is made of."""
        digest = sha256()
        rendered = map(ebrim.render, sources)
        for part in (form.name, self.forms.settings, patient_id, *told, *rendered):
            digest.update(sha256(part.encode()).digest())
        return minted(self.repository.unique_id, digest.hexdigest())

    def _opened(self, sources: Sequence[DocumentEntry]) -> list[FormSource]:
        wanted = [one.unique_id or "" for one in sources]
        with self.repository.database.read() as connection:
            held = index.find(connection, wanted)
        return [
            FormSource(
                entry,
                _WholeReading(self.repository, held.get(unique_id)),
                partial(self._results, entry),
            )
            for entry, unique_id in zip(sources, wanted, strict=True)
        ]

    def _results(self, entry: DocumentEntry) -> Sequence[str]:
        criteria = [equal("logical_id", [entry.logical_id or entry.id])]
        with self.registry.view(ANYTHING) as view:
            found = observations.find(view, criteria, WantedObservations(), most=_MOST_RESULTS)
        return [one.content for one in sorted(found, key=lambda one: one.position)]


@dataclass(frozen=True, slots=True)
class _WholeReading:
    """Reads a document whole."""

    repository: DocumentRepository
    held: IndexedDocument | None

    def __call__(self) -> bytes:
        """Return its bytes; NotConvertible where it is not there or too large, and StoreError."""
        if self.held is None:
            raise NotConvertible(_NO_SOURCE)
        if self.held.size > MOST_BYTES:
            raise NotConvertible("the document is too large to be converted")
        try:
            return b"".join(self.repository.documents.open(self.held))
        except DocumentNotFound:
            raise NotConvertible(_NO_SOURCE) from None
