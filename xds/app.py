"""The composition: a configuration becomes an affinity domain, and that one WSGI application."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from xds import channels, logs, schema_validation, subscribers, trace_context, tracing
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.console import application as console_application
from xds.console.pages.table import GROUPS
from xds.console.rendering import ROOT as CONSOLE
from xds.content.forms import table as form_table
from xds.content.inspection import inspecting
from xds.content.reading.deployment import rules_of
from xds.content.versions.reading import read as read_version
from xds.database.errors import DatabaseUnavailable
from xds.dsubm import interactions as dsubm
from xds.fhir import application
from xds.fhir.interactions import Interaction
from xds.fhir_forms import interactions as fhir_forms
from xds.fhir_messages import interactions as fhir_messages
from xds.http import pages
from xds.messaging.doors import http
from xds.messaging.doors.opening import message_endpoint, message_operations
from xds.messaging.outbound.keeping import OutboundKeeper
from xds.metadata.catalogue import BROKER
from xds.metadata.systems import Systems
from xds.mhd import interactions as mhd
from xds.notification.keeper import SubscriptionKeeper
from xds.on_demand.documents import OnDemandDocuments
from xds.one_at_a_time import OneAtATime
from xds.repository import maintenance
from xds.repository.store import StoreError
from xds.security.host_header import OneHost
from xds.security.interceptors import InterceptorChain
from xds.security.proxies import KnownNodes, Proxies
from xds.soap import former_outbox
from xds.soap.application import SoapEndpoint
from xds.soap.asynchronous import Replies
from xds.soap.exchange import is_readable
from xds.soap.security import UserAssertions
from xds.telemetry import server_metrics
from xds.telemetry.metrics import Metrics
from xds.telemetry.request_metrics import RequestMetrics
from xds.tls.options import networks
from xds.trace_context import TraceParent

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_log: Final = logs.get_logger(__name__)
_FHIR: Final = f"{application.ROOT}/"
_BROKER: Final = f"/{BROKER}"
_Endpoint = TypeVar("_Endpoint")

INTERACTIONS: Final = (
    *mhd.INTERACTIONS,
    *dsubm.INTERACTIONS,
    *fhir_messages.INTERACTIONS,
    *fhir_forms.INTERACTIONS,
)
"""What is answered below /fhir: the rows of each FHIR service."""


def create_app(
    config: Config, interactions: Sequence[Interaction] = INTERACTIONS
) -> WSGIApplication:
    """Open the affinity domain and return the application that serves it.

    FHIR reads and writes registry and repository at once, and is there where both are. It answers
    ``interactions``, the rows of its services.
    """
    metrics = Metrics() if config.metrics == "yes" else None
    domain = _with_forms(config, inspecting(config, _opened(config, metrics)))
    if metrics and domain.audit_log:
        metrics.watch_spool(domain.audit_log.spooled)
    if metrics and domain.database.is_sqlite:
        metrics.watch_wal(domain.database.wal_bytes)
    replies = Replies.open(config, domain.database)
    if config.async_reply_to:
        former_outbox.take_over(domain.database, config.data / former_outbox.FOLDER)
    if dispatcher := channels.dispatcher(config, domain.database, metrics):
        dispatcher.start()
    if domain.registry_here:
        for reader in subscribers.readers(config, domain, metrics):
            reader.start()
    if config.destinations:
        OutboundKeeper(config, domain.database).start()
    if domain.subscriptions:
        SubscriptionKeeper(domain.database, domain.subscriptions.patience).start()
    if metrics:
        server_metrics.watch(metrics, config)
    requirements = config.user_requirements
    users = UserAssertions.open(config, domain, requirements)
    endpoints = {
        f"/{actor}": SoapEndpoint(actor, domain, config, replies, users) for actor in domain.actors
    }
    has_both = set(schema_validation.XDS_ACTORS) <= set(domain.actors)
    fhir = application.create(domain, config, interactions, requirements) if has_both else None
    plain = pages.create(domain, has_metrics=metrics is not None)
    messages = message_endpoint(config, domain, metrics) if config.takes_messages else None
    console = None
    if config.console != "off":
        operations = message_operations(domain, config)
        sender = channels.outbound_sender(config, domain.database)
        console = console_application.create(
            GROUPS, domain, config, operations, sender, interactions
        )
    dispatch = _Dispatch(endpoints, fhir, messages, console, plain)
    served = OneHost(KnownNodes(dispatch, _proxies(config)))
    counted = RequestMetrics(served, metrics) if metrics else served
    return _Application(counted, endpoints, config, metrics)


def _with_forms(config: Config, domain: AffinityDomain) -> AffinityDomain:
    """Have documents made of those that are here, where both actors are."""
    if domain.registry_here is None or domain.repository_here is None:
        return domain
    made = OnDemandDocuments(
        registry=domain.registry_here,
        repository=domain.repository_here,
        forms=form_table.read(config.document_forms, rules_of(config, domain.systems)),
        recording=InterceptorChain((domain.audit_log.trail,) if domain.audit_log else ()),
        # half of the threads at most, so that others are answered meanwhile
        heavy=OneAtATime(most_waiting=max(config.threads // 2 - 1, 0)),
        keeps=config.on_demand_snapshots == "yes",
    )
    return replace(domain, on_demand=made)


def _opened(config: Config, metrics: Metrics | None) -> AffinityDomain:
    """Open the affinity domain, which knows how documents of ITI-41 are read."""
    rules = rules_of(config, Systems.read(config.identifier_systems))
    return AffinityDomain.open(
        config, serves=True, metrics=metrics, read_version=partial(read_version, rules=rules)
    )


def tell_surprises(config: Config) -> None:
    """Log what is amiss between database and store, though each of them can be used."""
    domain = AffinityDomain.open(config)
    try:
        repository = domain.repository_here
        if repository is not None and not maintenance.holds_some(repository):
            _log.error(
                "there are stored documents, but none is in the index of this database: is it the "
                "right one, and the whole of it?",
                documents=config.documents_url,
            )
    except (DatabaseUnavailable, StoreError) as error:
        _log.warning("the store was not compared with the index", reason=str(error))
    finally:
        domain.close()


def _proxies(config: Config) -> Proxies:
    trusted = networks(config.trusted_proxies or "")
    return Proxies(
        trusted,
        config.node_certificate_header,
        config.node_address_header,
        config.console_headers,
    )


def _endpoint_at(endpoints: Mapping[str, _Endpoint], path: str) -> _Endpoint | None:
    """Return the endpoint of a path; below that of the broker lie subscriptions."""
    return endpoints.get(_BROKER if path.startswith(f"{_BROKER}/") else path.rstrip("/"))


def _is_of_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _is_of_messages(path: str) -> bool:
    return path == http.PATH or path.startswith(f"{http.PATH}/")


class _Application:
    """All that is served, and how much of each request's body is of use."""

    def __init__(
        self,
        application: WSGIApplication,
        endpoints: Mapping[str, SoapEndpoint],
        config: Config,
        metrics: Metrics | None,
    ) -> None:
        self._application = application
        self.look = metrics.look if metrics else None
        """Told some times a second how often the server waits for clients."""
        self._endpoints = endpoints
        self._config = config

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        return self._application(environ, start_response)

    def most_of_body(self, environ: Mapping[str, Any]) -> int:
        """Return how many bytes of a body are of use; none where it is not even to be awaited.

        One that is refused whatever it is, is awaited all the same, so that a sender in full flow
        hears the answer; but not where the sender waits for word before it sends.
        """
        path: str = environ["PATH_INFO"]
        config, length = self._config, int(environ.get("CONTENT_LENGTH") or 0)
        if path.startswith(_FHIR) or path == application.ROOT:
            most = int(config.max_fhir_bytes)
            is_wanted = length <= most
        elif config.takes_messages and _is_of_messages(path):
            most = int(config.max_hl7v2_bytes)
            is_wanted = length <= most
        elif config.console != "off" and _is_of_console(path):
            most = console_application.MOST_BYTES
            is_wanted = length <= most
        else:
            endpoint = _endpoint_at(self._endpoints, path)
            most = int(config.max_message_bytes)
            is_wanted = endpoint is not None and length <= most and is_readable(environ)
        if is_wanted:
            return most + 1
        return 0 if environ.get("HTTP_EXPECT", "").lower() == "100-continue" else 1


