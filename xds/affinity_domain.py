"""What one deployment is: registry, repository, and what they agree on (ITI TF-1 10.4.8)."""

from dataclasses import dataclass
from functools import partial

from xds.config import Config
from xds.database import Database
from xds.metadata import code_sets
from xds.metadata.code_sets import CodeSets
from xds.metadata.objects import Code
from xds.metadata.rules import Policy
from xds.metadata.submission import Submission
from xds.registry.identities import PatientIdentities
from xds.registry.link_changes import LINK_CHANGE, LinkPolicy
from xds.registry.queries import ResultLimits
from xds.registry.registry import DocumentRegistry
from xds.repository.index import Joining
from xds.repository.repository import DocumentRepository
from xds.repository.store import open_store


@dataclass(frozen=True, slots=True)
class AffinityDomain:
    """The actors of one deployment on their shared state."""

    database: Database
    registry: DocumentRegistry
    repository: DocumentRepository
    identities: PatientIdentities
    """The patients of the registry."""

    @classmethod
    def open(cls, config: Config) -> "AffinityDomain":
        """Open database and store; DatabaseUnavailable or StoreUnavailable when that fails."""
        store = open_store(config.documents_url)
        database = Database(config.database_url, connections=config.threads + 2)
        database.create_tables()
        registry = DocumentRegistry(
            database=database,
            policy=_policy(config),
            learn_patients=config.unknown_patients == "open",
            home_community_id=config.home_community_id,
            result_limits=ResultLimits(
                leaf_class=config.max_leaf_class_results, object_ref=config.max_object_ref_results
            ),
        )
        repository = DocumentRepository(
            unique_id=config.repository_unique_id,
            database=database,
            store=store,
            register=partial(_register, registry),
            home_community_id=config.home_community_id,
        )
        identities = PatientIdentities(database, config.assigning_authority, _link_policy(config))
        return cls(database, registry, repository, identities)

    def check(self) -> None:
        """Raise when database or store cannot do their work, for the readiness of the server."""
        self.database.check()
        self.repository.store.check()


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
    return Policy(assigning_authority=config.assigning_authority, code_sets=sets)


def _register(registry: DocumentRegistry, submission: Submission, joining: Joining) -> None:
    registry.register(submission, joining=joining)
