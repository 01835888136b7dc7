"""The patients and other objects of an audit record: one function for each type of details.

(ITI TF-2 3.x.5.1, "Participant Object Identification"; MHD 2:3.x.5.1)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from xds.audit import vocabulary as av
from xds.audit.record import MINOR_FAILURE, SUCCESS, ParticipantObject, ParticipantObjectDetail
from xds.metadata.catalogue import ITI_54
from xds.metadata.ebrim import is_uuid
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission
from xds.security.access import Access
from xds.security.details import (
    NO_ACTION,
    DocumentRemovalDetails,
    FeedDetails,
    FeedPatient,
    MetadataRemovalDetails,
    NotificationDetails,
    PatientDetails,
    QueryDetails,
    RemovedObject,
    RequestedDocument,
    RetrieveDetails,
    SubmissionDetails,
    SubscriptionDetails,
    distinct,
)

_PATIENT_KIND: Final = "urn:ihe:iti:xpid:2017:patientIdentifierType"
_HOME_OF_DOCUMENT: Final = "ihe:homeCommunityID"
_REPOSITORY: Final = "Repository Unique ID"
_REPOSITORY_OF_REMOVAL: Final = "urn:ihe:iti:xds:2007:repositoryUniqueId"


Published = SubmissionSet | DocumentEntry | Folder


@dataclass(frozen=True, slots=True)
class RecordedPatient:
    """One record of an access: that of one patient, or of none that is known."""

    patient_id: str | None = None
    """CX."""
    objects: tuple[ParticipantObject, ...] = ()
    action: str = NO_ACTION
    """EventActionCode, where it is not that of the transaction."""
    outcome: int | None = None
    """EventOutcomeIndicator, where it is not that of the access."""


_NOBODY: Final = RecordedPatient()


def recorded_patients(
    access: Access, event: av.AuditEvent, *, tells_release: bool
) -> Iterable[RecordedPatient]:
    """Return what the details of an access say: each is one record.

    ``tells_release`` tells that documents which were given out and others are told apart: so it is
    unless the whole request has failed.
    """
    match access.details:
        case None:
            return (_NOBODY,)
        case QueryDetails() as query:
            return _of_query(query, event)
        case SubmissionDetails() as submission:
            return _of_submission(submission, event)
        case RetrieveDetails() as retrieval:
            tells_release = tells_release and bool(retrieval.documents)
            return _of_release(retrieval) if tells_release else _of_failed_retrieval(retrieval)
        case FeedDetails() as feed:
            return _of_feed(feed, event, access.message.message_id)
        case PatientDetails(patient_ids):
            return _each(patient_ids)
        case MetadataRemovalDetails(objects) | NotificationDetails(objects):
            return _of_objects(objects)
        case SubscriptionDetails() as subscription:
            return _of_subscription(subscription, event)
        case DocumentRemovalDetails() as removal:
            return _of_removed_documents(removal)


def _each(
    patient_ids: Iterable[str | None], objects: tuple[ParticipantObject, ...] = ()
) -> Iterable[RecordedPatient]:
    """Return a record for each patient, or one where there is none."""
    known = distinct(patient_ids) or (None,)
    return [RecordedPatient(patient_id, objects) for patient_id in known]


def _of_query(details: QueryDetails, event: av.AuditEvent) -> Iterable[RecordedPatient]:
    query = _coded_object(24, details.query_id, event, details.text())
    return _each(details.patient_ids(), (query,))


def _of_submission(details: SubmissionDetails, event: av.AuditEvent) -> Iterable[RecordedPatient]:
    if event.event_type.code == ITI_54.name:
        return _of_objects(map(_published, _bearers(details.submission)))
    submission_sets = tuple(
        ParticipantObject(
            type_code=2,
            role=event.submission_role,
            id=one.unique_id or "",
            id_type=av.SUBMISSION_SET,
        )
        for one in details.submission.submission_sets
    )
    return _each(details.patient_ids(), submission_sets)


def _bearers(submission: Submission) -> Iterator[Published]:
    yield from submission.submission_sets
    yield from submission.document_entries
    yield from submission.folders


def _published(one: Published) -> RemovedObject:
    """Return what is recorded of an object that another registry tells of (ITI TF-2 3.54.5.1)."""
    object_type = one.object_type if isinstance(one, DocumentEntry) else None
    name = one.id if is_uuid(one.id) else one.unique_id or one.id
    return RemovedObject(name, one.KIND, object_type, one.patient_id)


def _of_release(details: RetrieveDetails) -> Iterator[RecordedPatient]:
    """Yield the documents by outcome and patient, as far as patients are known by now."""
    for is_released, outcome in ((True, SUCCESS), (False, MINOR_FAILURE)):
        by_patient: dict[str | None, list[ParticipantObject]] = {}
        for one in details.documents:
            if one.is_released is is_released:
                for patient_id in details.patient_ids.get(one.document_unique_id) or (None,):
                    by_patient.setdefault(patient_id, []).append(_document(one))
        for patient_id, documents in by_patient.items():
            yield RecordedPatient(patient_id, tuple(documents), outcome=outcome)


def _of_failed_retrieval(details: RetrieveDetails) -> Iterable[RecordedPatient]:
    return _each((), tuple(map(_document, details.documents)))


def _of_feed(
    details: FeedDetails, event: av.AuditEvent, message_id: str
) -> Iterator[RecordedPatient]:
    if not details.patients:
        yield RecordedPatient(action=details.action)
    for patient in details.patients:
        of_patient = tuple(_of_patient(patient, event, message_id))
        participant = ParticipantObject(
            type_code=1,
            role=1,
            id=patient.patient_id,
            id_type=av.PATIENT_NUMBER,
            details=of_patient,
        )
        action = patient.action or details.action
        yield RecordedPatient(patient.patient_id, (participant,) if of_patient else (), action)


def _of_patient(
    patient: FeedPatient, event: av.AuditEvent, message_id: str
) -> Iterator[ParticipantObjectDetail]:
    if message_id:
        yield ParticipantObjectDetail(event.message_id, message_id)
    if patient.kind:
        yield ParticipantObjectDetail(_PATIENT_KIND, patient.kind)


def _of_subscription(
    details: SubscriptionDetails, event: av.AuditEvent
) -> Iterator[RecordedPatient]:
    """Yield subscription and filter of each patient (ITI TF-2 3.52.5.1)."""
    things = []
    if details.address:
        things.append(_coded_object(20, details.address, event))
    if details.query_id:
        things.append(_coded_object(24, details.query_id, event, details.text()))
    for patient_id in distinct(details.patient_ids) or (None,):
        yield RecordedPatient(patient_id, tuple(things), details.action)


def _coded_object(
    role: int, name: str, event: av.AuditEvent, query: str | None = None
) -> ParticipantObject:
    encoding = () if query is None else (ParticipantObjectDetail("QueryEncoding", "UTF-8"),)
    return ParticipantObject(
        type_code=2, role=role, id=name, id_type=event.event_type, query=query, details=encoding
    )


def _of_objects(objects: Iterable[RemovedObject]) -> Iterator[RecordedPatient]:
    """Yield the objects of each patient; Associations, which have none, go with the first."""
    by_patient: dict[str | None, list[ParticipantObject]] = {}
    for one in objects:
        by_patient.setdefault(one.patient_id, []).append(_removed(one))
    without = by_patient.pop(None, [])
    if not by_patient:
        yield RecordedPatient(None, tuple(without))
    for patient_id, things in by_patient.items():
        yield RecordedPatient(patient_id, (*things, *without))
        without = []


def _removed(one: RemovedObject) -> ParticipantObject:
    named = av.OBJECT_TYPES.get(one.kind)
    id_type = av.OBJECT_REFERENCE if named is None else named(one.type or "")
    return ParticipantObject(type_code=2, role=3, id=one.entry_uuid, id_type=id_type)


def _of_removed_documents(details: DocumentRemovalDetails) -> Iterator[RecordedPatient]:
    by_patient: dict[str | None, list[ParticipantObject]] = {}
    for one in details.documents:
        for patient_id in details.patient_ids.get(one.document_unique_id) or (None,):
            thing = _document(one, _REPOSITORY_OF_REMOVAL)
            by_patient.setdefault(patient_id, []).append(thing)
    for patient_id, things in by_patient.items():
        yield RecordedPatient(patient_id, tuple(things))


def _document(one: RequestedDocument, repository: str = _REPOSITORY) -> ParticipantObject:
    details = [ParticipantObjectDetail(repository, one.repository_unique_id)]
    if one.home_community_id:
        details.append(ParticipantObjectDetail(_HOME_OF_DOCUMENT, one.home_community_id))
    return ParticipantObject(
        type_code=2,
        role=3,
        id=one.document_unique_id,
        id_type=av.REPORT_NUMBER,
        details=tuple(details),
    )
