"""Results are stored beside the entries of their documents, and go where these go."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from tests.databases import Databases
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.client import entry_of, submission_of
from xds.config import Config
from xds.content.observations import filling, finding
from xds.content.observations.finding import EVERY, FoundObservation
from xds.content.observations.stored import READER, stored
from xds.content.observations.stored import read as read_stored
from xds.content.reading.model import ContentObservation, ObservationValue
from xds.content.reading.reader import read
from xds.database import hidden_rows
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57
from xds.metadata.criteria import ANYTHING, Criterion, equal
from xds.metadata.objects import Association, Code, DocumentEntry
from xds.metadata.submission import Submission
from xds.registry import events, removal
from xds.registry.queries.observations import WantedObservations
from xds.registry.storage import observations
from xds.registry.storage.observations import ReadResults, observation, observation_code
from xds.registry.subscribers import Subscriber
from xds.registry.versions.entries import with_new_parts

DOCUMENTS: Final = Path(__file__).parents[2] / "fixtures" / "documents"
REPORT: Final = (DOCUMENTS / "lab_report.xml").read_bytes()
LOINC: Final = "2.16.840.1.113883.6.1"
PATIENT, OTHER = "9990000026^^^&2.999.1.1&ISO", "9990000034^^^&2.999.1.1&ISO"
CURRENT, ALL = 14, 15
"""Results of the report, and with the one that it only cites."""


@pytest.fixture
def config(tmp_path: Path, databases: Databases) -> Iterator[Config]:
    yield Config(data=tmp_path, database=databases.url(tmp_path), observations="read")
    databases.drop(tmp_path)


@pytest.fixture
def domain(config: Config) -> Iterator[AffinityDomain]:
    opened = AffinityDomain.open(config)
    yield opened
    opened.close()


def provide(
    domain: AffinityDomain,
    content: bytes = REPORT,
    *associations: Association,
    **attributes: object,
) -> DocumentEntry:
    entry = entry_of(PATIENT, "text/xml", **attributes)
    staged = domain.repository.stage([content])
    submission = submission_of([entry])
    ends = [replace_source(one, entry) for one in associations]
    domain.repository.provide_and_register(
        Submission((*submission.objects, *ends)), {entry.entry_uuid: staged}
    )
    return entry


def replace_source(one: Association, entry: DocumentEntry) -> Association:
    return one.updated(source=entry.entry_uuid)


def replacing(entry: DocumentEntry) -> Association:
    return Association.create(association_type=v.RPLC, source="urn:uuid:0", target=entry.entry_uuid)


def fill(config: Config, domain: AffinityDomain) -> list[tuple[str, int]]:
    found = filling.fill(config, domain.database)
    return [(one.outcome, len(one.observations)) for one in found]


def results(
    domain: AffinityDomain,
    patient: str = PATIENT,
    visible: Criterion = ANYTHING,
    wanted: WantedObservations = EVERY,
) -> list[FoundObservation]:
    with domain.registry.view(visible) as view:
        return finding.of_patient(view, patient, wanted)


def rows(domain: AffinityDomain) -> int:
    """Count what is stored, whoever finds it."""
    with domain.database.read() as connection:
        counts = (select(func.count()).select_from(one) for one in (observation, observation_code))
        found, codes = (connection.scalar(count) or 0 for count in counts)
        assert bool(found) == bool(codes)
        return found


# What is stored


def test_nothing_of_a_result_is_lost() -> None:
    for one in read(REPORT).observations():
        assert read_stored(stored(one).content) == one


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.50", 1.5), ("1e400", None), ("five", None), ("", None), ("nan", None)],
)
def test_a_number_is_stored_where_a_database_has_it(value: str, number: float | None) -> None:
    values = (ObservationValue(kind="quantity", text=value, number=value),)
    one = ContentObservation(code=None, name="a\0b", values=values, status="final")
    made = stored(one)
    assert (made.value_number, made.name) == (number, "a\N{REPLACEMENT CHARACTER}b")


def test_a_result_is_known_by_its_loinc_code_first_and_by_no_endless_one() -> None:
    own, loinc = Code("K", "2.999.9"), Code("2823-3", LOINC)
    endless = Code("x" * 5_000, "2.999.9")
    one = ContentObservation(
        code=own, translations=(endless, loinc), name="", values=(), status="final"
    )
    assert stored(one).codes == (("2823-3", LOINC), ("K", "2.999.9"))


# When


def reacted(config: Config, domain: AffinityDomain, since: int = 0) -> int:
    """Have the subscriber react to all that has happened since, as a process does."""
    subscriber = filling.subscriber(config, domain.database)
    assert isinstance(subscriber, Subscriber)
    with domain.database.read() as connection:
        found = events.after(connection, since)
    while found:
        reaction = subscriber.react(found)
        with domain.database.write() as connection:
            reaction.write(connection)
        since = found[-1].number if reaction.until is None else reaction.until
        found = [one for one in found if one.number > since]
    return since


def test_a_new_document_is_read_once_however_often_its_event_comes(
    config: Config, domain: AffinityDomain
) -> None:
    provide(domain)
    reacted(config, domain)
    reacted(config, domain)
    assert rows(domain) == ALL
    assert len(results(domain)) == CURRENT


def test_without_the_option_nobody_reads(config: Config, domain: AffinityDomain) -> None:
    off = config.model_copy(update={"observations": "off"})
    assert filling.subscriber(off, domain.database) is None


def test_many_documents_are_read_a_few_at_a_time(
    config: Config, domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "_PAGE", 1)
    for _ in range(3):
        provide(domain)
    reacted(config, domain)
    assert rows(domain) == 3 * ALL


def test_what_was_registered_before_is_filled_in(
    config: Config, domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MOST_BYTES", len(REPORT))
    provide(domain)
    provide(domain, b"%PDF-1.7")
    provide(domain, REPORT.replace(b"</ClinicalDocument>", b""))
    provide(domain, b'<?xml version="1.0"?><a>' + b" " * filling.MOST_BYTES + b"</a>")
    expected = [("read", ALL), ("read", 0), ("unreadable", 0), ("too large", 0)]
    assert sorted(fill(config, domain)) == sorted(expected)
    assert fill(config, domain) == [], "each is read once"


def test_a_newer_reader_reads_again(
    config: Config, domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(domain)
    fill(config, domain)
    monkeypatch.setattr(filling, "READER", READER + 1)
    assert fill(config, domain) == [("read", ALL)]
    assert rows(domain) == ALL


def test_a_reader_that_fails_keeps_nobody_from_the_next_document(
    config: Config, domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    provide(domain)
    with monkeypatch.context() as patched:
        patched.setattr(filling, "read", fail)
        assert fill(config, domain) == [("unreadable", 0)]


def test_what_a_message_said_is_not_replaced_by_its_document(
    config: Config, domain: AffinityDomain
) -> None:
    entry = provide(domain)
    one = ContentObservation(code=None, name="of the message", values=(), status="final")
    said = ReadResults(
        logical_id=entry.entry_uuid, outcome="message", reader=1, observations=[stored(one)]
    )
    with domain.database.write() as connection:
        observations.write(connection, [said])
    reacted(config, domain)
    assert [one.observation.name for one in results(domain)] == ["of the message"]


# Where they go


def test_a_document_that_is_replaced_takes_its_results_with_it(
    config: Config, domain: AffinityDomain
) -> None:
    old = provide(domain)
    fill(config, domain)
    new = provide(domain, REPORT.replace(b'value="131"', b'value="132"'), replacing(old))
    assert results(domain) == [], "the new one is not read yet, and the old one is not current"
    fill(config, domain)
    found = results(domain, wanted=WantedObservations(codes=[("2951-2", LOINC)]))
    assert [(one.entry_uuid, one.observation.values[0].text) for one in found] == [
        (new.entry_uuid, "132")
    ]


def test_results_are_found_by_a_new_version_of_the_entry(
    config: Config, domain: AffinityDomain
) -> None:
    entry = provide(domain)
    fill(config, domain)
    with domain.registry.view(ANYTHING) as view:
        held = view.find(DocumentEntry, [])[0].thing
    changed = ebrim.changed(
        with_new_parts(held), id="new", lid=entry.entry_uuid, status=None, version_info=None
    ).updated(title="Another title")
    submission_set, _, member = submission_of([entry]).objects
    assert isinstance(member, Association)
    member = member.updated(target="new", previous_version="1")
    submission = Submission((submission_set, changed, member)).with_uuids()
    domain.registry.register(submission, transaction=ITI_57.name)
    found = results(domain)
    assert len(found) == CURRENT
    assert {one.entry_uuid for one in found} == {submission.document_entries[0].id}


def test_results_follow_a_merged_patient(config: Config, domain: AffinityDomain) -> None:
    provide(domain)
    fill(config, domain)
    domain.identities.add(OTHER)
    domain.identities.merge(subsumed=PATIENT, surviving=OTHER)
    assert results(domain) == []
    assert len(results(domain, OTHER)) == CURRENT


@pytest.mark.parametrize("large", [False, True])
def test_the_results_of_a_removed_document_are_deleted(
    config: Config, domain: AffinityDomain, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(removal, "_FEW", 0)
        monkeypatch.setattr(hidden_rows, "_BATCH", 1)
    entries = [provide(domain), provide(domain)]
    fill(config, domain)
    with domain.registry.view(ANYTHING) as view:
        going = view.going_with([entries[0].entry_uuid])
    domain.registry.remove(going)
    assert rows(domain) == ALL
    assert {one.entry_uuid for one in results(domain)} == {entries[1].entry_uuid}


def test_a_document_that_was_removed_meanwhile_gets_no_results(
    config: Config, domain: AffinityDomain
) -> None:
    entry = provide(domain)
    subscriber = filling.subscriber(config, domain.database)
    assert subscriber is not None
    with domain.database.read() as connection:
        reaction = subscriber.react(events.after(connection, 0))
    with domain.registry.view(ANYTHING) as view:
        going = view.going_with([entry.entry_uuid])
    domain.registry.remove(going)
    with domain.database.write() as connection:
        reaction.write(connection)
    assert rows(domain) == 0


# Who finds them


def test_policy_decides_who_finds_them(config: Config, domain: AffinityDomain) -> None:
    entry = provide(domain)
    fill(config, domain)
    restricted = equal("confidentiality_code", ["V^^2.16.840.1.113883.5.25"])
    assert results(domain, visible=restricted) == []
    own = equal("entry_uuid", [entry.entry_uuid])
    assert len(results(domain, visible=own)) == CURRENT


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (WantedObservations(codes=[("2951-2", "")]), ["Sodium"]),
        (WantedObservations(codes=[("2951-2", LOINC), ("2823-3", LOINC)]), ["Sodium", "Potassium"]),
        (WantedObservations(codes=[("2951-2", "2.999.1")]), []),
        (WantedObservations(codes=[("2951-2", "2.999.1"), ("2823-3", LOINC)]), ["Potassium"]),
        (WantedObservations(codes=[("CRP", "2.999.9.4")]), ["C-reactive protein, fast"]),
        (WantedObservations(codes=[("2951-2", LOINC)], earlier=True), ["Sodium", "Sodium"]),
        (WantedObservations(codes=[("2951-2", LOINC)], until="20260612"), []),
        (WantedObservations(codes=[("2951-2", LOINC)], until="20260612", earlier=True), ["Sodium"]),
        (WantedObservations(codes=[("2951-2", LOINC)], since="202606"), ["Sodium"]),
        (WantedObservations(codes=[("2951-2", LOINC)], since="2027"), []),
    ],
)
def test_results_are_found_by_code_and_time(
    config: Config, domain: AffinityDomain, wanted: WantedObservations, names: Sequence[str]
) -> None:
    provide(domain)
    fill(config, domain)
    assert [one.observation.name for one in results(domain, wanted=wanted)] == names


def test_results_come_in_pages_the_latest_first(config: Config, domain: AffinityDomain) -> None:
    provide(domain)
    fill(config, domain)
    with domain.registry.view(ANYTHING) as view:
        every = WantedObservations(earlier=True)
        whole = finding.of_patient(view, PATIENT, every)
        pages = [
            one
            for start in range(0, ALL, 4)
            for one in finding.of_patient(view, PATIENT, every, most=4, start=start)
        ]
    assert pages == whole
    times = [one.observation.time for one in whole]
    assert times == sorted(times, reverse=True)


def run(config: Config, *arguments: str) -> str:
    where = ["--data", str(config.data), "--database", config.database_url]
    done = CliRunner().invoke(main, ["observations", *arguments, *where, "--observations", "read"])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_person_looks_at_them(config: Config, domain: AffinityDomain) -> None:
    entry = provide(domain)
    assert run(config, "patient", PATIENT) == "There are no results.\n"
    assert run(config, "fill") == f"1 documents (1 read), {ALL} results.\n"
    _, *lines = run(config, "patient", PATIENT).splitlines()
    assert len(lines) == CURRENT
    (line,) = run(config, "document", entry.unique_id or "", "--code", "2951-2").splitlines()[1:]
    assert line.split("\t")[:6] == [
        *("20260612091500", "Sodium", "131", "mmol/L", "133 - 146 mmol/L", "L")
    ]
