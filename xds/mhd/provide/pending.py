"""A submission under way: what ITI-65, ITI-105 and ITI-106 read of a request, and by what."""

from dataclasses import dataclass
from functools import cached_property

from xds.config import Config
from xds.fhir.exchange import Call
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.references import References
from xds.metadata.systems import Systems
from xds.mhd.provide.bundle import SubmittedEntries
from xds.mhd.provide.fetching import fetching_of
from xds.mhd.provide.subjects import Subjects, subjects_of
from xds.outgoing.fetching import Fetching
from xds.registry.queries.views import RegistryView


@dataclass(frozen=True, kw_only=True)
class PendingSubmission:
    """One request that submits documents; lives as long as its view of the registry."""

    config: Config
    systems: Systems
    """What code systems and identifier systems are called in XDS and in FHIR."""
    call: Call
    submitted: SubmittedEntries
    view: RegistryView
    """What the caller may see of the registry, at one moment."""
    issues: IssueCollector
    """Everything that is found wrong."""

    @cached_property
    def references(self) -> References:
        """Where the references of the request lead."""
        return References(self.call.base, self.submitted.entries)

    @cached_property
    def subjects(self) -> Subjects:
        """Whose the documents are."""
        return subjects_of(self.config, self.systems, self.references, self.view, self.issues)

    @cached_property
    def fetching(self) -> Fetching:
        """What may be fetched from elsewhere."""
        return fetching_of(self.config)

    @property
    def accepts_minimal(self) -> bool:
        """Whether the deployment takes Minimal Metadata (option ``minimal_metadata``)."""
        return self.config.minimal_metadata == "accept"
