"""The Document Repository: stores documents, registers them, gives them out (TF-1 10.1.1.4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from xds.database.access import Database, InCommit
from xds.database.errors import CommitUnknown, DatabaseUnavailable
from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSDocumentUniqueIdError,
    XDSMissingDocument,
    XDSMissingDocumentMetadata,
    XDSNonIdenticalHash,
    XDSNonIdenticalSize,
    XDSRepositoryBusy,
    XDSRepositoryError,
    XDSRepositoryMetadataError,
    XDSRepositoryOutOfResources,
    XDSUnknownCommunity,
    XDSUnknownRepositoryId,
)
from xds.metadata.catalogue import ITI_42
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.document_request import DocumentRequest
from xds.metadata.ebrim import RegistryObject
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import (
    Registration,
    StatedVersion,
    StatedVersions,
    Submission,
    TellWarnings,
)
from xds.repository import index
from xds.repository.index import Connection, IndexedDocument
from xds.repository.reading import RegisteredDocuments, uncounted
from xds.repository.store import (
    DocumentDamaged,
    DocumentNotFound,
    DocumentReader,
    DocumentStore,
    StagedDocument,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from xds.tracing import part

Register = Callable[
    [
        Submission,
        InCommit,
        Criterion,
        Sequence[Registration],
        StatedVersions,
        TellWarnings | None,
    ],
    Sequence[RegistryError],
]
"""Registers a submission as by ITI-42, and returns the registry's warnings.

