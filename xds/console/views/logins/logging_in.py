"""Logging in by a local account, what all ways of it share, and logging out."""

from typing import Final

from xds.accounts.accounts import Account
from xds.accounts.openid_provider import ProviderFailed
from xds.accounts.sessions import Person, Session
from xds.accounts.throttle import Attempts
from xds.audit import trail
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
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
    return form(visit)


def form(visit: Visit, error: str = "", *, status: int = 200, seconds: int = 0) -> PageContent:
    """Return the page to log in on, with what has gone wrong."""
    given, config = visit.given, visit.console.config
    place = given.get("next", "") or (visit.login.place if visit.login else "")
    values = {
        "next": place,
        "name": given.get("name", ""),
        "error": error,
        "has_passwords": config.has_passwords,
        "has_openid": config.has_openid,
    }
    title = "Error: Log in" if error else ""
    return PageContent(values, status=status, title=title, wait_seconds=seconds)


def wait(visit: Visit, milliseconds: int) -> PageContent:
    """Return the page that tells somebody to wait before another attempt."""
    seconds = -(-milliseconds // 1000)
    told = f"There were too many attempts. Try again in {seconds} seconds."
    return form(visit, told, status=429, seconds=seconds)


def log_in(visit: Visit) -> Answer:
    """Begin a session for whoever knows the password of an account."""
    name, console = visit.given["name"].strip(), visit.console
    if not console.config.has_passwords:
        raise PageNotFound
    attempts = _attempts(name, visit.node.address)
    if milliseconds := console.throttle.admit(attempts):
        return wait(visit, milliseconds)
    found = console.accounts.verified(name, visit.given["password"])
    if found is None:
        record(visit, _caller(visit, name), failure="the name or the password is wrong")
        return form(visit, _WRONG, status=403)
    console.throttle.clear(attempts[:1])
    console.throttle.succeed(attempts[1:])
    return let_in(visit, _person(found), visit.given["next"], account=name)


def let_in(visit: Visit, person: Person, place: str, *, account: str | None = None) -> SeeOther:
    """Begin the session of somebody, and send them on to a place, or to the first page."""
    return SeeOther(place or "/", begins=begin_session(visit, person, account=account))


def begin_session(visit: Visit, person: Person, *, account: str | None = None) -> Session:
    """Record that somebody logs in, and begin their session in place of that of before."""
    sessions = visit.console.sessions
    record(visit, Caller(node=visit.node, user=person.user))
    if visit.session is not None:
        sessions.end(visit.session)
    return sessions.begin(person, account=account)


def log_out(visit: Visit) -> Answer:
    """End the session; whoever has logged in at a provider is sent there to log out as well."""
    session = visit.logged_in
    if session.person.way == "proxy":
        raise PageNotFound  # the next page would begin another session
    record(visit, visit.caller, ends=True)
    visit.console.sessions.end(session)
    url = _logout_url(visit, session.person)
    return PageContent({"url": url}, ends=True) if url else SeeOther("/login", ends=True)


def _logout_url(visit: Visit, person: Person) -> str:
    """Return where somebody logs out at the provider; empty where they do not or cannot."""
    provider = visit.console.provider
    if provider is None or person.way != "openid":
        return ""
    try:
        return provider.logout_url(person.id_token)
    except ProviderFailed:
        return ""


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


def record(visit: Visit, caller: Caller, *, ends: bool = False, failure: str = "") -> None:
    """Record that somebody logs in or out, or has not been let in; NotRecorded."""
    visit.record(trail.of_authentication(caller, ends=ends, failure=failure))
