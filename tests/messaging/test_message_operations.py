"""What an operator does about messages: finds, files again, corrects, purges them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.messaging.filing import NATIONAL, FilingWorld, filing_world
from xds.messaging import operations, raw_messages, records
from xds.messaging.filing import FilingOutcome
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.operations import MessageOperations, MessageSelection
from xds.registry import patient_links

CUT = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagoK"
WHOLE = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagolJUVPRgo="


def oru(data: str, patient: str = f"{NATIONAL.value}^^^NHS^NH", control_id: str = "C1") -> bytes:
    lines = (
        f"MSH|^~\\&|LAB|RX1|||20260810||ORU^R01|{control_id}|P|2.5.1",
        f"PID|1||{patient}||Jones^Ann||19600501|F",
        "OBR|1||N1^LAB|R1^Report|||20260809|||||||||||||||20260810|||F",
        f"OBX|1|ED|R1^Report||^application^pdf^Base64^{data}||||||F",
    )
    return "\r".join(lines).encode() + b"\r"


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[FilingWorld]:
    with filing_world(databases, tmp_path, assigning_authority=NATIONAL.domain) as found:
        yield found


@pytest.fixture
def operating(world: FilingWorld, tmp_path: Path) -> MessageOperations:
    folder = tmp_path / "flavours"
    folder.mkdir()
    (folder / "held.toml").write_text(
        'unknown_patients = "hold"\n[domains]\nMRN = "2.999.6.1"\n'
        '[[match]]\napplication = "LAB"\nfacility = "RX1"\n'
    )
    return MessageOperations(filer=world.filer, flavours=read_flavours(folder))


def arrives(operating: MessageOperations, raw: bytes) -> str:
    """File a message as a door does, and return its state."""
    empty = operations.RecordedMessage(
        key=0,
        id="",
        received=0,
        door="mllp",
        flavour="",
        what="",
        control_id="",
        sender="",
        state="refused",
        verdict="",
        size=0,
        media="hl7v2",
        feed="",
        patient_id="",
        in_place_of=None,
        outcome=FilingOutcome(state="refused"),
    )
    return operating._file(empty, [raw], "mllp").state


def listed(world: FilingWorld, **asked: object) -> list[operations.RecordedMessage]:
    with world.filer.domain.database.read() as connection:
        return operations.find(connection, MessageSelection(**asked))  # type: ignore[arg-type]


def kept(world: FilingWorld, found: operations.RecordedMessage) -> bytes:
    """Return a message as it came."""
    return b"".join(raw_messages.raw(world.filer.domain.repository, found.id))


def known(world: FilingWorld) -> None:
    world.filer.domain.identities.add(NATIONAL.cx)


def test_a_refused_message_is_corrected(world: FilingWorld, operating: MessageOperations) -> None:
    known(world)
    assert arrives(operating, oru(CUT)) == "refused"
    assert arrives(operating, oru(CUT)) == "refused"
    (refused,) = listed(world, states=("refused",))
    assert (refused.control_id, refused.verdict) == ("C1", "corrupt")
    assert kept(world, refused) == oru(CUT)
    assert operating.resend(refused).state == "refused"
    assert operating.correct(refused, [oru(WHOLE)]).state == "filed"
    corrected, old = listed(world, name="C1")
    assert (old.state, corrected.in_place_of) == ("corrected", refused.id)
    for asked in ({"number": "N1"}, {"patient": NATIONAL.value}, {"sender": "LAB|RX1"}):
        assert corrected.id in [one.id for one in listed(world, **asked)]


def test_a_held_message_is_filed_when_its_patient_is_known(
    world: FilingWorld, operating: MessageOperations
) -> None:
    assert arrives(operating, oru(WHOLE, "A100^^^MRN")) == "held"
    assert operating.release() == (0, 0)
    known(world)
    with world.filer.domain.database.write() as connection:
        patient_links.link(connection, [NATIONAL.cx, "A100^^^&2.999.6.1&ISO"])
    assert operating.release() == (1, 0)
    assert operating.release() == (0, 0)
    (found,) = listed(world)
    assert (found.state, found.door, found.patient_id) == ("filed", "mllp", NATIONAL.cx)
    assert [one.patient_id for one in world.entries()] == [NATIONAL.cx]


def test_a_held_message_that_its_flavour_refuses_by_now_is_refused(
    world: FilingWorld, operating: MessageOperations, tmp_path: Path
) -> None:
    assert arrives(operating, oru(WHOLE)) == "held"
    (held,) = listed(world)
    file = tmp_path / "flavours" / "held.toml"
    file.write_text(f"most_documents = 0\n{file.read_text()}")
    changed = replace(operating, flavours=read_flavours(file.parent))
    assert changed.release() == (1, 0)
    (refused,) = listed(world)
    assert (refused.id, refused.state, refused.verdict) == (held.id, "refused", "too-large")
    assert changed.release() == (0, 0)
    assert kept(world, refused) == oru(WHOLE)


def test_all_held_messages_have_their_turn(
    world: FilingWorld, operating: MessageOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_AT_ONCE", 2)
    assert arrives(operating, oru(WHOLE, control_id="C0")) == "held"
    for one in range(1, 4):
        unknown = oru(WHOLE, f"A{one}^^^MRN", control_id=f"C{one}")
        assert arrives(operating, unknown) == "held"
    known(world)
    filed, before = operating.release()
    assert filed == 0
    assert before
    assert operating.release(before)[0] == 1
    assert [one.state for one in listed(world, name="C0")] == ["filed"]


def test_what_is_kept_no_longer_is_purged(
    world: FilingWorld, operating: MessageOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_messages, "INLINE", 1)
    known(world)
    assert arrives(operating, oru(WHOLE)) == "filed"
    assert arrives(operating, oru(CUT, control_id="C2")) == "refused"
    database = world.filer.domain.database
    assert records.purge(database, 1 << 60) == 1
    (filed,) = listed(world, states=("filed",))
    (refused,) = listed(world, states=("refused",))
    assert kept(world, filed) == b""
    assert kept(world, refused) == oru(CUT, control_id="C2")
    with pytest.raises(operations.MessageNotKept):
        operating.resend(filed)


def test_a_message_that_goes_on_waiting_is_counted_once(
    world: FilingWorld, operating: MessageOperations
) -> None:
    counted: list[str] = []
    filer = replace(world.filer, count=lambda _, outcome: counted.append(outcome.state))
    counting = replace(operating, filer=filer)
    assert arrives(counting, oru(WHOLE)) == "held"
    assert counting.release() == (0, 0)
    known(world)
    assert counting.release() == (1, 0)
    assert counted == ["held", "filed"]
