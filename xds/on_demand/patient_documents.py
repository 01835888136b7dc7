"""The documents of a patient that something is made of: current, here, and not made here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, equal
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import DocumentForm
from xds.registry.queries.search import Order, Page
from xds.registry.queries.views import RegistryView
from xds.registry.registry import DocumentRegistry
from xds.repository.repository import DocumentRepository

_MOST_SOURCES: Final = 200
_MOST_LOOKED_AT: Final = 2_000
_PAGE: Final = 50
_NEWEST_FIRST: Final = (Order("creation_time", descending=True),)


@dataclass(frozen=True, slots=True)
class PatientDocuments:
    """What is known of a patient, the newest first."""

    sources: Sequence[DocumentEntry]
    left_out: int
    """How many older ones are no sources since there are so many."""
    others: int
    """How many documents are of a kind that nothing is made of."""


def find(
    registry: DocumentRegistry,
    repository: DocumentRepository,
    form: DocumentForm,
    patient_id: str,
    visible: Criterion,
) -> PatientDocuments:
    """Return the documents of a patient (CX) of which a form is made; TransactionFailure.

    A document that is a transformation of another source says nothing that this does not.
    """
    criteria = current(repository.unique_id, patient_id)
    with registry.view(visible) as view:
        page = Page(size=min(view.most, _MOST_LOOKED_AT))
        found = view.find(DocumentEntry, criteria, order=_NEWEST_FIRST, page=page)
        there = [one.thing for one in found if not one.thing.on_demand_form]
        unread = view.count(DocumentEntry, criteria) - len(found)
        # a document may have entries that are withheld beside one that is not
        open_ones = view.documents([one.unique_id or "" for one in there], repository.unique_id)
        there = [one for one in there if one.unique_id in open_ones]
        known = [one for one in there if form.type_of(one) is not None]
        made_of_others = _transformations(view, known)
    sources = [one for one in known if _logical(one) not in made_of_others]
    left_out = max(unread, 0) + len(sources[_MOST_SOURCES:])
    return PatientDocuments(sources[:_MOST_SOURCES], left_out, len(there) - len(known))


def current(repository_unique_id: str, patient_id: str) -> list[Criterion]:
    """Return what is asked of a document that something is made of."""
    return [
        equal("patient_id", [patient_id]),
        equal("availability_status", [v.APPROVED]),
        equal("object_type", [v.STABLE_DOCUMENT_ENTRY]),
        equal("repository_unique_id", [repository_unique_id]),
    ]


def each(view: RegistryView, criteria: Sequence[Criterion]) -> Iterator[DocumentEntry]:
    """Yield the documents that meet criteria, a few at a time, as long as they are asked for."""
    start = 0
    while True:
        found = view.find(DocumentEntry, criteria, page=Page(start, _PAGE))
        yield from (one.thing for one in found)
        start += _PAGE
        if len(found) < _PAGE:
            return


def _transformations(view: RegistryView, found: Sequence[DocumentEntry]) -> set[str]:
    """Return the logicalIDs of those that are transformations of others among them.

    Of several that are transformations of one another, in a ring, one is kept.
    """
    logical = {one.id: _logical(one) for one in found} | {
        _logical(one): _logical(one) for one in found
    }
    gone: set[str] = set()
    for one in view.relations(sorted(logical)):
        source = logical[one.source]
        is_here = one.association_type == v.XFRM and one.target in logical
        if is_here and one.target != source and one.target not in gone:
            gone.add(source)
    return gone


def _logical(entry: DocumentEntry) -> str:
    return entry.logical_id or entry.id
