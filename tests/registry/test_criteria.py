"""The SQL of a criterion and evaluate() decide alike, whatever entries and criteria there are."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.databases import Databases
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.criteria import (
    ANYTHING,
    And,
    Comparison,
    Criterion,
    Not,
    Operator,
    Or,
    evaluate,
)
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Author, Code, DocumentEntry
from xds.metadata.searched import ORDERED
from xds.registry.patients import Patients
from xds.registry.queries.conditions import decided
from xds.registry.queries.parameters import criterion_of, decode
from xds.registry.queries.stored_queries import STORED_QUERIES
from xds.registry.queries.views import Found, RegistryView
from xds.registry.queries.visibility import Visibility
from xds.registry.storage.rows import assign_patients, insert_objects, prepared

PATIENTS: Final = ("anna^^^&2.999.1&ISO", "Anna^^^&2.999.1&ISO")
UUIDS: Final = tuple(f"urn:uuid:{number}1111111-1111-4111-8111-111111111111" for number in range(3))
UNIQUE_IDS: Final = (
    "2.999.1",
    "urn:oid:2.999.1",
    "URN:UUID:A1111111-1111-4111-8111-111111111111",
    "urn:uuid:a1111111-1111-4111-8111-111111111111",
    "a^b%c",
)
TIMES: Final = ("2026", "202601", "20260101000001", "20260305", "202603051011", "2027")
NUMBERS: Final = ("0", "7", "007", "1024", "99999999999")
STATUSES: Final = (v.APPROVED, v.DEPRECATED)
TYPES: Final = (v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY)

# wild in patterns, with case, accents in both forms, letters beyond 16 bits, quotes of JSON and SQL
TEXTS: Final = st.text("aAbÉée\u0301Kß%_\\'\"{,}[🫀 ", min_size=1, max_size=4)
CODES: Final = st.builds(Code, TEXTS, st.sampled_from(["", "2.999.5", "s%"]))
PERSONS: Final = st.lists(TEXTS, min_size=1, max_size=4).map("^".join)
AUTHORS: Final = st.builds(
    lambda person, institution: Author(person=tuple(person), institution=tuple(institution)),
    st.lists(PERSONS, max_size=2),
    st.lists(TEXTS, max_size=1),
)


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


def perhaps(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | one


ENTRIES: Final = st.fixed_dictionaries(
    {
        "patient_id": st.sampled_from(PATIENTS),
        "unique_id": st.sampled_from(UNIQUE_IDS),
        "object_type": st.sampled_from(TYPES),
        "class_code": perhaps(CODES),
        "event_code_list": several(CODES),
        "confidentiality_code": several(CODES),
        "reference_id_list": several(TEXTS),
        "author": several(AUTHORS),
        "title": perhaps(TEXTS),
        "language_code": perhaps(TEXTS),
        "service_start_time": perhaps(st.sampled_from(TIMES)),
        "size": perhaps(st.sampled_from(NUMBERS)),
        "home_community_id": perhaps(TEXTS),
    }
)

FINITE: Final = {
    "patient_id": PATIENTS,
    "unique_id": UNIQUE_IDS,
    "entry_uuid": (*UUIDS, "no UUID", UUIDS[0].upper()),
    "object_type": (*TYPES, "no type"),
    "availability_status": (*STATUSES, "no status"),
    "service_start_time": TIMES,
    "registered_at": TIMES,
    "size": NUMBERS,
    "number": ("1", "2", "3"),
}
CODED: Final = ("class_code", "event_code_list", "confidentiality_code")
TEXTUAL: Final = ("author", "author_institution", "reference_id_list", "title")
IN_MEMORY: Final = ("author_family", "author_given", "language_code")
LIKE: Final = (Operator.LIKE, Operator.LIKE_ANY_CASE)
BY_VALUE: Final = (Operator.EQUAL, Operator.OTHER)
AS_STRINGS: Final = (Operator.STARTS, Operator.CONTAINS, Operator.EQUAL)


def pattern(text: str) -> str:
    """Make a valid pattern: what is escaped is a wild sign or a backslash."""
    return text[:-1] + "\\\\" if (len(text) - len(text.rstrip("\\"))) % 2 else text


def compared(
    attributes: Sequence[str],
    operators: Sequence[Operator],
    values: st.SearchStrategy[str],
    at_most: int = 5,
) -> st.SearchStrategy[Criterion]:
    return st.builds(
        Comparison,
        st.sampled_from(attributes),
        st.sampled_from(operators),
        st.lists(values, min_size=int(at_most == 1), max_size=at_most).map(tuple),
    )


def _of_finite(attribute: str, values: Sequence[str]) -> Iterator[st.SearchStrategy[Criterion]]:
    yield compared([attribute], BY_VALUE, st.sampled_from(values))
    if attribute == "number" or DocumentEntry.searched_as(attribute) in ORDERED:
        yield compared(
            [attribute], (Operator.FROM, Operator.BEFORE), st.sampled_from(values), at_most=1
        )


COMPARISONS: Final = st.one_of(
    *(one for attribute, values in FINITE.items() for one in _of_finite(attribute, values)),
    compared(CODED, BY_VALUE, CODES.map(str)),
    compared(CODED, LIKE, CODES.map(str).map(pattern)),
    compared(TEXTUAL, BY_VALUE, TEXTS | PERSONS),
    compared([*TEXTUAL, "unique_id"], LIKE, (TEXTS | PERSONS).map(pattern)),
    compared([*IN_MEMORY, "title"], AS_STRINGS, TEXTS),
    st.builds(
        Comparison,
        st.sampled_from([*FINITE, *CODED, *TEXTUAL]),
        st.just(Operator.GIVEN),
    ),
)


def _joined(criteria: st.SearchStrategy[Criterion]) -> st.SearchStrategy[Criterion]:
    parts = st.lists(criteria, max_size=3)
    return (
        parts.map(lambda found: And(*found))
        | parts.map(lambda found: Or(*found))
        | criteria.map(Not)
    )


CRITERIA: Final[st.SearchStrategy[Criterion]] = st.recursive(COMPARISONS, _joined, max_leaves=6)


class Undone(Exception):
    """Ends a transaction that is not to be committed."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("criteria")) as database:
        yield database


