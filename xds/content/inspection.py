"""Documents of another patient than their metadata say are refused, where the options want it.

The repository has each document looked at before it is registered, by whatever door it came:
ITI-41, ITI-65, ITI-105, ITI-106, a message.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.content.reading import kinds
from xds.content.reading.deployment import rules_of
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.patient_comparison import is_of_another, patient_findings, patient_said
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules
from xds.errors import RegistryError, XDSPatientIdDoesNotMatch
from xds.metadata.objects import DocumentEntry
from xds.repository.repository import OpenDocument

MOST_BYTES: Final = 16 << 20
"""Of a document that is looked at: what is larger is taken as it is."""


def inspecting(config: Config, domain: AffinityDomain) -> AffinityDomain:
    """Return the domain with what the options want looked at."""
    if config.document_patient == "note" or domain.repository_here is None:
        return domain
    rules = rules_of(config, domain.systems)
    repository = replace(domain.repository_here, inspect=_PatientInspector(rules))
    return replace(domain, repository_here=repository)


@dataclass(frozen=True, slots=True)
class _PatientInspector:
    rules: ReadingRules

    def __call__(
        self, entry: DocumentEntry, size: int, opened: OpenDocument
    ) -> Iterator[RegistryError]:
        """Tell that a document is of another patient; what cannot be read tells of none."""
        if size > MOST_BYTES:
            return
        with closing(opened()) as blocks:
            data = kinds.markup_in(blocks)
        try:
            header = read(data, entry.mime_type or "", self.rules).header
        except ContentUnreadable:
            return
        registered = (entry.patient_id or "", entry.source_patient_id or "")
        said = patient_said(entry.source_patient_info)
        if is_of_another(patient_findings(header.patients, registered, said)):
            told = "the document itself says that it is of another patient"
            where = f"DocumentEntry {entry.id}"
            yield XDSPatientIdDoesNotMatch(f"{where}: {told}", entry.id, attribute="patientId")
