"""What a trigger event is: a row that names it, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.identifiers import AssigningAuthority, patient_ids
from xds.hl7v2.message import Message
from xds.hl7v2.problems import MessageRefused, Problem
from xds.registry.identities import PatientIdentities
from xds.security.access import Access
from xds.security.interceptors import InterceptorChain


@dataclass(frozen=True, slots=True)
class Feed:
    """What handlers work on: the patients, and whose ids are kept."""

    identities: PatientIdentities
    authority: AssigningAuthority
    interceptors: InterceptorChain
    count: Callable[[str, str], None] | None = None
    """Is told of each message: its trigger event, and how it was acknowledged."""

    def patient_ids(self, message: Message, segment: str, number: int) -> list[str]:
        """Return the ids of the affinity domain in a field; Refused where there is none."""
        return patient_ids(message, segment, number, self.authority)


ADT_BYTES: Final = 1 << 20
"""Of a message of the ADT family, which brings no documents; option max_mllp_bytes may say less."""

Handler = Callable[[Feed, Message, Access], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandler:
    """One row of EVENTS; a handler that returns has done what the message asks."""

    code: str
    """MSH-9 component 1: ``ADT``."""
    trigger: str
    """MSH-9 component 2: ``A04``."""
    max_bytes: int
    """Of a whole message."""
    transaction: str
    """As in the TF: ``ITI-8``."""
    handler: Handler
    describe: Callable[[Feed, Message, Access], object]
    """Sets the details of an access from a message, and does no more."""


def require_size(message: Message, event: EventHandler) -> None:
    """Raise Refused for a message that is larger than those of its event may be."""
    limit = message.source.exceeded
    if not limit and message.size > event.max_bytes:
        limit = f"a message of {event.code}^{event.trigger} has {event.max_bytes} bytes at most"
    if limit:
        raise MessageRefused(Problem("207", "MSH^1", limit))


def require_segment(message: Message, segment: str) -> None:
    """Raise Refused unless a segment stands in the message exactly once."""
    count = message.count(segment)
    if count == 0:
        raise MessageRefused(Problem("100", f"{segment}^1", f"there is no {segment} segment"))
    if count > 1:
        raise MessageRefused(Problem("100", f"{segment}^2", "a message is of one patient"))
