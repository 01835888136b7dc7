"""How submissions are registered: held to the rules, locked, and written in one commit.

SQLite has one lock, for which all writers wait: what a submission is held to is read before it, and
looked at again within. A server locks names, so that there it is read once, within the locks.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from xds.database.access import Database, InCommit
from xds.database.errors import DatabaseConflict
from xds.database.locks import NOTHING, Locks
from xds.errors import RegistryError, TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, MetadataObject
from xds.metadata.rules.case import Case, Policy, RegistryState
from xds.metadata.rules.submission_rules import UPDATES, violations
from xds.metadata.submission import Registration, StatedVersion, Submission, TellWarnings
from xds.registry import consequences, events, lookups
from xds.registry.consequences import Consequences
from xds.registry.events import EVENT_OBJECTS, NewEvent
from xds.registry.locking import all_of_locks, relied_on
from xds.registry.patients import Patients
from xds.registry.queries.search import Columns, Search
from xds.registry.queries.visibility import Visibility
from xds.registry.storage.fragments import FIRST_VERSION
from xds.registry.storage.rows import PreparedObject, assign_patients, insert_objects, prepared
from xds.registry.tables import TABLES, searchable
from xds.registry.versions import placing, set_rows, updates
from xds.registry.versions.known import KnownOfUpdate, known_of_update
from xds.registry.versions.placing import Placed, PlacedDocument
from xds.registry.versions.set_rows import NO_ROWS, SetRows


@dataclass(frozen=True, slots=True)
class Validated:
    """A submission that keeps the rules, ready to be written."""

    now: str
    submission_set: str
    objects: list[PreparedObject]
    consequences: Consequences
    set_rows: SetRows = NO_ROWS


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry has of a submission at a moment."""

    state: RegistryState = field(default_factory=RegistryState)
    placed: Placed = field(default_factory=dict)
    """What becomes of documents that say their versions."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A submission before the database is locked for it."""

    known: Known = field(default_factory=Known)
    """What it was held to: where nothing was read, nothing."""
    validated: Validated | None = None
    """None where it is to be held to the rules within the lock."""
    commit: int | None = None
    """The number of the last commit before the state was read, where it is known."""
    patients: Patients | None = None
    """Its patients as they were then; None where nothing was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """Registers submissions in one database; safe to use from many threads and processes."""

    database: Database
    policy: Policy
    learn_patients: bool
    home_community_id: str | None
    delete_removed: Callable[[], object]
    """Deletes what is hidden, which may have the unique ids of what comes."""

    def register(
        self,
        registrations: Sequence[Registration],
        in_commit: InCommit | None,
        seen: Visibility,
        tell: TellWarnings | None = None,
    ) -> Sequence[RegistryError]:
        """Register submissions in one commit, and return warnings, which ``tell`` has before it.

        Raises TransactionFailure and DatabaseConflict.
        """
        checked = [self._checked(one, seen) for one in registrations]
        each = list(zip(registrations, checked, strict=True))
        locks = all_of_locks(self._locks(one, before.known.state) for one, before in each)
        warnings: list[RegistryError] = []
        with self._own_ids(), self.database.write(locks) as connection:
            is_untouched = self._is_untouched(checked[0])
            for one, before in each:
                known, validated = before.known, before.validated
                if is_untouched and before.patients is not None:
                    patients = before.patients.within(connection)
                else:
                    known, patients = self._locked(connection, one, seen, locks, known)
                if validated is None or known != before.known:
                    validated = self._validate(one, known)
                _write(connection, validated, patients)
                is_untouched = False
                warnings += _told(known.placed)
            if tell is not None:
                tell(warnings)
            if in_commit is not None:
                in_commit(connection)
        return warnings

    def _is_untouched(self, known: Checked) -> bool:
        """Tell, within the lock, whether nothing was committed since a state was read."""
        return known.commit is not None and known.commit == self.database.last_commit()

    @contextmanager
    def _own_ids(self) -> Iterator[None]:
        """Have a conflict end with what is hidden deleted: it may have the same unique ids."""
        try:
            yield
        except DatabaseConflict:
            self.delete_removed()
            raise

    def _checked(self, registration: Registration, seen: Visibility) -> Checked:
        """Hold a submission to the rules before the database is locked.

        Where it names nothing that is registered, it is taken that nothing of it is known, which
        the lock will prove: that spares nearly every submission a reading.
        """
        if not (_says_versions(registration) or lookups.refers(registration.submission)):
            with suppress(TransactionFailure):
                return Checked(validated=self._validate(registration, Known()))
        locks = self._locks(registration, RegistryState())
        if not (self.database.is_sqlite or locks.are_of_everything):
            return Checked()
        commit = self.database.last_commit()
        try:
            with self.database.look() as connection:  # what it saw is durable with what is written
                known, patients = self._known(connection, registration, seen)
            return Checked(known, self._validate(registration, known), commit, patients)
        except TransactionFailure:
            with self.database.read():
                pass  # the sender is told what is durable
            raise

    def _locked(
        self,
        connection: Connection,
        registration: Registration,
        seen: Visibility,
        locks: Locks,
        before: Known,
    ) -> tuple[Known, Patients]:
        """Read within the locks what the registry has of a submission, and lock what they lack."""
        known, patients = self._known(connection, registration, seen)
        if known.state == before.state:
            return known, patients
        further = self._locks(registration, known.state).without(locks)
        if further:
            self.database.lock(connection, further)
            known, patients = self._known(connection, registration, seen)
            if self._locks(registration, known.state).without(locks).without(further):
                raise DatabaseConflict("an object has gone to another patient meanwhile")
        return known, patients

    def _known(
        self, connection: Connection, registration: Registration, seen: Visibility
    ) -> tuple[Known, Patients]:
        """Read what the registry has of a submission at the moment, and its patients."""
        submission = registration.submission
        patient_ids = {p for thing in lookups.bearers(submission) if (p := thing.patient_id)}
        if lookups.logical_ids(submission):
            of_sets = updates.wants_sets(registration.transaction)
            found = known_of_update(connection, submission, of_sets=of_sets)
        else:
            found = None
        rows = () if found is None else found.patients
        patients = Patients(connection, patient_ids, learn=self.learn_patients, rows=rows)
        placed = _placed(connection, registration, seen, self.policy)
        state = self._state(connection, _with(registration, placed), seen, patients, found)
        return Known(state, placed), patients

    def _state(
        self,
        connection: Connection,
        registration: Registration,
        seen: Visibility,
        patients: Patients,
        found: KnownOfUpdate | None,
    ) -> RegistryState:
        """Read what the registry has of a submission at the moment, beside what was found."""
        submission, transaction = registration.submission, registration.transaction
        told = () if found is None else (found.in_use, found.latest, found.associations)
        state = lookups.registry_state(connection, submission, patients.refused, *told)
        state = _as_seen(connection, submission, state, seen)
        if transaction in UPDATES:
            case = Case(submission, transaction, state, self.policy)
            state = updates.registry_state(connection, case)
        return state

    def _validate(self, registration: Registration, known: Known) -> Validated:
        """Hold a submission to the rules, and make ready what it will write.

        This is most of the work of a registration.
        """
        state, placed = known.state, known.placed
        submission, transaction = _with(registration, placed).submission, registration.transaction
        errors = violations(Case(submission, transaction, state, self.policy))
        errors += _told(placed, errors=True)
        if errors:
            raise TransactionFailure(errors)
        now = datatypes.now()
        if placed:
            return self._validated_versions(registration, state, placed, now)
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

    def _validated_versions(
        self, registration: Registration, state: RegistryState, placed: Placed, now: str
    ) -> Validated:
        """Make ready what a submission writes some documents of which say their versions."""
        given = self._at_home(_with(registration, placed).submission)
        count = len(given.objects)
        made = self._at_home(Submission(tuple(placing.made_by_registry(placed))))
        whole = given.with_objects((*given.objects, *made.objects)).with_uuids()
        uuids = {old.id: new.id for old, new in zip(given.objects, whole.objects, strict=False)}
        named = whole.with_objects(whole.objects[:count])
        further = [one for one in whole.objects[count:] if isinstance(one, Association)]
        planned = consequences.plan(named, state)
        late = tuple(uuids[entry_id] for entry_id, one in placed.items() if one.is_late)
        sources = {one.source for one in further if one.association_type == v.RPLC}
        planned = replace(
            planned,
            replaced=(*planned.replaced, *late),
            replacing=planned.replacing | sources,
            associations=(*planned.associations, *further),
        )
        things = (*_objects(named), *planned.associations)
        return Validated(
            now,
            named.submission_set.id,
            [prepared(thing, now) for thing in things],
            planned,
            placing.rows(registration.submission, registration.stated, placed, uuids),
        )

    def _locks(self, registration: Registration, state: RegistryState) -> Locks:
        """Return the locks of a submission; none on SQLite, whose one writer holds everything."""
        if self.database.is_sqlite:
            return NOTHING
        return relied_on(registration.submission, state, changes=_says_versions(registration))

    def _at_home(self, submission: Submission) -> Submission:
        if self.home_community_id is None:
            return submission
        return submission.with_objects(
            thing.updated(home_community_id=thing.home_community_id or self.home_community_id)
            for thing in _objects(submission)
        )


def _says_versions(registration: Registration) -> bool:
    """Tell whether documents say something of versions, so that they may replace others."""
    return any(registration.stated.values())


def _placed(
    connection: Connection, registration: Registration, seen: Visibility, policy: Policy
) -> Placed:
    """Decide what becomes of the documents that say their versions, by what is registered now."""
    placed: dict[str, PlacedDocument] = {}
    by_patient: dict[str, dict[str, StatedVersion]] = {}
    entries = {one.id: one for one in registration.submission.document_entries}
    for entry_id, said in registration.stated.items():
        patient_id = entries[entry_id].patient_id if entry_id in entries else None
        if patient_id:
            by_patient.setdefault(patient_id, {})[entry_id] = said
    for patient_id, stated in by_patient.items():
        known = set_rows.known_documents(
            connection,
            patient_id,
            [(entries[entry_id].unique_id or "", said) for entry_id, said in stated.items()],
            lambda uuids: visible_uuids(connection, uuids, seen),
        )
        placed |= placing.place(registration.submission, stated, known, policy.lower_versions)
    return placed


def _with(registration: Registration, placed: Placed) -> Registration:
    """Return a registration with the Associations that its documents ask for."""
    if not placed:
        return registration
    submission = placing.with_relations(registration.submission, placed)
    return replace(registration, submission=submission)


def _told(placed: Placed, *, errors: bool = False) -> list[RegistryError]:
    """Return what is told of versions: what refuses the submission, or warnings."""
    return [
        finding.told(entry_id)
        for entry_id, one in placed.items()
        for finding in one.findings
        if finding.is_error == errors
    ]


def _write(connection: Connection, validated: Validated, patients: Patients) -> None:
    """Write a submission that keeps the rules, with its consequences and events."""
    assign_patients(validated.objects, patients)
    insert_objects(connection, validated.objects)
    set_rows.write(connection, validated.set_rows, patients.key)
    new_events = consequences.apply(connection, validated.consequences, now=validated.now)
    # by now one version of each document is the latest one
    set_rows.follow(connection, _moved(validated))
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
    withheld = wanted - set(visible_uuids(connection, sorted(wanted), seen))
    there = latest - withheld
    return replace(
        state,
        associations=tuple(a for a in state.associations if there & {a.source, a.target}),
        objects={uuid: one for uuid, one in state.objects.items() if uuid not in ends & withheld},
        latest={lid: one for lid, one in state.latest.items() if one.entry_uuid not in withheld},
        unique_ids={
            unique_id: tuple(replace(one, is_withheld=one.entry_uuid in withheld) for one in found)
            for unique_id, found in state.unique_ids.items()
        },
    )


def visible_uuids(
    connection: Connection, entry_uuids: Sequence[str], seen: Visibility
) -> Sequence[str]:
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


def _moved(validated: Validated) -> list[str]:
    """Return the logicalIDs of documents that an update gives to another patient."""
    before = {old.logical_id: old.patient_id for old in validated.consequences.superseded}
    return [
        one.row["logical_id"]
        for one in validated.objects
        if isinstance(one.thing, DocumentEntry)
        and one.row["logical_id"] in before
        and before[one.row["logical_id"]] != searchable(one.thing.patient_id or "")
    ]


def _registrations(objects: Sequence[PreparedObject]) -> list[NewEvent]:
    return [
        NewEvent(_event(one), type(one.thing), one.thing.id, one.row["patient"])
        for one in objects
        if isinstance(one.thing, EVENT_OBJECTS)
    ]


def _event(one: PreparedObject) -> str:
    is_first = one.row.get("version", FIRST_VERSION) == FIRST_VERSION
    return events.REGISTERED if is_first else events.UPDATED
