"""What a door hands over to be filed, and what it gets back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from xds.feeds.paused import name_of
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessageContent, MessageEnvelope
from xds.messaging.verdicts import MessageFinding
from xds.security.caller import Caller

Door = Literal["mllp", "http", "fhir", "folder", "command"]

MessageState = Literal[
    "filed", "indexed", "held", "partial", "joined", "refused", "failed", "corrected"
]
"""What has become of a message. ``filed``: it made or changed DocumentEntries. ``indexed``: it was
accepted, and there was nothing to store. ``held``: it waits for its patient. ``partial``: it is a
part of a message, and waits for the next one; ``joined``: the whole has a record of its own.
``refused``: it waits to be corrected. ``failed``: nothing was wrong with it, and nothing was
stored. ``corrected``: it was refused, and another has taken its place."""


class RawBytes(Protocol):
    """The bytes of a message as it came."""

    def __call__(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield those from one place to another, from ``start`` at each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """What a door hands over."""

    door: Door
    caller: Caller
    """Who sends it: the node at least, and the user where the door knows one."""
    media: Literal["hl7v2", "fhir"]
    digest: str
    """SHA-256, hexadecimal: of an HL7 message without MSH-7 and MSH-8, or of the Bundle."""
    size: int
    """Bytes of the message as it came."""
    raw: RawBytes
    envelope: MessageEnvelope | None
    """None where not even a header can be read."""
    flavour: Flavour
    content: MessageContent | None
    """None where it cannot be read: it is for :meth:`MessageFiler.refuse` then."""
    feed: str = ""
    """What the door calls the connection or path that it came by; part of what makes control ids
    unique."""
    is_new: bool = True
    """Whether it comes from outside now; else it is on record, and is filed again."""

    @property
    def pausable_feed(self) -> str:
        """The feed that an operator may pause (xds.feeds); empty for what comes of the server."""
        is_from_outside = self.is_new and self.door != "command"
        return name_of(self.door, self.feed) if is_from_outside else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledDocument:
    """A DocumentEntry that a message made, or changed."""

    entry_uuid: str
    unique_id: str
    change: Literal["registered", "replaced", "appended", "deprecated", "updated"]
    """What was done with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingOutcome:
    """What became of a message."""

    state: MessageState
    findings: Sequence[MessageFinding] = ()
    """What refuses it, or warnings beside its acceptance."""
    is_replay: bool = False
    """Whether it came before, and this is the answer that it had."""
    record_id: str = ""
    """The UUID of its record; empty where none could be written."""
    documents: Sequence[FiledDocument] = ()
    submission_set: str = ""
    """The entryUUID of its SubmissionSet, where it made one."""
    decisions: Sequence[str] = ()
    """What was decided about it, and why. No value of a patient."""

    @property
    def is_accepted(self) -> bool:
        """Whether the sender is told that all is well."""
        return all(one.is_warning for one in self.findings)

    @property
    def refusals(self) -> Sequence[MessageFinding]:
        """What refuses it."""
        return [one for one in self.findings if not one.is_warning]

    @property
    def warnings(self) -> Sequence[MessageFinding]:
        """What is told beside its acceptance."""
        return [one for one in self.findings if one.is_warning]
