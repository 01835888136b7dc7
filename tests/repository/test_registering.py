"""Documents and a registry that is elsewhere: whatever happens in between, none is lost."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.databases import Databases, prepared
from xds.affinity_domain import AffinityDomain, Withheld
from xds.client import entry_of, new_oid, submission_of
from xds.config import Config
from xds.database.access import Database
from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSExtraMetadataNotSaved,
    XDSNonIdenticalHash,
    XDSRegistryNotAvailable,
    XDSUnknownPatientId,
)
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.submission import Submission
from xds.repository import index, pending_registrations
from xds.repository.filesystem import FilesystemStore
from xds.repository.registering import (
    OutcomeUnknown,
    RegistryUnavailable,
    RemoteRegistration,
)
from xds.repository.repository import DocumentRepository
from xds.repository.store import StoredDocument

REPOSITORY = "2.999.1.31"
PATIENT = "R0001^^^&2.999.1.1&ISO"
NOW, LATER = timedelta(0), timedelta(hours=1)
REFUSED = TransactionFailure([XDSUnknownPatientId("unknown")])
SILENT = OutcomeUnknown([XDSRegistryNotAvailable("silent")])


class Crash(BaseException):
    """The end of the process."""


@dataclass(slots=True)
class Registry:
    """A registry that does what a test tells it to, a submission at a time."""

    acts: list[Callable[[], Sequence[RegistryError]]] = field(default_factory=list)
    entries: list[DocumentEntry] = field(default_factory=list)
    is_away: bool = False

    def register(self, submission: Submission) -> Sequence[RegistryError]:
        """Do what comes next, else register."""
        warnings = self.acts.pop(0)() if self.acts else ()
        self.entries.extend(submission.document_entries)
        return warnings

    def document_entries(self, unique_ids: Collection[str]) -> Sequence[DocumentEntry]:
        """Return what is registered."""
        if self.is_away:
            raise RegistryUnavailable("silent")
        return [entry for entry in self.entries if entry.unique_id in unique_ids]

    def close(self) -> None:
        """Have no connections."""


def failing(error: BaseException) -> Callable[[], Sequence[RegistryError]]:
    def fail() -> Sequence[RegistryError]:
        raise error

    return fail


@dataclass(slots=True)
class House:
    """A repository, and the registry that it registers with."""

    repository: DocumentRepository
    registry: Registry

    def provide(self, *unique_ids: str, content: bytes = b"good") -> Sequence[RegistryError]:
        """Provide documents of one content."""
        described = [entry_of(PATIENT, "text/plain", unique_id=one) for one in unique_ids]
        staged = {entry.id: self.repository.stage([content]) for entry in described}
        return self.repository.provide_and_register(submission_of(described), staged)

    def refuse(self, *unique_ids: str, content: bytes = b"good") -> str:
        """Provide documents that cannot be had, and return the codes."""
        with pytest.raises(TransactionFailure) as caught:
            self.provide(*unique_ids, content=content)
        return str(caught.value)

    def held(self, unique_id: str) -> bytes | None:
        """Return a document as it would be retrieved."""
        found = self.repository.locate(unique_id)
        if found is None:
            return None
        with self.repository.store.open(found.key) as reader:
            return b"".join(reader)

    def resolve(self, older_than: timedelta = NOW) -> list[str]:
        """Sweep, and return what was withdrawn."""
        asked = (self.repository, self.registry)
        unregistered = pending_registrations.unregistered(*asked, older_than=older_than)
        would = [one.unique_id for one in unregistered]
        resolved = pending_registrations.resolve(*asked, older_than=older_than)
        did = [one.unique_id for one in resolved]
        assert would == did
        return did

    def is_resolved(self, unique_id: str) -> bool:
        """Whether there is nothing left to be asked about a document."""
        with self.repository.database.read() as connection:
            return not index.pending(connection, [unique_id])

    def stored(self) -> list[StoredDocument]:
        """Return all that lies in the store."""
        store = self.repository.store
        return [*store.list(), *store.staged_leftovers()]


@pytest.fixture(scope="module")
def database(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with databases.opened(tmp_path_factory.mktemp("repository")) as opened:
        yield opened


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    with database.write() as connection:
        connection.execute(text("DELETE FROM registration"))
    registry = Registry()
    repository = DocumentRepository(
        unique_id=REPOSITORY,
        database=database,
        store=FilesystemStore(tmp_path / "documents"),
        register=RemoteRegistration(database, registry),
    )
    return House(repository, registry)


@pytest.fixture
def one() -> str:
    return new_oid()


def test_what_is_registered_is_settled_and_warnings_are_handed_on(house: House, one: str) -> None:
    warning = XDSExtraMetadataNotSaved("urn:x:y")
    house.registry.acts.append(lambda: [warning])
    assert house.provide(one) == [warning]
    assert house.is_resolved(one)
    (entry,) = house.registry.entries
    assert (entry.repository_unique_id, entry.size) == (REPOSITORY, "4")
    assert house.resolve() == []
    assert house.held(one) == b"good"


def test_a_document_can_be_retrieved_before_it_is_registered(house: House, one: str) -> None:
    def look() -> Sequence[RegistryError]:
        assert house.held(one) == b"good"
        assert not house.is_resolved(one)
        return ()

    house.registry.acts.append(look)
    house.provide(one)


def test_what_is_refused_leaves_nothing(house: House, one: str) -> None:
    house.registry.acts.append(failing(REFUSED))
    assert house.refuse(one) == "XDSUnknownPatientId"
    assert (house.held(one), house.is_resolved(one), house.stored()) == (None, True, [])


def test_what_was_registered_before_stays_when_it_is_refused(house: House, one: str) -> None:
    house.provide(one)
    house.registry.acts.append(failing(REFUSED))
    house.refuse(one)
    assert (house.held(one), house.is_resolved(one), len(house.stored())) == (b"good", True, 1)


@pytest.mark.parametrize("failure", [SILENT, Crash()], ids=["no answer", "crash"])
@pytest.mark.parametrize("was_registered", [True, False])
def test_what_may_be_registered_stays_until_the_registry_is_asked(
    house: House, one: str, failure: BaseException, was_registered: bool
) -> None:
    house.registry.acts.append(failing(failure))
    with pytest.raises(type(failure)):
        house.provide(one)
    assert (house.held(one), house.is_resolved(one)) == (b"good", False)
    if was_registered:
        house.registry.entries.append(
            entry_of(PATIENT, "text/plain", unique_id=one, repository_unique_id=REPOSITORY)
        )
    assert house.resolve(LATER) == []
    assert not house.is_resolved(one)
    assert house.resolve() == ([] if was_registered else [one])
    assert house.is_resolved(one)
    assert house.held(one) == (b"good" if was_registered else None)
    assert len(house.stored()) == was_registered


def test_what_is_registered_for_another_repository_is_not_for_this_one(
    house: House, one: str
) -> None:
    house.registry.acts.append(failing(SILENT))
    house.refuse(one)
    house.registry.entries.append(
        entry_of(PATIENT, "text/plain", unique_id=one, repository_unique_id="2.999.1.32")
    )
    assert house.resolve() == [one]


def test_a_second_attempt_settles_the_first(house: House, one: str) -> None:
    house.registry.acts.append(failing(SILENT))
    house.refuse(one)
    house.provide(one)
    assert (house.held(one), house.is_resolved(one), len(house.stored())) == (b"good", True, 1)


def test_a_second_attempt_that_is_refused_leaves_the_first_as_it_is(house: House, one: str) -> None:
    house.registry.acts += [failing(SILENT), failing(REFUSED)]
    house.refuse(one)
    house.refuse(one)
    assert (house.held(one), house.is_resolved(one), len(house.stored())) == (b"good", False, 1)


def test_another_document_of_the_same_unique_id_is_refused_meanwhile(
    house: House, one: str
) -> None:
    house.registry.acts.append(failing(SILENT))
    house.refuse(one)
    assert house.refuse(one, content=b"evil") == XDSNonIdenticalHash.code
    assert (house.held(one), len(house.stored())) == (b"good", 1)


@pytest.mark.parametrize("outer", ["refused", "unknown", "registered"])
@pytest.mark.parametrize("inner", ["refused", "unknown", "registered"])
def test_of_two_attempts_at_once_either_keeps_the_document(
    house: House, one: str, outer: str, inner: str
) -> None:
    outcomes = {"refused": REFUSED, "unknown": SILENT}

    def attempt(outcome: str) -> Sequence[RegistryError]:
        if outcome in outcomes:
            raise outcomes[outcome]
        return ()

    def meanwhile() -> Sequence[RegistryError]:
        house.registry.acts.append(lambda: attempt(inner))
        if inner in outcomes:
            house.refuse(one)
        else:
            house.provide(one)
        return attempt(outer)

    house.registry.acts.append(meanwhile)
    if outer in outcomes:
        house.refuse(one)
    else:
        house.provide(one)
    stays = {outer, inner} != {"refused"}
    assert house.held(one) == (b"good" if stays else None)
    assert len(house.stored()) == stays
    assert house.is_resolved(one) == ("registered" in (outer, inner) or not stays)


def test_a_sweep_leaves_alone_what_is_tried_again_meanwhile(house: House, one: str) -> None:
    house.registry.acts.append(failing(SILENT))
    house.refuse(one)
    asked = house.registry.document_entries

    class Slow(Registry):
        def document_entries(self, unique_ids: Collection[str]) -> Sequence[DocumentEntry]:
            """Answer with what is old by the time at which it arrives."""
            before = asked(unique_ids)
            house.registry.acts.append(failing(Crash()))
            with pytest.raises(Crash):
                house.provide(one)
            return before

    assert list(pending_registrations.resolve(house.repository, Slow(), older_than=NOW)) == []
    assert (house.held(one), house.is_resolved(one)) == (b"good", False)


@pytest.mark.shows("error XDSRepositoryDuplicateUniqueIdInMessage")
def test_two_documents_of_one_unique_id_cannot_be_kept(house: House, one: str) -> None:
    with pytest.raises(TransactionFailure, match="XDSRepositoryDuplicateUniqueIdInMessage"):
        house.provide(one, one)
    assert (house.registry.entries, house.stored()) == ([], [])


def test_a_submission_without_documents_is_only_passed_on(house: House) -> None:
    house.registry.acts.append(lambda: [XDSExtraMetadataNotSaved("urn:x:y")])
    assert len(house.repository.provide_and_register(Submission(()), {})) == 1


def test_more_documents_than_one_question_takes(house: House) -> None:
    ids = sorted(new_oid() for _ in range(120))
    house.registry.acts.append(failing(SILENT))
    house.refuse(*ids)
    house.registry.entries = [
        entry_of(PATIENT, "text/plain", unique_id=one, repository_unique_id=REPOSITORY)
        for one in ids[::2]
    ]
    assert house.resolve() == ids[1::2]


def labelled(unique_id: str, label: str, repository: str = REPOSITORY) -> DocumentEntry:
    return entry_of(
        PATIENT,
        "text/plain",
        unique_id=unique_id,
        repository_unique_id=repository,
        confidentiality_code=(Code(label, "2.16.840.1.113883.5.25", label),),
    )


NORMAL = Comparison("confidentiality_code", Operator.EQUAL, ("N^^2.16.840.1.113883.5.25",))


def provide_normal(house: House, unique_id: str, content: bytes) -> list[tuple[str, str]]:
    """Provide a document as someone who may see what is normal; return what is said."""
    entry = labelled(unique_id, "N")
    staged = {entry.id: house.repository.stage([content])}
    try:
        house.repository.provide_and_register(submission_of([entry]), staged, visible=NORMAL)
    except TransactionFailure as failure:
        return [(one.code, one.code_context.replace(entry.id, "-")) for one in failure.errors]
    return []


def test_of_a_document_that_is_withheld_is_told_only_that_its_uniqueid_is_in_use(
    house: House, one: str
) -> None:
    entry = labelled(one, "R")
    staged = {entry.id: house.repository.stage([b"good"])}
    house.repository.provide_and_register(submission_of([entry]), staged)
    told = [provide_normal(house, one, content) for content in (b"good", b"evil", b"longer")]
    assert told[0] == told[1] == told[2]
    assert [code for code, _ in told[0]] == ["XDSDuplicateUniqueIdInRegistry"]
    assert house.held(one) == b"good"
    assert len(house.registry.entries) == 1


def test_who_may_see_a_document_may_register_it_again(house: House, one: str) -> None:
    assert provide_normal(house, one, b"good") == []
    assert provide_normal(house, one, b"good") == []
    assert [code for code, _ in provide_normal(house, one, b"evil")] == ["XDSNonIdenticalHash"]


def test_a_registry_that_cannot_be_asked_who_may_see_a_document(house: House, one: str) -> None:
    assert provide_normal(house, one, b"good") == []
    house.registry.is_away = True
    told = provide_normal(house, one, b"good")
    assert [code for code, _ in told] == ["XDSRegistryNotAvailable"]


@pytest.mark.parametrize(
    ("labels", "withheld"),
    [
        ([("N", REPOSITORY)], False),
        ([("R", REPOSITORY)], True),
        ([("R", REPOSITORY), ("N", REPOSITORY)], True),
        ([("R", REPOSITORY), ("N", "2.999.9")], True),
        ([("N", REPOSITORY), ("R", "2.999.9")], False),
        ([("N", "2.999.9")], True),
        ([], True),
    ],
)
def test_a_registry_elsewhere_is_asked_for_all_entries_of_a_document(
    tmp_path: Path, labels: list[tuple[str, str]], withheld: bool
) -> None:
    registry = Registry(entries=[labelled("2.999.5", *one) for one in labels])
    config = Config(
        data=prepared(tmp_path),
        registry_url="http://registry.example/registry",
        repository_unique_id=REPOSITORY,
    )
    domain = AffinityDomain.open(config, registry)
    try:
        found = domain.withheld(["2.999.5"], NORMAL)
        assert found.unique_ids == ({"2.999.5"} if withheld else set())
        known = {"2.999.5": (PATIENT,)} if any(one == REPOSITORY for _, one in labels) else {}
        assert found.patient_ids == known, "for the record of a retrieval"
        assert domain.withheld(["2.999.5"], ANYTHING) == Withheld()
    finally:
        domain.close()
