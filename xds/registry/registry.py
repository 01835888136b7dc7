"""The Document Registry: registers submissions and answers stored queries (ITI TF-1 10.1.1.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from sqlalchemy import Connection, bindparam, select

from xds import logs
from xds.database.access import Database, InCommit, retried
from xds.database.errors import DatabaseConflict, DatabaseUnavailable
from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.errors import TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_42
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.objects import Association, MetadataObject
from xds.metadata.rules.case import Case, Policy, RegistryState
from xds.metadata.rules.submission_rules import UPDATES, violations
from xds.metadata.submission import Registration, Submission
from xds.metadata.unique_ids import normal
from xds.registry import consequences, events, legal_holds, lookups, removal
from xds.registry.consequences import Consequences
from xds.registry.events import EVENT_OBJECTS, Event, NewEvent
from xds.registry.legal_holds import LegalHold
from xds.registry.locking import all_of_locks, of_unique_ids, relied_on, require_locked
from xds.registry.patients import Patients
from xds.registry.queries.search import Columns, Search
from xds.registry.queries.stored_queries import QueryRequest, QueryResult, ResultLimits, answer
from xds.registry.queries.views import LATEST_VERSION, RegistryView
from xds.registry.queries.visibility import Visibility
from xds.registry.removal import Removal
from xds.registry.storage.fragments import FIRST_VERSION
from xds.registry.storage.rows import PreparedObject, assign_patients, insert_objects, prepared
from xds.registry.tables import TABLES, document_entry, patient
from xds.registry.versions import updates

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
        document_entry.c.is_latest == 1,
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


@dataclass(frozen=True, slots=True)
class Validated:
    """A submission that keeps the rules, ready to be written."""

    now: str
    submission_set: str
    objects: list[PreparedObject]
    consequences: Consequences


@dataclass(frozen=True, slots=True)
class Checked:
    """A submission that was held to the rules before the database was locked."""

    state: RegistryState
    """What it was held to."""
    validated: Validated
    last: int | None
    """The number of an event that the state has, with all before it; None: nothing was read."""
    patients: Patients | None
    """Its patients as they were then."""


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
    ) -> None:
        """Register a submission in one database transaction (ITI TF-2 3.42.4.1.3, 3.61.4.1.3).

        What it refers to has to be ``visible`` to the submitter, else it is as if it were not
        there. ``further`` are registered after it in the same commit, each by rules of its own and
        on top of those before: all of them, or none.

        Raises TransactionFailure with every violation of the rules; then nothing has changed. On
        return the registration is durable, and so is what ``in_commit`` did with the connection; it
        is called again where another transaction was in the way.
        """
        seen = Visibility.of(visible)
        registrations = (Registration(submission, transaction), *further)
        retried(lambda: self._register(registrations, in_commit, seen))

    def _register(
        self, registrations: Sequence[Registration], in_commit: InCommit | None, seen: Visibility
    ) -> None:
        checked = [self._checked(one, seen) for one in registrations]
        each = list(zip(registrations, checked, strict=True))
        locks = all_of_locks(relied_on(one.submission, known.state) for one, known in each)
        with self._own_ids(), self.database.write(locks) as connection:
            for one, known in each:
                validated = known.validated
                if known.patients is not None and _is_as_known(connection, one, known):
                    patients = known.patients.within(connection)
                else:
                    patients = self._patients(connection, one.submission)
                    state = self._state(connection, one, seen, patients)
                    if state != known.state:
                        require_locked(locks, one.submission, state)
                        validated = self._validate(one, state)
                _write(connection, validated, patients)
            if in_commit is not None:
                in_commit(connection)

    @contextmanager
    def _own_ids(self) -> Iterator[None]:
        """Have a conflict end with what is hidden deleted: it may have the same unique ids."""
        try:
            yield
        except DatabaseConflict:
            self._delete_removed()
            raise

    def _checked(self, registration: Registration, seen: Visibility) -> Checked:
        """Hold a submission to the rules before the database is locked.

        Where it names nothing that is registered, it is taken that nothing of it is known, which
        the lock will prove: that spares nearly every submission a reading.
        """
        if not lookups.refers(registration.submission):
            with suppress(TransactionFailure):
                state = RegistryState()
                return Checked(state, self._validate(registration, state), None, None)
        with ExitStack() as stack:
            connection = stack.enter_context(self.database.read())
            last = events.last_seen(connection)
            if not self.database.is_sqlite:
                # in a state of later on, which has all events up to that one
                stack.close()
                connection = stack.enter_context(self.database.read())
            patients = self._patients(connection, registration.submission)
            state = self._state(connection, registration, seen, patients)
        return Checked(state, self._validate(registration, state), last, patients)

    def _patients(self, connection: Connection, submission: Submission) -> Patients:
        patient_ids = {p for thing in lookups.bearers(submission) if (p := thing.patient_id)}
        return Patients(connection, patient_ids, learn=self.learn_patients)

    def _state(
        self,
        connection: Connection,
        registration: Registration,
        seen: Visibility,
        patients: Patients,
    ) -> RegistryState:
        """Read what the registry has of a submission at the moment."""
        submission, transaction = registration.submission, registration.transaction
        state = lookups.registry_state(connection, submission, patients.refused)
        state = _as_seen(connection, submission, state, seen)
        if transaction in UPDATES:
            case = Case(submission, transaction, state, self.policy)
            state = updates.registry_state(connection, case)
        return state

    def _validate(self, registration: Registration, state: RegistryState) -> Validated:
        """Hold a submission to the rules, and make ready what it will write.

        This is most of the work of a registration. It is done before the database is locked, and
        again only where the state has changed in between.
        """
        submission, transaction = registration.submission, registration.transaction
        if errors := violations(Case(submission, transaction, state, self.policy)):
            raise TransactionFailure(errors)
        now = datatypes.now()
        named = self._at_home(submission).with_uuids()
        if transaction in UPDATES:
            plan = updates.plan(Case(named, transaction, state, self.policy))
            first = (FIRST_VERSION, v.APPROVED)
            ready = [prepared(one, now, *plan.versions.get(one.id, first)) for one in plan.objects]
            return Validated(now, named.submission_set.id, ready, plan.consequences)
        planned = consequences.plan(named, state)
        things = (*_objects(named), *planned.associations)
        objects = [prepared(thing, now) for thing in things]
        return Validated(now, named.submission_set.id, objects, planned)

    def remove(
        self,
        entry_uuids: Sequence[str],
        *,
        tell: Callable[[Removal], object] = lambda _: None,
        in_commit: InCommit | None = None,
        visible: Criterion = ANYTHING,
        with_latest: bool = False,
    ) -> None:
        """Remove objects in one database transaction (ITI TF-2 3.62.4.1.3).

        They have to be ``visible`` to the caller, else they are as if they were not there. ``tell``
        is handed what is about to be removed, before ``in_commit`` is called in the commit. With
        ``with_latest`` a version goes only together with the latest one of its logical object.

        Raises TransactionFailure with everything that speaks against it; then nothing has changed.
        """
        seen = Visibility.of(visible)
        find = partial(self._removable, entry_uuids=entry_uuids, seen=seen, with_latest=with_latest)
        retried(lambda: self._remove(find, tell, in_commit))

    def _remove(
        self,
        find: Callable[[Connection], Removal],
        tell: Callable[[Removal], object],
        in_commit: InCommit | None,
    ) -> None:
        for may_change in (True, True, False):
            with self.database.read() as connection:
                last = events.last_seen(connection)
            # in a state of later on, which has all events up to that one
            with self.database.read() as connection:
                found = find(connection)
            tell(found)
            with self.database.write(found.locks) as connection:
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
        found = removal.read(connection, _visible(connection, entry_uuids, seen))
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

    def latest_events(self, at_most: int) -> list[Event]:
        """Return what happened last, oldest first, of at most so many events."""
        with self.database.read() as connection:
            last = events.last_seen(connection)
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

    def _at_home(self, submission: Submission) -> Submission:
        if self.home_community_id is None:
            return submission
        return submission.with_objects(
            thing.updated(home_community_id=thing.home_community_id or self.home_community_id)
            for thing in _objects(submission)
        )


def _is_as_known(connection: Connection, registration: Registration, known: Checked) -> bool:
    """Tell, within the lock, whether an update meets the state that it was held to.

    Whatever registers, changes or removes an object writes an event, but for the removal of an
    Association alone. So these are looked at, and else a second reading of the state is spared.
    """
    if known.last is None or registration.transaction not in UPDATES:
        return False
    if any(one.kind is Association for one in known.state.objects.values()):
        return False
    if events.is_any_after(connection, known.last):
        return False
    case = Case(registration.submission, registration.transaction, known.state, Policy())
    return updates.has_same_associations(connection, case)


def _write(connection: Connection, validated: Validated, patients: Patients) -> None:
    """Write a submission that keeps the rules, with its consequences and events."""
    assign_patients(validated.objects, patients)
    insert_objects(connection, validated.objects)
    new_events = consequences.apply(connection, validated.consequences, now=validated.now)
    events.write(
        connection,
        [*_registrations(validated.objects), *new_events],
        at=validated.now,
        submission_set=validated.submission_set,
    )


def _as_seen(
    connection: Connection, submission: Submission, state: RegistryState, seen: Visibility
) -> RegistryState:
    """Leave out what the submission refers to and its submitter may not know of.

    What bears an entryUUID of the submission itself stays, since no id can be given twice. What
    bears one of its uniqueIds stays too, and is marked as withheld.
    """
    ends = state.objects.keys() - submission.by_id.keys()
    bearers = {one.entry_uuid for found in state.unique_ids.values() for one in found}
    latest = {one.entry_uuid for one in state.latest.values()}
    if not (seen.sight and (ends or bearers or latest)):
        return state
    wanted = ends | bearers | latest
    withheld = wanted - set(_visible(connection, sorted(wanted), seen))
    return replace(
        state,
        objects={uuid: one for uuid, one in state.objects.items() if uuid not in ends & withheld},
        latest={lid: one for lid, one in state.latest.items() if one.entry_uuid not in withheld},
        unique_ids={
            unique_id: tuple(replace(one, is_withheld=one.entry_uuid in withheld) for one in found)
            for unique_id, found in state.unique_ids.items()
        },
    )


def _visible(connection: Connection, entry_uuids: Sequence[str], seen: Visibility) -> Sequence[str]:
    """Return those of some entryUUIDs whose objects someone may know of."""
    if not seen.sight:
        return entry_uuids
    search = Search(connection, Columns.REFERENCE, len(entry_uuids), seen)
    return [
        one.entry_uuid
        for table in TABLES.values()
        for one in search.objects_in(table, "entry_uuid", entry_uuids)
    ]


def _objects(submission: Submission) -> list[MetadataObject]:
    return [thing for thing in submission.objects if isinstance(thing, MetadataObject)]


def _registrations(objects: Sequence[PreparedObject]) -> list[NewEvent]:
    return [
        NewEvent(_event(one), type(one.thing), one.thing.id, one.row["patient"])
        for one in objects
        if isinstance(one.thing, EVENT_OBJECTS)
    ]


def _event(one: PreparedObject) -> str:
    is_first = one.row.get("version", FIRST_VERSION) == FIRST_VERSION
    return events.REGISTERED if is_first else events.UPDATED
