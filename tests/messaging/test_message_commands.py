"""What an operator sees of messages on a running server: commands, and metrics of its processes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.databases import Databases
from tests.messaging.receiver import MllpReceiver, receiving
from tests.ports import free_port
from tests.registry import wire
from tests.serving import Server, serving
from xds.__main__ import main

NUMBERS = count(1)
CUT = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagoK"
WHOLE = "JVBERi0xLjQKMSAwIG9iago8PD4+CmVuZG9iagolJUVPRgo="
SECRET = "Zebedee"
"""A name that only the commands may tell, and never metrics or the log."""


@dataclass(frozen=True)
class Trust:
    """A server of two workers with a destination, and a folder for files of messages."""

    server: Server
    receiver: MllpReceiver
    folder: Path

    def run(self, *arguments: str) -> Result:
        """Run a command on its database, or against its doors."""
        given = list(arguments)
        options = self.server.options
        if arguments[:2] in (("messages", "send"), ("messages", "try")) or "flavours" in arguments:
            return CliRunner().invoke(main, given, env={"COLUMNS": "100"})
        given += ["--data", str(self.server.data), "--database", self.server.database]
        if arguments[0] == "destinations":
            given += ["--destinations", options["destinations"]]
        return CliRunner().invoke(main, given, env={"COLUMNS": "100"})

    def send(self, path: Path, door: str = "mllp") -> Result:
        """Send a file by a door."""
        url = f"mllp://127.0.0.1:{self.server.options['mllp_port']}"
        if door == "http":
            url = f"{self.server.url}/hl7v2"
        return self.run("messages", "send", "--to", url, str(path))

    def message(self, data: str = WHOLE, patient: str = "9434765919", more: str = "") -> Path:
        """Write a report with a document, of a number and a control id of its own."""
        number = next(NUMBERS)
        lines = (
            f"MSH|^~\\&|LAB|RX1|||20260810||ORU^R01|OP{number}|P|2.5.1{more}",
            f"PID|1||{patient}^^^NHS^NH||{SECRET}^Ann||19600501|F",
            f"OBR|1||ON{number}^LAB|R1^Report|||20260809|||||||||||||||20260810|||F",
            f"OBX|1|ED|R1^Report||^application^pdf^Base64^{data}||||||F",
        )
        path = self.folder / f"OP{number}.hl7"
        path.write_text("\r".join(lines) + "\r", newline="")
        return path

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric of all processes; 0 where it has no value."""
        told = wire.get(self.server, "/metrics").decode()
        found = re.findall(rf"(?m)^{name}{{(.*)}} (\S+)$", told)
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        return sum(float(value) for said, value in found if wanted <= set(said.split(",")))


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Trust]:
    folder = tmp_path_factory.mktemp("trust")
    with receiving() as receiver:
        destinations = folder / "destinations.toml"
        destinations.write_text(f'[[destination]]\nname = "scr"\naddress = "{receiver.url}"\n')
        options = {
            "database": databases.url(folder),
            "mllp_port": str(free_port()),
            "destinations": str(destinations),
            "workers": "2",
        }
        # metrics are those of a process
        with serving(folder / "data", options, processes=1) as server:
            yield Trust(server, receiver, folder)


@pytest.mark.parametrize("door", ["mllp", "http"])
def test_metrics_count_messages_by_door_flavour_and_verdict(trust: Trust, door: str) -> None:
    def counted(verdict: str) -> float:
        return trust.metric("xds_messages_total", door=door, flavour="generic", verdict=verdict)

    before = {one: counted(one) for one in ("filed", "repeated", "corrupt")}
    waiting = trust.metric("xds_messages_waiting", state="refused")
    path = trust.message()
    for _ in range(3):
        assert trust.send(path, door).exit_code == 0
    assert trust.send(trust.message(CUT), door).exit_code == 1
    after = {"filed": 1, "repeated": 2, "corrupt": 1}
    assert {one: counted(one) - before[one] for one in before} == after
    assert trust.metric("xds_messages_waiting", state="refused") == waiting + 1
    assert trust.metric("xds_messages_oldest_timestamp_seconds", state="refused") > 1.7e9
    assert trust.metric("xds_messages_last_timestamp_seconds", flavour="generic") > 1.7e9


def test_a_part_of_a_message_is_listed_until_the_rest_is_here(trust: Trust) -> None:
    path = trust.message(WHOLE[:20])
    whole = path.read_text()
    path.write_text(whole.partition("||||||F")[0] + f"\rADD\rDSC|{path.stem}|F\r", newline="")
    waiting = trust.metric("xds_messages_waiting", state="partial")
    assert trust.send(path).exit_code == 0
    assert trust.metric("xds_messages_waiting", state="partial") == waiting + 1
    listed = trust.run("messages", "list", "--state", "partial", "--control-id", path.stem)
    assert path.stem in listed.output
    told = trust.run("messages", "resend", path.stem)
    assert told.output.startswith("Error: It is a part of a message")
    assert trust.run("messages", "try", str(path)).exit_code == 1
    last = trust.message(more=f"||{path.stem}")
    header = last.read_text().splitlines()[0]
    last.write_text(f"{header}\rADD|{WHOLE[20:]}||||||F\r", newline="")
    assert trust.send(last, "http").exit_code == 0
    listed = trust.run("messages", "list", "--control-id", path.stem)
    assert "\tjoined\t" in listed.output
    assert "\tfiled\t" in trust.run("messages", "list", "--control-id", last.stem).output


