"""Of which transactions a user has to be known: ``user_assertions`` and ``user_assertions_of``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Self

from xds.metadata.catalogue import CATALOGUE


class Requirement(IntEnum):
    """Whether somebody has to vouch for the user of a request; the stricter is the greater."""

    OFF = 0
    """Nobody is asked, and what comes is not looked at."""
    OPTIONAL = 1
    """What comes is verified."""
    REQUIRED = 2


REQUIREMENTS: Final[Mapping[str, Requirement]] = {one.name.lower(): one for one in Requirement}
"""By their names in the options."""
WITH_USERS: Final = frozenset(row.name for row in CATALOGUE if row.takes_users)
"""The transactions that come with someone's word for their user."""


@dataclass(frozen=True, slots=True)
class UserRequirements:
    """What is asked of each transaction."""

    usual: Requirement = Requirement.OFF
    of: Mapping[str, Requirement] = field(default_factory=dict)
    """Of transactions, by name, that differ from it."""

    @classmethod
    def read(cls, usual: str, of: Mapping[str, str]) -> Self:
        """Read the options; ValueError for what is no requirement, or of no such transaction."""
        if unknown := sorted(of.keys() - WITH_USERS):
            raise ValueError(
                f"user_assertions_of: {', '.join(unknown)}: no transaction that takes users; "
                f"those that do are {', '.join(sorted(WITH_USERS))}"
            )
        if others := sorted(set(of.values()) - REQUIREMENTS.keys()):
            known = ", ".join(REQUIREMENTS)
            raise ValueError(f"user_assertions_of: {others[0]}: there are {known}")
        return cls(REQUIREMENTS[usual], {name: REQUIREMENTS[value] for name, value in of.items()})

    def of_transaction(self, transaction: str) -> Requirement:
        """Return what is asked; of several transactions, ``ITI-66, ITI-67``, the strictest."""
        if not self.of:
            return self.usual
        return max(self.of.get(name, self.usual) for name in transaction.split(", "))

    @property
    def asks_anywhere(self) -> bool:
        """Whether there is a transaction whose user is looked at."""
        return any((self.usual, *self.of.values()))


NOTHING_ASKED: Final = UserRequirements()
