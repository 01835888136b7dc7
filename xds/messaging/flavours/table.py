"""All flavours of a deployment, and which one a message has."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessageEnvelope


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourMatch:
    """Which messages have a flavour: each part is a name, or a pattern with ``*`` and ``?``."""

    application: str = "*"
    """MSH-3.1, in either case."""
    facility: str = "*"
    """MSH-4.1."""
    message: str = "*"
    """MSH-9, as in ``ORU^R01``."""

    def covers(self, envelope: MessageEnvelope) -> bool:
        """Tell whether a message is one of these."""
        pairs = (
            (envelope.sending_application, self.application),
            (envelope.sending_facility, self.facility),
            (f"{envelope.code}^{envelope.trigger}", self.message),
        )
        return all(fnmatchcase(text.casefold(), pattern.casefold()) for text, pattern in pairs)

    def __str__(self) -> str:
        message = "" if self.message == "*" else f" {self.message}"
        return f"{self.application}|{self.facility}{message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavourRow:
    """One flavour and where it comes from."""

    flavour: Flavour
    extends: str
    matches: Sequence[FlavourMatch]
    source: str
    """The file, or ``shipped``."""


@dataclass(frozen=True, slots=True)
class FlavourTable:
    """Flavours in the order in which they are tried: a deployment's own, then the shipped ones."""

    rows: Sequence[FlavourRow]

    def flavour_of(self, envelope: MessageEnvelope) -> Flavour:
        """Return the first flavour that matches a message, else the last one."""
        for row in self.rows:
            if any(match.covers(envelope) for match in row.matches):
                return row.flavour
        return self.rows[-1].flavour

    def row(self, name: str) -> FlavourRow:
        """Return a flavour by its name; KeyError."""
        for row in self.rows:
            if row.flavour.name == name:
                return row
        raise KeyError(name)

    def forced(self, name: str) -> "FlavourTable":
        """Return a table in which every message has the flavour of a name; KeyError."""
        return FlavourTable((self.row(name),))
