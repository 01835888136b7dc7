"""What the registry says of the documents of a message, as findings for its sender."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from xds.errors import RegistryError
from xds.messaging.registering.plan import NewDocument
from xds.messaging.verdicts import (
    DOCUMENT_UNKNOWN,
    OLDER,
    PATIENT_UNKNOWN,
    REGISTRY,
    MessageFinding,
    MessageVerdict,
)
from xds.registry.versions.placing import RULE

_WARNINGS: Final[Mapping[str, MessageVerdict]] = {
    "XDSRegistryDeprecatedDocumentError": OLDER,
    "UnresolvedReferenceException": DOCUMENT_UNKNOWN,
}
"""What a warning about the versions of a document amounts to, by its code."""


def refusals(
    errors: Iterable[RegistryError], documents: Iterable[NewDocument]
) -> Iterator[MessageFinding]:
    """Yield what refuses a message, each finding once."""
    locations = _locations(documents)
    yield from dict.fromkeys(_refusal(one, locations) for one in errors)


def _refusal(error: RegistryError, locations: Mapping[str, str]) -> MessageFinding:
    if error.rule == RULE and error.location in locations:
        return MessageFinding(
            verdict=OLDER, location=locations[error.location], reason=_said(error)
        )
    is_patient = error.code == "XDSUnknownPatientId"
    told = error.violation
    return MessageFinding(
        verdict=PATIENT_UNKNOWN if is_patient else REGISTRY,
        location="PID^1^3" if is_patient else "MSH^1",
        reason=" ".join(filter(None, (told.code, told.attribute, told.rule))),
    )


def warnings(
    told: Iterable[RegistryError], documents: Iterable[NewDocument]
) -> Iterator[MessageFinding]:
    """Yield what the sender is told of the versions of documents that are registered."""
    locations = _locations(documents)
    for one in told:
        if one.rule == RULE and one.location in locations:
            yield MessageFinding(
                verdict=_WARNINGS.get(one.code, REGISTRY),
                location=locations[one.location],
                reason=_said(one),
                is_warning=True,
            )


def _locations(documents: Iterable[NewDocument]) -> Mapping[str, str]:
    """Return where documents stand in the message, by the entryUUIDs that they get."""
    return {one.entry_uuid: one.document.location or one.report.location for one in documents}


def _said(error: RegistryError) -> str:
    """Return the sentence about a document without its entryUUID: it has no value of a patient."""
    return f"the document: {error.code_context.partition(': ')[2]}"
