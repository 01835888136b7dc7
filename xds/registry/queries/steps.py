"""The steps of stored queries: how the objects of a query are found (ITI TF-2 3.18.4.1.2.3.7).

Results come in one order: SubmissionSets, DocumentEntries, Folders, Associations, and within a kind
in the order of registration. An Association to an entry that a filter removed is removed too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Table

from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_18
from xds.metadata.criteria import Criterion, Operator, all_of, equal
from xds.metadata.searched import TEXTS, Searched
from xds.registry.queries.parameters import Alternatives, Arguments, Parameter, criterion_of
from xds.registry.queries.search import Search, Shown, in_order
from xds.registry.storage.fragments import FoundObject
from xds.registry.tables import KINDS, association, document_entry, folder, submission_set

Step = Callable[["StoredQuery", Search, Arguments], list[FoundObject]]


_SUITABLE: Final[Mapping[Operator | None, frozenset[Searched]]] = {
    Operator.EQUAL: TEXTS | {Searched.REFERENCE},
    Operator.LIKE: TEXTS,
    Operator.FROM: frozenset({Searched.TIME}),
    Operator.BEFORE: frozenset({Searched.TIME}),
}
"""As what an attribute is searched that parameters can be compared with in each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQuery:
    """One stored query: a row of :data:`xds.registry.queries.stored_queries.STORED_QUERIES`.

    Raises ValueError where a parameter is compared with an attribute that is not searched, or not
    in that way: so a wrong row ends the program at its start.
    """

    query_id: str
    name: str
    section: str
    """Where it is described: of the TF, or of a national specification."""
    step: Step
    on: Mapping[Table, tuple[Parameter, ...]]
    """The parameters that look at attributes, by the table that they look at."""
    free: tuple[Parameter, ...] = ()
    """The parameters that only the step looks at."""
    alternatives: Alternatives | None = None
    single_patient: bool = False
    """Whether a LeafClass answer must be of one patient (ITI TF-2 3.18.4.1.2.3.8)."""
    transaction: str = ITI_18.name
    shown: Shown = Shown.CURRENT
    """What level 1 shows, where the registry has the Document Metadata Update option."""
    parameters: tuple[Parameter, ...] = field(init=False)
    """Every parameter once."""

    def __post_init__(self) -> None:
        once: dict[str, Parameter] = {}
        for one in (*self.free, *(one for of_table in self.on.values() for one in of_table)):
            once.setdefault(one.name, one)
        object.__setattr__(self, "parameters", tuple(once.values()))
        for table, parameters in self.on.items():
            indexes = KINDS[table.name].indexes()
            for one in parameters:
                index = indexes.get(one.attribute)
                if index is None or index.searched not in _SUITABLE.get(one.operator, ()):
                    how = "not searched" if index is None else f"searched as {index.searched.value}"
                    operator = "not" if one.operator is None else one.operator.value
                    compared = f"{one.name} is compared ({operator})"
                    attribute = f"{table.name}.{one.attribute}"
                    raise ValueError(f"{self.name}: {compared} with {attribute}, which is {how}")

    def criterion(self, table: Table, arguments: Arguments) -> Criterion:
        """Return what a table's objects have to meet."""
        return criterion_of(self.on.get(table, ()), arguments)


_HAS_MEMBER: Final = equal("association_type", [v.HAS_MEMBER])


def find(query: StoredQuery, search: Search, arguments: Arguments) -> list[FoundObject]:
    """Find the objects of one table by their attributes."""
    (table,) = query.on
    return search.objects(table, query.criterion(table, arguments))


def get_all(query: StoredQuery, search: Search, arguments: Arguments) -> list[FoundObject]:
    """Find everything of a patient, and every Association that touches it."""
    of_patient = [table for table in query.on if table is not association]
    wanted = {table: query.criterion(table, arguments) for table in of_patient}
    found = [one for table, of_it in wanted.items() for one in search.objects(table, of_it)]
    return [*found, *search.touching(wanted, query.criterion(association, arguments))]