class _Dispatch:
    """POSTs to an actor's path are transactions, /fhir is FHIR; everything else is plain HTTP."""

    def __init__(
        self,
        endpoints: Mapping[str, WSGIApplication],
        fhir: WSGIApplication | None,
        messages: WSGIApplication | None,
        console: WSGIApplication | None,
        web: WSGIApplication,
    ) -> None:
        self._endpoints = endpoints
        self._fhir = fhir
        self._messages = messages
        self._console = console
        self._web = web

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        given = logs.acceptable(environ.get("HTTP_X_REQUEST_ID"))
        header = environ.get(trace_context.ENVIRON)
        trace = TraceParent.parse(header) if header else None
        trace_id = trace.trace_id if trace else None
        with logs.correlation(given, trace_id) as correlation, tracing.within(trace):
            environ[logs.CORRELATION] = correlation
            return self._answer(environ, start_response)

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        # a base URL that ends in a slash, and a path that begins with one
        path = environ["PATH_INFO"] = "/" + environ["PATH_INFO"].lstrip("/")
        if self._fhir and (path.startswith(_FHIR) or path == application.ROOT):
            return self._fhir(environ, start_response)
        if self._messages and _is_of_messages(path):
            return self._messages(environ, start_response)
        if self._console and _is_of_console(path):
            return self._console(environ, start_response)
        endpoint = _endpoint_at(self._endpoints, path)
        if endpoint is None or environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._web(environ, start_response)
        return endpoint(environ, start_response)
