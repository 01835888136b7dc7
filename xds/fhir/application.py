"""The WSGI application below /fhir: HTTP becomes calls of handlers, and answers become HTTP.

It is made of the rows of one or more FHIR services, and knows none of them. Whatever fails is
answered with an OperationOutcome in the form that the client takes. What is not a resource, such as
the bytes of a document, is answered by applications that rows bring along.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, cast

import falcon
from falcon.constants import COMBINED_METHODS

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir import descriptions
from xds.fhir.authorization import Authorization
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http import bodies, conditional, failures, negotiation, requests
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

Responder = Callable[..., None]
_Read = tuple[Resource, str, list[Issue]]
"""A resource with its form and what there is to warn of."""

ROOT: Final = requests.ROOT

_LONGEST_NAME: Final = 100
_LONGEST_FORM: Final = 1024 * 1024
_BODY: Final = "xds.body"
_RESOURCE: Final = "xds.resource"
_WARNINGS: Final = "xds.warnings"
_REFUSAL_PAGE: Final = "xds.refusal_page"
"""Where the environment of a browser's request has what makes the page of a failure."""
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
        self._served = tuple(_served(facade, authorization, rows).items())
        self._resources = _routed(facade, authorization, rows)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        path: str = environ["PATH_INFO"]
        for beginning, served in self._served:
            if path.startswith(beginning):
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
        CAPABILITIES: descriptions.Statement(facade.config, rows, authorization.requirements),
        DESCRIPTION: descriptions.OpenApiDocument(facade.config, rows, authorization.requirements),
        SMART: descriptions.SmartConfiguration(facade.config, rows, authorization.requirements),
    }
    responders: dict[tuple[str, str], list[_Responder]] = {}
    paths: dict[str, _Path] = {}
    for row in rows:
        if row.handler is not None:
            made = _Responder(row, row.handler, row.needed, facade, authorization)
            responders.setdefault((row.path, row.method), []).append(made)
        elif responder := own.get(row.code):
            paths.setdefault(row.path, _Path()).add(row.method, responder)
    for (path, method), each in responders.items():
        responder = each[0] if len(each) == 1 else _ByBody(tuple(each))
        paths.setdefault(path, _Path()).add(method, responder)
    for path, resource in paths.items():
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
        if self.interaction.refusal_page is not None and requests.wants_page(environ):
            environ[_REFUSAL_PAGE] = self.interaction.refusal_page
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
            base=requests.base(request, self.facade.config),
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
        if self.interaction.gives_content:
            form, pretty = requests.wanted_if_any(environ, parameters)
        else:
            form, pretty = requests.wanted(environ, parameters)
        access.transaction = self.interaction.transaction(parameters)
        call = Call(
            access=access,
            base=requests.base(request, self.facade.config),
            identifier=path.get("id", ""),
            version=path.get("version", ""),
            parameters=parameters,
            if_match=environ.get("HTTP_IF_MATCH", ""),
            wants_page=_REFUSAL_PAGE in environ,
            prefer=negotiation.preferences(environ.get("HTTP_PREFER", "")),
        )
        return call, form, pretty

    def _parameters(self, environ: dict[str, Any]) -> requests.Parameters:
        """Return the parameters of the URL, and after them those of a form."""
        found = requests.of_query(environ)
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
        if "HTTP_IF_NONE_EXIST" in environ:
            # passed over, a repeated request would publish again what it was to publish once
            raise Refused.because(
                400, "not-supported", "no conditional create is supported", "http.If-None-Exist"
            )
        found = self.read(environ)
        if found is None:
            return call
        resource, form, warnings = found
        environ[_WARNINGS] = warnings
        return replace(call, resource=resource, media_type=form, warnings=tuple(warnings))

    def read(self, environ: dict[str, Any]) -> _Read | None:
        """Read the resource of a request, once; None where there is none and need be none."""
        found = environ.get(_RESOURCE)
        if found is None:
            try:
                found = (self._read(environ),)
            except Refused as refused:
                found = refused.again()
            environ[_RESOURCE] = found
        if isinstance(found, Refused):
            # not the one that is kept: its traceback would keep what keeps it
            raise found.again()
        (read,) = found
        return cast("_Read | None", read)

    def _read(self, environ: dict[str, Any]) -> _Read | None:
        content_type = environ.get("CONTENT_TYPE", "")
        expected = self.interaction.body
        config = self.facade.config
        try:
            data = _body(environ).read(config.max_fhir_bytes)
            if not (data or self.interaction.needs_body):
                return None
            return bodies.resource_of(
                data,
                content_type,
                expected,
                config.max_fhir_depth,
                is_lenient=self.interaction.is_lenient,
            )
        except Refused as refused:
            # what cannot be read has no elements to point at: it is wrong as a whole
            raise refused if refused.status == 415 else refused.at(expected) from None


@dataclass(frozen=True, slots=True)
class _ByBody:
    """Answers the requests of several rows of one method and path: the body tells which it is.

    So the transaction is known before anything is asked about it. A body is read beforehand of
    those alone who may be whom one of the rows is for; others are refused by the row that takes
    what no other does.
    """

    responders: tuple[_Responder, ...]

    def __call__(self, request: falcon.Request, response: falcon.Response, **path: str) -> None:
        """Choose the row and have it answer."""
        self._chosen(request.env)(request, response, **path)

    def _chosen(self, environ: dict[str, Any]) -> _Responder:
        usual = next(one for one in self.responders if one.interaction.takes is None)
        names = [one.interaction.name for one in self.responders]
        if not usual.authorization.may_be_known(environ, names):
            return usual
        try:
            found = usual.read(environ)
        except Refused:
            return usual  # which tells what is wrong
        resource = found[0] if found else {}
        for one in self.responders:
            if one.interaction.takes is not None and one.interaction.takes(resource):
                return one
        return usual


def _body(environ: dict[str, Any]) -> Body:
    found: Body = environ.setdefault(_BODY, Body(environ))
    return found


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
    elif answer.content is not None:
        response.content_type = answer.content.media_type
        response.data = answer.content.data
    elif answer.resource is not None:
        response.content_type = rendering.content_type(form)
        blocks = rendering.blocks(answer.resource, form, pretty=pretty)
        if blocks is None:
            response.data = rendering.render(answer.resource, form, pretty=pretty)
        else:
            response.stream = blocks


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
        error, environ, form=environ.get(requests.FORM), warnings=environ.get(_WARNINGS, ())
    )
    response.status = told.status
    response.set_headers(dict(told.headers))
    response.data = told.body
    if page := environ.get(_REFUSAL_PAGE):
        shown = page(told.status, told.headers[failures.REQUEST_ID])
        response.set_headers(dict(shown.headers))
        response.content_type, response.data = shown.content.media_type, shown.content.data


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
