"""What is wrong with a message: rows of ERR, in the codes of HL7 table 0357."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from xds.errors import RequestRefused, Violation

Severity = Literal["E", "W"]

ERROR_TEXTS: Final = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported trigger event",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357, the codes used here."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One ERR segment (HL7 v2.5 2.15.5, as ITI TF-2x C.2.3 wants it for all versions)."""

    code: str
    """Of HL7 table 0357."""
    location: str
    """Segment, sequence, field, repetition, component, subcomponent; as many as are known."""
    reason: str = ""
    """For people; names no patient."""
    severity: Severity = "E"
    """``W``: the message was accepted in spite of it."""
    verdict: str = ""
    """The name of the fault in ERR-5, which tells more than the code."""


class MessageRefused(RequestRefused):
    """The content of a message is refused (AE)."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(", ".join(f"{one.code} at {one.location}" for one in problems))
        self.problems = problems

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(Violation(one.code, one.location) for one in self.problems)
