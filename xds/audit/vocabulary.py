"""EVENTS: how each transaction of the catalogue is recorded, and the codes of other events.

(ITI TF-2 3.x.5.1; MHD 2:3.x.5.1)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from xds.audit.record import Coded
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import (
    BROKER,
    CARD_7,
    CATALOGUE,
    ITI_41,
    ITI_42,
    LAB_3,
    AuditedAs,
    AuditEventID,
    TransactionKind,
    TransactionRow,
)

_EVENT_IDS: Final[Mapping[AuditEventID, Coded]] = {
    AuditEventID.EXPORT: Coded("110106", "DCM", "Export"),
    AuditEventID.IMPORT: Coded("110107", "DCM", "Import"),
    AuditEventID.QUERY: Coded("110112", "DCM", "Query"),
    AuditEventID.PATIENT_RECORD: Coded("110110", "DCM", "Patient Record"),
    AuditEventID.APPLICATION_ACTIVITY: Coded("110100", "DCM", "Application Activity"),
    AuditEventID.REST: Coded(
        "rest", "http://terminology.hl7.org/CodeSystem/audit-event-type", "RESTful Operation"
    ),
}
_TRANSACTIONS: Final = "IHE Transactions"
_OF_FHIR: Final = "urn:ihe:event-type-code"
_INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"

APPLICATION_ACTIVITY: Final = Coded("110100", "DCM", "Application Activity")
APPLICATION_START: Final = Coded("110120", "DCM", "Application Start")
APPLICATION_STOP: Final = Coded("110121", "DCM", "Application Stop")
AUDIT_LOG_USED: Final = Coded("110101", "DCM", "Audit Log Used")
SECURITY_ALERT: Final = Coded("110113", "DCM", "Security Alert")
AUTHENTICATE_NODE: Final = "ITI-19"
"""The transaction of a record that is made before that of the request is known."""
NODE_AUTHENTICATION: Final = Coded("110126", "DCM", "Node Authentication")
USER_AUTHENTICATION: Final = Coded("110114", "DCM", "User Authentication")
LOGIN: Final = Coded("110122", "DCM", "Login")
LOGOUT: Final = Coded("110123", "DCM", "Logout")
EMERGENCY_OVERRIDE: Final = Coded("110127", "DCM", "Emergency Override Started")
CONSOLE: Final = "console"
"""In place of a transaction, where somebody acts at the console and it is none."""
ACTIONS: Final = "urn:xds:console:action"
"""The coding scheme of what somebody does at the console."""
SECURITY_CONFIGURATION: Final = Coded("110129", "DCM", "Security Configuration")
READS: Final[Mapping[str, Coded]] = {
    name: Coded(name, _INTERACTIONS, name) for name in ("read", "vread", "history-instance")
}
"""The subtypes of reads by their interaction."""
APPLICATION: Final = Coded("110150", "DCM", "Application")
SOURCE: Final = Coded("110153", "DCM", "Source")
DESTINATION: Final = Coded("110152", "DCM", "Destination")
PATIENT_NUMBER: Final = Coded("2", "RFC-3881", "Patient Number")
URI: Final = Coded("12", "RFC-3881", "URI")
REPORT_NUMBER: Final = Coded("9", "RFC-3881", "Report Number")
SUBMISSION_SET: Final = Coded(
    "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
    "IHE XDS Metadata",
    "submission set classificationNode",
)
OBJECT_REFERENCE: Final = Coded(
    "urn:ihe:iti:2017:ObjectRef", "IHE XDS Metadata", "registry object reference"
)


def _metadata(text: str) -> Callable[[str], Coded]:
    return lambda code: Coded(code, "IHE XDS Metadata", text)


def _document_entry(object_type: str) -> Coded:
    on_demand = "on-demand " if object_type == v.ON_DEMAND_DOCUMENT_ENTRY else ""
    return Coded(object_type, "IHE XDS Metadata", f"{on_demand}document entry object type")


OBJECT_TYPES: Final[Mapping[str, Callable[[str], Coded]]] = {
    "DocumentEntry": _document_entry,
    "SubmissionSet": lambda _: Coded(
        v.SUBMISSION_SET_NODE, "IHE XDS Metadata", "submission set classification node"
    ),
    "Folder": lambda _: Coded(v.FOLDER_NODE, "IHE XDS Metadata", "folder classification node"),
    "Association": _metadata("association type"),
}
"""ParticipantObjectIDTypeCode of removed objects by their kinds, of their types (ITI TF-2
3.62.5.1)."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """How one transaction is recorded by the actor that answers it."""

    event: Coded
    action: str
    event_type: Coded
    path: str
    serves_as_source: bool
    subtype: Coded | None
    """What FHIR calls it (R4, restful-interaction)."""
    submission_role: int
    """ParticipantObjectTypeCodeRole of a SubmissionSet."""
    message_id: str
    """What the id of an HL7 message is called: MSH-10, or II of HL7 V3."""


_V2: Final = "/mllp"
"""Where a message by MLLP does not say what the receiver is called."""


def _event(row: TransactionRow, audited: AuditedAs) -> AuditEvent:
    is_rest = audited.event is AuditEventID.REST
    interaction = audited.interaction
    return AuditEvent(
        event=_EVENT_IDS[audited.event],
        action=audited.action,
        event_type=Coded(
            row.name,
            _TRANSACTIONS if row.fhir is None else _OF_FHIR,
            audited.title or row.title,
        ),
        path=_path(row),
        serves_as_source=row.kind is TransactionKind.RETRIEVE,
        subtype=Coded(interaction, _INTERACTIONS, interaction) if interaction else None,
        # MHD's profiles of the two that create give the data another role than that of ITI-65 (Job)
        submission_role=4 if is_rest else 20,
        message_id="MSH-10" if row.hl7v2 else "II",
    )


def _path(row: TransactionRow) -> str:
    if row.soap:
        return f"/{row.actor}"
    return _V2 if row.fhir is None else f"/fhir{row.fhir}"


EVENTS: Final[Mapping[str, AuditEvent]] = {
    row.name: _event(row, row.audit) for row in CATALOGUE if row.audit is not None
}


def _notifying(event_type: Coded, path: str = f"/{BROKER}") -> AuditEvent:
    return AuditEvent(
        event=_EVENT_IDS[AuditEventID.EXPORT],
        action="R",
        event_type=event_type,
        path=path,
        serves_as_source=True,
        subtype=None,
        submission_role=20,
        message_id="",
    )


NOTIFYING: Final[Mapping[str, AuditEvent]] = {
    one.code: _notifying(one)
    for one in (
        Coded("ITI-53", _TRANSACTIONS, "Document Metadata Notify"),
        Coded("ITI-112", _OF_FHIR, "Resource Notify"),
    )
}
"""What a broker tells others, as it records it (ITI TF-2 3.53.5.1; DSUBm 2:3.112.5.1)."""
SENDING: Final[Mapping[str, AuditEvent]] = {
    row.name: _notifying(Coded(row.name, _TRANSACTIONS, row.title), _V2) for row in (CARD_7, LAB_3)
}
"""Documents that go out as messages, as it records who sends them: each is an export."""
REGISTERING: Final = replace(
    EVENTS[ITI_42.name],
    event=_EVENT_IDS[AuditEventID.EXPORT],
    action="R",
    path=f"/{ITI_41.actor}",
    serves_as_source=True,
)
"""ITI-42 as the repository records it that sends it to a registry elsewhere."""
