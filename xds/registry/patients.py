"""Patient ids that the registry knows (ITI TF-2 3.8, 3.44), and those that submissions teach it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.reading import fetch
from xds.registry.tables import patient, searchable

_BY_PATIENT_ID: Final = select(patient.c.patient_id, patient.c.pk, patient.c.survivor).where(
    patient.c.patient_id == bindparam("patient_id")
)
_ADD: Final[Mapping[str, Executable]] = {
    "sqlite": sqlite.insert(patient).on_conflict_do_nothing().returning(patient.c.pk),
    "postgresql": postgresql.insert(patient).on_conflict_do_nothing().returning(patient.c.pk),
}


def lock(patient_id: str) -> str:
    """Name the lock of a patient id: shared by those who add to it, exclusive for changes of it."""
    return f"patient {searchable(patient_id)}"


def added(connection: Connection, patient_id: str) -> int | None:
    """Make a patient id known and return its row; None where it is there already.

    Of two who add one id at once, the second waits for the first, and adds nothing.
    """
    key: int | None = connection.scalar(_ADD[connection.dialect.name], {"patient_id": patient_id})
    return key


class Patients:
    """The patients named in one submission, read and if need be learnt in its transaction.

    ``learn`` is the policy ``unknown_patients = open``: an id first seen in a submission becomes
    known. An id that was merged into another is refused either way (ITI TF-2 3.8.4.1.3).
    """

    def __init__(
        self,
        connection: Connection,
        patient_ids: Iterable[str],
        *,
        learn: bool,
        rows: Sequence[tuple[str, int, int | None]] = (),
    ) -> None:
        """Read the patients; ``rows`` are id, row and survivor of those that were read already."""
        self._connection = connection
        wanted = {searchable(patient_id): patient_id for patient_id in patient_ids}
        there = {patient_id for patient_id, _, _ in rows}
        rows = [*rows, *(r for one in wanted if one not in there for r in _read(connection, one))]
        self._keys = {patient_id: pk for patient_id, pk, survivor in rows if survivor is None}
        subsumed = {one for one, _, survivor in rows if survivor is not None and one in wanted}
        unknown = wanted.keys() - self._keys.keys() - subsumed
        refused = subsumed if learn else subsumed | unknown
        self.refused = frozenset(wanted[patient_id] for patient_id in refused)

    def within(self, connection: Connection) -> "Patients":
        """Return the same, as they were read before, for another transaction to learn more."""
        other = Patients(connection, (), learn=True)
        other._keys = dict(self._keys)
        other.refused = self.refused
        return other

    def key(self, patient_id: str) -> int:
        """Return the patient's row, made now where the id is learnt."""
        known_as = searchable(patient_id)
        if known_as not in self._keys:
            self._keys[known_as] = self._learnt(known_as)
        key: int = self._keys[known_as]
        return key

    def _learnt(self, patient_id: str) -> int:
        key = added(self._connection, patient_id)
        if key is None:  # another submission has learnt it meanwhile
            ((_, key, _),) = _read(self._connection, patient_id)
        return key


def _read(connection: Connection, patient_id: str) -> list[tuple[Any, Any, Any]]:
    return fetch(connection, _BY_PATIENT_ID, {"patient_id": patient_id})
