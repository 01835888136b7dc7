"""Patient ids that the registry knows (ITI TF-2 3.8, 3.44), and those that submissions teach it."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, bindparam, insert, select

from xds.database import fetch
from xds.registry.tables import patient, searchable

# FOR SHARE, where the database has row locks: a merge waits for the submissions under way, and a
# submission that waited for a merge sees its outcome; SQLite admits one writer and ignores it
_BY_PATIENT_ID: Final = (
    select(patient.c.patient_id, patient.c.pk, patient.c.survivor)
    .where(patient.c.patient_id == bindparam("patient_id"))
    .with_for_update(read=True)
)


def inserted_key(made: CursorResult[Any]) -> int:
    """Return the number of the one row that was inserted."""
    assert made.inserted_primary_key is not None, "one row was inserted"
    key: int = made.inserted_primary_key[0]
    return key


class Patients:
    """The patients named in one submission, read and if need be learnt in its transaction.

    ``learn`` is the policy ``unknown_patients = open``: an id first seen in a submission becomes
    known. An id that was merged into another is refused either way (ITI TF-2 3.8.4.1.3).
    """

    def __init__(self, connection: Connection, patient_ids: Iterable[str], *, learn: bool) -> None:
        self._connection = connection
        wanted = {searchable(patient_id): patient_id for patient_id in patient_ids}
        rows = [
            row
            for patient_id in sorted(wanted)  # nearly always one; in order, against deadlocks
            for row in fetch(connection, _BY_PATIENT_ID, {"patient_id": patient_id})
        ]
        self._keys = {patient_id: pk for patient_id, pk, survivor in rows if survivor is None}
        subsumed = {patient_id for patient_id, _, survivor in rows if survivor is not None}
        unknown = wanted.keys() - self._keys.keys() - subsumed
        refused = subsumed if learn else subsumed | unknown
        self.refused = frozenset(wanted[patient_id] for patient_id in refused)

    def key(self, patient_id: str) -> int:
        """Return the patient's row, made now where the id is learnt."""
        known_as = searchable(patient_id)
        if known_as not in self._keys:
            made = self._connection.execute(insert(patient), {"patient_id": known_as})
            self._keys[known_as] = inserted_key(made)
        key: int = self._keys[known_as]
        return key
