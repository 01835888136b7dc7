"""Reading the registry by the names of attributes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.databases import Databases
from xds.database.access import Database
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, And, Comparison, Criterion, Not, Operator, Or
from xds.metadata.objects import Association, Author, Code, DocumentEntry, Folder, SubmissionSet
from xds.metadata.submission import Submission
from xds.registry.queries.search import Order, Page
from xds.registry.queries.stored_queries import ResultLimits
from xds.registry.registry import DocumentRegistry

ANNA, BERT = (f"{name}^^^&2.999.1.1&ISO" for name in ("anna", "bert"))


@pytest.fixture
def registry(database: Database) -> DocumentRegistry:
    return DocumentRegistry(database=database, result_limits=ResultLimits(leaf_class=3))


def code(name: str) -> Code:
    return Code(name, "2.999.5", name.title())


def entry(number: int, patient_id: str = ANNA, **changed: Any) -> DocumentEntry:
    values: dict[str, Any] = {
        "patient_id": patient_id,
        "source_patient_id": patient_id,
        "unique_id": f"2.999.3.{number}",
        "mime_type": "text/plain",
        "hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "size": "0",
        "language_code": "en-GB",
        "creation_time": "20260301",
        "repository_unique_id": "2.999.1.3",
        "confidentiality_code": (code("n"),),
    }
    for name in ("class_code", "type_code", "format_code", "practice_setting_code"):
        values[name] = code("usual")
    values["healthcare_facility_type_code"] = code("usual")
    return DocumentEntry.create(**{**values, **changed})


def register(
    registry: DocumentRegistry,
    *things: DocumentEntry | Folder | Association,
    patient_id: str = ANNA,
    unique_id: str = "2.999.2.1",
) -> SubmissionSet:
    chosen = SubmissionSet.create(
        patient_id=patient_id,
        unique_id=unique_id,
        source_id="2.999.1.9",
        submission_time="20260302",
        content_type_code=code("usual"),
    )
    held = [
        Association.create(
            association_type=v.HAS_MEMBER,
            source=chosen.id,
            target=thing.id,
            submission_set_status=v.ORIGINAL if isinstance(thing, DocumentEntry) else None,
        )
        for thing in things
        if not (isinstance(thing, Association) and thing.association_type == v.RPLC)
    ]
    registry.register(Submission((chosen, *things, *held)))
    return chosen


def found(registry: DocumentRegistry, *criteria: Criterion, **more: Any) -> list[str]:
    with registry.view(ANYTHING) as view:
        return [
            (one.thing.unique_id or "")[8:] for one in view.find(DocumentEntry, criteria, **more)
        ]


def equal(attribute: str, *values: str) -> Comparison:
    return Comparison(attribute, Operator.EQUAL, values)


@pytest.fixture(scope="module")
def of_three(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DocumentRegistry]:
    """A registry of three entries, which no test may change."""
    with databases.opened(tmp_path_factory.mktemp("three")) as database:
        registry = DocumentRegistry(database=database)
        register(
            registry,
            entry(
                1,
                service_start_time="2025",
                event_code_list=(code("medical"),),
                author=(Author(person=("1^Smith^Jo_N",)),),
            ),
            entry(
                2,
                service_start_time="2026",
                event_code_list=(code("medical"), code("surgical")),
                author=(Author(person=("1^Smith^JoNN",)),),
            ),
        )
        register(registry, entry(3, BERT), patient_id=BERT, unique_id="2.999.2.2")
        yield registry


STARTED = Comparison("service_start_time", Operator.FROM, ("2026",))
ENDED = Comparison("service_start_time", Operator.BEFORE, ("2026",))
MEDICAL, SURGICAL = "medical^^2.999.5", "surgical^^2.999.5"


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        (equal("patient_id", BERT), ["3"]),
        (equal("patient_id", ANNA, BERT), ["1", "2", "3"]),
        (equal("event_code_list", MEDICAL), ["1", "2"]),
        (And(equal("event_code_list", MEDICAL), equal("event_code_list", SURGICAL)), ["2"]),
        (Comparison("author", Operator.LIKE_ANY_CASE, ("%^JO\\_n%",)), ["1"]),
        (Comparison("class_code", Operator.LIKE_ANY_CASE, ("usual^^%",)), ["1", "2", "3"]),
        (Comparison("class_code", Operator.LIKE_ANY_CASE, ("usua_",)), []),
        (STARTED, ["2"]),
        (ENDED, ["1"]),
        (Or(STARTED, ENDED), ["1", "2"]),
        (Not(STARTED), ["1", "3"]),
        (Comparison("service_start_time", Operator.GIVEN), ["1", "2"]),
        (Comparison("number", Operator.FROM, ("2",)), ["2", "3"]),
        (Or(), []),
        (equal("patient_id", "an\0na"), []),
        (Comparison("class_code", Operator.LIKE_ANY_CASE, ("us\0ual%",)), []),
    ],
)
def test_criteria_choose_entries(
    of_three: DocumentRegistry, criterion: Criterion, expected: list[str]
) -> None:
    assert found(of_three, criterion) == expected


def test_a_result_is_sorted_and_paged(registry: DocumentRegistry) -> None:
    times = ("2026", "2025", "2024")
    entries = [entry(n, service_start_time=time) for n, time in enumerate(times)]
    registry = replace(registry, result_limits=ResultLimits(leaf_class=4))
    register(registry, *entries, entry(3))
    order = [Order("service_start_time")]
    assert found(registry, order=order, page=Page(0, 4)) == ["2", "1", "0", "3"]
    assert found(registry, order=order, page=Page(1, 2)) == ["1", "0"]
    backwards = [Order("service_start_time", descending=True)]
    assert found(registry, order=backwards, page=Page(0, 2)) == ["0", "1"]
    with registry.view(ANYTHING) as view:
        assert view.count(DocumentEntry, ()) == 4


def test_too_large_a_result_is_refused(registry: DocumentRegistry) -> None:
    register(registry, *(entry(number) for number in range(4)))
    with pytest.raises(TransactionFailure, match="XDSTooManyResults"):
        found(registry)


def test_relations_members_and_patients(registry: DocumentRegistry) -> None:
    first, second = entry(1), entry(2)
    kept = Folder.create(
        patient_id=ANNA, unique_id="2.999.4.1", title="Heart", code_list=(code("usual"),)
    )
    within = Association.create(association_type=v.HAS_MEMBER, source=kept.id, target=first.id)
    made = register(registry, first, kept, within)
    replaces = Association.create(association_type=v.RPLC, source=second.id, target=first.id)
    register(registry, second, replaces, unique_id="2.999.2.2")
    with registry.view(ANYTHING) as view:
        (relation,) = view.relations([first.id, second.id])
        assert (relation.association_type, relation.source) == (v.RPLC, second.id)
        assert relation.target == first.id
        held = [(one.kind, one.entry_uuid) for one in view.members([made.id])]
        assert held == [(DocumentEntry, first.id), (Folder, kept.id)]
        inside = [one.entry_uuid for one in view.members([kept.id])]
        assert inside == [first.id, second.id], "a replacement takes its place in the Folder"
        (known,) = view.patients([ANNA, BERT])
        assert view.patients_by_number([known.number]) == [known]
        assert (known.patient_id, known.survivor) == (ANNA, None)
        (replaced,) = view.find(DocumentEntry, [equal("entry_uuid", first.id)])
        assert replaced.thing.availability_status == v.DEPRECATED
        assert replaced.patient == known.number
        assert replaced.registered_at <= replaced.last_updated_at
