"""What feeds tell beyond admissions: persons, older merges, changes of ids, links."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import ACCEPTED, adt, cx, mrg, outcome, pid
from tests.messaging.filing import LOCAL, NATIONAL, FilingWorld, filing_world, pdf, report
from tests.registry.wire import World
from xds.hl7v2 import feed
from xds.hl7v2.event import Feed
from xds.hl7v2.identifiers import AssigningAuthority
from xds.hl7v2.message import Message
from xds.security.caller import Caller
from xds.security.node import NOWHERE

shows = pytest.mark.shows
EQUAL = ("AE", [("MRG^1^1", "205")])
MERGED = ("AE", [("PID^1^3", "204")])


def ids(world: World, *patients: int) -> list[str]:
    return [cx(world.patient(one).partition("^")[0]) for one in patients]


def merge_of(trigger: str, *pairs: tuple[str, str]) -> bytes:
    return adt(trigger, *(one for old, new in pairs for one in (pid(new), mrg(old))))


@shows("ITI-8 A28", "ITI-8 A31")
@pytest.mark.parametrize("trigger", ["A28", "A31"])
def test_a_person_is_known(fed: FedServer, world: World, trigger: str) -> None:
    old, new = ids(world, 1, 2)
    for one in (old, new):
        assert outcome(fed.ask(adt(trigger, pid(one)))) == ACCEPTED
    assert outcome(fed.ask(merge_of("A40", (old, new)))) == ACCEPTED


@shows("ITI-8 A18", "ITI-8 A34", "ITI-8 A36", "ITI-8 A39")
@pytest.mark.parametrize("trigger", ["A18", "A34", "A36", "A39"])
def test_older_merges_are_merges(fed: FedServer, world: World, trigger: str) -> None:
    old, new = ids(world, 1, 2)
    for one in (old, new):
        assert outcome(fed.ask(adt("A28", pid(one)))) == ACCEPTED
    assert outcome(fed.ask(merge_of(trigger, (old, new)))) == ACCEPTED
    assert outcome(fed.ask(adt("A28", pid(old)))) == MERGED


@shows("ITI-8 A46", "ITI-8 A47")
@pytest.mark.parametrize("trigger", ["A46", "A47"])
def test_a_changed_id_is_made_known(fed: FedServer, world: World, trigger: str) -> None:
    old, new = ids(world, 1, 2)
    assert outcome(fed.ask(adt("A28", pid(old)))) == ACCEPTED
    assert outcome(fed.ask(merge_of(trigger, (old, new)))) == ACCEPTED
    assert outcome(fed.ask(adt("A28", pid(old)))) == MERGED
    across = merge_of(trigger, ("1^^^&2.999.4&ISO", new))
    assert outcome(fed.ask(across)) == ("AE", [("MRG^1^1^1^4", "204")])


@shows("ITI-8 A40")
def test_pairs_are_merged_all_or_none(fed: FedServer, world: World) -> None:
    first, second, third, fourth = ids(world, 1, 2, 3, 4)
    for one in (first, second, third):
        assert outcome(fed.ask(adt("A28", pid(one)))) == ACCEPTED
    both = merge_of("A40", (first, second), (third, fourth))
    assert outcome(fed.ask(both)) == ("AE", [("PID^1^3", "204")])
    assert outcome(fed.ask(adt("A28", pid(first)))) == ACCEPTED
    assert outcome(fed.ask(adt("A28", pid(fourth)))) == ACCEPTED
    assert outcome(fed.ask(both)) == ACCEPTED
    assert outcome(fed.ask(adt("A28", pid(first)))) == MERGED


@shows("ITI-8 A29", "ITI-8 A41", "ITI-8 A42")
@pytest.mark.parametrize("trigger", ["A29", "A41", "A42"])
def test_what_moves_no_document_is_accepted(fed: FedServer, world: World, trigger: str) -> None:
    (one,) = ids(world, 1)
    assert outcome(fed.ask(adt(trigger, pid(one)))) == ACCEPTED
    assert outcome(fed.ask(adt(trigger, pid("1^^^OTHER")))) == ("AE", [("PID^1^3^1^4", "204")])


@shows("ITI-8 A44", "ITI-8 A45")
@pytest.mark.parametrize("trigger", ["A44", "A45"])
def test_what_would_move_documents_is_refused(fed: FedServer, world: World, trigger: str) -> None:
    (one,) = ids(world, 1)
    moved = fed.ask(adt(trigger, pid(one), mrg("")))
    assert outcome(moved) == ("AE", [("MSH^1^9^1^2", "207")])
    assert b"documents do not move" in moved.raw
    unknown = fed.ask(adt(trigger, pid("1^^^OTHER"), mrg("")))
    assert outcome(unknown) == ("AE", [("PID^1^3^1^4", "204")])


# --- what is learned -----------------------------------------------------------------------------


@pytest.fixture
def filing(databases: Databases, tmp_path: Path) -> Iterator[FilingWorld]:
    """A deployment whose patient ids are national numbers."""
    with filing_world(databases, tmp_path, assigning_authority=NATIONAL.domain) as found:
        found.identifiers = [LOCAL]
        yield found


def tell(world: FilingWorld, message: bytes) -> str:
    """Hand a message to the patient feed, and return its acknowledgement code."""
    domain = world.filer.domain
    fed = Feed(
        domain.identities,
        AssigningAuthority(NATIONAL.domain, "NHS", domain.systems.oid_of_namespace),
        domain.interceptors,
    )
    return feed.judge(fed, Message.read(message), Caller(node=NOWHERE)).original


BOTH = f"{NATIONAL.value}^^^NHS~{LOCAL.cx}"


@shows("ITI-8 A24", "ITI-8 A37")
@pytest.mark.parametrize(
    ("linking", "unlinking"),
    [
        (adt("A28", pid(BOTH)), None),
        (adt("A08", pid(BOTH)), None),
        (
            adt("A24", pid(LOCAL.cx), pid(f"{NATIONAL.value}^^^NHS")),
            adt("A37", pid(LOCAL.cx), pid(f"{NATIONAL.value}^^^NHS")),
        ),
    ],
    ids=["A28", "A08", "A24"],
)
def test_links_lead_to_the_id_of_the_domain(
    filing: FilingWorld, linking: bytes, unlinking: bytes | None
) -> None:
    assert filing.file(report("T1", pdf())).state == "refused"
    assert tell(filing, linking) == "AA"
    assert filing.file(report("T1", pdf())).state == "filed"
    assert filing.entries()[0].patient_id == NATIONAL.cx
    if unlinking is not None:
        assert tell(filing, unlinking) == "AA"
        assert filing.file(report("T2", pdf())).state == "refused"


def test_a_person_who_contradicts_the_feed_is_told(filing: FilingWorld) -> None:
    person = f"PID|||{BOTH}||Other^Name||19991231|M"
    assert tell(filing, adt("A28", person)) == "AA"
    outcome = filing.file(report("T1", pdf()))
    assert [(one.verdict.name, one.is_warning) for one in outcome.findings] == [
        ("demographics", True)
    ]
