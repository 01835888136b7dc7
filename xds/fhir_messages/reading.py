"""Reading a message into the model that HL7 v2 messages are read into, too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from xds.fhir.r4.resource import Resource
from xds.fhir_messages import orders
from xds.fhir_messages.bundle import MessageBundle
from xds.fhir_messages.envelope import envelope_of, header_of
from xds.fhir_messages.patient import patient_of
from xds.fhir_messages.reports import ReportReader
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import (
    CarriedContent,
    MessageContent,
    MessageEnvelope,
    MessageOrder,
    MessageReport,
)
from xds.messaging.verdicts import UNREADABLE, ContentRefused, refused
from xds.metadata.systems import Systems

_ORDERS = frozenset({"O01", "O19", "O21"})


def envelope(bundle: Resource, systems: Systems) -> MessageEnvelope:
    """Read the header of a message; ContentRefused where it has none that is read here."""
    with _as_unreadable():
        message = MessageBundle(bundle, systems)
        return envelope_of(message, header_of(message))


def read(bundle: Resource, systems: Systems, flavours: FlavourTable) -> MessageContent:
    """Read a message; ContentRefused with every error that was found.

    The Bundle need not be as FHIR has it.
    """
    with _as_unreadable():
        return _read(bundle, systems, flavours)


@contextmanager
def _as_unreadable() -> Iterator[None]:
    """Refuse a message in which an element has not the form of its type."""
    try:
        yield
    except (AttributeError, TypeError, KeyError, IndexError, ValueError):
        raise refused(UNREADABLE, "Bundle", "an element has not the form of its type") from None


def _read(bundle: Resource, systems: Systems, flavours: FlavourTable) -> MessageContent:
    message = MessageBundle(bundle, systems)
    said = envelope_of(message, header_of(message))
    flavour = flavours.flavour_of(said)
    patient = patient_of(message, flavour)
    reports, ordered = _content(message, said, flavour)
    _look_at_documents(message, reports)
    if message.errors:
        raise ContentRefused(*message.errors)
    return MessageContent(
        envelope=said,
        patient=patient,
        reports=reports,
        orders=ordered,
        findings=message.warnings,
    )


def _content(
    message: MessageBundle, said: MessageEnvelope, flavour: Flavour
) -> tuple[Sequence[MessageReport], Sequence[MessageOrder]]:
    if said.trigger in _ORDERS:
        return (), orders.orders_of(message, said, flavour)
    return ReportReader(message, said, flavour).reports(), ()


def _look_at_documents(message: MessageBundle, reports: Sequence[MessageReport]) -> None:
    """Add an error for each document that cannot be decoded, so that all are told at once."""
    for report in reports:
        for one in report.documents:
            if not isinstance(one.content, CarriedContent):
                continue
            try:
                for _ in one.content.chunks():
                    pass
            except ContentRefused as refusal:
                message.errors += refusal.findings
