"""Registering with a registry that is elsewhere (ITI-42), so that no crash loses a document.

Where registry and repository share a database, documents and metadata are one commit. Here they are
not, and the order is what keeps the promise that an acknowledged document can be retrieved, and
that a registered one can as well (ITI TF-2 3.41.4.1.3):

1. the documents are published in the store;
2. one commit enters them in the index, from where on they can be retrieved, and notes that their
   registration is under way (the rows of ``registration``);
3. ITI-42 is sent;
4. its answer resolves the registration. Success: the notes go, the documents stay for good. A plain
   refusal: the documents that only this attempt stood behind are withdrawn. Anything else, such as
   silence, a broken connection or a registry that is busy: nobody knows, and all stays as it is.

So a crash leaves, at any point, a document without metadata at worst. `xds sweep` resolves later
what is pending, by asking the registry (:mod:`xds.repository.pending_registrations`). A submitter
who tries again meanwhile is not in the way: the document is there already, and each attempt has
notes of its own. If the first attempt was registered after all, the registry refuses the second for
its uniqueIds, and the document stays on account of the first.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from xds import logs
from xds.database.access import Database, InCommit, retried
from xds.database.errors import DatabaseUnavailable
from xds.database.locks import Locks
from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSDuplicateUniqueIdInRegistry,
    XDSRegistryNotAvailable,
    XDSRepositoryDuplicateUniqueIdInMessage,
    XDSRepositoryError,
)
from xds.metadata.criteria import Criterion, evaluate, is_anything
from xds.metadata.ebrim import new_uuid
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import Registration, StatedVersions, Submission, TellWarnings
from xds.metadata.unique_ids import normal
from xds.repository import index
from xds.repository.index import Connection

_NOT_ASKED: Final = "the registry cannot be asked; nothing is stored, try again later"
_NO_UPDATES: Final = "the registry is elsewhere: no update can be in one commit with a submission"
_WITHDRAWN: Final = (
    "the registry has registered it, but `xds sweep --force` removed the document meanwhile"
)
_log: Final = logs.get_logger(__name__)


class OutcomeUnknown(TransactionFailure):
    """Whether the registry registered the submission is not known."""


class RegistryUnavailable(Exception):
    """The registry cannot be asked now; the text says why and names no patient."""


class RemoteRegistry(Protocol):
    """A Document Registry on another database, as the repository uses it."""

    def register(self, submission: Submission) -> Sequence[RegistryError]:
        """Register by ITI-42 and return the warnings.

        Raises TransactionFailure when nothing was registered, OutcomeUnknown when it may have been.
        """

    def document_entries(self, unique_ids: Collection[str]) -> Sequence[DocumentEntry]:
        """Return what is registered under uniqueIds (ITI-18 GetDocuments); RegistryUnavailable."""

    def close(self) -> None:
        """Close the connections to it."""


@dataclass(frozen=True, slots=True)
class RemoteRegistration:
    """Registers the submissions of one repository; safe to use from many threads and processes."""

    database: Database
    registry: RemoteRegistry

    def __call__(
        self,
        submission: Submission,
        in_commit: InCommit,
        visible: Criterion,
        further: Sequence[Registration] = (),
        stated: StatedVersions | None = None,
        tell: TellWarnings | None = None,
    ) -> Sequence[RegistryError]:
        """Register a submission whose documents are published; ``in_commit`` enters them.

        What it may refer to, the registry decides by a policy of its own, and it is not told what
        documents say of their versions; ``tell`` is not called. Of a document that is
        held already and not ``visible`` the submitter learns only that its uniqueId is in use.
        """
        if further:
            raise TransactionFailure([XDSRepositoryError(_NO_UPDATES)])
        unique_ids = _unique_ids(submission)
        attempt = new_uuid()
        seen: Set[str] = frozenset() if not is_anything(visible) else unique_ids
        announce = partial(self._announce, attempt, unique_ids, in_commit)
        while held := retried(partial(announce, seen)):
            self._require_visible(submission, held, visible)
            seen = seen | held
        try:
            warnings = self.registry.register(submission)
        except OutcomeUnknown:
            raise
        except TransactionFailure:
            self._note(unique_ids, lambda one: index.withdraw(one, [attempt], unique_ids))
            raise
        lost: set[str] = set()
        self._note(unique_ids, lambda one: lost.update(_note_registered(one, unique_ids)))
        if lost:
            _log.error("a sweep has removed documents while they were registered", count=len(lost))
            raise OutcomeUnknown(XDSRepositoryError(_WITHDRAWN, one) for one in lost)
        return warnings

    def _announce(
        self, attempt: str, unique_ids: Set[str], in_commit: InCommit, seen: Set[str]
    ) -> Set[str]:
        """Announce a registration, unless documents are held that are not among those ``seen``.

        These are returned, and nothing has changed then.
        """
        if not unique_ids:
            return frozenset()
        with self.database.write(locked(unique_ids)) as connection:
            # a document that was resolved before stays, whatever becomes of this attempt
            held = index.find(connection, list(unique_ids)).keys()
            if unseen := held - seen:
                return unseen
            resolved = held - index.pending(connection, held)
            in_commit(connection)
            since = self.database.clock(connection)
            index.announce(connection, attempt, unique_ids - resolved, since)
        return frozenset()

    def _require_visible(self, submission: Submission, held: Set[str], visible: Criterion) -> None:
        """Refuse uniqueIds of entries that are withheld, whatever their documents are.

        A document that is held and has no entry yet may be a former attempt of the same submitter.
        """
        try:
            entries = self.registry.document_entries(held)
        except RegistryUnavailable as error:
            _log.warning("the registry cannot be asked who may see documents", reason=str(error))
            raise TransactionFailure([XDSRegistryNotAvailable(_NOT_ASKED)]) from error
        withheld = {normal(one.unique_id or "") for one in entries if not evaluate(visible, one)}
        entries = submission.document_entries
        if taken := [one for one in entries if normal(one.unique_id or "") in withheld]:
            raise TransactionFailure(
                XDSDuplicateUniqueIdInRegistry(
                    f"DocumentEntry {one.id}: uniqueId {one.unique_id} is already in use", one.id
                )
                for one in taken
            )

    def _note(self, unique_ids: Collection[str], note: Callable[[Connection], Any]) -> None:
        """Write down what the registry answered; what cannot be is left to a sweep."""
        if not unique_ids:
            return
        try:
            retried(lambda: self._noted(unique_ids, note))
        except DatabaseUnavailable as error:
            _log.error("a registration is not resolved", exc_info=error)

    def _noted(self, unique_ids: Collection[str], note: Callable[[Connection], Any]) -> None:
        with self.database.write(locked(unique_ids)) as connection:
            note(connection)


def _note_registered(connection: Connection, unique_ids: Set[str]) -> Set[str]:
    """Note that documents are registered, and return those that are no longer held."""
    index.note_registered(connection, unique_ids)
    return unique_ids - index.find(connection, list(unique_ids)).keys()


def locked(unique_ids: Collection[str]) -> Locks:
    """Return the locks of those who change whether these documents are held."""
    return Locks(exclusive=frozenset(f"document {one}" for one in unique_ids))


def _unique_ids(submission: Submission) -> set[str]:
    """Return the uniqueIds of the documents in normal form; TransactionFailure where two are one.

    The registry would refuse them, but by then one of the two documents would be lost.
    """
    named = (entry.unique_id for entry in submission.document_entries)
    times = Counter(normal(one) for one in named if one)
    if repeated := [unique_id for unique_id, number in times.items() if number > 1]:
        raise TransactionFailure(
            XDSRepositoryDuplicateUniqueIdInMessage(f"several documents have {one}", one)
            for one in repeated
        )
    return set(times)
