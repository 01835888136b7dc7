"""Events of objects that another registry has, and has told of (ITI TF-2 3.54.4.1.3).

They are kept in the events alone: no query finds them here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xds.database.access import Database, InCommit, retried
from xds.database.locks import Locks
from xds.errors import TransactionFailure, XDSRegistryMetadataError, XDSUnknownPatientId
from xds.metadata import datatypes, ebrim
from xds.metadata import vocabulary as v
from xds.metadata.submission import Submission
from xds.registry import events, patients
from xds.registry.patients import Patients
from xds.registry.storage.fragments import fragment


@dataclass(frozen=True, slots=True)
class Publication:
    """Objects of another registry to which one thing happened."""

    submission: Submission
    kind: str
    """The kind of event, as if it were of this registry (:mod:`xds.registry.events`)."""


def publish(
    database: Database, told: Sequence[Publication], *, learn: bool, in_commit: InCommit
) -> None:
    """Write the events of publications in one commit.

    ``learn`` tells whether a patient id that is first seen becomes known. TransactionFailure where
    an object has no patient, or one that is not known; then nothing is written.
    """
    named = [Publication(one.submission.with_uuids(), one.kind) for one in told]
    ids = {_patient_id(thing) for one in named for thing in _objects(one)}
    locks = Locks(shared=frozenset(map(patients.lock, ids)))

    def write() -> None:
        at = datatypes.now()
        with database.write(locks) as connection:
            known = Patients(connection, ids, learn=learn)
            if known.refused:
                reason = "the patient is not known, or was merged into another"
                raise TransactionFailure([XDSUnknownPatientId(reason)])
            for one in named:
                events.write_published(connection, _rows(one, known), one.kind, at=at)
            in_commit(connection)

    retried(write)


def _objects(one: Publication) -> list[events.EventObject]:
    found = one.submission
    return [*found.submission_sets, *found.document_entries, *found.folders]


def _patient_id(thing: events.EventObject) -> str:
    if not thing.patient_id:
        raise TransactionFailure(
            [XDSRegistryMetadataError(f"a {thing.KIND} has no patientId", attribute="patientId")]
        )
    return thing.patient_id


def _rows(one: Publication, known: Patients) -> list[dict[str, object]]:
    sets = one.submission.submission_sets
    together = sets[0].id if sets else ebrim.new_uuid()
    return [
        {
            "object_kind": thing.KIND,
            "entry_uuid": thing.id,
            "patient": known.key(_patient_id(thing)),
            "submission_set": together,
            "snapshot": fragment(thing),
            "snapshot_status": thing.availability_status or v.APPROVED,
        }
        for thing in _objects(one)
    ]
