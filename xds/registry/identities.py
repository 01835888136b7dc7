"""Patient identity: ids made known, merged and linked (ITI TF-2 3.8.4, 3.44.4, 3.64.4).

A merge is one database transaction and final. The objects of the subsumed patient get the row of
the surviving one; nothing is rendered again, because stored fragments hold no patientId.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, or_, select, update

from xds.database.access import Database, InCommit, retried
from xds.database.lists import one_of
from xds.database.locks import Locks
from xds.errors import RequestRefused, Violation
from xds.metadata import datatypes
from xds.metadata.datatypes import CX
from xds.registry import events, patients
from xds.registry.events import PATIENT_ADDED, PATIENT_MERGED, NewEvent
from xds.registry.patients import Patients
from xds.registry.tables import document_entry, folder, patient, searchable, submission_set
from xds.registry.versions import link_changes, set_rows
from xds.registry.versions.link_changes import LinkChange, LinkPolicy

_ROWS: Final = select(patient.c.patient_id, patient.c.pk, patient.c.survivor).where(
    one_of.named(patient.c.patient_id, "patient_ids")
)
_SUBSUME: Final = (
    update(patient)
    .where(or_(patient.c.pk == bindparam("subsumed"), patient.c.survivor == bindparam("subsumed")))
    .values(survivor=bindparam("surviving"))
)
_MOVES: Final = tuple(
    update(table)
    .where(table.c.patient == bindparam("subsumed"))
    .values(patient=bindparam("surviving"), last_updated_at=bindparam("now"))
    for table in (document_entry, submission_set, folder)
)


class Role(StrEnum):
    """What a patient id is in the message that names it."""

    ADDED = "patient id"
    SUBSUMED = "subsumed patient id"
    SURVIVING = "surviving patient id"
    NEW = "new patient id"
    PREVIOUS = "previous patient id"


class Fault(Enum):
    """Why a patient id is refused: the code of HL7 table 0357, and the rest of a sentence."""

    MALFORMED = ("102", "is not of the form ID^^^&OID&ISO")
    FOREIGN = ("204", "is not of the assigning authority of this affinity domain")
    UNKNOWN = ("204", "is not known")
    SUBSUMED_BEFORE = ("204", "was merged into another one before")
    EQUAL = ("205", "equals the surviving one")

    @property
    def code(self) -> str:
        """The code, which HL7 v2 and v3 share."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class IdentityFinding:
    """One reason to refuse an identity message. It names no patient, so it may be logged."""

    role: Role
    fault: Fault

    def __str__(self) -> str:
        return f"the {self.role} {self.fault.value[1]}"


