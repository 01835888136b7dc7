"""The WSGI application below /fhir: HTTP becomes calls of handlers, and answers become HTTP.

It is made of the rows of one or more FHIR services, and knows none of them. Whatever fails is
answered with an OperationOutcome in the form that the client takes. What is not a resource, such as
the bytes of a document, is answered by applications that rows bring along.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, Final

import falcon
import orjson
from falcon.constants import COMBINED_METHODS

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir import capability, openapi, smart
from xds.fhir.authorization import Authorization
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http import bodies, conditional, failures, negotiation
from xds.fhir.http.bodies import Body
from xds.fhir.http.cors import Cors
from xds.fhir.interactions import (
    CAPABILITIES,
    DESCRIPTION,
    OPERATION,
    OWN,
    PATCH,
    SMART,
    Handler,
    Interaction,
    WSGIApplication,
    answered,
)
from xds.fhir.patch.bodies import patch_of
from xds.fhir.r4 import rendering
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON
from xds.metadata.criteria import ANYTHING
from xds.security.access import Access
from xds.security.requirements import NOTHING_ASKED, UserRequirements
from xds.security.scopes import Permission
from xds.url_allowlist import BadTarget, Target

Responder = Callable[..., None]
Parameters = tuple[tuple[str, str], ...]

ROOT: Final = "/fhir"

_LONGEST_QUERY: Final = 64 * 1024
_LONGEST_NAME: Final = 100
_LONGEST_FORM: Final = 1024 * 1024
_BASES: Final = 16
"""How many addresses of the server its descriptions are kept for."""
_BODY: Final = "xds.body"
_FORM: Final = "xds.form"
_WARNINGS: Final = "xds.warnings"
_OF_ENTRY: Final = re.compile(r"Bundle\.entry\[([0-9]+)\]")
_OF_FALCON: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not-found", "there is nothing at this path; [base]/metadata tells what there is"),
    405: ("not-supported", "the path does not take this method"),
}


def create(
    domain: AffinityDomain,
    config: Config,
    interactions: Sequence[Interaction],
    requirements: UserRequirements = NOTHING_ASKED,
) -> WSGIApplication:
    """Return the application for every path below /fhir, which answers ``interactions``."""
    authorization = Authorization.open(config, domain, requirements)
    rows = (*answered(interactions, config), *OWN)
    application = _FhirApplication(Facade(domain, config), authorization, rows)
    if config.fhir_cors_origins:
        return Cors(application, config.fhir_cors_origins.split())
    return application


class _FhirApplication:
    """What rows serve themselves is for those; all else for Falcon."""

    def __init__(
        self, facade: Facade, authorization: Authorization, rows: Sequence[Interaction]
    ) -> None:
        self._served = _served(facade, authorization, rows)
        self._beginnings = tuple(self._served)
        self._resources = _routed(facade, authorization, rows)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        path: str = environ["PATH_INFO"]
        if path.startswith(self._beginnings):
            served = next(one for start, one in self._served.items() if path.startswith(start))
            return served(environ, start_response)
        if environ["REQUEST_METHOD"] not in COMBINED_METHODS:
            # Falcon has no list of what is allowed for a method that nobody knows
            environ = {**environ, "REQUEST_METHOD": "TRACE"}
        with logs.correlation(failures.request_id(environ)):
            answered: Iterable[bytes] = self._resources(environ, start_response)
            return answered


def _served(
    facade: Facade, authorization: Authorization, rows: Sequence[Interaction]
) -> Mapping[str, WSGIApplication]:
    """Make the applications of rows that bring one along, each once, by how their paths begin."""
    factories = {row.serves: row.serves(facade, authorization) for row in rows if row.serves}
    return {
        f"{ROOT}{row.path.partition('{')[0]}": factories[row.serves] for row in rows if row.serves
    }


def _routed(
    facade: Facade, authorization: Authorization, rows: Sequence[Interaction]
) -> falcon.App[falcon.Request, falcon.Response]:
    operations = {row.path.rpartition("/")[2] for row in rows if row.code == OPERATION}
    application = falcon.App(
        media_type=rendering.content_type(FHIR_JSON), middleware=[_KnownOperations(operations)]
    )
    application.req_options.strip_url_path_trailing_slash = True
    application.add_error_handler(Exception, _answer_failure)
    application.add_error_handler(falcon.HTTPError, _answer_falcon)
    own: dict[str, Responder] = {
        CAPABILITIES: _Statement(facade.config, rows, authorization.requirements),
        DESCRIPTION: _OpenApiDocument(facade.config, rows, authorization.requirements),
        SMART: _SmartConfiguration(facade.config, rows, authorization.requirements),
    }
    responders: dict[str, _Path] = {}
    for row in rows:
        responder: Responder | None = own.get(row.code)
        if row.handler is not None:
            responder = _Responder(row, row.handler, row.needed, facade, authorization)
        if responder is not None:
            responders.setdefault(row.path, _Path()).add(row.method, responder)
    for path, resource in responders.items():
        application.add_route(ROOT + path, resource)
    return application


@dataclass(frozen=True, slots=True)
class _KnownOperations:
    """Refuses operations that there are not, before one is read as the id of a resource."""

    operations: Set[str]

    def process_request(self, request: falcon.Request, _: falcon.Response) -> None:
        """Raise Refused where the path ends with the name of another operation."""
        name = request.path.rstrip("/").rpartition("/")[2]
        if name.startswith("$") and name not in self.operations:
            known = ", ".join(sorted(self.operations)) or "none"
            told = f"there is no operation {name[:_LONGEST_NAME]} here, only {known}"
            raise Refused.because(404, "not-supported", told)


class _Path:
    """What Falcon calls a resource: a responder for each method of one path."""

    def add(self, method: str, responder: Responder) -> None:
        """Add the responder of a method; that of GET answers HEAD as well."""
        for one in ("get", "head") if method == "GET" else (method.lower(),):
            setattr(self, f"on_{one}", responder)


# --- interactions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Responder:
    """Answers the requests of one row."""

    interaction: Interaction
    handler: Handler
    needed: frozenset[Permission]
    facade: Facade
    authorization: Authorization

    def __call__(self, request: falcon.Request, response: falcon.Response, **path: str) -> None:
        """Read a request, have it answered, and send the answer."""
        environ = request.env
        environ[failures.INTERACTION] = self.interaction.name
        interceptors = self.facade.domain.interceptors
        row, describe = self.interaction, partial(self._describe, request, path)
        access = self.authorization.access(environ, row.name, self.needed, describe)
        access.interaction = self.interaction.code
        try:
            call, form, pretty = self._call(request, access, path)
        except Refused as refused:
            interceptors.unreadable(access, refused)
            raise
        access.describe = partial(self._describe_read, call, environ)
        with interceptors.passing(access):
            if self.interaction.body:
                call = self._with_resource(call, environ)
            elif self.interaction.code == PATCH:
                call = self._with_patch(call, environ)
            answer = self.handler(self.facade, call)
            answer = _with_warnings(answer, call.warnings)
            _send(answer, environ, response, form, pretty=pretty)

    def _describe(self, request: falcon.Request, path: Mapping[str, str], access: Access) -> None:
        """Note what a request is about that is denied before its parameters are read."""
        parameters = self._parameters(request.env)
        access.transaction = self.interaction.transaction(parameters)
        call = Call(
            access=access,
            base=_base(request, self.facade.config),
            identifier=path.get("id", ""),
            parameters=parameters,
        )
        self._describe_read(call, request.env, access)

    def _describe_read(self, call: Call, environ: dict[str, Any], access: Access) -> None:
        """Note what a request is about that is denied before its body is read."""
        row = self.interaction
        if row.body:
            _body(environ)  # of which the answer knows how far it is read, and nothing else
            call = self._with_resource(call, dict(environ))
        if row.describer is not None:
            row.describer(self.facade, call)
        elif row.handler is not None:
            unlimited = replace(access, visible=ANYTHING)
            try:
                row.handler(self.facade, replace(call, access=unlimited))
            finally:
                access.details = unlimited.details

    def _call(
        self, request: falcon.Request, access: Access, path: Mapping[str, str]
    ) -> tuple[Call, str, bool]:
        """Read all of a request but its resource: how it is to be answered, indented or not."""
        environ = request.env
        parameters = self._parameters(environ)
        form, pretty = _wanted(environ, parameters)
        access.transaction = self.interaction.transaction(parameters)
        call = Call(
            access=access,
            base=_base(request, self.facade.config),
            identifier=path.get("id", ""),
            version=path.get("version", ""),
            parameters=parameters,
            if_match=environ.get("HTTP_IF_MATCH", ""),
            prefer=negotiation.preferences(environ.get("HTTP_PREFER", "")),
        )
        return call, form, pretty

    def _parameters(self, environ: dict[str, Any]) -> Parameters:
        """Return the parameters of the URL, and after them those of a form."""
        found = _of_query(environ)
        if self.interaction.body or self.interaction.method != "POST":
            return found
        negotiation.check_form_body(environ.get("CONTENT_TYPE", ""))
        return found + negotiation.parameters(_body(environ).read(_LONGEST_FORM))

    def _with_patch(self, call: Call, environ: dict[str, Any]) -> Call:
        config = self.facade.config
        data = _body(environ).read(config.max_fhir_bytes)
        content_type = environ.get("CONTENT_TYPE", "")
        return replace(call, patch=patch_of(data, content_type, config.max_fhir_depth))

    def _with_resource(self, call: Call, environ: dict[str, Any]) -> Call:
        content_type = environ.get("CONTENT_TYPE", "")
        expected = self.interaction.body
        if "HTTP_IF_NONE_EXIST" in environ:
            # passed over, a repeated request would publish again what it was to publish once
            raise Refused.because(
                400, "not-supported", "no conditional create is supported", "http.If-None-Exist"
            )
        config = self.facade.config
        try:
            data = _body(environ).read(config.max_fhir_bytes)
            if not (data or self.interaction.needs_body):
                return call
            resource, form, warnings = bodies.resource_of(
                data, content_type, expected, config.max_fhir_depth
            )
        except Refused as refused:
            # what cannot be read has no elements to point at: it is wrong as a whole
            raise refused if refused.status == 415 else refused.at(expected) from None
        environ[_WARNINGS] = warnings
        return replace(call, resource=resource, media_type=form, warnings=tuple(warnings))


def _body(environ: dict[str, Any]) -> Body:
    found: Body = environ.setdefault(_BODY, Body(environ))
    return found


def _of_query(environ: Mapping[str, Any]) -> Parameters:
    query: str = environ.get("QUERY_STRING", "")
    if len(query) > _LONGEST_QUERY:
        raise Refused.because(
            414, "too-long", "the URL is too long; a search can be sent by POST to _search"
        )
    return negotiation.parameters(query.encode("latin-1"))


def _wanted(environ: dict[str, Any], parameters: Parameters) -> tuple[str, bool]:
    """Return the form that is wanted, and whether it is to be indented."""
    given = dict(reversed(parameters))
    form = negotiation.answer_form(environ.get("HTTP_ACCEPT", ""), given.get("_format"))
    environ[_FORM] = form
    return form, given.get("_pretty") == "true"


def _base(request: falcon.Request, config: Config) -> str:
    """Return the base URL as the client sees it; Refused where its headers have no sound one."""
    if config.public_url:
        return config.public_url + ROOT
    scheme, host = (
        text.partition(",")[0].strip()
        for text in (request.forwarded_scheme, request.forwarded_host)
    )
    if "/" not in host and "?" not in host:
        with suppress(BadTarget):
            return f"{Target.parse(f'{scheme}://{host}').url}{request.root_path}{ROOT}"
    raise Refused.because(
        400, "invalid", "the headers Host, Forwarded or X-Forwarded-* name no host"
    )


# --- answers -------------------------------------------------------------------------------------


def _send(
    answer: Answer,
    environ: Mapping[str, Any],
    response: falcon.Response,
    form: str,
    *,
    pretty: bool,
) -> None:
    response.status = answer.status
    response.set_headers({**answer.headers, "Vary": "Accept"})
    if request_id := failures.request_id(environ):
        response.set_header(failures.REQUEST_ID, request_id)
    verdict = _verdict(answer, environ)
    if verdict == conditional.PRECONDITION_FAILED:
        raise Refused.because(412, "conflict", "the resource is not as the request demands it")
    if verdict == conditional.NOT_MODIFIED:
        response.status = verdict
    elif answer.resource is not None:
        response.content_type = rendering.content_type(form)
        response.data = rendering.render(answer.resource, form, pretty=pretty)


def _verdict(answer: Answer, environ: Mapping[str, Any]) -> int | None:
    etag = answer.headers.get("ETag")
    if not etag or answer.status != 200 or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    modified = answer.headers.get("Last-Modified")
    seconds = int(parsedate_to_datetime(modified).timestamp()) if modified else None
    return conditional.precondition(environ, etag, seconds)


def _with_warnings(answer: Answer, warnings: Sequence[Issue]) -> Answer:
    """Put what was amiss in a request where its answer has a place for it, else nowhere."""
    resource = answer.resource or {}
    if not warnings:
        return answer
    if resource.get("resourceType") == "OperationOutcome":
        return replace(answer, resource=_more(resource, warnings))
    if resource.get("type") != "transaction-response":
        return answer
    entries: list[Resource] = [*resource["entry"]]
    for warning in warnings:
        found = _OF_ENTRY.match(next(iter(warning.expression), ""))
        number = min(int(found[1]) if found else 0, len(entries) - 1)
        told = entries[number]["response"]
        told = {**told, "outcome": _more(told.get("outcome"), [warning])}
        entries[number] = {**entries[number], "response": told}
    return replace(answer, resource={**resource, "entry": entries})


def _more(outcome: Resource | None, warnings: Iterable[Issue]) -> Resource:
    told, before = operation_outcome(warnings), (outcome or {}).get("issue", ())
    return {**told, "issue": [*before, *(one for one in told["issue"] if one not in before)]}


def _answer_failure(
    request: falcon.Request, response: falcon.Response, error: Exception, _path: dict[str, Any]
) -> None:
    environ = request.env
    _body(environ).drain()
    told = failures.tell(
        error, environ, form=environ.get(_FORM), warnings=environ.get(_WARNINGS, ())
    )
    response.status = told.status
    response.set_headers(dict(told.headers))
    response.data = told.body


def _answer_falcon(
    request: falcon.Request,
    response: falcon.Response,
    error: falcon.HTTPError,
    path: dict[str, Any],
) -> None:
    """Tell an error of Falcon's own: a path that is none, a method that is not allowed."""
    code, diagnostics = _OF_FALCON.get(error.status_code, ("invalid", error.title))
    headers = dict(error.headers or {})
    if allowed := headers.get("Allow"):
        diagnostics = f"{diagnostics}, but {allowed}"
    issue = Issue(code=code, diagnostics=diagnostics)
    refused = Refused(error.status_code, [issue], headers)
    _answer_failure(request, response, refused, path)


