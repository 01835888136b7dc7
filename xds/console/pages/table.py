"""PAGES: a row for each page and each action of the console, and who may have it."""

from typing import Final

from xds.console.pages.clinical import CLINICAL
from xds.console.pages.incoming import INCOMING
from xds.console.pages.logins import LOGINS
from xds.console.pages.outgoing import OUTGOING
from xds.console.pages.oversight import AUDIT, DEPLOYMENT, LOOKING
from xds.console.pages.row import ConsolePage, PageGroup
from xds.console.views import home

HOME: Final = ConsolePage(
    path="/", operation=home.show, title="Home", template="home.html", menu="Home"
)

GROUPS: Final = (
    PageGroup("", (HOME, *LOGINS, *CLINICAL)),
    PageGroup("Coming in", INCOMING),
    PageGroup("Going out", OUTGOING),
    PageGroup("", (*LOOKING, *AUDIT)),
    PageGroup("This server", DEPLOYMENT),
)
"""The rows as the navigation has those with a menu, in this order."""

PAGES: Final = tuple(row for group in GROUPS for row in group.rows)
"""Every page and action."""
