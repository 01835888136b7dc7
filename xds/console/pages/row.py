"""ConsolePage: one row of the pages and actions, and who may have it."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final, Literal

from xds.accounts.roles import ConsoleRole
from xds.console.visits import Operation

EVERYBODY: Final = frozenset(ConsoleRole)
"""Whoever has logged in."""
READERS: Final = frozenset(
    {
        ConsoleRole.VIEWER,
        ConsoleRole.CLINICIAN,
        ConsoleRole.INTEGRATION,
        ConsoleRole.PRIVACY,
    }
)
"""Who may come to pages of patients and documents, of which the policy has the last word."""
PRIVACY: Final = frozenset({ConsoleRole.PRIVACY})
NOBODY: Final[frozenset[ConsoleRole]] = frozenset()
"""No role is asked for: the pages of those who have not logged in."""
KEY: Final = "{key:int(min=1, max=9223372036854775807)}"
"""A number by which the database knows a row, in a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage:
    """One row: a page where the method is GET, else an action."""

    path: str
    """Below /console; parts in braces are variable: ``{number:int}``, ``{uuid:uuid}``."""
    operation: Operation
    title: str
    template: str = ""
    """By which its content is shown; empty for an action that only sends on."""
    roles: frozenset[ConsoleRole] = EVERYBODY
    method: Literal["GET", "POST"] = "GET"
    parameters: tuple[str, ...] = ()
    """Those of the URL or of the form that it looks at; others are passed over."""
    menu: str = ""
    """What it is called in the navigation; empty where it is not there."""
    ends_login: bool = False
    """Whether a login at a provider is no longer under way, whatever comes of it."""

    def is_for(self, roles: Iterable[str]) -> bool:
        """Tell whether somebody with some roles may have it."""
        held: Set[str] = set(roles)
        if not self.roles or ConsoleRole.ADMINISTRATOR in held:
            return True
        return not self.roles.isdisjoint(held)


@dataclass(frozen=True, slots=True)
class PageGroup:
    """Rows that stand together in the navigation, below a title where there is one."""

    title: str
    rows: tuple[ConsolePage, ...]
