"""EVENTS: how each transaction is recorded, a row each (ITI TF-2 3.x.5.1; MHD 2:3.x.5.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xds.audit.record import Coded

_EXPORT: Final = Coded("110106", "DCM", "Export")
_IMPORT: Final = Coded("110107", "DCM", "Import")
_QUERY: Final = Coded("110112", "DCM", "Query")
_PATIENT_RECORD: Final = Coded("110110", "DCM", "Patient Record")
_REST: Final = Coded(
    "rest", "http://terminology.hl7.org/CodeSystem/audit-event-type", "RESTful Operation"
)
_TRANSACTIONS: Final = "IHE Transactions"

APPLICATION_ACTIVITY: Final = Coded("110100", "DCM", "Application Activity")
APPLICATION_START: Final = Coded("110120", "DCM", "Application Start")
APPLICATION_STOP: Final = Coded("110121", "DCM", "Application Stop")
SECURITY_ALERT: Final = Coded("110113", "DCM", "Security Alert")
NODE_AUTHENTICATION: Final = Coded("110126", "DCM", "Node Authentication")
USER_AUTHENTICATION: Final = Coded("110114", "DCM", "User Authentication")
LOGIN: Final = Coded("110122", "DCM", "Login")
SECURITY_CONFIGURATION: Final = Coded("110131", "DCM", "Security Configuration")
SOURCE: Final = Coded("110153", "DCM", "Source")
DESTINATION: Final = Coded("110152", "DCM", "Destination")
PATIENT_NUMBER: Final = Coded("2", "RFC-3881", "Patient Number")
REPORT_NUMBER: Final = Coded("9", "RFC-3881", "Report Number")
SUBMISSION_SET: Final = Coded(
    "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
    "IHE XDS Metadata",
    "submission set classificationNode",
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """How one transaction is recorded by the actor that answers it."""

    event: Coded
    action: str
    event_type: Coded
    path: str
    serves_as_source: bool = False


def _row(
    name: str, title: str, event: Coded, action: str, path: str, *, serves_as_source: bool = False
) -> AuditEvent:
    return AuditEvent(event, action, Coded(name, _TRANSACTIONS, title), path, serves_as_source)


_V2: Final = "mllp"

EVENTS: Final[Mapping[str, AuditEvent]] = {
    row.event_type.code: row
    for row in (
        _row("ITI-8", "Patient Identity Feed", _PATIENT_RECORD, "C", _V2),
        _row("ITI-18", "Registry Stored Query", _QUERY, "E", "/registry"),
        _row("ITI-41", "Provide and Register Document Set-b", _IMPORT, "C", "/repository"),
        _row("ITI-42", "Register Document Set-b", _IMPORT, "C", "/registry"),
        _row(
            "ITI-43",
            "Retrieve Document Set",
            _EXPORT,
            "R",
            "/repository",
            serves_as_source=True,
        ),
        _row("ITI-44", "Patient Identity Feed", _PATIENT_RECORD, "C", "/registry"),
        _row("ITI-51", "Multi-Patient Stored Query", _QUERY, "E", "/registry"),
        _row("ITI-61", "Register On-Demand Document Entry", _IMPORT, "C", "/registry"),
        _row("ITI-64", "Notify XAD-PID Link Change", _PATIENT_RECORD, "U", _V2),
        _row("ITI-65", "Provide Document Bundle", _IMPORT, "C", "/fhir"),
        _row("ITI-66", "Find Document Lists", _REST, "E", "/fhir/List"),
        _row("ITI-67", "Find Document References", _REST, "E", "/fhir/DocumentReference"),
        _row("ITI-68", "Retrieve Document", _REST, "R", "/fhir/document", serves_as_source=True),
        _row("ITI-78", "Patient Demographics Query for Mobile", _REST, "E", "/fhir/Patient"),
        _row("ITI-105", "Simplified Publish", _REST, "C", "/fhir/DocumentReference"),
        _row("ITI-106", "Generate Metadata", _REST, "C", "/fhir/DocumentReference"),
    )
}
