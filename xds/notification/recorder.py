"""The audit records of what was told to whom (ITI TF-2 3.53.5.1; DSUBm 2:3.112.5.1)."""

from collections.abc import Callable, Sequence

from xds.audit import trail
from xds.audit.record import RecordJson
from xds.config import Config
from xds.metadata.objects import DocumentEntry
from xds.notification.sender import Recorder
from xds.notification.told import Notification, NotifiedObject
from xds.security.details import NotificationDetails, RemovedObject


def recorder(transaction: str) -> Callable[[Config], Recorder | None]:
    """Return what makes the recorder of a transaction, such as ITI-53.

    It makes none where the options want no audit.
    """

    def record(told: Notification) -> Sequence[RecordJson]:
        details = NotificationDetails(tuple(map(_object, told.objects)))
        made = trail.of_notification(transaction, details, told.subscription.address)
        return [one.json() for one in made]

    return lambda config: record if config.audit == "on" else None


def _object(told: NotifiedObject) -> RemovedObject:
    found = told.found
    return RemovedObject(
        told.entry_uuid,
        told.kind.KIND,
        found.object_type if told.kind is DocumentEntry and found is not None else None,
        None if found is None else found.patient_id,
    )