def found(
    database: Database,
    entries: Sequence[dict[str, Any]],
    statuses: Sequence[str],
    criterion: Criterion,
    visible: Criterion = ANYTHING,
) -> tuple[list[Found[DocumentEntry]], list[str]]:
    """Return the entries, registered without a look at the rules, and those that SQL finds."""
    things = [
        prepared(DocumentEntry.create(entry_uuid=uuid, **values), f"{year}0101000000")
        for year, (uuid, values) in enumerate(zip(UUIDS, entries, strict=False), start=2026)
    ]
    with suppress(Undone), database.write() as connection:
        assign_patients(things, Patients(connection, PATIENTS, learn=True))
        for one, status in zip(things, statuses, strict=False):
            one.row["availability_status"] = status
        insert_objects(connection, things)
        whole = RegistryView(connection, 10, Visibility.of(ANYTHING))
        everything = whole.find(DocumentEntry, [])
        view = RegistryView(connection, 10, Visibility.of(visible))
        chosen = [one.thing.id for one in view.find(DocumentEntry, [criterion])]
        if view.decides(DocumentEntry, [criterion]):
            assert view.count(DocumentEntry, [criterion]) == len(chosen)
        raise Undone
    return everything, chosen


CASES: Final = given(
    entries=st.lists(ENTRIES, min_size=1, max_size=3),
    statuses=st.lists(st.sampled_from(STATUSES), min_size=3, max_size=3),
    criterion=CRITERIA,
    visible=st.just(ANYTHING) | CRITERIA,
)


@CASES
@settings(max_examples=50)
def test_sql_and_evaluate_decide_alike(opened: Database, **case: Any) -> None:
    decide_alike(opened, **case)


@pytest.mark.slow
@CASES
@settings(max_examples=1000)
def test_sql_and_evaluate_decide_alike_in_many_cases(opened: Database, **case: Any) -> None:
    decide_alike(opened, **case)


def decide_alike(
    opened: Database,
    entries: list[dict[str, Any]],
    statuses: list[str],
    criterion: Criterion,
    visible: Criterion,
) -> None:
    if not decided(DocumentEntry, visible)[1]:
        visible = ANYTHING  # what a policy says is for the database to decide
    everything, chosen = found(opened, entries, statuses, criterion, visible)
    expected = [one.thing.id for one in everything if one.meets(And(criterion, visible))]
    assert chosen == expected


NEW: Final = DocumentEntry.create(
    class_code=Code("report", "2.999.5"),
    confidentiality_code=(Code("N", "2.999.6"), Code("R", "2.999.6")),
    service_start_time="2026",
    author=(Author(person=("1^Ruiz^Ana", "2^O'Hara")),),
    title="Chest_X",
)
"""An entry that no registry has."""
DE: Final = "$XDSDocumentEntry"


@pytest.mark.parametrize(
    ("parameter", "slots", "is_met"),
    [
        ("ClassCode", ["('image^^2.999.5','report^^2.999.5')"], True),
        ("ClassCode", ["('report^^2.999.6')"], False),
        ("ConfidentialityCode", ["('N^^2.999.6')", "('R^^2.999.6','V^^2.999.6')"], True),
        ("ConfidentialityCode", ["('N^^2.999.6')", "('V^^2.999.6')"], False),
        ("AuthorPerson", ["('%Ruiz^A%')"], True),
        ("AuthorPerson", ["('%ruiz%')"], False),
        ("AuthorPerson", ["('2^O''Hara')"], True),
        ("Title", ["('Chest\\_X')"], False),  # IHE has no escape character
        ("Title", ["('Chest_X')"], True),
        ("CreationTimeFrom", ["2030"], True),  # it has none, which is within any bounds
        ("ServiceStartTimeFrom", ["202601"], True),
        ("ServiceStartTimeFrom", ["20260101000001"], False),
        ("ServiceStartTimeTo", ["2026"], False),
        ("ServiceStartTimeTo", ["202602"], True),
    ],
)
def test_a_parameter_of_a_stored_query_is_decided_for_a_new_entry(
    parameter: str, slots: list[str], is_met: bool
) -> None:
    query = STORED_QUERIES[v.FIND_DOCUMENTS_BY_TITLE]
    rows = [replace(one, required=False) for one in query.parameters if one.name == DE + parameter]
    arguments = decode([Slot(DE + parameter, (text,)) for text in slots], rows)
    assert evaluate(criterion_of(rows, arguments), NEW) is is_met


def test_names_and_texts_are_compared_without_case_and_accents() -> None:
    entry = NEW.updated(author=(Author(person=("^M\u00fcller&von^Zo\u00eb^Anna Lena",)),))
    for attribute, operator, value, is_met in (
        ("author_family", Operator.STARTS, "mul", True),
        ("author_family", Operator.EQUAL, "Muller", False),
        ("author_family", Operator.CONTAINS, "von", False),
        ("author_given", Operator.STARTS, "LENA", True),
        ("author_given", Operator.STARTS, "e", False),
        ("title", Operator.CONTAINS, "t_x", True),
    ):
        assert evaluate(Comparison(attribute, operator, (value,)), entry) is is_met


def test_what_is_no_attribute_is_not_decided() -> None:
    with pytest.raises(KeyError):
        evaluate(Comparison("registered_at", Operator.GIVEN), NEW)