class IdentityRefused(RequestRefused):
    """An identity message is refused for all of its findings; nothing has changed."""

    def __init__(self, findings: Iterable[IdentityFinding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(map(str, self.findings)))

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(Violation(one.fault.code, one.role) for one in self.findings)


@dataclass(frozen=True, slots=True)
class PatientIdentities:
    """The patients of one registry; safe to use from many threads and processes."""

    database: Database
    assigning_authority: str | None = None
    """The OID of the domain whose ids are kept; None admits any."""
    link_policy: LinkPolicy = field(default_factory=LinkPolicy)

    def add(self, *patient_ids: str, in_commit: InCommit | None = None) -> None:
        """Make patient ids known, all or none; nothing changes of those that are already.

        ``in_commit`` is what else is to be in the commit, here and below.

        Raises IdentityRefused for an id of another domain, and for a subsumed one: a merge cannot
        be reversed.
        """
        added = list(dict.fromkeys(map(searchable, patient_ids)))
        _require(self._flaws((Role.ADDED, patient_id) for patient_id in added))
        retried(lambda: self._add(added, in_commit))

    def _add(self, patient_ids: Iterable[str], in_commit: InCommit | None) -> None:
        with self.database.write(Locks(shared=_locks(patient_ids))) as connection:
            # sorted: who adds the same ids in another order would wait for this one, and it for him
            for patient_id in sorted(patient_ids):
                key = patients.added(connection, patient_id)
                if key is None:
                    _active(connection, {Role.ADDED: patient_id})
                else:
                    _tell(connection, NewEvent(PATIENT_ADDED, None, None, key))
            _join(in_commit, connection)

    def merge(self, *, subsumed: str, surviving: str, in_commit: InCommit | None = None) -> None:
        """Let the surviving patient have all that the subsumed one had.

        Nothing changes where that is so already: feeds repeat what was not acknowledged in time.

        Raises IdentityRefused, and changes nothing, where the ids are equal, of another domain,
        unknown, or one of them was subsumed before.
        """
        self.merge_all([(subsumed, surviving)], in_commit=in_commit)

    def merge_all(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        creates: bool = False,
        in_commit: InCommit | None = None,
    ) -> None:
        """Merge the first id of each pair into the second, all or none.

        With ``creates`` a surviving id that is not known is made known: a patient has got it in
        place of the other. Raises IdentityRefused as :meth:`merge`.
        """
        merges = [
            {Role.SUBSUMED: searchable(old), Role.SURVIVING: searchable(new)} for old, new in pairs
        ]
        _require(self._flaws(one for named in merges for one in named.items()))
        if any(len(set(named.values())) == 1 for named in merges):
            raise IdentityRefused([IdentityFinding(Role.SUBSUMED, Fault.EQUAL)])
        retried(lambda: self._merge(merges, in_commit, creates=creates))

    def _merge(
        self, merges: Sequence[Mapping[Role, str]], in_commit: InCommit | None, *, creates: bool
    ) -> None:
        ids = [one for named in merges for one in named.values()]
        with self.database.write(Locks(exclusive=_locks(ids))) as connection:
            for named in merges:
                if creates and (key := patients.added(connection, named[Role.SURVIVING])):
                    _tell(connection, NewEvent(PATIENT_ADDED, None, None, key))
                _merge_pair(connection, named)
            _join(in_commit, connection)

    def change_link(self, change: LinkChange, *, in_commit: InCommit | None = None) -> None:
        """Give the documents of a local patient id to another patient (ITI TF-2 3.64.4.1.3).

        Raises IdentityRefused, and changes nothing, where one of the affinity domain's ids is of
        another domain, and where the new one cannot be submitted for. Where no document is of the
        previous patient and the local id there is nothing to do.
        """
        change = replace(change, new=searchable(change.new), previous=searchable(change.previous))
        named = {Role.NEW: change.new, Role.PREVIOUS: change.previous}
        _require(self._flaws(named.items()))
        if change.new == change.previous and change.subsumed_local is None:
            return
        retried(lambda: self._change_link(change, in_commit))

    def _change_link(self, change: LinkChange, in_commit: InCommit | None) -> None:
        locks = Locks(exclusive=_locks((change.new, change.previous)))
        policy = self.link_policy
        with self.database.write(locks) as connection:
            known = Patients(connection, [change.new], learn=policy.learn_patients)
            if known.refused:
                _active(connection, {Role.NEW: change.new})
            link_changes.apply(connection, change, policy, known, now=datatypes.now())
            _join(in_commit, connection)

    def _flaws(self, named: Iterable[tuple[Role, str]]) -> Iterator[IdentityFinding]:
        for role, patient_id in named:
            try:
                authority = CX.parse(patient_id).assigning_authority
            except ValueError:
                yield IdentityFinding(role, Fault.MALFORMED)
            else:
                if self.assigning_authority not in (None, authority):
                    yield IdentityFinding(role, Fault.FOREIGN)


def _locks(patient_ids: Iterable[str]) -> frozenset[str]:
    return frozenset(map(patients.lock, patient_ids))


def _require(findings: Iterable[IdentityFinding]) -> None:
    if listed := list(findings):
        raise IdentityRefused(listed)


def _active(connection: Connection, named: Mapping[Role, str]) -> Mapping[Role, int]:
    """Return the patients' rows; IdentityRefused for those that are not active."""
    found = connection.execute(_ROWS, {"patient_ids": list(named.values())})
    rows = {row.patient_id: row for row in found}
    findings = []
    for role, patient_id in named.items():
        row = rows.get(patient_id)
        if row is None:
            findings.append(IdentityFinding(role, Fault.UNKNOWN))
        elif row.survivor is not None:
            findings.append(IdentityFinding(role, Fault.SUBSUMED_BEFORE))
    _require(findings)
    return {role: rows[patient_id].pk for role, patient_id in named.items()}


def _is_merged(connection: Connection, named: Mapping[Role, str]) -> bool:
    """Tell whether the subsumed patient went to the surviving one before, or to its survivor."""
    found = connection.execute(_ROWS, {"patient_ids": list(named.values())})
    rows = {row.patient_id: row for row in found}
    subsumed, surviving = rows.get(named[Role.SUBSUMED]), rows.get(named[Role.SURVIVING])
    if subsumed is None or surviving is None or subsumed.survivor is None:
        return False
    return bool(subsumed.survivor == (surviving.survivor or surviving.pk))


def _merge_pair(connection: Connection, named: Mapping[Role, str]) -> None:
    if _is_merged(connection, named):
        return
    keys = _active(connection, named)
    both = {"subsumed": keys[Role.SUBSUMED], "surviving": keys[Role.SURVIVING]}
    now = datatypes.now()
    for move in _MOVES:
        connection.execute(move, {**both, "now": now})
    connection.execute(_SUBSUME, both)
    set_rows.move(connection, **both)
    _tell(
        connection,
        NewEvent(PATIENT_MERGED, None, None, both["subsumed"], both["surviving"]),
    )


def _join(in_commit: InCommit | None, connection: Connection) -> None:
    if in_commit is not None:
        in_commit(connection)


def _tell(connection: Connection, event: NewEvent) -> None:
    events.write(connection, [event], at=datatypes.now())
