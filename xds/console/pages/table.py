"""PAGES: a row for each page and each action of the console, and who may have it."""

from typing import Final

from xds.console.pages.clinical import CLINICAL
from xds.console.pages.incoming import INCOMING
from xds.console.pages.logins import LOGINS
from xds.console.pages.outgoing import OUTGOING
from xds.console.pages.oversight import AUDIT, SERVER
from xds.console.pages.row import ConsolePage
from xds.console.views import home

HOME: Final = ConsolePage(
    path="/", operation=home.show, title="Home", template="home.html", menu="Home"
)

PAGES: Final = (HOME, *LOGINS, *CLINICAL, *INCOMING, *OUTGOING, *SERVER, *AUDIT)
"""Every page and action; the navigation has those with a menu, in this order."""
