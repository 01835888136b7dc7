"""Plain HTTP beside the transactions: health, and the contract for those who read WSDL."""

from typing import Any

import falcon

from xds import __version__, contract
from xds.affinity_domain import AffinityDomain
from xds.database import DatabaseUnavailable
from xds.repository.store import StoreUnavailable


class Home:
    """``GET /``: where things are, for a person who looks."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer in plain text."""
        base = request.forwarded_prefix
        response.content_type = falcon.MEDIA_TEXT
        response.text = (
            f"xds {__version__}: an IHE XDS.b Document Registry and Document Repository\n\n"
            f"{base}/registry      POST Registry transactions; ?wsdl describes them\n"
            f"{base}/repository    POST Repository transactions; ?wsdl describes them\n"
            f"{base}/health/ready  GET whether database and document store answer\n"
        )


class Live:
    """``GET /health/live``: the process answers."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer 200."""
        response.media = {"status": "live"}


class Ready:
    """``GET /health/ready``: database and document store answer as well."""

    def __init__(self, domain: AffinityDomain) -> None:
        self._domain = domain

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer 200, or 503 with the part that does not answer."""
        try:
            self._domain.check()
        except (DatabaseUnavailable, StoreUnavailable) as error:
            part = "database" if isinstance(error, DatabaseUnavailable) else "documents"
            response.status = falcon.HTTP_503
            response.media = {"status": "not ready", "unavailable": part}
            return
        response.media = {"status": "ready"}


class Schema:
    """``GET /schemas/NAME``: a schema that the WSDLs name."""

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer with the file, or 404."""
        found = contract.served_file(name)
        if found is None:
            raise falcon.HTTPNotFound
        response.content_type = "application/xml"
        response.data = found


class Wsdl:
    """``GET /registry?wsdl`` and ``GET /repository?wsdl``."""

    def __init__(self, actor: str) -> None:
        self._actor = actor

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the WSDL, its address being the one that the client used."""
        if "wsdl" not in {name.lower() for name in request.params}:
            raise falcon.HTTPMethodNotAllowed(
                ["POST"], description="POST a SOAP 1.2 message, or GET ?wsdl"
            )
        response.content_type = "text/xml"
        response.data = contract.wsdl(self._actor, request.forwarded_prefix + request.path)


def create(domain: AffinityDomain) -> Any:
    """Return the WSGI application for everything that is no transaction."""
    application = falcon.App()
    application.req_options.keep_blank_qs_values = True
    application.add_route("/", Home())
    application.add_route("/health/live", Live())
    application.add_route("/health/ready", Ready(domain))
    application.add_route("/schemas/{name}", Schema())
    for actor in contract.ACTORS:
        application.add_route(f"/{actor}", Wsdl(actor))
    return application
