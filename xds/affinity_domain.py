"""What one deployment is: registry, repository, and what they agree on (ITI TF-1 10.4.8)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from xds.audit.audit_log import AuditLog
from xds.client.registry_client import registry_client
from xds.config import Config
from xds.database.access import Database, InCommit
from xds.dsub.rules import BrokerRules
from xds.errors import RegistryError
from xds.feeds.paused import PausedFeeds
from xds.metadata import code_sets
from xds.metadata.catalogue import BROKER
from xds.metadata.code_sets import CodeSets
from xds.metadata.criteria import ANYTHING, Criterion, evaluate, is_anything
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.rules.case import Policy
from xds.metadata.submission import Registration, StatedVersions, Submission, TellWarnings
from xds.metadata.systems import Systems
from xds.metadata.unique_ids import normal
from xds.notification.subscriptions import Subscriptions
from xds.on_demand.forms import OnDemandSource
from xds.refusals.keeper import RefusalKeeper
from xds.registry import events, removal, schema
from xds.registry.identities import PatientIdentities
from xds.registry.locking import all_of_locks, of_unique_ids
from xds.registry.queries.stored_queries import ResultLimits
from xds.registry.registry import DocumentRegistry
from xds.registry.removal import Removal
from xds.registry.versions.link_changes import LINK_CHANGE, LinkPolicy
from xds.repository import removing
from xds.repository.index import Connection, IndexedDocument
from xds.repository.pending_registrations import registered
from xds.repository.reading import uncounted
from xds.repository.registering import RemoteRegistration, RemoteRegistry, locked
from xds.repository.repository import DocumentRepository, ReadVersion, Register
from xds.repository.store import DocumentStore, open_store
from xds.security import policy_file
from xds.security.caller import Caller
from xds.security.details import distinct
from xds.security.interceptors import Interceptor, InterceptorChain
from xds.security.policy_interceptor import PolicyInterceptor
from xds.telemetry.metrics import Metrics
from xds.telemetry.observer import TransactionObserver
from xds.tracing import Tracer


@dataclass(frozen=True, slots=True)
class Withheld:
    """Which of some documents are not given out."""

    unique_ids: Set[str] = frozenset()
    patient_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The patients (CX) of documents, withheld or not, as a registry elsewhere has told them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffinityDomain:
    """The actors of one deployment on their shared state: both, or one of them."""

    database: Database
    registry_here: DocumentRegistry | None
    """None where the repository registers with one that is elsewhere (``registry_url``)."""
    remote_registry: RemoteRegistry | None
    """That one."""
    repository_here: DocumentRepository | None
    """None where a registry is served alone (``serve_repository = "no"``)."""
    identities: PatientIdentities
    """The patients of the registry."""
    interceptors: InterceptorChain
    """What every transaction passes."""
    audit_log: AuditLog | None
    """Who keeps the audit records, where this process serves and the options want them."""
    excluded_transactions: frozenset[str]
    """The names of the transactions that the options exclude."""
    removes_referenced: bool
    """Whether documents may be removed that DocumentEntries still name (ITI-86)."""
    legal_hold_codes: Sequence[str]
    """The codes (``code^^codingScheme``) with which nothing is removed."""
    subscriptions: Subscriptions | None
    """Who is told of what happens in the registry here; None where it is elsewhere."""
    broker_rules: BrokerRules | None
    """Those of who takes subscriptions by SOAP (DSUB); None where that is not here."""
    systems: Systems
    """What code systems and identifier systems are called in XDS and in FHIR."""
    metrics: Metrics | None
    """What counts in this process, where it serves and the options want it."""
    read_version: ReadVersion | None = None
    """Reads what documents of ITI-41 say of their versions, where the options want it."""
    on_demand: OnDemandSource | None = None
    """Who makes documents of those that are here; None where nobody does."""

    @classmethod
    def open(
        cls,
        config: Config,
        remote: RemoteRegistry | None = None,
        *,
        serves: bool = False,
        metrics: Metrics | None = None,
        read_version: ReadVersion | None = None,
    ) -> "AffinityDomain":
        """Open database and store; DatabaseUnavailable or StoreUnavailable when that fails.

        ``serves`` tells that transactions will be answered, which are recorded then, logged, and
        counted in ``metrics``.
        ``remote`` stands for the registry at ``registry_url``, where that is not to be asked over
        the network.
        """
        if config.registry_url and remote is None:
            remote = registry_client(config, config.registry_url)
        systems = Systems.read(config.identifier_systems)
        store = _store(config)
        database = Database(config.database_url, connections=config.threads + 2)
        schema.prepare(database)
        registry = None
        if remote is None:
            registry = _registry(database, config)
            register: Register = partial(_register, registry)
        else:
            register = RemoteRegistration(database, remote)
        subscriptions = Subscriptions.open(config, database) if registry else None
        audit_log = None
        if serves and config.audit == "on":
            audit_log = AuditLog(
                config, database, registry.patients_of_documents if registry else None
            )
        return cls(
            database=database,
            registry_here=registry,
            remote_registry=remote,
            repository_here=_repository(database, config, store, register, metrics),
            identities=PatientIdentities(
                database, config.assigning_authority, _link_policy(config)
            ),
            interceptors=InterceptorChain(
                tuple(_interceptors(config, database, audit_log, metrics, systems, serves=serves))
            ),
            audit_log=audit_log,
            excluded_transactions=config.excluded_transactions,
            removes_referenced=config.remove_documents == "any",
            legal_hold_codes=_legal_hold_codes(config),
            subscriptions=subscriptions,
            broker_rules=BrokerRules.read(config) if subscriptions else None,
            systems=systems,
            metrics=metrics,
            read_version=read_version if config.provided_versions == "read" else None,
        )

    @property
    def registry(self) -> DocumentRegistry:
        """The registry, which must be here."""
        if self.registry_here is None:
            raise LookupError("the registry is elsewhere")
        return self.registry_here

    @property
    def repository(self) -> DocumentRepository:
        """The repository, which must be here."""
        if self.repository_here is None:
            raise LookupError("there is no repository here")
        return self.repository_here

    @property
    def actors(self) -> Sequence[str]:
        """The actors that are here, by their names in xds.schema_validation."""
        here = {
            "registry": self.registry_here,
            "repository": self.repository_here,
            BROKER: self.broker_rules,
        }
        return [actor for actor, found in here.items() if found is not None]

    def visible_to(self, transaction: str, caller: Caller) -> Criterion:
        """Return what a caller could know of; nothing is read or recorded by it."""
        for one in self.interceptors.interceptors:
            if isinstance(one, PolicyInterceptor):
                return one.visible_to(transaction, caller)
        return ANYTHING

    def require_feed(self, name: str) -> None:
        """Raise FeedPaused where an operator has paused a feed, and this process serves."""
        for one in self.interceptors.interceptors:
            if isinstance(one, PausedFeeds):
                one.require(name)

    def withheld(self, unique_ids: Iterable[str], visible: Criterion) -> Withheld:
        """Return the documents that the repository here does not give out to a caller.

        One is given out where all DocumentEntries of its uniqueId that name this repository, each
        in its latest version, are visible, and there is one: whoever may register metadata could
        else describe a document anew that is withheld. A registry that is elsewhere is asked for
        the metadata; RegistryUnavailable where it does not answer.
        """
        if is_anything(visible):
            return Withheld()
        asked = frozenset(unique_ids)
        if self.registry_here is not None:
            with self.registry_here.view(visible) as view:
                return Withheld(asked - view.documents(asked, self.repository.unique_id))
        entries = self._registered_elsewhere(asked)
        released = (
            unique_id
            for unique_id, found in entries.items()
            if all(evaluate(visible, entry) for entry in found)
        )
        return Withheld(asked.difference(released), _patients(entries))

    def patients_elsewhere(self, unique_ids: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the patients (CX) of documents by uniqueId as a registry elsewhere tells them.

        RegistryUnavailable where it does not answer. Those of the registry here come to a record
        with the rest of it (:mod:`xds.audit.spool_mover`).
        """
        if self.remote_registry is None:
            return {}
        return _patients(self._registered_elsewhere(frozenset(unique_ids)))

    def remove_documents(
        self, requests: Sequence[DocumentRequest], *, withheld: Set[str], in_commit: InCommit
    ) -> None:
        """Remove documents of the repository here, all or none (ITI TF-2 3.86.4.1.3).

        A document that a DocumentEntry still names stays, unless the options say otherwise: so an
        administrator removes the metadata first, and no entry is ever without its document. A
        registry elsewhere is asked beforehand for the entries that name the documents, and for
        their codes. It does not tell what ``xds hold`` has marked there, which keeps it from
        removing the metadata; a mark at the repository keeps the documents.

        Raises TransactionFailure, and RegistryUnavailable.
        """
        asked = [one.document_unique_id for one in requests]
        elsewhere = dict(self._obstacles_elsewhere(frozenset(asked)))
        with self.repository.database.read() as connection:
            last = events.last_seen(connection)

        def obstacles(
            connection: Connection, unique_ids: Collection[str], *, again: bool
        ) -> Mapping[str, str]:
            here = removal.obstacles(
                connection,
                unique_ids,
                self.repository.unique_id,
                self.legal_hold_codes,
                referenced=not self.removes_referenced,
                since=last if again else None,
            )
            return {**{one: elsewhere[one] for one in unique_ids if one in elsewhere}, **here}

        removing.remove(
            self.repository,
            requests,
            obstacles,
            withheld=withheld,
            in_commit=in_commit,
            locks=of_unique_ids(asked),
        )

    def remove_with_documents(
        self,
        entry_uuids: Sequence[str],
        unique_ids: Sequence[str],
        *,
        tell: Callable[[Removal], object],
        in_commit: InCommit,
        visible: Criterion,
    ) -> None:
        """Remove objects, and in the same commit the documents here of which no entry is left.

        A document that is on legal hold, or being registered, stays. The bytes go after the commit:
        what a crash leaves of them is swept. Raises TransactionFailure; then nothing has changed.
        """
        gone: list[IndexedDocument] = []

        def drop(connection: Connection) -> None:
            staying = removal.obstacles(
                connection,
                unique_ids,
                self.repository.unique_id,
                self.legal_hold_codes,
                referenced=True,
            )
            going = [one for one in unique_ids if one not in staying]
            gone[:] = removing.drop(self.repository, connection, going)
            in_commit(connection)

        held = locked([normal(one) for one in unique_ids])
        self.registry.remove(
            entry_uuids,
            tell=tell,
            in_commit=drop if unique_ids else in_commit,
            visible=visible,
            with_latest=True,
            locks=all_of_locks((of_unique_ids(unique_ids), held)),
        )
        removing.delete_bytes(self.repository, gone)

    def _obstacles_elsewhere(self, unique_ids: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Yield documents that must stay by what a registry elsewhere has, and why."""
        codes = self.legal_hold_codes
        if self.remote_registry is None or (self.removes_referenced and not codes):
            return
        found = registered(self.repository, self.remote_registry, unique_ids)
        for unique_id, entries in found.items():
            if any(removal.has_holding_code(one, codes) for one in entries):
                yield unique_id, "it is on legal hold"
            elif not self.removes_referenced:
                yield unique_id, f"DocumentEntry {entries[0].id} names it: remove that first"

    def _registered_elsewhere(self, unique_ids: Set[str]) -> Mapping[str, Sequence[DocumentEntry]]:
        """Return the entries of documents by uniqueId."""
        if self.remote_registry is None:
            raise LookupError("there is no registry to ask")
        registered_now = registered(self.repository, self.remote_registry, unique_ids)
        return {one: _latest(found) for one, found in registered_now.items()}

    def check(self) -> None:
        """Raise when nothing can be written, for the readiness of the server.

        DatabaseUnavailable, StoreUnavailable, or NotRecorded where audit is to refuse. A registry
        that is elsewhere is not asked: while it is away, documents can be retrieved.
        """
        self.database.check()
        self.database.check_writing()
        if self.repository_here is not None:
            self.repository_here.store.check()
        if self.audit_log is not None:
            self.audit_log.check()

    def close(self) -> None:
        """Close every connection."""
        if self.audit_log is not None:
            self.audit_log.close()
        self.database.close()
        if self.remote_registry is not None:
            self.remote_registry.close()


def _latest(entries: Iterable[DocumentEntry]) -> Sequence[DocumentEntry]:
    """Return the latest version of each entry: a link change gives it to another patient."""

    def number(entry: DocumentEntry) -> int:
        stated = entry.version or ""
        return int(stated) if stated.isdecimal() else 0

    return list({one.logical_id or one.id: one for one in sorted(entries, key=number)}.values())


def _patients(
    entries: Mapping[str, Sequence[DocumentEntry]],
) -> Mapping[str, tuple[str, ...]]:
    return {
        unique_id: distinct(entry.patient_id for entry in found)
        for unique_id, found in entries.items()
    }


def _registry(database: Database, config: Config) -> DocumentRegistry:
    return DocumentRegistry(
        database=database,
        policy=_policy(config),
        learn_patients=config.unknown_patients == "open",
        home_community_id=config.home_community_id,
        has_updates=config.metadata_update == "yes",
        legal_hold_codes=_legal_hold_codes(config),
        result_limits=ResultLimits(
            leaf_class=config.max_leaf_class_results, object_ref=config.max_object_ref_results
        ),
    )


def _repository(
    database: Database,
    config: Config,
    store: DocumentStore | None,
    register: Register,
    metrics: Metrics | None,
) -> DocumentRepository | None:
    if store is None:
        return None
    return DocumentRepository(
        unique_id=config.repository_unique_id,
        database=database,
        store=store,
        register=register,
        home_community_id=config.home_community_id,
        count_missing=metrics.missing if metrics else uncounted,
    )


def _interceptors(
    config: Config,
    database: Database,
    audit_log: AuditLog | None,
    metrics: Metrics | None,
    systems: Systems,
    *,
    serves: bool,
) -> Iterator[Interceptor]:
    """Yield the observer first, as it is left last; policy before audit, which records denials."""
    if serves:
        url = config.telemetry_url
        tracer = Tracer.open(url, config.telemetry_ratio) if url else None
        if metrics or tracer or config.transaction_log != "off":
            yield TransactionObserver(metrics, config.transaction_log, tracer)
        yield PausedFeeds(database)
    text = None if config.policy is None else config.policy.read_bytes()
    if text is not None:
        yield PolicyInterceptor(policy_file.read(text, systems))
    if audit_log is not None:
        audit_log.note_configuration("" if text is None else sha256(text).hexdigest())
        yield audit_log.trail
    if serves and config.refusals_kept_days:
        yield RefusalKeeper(database, config.refusals_kept_days)


def _store(config: Config) -> DocumentStore | None:
    if config.serve_repository == "no":
        return None
    return open_store(config.documents_url, config.documents_settings)


def _link_policy(config: Config) -> LinkPolicy:
    code, _, coding_scheme = config.xpid_content_type.partition("^^")
    return LinkPolicy(
        learn_patients=config.unknown_patients == "open",
        home_community_id=config.home_community_id,
        content_type=Code(code, coding_scheme, LINK_CHANGE),
    )


def _policy(config: Config) -> Policy:
    path = config.code_sets
    sets = CodeSets() if path is None else code_sets.read(path.name, path.read_bytes())
    return Policy(
        assigning_authority=config.assigning_authority,
        code_sets=sets,
        limited_metadata=config.minimal_metadata == "accept",
        home_community_id=config.home_community_id,
        restricted_attributes=frozenset((config.restricted_attributes or "").split()),
        lower_versions=config.lower_versions,
    )


def _register(
    registry: DocumentRegistry,
    submission: Submission,
    in_commit: InCommit,
    visible: Criterion,
    further: Sequence[Registration],
    stated: StatedVersions,
    tell: TellWarnings | None,
) -> Sequence[RegistryError]:
    return registry.register(
        submission, further=further, in_commit=in_commit, visible=visible, stated=stated, tell=tell
    )


def _legal_hold_codes(config: Config) -> Sequence[str]:
    return tuple((config.legal_hold_codes or "").split())
