"""Makes what answers messages in one process, of its configuration."""

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir.authorization import Authorization
from xds.hl7v2.event import Feed
from xds.hl7v2.identifiers import AssigningAuthority
from xds.hl7v2.spooled import LimitOf
from xds.messaging.doors.answering import Answering, limit_of
from xds.messaging.doors.documents import FiledMessages
from xds.messaging.doors.http import MessageEndpoint
from xds.messaging.filing import MessageFiler
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.keeper import MessageKeeper
from xds.messaging.operations import MessageOperations
from xds.telemetry.metrics import Metrics


def answering(domain: AffinityDomain, config: Config, metrics: Metrics | None) -> Answering:
    """Return what answers messages; FlavourError where the flavours are wrong."""
    authority = AssigningAuthority(
        config.assigning_authority, config.patient_id_namespace, domain.systems.oid_of_namespace
    )
    count = metrics.fed if metrics else None
    feed = Feed(domain.identities, authority, domain.interceptors, count)
    return Answering(feed=feed, documents=_documents(domain, config))


def message_endpoint(
    config: Config, domain: AffinityDomain, metrics: Metrics | None
) -> MessageEndpoint:
    """Return what answers messages by HTTP; FlavourError, or BadIssuers."""
    authorization = Authorization.open(config, domain, config.user_requirements)
    answers = answering(domain, config, metrics)
    return MessageEndpoint(answers, authorization, limit(config), int(config.max_hl7v2_bytes))


def message_operations(domain: AffinityDomain, config: Config) -> MessageOperations | None:
    """Return what files messages again; None where none are taken. FlavourError."""
    documents = _documents(domain, config)
    if documents is None:
        return None
    return MessageOperations(filer=documents.filer, flavours=documents.flavours)


def message_keeper(domain: AffinityDomain, config: Config) -> MessageKeeper | None:
    """Return what looks after messages; None where none are taken. FlavourError."""
    acting = message_operations(domain, config)
    return None if acting is None else MessageKeeper(acting, config.messages_kept_days)


def _documents(domain: AffinityDomain, config: Config) -> FiledMessages | None:
    if not config.takes_messages:
        return None
    return FiledMessages(
        filer=MessageFiler.open(domain, config),
        flavours=read_flavours(config.flavours),
        senders=config.message_senders,
        limit=limit(config),
    )


def limit(config: Config) -> LimitOf:
    """Return how large messages may be."""
    feed = int(config.max_mllp_bytes)
    return limit_of(feed, int(config.max_hl7v2_bytes) if config.takes_messages else feed)
