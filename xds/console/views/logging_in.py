"""Logging in by a local account, and logging out."""

from typing import Final

from xds.accounts.accounts import Account
from xds.accounts.sessions import Person
from xds.accounts.throttle import Attempts
from xds.audit import trail
from xds.console.visits import Answer, PageContent, SeeOther, Visit
from xds.security.caller import Caller, User
from xds.security.texts import UnacceptableText

_FREE_OF_BOTH: Final = 5
"""Failures in turn of a name from an address, before one waits."""
_FREE_OF_ADDRESS: Final = 20
_FREE_OF_NAME: Final = 50
_WRONG: Final = "The name and the password are not those of an account."
ISSUER: Final = "urn:xds:console"
"""Who vouches for those who have logged in by a local account."""


def show(visit: Visit) -> Answer:
    """Show the form; whoever has logged in already goes on."""
    if visit.session is not None:
        return SeeOther(visit.given["next"] or "/")
    return _form(visit)


def _form(visit: Visit, error: str = "", *, status: int = 200, wait: int = 0) -> PageContent:
    given = visit.given
    values = {"next": given["next"], "name": given.get("name", ""), "error": error}
    title = "Error: Log in" if error else ""
    return PageContent(values, status=status, title=title, wait_seconds=wait)


def log_in(visit: Visit) -> Answer:
    """Begin a session for whoever knows the password of an account."""
    name, console = visit.given["name"].strip(), visit.console
    attempts = _attempts(name, visit.node.address)
    if wait := console.throttle.admit(attempts):
        seconds = -(-wait // 1000)
        told = f"There were too many attempts. Try again in {seconds} seconds."
        return _form(visit, told, status=429, wait=seconds)
    found = console.accounts.verified(name, visit.given["password"])
    if found is None:
        _record(visit, _caller(visit, name), failure="the name or the password is wrong")
        return _form(visit, _WRONG, status=403)
    person = _person(found)
    console.throttle.clear(attempts[:1])
    console.throttle.succeed(attempts[1:])
    _record(visit, Caller(node=visit.node, user=person.user))
    if visit.session is not None:
        console.sessions.end(visit.session)
    return SeeOther(visit.given["next"] or "/", begins=console.sessions.begin(person, account=name))


def log_out(visit: Visit) -> Answer:
    """End the session."""
    session = visit.logged_in
    _record(visit, visit.caller, ends=True)
    visit.console.sessions.end(session)
    return SeeOther("/login", ends=True)


def _attempts(name: str, address: str) -> list[Attempts]:
    return [
        Attempts("both", f"{address}\0{name.casefold()}", _FREE_OF_BOTH),
        Attempts("address", address, _FREE_OF_ADDRESS),
        Attempts("name", name.casefold(), _FREE_OF_NAME),
    ]


def _person(found: Account) -> Person:
    user = User(
        name_id=found.name,
        issuer=ISSUER,
        subject_id=found.name,
        resource_ids=found.patients,
        patients=found.patients,
    )
    return Person(user=user, roles=found.roles, way="password", patients=found.patients)


def _caller(visit: Visit, name: str) -> Caller:
    """Return who tries to log in, as far as the name can stand in a record."""
    try:
        user = User(name_id=name, issuer=ISSUER) if name else None
    except UnacceptableText:
        user = None
    return Caller(node=visit.node, user=user)


def _record(visit: Visit, caller: Caller, *, ends: bool = False, failure: str = "") -> None:
    """Record that somebody logs in or out, or has not been let in; NotRecorded."""
    visit.record(trail.of_authentication(caller, ends=ends, failure=failure))
