"""People who have logged in at a proxy before this server: it tells of them with each request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from xds.accounts.sessions import Session
from xds.accounts.vouched import NotVouched, person_of_headers
from xds.console import failures
from xds.console.views.logins import logging_in
from xds.console.visits import Visit
from xds.security.caller import Caller

ISSUER: Final = "urn:xds:console:proxy"
"""Who vouches for those who have logged in at a proxy."""


def session_of(visit: Visit, told: Mapping[str, str]) -> Session:
    """Return the session of the person of whom a trusted proxy tells, begun if need be.

    A session of somebody else, or with other roles, ends. NotTold; NotVouched.
    """
    config = visit.console.config
    name = told.get(config.console_user_header, "").strip()
    if not name:
        raise failures.NotTold
    limit = config.console_patients_header
    try:
        person = person_of_headers(
            name,
            told.get(config.console_groups_header, ""),
            told.get(limit, "") if limit else None,
            ISSUER,
            visit.console.roles,
        )
    except NotVouched as error:
        logging_in.record(visit, Caller(node=visit.node), failure=str(error))
        raise
    held = visit.session
    if held is not None and replace(held.person, emergencies=()) == person:
        return held
    return logging_in.begin_session(visit, person)
