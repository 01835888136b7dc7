"""Patient and authors of a DocumentEntry, in the shape in which documents say them."""

from collections.abc import Sequence
from dataclasses import replace

from xds.content.pages.facts import facts_of
from xds.content.reading.model import ContentParty, ContentPatient
from xds.metadata.objects import DocumentEntry


def patient_of(entry: DocumentEntry) -> ContentPatient:
    """Return what metadata say of the patient, with the ids of source and affinity domain."""
    known = facts_of(entry, "").patient or ContentPatient()
    ids = dict.fromkeys(filter(None, (entry.source_patient_id, entry.patient_id)))
    return replace(known, identifiers=tuple(dict.fromkeys((*known.identifiers, *ids))))


def authors_of(entry: DocumentEntry) -> Sequence[ContentParty]:
    """Return who wrote a document, as metadata say it."""
    return facts_of(entry, "").authors
