"""ITI-64 Notify XAD-PID Link Change (ITI TF-2 3.64): ADT A43 of a PIX Manager."""

from typing import Final

from xds.hl7v2.event import ADT_BYTES, EventHandler, Feed, require_segment
from xds.hl7v2.identifiers import AssigningAuthority, patient_id
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused, Problem
from xds.metadata import datatypes
from xds.metadata.catalogue import ITI_64
from xds.registry.versions.link_changes import LinkChange
from xds.security.access import Access
from xds.security.details import FeedDetails, FeedPatient

_ANY: Final = AssigningAuthority()
"""Local ids are of domains that the registry does not know; they come with their OID."""


def change_link(feed: Feed, message: Message, access: Access) -> None:
    """Give the documents of a local id to another patient.

    PID-3 is the new id of the affinity domain and the local one, MRG-1 the previous id of the
    affinity domain and, where the source merged two patients, the subsumed local one.
    """
    feed.identities.change_link(_noted(feed, message, access), in_commit=access.commit)


def _noted(feed: Feed, message: Message, access: Access) -> LinkChange:
    require_segment(message, "PID")
    require_segment(message, "MRG")
    subsumed = len(message.field("MRG", 1)) > 1
    change = LinkChange(
        new=patient_id(message, "PID", 3, 1, feed.authority),
        local=patient_id(message, "PID", 3, 2, _ANY),
        previous=patient_id(message, "MRG", 1, 1, feed.authority),
        subsumed_local=patient_id(message, "MRG", 1, 2, _ANY) if subsumed else None,
        source_id=_source_id(message),
    )
    access.details = _details(change)
    return change


def _details(change: LinkChange) -> FeedDetails:
    """Return the patients, and what each is in the change (ITI TF-2 3.64.5.1)."""
    kinds = (
        ("newPatientId", change.new),
        ("previousPatientId", change.previous),
        ("localPatientId", change.local),
        ("subsumedPatientId", change.subsumed_local),
    )
    patients: dict[str, FeedPatient] = {}
    for kind, patient_id_ in kinds:
        if patient_id_:
            patients.setdefault(patient_id_, FeedPatient(patient_id_, kind=kind))
    return FeedDetails(tuple(patients.values()))


def _source_id(message: Message) -> str:
    """Return the OID of the PIX Manager, which stands alone in MSH-3 or beside a name."""
    for application in message.field("MSH", 3):
        for component in application:
            if datatypes.is_oid("&".join(component)):
                return component[0]
    raise MessageRefused(
        Problem("102", "MSH^1^3", "the sending application is not named by its OID")
    )


EVENTS: Final = (
    EventHandler(
        code="ADT",
        trigger="A43",
        max_bytes=ADT_BYTES,
        transaction=ITI_64.name,
        handler=change_link,
        describe=_noted,
    ),
)
