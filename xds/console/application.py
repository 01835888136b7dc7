"""The WSGI application below /console: HTTP becomes visits of pages, and answers become HTTP.

Who has no session is sent to log in; what is not for somebody's roles is not there. A form counts
where it comes from a page of the same origin and brings back a token that page had.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import falcon
from jinja2 import Environment

from xds import logs
from xds.accounts.accounts import Accounts
from xds.accounts.openid_login import LoginUnderWay
from xds.accounts.sessions import Session, Sessions
from xds.accounts.throttle import LoginThrottle
from xds.accounts.vouched import RoleTable
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.console import cookies, failures
from xds.console.pages.row import ConsolePage, PageGroup
from xds.console.rendering import ROOT, environment
from xds.console.sending import PageSending, is_compressible, send_bytes, send_page
from xds.console.static_files import StaticFile, static_files
from xds.console.views.logins import by_proxy
from xds.console.views.logins.at_provider import provider_of
from xds.console.visits import (
    Answer,
    AtProvider,
    Bytes,
    Console,
    PageContent,
    PageNotFound,
    SeeOther,
    Visit,
)
from xds.content.reading.deployment import rules_of
from xds.fhir.facade import Facade
from xds.fhir.interactions import Interaction
from xds.http.request_body import RequestBody
from xds.messaging.operations import MessageOperations
from xds.messaging.outbound.sending import MessageSender
from xds.mhd.document_pages import DocumentPages
from xds.mhd.served_documents import ServedDocuments
from xds.security.node import of_environment
from xds.security.proxies import told_of_person

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MOST_BYTES: Final = 1 << 20
"""Of a form."""
_NULL: Final = "\0"
"""The character that no text of a database has: PostgreSQL refuses it."""
_MOST_FIELDS: Final = 200
_MOST_CHARACTERS: Final = 16_384
"""Of the query of a URL."""
_TOKEN: Final = "token"
_PLACE: Final = re.compile(r"/[A-Za-z0-9/_.~%?&=+:@-]{0,500}")
"""What one may go on to once one has logged in."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MINUTE: Final = 60_000
_YEAR: Final = 31_536_000


def create(
    groups: Sequence[PageGroup],
    domain: AffinityDomain,
    config: Config,
    messages: MessageOperations | None,
    sender: MessageSender | None,
    interactions: Sequence[Interaction] = (),
) -> WSGIApplication:
    """Return the application for every path below /console.

    ``groups`` have its pages and actions; ``messages`` files some again, ``sender`` writes those
    that go out; ``interactions`` are the rows of the FHIR services.
    """
    names, files = static_files()
    console = _console(domain, config, messages, sender, interactions)
    browser = _Browser(groups, console, environment(names))
    application = falcon.App(media_type=falcon.MEDIA_HTML)
    application.req_options.strip_url_path_trailing_slash = True
    for kind in (Exception, falcon.HTTPError):
        application.add_error_handler(kind, browser.tell)
    application.add_route(f"{ROOT}/static/{{name}}", _Static(files))
    rows: dict[str, dict[str, ConsolePage]] = {}
    for row in (row for group in groups for row in group.rows):
        rows.setdefault(row.path.rstrip("/"), {})[row.method] = row
    for path, methods in rows.items():
        application.add_route(ROOT + path, _PageResource(browser, methods))
    answers: WSGIApplication = application
    return answers


def _console(
    domain: AffinityDomain,
    config: Config,
    messages: MessageOperations | None,
    sender: MessageSender | None,
    interactions: Sequence[Interaction],
) -> Console:
    documents = ServedDocuments(domain)
    return Console(
        domain=domain,
        config=config,
        accounts=Accounts(domain.database),
        sessions=Sessions(
            domain.database,
            config.console_idle_minutes * _MINUTE,
            config.console_hours * 60 * _MINUTE,
        ),
        throttle=LoginThrottle(domain.database),
        roles=RoleTable.read(config.console_roles or ""),
        provider=provider_of(config),
        documents=documents,
        pages=DocumentPages(domain, documents, rules_of(config, domain.systems, with_schema=True)),
        facade=Facade(domain, config),
        messages=messages,
        sender=sender,
        interactions=interactions,
    )


class _PageResource:
    """What Falcon calls a resource: the page and the action of one path."""

    def __init__(self, browser: "_Browser", methods: Mapping[str, ConsolePage]) -> None:
        for method, row in methods.items():
            for one in ("get", "head") if method == "GET" else ("post",):
                setattr(self, f"on_{one}", _PageResponder(browser, row))


@dataclass(frozen=True, slots=True)
class _PageResponder:
    """Answers the requests of one row."""

    browser: "_Browser"
    row: ConsolePage

    def __call__(self, request: falcon.Request, response: falcon.Response, **path: Any) -> None:
        """Read a request, have it answered, and send the answer."""
        self.browser.answer(self.row, request, response, path)


