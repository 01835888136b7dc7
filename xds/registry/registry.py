"""The Document Registry: registers submissions and answers stored queries (ITI TF-1 10.1.1.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from sqlalchemy import Connection, bindparam, select

from xds import logs
from xds.database.access import Database, InCommit, retried
from xds.database.errors import DatabaseConflict, DatabaseUnavailable
from xds.database.lists import one_of
from xds.database.locks import NOTHING, Locks
from xds.database.reading import fetch
from xds.errors import RegistryError, TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_42
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.rules.case import Policy
from xds.metadata.submission import Registration, StatedVersions, Submission, TellWarnings
from xds.metadata.unique_ids import normal
from xds.registry import events, legal_holds, removal
from xds.registry.events import Event
from xds.registry.legal_holds import LegalHold
from xds.registry.locking import all_of_locks, of_unique_ids
from xds.registry.queries.stored_queries import QueryRequest, QueryResult, ResultLimits, answer
from xds.registry.queries.views import LATEST_VERSION, RegistryView
from xds.registry.queries.visibility import Visibility
from xds.registry.registration import Registrar, visible_uuids
from xds.registry.removal import Removal
from xds.registry.tables import document_entry, is_latest, patient

_log: Final = logs.get_logger(__name__)
_PAGE: Final = 1_000
_NEXT_STABLE: Final = (
    select(
        document_entry.c.pk,
        document_entry.c.unique_id,
        document_entry.c.hash,
        document_entry.c.size,
    )
    .where(
        document_entry.c.pk > bindparam("last"),
        document_entry.c.repository_unique_id == bindparam("repository"),
        document_entry.c.object_type == v.STABLE_DOCUMENT_ENTRY,
        is_latest(document_entry),
    )
    .order_by(document_entry.c.pk)
    .limit(_PAGE)
)


_PATIENTS_OF: Final = (
    select(document_entry.c.unique_id, patient.c.patient_id)
    .join(patient, document_entry.c.patient == patient.c.pk)
    .where(one_of.named(document_entry.c.unique_id, "unique_ids"), LATEST_VERSION)
    .distinct()
    .order_by(document_entry.c.unique_id, patient.c.patient_id)
)


@dataclass(frozen=True, slots=True)
class RegisteredDocument:
    """What a DocumentEntry says of its document's bytes."""

    unique_id: str
    hash: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRegistry:
    """The registry on one database; safe to use from many threads and processes."""

    database: Database
    policy: Policy = field(default_factory=Policy)
    learn_patients: bool = True
    """Whether an id first seen in a submission becomes known (``unknown_patients = open``)."""
    home_community_id: str | None = None
    """Set on objects that come without one, ``urn:oid:``."""
    result_limits: ResultLimits = field(default_factory=ResultLimits)
    has_updates: bool = False
    """Whether it has the Document Metadata Update option (ITI TF-2 3.18.4.1.2.3)."""
    legal_hold_codes: Sequence[str] = ()
    """``code^^codingScheme``: DocumentEntries with one of them cannot be removed."""

    def register(
        self,
        submission: Submission,
        *,
        transaction: str = ITI_42.name,
        further: Sequence[Registration] = (),
        in_commit: InCommit | None = None,
        visible: Criterion = ANYTHING,
        stated: StatedVersions | None = None,
        tell: TellWarnings | None = None,
    ) -> Sequence[RegistryError]:
        """Register a submission in one database transaction (ITI TF-2 3.42.4.1.3, 3.61.4.1.3).

        What it refers to has to be ``visible`` to the submitter, else it is as if it were not
        there. ``further`` are registered after it in the same commit, each by rules of its own and
        on top of those before: all of them, or none. ``stated`` is what the documents say of their
        versions: they replace others, or are replaced by them, and warnings tell of it. ``tell``
        is handed the warnings in the commit, before ``in_commit`` is called.

        Raises TransactionFailure with every violation of the rules; then nothing has changed. On
        return the registration is durable, and so is what ``in_commit`` did with the connection; it
        is called again where another transaction was in the way.
        """
        seen = Visibility.of(visible)
        registrations = (Registration(submission, transaction, stated or {}), *further)
        registrar = Registrar(
            database=self.database,
            policy=self.policy,
            learn_patients=self.learn_patients,
            home_community_id=self.home_community_id,
            delete_removed=self._delete_removed,
        )
        return retried(lambda: registrar.register(registrations, in_commit, seen, tell))

    def remove(
        self,
        entry_uuids: Sequence[str],
        *,
        tell: Callable[[Removal], object] = lambda _: None,
        in_commit: InCommit | None = None,
        visible: Criterion = ANYTHING,
        with_latest: bool = False,
        locks: Locks = NOTHING,
    ) -> None:
        """Remove objects in one database transaction (ITI TF-2 3.62.4.1.3).

        They have to be ``visible`` to the caller, else they are as if they were not there. ``tell``
        is handed what is about to be removed, before ``in_commit`` is called in the commit. With
        ``with_latest`` a version goes only together with the latest one of its logical object.
        ``locks`` are what ``in_commit`` needs.

        Raises TransactionFailure with everything that speaks against it; then nothing has changed.
        """
        seen = Visibility.of(visible)
        find = partial(self._removable, entry_uuids=entry_uuids, seen=seen, with_latest=with_latest)
        retried(lambda: self._remove(find, tell, in_commit, locks))

    def _remove(
        self,
        find: Callable[[Connection], Removal],
        tell: Callable[[Removal], object],
        in_commit: InCommit | None,
        locks: Locks,
    ) -> None:
        for may_change in (True, True, False):
            with self.database.read() as connection:
                last = events.last_seen(connection)
            # in a state of later on, which has all events up to that one
            with self.database.read() as connection:
                found = find(connection)
            tell(found)
            with self.database.write(all_of_locks((found.locks, locks))) as connection:
                there = self._still_there(connection, found, last, find, or_none=may_change)
                if there is None:
                    continue
                removal.apply(connection, there, now=datatypes.now())
                if in_commit is not None:
                    in_commit(connection)
            break
        self._delete_removed()

    def _still_there(
        self,
        connection: Connection,
        found: Removal,
        last: int,
        find: Callable[[Connection], Removal],
        *,
        or_none: bool,
    ) -> Removal | None:
        """Look, within the lock, whether a removal is as it was found after an event.

        Where it is not, it is found again, which may take long: with ``or_none`` by the caller,
        without the lock.
        """
        if not removal.has_changed(connection, found, last):
            if held := removal.holds(connection, found, ()):  # a mark writes no event
                raise TransactionFailure(held)
            return found
        if or_none:
            return None
        again = find(connection)
        if again.locks.exclusive - found.locks.exclusive:
            raise DatabaseConflict("an object has gone to another patient meanwhile")
        return again

    def _delete_removed(self) -> None:
        """Delete what a commit has hidden: where that fails, the next removal or start does it."""
        try:
            removal.delete_removed(self.database)
        except DatabaseUnavailable as error:
            _log.warning("rows of removed objects stay for now", reason=str(error))

    def _removable(
        self,
        connection: Connection,
        entry_uuids: Sequence[str],
        seen: Visibility,
        *,
        with_latest: bool,
    ) -> Removal:
        found = removal.read(connection, visible_uuids(connection, entry_uuids, seen))
        found = replace(found, asked=tuple(dict.fromkeys(entry_uuids)))
        errors = removal.errors(connection, found, self.legal_hold_codes)
        if errors := [*errors, *(removal.later_versions(found) if with_latest else ())]:
            raise TransactionFailure(errors)
        return found

    def hold(self, unique_ids: Sequence[str], *, reason: str) -> None:
        """Put documents on legal hold: until it is released, nobody removes them.

        An entry is on legal hold as well that comes to be registered later on.
        """
        with self.database.write(of_unique_ids(unique_ids)) as connection:
            legal_holds.hold(connection, unique_ids, at=datatypes.now(), reason=reason)

    def release(self, unique_ids: Sequence[str]) -> list[str]:
        """End the legal hold of documents, and return those of which there was one."""
        with self.database.write(of_unique_ids(unique_ids)) as connection:
            return legal_holds.release(connection, unique_ids)

    def holds(self) -> Sequence[LegalHold]:
        """Return the documents that are on legal hold by a mark."""
        with self.database.read() as connection:
            return legal_holds.legal_holds(connection)

    def query(self, request: QueryRequest, visible: Criterion) -> QueryResult:
        """Answer a stored query (ITI TF-2 3.18.4.1.3) to someone to whom that much is visible.

        Raises TransactionFailure.
        """
        with self.database.read() as connection:
            return answer(
                connection,
                request,
                self.result_limits,
                Visibility.of(visible),
                has_updates=self.has_updates,
            )

    @contextmanager
    def view(self, visible: Criterion) -> Iterator[RegistryView]:
        """Open the registry for reading, in one consistent state, by the names of attributes.

        ``visible`` is the demand on DocumentEntries that the reader may know of.
        """
        with self.database.read() as connection:
            yield RegistryView(connection, self.result_limits.leaf_class, Visibility.of(visible))

    def events(self, after: int = 0, *, at_most: int = 1_000) -> list[Event]:
        """Return what happened since an event number, oldest first."""
        with self.database.read() as connection:
            last = events.last_complete(connection)
        # in a state of later on, which has all events up to that one
        with self.database.read() as connection:
            return events.after(connection, after, until=last, at_most=at_most)

    def latest_events(self, at_most: int, before: int = 0) -> list[Event]:
        """Return what happened last, oldest first, of at most so many events.

        ``before`` is the number of an event: those with lower numbers are asked for.
        """
        with self.database.read() as connection:
            last = events.last_seen(connection)
        last = min(last, before - 1) if before else last
        with self.database.read() as connection:
            return events.after(connection, max(last - at_most, 0), until=last, at_most=at_most)

    def patients_of_documents(self, unique_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the patients (CX) of those uniqueIds under which a DocumentEntry is registered.

        There are several where entries of one document are of several patients.
        """
        found: dict[str, list[str]] = {}
        with self.database.read() as connection:
            for unique_id, patient_id in fetch(
                connection, _PATIENTS_OF, {"unique_ids": list(unique_ids)}
            ):
                found.setdefault(unique_id, []).append(patient_id)
        return {one: found[normal(one)] for one in unique_ids if normal(one) in found}

    def stable_documents(self, repository_unique_id: str) -> Iterator[RegisteredDocument]:
        """Yield what the latest versions say of every stable document of one repository.

        It is read in short transactions, however long the reader takes.
        """
        last = 0
        while True:
            bound = {"repository": repository_unique_id, "last": last}
            with self.database.read() as connection:
                rows = connection.execute(_NEXT_STABLE, bound).all()
            for row in rows:
                yield RegisteredDocument(row.unique_id, row.hash, row.size)
            if len(rows) < _PAGE:
                return
            last = rows[-1].pk
