"""PAGES: a row for each page and each action of the console, and who may have it."""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final, Literal

from xds.accounts.roles import ConsoleRole
from xds.console.views import home, logging_in
from xds.console.visits import Operation

EVERYBODY: Final = frozenset(ConsoleRole)
"""Whoever has logged in."""
NOBODY: Final[frozenset[ConsoleRole]] = frozenset()
"""No role is asked for: the pages of those who have not logged in."""


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

    def is_for(self, roles: Iterable[str]) -> bool:
        """Tell whether somebody with some roles may have it."""
        held: Set[str] = set(roles)
        if not self.roles or ConsoleRole.ADMINISTRATOR in held:
            return True
        return not self.roles.isdisjoint(held)


PAGES: Final = (
    ConsolePage(path="/", operation=home.show, title="Home", template="home.html", menu="Home"),
    ConsolePage(
        path="/login",
        operation=logging_in.show,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("next",),
    ),
    ConsolePage(
        path="/login",
        operation=logging_in.log_in,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        method="POST",
        parameters=("name", "password", "next"),
    ),
    ConsolePage(path="/logout", operation=logging_in.log_out, title="Log out", method="POST"),
)
"""Every page and action; the navigation has those with a menu, in this order."""
