"""ITI-64 through the wire: an A43, its acknowledgement, and the documents afterwards."""

import pytest

from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import ACCEPTED, Sender, adt, cx, mrg, outcome
from tests.reference import MESSAGES, needs
from tests.registry import wire
from tests.registry.wire import World
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry, SubmissionSet

MANAGER = "2.999.9.5"

pytestmark = pytest.mark.shows("ITI-64 A43")


def number(world: World, patient: int) -> str:
    """Return the id of a patient without its authority."""
    return world.patient(patient).partition("^")[0]


def a43(*segments: str, manager: str = MANAGER) -> bytes:
    """Write an A43 as a PIX Manager does."""
    message = adt("A43", *segments, version="2.5")
    return message.replace(b"|ADT|HOSP|", f"|{manager}|PIX|".encode(), 1)


def pid(*identifiers: str) -> str:
    """Write the PID segment of an A43, whose name is a single space."""
    return f"PID|||{'~'.join(identifiers)}|| "


@pytest.fixture
def local(fed: FedServer, sender: Sender, world: World) -> str:
    """Make patients 1 and 2 known, submit for the first, and return its local id."""
    for patient in (1, 2):
        added = sender.ask(adt("A04", f"PID|1||{cx(number(world, patient))}"))
        assert outcome(added) == ACCEPTED
    wire.accept(fed.server, world.fixture("iti42/minimal_document"))
    (entry,) = entries(fed, world, 1)
    assert entry.source_patient_id is not None
    return entry.source_patient_id


def entries(fed: FedServer, world: World, patient: int) -> list[DocumentEntry]:
    """Return the DocumentEntries of a patient."""
    found = wire.get_all(fed.server, world.patient(patient)).objects.values()
    return [one for one in found if isinstance(one, DocumentEntry)]


def test_the_documents_of_a_local_id_go_to_another_patient(
    fed: FedServer, sender: Sender, world: World, local: str
) -> None:
    new, previous = (cx(number(world, patient)) for patient in (2, 1))
    found = sender.ask(a43(pid(new, local), mrg(previous)))
    assert outcome(found) == ACCEPTED
    assert (found.msh(5), found.msh(9), found.msh(12)) == (MANAGER, "ACK^A43^ACK", "2.5")
    (old,), (current,) = entries(fed, world, 1), entries(fed, world, 2)
    assert (old.status, current.status) == (v.DEPRECATED, v.APPROVED)
    assert (current.lid, current.version) == (old.id, "2")
    (made,) = (
        one
        for one in wire.get_all(fed.server, world.patient(2)).objects.values()
        if isinstance(one, SubmissionSet)
    )
    assert made.source_id == MANAGER
    assert str(made.content_type_code) == "XPID^^urn:ihe:iti:xpid:2017"


def test_a_subsumed_local_id_gives_way(
    fed: FedServer, sender: Sender, world: World, local: str
) -> None:
    new, previous = (cx(number(world, patient)) for patient in (2, 1))
    surviving = cx("survivor", "2.999.1.2")
    found = sender.ask(a43(pid(new, surviving), mrg(previous, local), manager=f"PIX^{MANAGER}^ISO"))
    assert outcome(found) == ACCEPTED
    (current,) = entries(fed, world, 2)
    assert current.source_patient_id == surviving


@pytest.mark.parametrize(
    ("segments", "error"),
    [
        ((pid("{new}", "{local}"),), ("MRG^1", "100")),
        ((mrg("{previous}"),), ("PID^1", "100")),
        ((pid("{new}"), mrg("{previous}")), ("PID^1^3^2", "101")),
        ((pid("{new}", "9^^^HOSP"), mrg("{previous}")), ("PID^1^3^2^4", "204")),
        ((pid("{local}", "{new}"), mrg("{previous}")), ("PID^1^3^1^4", "204")),
        ((pid("{new}", "{local}"), mrg("{local}")), ("MRG^1^1^1^4", "204")),
        ((pid("{new}", "{local}"), "MRG|"), ("MRG^1^1^1", "101")),
        ((pid("{nobody}", "{local}"), mrg("{previous}")), ("PID^1^3^1", "204")),
    ],
    ids=[
        "no MRG",
        "no PID",
        "no local id",
        "local id without OID",
        "ids exchanged",
        "previous of another domain",
        "no previous",
        "new unknown",
    ],
)
def test_a_change_that_cannot_be_made_is_refused(
    fed: FedServer,
    sender: Sender,
    world: World,
    local: str,
    segments: tuple[str, ...],
    error: tuple[str, str],
) -> None:
    names = {"new": 2, "previous": 1, "nobody": 9}
    ids = {name: cx(number(world, patient)) for name, patient in names.items()}
    message = a43(*(segment.format(local=local, **ids) for segment in segments))
    assert outcome(sender.ask(message)) == ("AE", [error])
    (entry,) = entries(fed, world, 1)
    assert (entry.status, entry.version) == (v.APPROVED, "1")


def test_a_manager_without_an_oid_is_refused(sender: Sender, world: World, local: str) -> None:
    new, previous = (cx(number(world, patient)) for patient in (2, 1))
    message = a43(pid(new, local), mrg(previous), manager="PIX")
    assert outcome(sender.ask(message)) == ("AE", [("MSH^1^3", "102")])


def test_the_message_of_the_fixtures_is_accepted(sender: Sender, world: World) -> None:
    for patient in (1, 2):
        added = sender.ask(adt("A04", f"PID|1||{cx(number(world, patient))}"))
        assert outcome(added) == ACCEPTED
    text = (wire.FIXTURES / "iti64" / "a43.hl7").read_text()
    own = text.replace("P1^", f"{number(world, 1)}^").replace("P2^", f"{number(world, 2)}^")
    assert outcome(sender.ask(own.replace("\n", "\r").encode())) == ACCEPTED


@needs(MESSAGES)
def test_the_example_of_the_facts_is_answered(sender: Sender) -> None:
    example = (MESSAGES / "iti64-a43.hl7").read_bytes()
    assert outcome(sender.ask(adt("A04", "PID|1||P0001^^^&2.999.1.1&ISO"))) == ACCEPTED
    assert outcome(sender.ask(example)) == ACCEPTED