def get_associations(query: StoredQuery, search: Search, arguments: Arguments) -> list[FoundObject]:
    """Find the Associations that touch the given objects."""
    return search.touching_any(arguments.all("$uuid"), query.criterion(association, arguments))


def get_documents_and_associations(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find DocumentEntries and the Associations that touch them."""
    entries = search.objects(document_entry, query.criterion(document_entry, arguments))
    wanted = query.criterion(association, arguments)
    return [*entries, *search.touching_any(_uuids(entries), wanted)]


def get_submission_sets(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find the SubmissionSets that hold the given objects, and the HasMembers that say so."""
    members = search.objects_in(association, "target", arguments.all("$uuid"), _HAS_MEMBER)
    sets = search.objects_in(submission_set, "entry_uuid", _sources(members))
    holders = set(_uuids(sets))
    return [*sets, *(member for member in members if member.source in holders)]


def get_submission_set_and_contents(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find a SubmissionSet and all that it holds."""
    sets = search.objects(submission_set, query.criterion(submission_set, arguments))
    members = search.objects_in(association, "source", _uuids(sets), _HAS_MEMBER)
    targets = _targets(members)
    wanted = query.criterion(document_entry, arguments)
    entries = search.objects_in(document_entry, "entry_uuid", targets, wanted)
    folders = search.objects_in(folder, "entry_uuid", targets)
    held = {*_uuids(entries), *_uuids(folders)}
    joining = _among(search.objects_in(association, "entry_uuid", targets), held)
    held.update(_uuids(joining))
    associations = in_order([*(one for one in members if one.target in held), *joining])
    return [*sets, *entries, *folders, *associations]


def get_folder_and_contents(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find a Folder, its documents and the HasMembers between."""
    folders = search.objects(folder, query.criterion(folder, arguments))
    members = search.objects_in(
        association, "source", _uuids(folders), _memberships(query, arguments)
    )
    wanted = query.criterion(document_entry, arguments)
    entries = search.objects_in(document_entry, "entry_uuid", _targets(members), wanted)
    held = {*_uuids(folders), *_uuids(entries)}
    return [*entries, *folders, *_among(members, held)]


def get_folders_for_document(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find the Folders that hold a document."""
    entries = search.objects(document_entry, query.criterion(document_entry, arguments))
    members = search.objects_in(
        association, "target", _uuids(entries), _memberships(query, arguments)
    )
    return search.objects_in(folder, "entry_uuid", _sources(members))


def get_related_documents(
    query: StoredQuery, search: Search, arguments: Arguments
) -> list[FoundObject]:
    """Find the documents joined to one by Associations of given types, and these Associations."""
    start = search.objects(document_entry, query.criterion(document_entry, arguments))
    related = search.touching_any(_uuids(start), query.criterion(association, arguments))
    ends = dict.fromkeys([*_sources(related), *_targets(related)])
    wanted = criterion_of(query.free, arguments)
    entries = search.objects_in(document_entry, "entry_uuid", ends, wanted)
    kept = _among(related, set(_uuids(entries)))
    touched = {*_sources(kept), *_targets(kept)}
    return [*(entry for entry in entries if entry.entry_uuid in touched), *kept]


def _memberships(query: StoredQuery, arguments: Arguments) -> Criterion:
    return all_of([_HAS_MEMBER, query.criterion(association, arguments)])


def _uuids(found: list[FoundObject]) -> list[str]:
    return [one.entry_uuid for one in found]


def _sources(found: list[FoundObject]) -> list[str]:
    return list(dict.fromkeys(one.source for one in found if one.source is not None))


def _targets(found: list[FoundObject]) -> list[str]:
    return list(dict.fromkeys(one.target for one in found if one.target is not None))


def _among(associations: list[FoundObject], held: set[str]) -> list[FoundObject]:
    """Keep the Associations whose both ends are held."""
    return [one for one in associations if one.source in held and one.target in held]
