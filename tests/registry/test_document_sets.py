"""Documents that say their versions: what the registry makes of it, whatever comes first."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from tests.databases import Databases
from tests.rounds import rounds
from tests.waiting import PATIENCE
from xds.client import new_oid
from xds.database.access import Database
from xds.errors import RegistryError, TransactionFailure
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.criteria import ANYTHING, Comparison, Criterion, Operator
from xds.metadata.ebrim import new_uuid
from xds.metadata.objects import Association, Code, DocumentEntry, SubmissionSet
from xds.metadata.rules.case import Policy
from xds.metadata.submission import StatedRelation, StatedVersion, Submission
from xds.registry.identities import PatientIdentities
from xds.registry.registry import DocumentRegistry
from xds.registry.versions.set_rows import awaited_document, document_set_member

P1, P2 = "P1^^^&2.999.1&ISO", "P2^^^&2.999.1&ISO"
CODE = Code("c", "2.999.5", "C")
SET = "2.999.7^S1"


def rplc(*unique_ids: str, set_id: str = "") -> StatedRelation:
    return StatedRelation(association_type=v.RPLC, unique_ids=unique_ids, set_id=set_id)


def said(version: int | None, *related: StatedRelation, **more: Any) -> StatedVersion:
    more.setdefault("set_id", SET)
    return StatedVersion(version=version, related=related, **more)


@dataclass
class Registered:
    """A registry, what is submitted to it, and what is there then; documents have names."""

    registry: DocumentRegistry
    patient_id: str = P1
    entries: dict[str, DocumentEntry] = field(default_factory=dict)

    def unique_id(self, name: str) -> str:
        return self.entries[name].unique_id or "" if name in self.entries else f"2.999.66.{name}"

    def entry(self, name: str, unique_id: str | None = None) -> DocumentEntry:
        codes = ("class_code", "type_code", "format_code", "practice_setting_code")
        return DocumentEntry.create(
            entry_uuid=new_uuid(),
            patient_id=self.patient_id,
            source_patient_id=self.patient_id,
            unique_id=unique_id or f"2.999.66.{name}",
            mime_type="text/xml",
            hash="a" * 40,
            size="1",
            repository_unique_id="2.999.9",
            language_code="en",
            creation_time="2026",
            confidentiality_code=(CODE,),
            healthcare_facility_type_code=CODE,
            **dict.fromkeys(codes, CODE),
        )

    def put(
        self,
        name: str,
        stated: StatedVersion | None = None,
        *more: tuple[str, StatedVersion],
        relations: Sequence[tuple[str, str]] = (),
        unique_id: str | None = None,
        visible: Criterion = ANYTHING,
    ) -> list[str]:
        """Submit a document, and others with it; return the codes of the warnings."""
        given = dict(((name, stated), *more))
        made = {one: self.entry(one, unique_id) for one in given}
        submission_set = SubmissionSet.create(
            entry_uuid=new_uuid(),
            patient_id=self.patient_id,
            unique_id=new_oid(),
            source_id="2.999.1",
            submission_time=datatypes.now(),
            content_type_code=CODE,
        )
        held = [
            Association.create(
                association_type=v.HAS_MEMBER,
                source=submission_set.id,
                target=one.id,
                submission_set_status=v.ORIGINAL,
            )
            for one in made.values()
        ]
        own = [
            Association.create(
                association_type=kind, source=made[name].id, target=self.entries[target].id
            )
            for kind, target in relations
        ]
        told = self.registry.register(
            Submission((submission_set, *made.values(), *held, *own)),
            visible=visible,
            stated={made[one].id: what for one, what in given.items() if what is not None},
        )
        self.entries |= made
        return [self.of_warning(one) for one in told]

    @staticmethod
    def of_warning(one: RegistryError) -> str:
        assert one.severity.endswith("Warning")
        return one.code

    def statuses(self) -> dict[str, str]:
        """Return which documents are Approved, and which are Deprecated."""
        words = {v.APPROVED: "A", v.DEPRECATED: "D", None: ""}
        with self.registry.view(ANYTHING) as view:
            found = {one.thing.id: one.thing for one in view.find(DocumentEntry, [])}
        return {
            name: words[found[one.id].availability_status]
            for name, one in sorted(self.entries.items())
            if one.id in found
        }

    def relations(self) -> set[tuple[str, str, str]]:
        """Return the relations: source, type and target."""
        names = {one.id: name for name, one in self.entries.items()}
        kinds = {v.RPLC: "RPLC", v.APND: "APND", v.XFRM: "XFRM", v.XFRM_RPLC: "XFRM_RPLC"}
        with self.registry.view(ANYTHING) as view:
            found = view.relations(list(names))
        return {
            (names[one.source], kinds[one.association_type], names[one.target]) for one in found
        }

    def rows(self, table: Any) -> list[Any]:
        with self.registry.database.read() as connection:
            return list(connection.execute(select(table)))

    def refused(self, put: Callable[[], object]) -> list[str]:
        """Have a submission refused, and see that nothing has changed; return the codes."""
        before = self.statuses(), self.relations(), self.rows(document_set_member)
        with pytest.raises(TransactionFailure) as refusal:
            put()
        assert (self.statuses(), self.relations(), self.rows(document_set_member)) == before
        return [one.code for one in refusal.value.errors]


@pytest.fixture
def there(database: Database) -> Registered:
    return Registered(DocumentRegistry(database=database))


def with_policy(there: Registered, lower: Any) -> Registered:
    registry = replace(there.registry, policy=Policy(lower_versions=lower))
    return replace(there, registry=registry)


# --- in either order -----------------------------------------------------------------------------


def test_a_later_version_replaces_the_one_before(there: Registered) -> None:
    assert there.put("1", said(1)) == []
    assert there.put("2", said(2, rplc("2.999.66.1", set_id=SET))) == []
    assert there.statuses() == {"1": "D", "2": "A"}
    assert there.relations() == {("2", "RPLC", "1")}


def test_an_earlier_version_that_comes_later_is_replaced_at_once(there: Registered) -> None:
    there.put("2", said(2, rplc("2.999.66.1", set_id=SET)))
    assert there.put("1", said(1)) == ["XDSRegistryDeprecatedDocumentError"]
    assert there.statuses() == {"1": "D", "2": "A"}
    assert there.relations() == {("2", "RPLC", "1")}
    assert there.rows(awaited_document) == []


@pytest.mark.parametrize("order", ["123", "132", "213", "231", "312", "321"])
@pytest.mark.parametrize("named", ["all", "none", "wrong"])
def test_three_versions_leave_the_last_in_any_order(
    there: Registered, order: str, named: str
) -> None:
    for name in order:
        parent = str(int(name) - 1) if named == "all" else "77"
        related = [] if named == "none" or name == "1" else [rplc(f"2.999.66.{parent}")]
        there.put(name, said(int(name), *related))
    assert there.statuses() == {"1": "D", "2": "D", "3": "A"}


def test_both_versions_of_one_submission(there: Registered) -> None:
    there.put("1", said(1), ("2", said(2, rplc("2.999.66.1"))))
    assert there.statuses() == {"1": "D", "2": "A"}
    assert there.relations() == {("2", "RPLC", "1")}


def test_versions_without_numbers_are_in_order_of_their_times(there: Registered) -> None:
    there.put("2", said(None, moment="20260102000000"))
    there.put("1", said(None, moment="20260101000000"))
    there.put("3", said(None, moment="20260103000000"))
    assert there.statuses() == {"1": "D", "2": "D", "3": "A"}


def test_the_sets_of_other_patients_are_others(there: Registered) -> None:
    there.put("1", said(1))
    other = replace(there, patient_id=P2)
    assert other.put("2", said(2)) == []
    assert there.statuses() == {"1": "A", "2": "A"}


# --- parents -------------------------------------------------------------------------------------


def test_a_parent_of_a_wrong_id_is_found_by_the_set(there: Registered) -> None:
    there.put("1", said(1))
    assert there.put("2", said(2, rplc("2.999.66.13"))) == ["UnresolvedReferenceException"]
    assert there.statuses() == {"1": "D", "2": "A"}
    assert there.relations() == {("2", "RPLC", "1")}


def test_an_id_that_is_of_another_set_is_wrong(there: Registered) -> None:
    there.put("1", said(1))
    there.put("other", said(1, set_id="2.999.7^S2"))
    there.put("2", said(2, rplc("2.999.66.other", set_id=SET)))
    assert there.statuses() == {"1": "D", "2": "A", "other": "A"}


def test_a_version_that_says_no_parent_replaces_its_set(there: Registered) -> None:
    there.put("1", said(1))
    assert there.put("2", said(2)) == ["XDSRegistryMetadataError"]
    assert there.relations() == {("2", "RPLC", "1")}


@pytest.mark.parametrize("set_id", ["", SET])
def test_a_parent_that_is_not_here_is_told(there: Registered, set_id: str) -> None:
    stated = said(2, rplc("urn:uuid:00000000-0000-4000-8000-000000000001"), set_id=set_id)
    assert there.put("2", stated) == ["UnresolvedReferenceException"]
    assert there.statuses() == {"2": "A"}


def test_a_parent_that_comes_later_is_replaced_then(there: Registered) -> None:
    there.put("2", said(None, rplc("2.999.66.1"), set_id=""))
    assert there.put("1", StatedVersion()) == ["XDSRegistryDeprecatedDocumentError"]
    assert there.statuses() == {"1": "D", "2": "A"}
    assert there.relations() == {("2", "RPLC", "1")}


@pytest.mark.parametrize("kind", [v.APND, v.XFRM])
def test_what_adds_to_a_document_may_come_before_it(there: Registered, kind: str) -> None:
    relation = StatedRelation(association_type=kind, unique_ids=("2.999.66.1",))
    assert there.put("2", said(1, relation, set_id="2.999.7^own")) == [
        "UnresolvedReferenceException"
    ]
    assert there.put("1", said(1)) == []
    ((source, _, target),) = there.relations()
    assert (source, target) == ("2", "1")
    assert there.statuses() == {"1": "A", "2": "A"}
    assert there.rows(awaited_document) == []


@pytest.mark.parametrize("kind", [v.APND, v.XFRM])
def test_an_addendum_of_the_same_set_is_no_version(there: Registered, kind: str) -> None:
    there.put("1", said(1))
    relation = StatedRelation(association_type=kind, unique_ids=("2.999.66.1",))
    assert there.put("2", said(1, relation)) == []
    assert there.statuses() == {"1": "A", "2": "A"}
    there.put("3", said(2))
    assert there.statuses() == {"1": "D", "2": "D", "3": "A"}, "with what was replaced"


def test_a_conversion_that_replaces_is_one_relation(there: Registered) -> None:
    there.put("1", said(1))
    both = [rplc("2.999.66.1"), StatedRelation(association_type=v.XFRM, unique_ids=("2.999.66.1",))]
    there.put("2", said(2, *both))
    assert there.relations() == {("2", "XFRM_RPLC", "1")}


def test_a_set_is_named_in_place_of_an_id(there: Registered) -> None:
    there.put("1", said(1))
    assert there.put("2", said(1, rplc(SET), set_id="2.999.7^S2")) == []
    assert there.relations() == {("2", "RPLC", "1")}


def test_what_the_metadata_say_is_said_once(there: Registered) -> None:
    there.put("1", said(1))
    there.put("2", said(2, rplc("2.999.66.1")), relations=[(v.RPLC, "1")])
    assert there.relations() == {("2", "RPLC", "1")}
    there.put("3", said(3), relations=[(v.APND, "2")])
    assert there.statuses() == {"1": "D", "2": "A", "3": "A"}


def test_a_parent_that_was_withdrawn_stays_so(there: Registered) -> None:
    there.put("1", said(1, set_id=""), unique_id="2.999.66.1")
    withdraw(there, "1", v.DEPRECATED)
    assert there.put("2", said(2, rplc("2.999.66.1"), set_id="")) == [
        "XDSRegistryDeprecatedDocumentError"
    ]
    assert there.statuses() == {"1": "D", "2": "A"}


def test_a_document_of_no_set_is_replaced_once(there: Registered) -> None:
    there.put("1")
    there.put("2", said(None, rplc("2.999.66.1"), set_id=""))
    again = said(None, rplc("2.999.66.1"), set_id="")
    assert there.refused(lambda: there.put("3", again)) == ["XDSRegistryDeprecatedDocumentError"]


def test_what_a_submitter_may_not_see_is_as_if_it_were_not_there(there: Registered) -> None:
    there.put("1", said(1))
    nothing = Comparison("title", Operator.EQUAL, ("visible",))
    there.put("2", said(2, rplc("2.999.66.1")), visible=nothing)
    assert there.statuses() == {"1": "A", "2": "A"}


# --- lower and equal versions --------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_higher(there: Registered, version: int) -> None:
    there.put("2", said(2))
    assert there.put("other", said(version)) == ["XDSRegistryDeprecatedDocumentError"]
    assert there.statuses() == {"2": "A", "other": "D"}
    refusing = with_policy(there, "refuse")
    refused = refusing.refused(lambda: refusing.put("third", said(version)))
    assert refused == ["XDSRegistryMetadataError"]
    keeping = with_policy(there, "keep")
    assert keeping.put("fourth", said(version)) == ["XDSRegistryMetadataError"]
    assert keeping.statuses() == {"2": "A", "fourth": "A", "other": "D"}


def test_a_replacement_by_name_counts_for_more_than_its_number(there: Registered) -> None:
    there.put("1", said(1))
    assert there.put("2", said(1, rplc("2.999.66.1"))) == ["XDSRegistryMetadataError"]
    assert there.statuses() == {"1": "D", "2": "A"}


def test_a_document_that_two_replace_has_one_replacement(there: Registered) -> None:
    there.put("1", said(1))
    for name in ("2a", "2b"):
        there.put(name, said(2, rplc("2.999.66.1")))
    assert there.statuses() == {"1": "D", "2a": "A", "2b": "D"}
    assert there.relations() == {("2a", "RPLC", "1"), ("2a", "RPLC", "2b")}


def test_the_same_document_again_is_no_other_version(there: Registered) -> None:
    there.put("1", said(1))
    assert there.put("again", said(1), unique_id="2.999.66.1") == []
    assert there.statuses() == {"1": "A", "again": "A"}
    there.put("2", said(2))
    assert there.statuses() == {"1": "D", "2": "A", "again": "D"}
    there.put("once more", said(1), unique_id="2.999.66.1")
    assert there.statuses()["once more"] == "D"


def test_after_a_withdrawal_no_earlier_version_is_current(there: Registered) -> None:
    there.put("2", said(2))
    withdraw(there, "2", v.DEPRECATED)
    there.put("1", said(1))
    assert there.statuses() == {"1": "D", "2": "D"}
    there.put("corrected", said(2))
    assert there.statuses() == {"1": "D", "2": "D", "corrected": "A"}


def test_what_cannot_be_used_is_told(there: Registered) -> None:
    assert there.put("1", said(None, set_id="", faults=("versionNumber is not",))) == [
        "XDSRegistryMetadataError"
    ]


# --- what else changes ---------------------------------------------------------------------------


def withdraw(there: Registered, name: str, status: str) -> None:
    """Change the status of a document by ITI-57."""
    with there.registry.view(ANYTHING) as view:
        (found,) = view.find(
            DocumentEntry, [Comparison("entry_uuid", Operator.EQUAL, (there.entries[name].id,))]
        )
    submission_set = SubmissionSet.create(
        entry_uuid=new_uuid(),
        patient_id=found.thing.patient_id,
        unique_id=new_oid(),
        source_id="2.999.1",
        submission_time=datatypes.now(),
        content_type_code=CODE,
    )
    change = Association.create(
        association_type=v.UPDATE_AVAILABILITY_STATUS,
        source=submission_set.id,
        target=found.thing.id,
        original_status=found.thing.availability_status,
        new_status=status,
    )
    there.registry.register(Submission((submission_set, change)), transaction=ITI_57.name)


def test_what_is_replaced_does_not_become_current_again(there: Registered) -> None:
    there.put("2", said(2))
    there.put("1", said(1))
    refused = there.refused(lambda: withdraw(there, "1", v.APPROVED))
    assert refused == ["XDSMetadataUpdateError"]


def test_the_sets_follow_a_merged_patient(there: Registered) -> None:
    there.put("1", said(1))
    identities = PatientIdentities(there.registry.database)
    identities.add(P2)
    identities.merge(subsumed=P1, surviving=P2)
    replace(there, patient_id=P2).put("2", said(2))
    assert there.statuses() == {"1": "D", "2": "A"}


def test_after_a_removal_the_earlier_version_stays_deprecated(there: Registered) -> None:
    there.put("1", said(1))
    there.put("2", said(2, rplc("2.999.66.9")))
    remove(there, "2")
    assert there.statuses() == {"1": "D"}
    assert [row.version for row in there.rows(document_set_member)] == [1]
    assert there.rows(awaited_document) == []
    there.put("3", said(2))
    assert there.statuses() == {"1": "D", "3": "A"}


def remove(there: Registered, name: str) -> None:
    """Remove a document with all that refers to it, and its SubmissionSet."""
    from xds.registry.tables import association

    own = there.entries[name].id
    with there.registry.database.read() as connection:
        rows = list(connection.execute(select(association)))
    holders = {row.source for row in rows if row.target == own and row.source not in held(there)}
    gone = [row.entry_uuid for row in rows if own in (row.source, row.target)]
    there.registry.remove([own, *gone, *holders])


def held(there: Registered) -> set[str]:
    return {one.id for one in there.entries.values()}


# --- at the same moment --------------------------------------------------------------------------


Act = Callable[[Registered], object]


@pytest.fixture
def race(
    there: Registered, tmp_path: Path, databases: Databases
) -> Iterator[Callable[[Sequence[Act]], None]]:
    """Act at the same moment, each on a connection of its own to the database."""
    others = [Database(databases.url(tmp_path)) for _ in range(2)]
    barrier = Barrier(2)
    registries = [replace(there.registry, database=one) for one in others]

    def run(act: Act, registry: DocumentRegistry) -> None:
        barrier.wait(timeout=PATIENCE)
        act(replace(there, registry=registry))

    with ThreadPoolExecutor(2) as threads:

        def all_at_once(acts: Sequence[Act]) -> None:
            list(threads.map(run, acts, registries))

        yield all_at_once
    for one in others:
        one.close()


def putting(name: str, stated: StatedVersion) -> Act:
    return lambda to: to.put(name, stated)


@rounds(6, 100)
@pytest.mark.parametrize("named", [True, False])
def test_versions_at_the_same_moment_leave_one_current(
    there: Registered, race: Any, rounds: int, named: bool
) -> None:
    for n in range(rounds):
        set_id, one, two = f"2.999.7^R{n}", f"r{n}v1", f"r{n}v2"
        related = [rplc(f"2.999.66.{one}")] if named else []
        race([putting(one, said(1, set_id=set_id)), putting(two, said(2, *related, set_id=set_id))])
        statuses = there.statuses()
        assert (statuses[one], statuses[two]) == ("D", "A")


@rounds(6, 100)
def test_two_replacements_at_the_same_moment_leave_one_current(
    there: Registered, race: Any, rounds: int
) -> None:
    for n in range(rounds):
        set_id, first = f"2.999.7^T{n}", f"t{n}"
        there.put(first, said(1, set_id=set_id))
        stated = said(2, rplc(f"2.999.66.{first}"), set_id=set_id)
        race([putting(f"{first}a", stated), putting(f"{first}b", stated)])
        statuses = there.statuses()
        assert statuses[first] == "D"
        assert Counter((statuses[f"{first}a"], statuses[f"{first}b"])) == {"A": 1, "D": 1}