# --- what is answered here -----------------------------------------------------------------------


class _Statement:
    """``GET /fhir/metadata``: the CapabilityStatement, kept as it is sent."""

    def __init__(
        self, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
    ) -> None:
        self._config = config
        self._rows = rows
        self._requirements = requirements
        self._rendered = lru_cache(_BASES)(self._render)

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the statement."""
        form, pretty = _wanted(request.env, _of_query(request.env))
        response.data = self._rendered(_base(request, self._config), form, pretty)
        response.content_type = rendering.content_type(form)
        response.set_header("Vary", "Accept")

    def _render(self, base: str, form: str, pretty: bool) -> bytes:
        stated = capability.statement(base, self._config, self._rows, self._requirements)
        return rendering.render(stated, form, pretty=pretty)


class _OpenApiDocument:
    """``GET /fhir/openapi.json``: the OpenAPI description, kept as it is sent."""

    def __init__(
        self, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
    ) -> None:
        self._config = config
        self._rows = rows
        self._requirements = requirements
        self._rendered = lru_cache(_BASES)(self._render)

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the description."""
        response.data = self._rendered(_base(request, self._config))
        response.content_type = "application/json"

    def _render(self, base: str) -> bytes:
        return orjson.dumps(
            openapi.description(base, self._rows, self._requirements), option=orjson.OPT_INDENT_2
        )


class _SmartConfiguration:
    """``GET /fhir/.well-known/smart-configuration``, which is JSON whatever a client takes."""

    def __init__(
        self, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
    ) -> None:
        issuer = smart.authorization_server(config, requirements)
        self._content: bytes | None = None
        if issuer is not None:
            self._content = orjson.dumps(smart.configuration(issuer, config, rows))

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the document; Refused where no authorization server is known."""
        if self._content is None:
            raise Refused.because(
                404,
                "not-found",
                "no tokens are taken here, or no issuer of user_issuers has a token_endpoint",
            )
        response.data = self._content
        response.content_type = "application/json"