The InCommit enters the documents in the index. Where the registry is on the same database it is
part of the registration's commit; where it is elsewhere it comes before (:mod:`registering`). The
Criterion is what is visible to the submitter, who can refer to nothing else; the Registrations are
registered after it in the same commit; the StatedVersions are what documents say of their versions;
the TellWarnings is called before the InCommit where that is part of the registration's commit.
Raises TransactionFailure when the registry refuses, or cannot be asked.
"""


ReadVersion = Callable[[bytes], StatedVersion | None]
"""Returns what a CDA or FHIR document says of its versions, and None of anything else."""

_MOST_READ: Final = 16 << 20
_MARKUP: Final = ("xml", "json")
"""What the media types of CDA and FHIR documents have in them."""


@dataclass(frozen=True, slots=True)
class OutgoingDocument:
    """One document about to be sent; ``chunks`` gives its bytes once."""

    request: DocumentRequest
    mime_type: str
    size: int
    hash: str
    chunks: Callable[[], Iterable[bytes]] | Iterable[bytes]
    new_unique_id: str = ""
    """Of one that was made on demand: the uniqueId of what it is now (ITI TF-2 3.43.4.2.2)."""
    new_repository_unique_id: str = ""
    """Where it is kept under that uniqueId, if it is."""
    made_of: tuple[str, ...] = ()
    """The uniqueIds of the documents that it was made of."""


MakeOnDemand = Callable[[DocumentRequest], OutgoingDocument]
"""Makes a document that is not in the index; a RegistryError where there is none to be made."""


OpenDocument = Callable[[], DocumentReader]
InspectDocument = Callable[[DocumentEntry, int, OpenDocument], Iterable[RegistryError]]
"""Looks at a document of so many bytes before it is registered, and tells why it must not be."""


def nothing_inspected(
    entry: DocumentEntry, size: int, opened: OpenDocument
) -> Iterable[RegistryError]:
    """Look at nothing."""
    return ()


def nothing_on_demand(request: DocumentRequest) -> OutgoingDocument:
    """Make nothing."""
    unique_id = request.document_unique_id
    raise XDSDocumentUniqueIdError(f"no document {unique_id} in this repository", unique_id)


@dataclass(frozen=True, slots=True)
class RetrieveResult:
    """The answer to a set of requests: documents, and an error for each that is not there."""

    documents: tuple[OutgoingDocument, ...]
    errors: tuple[RegistryError, ...]


_SWEPT: Final = "a document was removed by `xds sweep` before it was registered: submit it again"
_NO_ROOM: Final = "there is no room for the document"
_OID_URN: Final = "urn:oid:"
_KEPT_OPEN: Final = 64
"""Documents of one answer that are held open from the start; more are opened at their turn."""
_READ_AT_ONCE: Final = 32 * 1024
"""Bytes of a document that is read, and held to its hash, in place of being held open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRepository:
    """The repository on one store and one index; safe to use from many threads and processes."""

    unique_id: str
    """The repositoryUniqueId, an OID."""
    database: Database
    store: DocumentStore
    register: Register
    home_community_id: str | None = None
    count_missing: Callable[[str], None] = uncounted
    """Is told why, of each registered document that cannot be given out."""
    inspect: InspectDocument = nothing_inspected

    @property
    def documents(self) -> RegisteredDocuments:
        """The registered documents, to be read."""
        return RegisteredDocuments(self.store, self.count_missing)

    def stage(self, chunks: Iterable[bytes]) -> StagedDocument:
        """Take in a document as it arrives; TransactionFailure when there is no room for it."""
        try:
            with part("store stage"):
                return self.store.stage(chunks)
        except StoreFull as error:
            raise TransactionFailure([XDSRepositoryOutOfResources(_NO_ROOM)]) from error

    def provide_and_register(
        self,
        submission: Submission,
        documents: Mapping[str, StagedDocument],
        in_commit: InCommit | None = None,
        visible: Criterion = ANYTHING,
        further: Sequence[Registration] = (),
        stated: StatedVersions | None = None,
        read_version: ReadVersion | None = None,
        tell: TellWarnings | None = None,
    ) -> Sequence[RegistryError]:
        """Store staged documents, by the id of their entries, and register them (TF-2 3.41.4.1.3).

        ``in_commit`` is what else is to be in the commit that enters them in the index, ``visible``
        what the submission may refer to. ``further`` is registered with it, and ``stated``, what
        the documents say of their versions, is heeded, where the registry shares the database; it
        is read of them with ``read_version``. ``tell`` has the registry's warnings before
        ``in_commit`` is called, where they share the database.

        Raises TransactionFailure with the repository's errors or the registry's; then nothing is
        stored, unless it is OutcomeUnknown. On return documents and metadata are durable; what is
        returned are warnings of the registry. The documents lie in the store before they are
        registered, so a crash leaves a document without metadata at worst.
        """
        staged = list(documents.values())
        try:
            if errors := list(_mismatches(submission, documents)):
                raise TransactionFailure(errors)
            self._publish(staged)
            if errors := list(self._inspected(submission, documents)):
                raise TransactionFailure(errors)
            if read_version is not None:
                stated = dict(self._stated(submission, documents, read_version))
        except Exception:
            self._discard(staged)
            raise
        try:
            warnings, unused = self._register(
                Registration(self._completed(submission, documents), ITI_42.name, stated or {}),
                documents,
                in_commit,
                visible,
                further,
                tell,
            )
        except TransactionFailure:
            self._discard_all_but_held(staged)
            raise
        except CommitUnknown:
            raise  # the documents stay, and a sweep removes them if it was not durable
        except DatabaseUnavailable:
            # who tries again until the database is back brings the documents along each time
            self._discard(staged)
            raise
        self._discard(unused)
        return warnings

    def _stated(
        self,
        submission: Submission,
        documents: Mapping[str, StagedDocument],
        read_version: ReadVersion,
    ) -> Iterator[tuple[str, StatedVersion]]:
        """Read what documents say of their versions, of those that may be CDA or FHIR documents."""
        for entry in submission.document_entries:
            staged, mime_type = documents[entry.id], (entry.mime_type or "").lower()
            if staged.size > _MOST_READ or not any(one in mime_type for one in _MARKUP):
                continue
            if (found := read_version(self.store.whole(staged.key, staged.size))) is not None:
                yield entry.id, found

    def _discard(self, staged: Iterable[StagedDocument]) -> None:
        """Remove what nobody needs; what cannot be removed now is left to a sweep."""
        with suppress(StoreError):
            self.store.discard(staged)

    def _discard_all_but_held(self, staged: Sequence[StagedDocument]) -> None:
        """Remove what the index does not name; it may name some that another submission needs."""
        with suppress(StoreError, DatabaseUnavailable):
            with self.database.read() as connection:
                held = index.held_keys(connection, [document.key for document in staged])
            self.store.discard([document for document in staged if document.key not in held])

    def _publish(self, documents: Sequence[StagedDocument]) -> None:
        try:
            with part("store publish"):
                self.store.publish(documents)
        except StoreFull as error:
            raise TransactionFailure([XDSRepositoryOutOfResources(_NO_ROOM)]) from error
        except DocumentNotFound as error:
            raise TransactionFailure([XDSRepositoryBusy(_SWEPT)]) from error

    def _inspected(
        self, submission: Submission, documents: Mapping[str, StagedDocument]
    ) -> Iterator[RegistryError]:
        for entry in submission.document_entries:
            staged = documents[entry.id]
            yield from self.inspect(entry, staged.size, partial(self.store.open, staged.key))

    def _completed(
        self, submission: Submission, documents: Mapping[str, StagedDocument]
    ) -> Submission:
        """Add what the repository knows: its own id, hash and size (ITI TF-2 3.41.4.1.3)."""

        def completed(thing: RegistryObject) -> RegistryObject:
            if not isinstance(thing, DocumentEntry):
                return thing
            staged = documents[thing.id]
            return thing.updated(
                repository_unique_id=self.unique_id,
                hash=thing.hash or staged.hash,
                size=thing.size or str(staged.size),
            )

        return submission.with_objects([completed(thing) for thing in submission.objects])

    def _register(
        self,
        registration: Registration,
        documents: Mapping[str, StagedDocument],
        in_commit: InCommit | None,
        visible: Criterion,
        further: Sequence[Registration],
        tell: TellWarnings | None,
    ) -> tuple[Sequence[RegistryError], list[StagedDocument]]:
        """Register; return warnings, and the documents that are held under their uniqueId."""
        submission = registration.submission
        unused: list[StagedDocument] = []

        def enter(connection: Connection) -> None:
            entries = {e.unique_id: e for e in submission.document_entries if e.unique_id}
            held = index.find(connection, list(entries))
            if errors := list(_differences(entries, held, documents)):
                raise TransactionFailure(errors)
            self._require_standing(connection, entries, held, documents)
            # not added to: a registration that met another one is done again
            unused[:] = [documents[entry.id] for uid, entry in entries.items() if uid in held]
            index.add(
                connection,
                [
                    _indexed(entry, documents[entry.id])
                    for uid, entry in entries.items()
                    if uid not in held
                ],
            )
            if in_commit is not None:
                in_commit(connection)

        warnings = self.register(submission, enter, visible, further, registration.stated, tell)
        return warnings, unused

    def _require_standing(
        self,
        connection: Connection,
        entries: Mapping[str, DocumentEntry],
        held: Mapping[str, IndexedDocument],
        documents: Mapping[str, StagedDocument],
    ) -> None:
        """Refuse what a sweep has removed since it was published (:mod:`maintenance`)."""
        new = [documents[entry.id].key for uid, entry in entries.items() if uid not in held]
        if new and index.swept_keys(connection, new):
            raise TransactionFailure([XDSRepositoryBusy(_SWEPT)])

    def locate(self, unique_id: str) -> IndexedDocument | None:
        """Return where a document lies, or None: its key in the store, and its size and hash."""
        with self.database.read() as connection:
            return index.find(connection, [unique_id]).get(unique_id)

    def retrieve(
        self,
        requests: Sequence[DocumentRequest],
        *,
        withheld: Set[str] = frozenset(),
        make: MakeOnDemand = nothing_on_demand,
    ) -> RetrieveResult:
        """Open the documents asked for (ITI TF-2 3.43.4.1.3); the caller reads or closes them.

        Those whose uniqueIds are ``withheld`` are as if they were not there; those that are not
        kept ``make`` makes.
        StoreUnavailable when the store cannot give out the first of them: it will give out none.
        """
        with self.database.read() as connection:
            wanted = {request.document_unique_id for request in requests} - withheld
            held = index.find(connection, list(wanted))
        documents: list[OutgoingDocument] = []
        errors: list[RegistryError] = []
        for request in requests:
            try:
                keep_open = len(documents) < _KEPT_OPEN
                makes = nothing_on_demand if request.document_unique_id in withheld else make
                documents.append(self._retrieved(request, held, makes, keep_open=keep_open))
            except RegistryError as error:
                errors.append(error)
            except DocumentDamaged:
                unique_id = request.document_unique_id
                errors.append(XDSRepositoryError(f"document {unique_id} is damaged", unique_id))
            except StoreUnavailable:
                if not documents:
                    raise
                unique_id = request.document_unique_id
                errors.append(
                    XDSRepositoryBusy(f"document {unique_id} cannot be read now", unique_id)
                )
        return RetrieveResult(tuple(documents), tuple(errors))

    def _retrieved(
        self,
        request: DocumentRequest,
        held: Mapping[str, IndexedDocument],
        make: MakeOnDemand,
        *,
        keep_open: bool,
    ) -> OutgoingDocument:
        self.require_here(request)
        found = held.get(request.document_unique_id)
        if found is None:
            return make(request)
        return OutgoingDocument(
            request, found.mime_type, found.size, found.hash, self._opened(found, keep_open)
        )

    def require_here(self, request: DocumentRequest) -> None:
        """Raise the RegistryError of a request that another repository, or community, is for."""
        unique_id = request.document_unique_id
        if self.home_community_id and request.home_community_id not in (
            None,
            self.home_community_id,
        ):
            told = f"{request.home_community_id} is not served here"
            if f"{_OID_URN}{request.home_community_id}" == self.home_community_id:
                told += f": a homeCommunityId begins with {_OID_URN}"
            raise XDSUnknownCommunity(told, unique_id)
        if request.repository_unique_id != self.unique_id:
            told = (
                f"{request.repository_unique_id} is not this repository, which is {self.unique_id}"
            )
            if request.repository_unique_id == f"{_OID_URN}{self.unique_id}":
                told += f": a repositoryUniqueId stands without {_OID_URN}"
            raise XDSUnknownRepositoryId(told, unique_id)

    def _is_held(self, document: IndexedDocument) -> bool:
        """Tell whether a document is still in the index: it may have been removed meanwhile."""
        with self.database.read() as connection:
            return bool(index.held_keys(connection, [document.key]))

    def _opened(
        self, found: IndexedDocument, keep_open: bool
    ) -> Callable[[], Iterable[bytes]] | Iterable[bytes]:
        try:
            if keep_open and found.size <= _READ_AT_ONCE:
                return (self.documents.whole(found, is_held=self._is_held),)
            reader = self.documents.open(found, is_held=self._is_held)
        except DocumentNotFound as error:
            raise XDSDocumentUniqueIdError(
                f"document {found.unique_id} is not available", found.unique_id
            ) from error
        if keep_open:
            return reader
        reader.close()
        return lambda: self.documents.open(found)


