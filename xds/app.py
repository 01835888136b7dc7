"""The composition: a configuration becomes an affinity domain, and that one WSGI application."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from xds import contract, logs, web
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.soap.application import SoapEndpoint
from xds.soap.asynchronous import Replies

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def create_app(config: Config) -> WSGIApplication:
    """Open the affinity domain and return the application that serves it."""
    domain = AffinityDomain.open(config)
    replies = Replies.open(config)
    endpoints = {
        f"/{actor}": SoapEndpoint(actor, domain, config, replies) for actor in contract.ACTORS
    }
    return _Dispatch(endpoints, web.create(domain))


class _Dispatch:
    """POSTs to an actor's path are transactions; everything else is plain HTTP."""

    def __init__(self, endpoints: Mapping[str, WSGIApplication], web: WSGIApplication) -> None:
        self._endpoints = endpoints
        self._web = web

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        endpoint = self._endpoints.get(environ["PATH_INFO"].rstrip("/"))
        if endpoint is None or environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._web(environ, start_response)
        with logs.correlation() as correlation:
            environ["xds.correlation"] = correlation
            return endpoint(environ, start_response)
