"""Every stored query with every parameter through the wire, for both kinds of answer."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.registry import behind, cases_of_finding, cases_of_getting, wire
from tests.registry.population import Population
from tests.registry.query_cases import ALL, BASES, DOCUMENTS, MESSAGES, Case
from tests.registry.wire import Answer, Parameters, World
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Operator
from xds.metadata.objects import DocumentEntry
from xds.registry.queries.parameters import Parameter
from xds.registry.queries.stored_queries import STORED_QUERIES
from xds.registry.tables import document_entry

shows = pytest.mark.shows
CASES = (*cases_of_finding.CASES, *cases_of_getting.CASES)
QUERIES = {row.name: row for row in STORED_QUERIES.values()}
RIM = wire.RIM


def ask(
    server: Server,
    population: Population,
    query: str,
    parameters: Parameters,
    return_type: str = v.LEAF_CLASS,
    attributes: str = "",
) -> Answer:
    """Ask a query by its name, with the names of the population in its parameters."""
    row = QUERIES[query]
    values = population.parameters(parameters)
    message = wire.query_message(row.query_id, values, return_type, row.transaction, attributes)
    return wire.send(server, message)


# --- what is found -------------------------------------------------------------------------------


def _known(case: Case) -> Iterator[str]:
    names = {parameter.name for parameter in QUERIES[case.query].parameters}
    yield from (name for name in case.parameters if name in names)


def _cases() -> list[object]:
    return [
        pytest.param(
            case,
            id=f"{case.query}: {case.name}",
            marks=shows(
                f"query {case.query}",
                *(f"parameter {case.query} {name}" for name in _known(case)),
                *case.shows,
            ),
        )
        for case in CASES
    ]


@pytest.mark.parametrize("case", _cases())
def test_a_query_finds_what_it_must(server: Server, population: Population, case: Case) -> None:
    leaves = wire.found(ask(server, population, case.query, case.parameters))
    assert sorted(population.names(leaves)) == sorted(case.expected)
    references = wire.found(ask(server, population, case.query, case.parameters, v.OBJECT_REF))
    assert references.ids == leaves.ids
    assert {one.tag for one in references.elements} <= {f"{RIM}ObjectRef"}
    assert list(leaves.objects) == leaves.ids  # nothing but metadata


@shows("behaviour unknown parameter")
@pytest.mark.parametrize("query", ["FindDocuments", "FindDocumentsByReferenceId"])
def test_an_unknown_parameter_is_passed_over_with_a_warning(
    server: Server, population: Population, query: str
) -> None:
    case = next(one for one in CASES if one.query == query)
    unknown = "$XDSDocumentEntryClassCodes"  # one letter too many
    given = {**case.parameters, unknown: "('no^^such')"}
    answer = ask(server, population, query, given)
    assert answer.status == "Success"
    (warning,) = answer.problems
    assert warning.code == "XDSRegistryError"
    assert warning.severity.endswith(":Warning")
    assert unknown in warning.context
    assert sorted(population.names(answer)) == sorted(case.expected)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        pytest.param(name, found, id=name, marks=shows(f"ITI-{name[3:5]}"))
        for name, found in MESSAGES.items()
    ],
)
def test_a_message_with_every_parameter_is_answered(
    server: Server, population: Population, message: str, found: str
) -> None:
    sent = population.world.fixture(message)
    wire.require_valid(sent)
    answer = wire.found(wire.send(server, sent))
    assert population.names(answer) == found.split(", ")


# --- the tables are complete ---------------------------------------------------------------------


def test_every_parameter_of_every_query_has_a_case() -> None:
    used = {(case.query, name) for case in CASES for name in _known(case)}
    declared = {
        (row.name, parameter.name)
        for row in STORED_QUERIES.values()
        for parameter in row.parameters
        if not parameter.of_updates  # test_metadata_level
    }
    assert declared - used == set()


def test_every_query_has_a_base() -> None:
    assert set(BASES) == set(QUERIES)


def test_every_query_has_a_message_with_all_that_goes_together() -> None:
    given: dict[str, set[str]] = {}
    for name in MESSAGES:
        query = World(0).fixture(name).find(f".//{RIM}AdhocQuery")
        slots = {slot.get("name") for slot in query.iter(f"{RIM}Slot")}
        given[STORED_QUERIES[query.get("id")].name] = slots
    assert set(QUERIES) - set(given) == set(), "MESSAGES of query_cases.py has no message of them"
    for row in STORED_QUERIES.values():
        alternatives = set(row.alternatives.names) if row.alternatives else set()
        own = {p.name for p in row.parameters if not p.of_updates}
        assert own - given[row.name] <= alternatives, row.name


def test_a_wrong_row_ends_the_program_at_its_start() -> None:
    row = QUERIES["FindDocuments"]
    unsearched = next(
        one for one in DocumentEntry.attributes() if one not in DocumentEntry.indexes()
    )
    for parameter, reason in (
        (Parameter(name="$a", attribute=unsearched), "is not searched"),
        (Parameter(name="$b", attribute="comment"), "is not searched"),
        (Parameter(name="$c", attribute="size"), "is searched as number"),
        (
            Parameter(name="$d", attribute="unique_id", operator=Operator.FROM),
            "is searched as text",
        ),
        (Parameter(name="$e", attribute="patient_id", operator=Operator.LIKE), "as reference"),
        (Parameter(name="$f", attribute="creation_time"), "is searched as time"),
    ):
        with pytest.raises(ValueError, match=rf"FindDocuments: \{parameter.name} .*{reason}"):
            replace(row, on={document_entry: (parameter,)})


# --- what an answer looks like -------------------------------------------------------------------


@shows("behaviour LeafClass")
def test_a_leaf_has_its_parts_with_ids_and_types(server: Server, population: Population) -> None:
    answer = wire.found(ask(server, population, "GetAll", ALL))
    for leaf in answer.elements:
        assert leaf.get("status") in (v.APPROVED, v.DEPRECATED)
        assert leaf.get("objectType")
        for part in (*leaf.iter(f"{RIM}Classification"), *leaf.iter(f"{RIM}ExternalIdentifier")):
            assert part.get("id").startswith("urn:uuid:")
            assert part.get("objectType")
            assert part.get("classifiedObject", part.get("registryObject")) == leaf.get("id")


@shows("behaviour ObjectRef")
def test_a_reference_is_an_id_and_nothing_more(server: Server, population: Population) -> None:
    answer = wire.found(ask(server, population, "GetAll", ALL, v.OBJECT_REF))
    for reference in answer.elements:
        assert (reference.tag, dict(reference.attrib)) == (
            f"{RIM}ObjectRef",
            {"id": reference.get("id")},
        )
        assert len(reference) == 0


@shows("behaviour no result")
def test_nothing_found_is_a_success(server: Server, population: Population) -> None:
    for return_type in (v.LEAF_CLASS, v.OBJECT_REF):
        nobody = {**DOCUMENTS, "$XDSDocumentEntryPatientId": "'P7^^^&2.999.1.1&ISO'"}
        answer = ask(server, population, "FindDocuments", nobody, return_type)
        assert (answer.status, answer.elements, answer.problems) == ("Success", [], [])


@shows("behaviour order")
@pytest.mark.parametrize("query", BASES)
def test_the_order_is_that_of_registration_kind_by_kind(
    server: Server, population: Population, query: str
) -> None:
    registered = behind.registration_order(server)
    for case in CASES:
        if case.query == query:
            placed = [
                registered[one] for one in ask(server, population, query, case.parameters).ids
            ]
            assert placed == sorted(set(placed)), case.name


@shows("behaviour home of a query")
def test_the_home_of_a_query_may_be_named(server: Server, population: Population) -> None:
    values = population.parameters(BASES["GetDocuments"])
    message = wire.query_message(v.GET_DOCUMENTS, values)
    with_home = message.replace(b"<rim:AdhocQuery ", b'<rim:AdhocQuery home="urn:oid:2.999.1.4" ')
    assert population.names(wire.found(wire.send(server, with_home))) == ["report"]


@shows("behaviour white space")
def test_white_space_round_the_query_id_is_no_part_of_it(
    server: Server, population: Population
) -> None:
    message = wire.query_message(
        f" {v.GET_DOCUMENTS}\n", population.parameters(BASES["GetDocuments"])
    )
    assert population.names(wire.found(wire.send(server, message))) == ["report"]


@shows("behaviour exact")
@pytest.mark.parametrize("prefix", ["", "URN:UUID:", "urn:uuid", "urn:uuid: ", "123456789"])
def test_only_a_uuid_is_an_entry_uuid(server: Server, population: Population, prefix: str) -> None:
    odd = wire.texts(prefix + population.ids["report"].removeprefix("urn:uuid:"))
    for query, parameter in (
        ("GetDocuments", "$XDSDocumentEntryEntryUUID"),
        ("GetAssociations", "$uuid"),
        ("GetSubmissionSets", "$uuid"),
    ):
        assert wire.found(ask(server, population, query, {parameter: odd})).ids == []


@shows("behaviour several Values")
def test_a_list_may_be_longer_than_one_value_admits(server: Server, population: Population) -> None:
    lists = tuple(
        wire.texts(f"urn:uuid:{number:08d}-1111-4111-8111-111111111111") for number in range(1000)
    )
    given = {"$XDSDocumentEntryEntryUUID": (*lists, "('{report}')")}
    assert population.names(wire.found(ask(server, population, "GetDocuments", given))) == [
        "report"
    ]


# --- one patient ---------------------------------------------------------------------------------

OF_TWO_PATIENTS = {
    "GetDocuments": ({"$XDSDocumentEntryUniqueId": "('{#letter}','{#twin}')"}, "letter, twin"),
    "GetFolders": ({"$XDSFolderEntryUUID": "('{heart}','{foreign}')"}, "heart, foreign"),
    "GetDocumentsAndAssociations": (
        {"$XDSDocumentEntryUniqueId": "('{#letter}','{#twin}')"},
        "letter, twin, first>letter, heart>letter, seventh>twin, foreign>twin",
    ),
    "GetSubmissionSets": (
        {"$uuid": "('{report}')"},
        "first, seventh, first>report, seventh>report",
    ),
    "GetSubmissionSetAndContents": (
        {"$XDSSubmissionSetEntryUUID": "'{seventh}'"},
        "seventh, report, twin, foreign, seventh>twin, seventh>foreign, foreign>twin, "
        "seventh>foreign>twin, seventh>report",
    ),
}
"""Results of two patients; GetFolderAndContents cannot have one, as a Folder is of one patient."""


@shows("behaviour single patient", "error XDSResultNotSinglePatient")
@pytest.mark.parametrize("query", OF_TWO_PATIENTS)
def test_metadata_of_two_patients_are_refused_and_references_are_not(
    server: Server, population: Population, query: str
) -> None:
    parameters, found = OF_TWO_PATIENTS[query]
    refused = ask(server, population, query, parameters)
    assert (refused.status, refused.codes) == ("Failure", ["XDSResultNotSinglePatient"])
    assert refused.elements == []
    references = wire.found(ask(server, population, query, parameters, v.OBJECT_REF))
    assert sorted(population.names(references)) == sorted(found.split(", "))


@shows("behaviour single patient")
def test_the_rule_of_one_patient_is_tested_wherever_it_holds() -> None:
    held = {row.name for row in STORED_QUERIES.values() if row.single_patient}
    assert held == {*OF_TWO_PATIENTS, "GetFolderAndContents"}


@shows("behaviour single patient")
def test_other_queries_may_find_what_is_of_two_patients(
    server: Server, population: Population
) -> None:
    given = {"$uuid": "('{letter}','{twin}')"}
    answer = wire.found(ask(server, population, "GetAssociations", given))
    assert {"first>letter", "seventh>twin"} <= set(population.names(answer))
    many = {
        **BASES["FindDocumentsForMultiplePatients"],
        "$XDSDocumentEntryPatientId": "('P1^^^&2.999.1.1&ISO','P2^^^&2.999.1.1&ISO')",
    }
    answer = wire.found(ask(server, population, "FindDocumentsForMultiplePatients", many))
    assert {"report", "twin"} <= set(population.names(answer))


# --- pages and limits ----------------------------------------------------------------------------


@shows("behaviour pages")
@pytest.mark.parametrize(
    "query", ["FindDocuments", "GetAll", "GetSubmissionSetAndContents", "GetAssociations"]
)
@pytest.mark.parametrize("return_type", [v.LEAF_CLASS, v.OBJECT_REF])
def test_pages_make_up_the_whole(
    server: Server, population: Population, query: str, return_type: str
) -> None:
    whole = wire.found(ask(server, population, query, BASES[query], return_type))
    assert "totalResultCount" not in whole.element.attrib
    paged: list[str] = []
    for start in range(0, len(whole.ids), 4):
        attributes = f'startIndex="{start}" maxResults="4"'
        page = ask(server, population, query, BASES[query], return_type, attributes)
        assert page.element.get("totalResultCount") == str(len(whole.ids))
        assert page.element.get("startIndex") == str(start)
        assert len(page.ids) == min(4, len(whole.ids) - start)
        paged += wire.found(page).ids
    assert paged == whole.ids


@shows("behaviour pages")
def test_a_page_past_the_end_is_empty(server: Server, population: Population) -> None:
    attributes = 'startIndex="1000" maxResults="10"'
    page = ask(server, population, "GetAll", ALL, attributes=attributes)
    assert (wire.found(page).ids, page.element.get("startIndex")) == ([], "1000")


@shows("behaviour pages")
def test_the_rest_from_an_index(server: Server, population: Population) -> None:
    whole = wire.found(ask(server, population, "GetAll", ALL)).ids
    rest = wire.found(ask(server, population, "GetAll", ALL, attributes='startIndex="30"')).ids
    assert rest == whole[30:]
