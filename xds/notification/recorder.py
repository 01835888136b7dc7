"""The audit records of what was told to whom (ITI TF-2 3.53.5.1; DSUBm 2:3.112.5.1)."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection

from xds.audit import table, trail
from xds.audit.record import AuditRecord
from xds.config import Config
from xds.metadata.objects import DocumentEntry
from xds.notification.sender import Recorder
from xds.notification.told import Notification, NotifiedObject
from xds.security.details import NotificationDetails, RemovedObject


def recorder(transaction: str) -> Callable[[Config], Recorder | None]:
    """Return what makes the recorder of a transaction, such as ITI-53.

    It makes none where the options want no audit.
    """

    def record(connection: Connection, told: Sequence[Notification]) -> None:
        table.insert(connection, [one.json() for each in told for one in _records_of(each)])

    def _records_of(told: Notification) -> Iterator[AuditRecord]:
        details = NotificationDetails(tuple(map(_object, told.objects)))
        return trail.of_notification(transaction, details, told.subscription.address)

    return lambda config: record if config.audit == "on" else None


def _object(told: NotifiedObject) -> RemovedObject:
    thing = told.thing
    return RemovedObject(
        told.entry_uuid,
        told.kind.KIND,
        thing.object_type if isinstance(thing, DocumentEntry) else None,
        None if told.found is None else told.found.patient_id,
    )
