"""What a destination of messages is: where it is, what it is told, and how it wants it.

Its file is read by :mod:`xds.messaging.outbound.destinations_file`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from xds.messaging.verdicts import AcknowledgementReading
from xds.metadata.criteria import Criterion

ChangeToTell = Literal[
    "registered", "replaced", "appended", "updated", "withdrawn", "moved", "merged"
]
"""``registered``: a document is new. ``replaced``: it takes the place of another one.
``appended``: it is an addendum to another one. ``updated``: its metadata have changed.
``withdrawn``: it is Deprecated without a successor, or removed. ``moved``: it is of another patient
since a merge. ``merged``: a patient whose documents are there was merged into another one."""

CHANGES: Final[Sequence[ChangeToTell]] = (
    "registered",
    "replaced",
    "appended",
    "updated",
    "withdrawn",
)

LaneOrder = Literal["destination", "patient", "none"]
"""What waits for a message that was not taken: all others of the destination, those of patients in
the same lane, or none."""


@dataclass(frozen=True, slots=True)
class SendingRule:
    """What is told: whatever meets the criterion."""

    name: str
    """Stands in the record of each message, and in the answer to why one was not sent."""
    criterion: Criterion
    """Of the attributes of a DocumentEntry, and of ``postcode``, ``postcode_area``, ``practice``
    and ``sender``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageForm:
    """How a destination wants its messages."""

    message: Literal["MDM", "ORU", "FHIR"] = "MDM"
    version: str = "2.4"
    """MSH-12."""
    replaced: Literal["T10", "T08", "T02"] = "T10"
    """The trigger event for a document that replaces another one; with T08 and T02 it has the
    number of the one that it replaces."""
    updated: Literal["T04", "T03"] = "T04"
    """The trigger event for changed metadata, with the content or without."""
    number: Literal["source", "unique-id"] = "source"
    """TXA-12 or OBR-3: the number that the source gave, or the uniqueId."""
    embedded: tuple[str, str, str] = ("", "application", "pdf")
    """ED components 1 to 3 of a PDF; other types have those of their media type."""
    chunk_characters: int = 0
    """Of base64 in one OBX; 0: all in one."""
    processing_id: str = "P"
    accept_acknowledgement: Literal["", "AL", "NE", "SU", "ER"] = ""
    """MSH-15."""
    application_acknowledgement: Literal["", "AL", "NE", "SU", "ER"] = ""
    """MSH-16."""
    domains: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """OID of a patient id's domain to CX.4 and CX.5; others are written with their OID."""
    coding_systems: Mapping[str, str] = field(default_factory=dict)
    """Coding schemes as metadata have them to their names in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A receiver of messages."""

    name: str
    address: str
    """``mllp://host:port``, ``mllps://host:port``, or an http(s) URL."""
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    rules: Sequence[SendingRule] = ()
    """One that holds is enough; the first that does is recorded."""
    changes: frozenset[ChangeToTell] = frozenset(CHANGES) - {"updated"}
    preliminary: bool = False
    """Whether reports that are not final are told."""
    order: LaneOrder = "patient"
    lanes: int = 4
    """Connections at most, each for the patients of a lane."""
    merges: Literal["nothing", "documents", "A40"] = "nothing"
    """What a merge of patients is told as: each document that is there under the surviving id, or
    one ADT^A40."""
    reading: AcknowledgementReading = "hl7"
    """How its AE and AR are understood."""
    refusals: int = 10
    """Answers that ask for another attempt, after which a message is given up."""
    answer_seconds: float = 30.0
    form: MessageForm = MessageForm()

    @property
    def identity(self) -> str:
        """What it is as a sender, ``application|facility``: its own messages do not come back."""
        return f"{self.receiving_application}|{self.receiving_facility}"

    def is_sender(self, sender: str) -> bool:
        """Tell whether a message came from it; one that names nobody did not."""
        return sender not in ("", "|") and sender.casefold() == self.identity.casefold()

    @property
    def host(self) -> str:
        """Where it is, for the limits of the delivery queue."""
        return self.address
