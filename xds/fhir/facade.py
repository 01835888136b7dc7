"""What every interaction works with: the affinity domain, and what is kept of its resources."""

from dataclasses import dataclass, field

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir.search.parameters import DomainNames
from xds.fhir.search.rendered import RenderedResources


@dataclass(frozen=True, slots=True)
class Facade:
    """What every interaction works with."""

    domain: AffinityDomain
    config: Config
    resources: RenderedResources = field(
        default_factory=RenderedResources, compare=False, repr=False
    )

    @property
    def names(self) -> DomainNames:
        """How codes and identifiers of this domain are named in FHIR."""
        return DomainNames(
            self.domain.systems,
            self.config.assigning_authority,
            self.domain.registry.home_community_id,
        )
