"""ITI-8 through the wire: what is acknowledged how, and what the registry makes of it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from lxml import etree

from tests.hl7v2.conftest import FedServer
from tests.hl7v2.wire import (
    ACCEPTED,
    DOMAIN,
    END,
    START,
    Sender,
    adt,
    connected,
    cx,
    merge,
    mrg,
    outcome,
    pid,
)
from tests.ports import free_port
from tests.reference import MESSAGES, needs
from tests.registry import wire
from tests.registry.wire import World
from tests.serving import Server, serving
from tests.waiting import PATIENCE

ROUNDS = 100
ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "2.999.1.2"
UNKNOWN = ["XDSUnknownPatientId"]

shows = pytest.mark.shows


def number(world: World, patient: int) -> str:
    """Return the id of a patient without its authority."""
    return world.patient(patient).partition("^")[0]


def submitted(server: Server, world: World, name: str = "iti42/minimal_document") -> list[str]:
    """Submit a fixture, which is of patient 1, and return the error codes, each once."""
    return sorted(set(wire.send(server, world.fixture(name)).codes))


# --- the acknowledgement -------------------------------------------------------------------------


def test_an_acknowledgement_answers_the_header(sender: Sender, world: World) -> None:
    found = sender.ask(adt("A04", pid(cx(number(world, 1))), control_id="A 7/3"))
    assert outcome(found) == ACCEPTED
    assert [found.msh(i) for i in (1, 2, 3, 4, 5, 6)] == [
        "|",
        "^~\\&",
        "XDSREG",
        "XAD",
        "ADT",
        "HOSP",
    ]
    assert [found.msh(i) for i in (8, 9, 11, 12)] == ["", "ACK^A04", "P", "2.3.1"]
    assert found.control_id == "A 7/3"
    assert found.msh(10) not in ("A 7/3", "")


def test_an_acknowledgement_is_of_the_version_and_encoding_of_its_message(
    sender: Sender, world: World
) -> None:
    text = adt("A04", pid(cx(number(world, 1))), version="2.5").decode()
    found = sender.ask(text.translate(str.maketrans("|^~\\&", "#*!/@")).encode())
    assert outcome(found) == ACCEPTED
    assert [found.msh(i) for i in (1, 2, 9, 12)] == ["#", "*!/@", "ACK*A04*ACK", "2.5"]
    assert submitted_is_known(sender, world)


def submitted_is_known(sender: Sender, world: World) -> bool:
    """Tell whether the feed knows patient 1: its merge into nobody is refused for nobody only."""
    found = sender.ask(merge(cx(number(world, 1)), cx("nobody")))
    return outcome(found) == ("AE", [("PID^1^3", "204")])


@pytest.mark.parametrize(
    ("charset", "name"), [("8859/1", "Zoë"), ("UNICODE UTF-8", "Łukasz"), ("", "Zoë")]
)
def test_the_declared_charset_is_read_and_answered(
    sender: Sender, world: World, charset: str, name: str
) -> None:
    identifier = f"{number(world, 1)}{name}"
    encoded = adt("A04", pid(cx(identifier)), charset=charset, control_id=name)
    found = sender.ask(encoded)
    assert outcome(found) == ACCEPTED
    encoding = "latin-1" if charset == "8859/1" else "utf-8"
    assert f"|{name}\r".encode(encoding) in found.raw
    assert found.msh(18) == charset
    again = sender.ask(merge(cx(identifier), cx("nobody")))
    assert outcome(again) == ("AE", [("PID^1^3", "204")])


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("WINDOWS-1252", "cp1252"),
        ("windows_1250", "cp1250"),
        ("ISO-8859-1", "latin-1"),
        ("ISO8859-15", "iso-8859-15"),
        ("8859-1", "latin-1"),
        ("utf8", "utf-8"),
        ("UNICODE  UTF-8", "utf-8"),
    ],
)
def test_character_sets_have_the_names_that_people_use(
    sender: Sender, world: World, charset: str, codec: str
) -> None:
    identifier = f"{number(world, 1)}Zoë"
    text = adt("A04", pid(cx(identifier)), charset=charset).decode()
    assert outcome(sender.ask(text.encode(codec))) == ACCEPTED
    as_utf8 = merge(cx(identifier), cx("nobody"), charset="UNICODE UTF-8")
    assert outcome(sender.ask(as_utf8)) == ("AE", [("PID^1^3", "204")])


def test_an_unknown_character_set_is_refused_with_those_that_are_known(
    sender: Sender, world: World
) -> None:
    message = adt("A04", pid(cx(number(world, 1))), charset="GB 18030-2000")
    assert outcome(sender.ask(message)) == ACCEPTED, "it is all ASCII"
    found = sender.ask(message.replace(b"Doe", "Doë".encode("gb18030")))
    assert outcome(found) == ("AR", [("MSH^1^18", "103")])
    assert b"8859/1" in found.raw
    assert b"WINDOWS-1250 to WINDOWS-1258" in found.raw


def test_each_message_of_a_batch_is_answered_in_a_batch(sender: Sender, world: World) -> None:
    one, two = (adt("A04", pid(cx(number(world, patient)))) for patient in (1, 2))
    bad = adt("A04", pid("7^^^HOSP"), control_id="BAD")
    batch = b"FHS|^~\\&|E\rBHS|^~\\&|A|B|C|D|||||7|\r" + one + bad + two + b"BTS|3\rFTS|1\r"
    sender.post(batch.replace(b"\r", b"\r\n"))
    header, *lines, last = sender.read().decode().removesuffix("\r").split("\r")
    fields = header.split("|")
    assert (fields[0], fields[2:6], fields[11]) == ("BHS", ["C", "D", "A", "B"], "7")
    assert (fields[10] != "7", last) == (True, "BTS|3")
    assert [line.split("|")[1:3] for line in lines if line.startswith("MSA")] == [
        ["AA", "MSG001"],
        ["AE", "BAD"],
        ["AA", "MSG001"],
    ]
    sender.post(b"MSH|^~|broken" + b"\r" + one + two)
    assert [sender.receive().code for _ in range(3)] == ["AR", "AA", "AA"]
    assert outcome(sender.ask(adt("A04", pid(cx(number(world, 3)))))) == ACCEPTED


@pytest.mark.parametrize(
    ("accept", "application", "codes"),
    [("NE", "NE", []), ("AL", "NE", ["CE"]), ("AL", "AL", ["CE", "AE"])],
)
def test_the_sender_says_what_it_wants_to_hear(
    sender: Sender, world: World, accept: str, application: str, codes: list[str]
) -> None:
    message = adt("A04", pid("7^^^HOSP"))
    sender.post(message.replace(b"|P|2.3.1", f"|P|2.3.1|||{accept}|{application}".encode()))
    assert [sender.receive().code for _ in codes] == codes
    assert outcome(sender.ask(adt("A04", pid(cx(number(world, 1)))))) == ACCEPTED


def test_a_message_that_is_too_large_is_answered(sender: Sender, world: World) -> None:
    message = adt("A04", pid(cx(number(world, 1))))
    found = sender.ask(message + b"ZZZ|" + b"x" * (300 << 10))
    assert outcome(found) == ("AE", [("MSH^1", "207")])
    assert b"262144 bytes" in found.raw
    assert outcome(sender.ask(b"\0" * (3 << 20))) == ("AR", [("MSH^1", "100")])
    assert outcome(sender.ask(message)) == ACCEPTED


@shows("ITI-8 A40")
def test_a_merge_that_is_so_already_is_acknowledged(sender: Sender, world: World) -> None:
    one, two, three = (cx(number(world, patient)) for patient in (1, 2, 3))
    for identifier in (one, two, three):
        sender.ask(adt("A04", pid(identifier)))
    for subsumed, surviving in ((one, two), (one, two), (two, three), (one, two), (one, three)):
        assert outcome(sender.ask(merge(subsumed, surviving))) == ACCEPTED
    assert outcome(sender.ask(merge(three, one))) == ("AE", [("PID^1^3", "204")])


def test_a_damaged_name_does_no_harm_and_a_damaged_id_is_refused(
    sender: Sender, world: World
) -> None:
    good = adt("A04", pid(cx(number(world, 1))), charset="UNICODE UTF-8")
    assert outcome(sender.ask(good.replace(b"Doe", b"D\xf6"))) == ACCEPTED
    damaged = good.replace(number(world, 1).encode(), b"D\xf6")
    assert outcome(sender.ask(damaged)) == ("AE", [("PID^1^3^1^1", "102")])


BAD_HEADERS: dict[str, tuple[bytes, tuple[str, list[tuple[str, str]]]]] = {
    "type": (
        adt("A04", pid(cx("1"))).replace(b"ADT^A04", b"SIU^S12"),
        ("AR", [("MSH^1^9^1^1", "200")]),
    ),
    "event": (adt("A02", pid(cx("1"))), ("AR", [("MSH^1^9^1^2", "201")])),
    "no event": (
        adt("A04", pid(cx("1"))).replace(b"ADT^A04", b"ADT"),
        ("AR", [("MSH^1^9^1^2", "201")]),
    ),
    "version": (adt("A04", pid(cx("1")), version="3.0"), ("AR", [("MSH^1^12", "203")])),
    "no version": (adt("A04", pid(cx("1")), version=""), ("AR", [("MSH^1^12", "203")])),
    "no control id": (adt("A04", pid(cx("1")), control_id=""), ("AR", [("MSH^1^10", "101")])),
    "header only": (b"MSH|^~\\&|", ("AR", [("MSH^1^10", "101")])),
}


@pytest.mark.parametrize(("message", "expected"), BAD_HEADERS.values(), ids=list(BAD_HEADERS))
def test_a_message_that_is_not_answered_here_is_rejected(
    sender: Sender, message: bytes, expected: tuple[str, list[tuple[str, str]]]
) -> None:
    assert outcome(sender.ask(message)) == expected


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\x00\xff" * 50,
        b"MSH",
        b"MSH||||||",
        b"MSH|^^~\\&|",
        b"PID|1||1^^^&2.999.1.1&ISO",
        b"\r\r\r",
        adt("A04", pid(cx("1")), control_id="1" * 40_000),
    ],
    ids=range(8),
)
def test_noise_in_a_frame_is_rejected_and_the_connection_goes_on(
    sender: Sender, world: World, noise: bytes
) -> None:
    found = sender.ask(noise)
    assert (*outcome(found), found.control_id) == ("AR", [("MSH^1", "100")], "")
    assert outcome(sender.ask(adt("A04", pid(cx(number(world, 1)))))) == ACCEPTED


@pytest.mark.parametrize("seed", range(40))
def test_a_message_with_bytes_cut_out_is_answered(sender: Sender, seed: int) -> None:
    message = merge(cx(f"cut{seed}"), cx(f"cut{seed}-b"))
    start = seed * 7 % len(message)
    found = sender.ask(message[:start] + message[start + 1 + seed % 11 :])
    assert found.code in ("AE", "AR")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"iti8/{trigger}", marks=shows(f"ITI-8 {trigger.upper()}"))
        for trigger in ("a01", "a04", "a05", "a08", "a40")
    ],
)
def test_the_messages_of_the_fixtures_are_accepted(sender: Sender, world: World, name: str) -> None:
    feed(sender, world, 1, 2)
    text = (wire.FIXTURES / f"{name}.hl7").read_text()
    own = text.replace("P1^", f"{number(world, 1)}^").replace("P2^", f"{number(world, 2)}^")
    assert outcome(sender.ask(own.replace("\n", "\r").encode())) == ACCEPTED


# --- identifiers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param("A01", marks=shows("ITI-8 A01")),
        pytest.param("A04", marks=shows("ITI-8 A04")),
        pytest.param("A05", marks=shows("ITI-8 A05")),
        pytest.param("A01^ADT_A01", marks=shows("ITI-8 A01")),
        pytest.param("A04^ADT_A01", marks=shows("ITI-8 A04")),
    ],
)
def test_a_patient_of_the_feed_is_known(fed: FedServer, world: World, trigger: str) -> None:
    assert submitted(fed.server, world) == UNKNOWN
    for _ in range(2):
        assert outcome(fed.ask(adt(trigger, pid(cx(number(world, 1)))))) == ACCEPTED
    assert submitted(fed.server, world) == []


@shows("behaviour white space")
@pytest.mark.parametrize(("before", "after"), [("", "   "), (" ", ""), ("\t", "\u00a0")])
def test_an_id_that_is_padded_is_the_id_without(
    fed: FedServer, world: World, before: str, after: str
) -> None:
    padded = [
        f"{before}{number(world, patient)}{after}^^^{namespace}"
        for patient, namespace in ((1, "XAD "), (2, f" & {DOMAIN} &ISO"))
    ]
    for one in padded:
        assert outcome(fed.ask(adt("A04", pid(one)))) == ACCEPTED
    assert submitted(fed.server, world) == []
    assert outcome(fed.ask(merge(*padded))) == ACCEPTED
    assert UNKNOWN[0] in submitted(fed.server, world)


@shows("ITI-8 A08")
def test_an_update_is_accepted_and_changes_nothing(fed: FedServer, world: World) -> None:
    assert outcome(fed.ask(adt("A08", pid(cx(number(world, 1)))))) == ACCEPTED
    assert outcome(fed.ask(adt("A08"))) == ACCEPTED
    assert submitted(fed.server, world) == UNKNOWN


@pytest.mark.parametrize(
    "identifiers",
    [
        "{0}^^^XAD&2.999.1.1&ISO^PI",
        '{0}^""^""^XAD&""&""',
        "{0}^^^OTHER&2.999.1.1&ISO",
        "{0}^^^&2.999.1.1",
        "{0}^^^XAD",
        "{0}^^^XAD&&",
        "local^^^&2.999.1.2&ISO~{0}^^^&2.999.1.1&ISO",
        "~^^^&2.999.1.1&ISO~{0}^^^&2.999.1.1&ISO~local^^^HOSP",
    ],
)
def test_the_ids_of_the_domain_are_kept(fed: FedServer, world: World, identifiers: str) -> None:
    message = adt("A04", pid(identifiers.format(number(world, 1))))
    assert outcome(fed.ask(message)) == ACCEPTED
    assert submitted(fed.server, world) == []


@pytest.mark.parametrize(
    ("segments", "error"),
    [
        ((), ("PID^1", "100")),
        (("PID|1||",), ("PID^1^3", "101")),
        (("PID",), ("PID^1^3", "101")),
        (('PID|1||""^^^&2.999.1.1&ISO',), ("PID^1^3", "101")),
        ((pid(cx("1", ELSEWHERE)),), ("PID^1^3^1^4", "204")),
        ((pid(cx("1", ELSEWHERE, "XAD")),), ("PID^1^3^1^4", "204")),
        ((pid("1^^^HOSP"),), ("PID^1^3^1^4", "204")),
        ((pid("1^^^&2.999.1.1&UUID"),), ("PID^1^3^1^4", "204")),
        ((pid(cx("1\t2")),), ("PID^1^3^1^1", "102")),
        ((pid(cx("1\\X09\\2")),), ("PID^1^3^1^1", "102")),
        ((pid("1^^^XAD~" * 5_000),), ("PID^1^3", "207")),
        ((pid(cx("1")), pid(cx("2"))), ("PID^2", "100")),
    ],
    ids=[
        "no PID",
        "no PID-3",
        "bare PID",
        "null",
        "other domain",
        "other domain of the same name",
        "other name",
        "no OID",
        "control character",
        "control character in hex",
        "ids without end",
        "two patients",
    ],
)
def test_a_message_without_a_patient_of_the_domain_is_refused(
    sender: Sender, segments: tuple[str, ...], error: tuple[str, str]
) -> None:
    assert outcome(sender.ask(adt("A04", *segments))) == ("AE", [error])


def test_escaped_separators_are_part_of_an_id(fed: FedServer, world: World) -> None:
    written = "a\\S\\b\\T\\c\\R\\d\\F\\e\\E\\f"
    assert outcome(fed.ask(adt("A04", pid(cx(number(world, 1) + written))))) == ACCEPTED
    message = etree.tostring(world.fixture("iti42/minimal_document")).decode()
    escaped = message.replace(f"{number(world, 1)}^^^", f"{number(world, 1)}{written}^^^")
    assert escaped != message
    assert wire.send(fed.server, escaped.encode()).codes == []


# --- merges --------------------------------------------------------------------------------------


def feed(sender: Sender, world: World, *patients: int) -> None:
    """Make patients known."""
    for patient in patients:
        assert outcome(sender.ask(adt("A04", pid(cx(number(world, patient)))))) == ACCEPTED


def merged(sender: Sender, world: World, subsumed: int, surviving: int) -> None:
    """Merge two patients."""
    message = merge(cx(number(world, subsumed)), cx(number(world, surviving)))
    assert outcome(sender.ask(message)) == ACCEPTED


@shows("ITI-8 A40")
def test_a_merge_moves_everything_along_a_chain(
    fed: FedServer, sender: Sender, world: World
) -> None:
    feed(sender, world, 1, 2, 3)
    assert submitted(fed.server, world, "iti42/folder") == []
    before = texts(wire.get_all(fed.server, world.patient(1)))
    assert len(before) == 9
    merged(sender, world, 1, 2)
    merged(sender, world, 2, 3)
    assert texts(wire.get_all(fed.server, world.patient(1))) == []
    assert texts(wire.get_all(fed.server, world.patient(2))) == []
    after = texts(wire.get_all(fed.server, world.patient(3)))
    old, new = (world.patient(number).replace("&", "&amp;") for number in (1, 3))
    assert after == [one.replace(old, new) for one in before]
    assert after != before


def texts(answer: wire.Answer) -> list[str]:
    """Return what a query found as text."""
    return [etree.tostring(one, encoding="unicode") for one in answer.elements]


@shows("ITI-8 A40", "error XDSUnknownPatientId")
def test_a_subsumed_patient_is_refused(fed: FedServer, sender: Sender, world: World) -> None:
    feed(sender, world, 1, 2)
    merged(sender, world, 1, 2)
    assert submitted(fed.server, world) == UNKNOWN
    again = sender.ask(adt("A04", pid(cx(number(world, 1)))))
    assert outcome(again) == ("AE", [("PID^1^3", "204")])


REFUSED_MERGES: dict[str, tuple[Callable[[World], bytes], list[tuple[str, str]]]] = {
    "equal": (
        lambda w: merge(cx(number(w, 1)), cx(number(w, 1))),
        [("MRG^1^1", "205")],
    ),
    "subsumed of another domain": (
        lambda w: merge(cx(number(w, 1), ELSEWHERE), cx(number(w, 2))),
        [("MRG^1^1^1^4", "204")],
    ),
    "surviving of another domain": (
        lambda w: merge(cx(number(w, 1)), cx(number(w, 2), ELSEWHERE)),
        [("PID^1^3^1^4", "204")],
    ),
    "subsumed unknown": (
        lambda w: merge(cx(number(w, 8)), cx(number(w, 2))),
        [("MRG^1^1", "204")],
    ),
    "surviving unknown": (
        lambda w: merge(cx(number(w, 1)), cx(number(w, 9))),
        [("PID^1^3", "204")],
    ),
    "both unknown": (
        lambda w: merge(cx(number(w, 8)), cx(number(w, 9))),
        [("MRG^1^1", "204"), ("PID^1^3", "204")],
    ),
    "subsumed before": (
        lambda w: merge(cx(number(w, 3)), cx(number(w, 2))),
        [("MRG^1^1", "204")],
    ),
    "surviving subsumed before": (
        lambda w: merge(cx(number(w, 1)), cx(number(w, 3))),
        [("PID^1^3", "204")],
    ),
    "no MRG": (lambda w: adt("A40", pid(cx(number(w, 2)))), [("MRG^1", "100")]),
    "no PID": (lambda w: adt("A40", mrg(cx(number(w, 1)))), [("PID^1", "100")]),
    "no MRG-1": (
        lambda w: adt("A40", pid(cx(number(w, 2))), "MRG|"),
        [("MRG^1^1", "101")],
    ),
    "two subsumed": (
        lambda w: adt("A40", pid(cx(number(w, 2))), mrg(cx(number(w, 1)), cx(number(w, 4)))),
        [("MRG^1^1", "204")],
    ),
    "two MRG": (
        lambda w: adt("A40", pid(cx(number(w, 2))), *[mrg(cx(number(w, 1)))] * 2),
        [("MRG^2", "100")],
    ),
}


@shows("ITI-8 A40")
@pytest.mark.parametrize(("message", "errors"), REFUSED_MERGES.values(), ids=list(REFUSED_MERGES))
def test_a_refused_merge_changes_nothing(
    fed: FedServer,
    sender: Sender,
    world: World,
    message: Callable[[World], bytes],
    errors: list[tuple[str, str]],
) -> None:
    feed(sender, world, 1, 2, 3, 4)
    merged(sender, world, 3, 4)
    assert outcome(sender.ask(message(world))) == ("AE", errors)
    assert submitted(fed.server, world) == []
    merged(sender, world, 1, 2)


@shows("ITI-8 A40", "error XDSUnknownPatientId")
def test_a_merge_against_a_submission_has_one_consistent_end(fed: FedServer) -> None:
    """Either the submission came first and was moved, or it was refused."""
    barrier = Barrier(2)
    ends: set[tuple[str, ...]] = set()
    with connected(fed.port) as sender, ThreadPoolExecutor(2) as threads:

        def submit(world: World) -> list[str]:
            barrier.wait(PATIENCE)
            return submitted(fed.server, world)

        def unite(world: World) -> None:
            barrier.wait(PATIENCE)
            merged(sender, world, 1, 2)

        for _ in range(ROUNDS):
            world = World.new()
            feed(sender, world, 1, 2)
            submission, merging = threads.submit(submit, world), threads.submit(unite, world)
            merging.result()
            codes = submission.result()
            assert codes in ([], UNKNOWN)
            assert wire.get_all(fed.server, world.patient(1)).objects == {}
            moved = wire.get_all(fed.server, world.patient(2)).objects
            assert len(moved) == (0 if codes else 3)
            ends.add(tuple(codes))
    assert ends


# --- the server ----------------------------------------------------------------------------------


@needs(MESSAGES)
def test_the_examples_of_the_facts_are_answered(sender: Sender) -> None:
    def example(name: str) -> bytes:
        return (MESSAGES / name).read_bytes()

    first = example("iti8-a04.hl7")
    assert outcome(sender.ask(first)) == ACCEPTED
    assert outcome(sender.ask(first.replace(b"P0001", b"P0099"))) == ACCEPTED
    found = sender.ask(example("iti8-a40.hl7"))
    assert (outcome(found), found.control_id) == (ACCEPTED, "MSG002")


def test_the_log_names_no_patient(fed: FedServer, sender: Sender, world: World) -> None:
    sender.ask(adt("A04", pid(cx(number(world, 1)))))
    sender.ask(merge(cx(number(world, 1)), cx("nobody-at-all")))
    sender.ask(adt("A04", "PID|1||\\Zq\\secret\\X4\\^^^&2.999.1.1&ISO||Vandermeer^Jane"))
    log = fed.server.log.read_text()
    assert '"code": "204"' in log
    for word in (number(world, 1), "nobody-at-all", "secret", "Vandermeer"):
        assert word not in log


@pytest.mark.slow
def test_a_feed_that_dies_is_replaced_and_all_ends_with_the_server(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, {"mllp_port": str(port)}) as server:
        with connected(port) as sender:
            assert outcome(sender.ask(adt("A04", pid(cx("1"))))) == ACCEPTED
            _kill_feed(server)
            with pytest.raises((AssertionError, OSError)):
                sender.ask(adt("A04", pid(cx("1"))))
        with connected(port) as sender:
            assert outcome(sender.ask(merge(cx("1"), cx("2")))) == ("AE", [("PID^1^3", "204")])
            assert server.stop() == 0
            assert sender.read() == b""
        assert '"event": "the patient feed has died and is started again"' in server.log.read_text()


def _kill_feed(server: Server) -> None:
    """Kill the process that has told of itself as the feed's."""
    found = re.search(
        r'"process": (\d+), "event": "ready for the patient feed"', server.log.read_text()
    )
    assert found
    os.kill(int(found[1]), signal.SIGKILL)


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = subprocess.run(
            [sys.executable, "-m", "xds", "serve", "--port", "0", "--mllp-port", str(port)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "XDS_DATA": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert started.returncode == 1
    assert f"cannot listen at port {port} of 127.0.0.1: another program" in started.stderr


def test_frames_may_be_cut_anywhere(fed: FedServer, world: World) -> None:
    messages = [adt("A04", pid(cx(f"{number(world, 1)}-{i}"))) for i in range(20)]
    stream = b"".join(START + message + END for message in messages)
    with connected(fed.port) as sender:
        for start in range(0, len(stream), 97):
            sender.send(stream[start : start + 97])
        for _ in messages:
            assert outcome(sender.receive()) == ACCEPTED