def test_nothing_of_a_patient_is_in_metrics_or_the_log(trust: Trust) -> None:
    trust.send(trust.message(CUT))
    told = wire.get(trust.server, "/metrics").decode() + trust.server.log.read_text()
    assert "xds_messages_total" in told
    assert "a message was refused" in told
    assert SECRET not in told
    assert "9434765919" not in told


def test_a_refusal_is_one_line_of_the_log(trust: Trust) -> None:
    path = trust.message(CUT)
    trust.send(path)
    lines = trust.server.log.read_text().splitlines()
    (line,) = [one for one in lines if f'"{path.stem}"' in one and "was refused" in one]
    assert '"flavour": "generic"' in line
    assert '"verdicts": ["corrupt at OBX^1^5"]' in line


def test_a_refused_message_is_found_shown_corrected_and_found_again(trust: Trust) -> None:
    path = trust.message(CUT)
    sent = trust.send(path)
    assert sent.output.splitlines() == [
        f"{path}: AR refused, message {path.stem}",
        "  error 102 corrupt at OBX^1^5: the end of a document of application/pdf is missing",
    ]
    listed = trust.run("messages", "list", "--control-id", path.stem).output.splitlines()
    assert listed[0].split("\t")[4:] == ["state", "why", "documents", "id"]
    assert listed[1].split("\t")[1:7] == [
        *("ORU^R01", path.stem, "LAB|RX1", "refused", "corrupt", "0")
    ]
    shown = trust.run("messages", "show", path.stem).output
    assert "findings     error corrupt at OBX^1^5: the end of a document" in shown
    assert f"  PID-5 name: {SECRET}^Ann" in shown
    assert "  OBX-5 value: application/pdf, 30 bytes" in shown
    assert trust.run("messages", "show", "--raw", path.stem).output == path.read_bytes().decode()
    again = trust.run("messages", "resend", path.stem)
    assert (again.exit_code, again.output.count("error corrupt at OBX^1^5")) == (1, 1)
    path.write_text(path.read_bytes().decode().replace(CUT, WHOLE), newline="")
    corrected = trust.run("messages", "correct", path.stem, str(path))
    assert corrected.output.splitlines()[0] == f"{path.stem}: filed, 1 document"
    states = trust.run("messages", "list", "--control-id", path.stem).output
    assert [line.split("\t")[4] for line in states.splitlines()[1:]] == ["filed", "corrected"]
    now = trust.run("messages", "show", path.stem).output
    assert re.search(r"(?m)^documents    registered urn:uuid:\S+, uniqueId 2\.25\.\d+$", now)


def test_what_is_no_message_is_shown_as_it_came(trust: Trust) -> None:
    path = trust.folder / "noise"
    path.write_text("hello world")
    assert trust.send(path).output.startswith(f"{path}: AR refused")
    found = trust.run("messages", "list", "--state", "refused", "--most", "1").output
    identity = found.splitlines()[-1].split("\t")[-1]
    shown = trust.run("messages", "show", identity).output
    assert shown.endswith("\n\nhello world\n")
    assert "error unreadable at MSH^1: a message begins with MSH" in shown


def test_a_message_that_is_purged_keeps_its_record(trust: Trust) -> None:
    path = trust.message()
    trust.send(path)
    assert trust.run("messages", "purge").output == "0 removed.\n"
    with_record = trust.run("messages", "show", path.stem).output
    assert "state        filed" in with_record


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["messages", "show", "NONE"], "Error: There is no message NONE."),
        (["messages", "resend", "NONE"], "Error: There is no message NONE."),
        (["messages", "list", "--number", "NONE"], "There are no such messages."),
        (["messages", "send", "/none.hl7"], "Error: /none.hl7: there is no such file"),
        (["messages", "send", "--to", "ftp://h", __file__], "mllp://host:port"),
        (["messages", "send", "--to", "mllp://127.0.0.1:9", __file__], "Connection refused"),
        (["messages", "try", __file__], "Error: a message begins with MSH"),
        (["messages", "try", __file__, "--flavour", "none"], "there is no flavour none"),
        (["flavours", "none"], "there is no flavour none; there are epic, igene"),
        (["flavours", "--flavours", "/none"], "Error: /none: there is no such folder"),
        (["destinations", "pause"], "Error: pause takes a DESTINATION."),
        (["destinations", "pause", "none"], "names no none; it names scr."),
        (["destinations", "replay", "scr", "--since", "now"], "such as 2026-11-29T08:00"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(trust: Trust, arguments: list[str], told: str) -> None:
    assert told in trust.run(*arguments).output


def test_destinations_are_listed_shown_paused_and_resumed(trust: Trust) -> None:
    path = trust.message()
    trust.run("destinations", "pause", "scr")
    state = trust.run("destinations").output.splitlines()[1].split("\t")
    assert state[:2] == ["scr", "paused"]
    assert trust.send(path).exit_code == 0
    number = path.stem.replace("OP", "ON")
    trust.run("destinations", "resume", "scr")
    trust.receiver.wait_for(1, number)
    shown = trust.run("destinations", "show", "scr", "--most", "1").output.splitlines()
    assert shown[0].split("\t")[-2:] == ["id", "document"]
    assert shown[1].split("\t")[1] == "scr: registered"
    tried = trust.run("destinations", "try", "scr", "--since", "2026-01-01").output
    assert re.fullmatch(r"scr: \d+ chosen by every document\.\n", tried)
