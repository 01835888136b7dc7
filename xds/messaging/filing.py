"""The one pipeline from a message that was read to what it becomes, whichever door it came in.

A door (MLLP, HTTP, FHIR, a watched folder) reads a message and hands it over as an IncomingMessage.
What :meth:`MessageFiler.file` returns is durable: the door acknowledges it as the outcome says.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessageContent, MessageEnvelope
from xds.messaging.verdicts import INTERNAL, MessageFinding
from xds.metadata.catalogue import CARD_7, LAB_1, LAB_3, TransactionRow
from xds.security.caller import Caller

DOCUMENT_EVENTS: Final[Mapping[tuple[str, str], TransactionRow]] = {
    (event.code, event.trigger): row for row in (LAB_1, LAB_3, CARD_7) for event in row.hl7v2
}
"""The messages that are filed, by the components 1 and 2 of MSH-9, and their transactions."""

Door = Literal["mllp", "http", "fhir", "folder", "command"]

MessageState = Literal["filed", "indexed", "held", "refused", "failed", "corrected", "tried"]
"""What has become of a message. ``filed``: it made or changed DocumentEntries. ``indexed``: it was
accepted, and there was nothing to store. ``held``: it waits for its patient. ``refused``: it waits
to be corrected. ``failed``: nothing was wrong with it, and nothing was stored. ``corrected``: it
was refused, and another has taken its place. ``tried``: it was not to be filed."""


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
    raw: Callable[[], Iterator[bytes]]
    """Yields the message as it came, from its beginning at each call."""
    envelope: MessageEnvelope | None
    """None where not even a header can be read."""
    flavour: Flavour
    content: MessageContent | None
    """None where it cannot be read: it is for :meth:`MessageFiler.refuse` then."""
    feed: str = ""
    """What the door calls the connection or path that it came by; part of what makes control ids
    unique."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFiler:
    """Files messages in one affinity domain; safe to use from many threads."""

    domain: AffinityDomain

    @classmethod
    def open(cls, domain: AffinityDomain, config: Config) -> Self:
        """Make the filer of a process."""
        del config
        return cls(domain=domain)

    def file(self, incoming: IncomingMessage) -> FilingOutcome:
        """File a message, and return what became of it, which is durable then.

        It raises nothing: where the database or the store is not available the outcome has the
        verdict ``internal``, and nothing was stored.
        """
        return self._not_yet(incoming)

    def refuse(
        self, incoming: IncomingMessage, findings: Sequence[MessageFinding]
    ) -> FilingOutcome:
        """Keep a message that is refused before it is filed, so that it can be corrected."""
        return FilingOutcome(state="refused", findings=findings)

    def try_(self, incoming: IncomingMessage) -> FilingOutcome:
        """Return what a message would become now, and change nothing."""
        return self._not_yet(incoming)

    def _not_yet(self, incoming: IncomingMessage) -> FilingOutcome:
        finding = MessageFinding(verdict=INTERNAL, reason="messages are not filed yet")
        return FilingOutcome(state="failed", findings=[finding])