def _indexed(entry: DocumentEntry, staged: StagedDocument) -> IndexedDocument:
    return IndexedDocument(
        entry.unique_id or "", staged.key, entry.mime_type or "", staged.size, staged.hash
    )


def _mismatches(
    submission: Submission, documents: Mapping[str, StagedDocument]
) -> Iterator[RegistryError]:
    """Pair entries with documents; compare hash and size where they are given."""
    entries = {entry.id: entry for entry in submission.document_entries}
    for entry in entries.values():
        staged = documents.get(entry.id)
        where = f"DocumentEntry {entry.id}"
        if staged is None:
            yield XDSMissingDocument(f"{where} has no Document of that id", entry.id)
            continue
        if entry.is_on_demand:
            yield XDSRepositoryMetadataError(
                f"{where}: objectType On-Demand cannot be provided with a Document",
                entry.id,
                attribute="objectType",
            )
        digest, size = entry.hash, entry.size
        if digest and digest.lower() != staged.hash:
            yield XDSRepositoryMetadataError(
                f"{where}: hash is not the document's {staged.hash}", entry.id, attribute="hash"
            )
        if size and not (size.isdecimal() and int(size) == staged.size):
            yield XDSRepositoryMetadataError(
                f"{where}: size is not the document's {staged.size}", entry.id, attribute="size"
            )
    for document_id in documents:
        if document_id not in entries:
            yield XDSMissingDocumentMetadata(
                f"Document {document_id} has no DocumentEntry of that id", document_id
            )


def _differences(
    entries: Mapping[str, DocumentEntry],
    held: Mapping[str, IndexedDocument],
    documents: Mapping[str, StagedDocument],
) -> Iterator[RegistryError]:
    """Compare documents with those held under the same uniqueId (ITI TF-2 3.41.4.1.3)."""
    for unique_id, found in held.items():
        entry = entries[unique_id]
        staged = documents[entry.id]
        if staged.size != found.size:
            yield XDSNonIdenticalSize(f"uniqueId {unique_id} is stored with another size", entry.id)
        if staged.hash != found.hash:
            yield XDSNonIdenticalHash(f"uniqueId {unique_id} is stored with another hash", entry.id)
