"""INTERACTIONS: what this service answers below /fhir, a row each."""

from typing import Final

from xds.fhir.interactions import OPERATION, Interaction
from xds.fhir_messages import process_message
from xds.metadata.catalogue import PROCESS_MESSAGE
from xds.security.scopes import permissions

_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"

INTERACTIONS: Final = (
    Interaction(
        PROCESS_MESSAGE.name,
        OPERATION,
        "POST",
        "/$process-message",
        "Process Message: file the reports, documents and orders of a message.",
        process_message.process,
        body="Bundle",
        is_lenient=True,
        describer=process_message.describe,
        permissions=permissions(DocumentReference="c"),
        definition=_DEFINITION,
        is_answered=lambda config: config.takes_fhir_messages,
    ),
)
"""The rows of the service."""
