"""The outbox and the delivery of what is in it, in this process."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.soap.receiver import Receiver, receiving, until
from xds.soap.delivery import Deliverer, pause_after
from xds.soap.outbox import Outbox, OutboxUnavailable, milliseconds
from xds.targets import Target, prefixes


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def path() -> str:
    """A path of the receiver that no other test uses."""
    return f"/{uuid4()}"


@pytest.mark.parametrize("limit", [{"attempts": 2, "seconds": 60}, {"attempts": 9, "seconds": 1}])
def test_an_answer_that_nobody_takes_is_given_up(
    tmp_path: Path, receiver: Receiver, path: str, limit: dict[str, int]
) -> None:
    outbox = Outbox(tmp_path)
    receiver.refuse(path, *[503] * 9)
    outbox.put(Target.parse(receiver.url + path), "text/plain", "c", [b"x"])
    attempts, seconds = limit["attempts"], limit["seconds"]
    Deliverer(outbox, prefixes(receiver.url), attempts=attempts, seconds=seconds).start()
    until(lambda: outbox.waiting() == [])
    assert 2 <= len(receiver.came(path)) <= 3


def test_an_answer_to_a_target_that_is_no_longer_allowed_is_not_sent(
    tmp_path: Path, receiver: Receiver, path: str
) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(Target.parse(receiver.url + path), "text/plain", "c", [b"x"])
    Deliverer(outbox, prefixes("http://other.example"), attempts=1, seconds=60).start()
    until(lambda: outbox.waiting() == [])
    assert receiver.came(path) == []


def test_an_answer_is_claimed_by_one_only(tmp_path: Path) -> None:
    outbox, other = Outbox(tmp_path), Outbox(tmp_path)
    outbox.put(Target.parse("http://a.example/b"), "text/plain", "c", [b"one", b"two"])
    (slip,) = other.waiting()
    letter = outbox.claim(slip)
    assert letter is not None
    with letter:
        assert other.claim(slip) is None
        assert (letter.label.url, letter.size) == ("http://a.example/b", 6)
        assert letter.body.read() == b"onetwo"
        letter.postpone(milliseconds() + 5000)
        (later,) = other.waiting()
        assert other.claim(later) is None
    assert other.claim(slip) is None
    assert later.attempts == 1
    again = other.claim(later)
    assert again is not None
    again.remove()
    again.close()
    assert os.listdir(tmp_path) == []


def test_answers_are_private_and_those_that_break_off_are_not_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")

    def blocks() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        outbox.put(Target.parse("http://a.example"), "text/plain", "c", blocks())
    assert os.listdir(tmp_path / "outbox") == []
    outbox.put(Target.parse("http://a.example"), "text/plain", "c", [b"one"])
    (file,) = (tmp_path / "outbox").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.unlink()
    file.parent.rmdir()
    with pytest.raises(OutboxUnavailable):
        outbox.put(Target.parse("http://a.example"), "text/plain", "c", [b"one"])


def test_a_damaged_answer_is_set_aside_and_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(Target.parse("http://a.example"), "text/plain", "c", [b"one"])
    (slip,) = outbox.waiting()
    (tmp_path / slip.name).write_bytes(b"{")
    assert outbox.claim(slip) is None
    assert outbox.waiting() == []
    old, new = tmp_path / "0.arriving", tmp_path / "1.arriving"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, 0))
    outbox.sweep()
    assert set(os.listdir(tmp_path)) == {"1.arriving", f"{slip.key}.unreadable"}


def test_pauses_grow_to_a_limit() -> None:
    assert all(0.5 <= pause_after(1) <= 1.0 for _ in range(20))
    assert 8.0 <= pause_after(5) <= 16.0
    assert pause_after(9999) <= 600.0


def test_a_target_that_hangs_does_not_hold_up_the_others(
    tmp_path: Path, receiver: Receiver, path: str
) -> None:
    outbox = Outbox(tmp_path)
    with receiving() as hanging:
        hanging.seconds = 20.0
        for _ in range(12):
            outbox.put(Target.parse(hanging.url), "text/plain", "c", [b"x"])
        outbox.put(Target.parse(receiver.url + path), "text/plain", "c", [b"x"])
        allowed = prefixes(f"{hanging.url} {receiver.url}")
        Deliverer(outbox, allowed, attempts=9, seconds=60).start()
        receiver.wait_for(path)
        assert hanging.came("/") == []
        hanging.released.set()
        hanging.wait_for("/", 12)
