"""Queries that are refused: each parameter missing, repeated or malformed, and the query itself."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.registry import wire
from tests.registry.population import Population
from tests.registry.query_cases import ALL, BASES, DOCUMENTS, PATIENT
from tests.registry.test_queries import CASES, QUERIES, ask
from tests.registry.wire import Answer, Parameters, World
from tests.serving import Server, serving
from xds.metadata import vocabulary as v
from xds.registry.queries.parameters import CODE, STATUS, TIME, Parameter
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.stored_queries import STORED_QUERIES

shows = pytest.mark.shows
MISSING = "XDSStoredQueryMissingParam"
NUMBER = "XDSStoredQueryParamNumber"
MALFORMED = "XDSRegistryError"


def refused(answer: Answer, *codes: str) -> str:
    """Require a refusal without result, and return what the first error says."""
    assert (answer.status, tuple(answer.codes)) == ("Failure", codes), answer.problems
    assert answer.elements == []
    return answer.problems[0].context


def _declared(
    holds: Callable[[StoredQuery, Parameter], bool], code: str, *more: str
) -> list[object]:
    """Return a case for each parameter of each query of which something holds."""
    return [
        pytest.param(
            row,
            parameter,
            id=f"{row.name}: {parameter.name}",
            marks=shows(
                f"error {code}",
                f"parameter {row.name} {parameter.name}",
                *(f"behaviour {one}" for one in more),
            ),
        )
        for row in STORED_QUERIES.values()
        for parameter in row.parameters
        if holds(row, parameter) and not parameter.of_updates  # test_metadata_level
    ]


def _value(parameter: Parameter) -> str:
    """Return a lawful value of a parameter, not in a list."""
    for case in CASES:
        if isinstance(value := case.parameters.get(parameter.name), str):
            return value.strip().removeprefix("(").removesuffix(")").split(",")[0]
    raise AssertionError(f"no case has {parameter.name} as one Value")


def _alternative(row: StoredQuery, parameter: Parameter) -> bool:
    return row.alternatives is not None and parameter.name in row.alternatives.names


def _with(row: StoredQuery, parameter: Parameter, values: wire.Values) -> Parameters:
    """Return the base of a query with one parameter given so, in place of its alternatives."""
    given = dict(BASES[row.name])
    if row.alternatives is not None and row.alternatives.exclusive and _alternative(row, parameter):
        given = {n: value for n, value in given.items() if n not in row.alternatives.names}
    return {**given, parameter.name: values}


# --- missing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "parameter"), _declared(lambda row, parameter: parameter.required, MISSING)
)
def test_a_required_parameter_is_missed(
    server: Server, population: Population, row: StoredQuery, parameter: Parameter
) -> None:
    given = {n: values for n, values in BASES[row.name].items() if n != parameter.name}
    said = refused(ask(server, population, row.name, given), MISSING)
    assert parameter.name in said


@pytest.mark.parametrize(
    ("row", "parameter"),
    _declared(
        lambda row, parameter: parameter.kind is STATUS and parameter.required,
        MISSING,
        "unknown status",
    ),
)
def test_an_unknown_status_is_as_good_as_none(
    server: Server, population: Population, row: StoredQuery, parameter: Parameter
) -> None:
    unknown = "('urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved','Approved')"
    given = _with(row, parameter, unknown)
    said = refused(ask(server, population, row.name, given), MISSING)
    assert parameter.name in said
    assert f"what is given is no known value; known are {v.APPROVED}, {v.DEPRECATED}" in said


@pytest.mark.parametrize("value", ["('^O'Brien^P')", "'^O'Brien^P'", "('^Smith','^O'Brien')"])
def test_an_apostrophe_that_is_not_written_twice_is_told(
    server: Server, population: Population, value: str
) -> None:
    given = {**BASES["FindDocuments"], "$XDSDocumentEntryAuthorPerson": value}
    said = refused(ask(server, population, "FindDocuments", given), "XDSRegistryError")
    assert "an apostrophe within a text is written twice, as in 'O''Brien'" in said


WITH_ALTERNATIVES = [row for row in QUERIES.values() if row.alternatives is not None]


@shows(f"error {MISSING}", "behaviour alternatives")
@pytest.mark.parametrize("row", WITH_ALTERNATIVES, ids=lambda row: row.name)
def test_one_of_the_alternatives_is_missed(
    server: Server, population: Population, row: StoredQuery
) -> None:
    assert row.alternatives is not None
    given = {n: v for n, v in BASES[row.name].items() if n not in row.alternatives.names}
    said = refused(ask(server, population, row.name, given), MISSING)
    own = {one.name for one in row.parameters if not one.of_updates}
    assert all((name in said) is (name in own) for name in row.alternatives.names)


@shows(f"error {NUMBER}", "behaviour alternatives")
@pytest.mark.parametrize(
    "row",
    [row for row in WITH_ALTERNATIVES if row.alternatives and row.alternatives.exclusive],
    ids=lambda row: row.name,
)
def test_only_one_of_the_alternatives_may_be_given(
    server: Server, population: Population, row: StoredQuery
) -> None:
    assert row.alternatives is not None
    both = {
        p.name: _value(p)
        for p in row.parameters
        if p.name in row.alternatives.names and not p.of_updates
    }
    said = refused(ask(server, population, row.name, {**BASES[row.name], **both}), NUMBER)
    assert all(name in said for name in both)


# --- too many ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "parameter"), _declared(lambda row, parameter: not parameter.multiple, NUMBER)
)
def test_a_single_value_is_no_list(
    server: Server, population: Population, row: StoredQuery, parameter: Parameter
) -> None:
    one = _value(parameter)
    other = "'2019'" if parameter.kind is TIME else "'another'"
    for values in (f"({one},{other})", (one, other)):
        given = _with(row, parameter, values)
        assert parameter.name in refused(ask(server, population, row.name, given), NUMBER)


@pytest.mark.parametrize(
    ("row", "parameter"), _declared(lambda row, parameter: not parameter.conjunctive, NUMBER, "AND")
)
def test_a_slot_may_not_be_repeated(
    server: Server, population: Population, row: StoredQuery, parameter: Parameter
) -> None:
    given = _with(row, parameter, [_value(parameter), _value(parameter)])
    assert parameter.name in refused(ask(server, population, row.name, given), NUMBER)


# --- malformed -----------------------------------------------------------------------------------

WRONG_SYNTAX = (
    *("", " ", "()", "(", "('a'", "'a", "a'", "'a''", "'a','b'", "('a' 'b')", "('a',)", "(,'a')"),
    *('("a")', "[('a')]", "('a')('b')", "('a'),('b')", "Approved", "urn:uuid:1", "12", "(1,2)"),
)
WRONG_CODES = ("'report'", "'report^^'", "'^^2.999.5.1'", "'report^2.999.5.1'", "('a^^b','c')")
WRONG_TIMES = ("'yesterday'", "2025-01-01", "20251301", "20250230", "202", "20250101000000.5")


@shows(f"error {MALFORMED}", "behaviour quotes")
@pytest.mark.parametrize("wrong", WRONG_SYNTAX)
def test_what_is_no_list_of_texts_is_refused(
    server: Server, population: Population, wrong: str
) -> None:
    given = {**DOCUMENTS, "$XDSDocumentEntryAuthorPerson": wrong}
    answer = ask(server, population, "FindDocuments", given)
    assert "$XDSDocumentEntryAuthorPerson" in refused(answer, MALFORMED)


def _wrong(parameter: Parameter) -> Iterator[str]:
    yield "('a'"
    if parameter.kind.quoted:
        yield "12"
    if parameter.kind is CODE:
        yield from WRONG_CODES
    if parameter.kind is TIME:
        yield from WRONG_TIMES


@pytest.mark.parametrize(("row", "parameter"), _declared(lambda row, parameter: True, MALFORMED))
def test_a_malformed_value_is_refused(
    server: Server, population: Population, row: StoredQuery, parameter: Parameter
) -> None:
    for wrong in _wrong(parameter):
        given = _with(row, parameter, wrong)
        assert parameter.name in refused(ask(server, population, row.name, given), MALFORMED)


# --- the query itself ----------------------------------------------------------------------------


@shows("error XDSUnknownStoredQuery")
@pytest.mark.parametrize(
    "query_id",
    [
        "urn:uuid:11111111-2222-4333-8444-555555555555",
        v.FIND_DOCUMENTS.upper(),
        "FindDocuments",
        v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS,
    ],
)
def test_an_unknown_query_is_refused(server: Server, query_id: str) -> None:
    answer = wire.query(server, query_id, DOCUMENTS)
    assert query_id in refused(answer, "XDSUnknownStoredQuery")


@shows("error XDSUnknownStoredQuery", "ITI-51")
def test_a_query_of_one_patient_is_none_of_the_other_transaction(server: Server) -> None:
    refused(wire.query(server, v.FIND_DOCUMENTS, DOCUMENTS, name="ITI-51"), "XDSUnknownStoredQuery")


@shows("error XDSRegistryError", "behaviour returnType")
@pytest.mark.parametrize("return_type", ["RegistryObject", "LeafClassWithRepositoryItem"])
def test_another_return_type_is_refused(server: Server, return_type: str) -> None:
    answer = wire.query(server, v.FIND_DOCUMENTS, DOCUMENTS, return_type)
    assert return_type in refused(answer, "XDSRegistryError")


@shows("error XDSRegistryError", "behaviour returnType")
def test_no_return_type_is_that_of_ebrs(server: Server) -> None:
    message = wire.query_message(v.FIND_DOCUMENTS, DOCUMENTS)
    without = message.replace(b'returnType="LeafClass" ', b"")
    assert without != message
    assert "RegistryObject" in refused(wire.send(server, without), "XDSRegistryError")


@shows("error XDSRegistryError")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'returnType="LeafClass"', b'returnType="Everything"'),
        (b"<rim:AdhocQuery id=", b"<rim:AdhocQuery colour="),
        (b"<query:ResponseOption ", b"<query:ResponseChoice "),
        (b"<rim:Value>", b"<rim:Value>" + b"x" * 257),
    ],
)
def test_a_query_that_breaks_the_schema_is_refused(server: Server, old: bytes, new: bytes) -> None:
    message = wire.query_message(v.FIND_DOCUMENTS, DOCUMENTS)
    assert old in message
    answer = wire.send(server, message.replace(old, new, 1))
    assert (answer.status, set(answer.codes), answer.elements) == (
        "Failure",
        {"XDSRegistryError"},
        [],
    )


@shows("behaviour all errors")
def test_all_errors_of_a_query_are_reported_together(
    server: Server, population: Population
) -> None:
    wrong = {
        "$XDSDocumentEntryPatientId": f"({PATIENT},'P2^^^&2.999.1.1&ISO')",
        "$XDSDocumentEntryClassCode": "('report')",
        "$XDSDocumentEntryCreationTimeFrom": "soon",
    }
    answer = ask(server, population, "FindDocuments", wrong)
    assert sorted(answer.codes) == sorted([NUMBER, MISSING, MALFORMED, MALFORMED])
    assert len({problem.context for problem in answer.problems}) == 4


# --- too many results ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, World]]:
    """A server that gives out no more than 3 objects or 4 references, with 5 documents."""
    options = {"max_leaf_class_results": "3", "max_object_ref_results": "4"}
    with serving(tmp_path_factory.mktemp("limited"), options) as running:
        world = World.new()
        wire.accept(running, world.fixture("iti42/preassigned_uuids"))
        yield running, world


TOO_MANY: dict[str, Mapping[str, str]] = {
    v.FIND_DOCUMENTS: DOCUMENTS,
    v.GET_ALL: {**ALL, "$XDSDocumentEntryType": wire.BOTH_TYPES},
    v.GET_ASSOCIATIONS: {"$uuid": "('urn:uuid:00000000-0000-4000-8000-000000000001')"},
    v.GET_SUBMISSION_SET_AND_CONTENTS: {"$XDSSubmissionSetUniqueId": "'2.999.2.1'"},
}


@shows("error XDSTooManyResults")
@pytest.mark.parametrize("return_type", [v.LEAF_CLASS, v.OBJECT_REF])
@pytest.mark.parametrize("query_id", TOO_MANY, ids=lambda one: STORED_QUERIES[one].name)
def test_too_many_results_are_refused(
    limited: tuple[Server, World], query_id: str, return_type: str
) -> None:
    server, world = limited
    given = {name: world.text(values) for name, values in TOO_MANY[query_id].items()}
    refused(wire.query(server, query_id, given, return_type), "XDSTooManyResults")


@shows("error XDSTooManyResults")
def test_as_many_results_as_allowed_are_given(limited: tuple[Server, World]) -> None:
    server, world = limited
    uuids = [world.uuid(number) for number in range(10, 15)]

    def ask_for(number: int, return_type: str) -> Answer:
        given = {"$XDSDocumentEntryEntryUUID": wire.texts(*uuids[:number])}
        return wire.query(server, v.GET_DOCUMENTS, given, return_type)

    assert wire.found(ask_for(3, v.LEAF_CLASS)).ids == uuids[:3]
    assert wire.found(ask_for(4, v.OBJECT_REF)).ids == uuids[:4]
    refused(ask_for(4, v.LEAF_CLASS), "XDSTooManyResults")
    refused(ask_for(5, v.OBJECT_REF), "XDSTooManyResults")


@shows("error XDSTooManyResults", "behaviour pages")
def test_pages_lead_through_what_is_too_many_at_once(limited: tuple[Server, World]) -> None:
    server, world = limited
    given = {name: world.text(values) for name, values in DOCUMENTS.items()}
    seen: list[str] = []
    for start in (0, 2, 4):
        attributes = f'startIndex="{start}" maxResults="2"'
        message = wire.query_message(v.FIND_DOCUMENTS, given, attributes=attributes)
        page = wire.found(wire.send(server, message))
        assert page.element.get("totalResultCount") == "5"
        seen += page.ids
    assert seen == [world.uuid(number) for number in range(10, 15)]
