"""Event rows: what a commit did, for whoever reacts to it (audit, notification, feeds).

They are written inside the commit that they tell of, so none is lost and none tells of a change
that was rolled back. A subscriber keeps the last number that it has seen and reads on from there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select

from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.tables import event, patient

REGISTERED: Final = "registered"
"""A DocumentEntry, SubmissionSet or Folder is new."""
DEPRECATED: Final = "deprecated"
"""A DocumentEntry was replaced, or goes with one that was."""
CONTENT_UPDATED: Final = "content updated"
"""A registered Folder received a DocumentEntry."""
UPDATED: Final = "updated"
"""A DocumentEntry or Folder has a new version, which this is."""
PATIENT_ADDED: Final = "patient added"
"""A feed made a patient id known."""
PATIENT_MERGED: Final = "patient merged"
"""A patient id was subsumed by a surviving one, which has what it had."""

PATIENT: Final = "Patient"
"""The kind of object where an event is of a patient and of nothing else."""

EVENT_OBJECTS: Final = (SubmissionSet, DocumentEntry, Folder)
"""The kinds of which events tell."""

_WRITE: Final = insert(event)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one object."""

    number: int
    kind: str
    at: str
    """DTM, UTC."""
    object_kind: str
    entry_uuid: str | None
    patient_id: str | None
    survivor: str | None
    """The surviving patient id, where this is a merge."""
    submission_set: str | None
    """The entryUUID of the SubmissionSet that brought it about, if one did."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event about to be written."""

    kind: str
    object_kind: type[MetadataObject] | None
    """None where it is of the patient alone."""
    entry_uuid: str | None
    patient: int
    survivor: int | None = None


def write(
    connection: Connection,
    happenings: Iterable[Happening],
    *,
    at: str,
    submission_set: str | None = None,
) -> None:
    """Write events in the order given."""
    rows = [
        {
            "kind": happening.kind,
            "at": at,
            "object_kind": happening.object_kind.KIND if happening.object_kind else PATIENT,
            "entry_uuid": happening.entry_uuid,
            "patient": happening.patient,
            "survivor": happening.survivor,
            "submission_set": submission_set,
        }
        for happening in happenings
    ]
    if rows:
        connection.execute(_WRITE, rows)


def after(connection: Connection, number: int, *, at_most: int = 1_000) -> list[Event]:
    """Return the events that follow a number, oldest first."""
    survivor = patient.alias("surviving_patient")
    query = (
        select(event, patient.c.patient_id, survivor.c.patient_id.label("survivor_id"))
        .select_from(
            event.outerjoin(patient, event.c.patient == patient.c.pk).outerjoin(
                survivor, event.c.survivor == survivor.c.pk
            )
        )
        .where(event.c.pk > number)
        .order_by(event.c.pk)
        .limit(at_most)
    )
    return [
        Event(
            row.pk,
            row.kind,
            row.at,
            row.object_kind,
            row.entry_uuid,
            row.patient_id,
            row.survivor_id,
            row.submission_set,
        )
        for row in connection.execute(query)
    ]
