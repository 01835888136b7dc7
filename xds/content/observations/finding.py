"""Results by patient, code and time, as data sharing and people ask for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xds.content.observations.stored import read
from xds.content.reading.model import ContentObservation
from xds.metadata.criteria import Criterion, equal
from xds.registry.queries import observations
from xds.registry.queries.observations import WantedObservations
from xds.registry.queries.views import RegistryView

EVERY = WantedObservations()
"""All results, but for those that a document only cites."""


@dataclass(frozen=True, slots=True)
class FoundObservation:
    """One result, and the document that has it."""

    observation: ContentObservation
    entry_uuid: str
    """Of the latest version of the document's entry."""
    unique_id: str
    """Of the document, in its normal form."""
    patient_id: str
    """CX."""
    position: int
    """Its place among the results of the document, from 0."""


def of_patient(
    view: RegistryView,
    patient_id: str,
    wanted: WantedObservations = EVERY,
    *,
    most: int = 1_000,
    start: int = 0,
) -> list[FoundObservation]:
    """Return results of a patient's current documents that may be seen, the latest first."""
    return find(view, [equal("patient_id", [patient_id])], wanted, most=most, start=start)


def of_documents(
    view: RegistryView, entry_uuids: Iterable[str], wanted: WantedObservations = EVERY
) -> list[FoundObservation]:
    """Return the results of current documents by the entryUUIDs of their latest versions."""
    return find(view, [equal("entry_uuid", list(entry_uuids))], wanted, most=view.most)


def find(
    view: RegistryView,
    criteria: Sequence[Criterion],
    wanted: WantedObservations = EVERY,
    *,
    most: int,
    start: int = 0,
) -> list[FoundObservation]:
    """Return the results of current documents that meet criteria and may be seen.

    The latest come first, and at most ``most`` after ``start`` others. TransactionFailure as of any
    query.
    """
    rows = observations.find(view, criteria, wanted, most=most, start=start)
    return [
        FoundObservation(
            observation=read(row.content),
            entry_uuid=row.entry_uuid,
            unique_id=row.unique_id,
            patient_id=row.patient_id,
            position=row.position,
        )
        for row in rows
    ]
