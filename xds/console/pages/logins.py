"""LOGINS: the rows of logging in and out."""

from typing import Final

from xds.console.pages.row import NOBODY, ConsolePage
from xds.console.views.logins import at_provider, logging_in

LOGINS: Final = (
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
    ConsolePage(
        path="/openid",
        operation=at_provider.begin,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("next",),
    ),
    ConsolePage(
        path=at_provider.RETURN,
        operation=at_provider.finish,
        title="Log in",
        template="login.html",
        roles=NOBODY,
        parameters=("code", "state", "error", "iss"),
        ends_login=True,
    ),
    ConsolePage(
        path="/logout",
        operation=logging_in.log_out,
        title="Log out",
        template="logged_out.html",
        method="POST",
    ),
)
"""Those who have not logged in have all but the last."""
