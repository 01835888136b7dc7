"""Plain HTTP beside the transactions: health, and the contract for those who read WSDL."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import falcon

from xds import __version__, schema_validation
from xds.affinity_domain import AffinityDomain
from xds.database.errors import DatabaseUnavailable
from xds.metadata.catalogue import actions_of
from xds.repository.store import StoreUnavailable
from xds.security.interceptors import NotRecorded

_FRESH_SECONDS: Final = 1.0


class Home:
    """``GET /``: where things are, for a person who looks."""

    def __init__(self, actors: Sequence[str], *, has_metrics: bool) -> None:
        self._actors = actors
        self._has_metrics = has_metrics

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer in plain text."""
        base = request.forwarded_prefix
        actors = [one for one in self._actors if one in schema_validation.XDS_ACTORS]
        named = " and ".join(f"Document {actor.capitalize()}" for actor in actors)
        response.content_type = falcon.MEDIA_TEXT
        response.text = f"xds {__version__}: an IHE XDS.b {named}\n\n" + "".join(
            f"{base}{path:<15}{line}\n" for path, line in self._places()
        )

    def _places(self) -> Iterator[tuple[str, str]]:
        for actor in self._actors:
            yield f"/{actor}", f"POST {actor.capitalize()} transactions; ?wsdl describes them"
        if set(schema_validation.XDS_ACTORS) <= set(self._actors):
            yield "/fhir", "FHIR R4 (MHD); GET /metadata and /openapi.json describe it"
        answer = "database and document store" if "repository" in self._actors else "the database"
        yield "/health/live", "GET whether it lives"
        yield "/health/ready", f"GET whether {answer} can be used"
        if self._has_metrics:
            yield "/metrics", "GET what Prometheus collects"


class Live:
    """``GET /health/live``: the process answers."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer 200."""
        response.media = {"status": "live"}


_PARTS: Final = (
    (DatabaseUnavailable, "database"),
    (StoreUnavailable, "documents"),
    (NotRecorded, "audit"),
)


class Ready:
    """``GET /health/ready``: what a submission needs can be written.

    It is tried once a second at most, as trying writes to the disk, and anyone may ask.
    """

    def __init__(self, domain: AffinityDomain) -> None:
        self._domain = domain
        self._found: tuple[float, str] = (-_FRESH_SECONDS, "")

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer 200, or 503 with the part that cannot be written."""
        if time.monotonic() - self._found[0] >= _FRESH_SECONDS:
            part = self._unavailable()
            self._found = (time.monotonic(), part)
        if part := self._found[1]:
            response.status = falcon.HTTP_503
            response.media = {"status": "not ready", "unavailable": part}
            return
        response.media = {"status": "ready"}

    def _unavailable(self) -> str:
        try:
            self._domain.check()
        except tuple(kind for kind, _ in _PARTS) as error:
            return next(part for kind, part in _PARTS if isinstance(error, kind))
        return ""


class Schema:
    """``GET /schemas/NAME``: a schema that the WSDLs name, in the form that they are asked for."""

    def __init__(self, form: str = "") -> None:
        self._form = form

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer with the file, or 404."""
        found = schema_validation.served_file(name, self._form)
        if found is None:
            raise falcon.HTTPNotFound
        response.content_type = "application/xml"
        response.data = found


class Wsdl:
    """``GET /registry?wsdl`` and ``GET /repository?wsdl``, or ``?wsdl=choice`` for zeep."""

    def __init__(self, actor: str, without: frozenset[str]) -> None:
        self._actor = actor
        self._without = without

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the WSDL, its address being the one that the client used."""
        asked = {name.lower(): value for name, value in request.params.items()}
        if "wsdl" not in asked:
            raise falcon.HTTPMethodNotAllowed(
                ["POST"], description="POST a SOAP 1.2 message, or GET ?wsdl"
            )
        response.content_type = "text/xml"
        form = schema_validation.CHOICE if asked["wsdl"] == schema_validation.CHOICE else ""
        location = request.forwarded_prefix + request.path
        response.data = schema_validation.wsdl(self._actor, location, form, self._without)


def create(domain: AffinityDomain, *, has_metrics: bool = True) -> Any:
    """Return the WSGI application for everything that is no transaction."""
    application = falcon.App()
    application.req_options.keep_blank_qs_values = True
    application.add_route("/", Home(domain.actors, has_metrics=has_metrics))
    application.add_route("/health/live", Live())
    application.add_route("/health/ready", Ready(domain))
    application.add_route("/schemas/{name}", Schema())
    choice = schema_validation.CHOICE
    application.add_route(f"/schemas/{choice}/{{name}}", Schema(choice))
    without = actions_of(domain.excluded_transactions)
    for actor in domain.actors:
        application.add_route(f"/{actor}", Wsdl(actor, without))
    return application
