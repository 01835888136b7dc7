"""What a request for access is about: one type for each kind of request.

A handler sets :attr:`xds.security.access.Access.details` as soon as it knows them. Policy, audit,
log and metrics read them. For each type :mod:`xds.audit.participants` has one function that says
what the audit record tells of it; mypy reports a type that has none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from xds.metadata.submission import Submission

NO_ACTION: Final = ""
"""Stands for the EventActionCode that the catalogue has for the transaction."""


def _nobody() -> Iterable[str | None]:
    return ()


@dataclass(frozen=True, slots=True)
class QueryDetails:
    """A query of metadata or patients. Its texts are made when someone asks for them."""

    query_id: str
    """The UUID of a stored query, or the resource type that a FHIR client searches."""
    text: Callable[[], str]
    """Returns the query as it was sent: the XML of the request, or the FHIR search."""
    patient_ids: Callable[[], Iterable[str | None]] = _nobody
    """Returns the patients (CX) that the query names and those that it found."""
    results: int | None = None
    """How many objects or resources it is answered with; None while that is not known."""


@dataclass(frozen=True, slots=True)
class SubmissionDetails:
    """A submission of metadata, with documents or without."""

    submission: Submission
    documents: int = 0
    """How many documents came with it."""

    def patient_ids(self) -> Iterable[str | None]:
        """Return the patients (CX) of what is submitted."""
        submission = self.submission
        for objects in (
            submission.submission_sets,
            submission.document_entries,
            submission.folders,
        ):
            yield from (one.patient_id for one in objects)


@dataclass(frozen=True, slots=True)
class RequestedDocument:
    """A document that was asked for, and whether it was given out."""

    repository_unique_id: str
    document_unique_id: str
    home_community_id: str | None = None
    is_released: bool = True


@dataclass(frozen=True, slots=True)
class RetrieveDetails:
    """A retrieval of documents."""

    documents: tuple[RequestedDocument, ...]
    patient_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The patients (CX) of documents by uniqueId, where a registry elsewhere has told them.

    Those that the registry here knows come to the record later (:mod:`xds.audit.spool_mover`).
    """


@dataclass(frozen=True, slots=True)
class FeedPatient:
    """A patient that a feed tells of."""

    patient_id: str
    """CX."""
    action: str = NO_ACTION
    """EventActionCode for this patient."""
    kind: str = ""
    """What the id is in a link change, such as ``newPatientId`` (ITI TF-2 3.64.5.1)."""


@dataclass(frozen=True, slots=True)
class FeedDetails:
    """A message of a patient identity feed."""

    patients: tuple[FeedPatient, ...] = ()
    action: str = NO_ACTION
    """EventActionCode, for patients that have none of their own."""

    @classmethod
    def of(cls, patient_ids: Iterable[str], action: str = NO_ACTION) -> "FeedDetails":
        """Return the details of a feed about these patients (CX)."""
        return cls(tuple(map(FeedPatient, distinct(patient_ids))), action)

    @classmethod
    def merge(cls, *, subsumed: str, surviving: str) -> "FeedDetails":
        """Return the details of a merge, which deletes one patient (ITI TF-2 3.8.5.1)."""
        return cls((FeedPatient(subsumed, "D"), FeedPatient(surviving, "U")))


@dataclass(frozen=True, slots=True)
class PatientDetails:
    """The patients alone: a read of one resource, or a submission that is denied unread."""

    patient_ids: tuple[str | None, ...]
    """CX."""


@dataclass(frozen=True, slots=True)
class RemovedObject:
    """A registered object that is to be removed, or that a notification tells of."""

    entry_uuid: str
    kind: str = ""
    """``DocumentEntry`` and such; empty where it is not known."""
    type: str | None = None
    """The objectType of a DocumentEntry, the type of an Association."""
    patient_id: str | None = None
    """CX; None where it is not known, or has none."""


@dataclass(frozen=True, slots=True)
class MetadataRemovalDetails:
    """A removal of metadata."""

    objects: tuple[RemovedObject, ...]


@dataclass(frozen=True, slots=True)
class DocumentRemovalDetails:
    """A removal of documents."""

    documents: tuple[RequestedDocument, ...]
    patient_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The patients (CX) of documents by uniqueId, as far as they are known."""


@dataclass(frozen=True, slots=True)
class SubscriptionDetails:
    """A request about a subscription or a pull point."""

    address: str = ""
    """Of the subscription or pull point; empty where there is none yet."""
    query_id: str = ""
    """The UUID of the stored query of its filter, where one is given."""
    text: Callable[[], str] = str
    """Returns the request as it was sent."""
    patient_ids: tuple[str, ...] = ()
    """CX."""
    action: str = NO_ACTION
    """EventActionCode, where one transaction makes, changes and ends."""


@dataclass(frozen=True, slots=True)
class NotificationDetails:
    """Objects that are told of, by whoever tells."""

    objects: tuple["RemovedObject", ...]


Details = (
    QueryDetails
    | SubmissionDetails
    | RetrieveDetails
    | FeedDetails
    | PatientDetails
    | MetadataRemovalDetails
    | DocumentRemovalDetails
    | SubscriptionDetails
    | NotificationDetails
)


def distinct(patient_ids: Iterable[str | None]) -> tuple[str, ...]:
    """Return each patient id once, in the order of their first."""
    return tuple(dict.fromkeys(filter(None, patient_ids)))
