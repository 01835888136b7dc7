"""The parameters of the Document Metadata Update option, in every stored query that has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.registry import edits, wire
from tests.registry.violations import registered
from tests.registry.wire import Answer, World, text, texts
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder
from xds.registry.queries.stored_queries import STORED_QUERIES

shows = pytest.mark.shows
DE: Final = "$XDSDocumentEntry"


@dataclass(frozen=True)
class Population:
    """A patient with versions, statuses and a document that is offline."""

    server: Server
    world: World

    def ask(self, query_id: str, parameters: Mapping[str, str], **more: str) -> Answer:
        """Ask a stored query; parameters may name patient 1 and UUIDs of the fixtures."""
        asked = {name: self.world.text(value) for name, value in parameters.items()}
        asked |= {f"${name}": value for name, value in more.items()}
        transaction = STORED_QUERIES[query_id].transaction
        return wire.query(self.server, query_id, asked, name=transaction)

    def found(self, query_id: str, parameters: Mapping[str, str], **more: str) -> Answer:
        """Ask a stored query that must be answered without a word."""
        return wire.found(self.ask(query_id, parameters, **more))


@pytest.fixture(scope="module")
def population(update_server: Server) -> Population:
    world = World.new()
    offline = edits.both(
        edits.values(edits.slot(edits.DOCUMENT_ENTRY, "documentAvailability"), v.OFFLINE),
        edits.replace("2.999.2.1", "2.999.2.2"),
        edits.replace("2.999.3.1", "2.999.3.2"),
    )
    for fixture, edit in (
        ("iti42/preassigned_uuids", edits.replace("2.999.2.1", "2.999.2.11")),
        ("iti42/comprehensive_document", None),
        ("iti42/comprehensive_document", offline),
        ("iti57/document_version", None),
        ("iti57/folder_version", None),
        ("iti57/statuses", None),
    ):
        registered(fixture, edit)(update_server, world)
    return Population(update_server, world)


UUID: Final = "urn:uuid:00000000-0000-4000-8000-0000000000"
REPORT, HEART = f"{UUID}10", f"{UUID}20"
PATIENT: Final = text("P1^^^&2.999.1.1&ISO")
_ANY: Final = texts(v.APPROVED, v.DEPRECATED)
_ENTRIES: Final = {f"{DE}PatientId": PATIENT, f"{DE}Status": _ANY}
_REFERENCE: Final = "2.999.1.11^^^^urn:ihe:iti:xds:2013:uniqueId"
_ALL: Final = {
    "$patientId": PATIENT,
    f"{DE}Status": _ANY,
    "$XDSSubmissionSetStatus": _ANY,
    "$XDSFolderStatus": _ANY,
}

LEVELS: Final[Mapping[str, Mapping[str, str]]] = {
    v.FIND_DOCUMENTS: _ENTRIES,
    v.FIND_DOCUMENTS_BY_REFERENCE_ID: {**_ENTRIES, f"{DE}ReferenceIdList": texts(_REFERENCE)},
    v.FIND_DOCUMENTS_BY_TITLE: {**_ENTRIES, f"{DE}Title": texts("%")},
    v.FIND_FOLDERS: {"$XDSFolderPatientId": PATIENT, "$XDSFolderStatus": _ANY},
    v.GET_ALL: _ALL,
    v.GET_DOCUMENTS: {f"{DE}UniqueId": texts("2.999.3.10")},
    v.GET_FOLDERS: {"$XDSFolderUniqueId": texts("2.999.4.20", "2.999.4.21")},
    v.GET_ASSOCIATIONS: {"$uuid": texts(REPORT, f"{UUID}12")},
    v.GET_DOCUMENTS_AND_ASSOCIATIONS: {f"{DE}UniqueId": texts("2.999.3.10")},
    v.GET_SUBMISSION_SETS: {"$uuid": texts(REPORT)},
    v.GET_SUBMISSION_SET_AND_CONTENTS: {"$XDSSubmissionSetUniqueId": text("2.999.2.11")},
    v.GET_FOLDER_AND_CONTENTS: {"$XDSFolderUniqueId": text("2.999.4.20")},
    v.GET_FOLDERS_FOR_DOCUMENT: {f"{DE}UniqueId": text("2.999.3.10")},
    v.GET_RELATED_DOCUMENTS: {
        f"{DE}UniqueId": text("2.999.3.10"),
        "$AssociationTypes": texts(v.XFRM, v.APND),
    },
}
"""For each query what is asked, of which level 1 hides something."""
HIDE_NOTHING: Final = {v.GET_SUBMISSION_SETS}


def _named(query_id: str, parameter: str) -> object:
    name = STORED_QUERIES[query_id].name
    return pytest.param(query_id, id=name, marks=shows(f"parameter {name} {parameter}"))


def test_every_query_with_the_parameter_is_asked() -> None:
    declared = {
        query_id: query.name
        for query_id, query in STORED_QUERIES.items()
        if any(one.name == "$MetadataLevel" for one in query.parameters)
    }
    lacking = [name for query_id, name in declared.items() if query_id not in LEVELS]
    assert lacking == [], "LEVELS does not ask them"


@shows("behaviour MetadataLevel")
@pytest.mark.parametrize("query_id", [_named(one, "$MetadataLevel") for one in LEVELS])
def test_level_1_is_the_default_and_hides_what_is_not_current(
    population: Population, query_id: str
) -> None:
    asked = LEVELS[query_id]
    whole = population.found(query_id, asked, MetadataLevel="2").objects
    current = population.found(query_id, asked, MetadataLevel="1").objects
    assert population.found(query_id, asked).ids == list(current)
    assert current.keys() <= whole.keys()
    assert (current.keys() == whole.keys()) is (query_id in HIDE_NOTHING)
    every = population.found(v.GET_ALL, _ALL, MetadataLevel="2").objects
    any_folder = query_id in (v.FIND_FOLDERS, v.GET_ALL)
    for one in current.values():
        assert _is_current(one, every, any_folder=any_folder), one
    if STORED_QUERIES[query_id].name.startswith("Find"):
        wanted = {u for u, one in whole.items() if _is_current(one, every, any_folder=any_folder)}
        assert current.keys() == wanted


def _is_current(one: object, every: Mapping[str, object], *, any_folder: bool) -> bool:
    if isinstance(one, Association):
        return one.status == v.APPROVED
    if not isinstance(one, DocumentEntry | Folder):
        return True
    versions = [o for o in every.values() if isinstance(o, type(one)) and o.lid == one.lid]
    if one.version != max(other.version or "" for other in versions):
        return False
    if isinstance(one, Folder):
        return any_folder or one.status == v.APPROVED
    return one.document_availability != v.OFFLINE


@pytest.mark.parametrize(
    "query_id",
    [
        _named(query_id, "$XDSAssociationStatus")
        for query_id, query in STORED_QUERIES.items()
        if any(one.name == "$XDSAssociationStatus" for one in query.parameters)
    ],
)
def test_associations_are_chosen_by_their_status(population: Population, query_id: str) -> None:
    asked, whole = LEVELS[query_id], {"MetadataLevel": "2"}
    every = population.found(query_id, asked, **whole).objects
    by_status = {
        status: population.found(
            query_id, asked, XDSAssociationStatus=texts(status), **whole
        ).objects
        for status in (v.APPROVED, v.DEPRECATED)
    }
    for status, found in by_status.items():
        told = {one.status for one in found.values() if isinstance(one, Association)}
        assert told <= {status}
        assert found.keys() <= every.keys()
    approved, deprecated = by_status.values()
    assert approved.keys() | deprecated.keys() == every.keys()
    assert approved.keys() != every.keys() or query_id == v.GET_FOLDERS_FOR_DOCUMENT


@shows("parameter GetDocuments $XDSDocumentEntryLogicalID")
def test_documents_are_found_by_their_logical_id(population: Population) -> None:
    asked = {f"{DE}LogicalID": texts(REPORT)}
    whole = population.found(v.GET_DOCUMENTS, asked, MetadataLevel="2").objects.values()
    assert [one.version for one in whole if isinstance(one, DocumentEntry)] == ["1", "2"]
    (latest,) = population.found(v.GET_DOCUMENTS, asked).objects.values()
    assert isinstance(latest, DocumentEntry)
    assert latest.version == "2"


@shows("parameter GetFolders $XDSFolderLogicalID")
def test_folders_are_found_by_their_logical_id(population: Population) -> None:
    asked = {"$XDSFolderLogicalID": texts(HEART)}
    whole = population.found(v.GET_FOLDERS, asked, MetadataLevel="2").objects.values()
    assert [one.version for one in whole if isinstance(one, Folder)] == ["1", "2"]


@pytest.mark.parametrize(
    "query_id",
    [
        _named(query_id, f"{DE}DocumentAvailability")
        for query_id, query in STORED_QUERIES.items()
        if any(one.name == f"{DE}DocumentAvailability" for one in query.parameters)
    ],
)
def test_documents_are_chosen_by_their_availability(population: Population, query_id: str) -> None:
    asked = {**LEVELS.get(query_id, _ENTRIES)}
    level = {"MetadataLevel": "2"} if query_id in LEVELS else {}
    for value in (v.ONLINE, v.OFFLINE):
        chosen = {**asked, f"{DE}DocumentAvailability": texts(value)}
        found = population.found(query_id, chosen, **level).objects.values()
        told = [one for one in found if isinstance(one, DocumentEntry)]
        is_hidden = value == v.OFFLINE and not level  # ITI-51 has no $MetadataLevel
        assert bool(told) is not is_hidden
        assert {one.document_availability or v.ONLINE for one in told} <= {value}


@shows("error XDSRegistryError")
def test_another_level_is_refused(population: Population) -> None:
    answer = population.ask(v.GET_ALL, _ALL, MetadataLevel="3")
    assert answer.codes == ["XDSRegistryError"]
    assert "$MetadataLevel" in answer.problems[0].context


@shows("behaviour option of updates", "error XDSStoredQueryMissingParam")
def test_a_registry_without_the_option_knows_none_of_them(server: Server, world: World) -> None:
    parameters = {f"{DE}LogicalID": texts(world.uuid(10))}
    assert wire.query(server, v.GET_DOCUMENTS, parameters).codes == ["XDSStoredQueryMissingParam"]
    asked = {"$uuid": texts(world.uuid(10)), "$MetadataLevel": "7"}
    answer = wire.query(server, v.GET_ASSOCIATIONS, asked)
    assert (answer.status, answer.codes) == ("Success", ["XDSRegistryError"])
    assert "passed over" in answer.problems[0].context
