"""Messages are kept without the text of their documents, and come back byte by byte."""

import base64
import itertools
import random
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, update

from tests.databases import Databases
from tests.messaging.filing import NATIONAL, FilingWorld, filing_world
from xds.hl7v2.spooled import IN_MEMORY_BYTES, SpooledMessage
from xds.messaging import raw_messages
from xds.messaging.doors.answering import MessageArrival
from xds.messaging.doors.opening import answering
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.operations import (
    MessageNotKept,
    MessageOperations,
    MessageSelection,
    RecordedMessage,
    find,
)
from xds.messaging.tables import message_part
from xds.metadata.document_request import DocumentRequest
from xds.repository import removing
from xds.security.caller import Caller
from xds.security.node import NOWHERE

SIZE = 9_001
ARRIVAL = MessageArrival(door="http", caller=Caller(node=NOWHERE))


NUMBERS = itertools.count(1)


def text(size: int = SIZE) -> str:
    """Return the base64 of a document of its own."""
    filling = random.Random(next(NUMBERS)).randbytes(size - 15)
    return base64.b64encode(b"%PDF-1.4\n" + filling + b"%%EOF\n").decode()


def oru(*texts: str) -> str:
    """Return a report of its own, with an OBX for each text; its characters are of one byte."""
    number = next(NUMBERS)
    lines = (
        f"MSH|^~\\&|LAB|RX1|||20260810||ORU^R01|C{number}|P|2.5.1|||||||8859/1",
        f"PID|1||{NATIONAL.value}^^^NHS^NH||M\u00fcller^Ann||19600501|F",
        f"OBR|1||N{number}^LAB|R1^Report|||20260809|||||||||||||||20260810|||F",
        *(f"OBX|{n}|ED|R1^Report||{ED}{one}||||||F" for n, one in enumerate(texts, 1)),
    )
    return "".join(f"{line}\r" for line in lines)


def cut(whole: str, *places: int) -> list[str]:
    starts = (0, *places)
    return [whole[start:end] for start, end in zip(starts, (*places, len(whole)), strict=True)]


ED = "^application^pdf^Base64^"
REFERRED = {
    "in one line": oru(text()),
    "with padding": oru(text(SIZE + 1)),
    "something after it": oru(f"{text()}^^rest"),
    "in CR LF": oru(text()).replace("\r", "\r\n"),
    "after blanks": "\r\n " + oru(text()),
    "in pieces": oru(*cut(text(), 5_003)),
    "in repetitions": oru(f"{text()}~{ED}{text(SIZE + 1)}"),
    "in a file": oru(text(IN_MEMORY_BYTES)),
    "in a file, in pieces": oru(*cut(text(IN_MEMORY_BYTES), 400_001, 900_002)),
}
WHOLLY_KEPT = {
    "with line breaks": oru("\\.br\\".join(cut(text(), 76, 152))),
    "with blanks": oru(" ".join(cut(text(), 100))),
    "with a blank after it": oru(f"{text()} "),
    "with bits beyond the end": oru(f"{text(SIZE + 1)[:-2]}P="),
    "short": oru(text(1_000)),
}


@pytest.fixture(scope="module")
def world(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilingWorld]:
    options = {"assigning_authority": NATIONAL.domain, "messages": "yes"}
    with filing_world(databases, tmp_path_factory.mktemp("messages"), **options) as found:
        found.filer.domain.identities.add(NATIONAL.cx)
        yield found


def arrives(world: FilingWorld, raw: bytes) -> list[bytes]:
    """Bring in a message as a door does, and return the acknowledgements."""
    with SpooledMessage(len(raw)) as source:
        for place in range(0, len(raw), 50_000):
            source.write(raw[place : place + 50_000])
        source.finish()
        answers = answering(world.filer.domain, world.config, None)
        return list(answers.answers(source, ARRIVAL))


def last(world: FilingWorld) -> RecordedMessage:
    with world.filer.domain.database.read() as connection:
        return find(connection, MessageSelection())[0]


def kept(world: FilingWorld, found: RecordedMessage, *, omits_removed: bool = False) -> bytes:
    """Return a message as it came."""
    repository = world.filer.domain.repository
    return b"".join(raw_messages.raw(repository, found.id, omits_removed=omits_removed))


def bytes_kept(world: FilingWorld, found: RecordedMessage) -> int:
    size = select(func.sum(func.length(message_part.c.content)))
    with world.filer.domain.database.read() as connection:
        return connection.scalar(size.where(message_part.c.message == found.id)) or 0


@pytest.mark.parametrize("form", [*REFERRED, *WHOLLY_KEPT])
def test_a_message_comes_back_byte_by_byte(world: FilingWorld, form: str) -> None:
    raw = (REFERRED | WHOLLY_KEPT)[form].encode("latin-1")
    (answer,) = arrives(world, raw)
    assert b"MSA|AA|" in answer
    found = last(world)
    assert kept(world, found) == raw.lstrip()
    assert len(found.outcome.documents) == (2 if "repetitions" in form else 1)
    assert (bytes_kept(world, found) < 1_000) == (form in REFERRED)


def test_each_message_of_a_batch_comes_back(world: FilingWorld) -> None:
    raw = [oru(text()).encode("latin-1") for _ in range(2)]
    arrives(world, b"BHS|^~\\&|LAB|RX1\r" + b"".join(raw) + b"BTS|2\r")
    with world.filer.domain.database.read() as connection:
        second, first, *_ = find(connection, MessageSelection())
    assert [kept(world, first), kept(world, second)] == raw
    assert bytes_kept(world, first) + bytes_kept(world, second) < 2_000


def test_a_refused_message_is_kept_as_a_whole(world: FilingWorld) -> None:
    raw = oru(text()).replace(NATIONAL.value, "").encode("latin-1")
    stored = world.stored()
    (answer,) = arrives(world, raw)
    assert b"MSA|AR|" in answer
    assert kept(world, last(world)) == raw
    assert world.stored() == stored


def test_a_message_outlives_its_document_without_it(world: FilingWorld) -> None:
    whole = text()
    raw = oru(whole).encode("latin-1")
    arrives(world, raw)
    found, repository = last(world), world.filer.domain.repository
    asked = DocumentRequest(repository.unique_id, found.outcome.documents[0].unique_id)
    removing.remove(repository, [asked], lambda *_, again: {})
    with pytest.raises(MessageNotKept, match="has been removed"):
        kept(world, found)
    assert kept(world, found, omits_removed=True) == raw.replace(whole.encode(), b"")
    with pytest.raises(MessageNotKept, match="has been removed"):
        operating(world).resend(found)


def test_a_message_is_not_made_up_of_another_document(world: FilingWorld) -> None:
    arrives(world, oru(text()).encode("latin-1"))
    found = last(world)
    with world.filer.domain.database.write() as connection:
        texts = update(message_part).where(
            message_part.c.message == found.id, message_part.c.document.is_not(None)
        )
        assert connection.execute(texts.values(content=bytes(20))).rowcount == 1
    with pytest.raises(MessageNotKept):
        kept(world, found)


def test_a_message_that_is_sent_again_is_the_same_one(world: FilingWorld) -> None:
    raw = oru(text()).encode("latin-1")
    arrives(world, raw)
    found = last(world)
    assert operating(world).resend(found).is_replay
    assert kept(world, found) == raw


def operating(world: FilingWorld) -> MessageOperations:
    return MessageOperations(filer=world.filer, flavours=read_flavours(None))