@dataclass(frozen=True, slots=True)
class _Static:
    """``GET /console/static/NAME``."""

    files: Mapping[str, StaticFile]

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer with the file, which a browser may keep: another one has another name."""
        found = self.files.get(name)
        if found is None:
            raise PageNotFound
        response.content_type = found.content_type
        response.set_header("Cache-Control", f"public, max-age={_YEAR}, immutable")
        response.set_header("X-Content-Type-Options", "nosniff")
        response.set_header("Vary", "Accept-Encoding")
        if is_compressible(request):
            response.set_header("Content-Encoding", "gzip")
            response.data = found.compressed
        else:
            response.data = found.plain


class MenuLink(NamedTuple):
    """A page in the navigation."""

    name: str
    url: str
    is_here: bool


class MenuGroup(NamedTuple):
    """Pages in the navigation; one alone has no title."""

    title: str
    links: Sequence[MenuLink]
    is_here: bool
    """Whether the present page is one of them, or belongs to one."""


def _is_below(path: str, page: str) -> bool:
    return path == page or path.startswith(f"{page}/")


@dataclass(frozen=True, slots=True)
class _Browser:
    """Reads what browsers send, and gives them pages."""

    groups: Sequence[PageGroup]
    console: Console
    templates: Environment

    def answer(
        self,
        row: ConsolePage,
        request: falcon.Request,
        response: falcon.Response,
        path: Mapping[str, Any],
    ) -> None:
        """Answer a request of a row."""
        sending = self._sending(request)
        request.context.sending = sending
        if self.console.config.console_login == "proxy":
            sending = self._told(request, response, sending)
            request.context.sending = sending
        session = sending.session
        if row.roles and session is None:
            self._ask_to_log_in(request, response, sending)
            return
        if session is not None and not row.is_for(session.person.roles):
            raise PageNotFound
        if any(isinstance(part, str) and _NULL in part for part in path.values()):
            raise PageNotFound
        given = _of_query(request) if row.method == "GET" else self._of_form(request, sending)
        visit = Visit(
            console=self.console,
            session=session,
            node=of_environment(request.env),
            path=path,
            given={name: given.get(name, "") for name in row.parameters},
            login=_login(sending.login_kept),
        )
        if row.ends_login:
            sending.keep_login(response, "")
        if place := visit.given.get("next"):
            visit = replace(visit, given={**visit.given, "next": _place(place)})
        self._send(row, row.operation(visit), response, sending)

    def _sending(self, request: falcon.Request) -> PageSending:
        """Read who asks, and how they are to be answered."""
        scheme, host = self._origin(request)
        is_secure = scheme == "https"
        if not is_secure and urlsplit(f"//{host}").hostname not in _LOOPBACK:
            raise failures.NotSecure
        of_session, of_form, of_login = cookies.names(secure=is_secure)
        held = cookies.read(request.get_header("Cookie") or "")
        secret = held.get(of_session)
        session = self.console.sessions.find(secret) if secret else None
        return PageSending(
            path=request.path,
            secure=is_secure,
            origin=f"{scheme}://{host}",
            session=session,
            form_secret=held.get(of_form) or "",
            login_kept=held.get(of_login) or "",
            compresses=is_compressible(request),
        )

    def _told(
        self, request: falcon.Request, response: falcon.Response, sending: PageSending
    ) -> PageSending:
        """Return how somebody is answered of whom the proxy tells, with their session.

        NotTold and NotVouched, each for a page that shows nothing of a session.
        """
        request.context.sending = nobody = replace(sending, session=None)
        asking = Visit(
            console=self.console, session=sending.session, node=of_environment(request.env)
        )
        session = by_proxy.session_of(asking, told_of_person(request.env))
        if session is not sending.session:
            nobody.begin(response, session)
        return replace(sending, session=session)

    def _any_sending(self, request: falcon.Request) -> PageSending:
        """Read as much as can be read for a page of a failure."""
        try:
            return self._sending(request)
        except Exception:
            return PageSending(path=request.path)

    def _origin(self, request: falcon.Request) -> tuple[str, str]:
        """Return scheme and host as the browser has them."""
        if self.console.config.public_url:
            public = urlsplit(self.console.config.public_url)
            return public.scheme, public.netloc
        return request.forwarded_scheme.lower(), request.forwarded_host.lower()

    def _ask_to_log_in(
        self, request: falcon.Request, response: falcon.Response, sending: PageSending
    ) -> None:
        place = request.path.removeprefix(ROOT)
        if request.query_string:
            place = f"{place}?{request.query_string}"
        place = _place(place) if request.method != "POST" else ""
        query = f"?{urlencode({'next': place})}" if place not in ("", "/") else ""
        sending.see_other(response, f"{ROOT}/login{query}")

    def _of_form(self, request: falcon.Request, sending: PageSending) -> Mapping[str, str]:
        """Read a form; NotFromHere where another place has made it."""
        if not _is_from(request, sending.origin):
            raise failures.NotFromHere
        given = _read_form(request)
        if not cookies.is_token(given.pop(_TOKEN, ""), cookies.token_of(sending.secret)):
            raise failures.NotFromHere
        return given

    def _send(
        self, row: ConsolePage, answer: Answer, response: falcon.Response, sending: PageSending
    ) -> None:
        if isinstance(answer, SeeOther):
            if answer.begins is not None:
                sending.begin(response, answer.begins)
            elif answer.ends:
                sending.forget(response)
            sending.see_other(response, f"{ROOT}{answer.place}")
            return
        if isinstance(answer, AtProvider):
            sending.keep_login(response, answer.login.kept)
            sending.see_other(response, answer.url)
            return
        if isinstance(answer, Bytes):
            send_bytes(response, answer)
            return
        if answer.ends:
            sending.forget(response)
            sending = replace(sending, session=None, form_secret="")
        title = answer.title or row.title
        if answer.wait_seconds:
            response.set_header("Retry-After", str(answer.wait_seconds))
        self._page(answer.template or row.template, title, answer, response, sending)

    def _page(
        self,
        template: str,
        title: str,
        content: PageContent,
        response: falcon.Response,
        sending: PageSending,
    ) -> None:
        session = sending.session
        values = {
            **content.values,
            "title": title,
            "menu": self._menu(session, sending.path),
            "searches": session is not None and self._searches(session),
            "logged_in_as": None if session is None else session.person.name,
            "held_roles": () if session is None else session.person.roles,
            "logs_out": session is not None and session.person.way != "proxy",
            "logout_url": self.console.config.console_logout_url or "",
            "token": sending.token(response),
        }
        text = self.templates.get_template(template).render(values)
        response.status = content.status
        send_page(response, text, sending)

    def _menu(self, session: Session | None, path: str) -> Sequence[MenuGroup]:
        """Return the navigation: what stands alone, and groups of several pages."""
        found: list[MenuGroup] = []
        if session is None:
            return found
        here = path.removeprefix(ROOT) or "/"
        for group in self.groups:
            links = [
                MenuLink(row.menu, ROOT + row.path, row.path == here)
                for row in group.rows
                if row.menu and row.is_for(session.person.roles)
            ]
            if group.title and len(links) > 1:
                is_within = any(row.path != "/" and _is_below(here, row.path) for row in group.rows)
                found.append(MenuGroup(group.title, links, is_within))
            else:
                found += [MenuGroup("", [one], one.is_here) for one in links]
        return found

    def _searches(self, session: Session) -> bool:
        """Tell whether somebody has a search box."""
        roles = session.person.roles
        rows = (row for group in self.groups for row in group.rows)
        return any(row.path == "/search" and row.is_for(roles) for row in rows)

    def tell(
        self, request: falcon.Request, response: falcon.Response, error: Exception, _: Any
    ) -> None:
        """Show a page that says what has failed."""
        told = failures.told(error)
        sending = getattr(request.context, "sending", None) or self._any_sending(request)
        with logs.correlation(request.env.get(logs.CORRELATION)):
            failures.note(told, error)
            content = PageContent(
                {"told": told, "correlation": logs.current_correlation()}, status=told.status
            )
        for name, value in told.headers.items():
            response.set_header(name, value)
        self._page("failure.html", told.title, content, response, sending)


def _of_query(request: falcon.Request) -> dict[str, str]:
    if len(request.query_string) > _MOST_CHARACTERS:
        raise falcon.HTTPUriTooLong
    return _fields(request.query_string)


def _read_form(request: falcon.Request) -> dict[str, str]:
    content_type = (request.content_type or "").partition(";")[0].strip().lower()
    if content_type != falcon.MEDIA_URLENCODED:
        raise falcon.HTTPUnsupportedMediaType
    body = RequestBody(request.env)
    if (body.declared or 0) > MOST_BYTES:
        raise falcon.HTTPContentTooLarge
    data = b""
    while block := body.read_on():
        data += block
        if len(data) > MOST_BYTES:
            raise falcon.HTTPContentTooLarge
    return _fields(data.decode("utf-8", "replace"))


def _fields(text: str) -> dict[str, str]:
    """Return the parameters of a form by their names, the first of each."""
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise falcon.HTTPBadRequest(title="Too many fields") from None
    return {
        name: value.replace("\r\n", "\n").replace(_NULL, "\N{REPLACEMENT CHARACTER}")
        for name, value in reversed(found)
    }


def _is_from(request: falcon.Request, origin: str) -> bool:
    """Tell whether a browser says that a form was made by a page of this origin."""
    said = request.get_header("Origin")
    if said is not None:
        return said.lower() == origin
    return request.get_header("Sec-Fetch-Site") == "same-origin"


def _place(text: str) -> str:
    return text if _PLACE.fullmatch(text) and not text.startswith("//") else ""


def _login(kept: str) -> LoginUnderWay | None:
    found = LoginUnderWay.read(kept)
    return found and replace(found, place=_place(found.place))
